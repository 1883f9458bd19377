//! Signed URLs: request targets and the tokens in front of them.

use std::sync::Arc;

use edge::target::{SignedTarget, Target, same_authority};
use origin::ManifestQuery;
use platform::keyring::material::Material;
use platform::keyring::purpose::Algorithm;
use platform::keyring::{Key, PublicKey, Purpose, Ring};
use platform::token::{Claims, KeySource, Refusal as TokenRefusal, Verifier, Withdrawn, jws};
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

/// A ring as a source of keys.
struct OneRing(Ring);

impl KeySource for OneRing {
    fn find(&self, id: &str, now_ms: i64) -> Option<Arc<PublicKey>> {
        self.0.find(id, now_ms)?.public().cloned()
    }
}

/// Access tokens: one that is accepted is no attacker's. The input is a token as it stands, and,
/// behind a line end, a header and claims that a good key signs, so that what lies behind the
/// signature is reached.
pub fn access_token(data: &[u8]) {
    const ISSUER: &str = "https://api.example.org";
    let now_ms = 1_000 * i64::try_from(NOW).expect("a time of this century");
    let material = Material::read(Algorithm::EdDsa, &[7; 32]).expect("a good seed");
    let key = Key::new(Purpose::AccessTokens, Algorithm::EdDsa, material, (now_ms, now_ms));
    let ring = Ring::new(Purpose::AccessTokens, key.expect("a good key"));
    let standing = Arc::new(Withdrawn::default());
    let verifier = Verifier::new(ISSUER, Arc::new(OneRing(ring.clone())), standing);
    let verify = |token: &str| -> Result<Arc<Claims>, TokenRefusal> {
        let first = verifier.verify(token, "viewer", now_ms);
        assert_eq!(first, verifier.verify(token, "viewer", now_ms), "remembered or not");
        first
    };
    let mut lines = data.splitn(3, |byte| *byte == b'\n');
    if let Some(Ok(token)) = lines.next().map(std::str::from_utf8) {
        assert!(verify(token).is_err(), "nobody has the key");
    }
    let (Some(header), Some(claims)) = (lines.next(), lines.next()) else { return };
    // The id of the key does not have to be guessed.
    let kid = ring.keys()[0].id();
    let header = String::from_utf8_lossy(header).replace("KID", kid);
    let input = jws::signing_input(header.as_bytes(), claims);
    let signature = ring.keys()[0].material().and_then(|material| material.sign(input.as_bytes()));
    let token = jws::compact(input, &signature.expect("it signs"));
    if let Ok(claims) = verify(&token) {
        assert_eq!(claims.issuer, ISSUER);
        assert!(claims.audiences.iter().any(|audience| audience == "viewer"));
        let life = claims.expires_s - claims.issued_s;
        assert!(life <= 3_600 && now_ms / 1_000 < claims.expires_s + 30);
    }
}
