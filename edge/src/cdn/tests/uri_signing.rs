//! RFC 9246, by its Appendix A.

use serde_json::Value;

use super::*;
use crate::cdn::base64;

/// Keys of Appendix A.
const JWK: &str = r#"{"kty":"EC","kid":"P5UpOv0eMq1wcxLf7WxIg09JdSYGYFDOWkldueaImf0","use":"sig",
    "crv":"P-256","x":"be807S4O7dzB6I4hTiCUvmxCI6FuxWba1xYBlLSSsZ8",
    "y":"rOGC4vI69g-WF9AGEVI37sNNwbjIzBxSjLvIL7f3RBA"}"#;
pub(super) const SIGNING_JWK: &str = r#"{"kty":"EC","kid":"P5UpOv0eMq1wcxLf7WxIg09JdSYGYFDOWkldueaImf0",
    "use":"sig","crv":"P-256","x":"be807S4O7dzB6I4hTiCUvmxCI6FuxWba1xYBlLSSsZ8",
    "y":"rOGC4vI69g-WF9AGEVI37sNNwbjIzBxSjLvIL7f3RBA",
    "d":"yaowezrCLTU6yIwUL5RQw67cHgvZeMTLVZXjUGb1A1M"}"#;
const ENCRYPTING_JWK: &str = r#"{"kty":"oct","kid":"f-WbjxBC3dPuI3d24kP2hfvos7Qz688UTi6aB0hN998",
    "use":"enc","alg":"A128GCM","k":"4uFxxV7fhNmrtiah2d1fFg"}"#;
const END: u64 = 1_646_867_369;

fn vector(number: u8) -> String {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/rfc9246.json")).unwrap();
    vectors[format!("rfc9246_{number}")].as_str().unwrap().to_owned()
}

fn keys() -> KeySet {
    let key = verifying_key_file("", JWK.as_bytes()).unwrap();
    let (id, secret) = decrypting_key_file("", ENCRYPTING_JWK.as_bytes()).unwrap();
    KeySet::new(vec![key]).decrypting_with(&id, secret)
}

fn signing() -> SigningKey {
    signing_key_file("", SIGNING_JWK.as_bytes()).unwrap()
}

fn with_audience() -> Scheme {
    Scheme::UriSigning(UriSigningOptions {
        issuer: Some("uCDN Inc".to_owned()),
        audience: Some("dCDN LLC".to_owned()),
    })
}

/// A.1: the hash of one URI.
#[test]
fn a_hash_opens_one_uri() {
    let token = vector(0);
    for (target, expected) in [
        (format!("/foo/bar?URISigningPackage={token}"), "granted"),
        (format!("/foo/bar?URISigningPackage={token}&CMCD=x"), "granted"),
        (format!("/foo/URISigningPackage={token}/bar"), "granted"),
        (format!("/foo/bar;URISigningPackage={token}"), "granted"),
        // Another spelling of the same URI.
        (format!("/foo/%62ar?URISigningPackage={token}"), "granted"),
        (format!("/foo/bar?a=1&URISigningPackage={token}"), "token_out_of_scope"),
        (format!("/foo/baz?URISigningPackage={token}"), "token_out_of_scope"),
        (format!("/foo/bar?URISigningPackage={token}&URISigningPackage={token}"), "token_invalid"),
    ] {
        let ask = Ask::new("http://CDNI.example:80/", END - 1).target(&target);
        assert_eq!(code(ask.verify(&with_audience(), &keys())), expected, "{target}");
    }
    let cookie =
        Ask::new("http://cdni.example/foo/bar", END - 1).cookie("URISigningPackage", &token);
    let grant = cookie.verify(&scheme("uri-signing"), &keys()).unwrap();
    assert_eq!((grant.target.as_str(), grant.cookies.len()), ("/foo/bar", 1));
    let late = Ask { now: END, ..cookie };
    assert_eq!(code(late.verify(&scheme("uri-signing"), &keys())), "token_expired");
}

/// A.2: an expression, an audience, a start, and an encrypted client address, `[2001:db8::1/32]`.
#[test]
fn a_complex_token_is_checked_in_every_claim() {
    let url = format!("http://cdni.example/foo/bar/123.png?URISigningPackage={}", vector(1));
    let ask = Ask::new(&url, END - 1).from("2001:db8:7::1");
    let grant = ask.verify(&with_audience(), &keys()).unwrap();
    assert_eq!(grant.token_id.as_deref(), Some("5DAafLhZAfhsbe"));
    assert_eq!(grant.space, UrlSpace::ThisRequest);
    assert_eq!(
        code(ask.clone().from("2001:db9::1").verify(&with_audience(), &keys())),
        "token_out_of_scope"
    );
    assert_eq!(code(ask.verify(&scheme("uri-signing"), &keys())), "token_out_of_scope");
    let other = ask.clone().target(&ask.target.replace("123.png", "1234.png"));
    assert_eq!(code(other.verify(&with_audience(), &keys())), "token_out_of_scope");
    let longer = ask.clone().target(&ask.target.replace("123.png", "123.png.exe"));
    assert_eq!(code(longer.verify(&with_audience(), &keys())), "token_out_of_scope");
    let early = Ask { now: 1_646_780_000, ..ask.clone() };
    assert_eq!(code(early.verify(&with_audience(), &keys())), "token_not_yet_valid");
    // Who can't decrypt the address can't check it.
    let public = KeySet::new(vec![verifying_key_file("", JWK.as_bytes()).unwrap()]);
    assert_eq!(code(ask.verify(&with_audience(), &public)), "token_invalid");
}

/// A.3 and A.4: the second token is what the first is renewed to at its end.
#[test]
fn a_renewed_token_is_the_one_of_the_appendix() {
    let url = format!("http://cdni.example/foo/bar/123.ts?URISigningPackage={}", vector(2));
    let ask = Ask::new(&url, END - 1);
    assert_eq!(ask.verify(&scheme("uri-signing"), &keys()).unwrap().renewal, None);
    let keys = keys().renewing_with(signing());
    let Some(Renewal::Cookie(cookie)) = ask.verify(&scheme("uri-signing"), &keys).unwrap().renewal
    else {
        panic!("cdnistt is 1, which is a cookie");
    };
    let value = cookie.strip_prefix("URISigningPackage=").unwrap();
    let (token, attributes) = value.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/foo/bar; Max-Age=30; HttpOnly");
    let decode = |token: &str| {
        let parts: Vec<_> =
            token.split('.').take(2).map(|part| base64::decode_url(part).unwrap()).collect();
        String::from_utf8(parts.join(&b'.')).unwrap()
    };
    // The appendix renews at its very end; a second earlier the new end is one earlier.
    let expected = decode(&vector(3)).replace("1646867399", "1646867398");
    assert_eq!(decode(token), expected);
    let next =
        Ask::new("http://cdni.example/foo/bar/124.ts", END).cookie("URISigningPackage", token);
    assert_eq!(code(next.verify(&scheme("uri-signing"), &keys)), "granted");
    // The appendix' own next token, too.
    let next = next
        .cookie("other", "1")
        .target(&format!("/foo/bar/124.ts?URISigningPackage={}", vector(3)));
    assert_eq!(code(next.verify(&scheme("uri-signing"), &keys)), "granted");
}

#[test]
fn renewal_in_the_url() {
    let request = SignRequest {
        space: SignedSpace::Prefix("https://h/a/"),
        renewal: Some(RenewalRequest { seconds: 30, before_end_seconds: None }),
        ..SignRequest::new("https://h/a/b.m3u8?q=1", 100)
    };
    let signed = scheme("uri-signing").sign(&request, &signing()).unwrap();
    let keys = keys().renewing_with(signing());
    let grant = Ask::signed(&signed, 90).verify(&scheme("uri-signing"), &keys).unwrap();
    assert_eq!(grant.target, "/a/b.m3u8?q=1");
    let Some(Renewal::Target(target)) = grant.renewal else {
        panic!("cdnistt is 2, which is the URL");
    };
    let next = Ask::new("https://h/", 119).target(&target);
    assert_eq!(code(next.verify(&scheme("uri-signing"), &keys)), "granted");
    assert_eq!(
        code(Ask { now: 120, ..next }.verify(&scheme("uri-signing"), &keys)),
        "token_expired"
    );
}

fn verdict_of(header: &str, claims: &str) -> &'static str {
    let signed = format!(
        "{}.{}",
        base64::encode_url(header.as_bytes()),
        base64::encode_url(claims.as_bytes())
    );
    let signature = signing().sign(Algorithm::EcdsaP256Sha256Fixed, signed.as_bytes()).unwrap();
    let url = format!("http://h/a?URISigningPackage={signed}.{}", base64::encode_url(&signature));
    code(Ask::new(&url, 99).verify(&scheme("uri-signing"), &keys()))
}

#[test]
fn what_is_not_understood_is_refused() {
    let header = r#"{"alg":"ES256","kid":"P5UpOv0eMq1wcxLf7WxIg09JdSYGYFDOWkldueaImf0"}"#;
    for (claims, expected) in [
        (r#"{"exp":100,"cdniuc":"regex:.*"}"#, "granted"),
        (r#"{"exp":100.5,"cdniuc":"regex:.*","private":{"a":[1]}}"#, "granted"),
        (r#"{"exp":100,"cdniuc":"regex:.*","cdniv":1,"cdnicrit":"exp,cdniuc"}"#, "granted"),
        (r#"{"exp":100,"cdniuc":"regex:.*","cdnicrit":"exp,new"}"#, "token_invalid"),
        (r#"{"exp":100,"cdniuc":"regex:.*","cdniv":2}"#, "token_invalid"),
        (r#"{"exp":100}"#, "token_invalid"),
        (r#"{"cdniuc":"regex:.*"}"#, "token_invalid"),
        (r#"{"exp":100,"exp":900,"cdniuc":"regex:.*"}"#, "token_invalid"),
        (r#"{"exp":"100","cdniuc":"regex:.*"}"#, "token_invalid"),
        (r#"{"exp":-1,"cdniuc":"regex:.*"}"#, "token_invalid"),
        (r#"{"exp":1e300,"cdniuc":"regex:.*"}"#, "token_invalid"),
        (r#"{"exp":100,"cdniuc":"uri-pattern:*"}"#, "token_invalid"),
        (r#"{"exp":100,"cdniuc":"hash:md5;AAAA"}"#, "token_invalid"),
        (r#"{"exp":100,"cdniuc":"regex:(a{90}){90}{90}"}"#, "token_invalid"),
        (r#"{"exp":100,"cdniuc":"regex:.*","cdniets":30}"#, "token_invalid"),
        (r#"{"exp":100,"cdniuc":"regex:.*","cdniets":30,"cdnistt":3}"#, "token_invalid"),
        (
            r#"{"exp":100,"cdniuc":"regex:.*","cdniets":30,"cdnistt":1,"cdnistd":-1}"#,
            "token_invalid",
        ),
        (r#"{"exp":100,"cdniuc":"regex:.*","cdniip":"203.0.113.0/24"}"#, "granted"),
        (r#"{"exp":100,"cdniuc":"regex:.*","cdniip":"203.0.114.0/24"}"#, "token_out_of_scope"),
        (r#"{"exp":100,"cdniuc":"regex:.*","aud":["x"]}"#, "token_out_of_scope"),
        ("[]", "token_invalid"),
    ] {
        assert_eq!(verdict_of(header, claims), expected, "{claims}");
    }
    for header in [
        r#"{"alg":"none","kid":"P5UpOv0eMq1wcxLf7WxIg09JdSYGYFDOWkldueaImf0"}"#,
        r#"{"alg":"HS256","kid":"P5UpOv0eMq1wcxLf7WxIg09JdSYGYFDOWkldueaImf0"}"#,
        r#"{"alg":"ES256","kid":"other"}"#,
        r#"{"alg":"ES256","kid":"P5UpOv0eMq1wcxLf7WxIg09JdSYGYFDOWkldueaImf0","crit":["b64"],"b64":false}"#,
        r#"{"alg":"ES256","alg":"ES256"}"#,
        "{}",
    ] {
        assert_eq!(
            verdict_of(header, r#"{"exp":100,"cdniuc":"regex:.*"}"#),
            "token_invalid",
            "{header}"
        );
    }
    // Without a key id each key is tried.
    assert_eq!(verdict_of(r#"{"alg":"ES256"}"#, r#"{"exp":100,"cdniuc":"regex:.*"}"#), "granted");
}

/// The public key is public, so nobody may use it as a secret.
#[test]
fn a_public_key_is_no_secret() {
    let point = [
        &[4],
        base64::decode_url("be807S4O7dzB6I4hTiCUvmxCI6FuxWba1xYBlLSSsZ8").unwrap().as_slice(),
        &base64::decode_url("rOGC4vI69g-WF9AGEVI37sNNwbjIzBxSjLvIL7f3RBA").unwrap(),
    ]
    .concat();
    let forger = SigningKey::secret("P5UpOv0eMq1wcxLf7WxIg09JdSYGYFDOWkldueaImf0", &point);
    let signed =
        scheme("uri-signing").sign(&SignRequest::new("https://h/a", 100), &forger).unwrap();
    let verdict = Ask::signed(&signed, 0).verify(&scheme("uri-signing"), &keys());
    assert!(matches!(verdict, Err(Refusal::WrongAlgorithm { .. })), "{verdict:?}");
}

/// The secret of Traffic Server's own test, `SECRET00`, which it reads as base64.
#[test]
fn secrets_are_written_as_in_traffic_server() {
    let jwk = r#"{"kty":"oct","kid":"0","alg":"HS256","k":"SECRET00"}"#;
    let refusal = signing_key_file("", jwk.as_bytes()).unwrap_err();
    assert_eq!(refusal, KeyError::ShortSecret { len: 6, min: 8 });
    let key = SigningKey::secret("0", &base64::decode_url("SECRET00").unwrap());
    let request = SignRequest {
        space: SignedSpace::Pattern("http://*.somehost.com/*"),
        issuer: Some("issuer"),
        ..SignRequest::new("http://www.somehost.com/someasset.ts", 100)
    };
    for carrier in [Carrier::Query, Carrier::Path, Carrier::Cookie] {
        let signed = scheme("uri-signing").sign(&SignRequest { carrier, ..request }, &key).unwrap();
        let grant = Ask::signed(&signed, 0).verify(&scheme("uri-signing"), &keys_of(&key)).unwrap();
        assert_eq!(grant.target, "/someasset.ts");
    }
}
