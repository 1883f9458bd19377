//! CloudFront, by URLs and cookies that Amazon's SDK for JavaScript 3.1166.0 signed.

use serde_json::Value;

use super::*;

const KEY_ID: &str = "APKAEIBAERJR2EXAMPLE";

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/cloudfront.json")).unwrap()
}

fn text(name: &str) -> String {
    vectors()[name].as_str().unwrap().to_owned()
}

fn rsa() -> SigningKey {
    signing_key_file(KEY_ID, text("private_key_pem").as_bytes()).unwrap()
}

fn keys() -> KeySet {
    let elliptic = verifying_key_file("KECDSA", text("ecdsa_pub").as_bytes()).unwrap();
    KeySet::new(vec![rsa().verifying().unwrap(), elliptic])
}

#[track_caller]
fn verify(ask: &Ask) -> Result<Grant, Refusal> {
    ask.verify(&scheme("cloudfront"), &keys())
}

/// Right before the end of each, and at it.
#[test]
fn what_the_sdk_signs_is_granted() {
    for (name, end, target, space) in [
        (
            "canned",
            1_577_836_800,
            "/private-content/private.jpeg",
            UrlSpace::Url(
                "https://d111111abcdef8.cloudfront.net/private-content/private.jpeg".to_owned(),
            ),
        ),
        (
            "canned_query",
            1_577_836_800,
            "/private.jpeg?foo=bar",
            UrlSpace::Url("https://example.com/private.jpeg?foo=bar".to_owned()),
        ),
        (
            "policy_wild",
            1_893_456_000,
            "/live/ch1/master.m3u8",
            UrlSpace::Pattern("https://cdn.example.com/live/ch1/*".to_owned()),
        ),
        (
            "sha256",
            1_893_456_000,
            "/a.m3u8",
            UrlSpace::Url("https://cdn.example.com/a.m3u8".to_owned()),
        ),
        (
            "ecdsa",
            1_893_456_000,
            "/a.m3u8",
            UrlSpace::Url("https://cdn.example.com/a.m3u8".to_owned()),
        ),
    ] {
        let ask = Ask::new(&text(name), end - 1);
        let grant = verify(&ask).unwrap();
        assert_eq!((grant.target.as_str(), grant.expires_at), (target, end), "{name}");
        assert_eq!(grant.space, space, "{name}");
        assert_eq!(grant.key_id, if name == "ecdsa" { "KECDSA" } else { KEY_ID });
        let late = Ask { now: end, ..ask };
        assert_eq!(verify(&late), Err(Refusal::Expired { expires_at: end }), "{name}");
    }
}

#[test]
fn a_custom_policy_has_a_start_and_a_network() {
    let ask = Ask::new(&text("custom"), 1_577_836_799).from("10.0.0.9");
    assert_eq!(verify(&ask).unwrap().target, "/private-content/private.jpeg");
    assert_eq!(code(verify(&ask.clone().from("10.0.1.9"))), "token_out_of_scope");
    assert_eq!(code(verify(&ask.clone().from("::ffff:10.0.0.9"))), "granted");
    // 30 s of leeway at the start, none at the end.
    assert_eq!(code(verify(&Ask { now: 1_575_158_370, ..ask.clone() })), "granted");
    assert_eq!(code(verify(&Ask { now: 1_575_158_369, ..ask.clone() })), "token_not_yet_valid");
    let policy = Policy { lifetime_seconds_max: Some(3600), ..Policy::default() };
    let long = Ask { now: 1_577_000_000, policy, ..ask };
    assert_eq!(code(verify(&long)), "token_invalid");
}

#[test]
fn cookies_of_the_sdk_are_granted() {
    let mut ask = Ask::new("https://cdn.example.com/live/ch1/seg-1.m4s?CMCD=bl%3D1", 1_800_000_000);
    for (name, value) in vectors()["cookies"].as_object().unwrap() {
        ask = ask.cookie(name, value.as_str().unwrap());
    }
    let grant = verify(&ask).unwrap();
    assert_eq!(grant.target, "/live/ch1/seg-1.m4s");
    assert!(grant.cookies.contains(&"CloudFront-Signature".to_owned()));
    assert_eq!(code(verify(&ask.clone().target("/live/ch2/seg-1.m4s"))), "token_out_of_scope");
    let twice = ask.cookie("CloudFront-Key-Pair-Id", KEY_ID);
    assert_eq!(verify(&twice), Err(Refusal::Duplicate("CloudFront-Key-Pair-Id")));
}

/// RSA by PKCS #1 v1.5 signs alike each time, so our URLs are those of the SDK to the last byte.
#[test]
fn we_sign_as_the_sdk_does() {
    let url = "https://d111111abcdef8.cloudfront.net/private-content/private.jpeg";
    let request = SignRequest { sha1: true, ..SignRequest::new(url, 1_577_836_800) };
    let sign = |request: &SignRequest<'_>| scheme("cloudfront").sign(request, &rsa()).unwrap();
    assert_eq!(sign(&request).url, text("canned"));
    let with_query = SignRequest { url: "https://example.com/private.jpeg?foo=bar", ..request };
    assert_eq!(sign(&with_query).url, text("canned_query"));
    let custom = SignRequest {
        starts_at: Some(1_575_158_400),
        client: Some("10.0.0.0/24".parse().unwrap()),
        ..request
    };
    assert_eq!(sign(&custom).url, text("custom"));
    let wild = SignRequest {
        url: "https://cdn.example.com/live/ch1/master.m3u8",
        space: SignedSpace::Prefix("https://cdn.example.com/live/ch1/"),
        expires_at: 1_893_456_000,
        ..request
    };
    assert_eq!(sign(&wild).url, text("policy_wild"));
    let mut cookies = sign(&SignRequest { carrier: Carrier::Cookie, ..wild }).cookies;
    cookies.sort();
    let mut expected: Vec<(String, String)> =
        serde_json::from_value::<std::collections::BTreeMap<_, _>>(vectors()["cookies"].clone())
            .unwrap()
            .into_iter()
            .collect();
    expected.sort();
    assert_eq!(cookies, expected);
    let sha256 = SignRequest::new("https://cdn.example.com/a.m3u8", 1_893_456_000);
    assert_eq!(sign(&sha256).url, text("sha256"));
}

#[test]
fn elliptic_urls_and_cookies_of_the_sdk_are_granted_with_both_hashes() {
    let keys = keys_of(&signing_key_file("k", text("ecdsa_private_key_pem").as_bytes()).unwrap());
    for name in ["ecdsa_sha1", "ecdsa_sha256"] {
        let grant = Ask::new(&text(name), 0).verify(&scheme("cloudfront"), &keys).unwrap();
        assert_eq!(grant.target, "/vod/a.m3u8?x=1", "{name}");
    }
    let mut ask = Ask::new("https://cdn.example.com/vod/b/1.m4s", 0);
    for (name, value) in vectors()["ecdsa_cookies_sha256"].as_object().unwrap() {
        ask = ask.cookie(name, value.as_str().unwrap());
    }
    assert_eq!(code(ask.verify(&scheme("cloudfront"), &keys)), "granted");
    let elsewhere = ask.from("203.0.114.7").verify(&scheme("cloudfront"), &keys);
    assert_eq!(code(elsewhere), "token_out_of_scope");
}

#[test]
fn elliptic_keys_sign_with_both_hashes() {
    let key = signing_key_file("K", super::uri_signing::SIGNING_JWK.as_bytes()).unwrap();
    for sha1 in [true, false] {
        let request = SignRequest { sha1, ..SignRequest::new("https://h/a", 100) };
        let signed = scheme("cloudfront").sign(&request, &key).unwrap();
        let ask = Ask::signed(&signed, 99);
        assert_eq!(code(ask.verify(&scheme("cloudfront"), &keys_of(&key))), "granted");
        // The other hash is another signature.
        let other = match sha1 {
            true => format!("{}&Hash-Algorithm=SHA256", ask.target),
            false => ask.target.replace("&Hash-Algorithm=SHA256", ""),
        };
        let verdict = ask.target(&other).verify(&scheme("cloudfront"), &keys_of(&key));
        assert_eq!(verdict, Err(Refusal::Signature));
    }
}

#[test]
fn parameters_may_stand_in_any_order_but_only_once() {
    let canned = text("canned_query");
    let (base, query) = canned.split_once('?').unwrap();
    let mut pieces: Vec<_> = query.split('&').collect();
    pieces.reverse();
    let ask = Ask::new(&format!("{base}?{}", pieces.join("&")), 1_577_836_799);
    assert_eq!(code(verify(&ask)), "granted");
    for piece in &pieces[..3] {
        let twice = ask.clone().target(&format!("{}&{piece}", ask.target));
        assert!(matches!(verify(&twice), Err(Refusal::Duplicate(_))));
    }
    let more = ask.clone().target(&format!("{}&foo=baz", ask.target));
    assert_eq!(verify(&more), Err(Refusal::Signature));
    let cmcd = ask.clone().target(&format!("{}&CMCD=bl%3D21300", ask.target));
    assert_eq!(verify(&cmcd).unwrap().target, "/private.jpeg?foo=bar");
}

#[test]
fn sha1_can_be_turned_off() {
    let strict = Scheme::CloudFront(CloudFrontOptions { sha1: false });
    assert_eq!(code(Ask::new(&text("canned"), 0).verify(&strict, &keys())), "token_invalid");
    assert_eq!(code(Ask::new(&text("sha256"), 0).verify(&strict, &keys())), "granted");
}

/// A signed policy with something more in it than we know opens nothing.
#[test]
fn policies_are_read_strictly() {
    let key = SigningKey::private(KEY_ID, &pem_body(&text("private_key_pem"))).unwrap();
    let before = r#""DateLessThan":{"AWS:EpochTime":100}"#;
    for (policy, expected) in [
        (
            format!(r#"{{"Statement":[{{"Resource":"https://h/*","Condition":{{{before}}}}}]}}"#),
            "granted",
        ),
        (
            format!(r#"{{"Statement":[{{"Resource":"http*://h/?","Condition":{{{before}}}}}]}}"#),
            "granted",
        ),
        (
            format!(
                r#"{{"Statement":[{{"Resource":"*","Condition":{{{before},"StringLike":{{}}}}}}]}}"#
            ),
            "token_invalid",
        ),
        (
            format!(r#"{{"Statement":[{{"Resource":"*","Condition":{{{before},{before}}}}}]}}"#),
            "token_invalid",
        ),
        (
            format!(
                r#"{{"Statement":[{{"Resource":"*","Condition":{{{before}}}}},{{"Resource":"*","Condition":{{{before}}}}}]}}"#
            ),
            "token_invalid",
        ),
        (r#"{"Statement":[{"Resource":"*","Condition":{}}]}"#.to_owned(), "token_invalid"),
        (r#"{"Statement":[]}"#.to_owned(), "token_invalid"),
        ("[".repeat(2000), "token_invalid"),
        (
            format!(
                r#"{{"Statement":[{{"Resource":"{}","Condition":{{{before}}}}}]}}"#,
                "*a".repeat(17)
            ),
            "token_invalid",
        ),
    ] {
        let signature = key.sign(Algorithm::RsaSha256, policy.as_bytes()).unwrap();
        let query = format!(
            "Policy={}&Key-Pair-Id={KEY_ID}&Signature={}&Hash-Algorithm=SHA256",
            crate::cdn::base64::encode_cloudfront(policy.as_bytes()),
            crate::cdn::base64::encode_cloudfront(&signature),
        );
        assert_eq!(
            code(verify(&Ask::new(&format!("https://h/a?{query}"), 99))),
            expected,
            "{policy}"
        );
    }
}

fn pem_body(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    crate::cdn::base64::decode_standard(&body).unwrap()
}
