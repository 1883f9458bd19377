//! Akamai, by tokens of the official `akamai-edgeauth` 0.3.2.

use super::*;

const KEY: &str = "52a152a152a152a152a152a152a1";

fn key() -> SigningKey {
    signing_key_file("edge", KEY.as_bytes()).unwrap()
}

fn options() -> AkamaiOptions {
    AkamaiOptions::default()
}

const TIMES: [(&str, &str); 2] = [("st", "1700000000"), ("exp", "1700003600")];

#[test]
fn tokens_are_those_of_the_official_library() {
    let url = "/live/ch1/master.m3u8?x=1 2";
    let escaping = AkamaiOptions { escape_early: true, ..options() };
    let salted = AkamaiOptions { salt: Some("pepper".to_owned()), ..options() };
    let acl = [TIMES[0], TIMES[1], ("acl", "/live/ch1/*!/vod/*")];
    let all = [("ip", "203.0.113.7"), ("exp", "1700003600"), ("id", "s-1"), ("data", "p~1")];
    for (options, fields, url, expected) in [
        (
            options(),
            TIMES.as_slice(),
            Some(url),
            "st=1700000000~exp=1700003600~hmac=73f396be41e0338b02b1527e5ca3b1f482e74fecbf289192560572ea9e1eed44",
        ),
        (
            escaping,
            &TIMES,
            Some(url),
            "st=1700000000~exp=1700003600~hmac=ad41abec13bfa38f0c75b10ec7046a22575923bf278ffefa3b453b2ee36fd2e2",
        ),
        (
            options(),
            &acl,
            None,
            "st=1700000000~exp=1700003600~acl=/live/ch1/*!/vod/*~hmac=094c2f18299d313fdf2abdaba9f7f8133f8b8aacfccdf2c84372cc00590e1b0c",
        ),
        (
            salted,
            &all,
            Some("/a.m3u8"),
            "ip=203.0.113.7~exp=1700003600~id=s-1~data=p~1~hmac=71417a91d4cab33c86bb068e0a8b6d8007343c9f8f9542d041e18c13885fabeb",
        ),
    ] {
        let token = options.token(fields, url, Algorithm::HmacSha256, &key()).unwrap();
        assert_eq!(token, expected);
    }
}

const ACL_TOKEN: &str = "st=1700000000~exp=1700003600~acl=/live/ch1/*!/vod/*~hmac=094c2f18299d313fdf2abdaba9f7f8133f8b8aacfccdf2c84372cc00590e1b0c";

#[test]
fn a_list_of_paths_opens_them_and_no_others() {
    let keys = keys_of(&key());
    for (path, expected) in [
        ("/live/ch1/master.m3u8", "granted"),
        ("/live/ch1/", "granted"),
        ("/vod/a/b/c.m4s", "granted"),
        ("/live/ch1", "token_out_of_scope"),
        ("/live/ch10/master.m3u8", "token_out_of_scope"),
        ("/ssai/vod/a", "token_out_of_scope"),
    ] {
        let ask = Ask::new(&format!("https://h{path}?q=1&hdnts={ACL_TOKEN}&CMCD=x"), 1_700_000_000);
        assert_eq!(code(ask.verify(&scheme("akamai"), &keys)), expected, "{path}");
    }
    let ask = Ask::new("https://h/vod/a?q=1", 1_700_003_599);
    let in_query = ask.clone().target(&format!("/vod/a?q=1&hdnts={ACL_TOKEN}"));
    let in_cookie = ask.cookie("hdntl", ACL_TOKEN);
    for (ask, cookies) in [(in_query, 0), (in_cookie, 2)] {
        let grant = ask.verify(&scheme("akamai"), &keys).unwrap();
        assert_eq!((grant.target.as_str(), grant.cookies.len()), ("/vod/a?q=1", cookies));
        assert_eq!((grant.key_id.as_str(), grant.expires_at), ("edge", 1_700_003_600));
        let late = Ask { now: 1_700_003_600, ..ask.clone() };
        assert_eq!(code(late.verify(&scheme("akamai"), &keys)), "token_expired");
        let early = Ask { now: 1_699_999_969, ..ask };
        assert_eq!(code(early.verify(&scheme("akamai"), &keys)), "token_not_yet_valid");
    }
}

#[test]
fn an_id_may_hold_what_separates() {
    let salted = Scheme::Akamai(AkamaiOptions { salt: Some("pepper".to_owned()), ..options() });
    let token = "ip=203.0.113.7~exp=1700003600~id=s-1~data=p~1~hmac=71417a91d4cab33c86bb068e0a8b6d8007343c9f8f9542d041e18c13885fabeb";
    let ask = Ask::new(&format!("https://h/a.m3u8?__token__={token}"), 0);
    let grant = ask.verify(&salted, &keys_of(&key())).unwrap();
    assert_eq!(grant.token_id.as_deref(), Some("s-1"));
    assert_eq!(grant.target, "/a.m3u8");
    let elsewhere = ask.clone().from("203.0.113.8").verify(&salted, &keys_of(&key()));
    assert_eq!(code(elsewhere), "token_out_of_scope");
    let other = ask.clone().target(&ask.target.replace("/a.m3u8", "/b.m3u8"));
    assert_eq!(other.verify(&salted, &keys_of(&key())), Err(Refusal::Signature));
    // Without the salt it is another token.
    assert_eq!(ask.verify(&scheme("akamai"), &keys_of(&key())), Err(Refusal::Signature));
    let with_tilde = [("exp", "100"), ("id", "a~b=c~exp=9")];
    let token = options().token(&with_tilde, Some("/a"), Algorithm::HmacSha256, &key()).unwrap();
    let ask = Ask::new(&format!("https://h/a?hdnts={token}"), 99);
    let grant = ask.verify(&scheme("akamai"), &keys_of(&key())).unwrap();
    assert_eq!((grant.token_id.as_deref(), grant.expires_at), (Some("a~b=c~exp=9"), 100));
}

#[test]
fn a_url_token_covers_the_query_it_was_made_for_or_any() {
    let keys = keys_of(&key());
    for (url, target, expected) in [
        ("/a?x=1", "/a?x=1", "granted"),
        ("/a?x=1", "/a?x=2", "token_invalid"),
        ("/a?x=1", "/a", "token_invalid"),
        ("/a", "/a?x=2", "granted"),
        ("/a", "/b", "token_invalid"),
    ] {
        let token =
            options().token(&[("exp", "100")], Some(url), Algorithm::HmacSha256, &key()).unwrap();
        let separator = if target.contains('?') { '&' } else { '?' };
        let ask = Ask::new(&format!("https://h{target}{separator}hdnts={token}"), 0);
        assert_eq!(code(ask.verify(&scheme("akamai"), &keys)), expected, "{url} {target}");
    }
}

#[test]
fn old_hashes_are_off() {
    let legacy = Scheme::Akamai(AkamaiOptions { sha1: true, ..options() });
    let request = SignRequest { sha1: true, ..SignRequest::new("https://h/a", 100) };
    let signed = legacy.sign(&request, &key()).unwrap();
    assert_eq!(code(Ask::signed(&signed, 0).verify(&legacy, &keys_of(&key()))), "granted");
    assert_eq!(
        code(Ask::signed(&signed, 0).verify(&scheme("akamai"), &keys_of(&key()))),
        "token_invalid"
    );
    let md5 = Ask::new(&format!("https://h/a?hdnts=exp=100~hmac={}", "0".repeat(32)), 0);
    let verdict = md5.verify(&legacy, &keys_of(&key())).unwrap_err();
    assert_eq!(verdict.to_string(), "hmac is MD5");
}

#[test]
fn escaping_goes_both_ways() {
    let escaping = Scheme::Akamai(AkamaiOptions {
        escape_early: true,
        header: Some(HeaderName::from_static("x-token")),
        ..options()
    });
    let request = SignRequest {
        space: SignedSpace::Prefix("https://h/live/"),
        client: Some("2001:db8::7".parse().unwrap()),
        token_id: Some("a/b c"),
        carrier: Carrier::Header,
        ..SignRequest::new("https://h/live/a.m3u8?x=1", 100)
    };
    let signed = escaping.sign(&request, &key()).unwrap();
    let token = &signed.headers[0].1;
    assert!(
        token.starts_with("ip=2001%3adb8%3a%3a7~exp=100~acl=%2flive%2f%2a~id=a%2fb+c~hmac="),
        "{token}"
    );
    let grant =
        Ask::signed(&signed, 0).from("2001:db8::7").verify(&escaping, &keys_of(&key())).unwrap();
    assert_eq!(grant.token_id.as_deref(), Some("a/b c"));
    assert_eq!(grant.headers, ["x-token"]);
    let elsewhere = Ask::signed(&signed, 0).from("2001:db8::8").verify(&escaping, &keys_of(&key()));
    assert_eq!(code(elsewhere), "token_out_of_scope");
}

#[test]
fn malformed_tokens_are_told_apart_in_the_log_alone() {
    let mac = "0".repeat(64);
    for (token, message) in [
        ("exp=100", "the token has no hmac"),
        (&format!("acl=/*~exp=100~hmac={mac}"), "the token has fields out of order"),
        (&format!("exp=100~exp=200~hmac={mac}"), "the token has fields out of order"),
        (&format!("exp=100~what=1~hmac={mac}"), "the token has fields out of order"),
        (&format!("exp=100~hmac={}", "A".repeat(64)), "hmac is not hexadecimal"),
        ("exp=100~hmac=00", "hmac has a wrong length"),
    ] {
        let ask = Ask::new(&format!("https://h/a?hdnts={token}"), 0);
        let refusal = ask.verify(&scheme("akamai"), &keys_of(&key())).unwrap_err();
        assert_eq!((refusal.to_string().as_str(), refusal.code()), (message, "token_invalid"));
    }
    let without_end =
        options().token(&[("st", "1")], Some("/a"), Algorithm::HmacSha256, &key()).unwrap();
    let ask = Ask::new(&format!("https://h/a?hdnts={without_end}"), 5);
    assert_eq!(code(ask.verify(&scheme("akamai"), &keys_of(&key()))), "token_invalid");
    let twice = Ask::new("https://h/a?hdnts=1&__token__=1", 0);
    assert!(matches!(
        twice.verify(&scheme("akamai"), &KeySet::default()),
        Err(Refusal::Duplicate(_))
    ));
}
