//! Vectors of the standards, what is said and read, and what is remembered.

use std::sync::{Mutex, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::keyring::material::Material;
use crate::keyring::purpose::Algorithm;
use crate::keyring::{How, Jwk, Key, Keys, PublicKey, Purpose, Ring, SealingKeys};
use std::sync::Arc;

mod attacks;

const NOW: i64 = 1_800_000_000_000;
const NOW_S: i64 = NOW / 1_000;
const ISSUER: &str = "https://api.example.org";

/// Rings that change while they are used.
#[derive(Clone)]
struct Rings(Arc<Mutex<Ring>>);

impl KeySource for Rings {
    fn find(&self, id: &str, now_ms: i64) -> Option<Arc<PublicKey>> {
        self.0.lock().unwrap().find(id, now_ms)?.public().cloned()
    }
}

/// The same key of RSA for all tests of a process: making one takes time.
fn rsa() -> Ring {
    static RING: OnceLock<Ring> = OnceLock::new();
    let make = || {
        let material = Material::generate(Algorithm::Rs256).unwrap();
        let first = Key::new(Purpose::AccessTokens, Algorithm::Rs256, material, (NOW, NOW));
        Ring::new(Purpose::AccessTokens, first.unwrap())
    };
    RING.get_or_init(make).clone()
}

fn ed25519() -> Ring {
    let material = Material::generate(Algorithm::EdDsa).unwrap();
    let first = Key::new(Purpose::AccessTokens, Algorithm::EdDsa, material, (NOW, NOW)).unwrap();
    Ring::new(Purpose::AccessTokens, first)
}

fn new_token() -> NewToken<'static> {
    NewToken {
        subject: "0198c0de-0000-7000-8000-000000000001",
        audience: "viewer",
        client_id: "web",
        scopes: &["profile", "playback"],
        tenant: "t1",
        session: Some("s1"),
        profile: Some("p1"),
        tier: Some("premium"),
        epoch: 3,
        ..NewToken::default()
    }
}

fn verifier(ring: &Ring) -> (Verifier, Rings, Arc<Withdrawn>) {
    let rings = Rings(Arc::new(Mutex::new(ring.clone())));
    let withdrawn = Arc::new(Withdrawn::default());
    let verifier = Verifier::new(ISSUER, Arc::new(rings.clone()), withdrawn.clone());
    (verifier, rings, withdrawn)
}

fn public(jwk: Value) -> PublicKey {
    let jwk = Jwk::from_json(jwk.as_object().unwrap()).unwrap();
    PublicKey::new(jwk, "vector").unwrap()
}

/// The payload of RFC 7515 A.1 to A.3, line ends as they stand there.
const RFC7515_PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// RFC 7515 A.2: RS256, checked and signed anew by its private key, which is no secret.
#[test]
fn the_rs256_vector() {
    let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    let key = public(json!({ "kty": "RSA", "n": n, "e": "AQAB" }));
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    let signed = format!("eyJhbGciOiJSUzI1NiJ9.{RFC7515_PAYLOAD}");
    let decoded = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(key.verify(signed.as_bytes(), &decoded));
    assert!(!key.verify(signed.to_lowercase().as_bytes(), &decoded));
    assert_eq!(key.algorithm(), Algorithm::Rs256);
}

/// RFC 7515 A.3: ES256, which is checked and not made here.
#[test]
fn the_es256_vector() {
    let key = public(json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }));
    let signature =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let signed = format!("eyJhbGciOiJFUzI1NiJ9.{RFC7515_PAYLOAD}");
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(key.verify(signed.as_bytes(), &signature));
    assert!(!key.verify(&signed.as_bytes()[1..], &signature));
    assert_eq!(key.algorithm(), Algorithm::Es256);
}

/// RFC 8037 A.1, A.4, A.5: Ed25519, signed and checked.
#[test]
fn the_ed25519_vector() {
    let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let material = Material::read(Algorithm::EdDsa, &seed).unwrap();
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    assert_eq!(material.public().unwrap(), Jwk::from_json(jwk.as_object().unwrap()).ok());
    let input = jws::signing_input(br#"{"alg":"EdDSA"}"#, b"Example of Ed25519 signing");
    assert_eq!(input, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc");
    let signature = material.sign(input.as_bytes()).unwrap();
    assert!(public(jwk).verify(input.as_bytes(), &signature));
    let token = jws::compact(input, &signature);
    let expected =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert!(token.ends_with(expected), "{token}");
}

#[test]
fn a_token_says_what_it_was_to_say() {
    let ring = rsa();
    let (token, issued) = Issuer::new(ISSUER).issue(&ring, &new_token(), NOW).unwrap();
    let (verifier, ..) = verifier(&ring);
    let claims = verifier.verify(&token, "viewer", NOW).unwrap();
    assert_eq!(*claims, issued);
    assert_eq!(claims.expires_s, NOW_S + 900);
    assert!(claims.has_scope("playback") && !claims.has_scope("play"));
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    let kid = ring.keys()[0].id();
    assert_eq!(header, json!({ "alg": "RS256", "typ": "at+jwt", "kid": kid }));
    assert_eq!(verifier.verify(&token, "admin", NOW), Err(Refusal::Audience));

    let (other, _) = Issuer::new(ISSUER).issue(&ring, &new_token(), NOW).unwrap();
    assert_ne!(token, other, "each has its own id");
}

#[test]
fn what_would_be_refused_is_not_made() {
    let ring = ed25519();
    let issuer = Issuer::new(ISSUER);
    for life_seconds in [-1, 0, LIFE_SECONDS_MAX + 1] {
        let new = NewToken { life_seconds, ..new_token() };
        assert!(matches!(issuer.issue(&ring, &new, NOW), Err(IssueError::Life { .. })));
    }
    let long = "x".repeat(600);
    for new in [
        NewToken { subject: "", ..new_token() },
        NewToken { tenant: &long, ..new_token() },
        NewToken { scopes: &["a b"], ..new_token() },
    ] {
        assert!(matches!(issuer.issue(&ring, &new, NOW), Err(IssueError::Refused(_))));
    }
}

/// Remembered or not, a token counts from its time to its time, and as long as its key does.
#[test]
fn a_remembered_token_is_still_looked_at() {
    let ring = ed25519();
    let (token, claims) = Issuer::new(ISSUER).issue(&ring, &new_token(), NOW).unwrap();
    for is_remembered in [false, true] {
        let (verifier, rings, withdrawn) = verifier(&ring);
        let verify = |now_ms| {
            if is_remembered {
                verifier.verify(&token, "viewer", NOW).unwrap();
            }
            verifier.verify(&token, "viewer", now_ms).map(drop)
        };
        let expires = claims.expires_s * 1_000;
        for (now_ms, expected) in [
            (NOW - 30_000, Ok(())),
            (NOW - 31_000, Err(Refusal::NotYet)),
            (expires + 29_999, Ok(())),
            (expires + 30_000, Err(Refusal::Expired)),
        ] {
            // A key that is younger than the token's reader counts, too.
            assert_eq!(verify(now_ms), expected, "{now_ms} {is_remembered}");
        }
        withdrawn.raise_epoch("t1", &claims.subject, 3, NOW).unwrap();
        withdrawn.raise_epoch("t2", &claims.subject, 9, NOW).unwrap();
        withdrawn.end_session("t1", "s2", NOW).unwrap();
        withdrawn.end_session("t2", "s1", NOW).unwrap();
        assert_eq!(verifier.verify(&token, "viewer", NOW).map(drop), Ok(()));
        let changed =
            ring.rotated(Material::generate(Algorithm::EdDsa).unwrap(), How::Emergency, NOW);
        let trusted = std::mem::replace(&mut *rings.0.lock().unwrap(), changed.unwrap());
        assert_eq!(verifier.verify(&token, "viewer", NOW).map(drop), Err(Refusal::UnknownKey));
        *rings.0.lock().unwrap() = trusted;
        withdrawn.raise_epoch("t1", &claims.subject, 4, NOW).unwrap();
        withdrawn.raise_epoch("t1", &claims.subject, 1, NOW).unwrap();
        assert_eq!(verifier.verify(&token, "viewer", NOW).map(drop), Err(Refusal::Withdrawn));
    }
    let (verifier, _, withdrawn) = verifier(&ring);
    withdrawn.end_session("t1", "s1", NOW).unwrap();
    assert_eq!(verifier.verify(&token, "viewer", NOW).map(drop), Err(Refusal::Withdrawn));
}

/// A node without a ring verifies by the published set, whichever of its forms it was given.
#[test]
fn public_keys_alone_verify() {
    let dir = tempfile::tempdir().unwrap();
    let keys = Keys::open(dir.path(), SealingKeys::none()).unwrap();
    keys.ensure(&[Purpose::AccessTokens, Purpose::Audit], NOW).unwrap();
    let ring = keys.ring(Purpose::AccessTokens).unwrap();
    let (token, _) = Issuer::new(ISSUER).issue(&ring, &new_token(), NOW).unwrap();
    let file = std::fs::read(dir.path().join("public.json")).unwrap();
    let jwks = keys.jwks(NOW).unwrap();
    for text in [file, jwks.to_string().into_bytes()] {
        let set = Arc::new(KeySet::default());
        let verifier = Verifier::new(ISSUER, set.clone(), Arc::new(Withdrawn::default()));
        assert_eq!(verifier.verify(&token, "viewer", NOW), Err(Refusal::UnknownKey));
        set.replace(&text).unwrap();
        assert_eq!(verifier.verify(&token, "viewer", NOW).unwrap().tenant, "t1");
        set.replace(b"{\"keys\":[]}").unwrap();
        assert_eq!(verifier.verify(&token, "viewer", NOW), Err(Refusal::UnknownKey), "remembered");
    }
    let set = KeySet::default();
    set.replace(jwks.to_string().as_bytes()).unwrap();
    for (change, value) in [
        ("kid", json!("k")),
        ("d", json!("AQAB")),
        ("alg", json!("HS256")),
        ("kty", json!("oct")),
        ("n", json!("AQAB")),
        ("e", json!("")),
    ] {
        let mut other = jwks.clone();
        other["keys"][0][change] = value;
        assert!(set.replace(other.to_string().as_bytes()).is_err(), "{change}");
    }
    let kid = ring.keys()[0].id();
    assert!(set.find(kid, NOW).is_some(), "a bad set changes nothing");
    let seconds = crate::keyring::purpose::PUBLIC_SECONDS_MAX;
    let advice = crate::keyring::purpose::PUBLIC_CACHE_CONTROL;
    assert!(advice.contains(&format!("max-age={seconds},")));
    assert!(2 * seconds * 1_000 <= Purpose::AccessTokens.published_ms());
}
