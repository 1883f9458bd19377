//! Thumbprints, rings, files, folders.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::material::Material;
use super::purpose::{ACCESS_TOKEN_SECONDS_MAX, Algorithm};
use super::*;

const NOW: i64 = 1_800_000_000_000;
const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

fn key(purpose: Purpose, algorithm: Algorithm, at: i64) -> Key {
    Key::new(purpose, algorithm, Material::generate(algorithm).unwrap(), (at, at)).unwrap()
}

/// A ring whose keys are quickly made.
fn quick(purpose: Purpose, algorithm: Algorithm) -> Ring {
    Ring::new(purpose, key(purpose, algorithm, NOW))
}

fn rotated(ring: &Ring, how: How, now_ms: i64) -> Ring {
    let algorithm = ring.keys()[0].algorithm();
    ring.rotated(Material::generate(algorithm).unwrap(), how, now_ms).unwrap()
}

fn states(ring: &Ring, now_ms: i64) -> Vec<&'static str> {
    ring.states(now_ms).map(|(_, state)| state.as_str()).collect()
}

/// RFC 7638 3.1.
#[test]
fn the_thumbprint_of_the_standard() {
    let jwk = json!({
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    });
    let jwk = Jwk::from_json(jwk.as_object().unwrap()).unwrap();
    assert_eq!(jwk.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

/// RFC 8037 A.3, and its key is that of RFC 8032 7.1.
#[test]
fn the_thumbprint_of_an_octet_key_pair() {
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    });
    let jwk = Jwk::from_json(jwk.as_object().unwrap()).unwrap();
    assert_eq!(jwk.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn a_private_key_is_no_public_one() {
    let mut jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    });
    let error = Jwk::from_json(jwk.as_object().unwrap()).unwrap_err().to_string();
    assert!(error.contains("private"), "{error}");
    jwk.as_object_mut().unwrap().remove("d");
    for (name, value) in [("alg", "RS256"), ("crv", "Ed448"), ("kty", "oct"), ("x", "11qY")] {
        let mut jwk = jwk.clone();
        jwk[name] = json!(value);
        assert!(Jwk::from_json(jwk.as_object().unwrap()).is_err(), "{name}");
    }
}

#[test]
fn a_key_is_published_before_it_signs_and_verifies_after() {
    let ring = quick(Purpose::AccessTokens, Algorithm::EdDsa);
    let first = ring.active(NOW).unwrap().id().to_owned();
    let ring = rotated(&ring, How::Overlap, NOW + DAY);
    let second = ring.keys()[1].id().to_owned();
    let published_ms = Purpose::AccessTokens.published_ms();
    for (at, active, expected) in [
        (NOW + DAY, &first, ["active", "next"]),
        (NOW + DAY + published_ms - 1, &first, ["active", "next"]),
        (NOW + DAY + published_ms, &second, ["retiring", "active"]),
        (NOW + DAY + published_ms + 61 * MINUTE - 1, &second, ["retiring", "active"]),
        (NOW + DAY + published_ms + 61 * MINUTE, &second, ["expired", "active"]),
    ] {
        assert_eq!(states(&ring, at), expected, "{at}");
        assert_eq!(ring.active(at).unwrap().id(), active, "{at}");
        let ids: Vec<_> = ring.jwks(at)["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["kid"].clone())
            .collect();
        assert!(ids.contains(&json!(second)), "published from the beginning");
        assert_eq!(ids.contains(&json!(first)), expected[0] != "expired");
    }
    let error = ring
        .rotated(Material::generate(Algorithm::EdDsa).unwrap(), How::Overlap, NOW + DAY + 1)
        .unwrap_err();
    assert!(matches!(error, KeyError::UnderWay { .. }), "{error}");

    // The private half goes when it signs no more, the key when nothing of it counts.
    let retiring = ring.tidied(NOW + DAY + published_ms).unwrap();
    assert!(retiring.keys()[0].material().is_none() && retiring.keys()[0].public().is_some());
    assert!(retiring.tidied(NOW + DAY + published_ms).is_none());
    let later = retiring.tidied(NOW + 2 * DAY).unwrap();
    assert_eq!(later.keys().len(), 1);
}

#[test]
fn an_emergency_takes_trust_away_or_spares_what_lies_in_the_database() {
    let ring = rotated(&quick(Purpose::AccessTokens, Algorithm::EdDsa), How::Overlap, NOW);
    let ring = rotated(&ring, How::Emergency, NOW + 1);
    assert_eq!(states(&ring, NOW + 1), ["revoked", "active", "revoked"]);
    assert_eq!(ring.jwks(NOW + 1)["keys"].as_array().unwrap().len(), 1);
    let active = ring.active(NOW + 30 * DAY).unwrap().id().to_owned();
    assert_eq!(active, ring.active(NOW + 1).unwrap().id(), "no revoked key comes back");

    let ring = quick(Purpose::Records, Algorithm::Aes256Gcm);
    let sealed = ring.seal(b"user/1", b"secret", NOW).unwrap();
    let ring = rotated(&rotated(&ring, How::Overlap, NOW), How::Emergency, NOW + 1);
    assert_eq!(states(&ring, NOW + DAY), ["retiring", "active", "revoked"]);
    let opened = ring.open(b"user/1", &sealed, NOW + 4_000 * DAY).unwrap();
    assert_eq!(opened, (b"secret".to_vec(), true), "to be sealed anew");
}

#[test]
fn what_is_sealed_opens_in_its_place_alone() {
    let ring = quick(Purpose::Sessions, Algorithm::Aes256Gcm);
    let sealed = ring.seal(b"mfa/1", b"ticket", NOW).unwrap();
    assert_eq!(ring.open(b"mfa/1", &sealed, NOW).unwrap(), (b"ticket".to_vec(), false));
    assert_ne!(ring.seal(b"mfa/1", b"ticket", NOW).unwrap(), sealed, "nonces differ");
    assert!(ring.open(b"mfa/2", &sealed, NOW).is_err());
    for index in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[index] ^= 1;
        assert!(ring.open(b"mfa/1", &changed, NOW).is_err(), "byte {index}");
        assert!(ring.open(b"mfa/1", &sealed[..index], NOW).is_err(), "{index} bytes");
    }
    // The same key in a ring of another purpose opens nothing.
    let other = Ring::new(Purpose::Records, ring.keys()[0].clone());
    assert!(other.open(b"mfa/1", &sealed, NOW).is_err());
    let later = rotated(&ring, How::Overlap, NOW);
    assert!(later.open(b"mfa/1", &sealed, NOW + DAY).is_ok());
    assert!(later.open(b"mfa/1", &sealed, NOW + DAY + 3 * MINUTE).is_err(), "a day has passed");
    assert!(quick(Purpose::Audit, Algorithm::EdDsa).seal(b"", b"", NOW).is_err());
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn seal(byte: u8) -> SealingKey {
    use base64::Engine;
    SealingKey::read(&base64::engine::general_purpose::STANDARD.encode([byte; 32])).unwrap()
}

fn ring_file(dir: &Path, purpose: Purpose) -> PathBuf {
    dir.join("rings").join(purpose.as_str())
}

const QUICK: [Purpose; 4] =
    [Purpose::Sessions, Purpose::Records, Purpose::ContentSeeds, Purpose::Audit];

#[test]
fn rings_are_kept_and_shared_by_their_folder() {
    use std::os::unix::fs::PermissionsExt;
    let dir = scratch();
    let keys = Keys::open(dir.path(), SealingKeys::none()).unwrap();
    assert!(matches!(keys.ring(Purpose::Audit), Err(KeyError::Missing { .. })));
    keys.ensure(&QUICK, NOW).unwrap();
    let (signer, signature) = keys.sign(Purpose::Audit, b"root", NOW).unwrap();

    let other = Keys::open(dir.path(), SealingKeys::none()).unwrap();
    assert!(other.verify(Purpose::Audit, signer.id(), b"root", &signature, NOW));
    assert!(!other.verify(Purpose::Audit, signer.id(), b"rot", &signature, NOW));
    assert!(!other.refresh().unwrap());
    let id = keys.rotate(Purpose::Audit, How::Overlap, NOW).unwrap();
    assert!(other.refresh().unwrap());
    assert_eq!(other.ring(Purpose::Audit).unwrap().keys()[1].id(), id);
    // Whoever has not looked yet sees the other's rotation before it writes its own.
    let error = other.rotate(Purpose::Audit, How::Overlap, NOW).unwrap_err();
    assert!(matches!(error, KeyError::UnderWay { .. }), "{error}");
    let (_, seed) = keys.seed(Purpose::ContentSeeds, None, NOW).unwrap();
    assert_eq!(other.seed(Purpose::ContentSeeds, None, NOW).unwrap().1, seed);

    for purpose in QUICK {
        let file = ring_file(dir.path(), purpose);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = Keys::open(dir.path(), SealingKeys::none()).unwrap_err();
        assert!(matches!(error, KeyError::Exposed { .. }), "{error}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn files_are_sealed_and_resealed() {
    let dir = scratch();
    let keys = Keys::open(dir.path(), SealingKeys::none()).unwrap();
    keys.ensure(&QUICK, NOW).unwrap();
    let sealed = keys.seal(Purpose::Records, b"a", b"b", NOW).unwrap();
    let (_, secret) = keys.seed(Purpose::ContentSeeds, None, NOW).unwrap();
    let has_secret = || {
        let file = std::fs::read(ring_file(dir.path(), Purpose::ContentSeeds)).unwrap();
        let text = data_encoding::BASE64.encode(&secret);
        file.windows(text.len()).any(|window| window == text.as_bytes())
    };
    assert!(has_secret());
    let opens = |seals| {
        let keys = Keys::open(dir.path(), seals)?;
        let opened = keys.open_sealed(Purpose::Records, b"a", &sealed, NOW)?;
        assert_eq!(opened.plaintext, b"b");
        Ok::<_, KeyError>(())
    };
    // Opened with a sealing key, they are sealed at once; from then on nothing opens without it.
    opens(SealingKeys::new(seal(1), None)).unwrap();
    assert!(!has_secret());
    opens(SealingKeys::new(seal(1), None)).unwrap();
    for seals in [SealingKeys::none(), SealingKeys::new(seal(2), None)] {
        let error = opens(seals).unwrap_err().to_string();
        assert!(error.contains(seal(1).id()) && error.contains("previous_seal"), "{error}");
    }
    opens(SealingKeys::new(seal(2), Some(seal(1)))).unwrap();
    opens(SealingKeys::new(seal(2), None)).unwrap();

    let file = ring_file(dir.path(), Purpose::Records);
    let good = std::fs::read_to_string(&file).unwrap();
    for (index, _) in good.char_indices() {
        let mut bytes = good.clone().into_bytes();
        bytes[index] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let is_line_end = good.as_bytes()[index] == b'\n' && index + 1 == good.len();
        assert!(is_line_end || opens(SealingKeys::new(seal(2), None)).is_err(), "byte {index}");
    }
    // One purpose's file in place of another's.
    std::fs::copy(ring_file(dir.path(), Purpose::Sessions), &file).unwrap();
    assert!(opens(SealingKeys::new(seal(2), None)).is_err());
}

#[test]
fn a_sealing_key_is_32_bytes_and_never_shown() {
    for text in ["", "short", "AAAA", &"A".repeat(44)] {
        let Err(error) = SealingKey::read(text) else { panic!("{text}") };
        assert!(error.to_string().contains("openssl rand"), "{error}");
    }
    let text = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";
    let key = SealingKey::read(&format!("{text}\n")).unwrap();
    assert!(!format!("{key:?}").contains(&text[..8]));
}

/// What leaves for nodes that only verify holds no byte of a private key or a secret: neither its
/// texts, nor any six bytes of what they stand for.
#[test]
fn public_keys_hold_nothing_private() {
    let dir = scratch();
    let keys = Keys::open(dir.path(), SealingKeys::none()).unwrap();
    keys.ensure(&Purpose::ALL, NOW).unwrap();
    keys.rotate(Purpose::AccessTokens, How::Overlap, NOW).unwrap();
    let public = std::fs::read_to_string(dir.path().join("public.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&public).unwrap(), keys.public(NOW));
    let mut texts = Vec::new();
    strings(&keys.public(NOW), &mut texts);
    let mut bytes = public.clone().into_bytes();
    for text in &texts {
        bytes.extend(data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).unwrap_or_default());
    }
    for ring in keys.rings() {
        for key in ring.keys() {
            let private = key.material().unwrap().bytes();
            // The file of an RSA key repeats the public half: that may be there.
            let known: Vec<&[u8]> = match key.public().map(|public| public.jwk()) {
                Some(Jwk::Rsa { n, e }) => vec![n, e],
                _ => Vec::new(),
            };
            for window in private.windows(6) {
                let is_public = known.iter().any(|part| contains(part, window));
                // Names of algorithms, and the numbers in front of the modulus.
                let is_head =
                    contains(&private[..private.len().min(48)], window) && !known.is_empty();
                // The exponent 65537, and what lies around it.
                let is_exponent = contains(window, &[1, 0, 1]) && !known.is_empty();
                let is_fine = is_public || is_head || is_exponent;
                assert!(is_fine || !contains(&bytes, window), "{ring:?}");
            }
        }
    }
    for name in ["\"d\"", "\"p\"", "\"q\"", "\"dp\"", "\"dq\"", "\"qi\"", "\"k\"", "PRIVATE"] {
        assert!(!public.contains(name), "{name}");
    }
    assert!(public.contains("access-tokens") && !public.contains("content-seeds"));
    assert_eq!(public.matches("\"kid\"").count(), 3, "{public}");
}

fn strings(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(list) => list.iter().for_each(|value| strings(value, texts)),
        Value::Object(members) => members.values().for_each(|value| strings(value, texts)),
        _ => {}
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[test]
fn schedules_rotate_once() {
    let dir = scratch();
    let keys = Keys::open(dir.path(), SealingKeys::none()).unwrap();
    keys.ensure(&[Purpose::Audit, Purpose::Records], NOW).unwrap();
    let yearly = |purpose| (purpose == Purpose::Audit).then_some(365 * DAY);
    assert!(keys.keep_up(yearly, NOW + 364 * DAY).unwrap().is_empty());
    let other = Keys::open(dir.path(), SealingKeys::none()).unwrap();
    assert_eq!(keys.keep_up(yearly, NOW + 365 * DAY).unwrap(), [Purpose::Audit]);
    assert!(other.keep_up(yearly, NOW + 365 * DAY).unwrap().is_empty(), "it looks first");
    assert!(keys.keep_up(yearly, NOW + 366 * DAY).unwrap().is_empty());
    let first = keys.ring(Purpose::Audit).unwrap().keys()[0].clone();
    assert!(first.material().is_none(), "what signs no more is gone from the disk");
    let file = std::fs::read_to_string(ring_file(dir.path(), Purpose::Audit)).unwrap();
    assert_eq!(file.matches("\"private\":null").count(), 1, "{file}");
}

proptest! {
    /// Whenever keys are rotated, there is one active key, it was published before, and whatever it
    /// signs verifies until the longest life of a token is over.
    #[test]
    fn every_token_verifies_until_it_expires(
        rotations in prop::collection::vec((0..3 * DAY, prop::bool::weighted(0.1)), 0..12),
        probe in 0..36 * DAY,
        age in 0..=ACCESS_TOKEN_SECONDS_MAX * 1_000,
    ) {
        let mut ring = quick(Purpose::AccessTokens, Algorithm::EdDsa);
        let (mut now, mut signed, mut last_emergency) = (NOW, None, i64::MIN);
        let probe = NOW + probe;
        let mut check = |ring: &Ring, from: i64, to: i64, last_emergency: i64| {
            if (from..to).contains(&probe) {
                let active = ring.active(probe).unwrap();
                prop_assert!(active.activates_ms() <= probe);
                signed = Some(active.id().to_owned());
            }
            if let Some(id) = &signed && (from..to).contains(&(probe + age)) {
                let counts = ring.find(id, probe + age).is_some();
                prop_assert_eq!(counts, last_emergency <= probe, "{:?}", ring);
            }
            Ok(())
        };
        for (pause, is_emergency) in rotations {
            check(&ring, now, now + pause, last_emergency)?;
            now += pause;
            if let Some(tidied) = ring.tidied(now) {
                ring = tidied;
            }
            let how = if is_emergency { How::Emergency } else { How::Overlap };
            match ring.rotated(Material::generate(Algorithm::EdDsa).unwrap(), how, now) {
                Ok(rotated) => {
                    prop_assert_eq!(rotated.generation(), ring.generation() + 1);
                    ring = rotated;
                    if is_emergency {
                        last_emergency = now;
                    }
                }
                Err(error) => {
                    let is_under_way = matches!(error, KeyError::UnderWay { .. });
                    prop_assert!(is_under_way, "{}", error);
                }
            }
        }
        check(&ring, now, i64::MAX, last_emergency)?;
        let active = ring.states(now).filter(|(_, state)| *state == KeyState::Active).count();
        prop_assert_eq!(active, 1);
    }
}
