//! Key files of every kind, and files that are none.

use super::*;

const ED25519_PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
const ED25519_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";

/// RFC 8410 10.3 and 10.1.
#[test]
fn pem_of_ed25519() {
    let key = signing_key_file("k", ED25519_PEM.as_bytes()).unwrap();
    let public = verifying_key_file("k", ED25519_PUBLIC.as_bytes()).unwrap();
    let signed = scheme("media-cdn").sign(&SignRequest::new("https://h/a", 9), &key).unwrap();
    assert_eq!(
        code(Ask::signed(&signed, 0).verify(&scheme("media-cdn"), &KeySet::new(vec![public]))),
        "granted"
    );
}

#[test]
fn files_that_are_no_keys_say_why() {
    let message = |file: &str| verifying_key_file("k", file.as_bytes()).unwrap_err().to_string();
    for (file, part) in [
        (ED25519_PEM, "holds a private key, but its public half"),
        (super::uri_signing::SIGNING_JWK, "holds a private key"),
        ("hello", "neither PEM"),
        ("", "shorter"),
        ("0a0b", "2 bytes is too short"),
        ("{", "no JSON Web Key"),
        (r#"{"kty":"RSA","n":"AA","e":"AQAB"}"#, "give RSA keys as PEM"),
        (r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#, "missing or damaged"),
        ("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----", "another kind"),
        (
            "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----",
            "no public key that can be read",
        ),
        ("-----BEGIN PUBLIC KEY-----\nAA==\n", "no end"),
        ("-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----", "no base64"),
    ] {
        let found = message(file);
        assert!(
            found.contains(part) || (file.is_empty() && found.contains("too short")),
            "{file}: {found}"
        );
    }
    assert!(message(&"a".repeat(KEY_FILE_BYTES_MAX + 1)).contains("at most"));
    let wrong = signing_key_file("k", ED25519_PUBLIC.as_bytes()).unwrap_err();
    assert!(wrong.to_string().contains("to sign"));
    // A private number that is damaged doesn't make a public key.
    let damaged = super::uri_signing::SIGNING_JWK.replace(r#""d":"y"#, r#""d":"!"#);
    assert!(message(&damaged).contains("damaged"));
}

#[test]
fn one_call_is_all_that_a_command_line_needs() {
    let request = SignRequest::new("https://h/a", 100);
    let signed =
        sign_with_key_file("akamai", "k", b"00112233445566778899aabbccddeeff\n", &request).unwrap();
    assert!(signed.url.starts_with("https://h/a?hdnts=exp=100~hmac="));
    let wrong =
        sign_with_key_file("cloudfront", "k", b"00112233445566778899", &request).unwrap_err();
    assert!(wrong.to_string().contains("can't sign with RSA"), "{wrong}");
    let relative = SignRequest::new("/a", 100);
    let wrong = sign_with_key_file("akamai", "k", b"00112233445566778899", &relative).unwrap_err();
    assert!(wrong.to_string().contains("not absolute"), "{wrong}");
    // Neither keys nor secrets show in what is logged.
    let key = signing_key_file("k", b"00112233445566778899").unwrap();
    assert_eq!(format!("{key:?}"), r#"SigningKey { id: "k", .. }"#);
    assert_eq!(format!("{:?}", key.verifying().unwrap()), r#"VerifyingKey { id: "k", .. }"#);
}
