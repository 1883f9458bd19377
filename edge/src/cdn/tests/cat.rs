//! CTA-5007, by a token of `@eyevinn/cat` with the key of RFC 8392 A.2.2.

use serde_json::Value;

use super::*;
use crate::cdn::base64;

fn vector(name: &str) -> String {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/cat.json")).unwrap();
    vectors[name].as_str().unwrap().to_owned()
}

fn key() -> SigningKey {
    signing_key_file("Symmetric256", vector("key").as_bytes()).unwrap()
}

fn options() -> CatOptions {
    CatOptions {
        issuer: Some("eyevinn".to_owned()),
        audience: Some("one".to_owned()),
        ..CatOptions::default()
    }
}

const URL: &str = "https://cdn.example.com/live/ch1/a.m3u8";

#[test]
fn the_published_token_is_granted() {
    let scheme = Scheme::Cat(options());
    for ask in [
        Ask::new(URL, 1_700_000_000).header("CTA-Common-Access-Token", &vector("token")),
        Ask::new(&format!("{URL}?CAT={}&CMCD=x", vector("token")), 1_700_000_000),
        Ask::new(URL, 1_700_000_000).cookie("cta-common-access-token", &vector("token")),
    ] {
        let grant = ask.verify(&scheme, &keys_of(&key())).unwrap();
        assert_eq!(grant.target, "/live/ch1/a.m3u8");
        assert_eq!(grant.token_id.as_deref(), Some("0b71"));
        assert_eq!(
            grant.cookies.len() + grant.headers.len(),
            usize::from(!ask.target.contains("CAT="))
        );
        for (target, expected) in [
            ("/live/ch1/x/b.m3u8", "granted"),
            ("/live/ch1/b.mpd", "token_out_of_scope"),
            ("/live/ch2/b.m3u8", "token_out_of_scope"),
            // What the JavaScript library lets in.
            ("/live/ch1/..%2fch2/a.m3u8", "token_invalid"),
        ] {
            let target = ask.target.replace("/live/ch1/a.m3u8", target);
            assert_eq!(
                code(ask.clone().target(&target).verify(&scheme, &keys_of(&key()))),
                expected
            );
        }
        let plain = Ask { scheme: "http".to_owned(), ..ask.clone() };
        assert_eq!(code(plain.verify(&scheme, &keys_of(&key()))), "token_out_of_scope");
        let late = Ask { now: grant.expires_at, ..ask.clone() };
        assert_eq!(code(late.verify(&scheme, &keys_of(&key()))), "token_expired");
    }
}

#[test]
fn the_published_token_is_renewed_near_its_end() {
    let scheme = Scheme::Cat(options());
    let keys = keys_of(&key()).renewing_with(key());
    let ask = Ask::new(URL, 1_700_000_000).header("CTA-Common-Access-Token", &vector("token"));
    let grant = ask.verify(&scheme, &keys).unwrap();
    let end = grant.expires_at;
    assert_eq!(grant.renewal, None);
    // catr: by cookie, 120 s more, 60 s before the end.
    assert_eq!(Ask { now: end - 61, ..ask.clone() }.verify(&scheme, &keys).unwrap().renewal, None);
    let near = Ask { now: end - 60, ..ask };
    let Some(Renewal::Cookie(cookie)) = near.verify(&scheme, &keys).unwrap().renewal else {
        panic!("catr says a cookie");
    };
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    let (name, token) = pair.split_once('=').unwrap();
    assert_eq!((name, attributes), ("cta-common-access-token", "Path=/; Secure; HttpOnly"));
    let next = Ask::new(URL, end + 59).cookie(name, token);
    let grant = next.verify(&scheme, &keys).unwrap();
    assert_eq!((grant.expires_at, grant.token_id.as_deref()), (end + 60, Some("0b71")));
}

#[test]
fn the_published_token_can_be_signed_again() {
    use crate::cdn::cat::reencode;
    assert_eq!(reencode(&vector("token"), &key()), vector("token"));
}

/// Made by `@eyevinn/cat` 0.16.4: suffix, expression and part of components, methods, a header,
/// replay, renewal by header.
#[test]
fn a_token_with_many_rules_is_granted() {
    let scheme = Scheme::Cat(CatOptions { audience: None, ..options() });
    let keys = keys_of(&key()).renewing_with(key());
    let ask = Ask::new("https://cdn.example.com/live/ch7/seg-1.m4s", 1_893_456_000 - 120)
        .header("CTA-Common-Access-Token", &vector("token_rules"))
        .header("User-Agent", "Player/7");
    let grant = ask.verify(&scheme, &keys).unwrap();
    assert_eq!((grant.replay, grant.token_id.as_deref()), (Replay::Prohibited, Some("0b71")));
    let Some(Renewal::Header { name, value }) = grant.renewal else {
        panic!("catr says a header");
    };
    let next = Ask { now: ask.now + 299, headers: HeaderMap::new(), ..ask.clone() }
        .header(&name, &value)
        .header("User-Agent", "Player/7");
    assert_eq!(code(next.verify(&scheme, &keys)), "granted");
    for other in [
        Ask { authority: "cdn.example.org".to_owned(), ..ask.clone() },
        ask.clone().target("/live/chx/seg-1.m4s"),
        ask.clone().target("/live/ch7/init.mp4"),
        Ask { method: Method::OPTIONS, ..ask.clone() },
        ask.clone().header("User-Agent", "curl"),
    ] {
        assert_eq!(code(other.verify(&scheme, &keys)), "token_out_of_scope", "{}", other.target);
    }
}

/// A token with these claims as CBOR in hexadecimal, behind `exp` 100.
fn verdict_of(
    claims: &str,
    members: u8,
    change: impl FnOnce(Ask) -> Ask,
) -> Result<Grant, Refusal> {
    let payload = format!("{:02x}041864{claims}", 0xa1 + members);
    let payload = base64::decode_hex(&payload).unwrap();
    let token = crate::cdn::cat::sign_payload(&payload, &key());
    let ask = Ask::new("https://h.example/live/ch1/a.b.m3u8?q=1", 99)
        .header("CTA-Common-Access-Token", &token);
    change(ask).verify(&scheme("cat"), &keys_of(&key()))
}

#[track_caller]
fn check(claims: &str, members: u8, expected: &str) {
    assert_eq!(code(verdict_of(claims, members, |ask| ask)), expected, "{claims}");
}

/// `label: value` of a claim with a label of two bytes.
fn claim(label: u16, value: &str) -> String {
    format!("19{label:04x}{value}")
}

fn text(text: &str) -> String {
    assert!(text.len() < 24);
    format!("{:02x}{}", 0x60 + text.len(), base64::encode_hex(text.as_bytes()))
}

#[test]
fn components_of_the_uri_are_compared() {
    for (component, kind, value, is_inside) in [
        (0, "00", text("https"), true),
        (0, "00", text("http"), false),
        (1, "00", text("h.example"), true),
        (1, "02", text(".example"), true),
        (2, "00", text("443"), true),
        (3, "01", text("/live/ch1/"), true),
        (3, "01", text("/live/ch2/"), false),
        (3, "03", text("ch1"), true),
        (3, "04", text("/live/ch[0-9]/.*"), true),
        (3, "04", text("/live"), false),
        (3, "04", format!("81{}", text("/live/.*")), true),
        (4, "00", text("q=1"), true),
        (5, "00", text("/live/ch1"), true),
        (6, "00", text("a.b.m3u8"), true),
        (7, "00", text("a.b"), true),
        (8, "00", text(".m3u8"), true),
        (8, "00", text(".mpd"), false),
        // SHA-256 and SHA-512/256 of `https`.
        (0, "20", format!("5820{}", sha("https", &aws_lc_rs::digest::SHA256)), true),
        (0, "20", format!("5820{}", sha("http", &aws_lc_rs::digest::SHA256)), false),
        (0, "21", format!("5820{}", sha("https", &aws_lc_rs::digest::SHA512_256)), true),
    ] {
        let uri = claim(312, &format!("a1{component:02x}a1{kind}{value}"));
        check(&uri, 1, if is_inside { "granted" } else { "token_out_of_scope" });
    }
    for wrong in
        ["a109a10061", "80", "a100a0", "a10060", "a100a105606", "a100a1000a", "a100a10482606"]
    {
        let even = if wrong.len() % 2 == 1 { format!("{wrong}0") } else { wrong.to_owned() };
        assert_ne!(code(verdict_of(&claim(312, &even), 1, |ask| ask)), "granted", "{wrong}");
    }
}

fn sha(text: &str, algorithm: &'static aws_lc_rs::digest::Algorithm) -> String {
    base64::encode_hex(aws_lc_rs::digest::digest(algorithm, text.as_bytes()).as_ref())
}

#[test]
fn methods_headers_protocols_and_places_are_compared() {
    let methods = claim(313, &format!("82{}{}", text("GET"), text("HEAD")));
    check(&methods, 1, "granted");
    let post = verdict_of(&methods, 1, |ask| Ask { method: Method::POST, ..ask });
    assert_eq!(code(post), "token_out_of_scope");

    let headers = claim(315, &format!("a1{}a101{}", text("user-agent"), text("Player/")));
    check(&headers, 1, "token_out_of_scope");
    let player = |ask: Ask| ask.header("User-Agent", "Player/7");
    assert_eq!(code(verdict_of(&headers, 1, player)), "granted");
    let twice = |ask: Ask| ask.header("User-Agent", "Player/7").header("User-Agent", "x");
    assert_eq!(code(verdict_of(&headers, 1, twice)), "token_out_of_scope");

    let protocols = claim(314, "82426832426833");
    check(&protocols, 1, "token_out_of_scope");
    let h3 = |ask: Ask| Ask { alpn: Some(b"h3".to_vec()), ..ask };
    assert_eq!(code(verdict_of(&protocols, 1, h3)), "granted");

    let countries = claim(316, &format!("82{}{}", text("FR"), text("US")));
    check(&countries, 1, "token_out_of_scope");
    for (country, expected) in
        [("FR", "granted"), ("US-NY", "granted"), ("USX", "token_out_of_scope")]
    {
        let there = |ask: Ask| Ask { country: Some(country.to_owned()), ..ask };
        assert_eq!(code(verdict_of(&countries, 1, there)), expected, "{country}");
    }
}

/// RFC 9164: `54([44, h'20010db81230'])` and others.
#[test]
fn networks_are_compared() {
    for (networks, client, expected) in [
        ("81d83444cb007107", "203.0.113.7", "granted"),
        ("81d83444cb007107", "203.0.113.8", "token_out_of_scope"),
        ("81d83482181843cb0071", "203.0.113.200", "granted"),
        ("81d83482181843cb0071", "203.0.114.7", "token_out_of_scope"),
        ("81d83682182c4620010db81230", "2001:db8:1233::1", "granted"),
        ("81d83682182c4620010db81230", "2001:db8:1240::1", "token_out_of_scope"),
        ("8219fde8d83444cb007107", "203.0.113.7", "granted"),
        ("8119fde8", "203.0.113.7", "token_out_of_scope"),
        ("81d83443cb0071", "203.0.113.7", "token_invalid"),
        ("81d834821821450102030405", "203.0.113.7", "token_invalid"),
        ("8160", "203.0.113.7", "token_invalid"),
        ("80", "203.0.113.7", "token_out_of_scope"),
    ] {
        let verdict = verdict_of(&claim(311, networks), 1, |ask| ask.from(client));
        assert_eq!(code(verdict), expected, "{networks}");
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    check("", 0, "granted");
    // catv 2, catpor, cnf, a private claim, a claim with a name.
    for unknown in [
        claim(310, "02"),
        claim(309, "80"),
        "08a0".to_owned(),
        "3a00010000f5".to_owned(),
        "6161f5".to_owned(),
    ] {
        check(&unknown, 1, "token_invalid");
    }
    let lenient = Scheme::Cat(CatOptions { ignored: vec![309], ..CatOptions::default() });
    let payload = base64::decode_hex("a2041864190135 80".replace(' ', "").as_str()).unwrap();
    let token = crate::cdn::cat::sign_payload(&payload, &key());
    let ask = Ask::new("https://h/a", 99).header("CTA-Common-Access-Token", &token);
    assert_eq!(code(ask.verify(&lenient, &keys_of(&key()))), "granted");
    assert_eq!(code(ask.verify(&scheme("cat"), &keys_of(&key()))), "token_invalid");
    // The end twice; tag 1 around a date; a date as text.
    check("041865", 1, "token_invalid");
    check(&format!("05c1{}", "1860"), 1, "granted");
    check(&format!("05{}", text("1")), 1, "token_invalid");
    // An audience when we have no name.
    check(&format!("03{}", text("one")), 1, "token_out_of_scope");
}

#[test]
fn replay_is_handed_on_and_needs_an_id() {
    for (mode, expected) in
        [("00", Replay::Permitted), ("01", Replay::Prohibited), ("02", Replay::Detected)]
    {
        let claims = format!("07420b71{}", claim(308, mode));
        assert_eq!(verdict_of(&claims, 2, |ask| ask).unwrap().replay, expected);
    }
    check(&claim(308, "01"), 1, "token_invalid");
    check(&format!("07420b71{}", claim(308, "03")), 2, "token_invalid");
}

#[test]
fn every_kind_of_key_signs() {
    let p256 = signing_key_file("k", super::uri_signing::SIGNING_JWK.as_bytes()).unwrap();
    let ed25519 = SigningKey::ed25519_seed("k", &[9; 32]).unwrap();
    let vectors: Value = serde_json::from_str(include_str!("../vectors/cloudfront.json")).unwrap();
    let rsa =
        signing_key_file("k", vectors["private_key_pem"].as_str().unwrap().as_bytes()).unwrap();
    let secret = SigningKey::secret("k", &[3; 32]);
    for key in [&p256, &ed25519, &rsa, &secret] {
        let request = SignRequest {
            space: SignedSpace::Prefix("https://h:8443/a/"),
            client: Some("203.0.113.0/25".parse().unwrap()),
            token_id: Some("t"),
            starts_at: Some(10),
            renewal: Some(RenewalRequest { seconds: 60, before_end_seconds: Some(20) }),
            ..SignRequest::new("https://h:8443/a/b.m3u8", 100)
        };
        let signed = scheme("cat").sign(&request, key).unwrap();
        let ask = Ask::signed(&signed, 80);
        let grant =
            ask.verify(&scheme("cat"), &keys_of(key).renewing_with(key_again(key))).unwrap();
        assert_eq!((grant.target.as_str(), grant.token_id.as_deref()), ("/a/b.m3u8", Some("74")));
        assert_eq!(
            code(ask.clone().from("203.0.113.128").verify(&scheme("cat"), &keys_of(key))),
            "token_out_of_scope"
        );
        let Some(Renewal::Target(next)) = grant.renewal else {
            panic!("a token of a query is renewed by redirect");
        };
        let next = Ask { now: 130, ..ask.target(&next) };
        assert_eq!(code(next.verify(&scheme("cat"), &keys_of(&key_again(key)))), "granted");
    }
}

/// A key set takes its signing key; another of the same id stands in for it.
fn key_again(_: &SigningKey) -> SigningKey {
    SigningKey::secret("k", &[4; 32])
}

/// A token of the Python package `cwt` 3.3.0, which leaves the tag of a CWT out (RFC 8392 6).
#[test]
fn a_token_without_the_outer_tag_is_granted() {
    const TOKEN: &str = "0YRDoQEFoQRGcHl0aG9uWECmBBkH0AUZAfQGGQH0GQE2ARkBOKMAoQBlaHR0cHMBoQBrY2RuLmV4YW1wbGUDoQFqL3ZvZC9maWxtLwdDb25lWCD9VlCDq5XtzjR_ksWfvKf-PEL57IVDrXr1dFMWmucDmA";
    let secret: Vec<u8> = (0..32).collect();
    let keys = keys_of(&SigningKey::secret("python", &secret));
    let ask = |url: &str, token: &str| {
        let ask = Ask::new(&format!("https://cdn.example{url}?CAT={token}"), 1_000);
        code(ask.verify(&Scheme::Cat(CatOptions::default()), &keys))
    };
    assert_eq!(ask("/vod/film/a.m3u8", TOKEN), "granted");
    assert_eq!(ask("/vod/other/a.m3u8", TOKEN), "token_out_of_scope");
    // The tag of COSE says how to check, and stays.
    let bytes = base64::decode_url(TOKEN).unwrap();
    assert_eq!(ask("/vod/film/a.m3u8", &base64::encode_url(&bytes[1..])), "token_invalid");
    let twice = [&[0xd8, 61, 0xd8, 61], bytes.as_slice()].concat();
    assert_eq!(ask("/vod/film/a.m3u8", &base64::encode_url(&twice)), "token_invalid");
    let once = [&[0xd8, 61], bytes.as_slice()].concat();
    assert_eq!(ask("/vod/film/a.m3u8", &base64::encode_url(&once)), "granted");
}
