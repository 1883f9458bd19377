//! Signed URLs: request targets and the tokens in front of them.

use edge::target::{SignedTarget, Target, same_authority};
use origin::ManifestQuery;
use platform::url_token::{Keyring, Refusal, SigningKey};

/// Request targets: the canonical form is its own, hides no token, and means to the origin what
/// was written.
pub fn target(data: &[u8]) {
    let Ok(raw) = std::str::from_utf8(data) else {
        return;
    };
    if let Some((one, other)) = raw.split_once('\n') {
        assert_eq!(same_authority(one, other), same_authority(other, one));
    }
    let Ok(signed) = SignedTarget::parse(raw) else {
        return;
    };
    let key = signed.target.key();
    assert_eq!(Target::parse(&key).as_ref(), Ok(&signed.target));
    assert!(key.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\\"<>#".contains(&byte)));
    let path = signed.target.path();
    assert!(path.starts_with('/') && !path.starts_with("/~") && !path.contains("//"));
    assert!(!path.split('/').any(|part| matches!(part, "." | "..")));
    assert!(key.parse::<http::uri::PathAndQuery>().is_ok());
    if signed.target.is_manifest() {
        // What is dropped of a query changes no answer.
        let query = |text: &str| {
            ManifestQuery::parse(text.split_once('?').map_or("", |(_, query)| query))
                .map_err(|error| error.to_string())
        };
        assert_eq!(query(&key).ok(), query(raw).ok(), "{key}");
    }
}

const NOW: u64 = 1_800_000_000;

/// Tokens: one that is accepted is what signing its grant writes.
pub fn url_token(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let key = SigningKey::hmac("k1", b"not a secret: it is in the tests").expect("a good key");
    let ring = Keyring::new(vec![key], None).expect("one key");
    match ring.verify(text, NOW) {
        Ok(grant) => assert_eq!(ring.sign(&grant, None, NOW).as_deref(), Ok(text)),
        Err(Refusal::Revoked | Refusal::Prefix | Refusal::Class | Refusal::Address) => {
            unreachable!("a keyring knows no request")
        }
        Err(_) => {}
    }
}
