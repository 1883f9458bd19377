//! Frozen tokens, mutations of every byte, and each reason to refuse one.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

use super::grant::{ANSWER_CLAIMS, GrantParts};
use super::*;

const NOW: u64 = 1_800_000_000;
const SECRET: [u8; 32] = *b"not a secret: it is in the tests";

fn parts() -> GrantParts {
    GrantParts {
        expires: NOW + 3_600,
        not_before: 0,
        prefixes: vec!["/vod/film/".to_owned()],
        classes: Classes::ALL,
        network: None,
        session: None,
        claims: BTreeMap::new(),
    }
}

fn full() -> GrantParts {
    GrantParts {
        not_before: NOW - 60,
        prefixes: vec!["/ad/".to_owned(), "/key/".to_owned(), "/vod/film/".to_owned()],
        classes: Classes::of([MediaClass::Audio, MediaClass::Sd, MediaClass::Text]).unwrap(),
        network: Some("203.0.113.0/24".parse().unwrap()),
        session: Some("0190a5b2-session_1".to_owned()),
        claims: [("max_height", "576"), ("plan", "basic")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..parts()
    }
}

fn hmac_ring() -> Keyring {
    Keyring::new(vec![SigningKey::hmac("k1", &SECRET).unwrap()], None).unwrap()
}

fn ed25519_ring() -> Keyring {
    Keyring::new(vec![SigningKey::ed25519("e1", &SECRET).unwrap()], None).unwrap()
}

fn sign(ring: &Keyring, parts: GrantParts) -> String {
    ring.sign(&Grant::new(parts).unwrap(), None, NOW).unwrap()
}

/// Signed URLs that are out there have to work with every later version: these never change.
#[test]
fn tokens_are_frozen() {
    let check = |ring: &Keyring, parts: GrantParts, golden: &str| {
        assert_eq!(sign(ring, parts.clone()), golden);
        assert_eq!(ring.verify(golden, NOW), Ok(Grant { parts }));
    };
    check(&hmac_ring(), parts(), include_str!("golden/hmac_small.txt").trim_end());
    check(&hmac_ring(), full(), include_str!("golden/hmac_full.txt").trim_end());
    check(&ed25519_ring(), parts(), include_str!("golden/ed25519_small.txt").trim_end());
    check(&ed25519_ring(), full(), include_str!("golden/ed25519_full.txt").trim_end());
}

/// Every bit of a token matters: flipped, the token is refused, by either algorithm.
#[test]
fn every_byte_is_protected() {
    for ring in [hmac_ring(), ed25519_ring()] {
        for parts in [parts(), full()] {
            let token = sign(&ring, parts);
            assert!(ring.verify(&token, NOW).is_ok());
            let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
            for at in 0..bytes.len() {
                for bit in 0..8 {
                    let mut bytes = bytes.clone();
                    bytes[at] ^= 1 << bit;
                    let changed = URL_SAFE_NO_PAD.encode(&bytes);
                    assert!(ring.verify(&changed, NOW).is_err(), "byte {at}, bit {bit}");
                }
            }
            for at in 0..bytes.len() {
                assert!(ring.verify(&URL_SAFE_NO_PAD.encode(&bytes[..at]), NOW).is_err());
                let without = [&bytes[..at], &bytes[at + 1..]].concat();
                assert!(ring.verify(&URL_SAFE_NO_PAD.encode(without), NOW).is_err());
            }
            for surplus in 0..=255 {
                let longer = [&bytes[..], &[surplus]].concat();
                assert!(ring.verify(&URL_SAFE_NO_PAD.encode(longer), NOW).is_err());
            }
        }
    }
}

/// No other spelling of the text is taken: each character replaced by every other, paddings, white
/// space, the other alphabet, and bits that base64 does not use.
#[test]
fn a_token_has_one_spelling() {
    let ring = hmac_ring();
    let token = sign(&ring, full());
    for at in 0..token.len() {
        for other in (0x20..0x7f).map(char::from) {
            if token[at..].starts_with(other) {
                continue;
            }
            let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
            assert!(ring.verify(&changed, NOW).is_err(), "{changed}");
        }
    }
    for changed in [
        format!("{token}="),
        format!("{token}=="),
        format!(" {token}"),
        format!("{token}\n"),
        String::new(),
        "A".repeat(TOKEN_CHARS_MAX + 1),
        "é".repeat(40),
    ] {
        assert!(matches!(ring.verify(&changed, NOW), Err(Refusal::Format(_))), "{changed}");
    }
    for changed in [token.to_uppercase(), token.to_lowercase(), token.repeat(2)] {
        assert!(ring.verify(&changed, NOW).is_err(), "{changed}");
    }
    // Both alphabets spell bytes of ones; only one is ours.
    let ones = Grant::new(GrantParts { expires: 0xffff_ffff, ..parts() }).unwrap();
    let token = ring.sign(&ones, None, 0xffff_ffff - 60).unwrap();
    let other = token.replace('-', "+").replace('_', "/");
    assert_ne!(token, other);
    assert_eq!(ring.verify(&other, NOW), Err(Refusal::Format(FormatError::Base64)));
}

/// What is signed well and written in another form than ours is no token: a key holder's mistake
/// must not become a second name for a right.
#[test]
fn well_signed_bytes_of_another_form_are_refused() {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &SECRET);
    let sign_bytes = |bytes: &[u8]| {
        let signature = aws_lc_rs::hmac::sign(&key, bytes);
        URL_SAFE_NO_PAD.encode([bytes, signature.as_ref()].concat())
    };
    let expires = u32::try_from(NOW + 60).unwrap().to_be_bytes();
    let head = |flags: u8| [&[1, 2][..], b"k1", &[flags], &expires, &[63]].concat();
    let ring = hmac_ring();
    let check =
        |rest: &[u8], flags: u8| ring.verify(&sign_bytes(&[&head(flags), rest].concat()), NOW);
    assert!(check(b"\x01\x03/a/", 0).is_ok(), "this test builds tokens as they are");
    for (rest, flags, what) in [
        (&b"\x00"[..], 0, "no prefix"),
        (b"\x01\x02/a", 0, "no slash at the end"),
        (b"\x01\x02a/", 0, "no slash at the front"),
        (b"\x01\x00", 0, "an empty prefix"),
        (b"\x01\x04/a//", 0, "an empty segment"),
        (b"\x01\x06/a/../", 0, "a dot segment"),
        (b"\x01\x07/a%2Fb/", 0, "an escape"),
        (b"\x02\x03/b/\x03/a/", 0, "not ascending"),
        (b"\x02\x03/a/\x03/a/", 0, "twice"),
        (b"\x02\x03/a/\x05/a/b/", 0, "one within another"),
        (b"\x01\x03/a/\x00", 0, "a byte too many"),
        (b"\x01\x03/a/", 16, "an unknown part"),
        (b"\x01\x03/a/\x00\x00\x00\x00", 1, "no time that is written"),
        (b"\x01\x03/a/\xff\xff\xff\xff", 1, "never valid"),
        (b"\x01\x03/a/\x04\x18\x01\x02\x03\x04", 2, "bits beyond the network"),
        (b"\x01\x03/a/\x04\x21\x01\x02\x03\x04", 2, "too long a network"),
        (b"\x01\x03/a/\x04\x00\x00\x00\x00\x00", 2, "a network of everyone"),
        (b"\x01\x03/a/\x05\x08\x01\x00\x00\x00", 2, "an unknown family"),
        (b"\x01\x03/a/\x00", 4, "an empty session"),
        (b"\x01\x03/a/\x01 ", 4, "a session of other characters"),
        (b"\x01\x03/a/\x00", 8, "no claim that is written"),
        (b"\x01\x03/a/\x01\x01a\x00", 8, "an empty claim"),
        (b"\x01\x03/a/\x02\x01b\x01x\x01a\x01x", 8, "claims out of order"),
        (b"\x01\x03/a/\x02\x01a\x01x\x01a\x01x", 8, "a claim twice"),
        (b"\x01\x03/a/\x01\x0amax_height\x0307x", 8, "no number"),
        (b"\x01\x03/a/\x01\x0amax_height\x03072", 8, "a number of another form"),
    ] {
        let refused = check(rest, flags);
        assert!(matches!(refused, Err(Refusal::Format(_))), "{what}: {refused:?}");
    }
    for version in [0, 2, 255] {
        let mut bytes = [&head(0)[..], b"\x01\x03/a/"].concat();
        bytes[0] = version;
        let refused = ring.verify(&sign_bytes(&bytes), NOW);
        assert_eq!(refused, Err(Refusal::Format(FormatError::Version)));
    }
    let mut no_class = head(0);
    *no_class.last_mut().unwrap() = 0;
    assert!(ring.verify(&sign_bytes(&[&no_class[..], b"\x01\x03/a/"].concat()), NOW).is_err());
    *no_class.last_mut().unwrap() = 64;
    assert!(ring.verify(&sign_bytes(&[&no_class[..], b"\x01\x03/a/"].concat()), NOW).is_err());
}

#[test]
fn times_are_kept() {
    let ring = hmac_ring();
    let token = sign(&ring, GrantParts { not_before: NOW + 100, ..parts() });
    let at = |now: u64| ring.verify(&token, now).err();
    assert_eq!(at(NOW), Some(Refusal::NotYet));
    assert_eq!(at(NOW + 69), Some(Refusal::NotYet));
    assert_eq!(at(NOW + 70), None, "clocks may differ");
    assert_eq!(at(NOW + 3_599), None);
    assert_eq!(at(NOW + 3_600), Some(Refusal::Expired));
    assert_eq!(at(u64::MAX - 1), Some(Refusal::Expired));

    let endless =
        Grant::new(GrantParts { expires: NOW + LIFE_SECONDS_MAX + 31, ..parts() }).unwrap();
    assert_eq!(ring.sign(&endless, None, NOW), Err(SignError::Life));
    assert_eq!(endless.check_time(NOW), Err(Refusal::TooLong));
    let far = GrantParts { not_before: NOW + LIFE_SECONDS_MAX, ..endless.parts().clone() };
    assert_eq!(ring.sign(&Grant::new(far).unwrap(), None, NOW), Err(SignError::Life));
    let past = Grant::new(GrantParts { expires: NOW, ..parts() }).unwrap();
    assert_eq!(ring.sign(&past, None, NOW), Err(SignError::Life));
}

#[test]
fn grants_open_what_they_name() {
    let grant = Grant::new(full()).unwrap();
    let path = |path: &str, class| grant.check_path(path, class).err();
    assert_eq!(path("/vod/film/cmaf/master.m3u8", None), None);
    assert_eq!(path("/ad/x/y", None), None);
    for other in ["/vod/film", "/vod/film2/x", "/vod/other/x", "/VOD/film/x", "/", ""] {
        assert_eq!(path(other, None), Some(Refusal::Prefix), "{other}");
    }
    let segment = "/vod/film/fmp4/hd/v1-a/1.m4s";
    assert_eq!(path(segment, Some(MediaClass::Sd)), None);
    for class in [MediaClass::Hd, MediaClass::Uhd, MediaClass::Image] {
        assert_eq!(path(segment, Some(class)), Some(Refusal::Class));
    }
    let from = |address: &str| grant.check_address(Some(address.parse().unwrap())).err();
    assert_eq!(from("203.0.113.255"), None);
    assert_eq!(from("::ffff:203.0.113.1"), None);
    assert_eq!(from("203.0.112.255"), Some(Refusal::Address));
    assert_eq!(from("2001:db8::1"), Some(Refusal::Address));
    assert_eq!(grant.check_address(None), Err(Refusal::Address));
    assert_eq!(Grant::new(parts()).unwrap().check_address(None), Ok(()));
    let everything = Grant::new(GrantParts { prefixes: vec!["/".to_owned()], ..parts() }).unwrap();
    assert_eq!(everything.check_path("/vod/any/x", None), Ok(()));
}

#[test]
fn what_no_token_can_say_is_refused() {
    let check = |parts: GrantParts, cause: &str| {
        let message = Grant::new(parts).unwrap_err().to_string();
        assert!(message.contains(cause), "{message}");
    };
    let prefixes = |list: &[&str]| GrantParts {
        prefixes: list.iter().map(|prefix| (*prefix).to_owned()).collect(),
        ..parts()
    };
    check(prefixes(&[]), "1 to 8 prefixes");
    check(prefixes(&["/1/", "/2/", "/3/", "/4/", "/5/", "/6/", "/7/", "/8/", "/9/"]), "not 9");
    for bad in ["vod/", "/vod", "", "//", "/a b/", "/~x/", "/./", "/a/%41/", "/\\/", "/é/"] {
        check(prefixes(&[bad]), "is no prefix");
    }
    check(prefixes(&[&format!("/{}/", "x".repeat(200))]), "is no prefix");
    check(prefixes(&["/", "/vod/"]), "lies within");
    check(GrantParts { not_before: NOW + 3_600, ..parts() }, "not after");
    check(GrantParts { expires: 1 << 32, ..parts() }, "2106");
    for bad in ["", "a b", "x/y", &"x".repeat(65)] {
        check(GrantParts { session: Some(bad.to_owned()), ..parts() }, "is no session id");
    }
    for bad in ["10.0.0.1/8", "0.0.0.0/0", "::ffff:10.0.0.0/104"] {
        check(GrantParts { network: Some(bad.parse().unwrap()), ..parts() }, "network");
    }
    for (name, value) in [("", "x"), ("A", "x"), ("a", ""), ("a", "x y"), ("max_height", "1e3")] {
        let claims = [(name.to_owned(), value.to_owned())].into();
        check(GrantParts { claims, ..parts() }, "can't be carried");
    }
    let names = (0..9).map(|at| ("x".repeat(at + 1), "1".to_owned()));
    check(GrantParts { claims: names.collect(), ..parts() }, "at most 8 claims");
}

/// A key is replaced with overlap, and ends with its time or its removal.
#[test]
fn keys_rotate_with_overlap() {
    let old = || SigningKey::hmac("old", &SECRET).unwrap();
    let new = || SigningKey::ed25519("new", &[7; 32]).unwrap();
    let before = Keyring::new(vec![old()], None).unwrap();
    let during = Keyring::new(vec![old(), new()], Some("new")).unwrap();
    let after = Keyring::new(vec![new()], None).unwrap();
    let (first, second) = (sign(&before, parts()), sign(&during, parts()));
    assert_eq!(during.active().unwrap().id(), "new");
    for token in [&first, &second] {
        assert!(during.verify(token, NOW).is_ok());
    }
    assert_eq!(after.verify(&first, NOW), Err(Refusal::UnknownKey));
    assert!(after.verify(&second, NOW).is_ok());
    assert_eq!(before.verify(&second, NOW), Err(Refusal::UnknownKey));
    let chosen = during.sign(&Grant::new(parts()).unwrap(), Some("old"), NOW).unwrap();
    assert_eq!(chosen, first);
    let unknown = during.sign(&Grant::new(parts()).unwrap(), Some("none"), NOW);
    assert_eq!(unknown, Err(SignError::Unknown { id: "none".to_owned() }));

    let timed = |from, to| Keyring::new(vec![old().valid_within(from, to)], None).unwrap();
    assert!(timed(NOW, NOW + 7_200).verify(&first, NOW).is_ok());
    assert_eq!(timed(0, NOW).verify(&first, NOW), Err(Refusal::UnknownKey));
    assert_eq!(timed(NOW + 60, NOW + 7_200).verify(&first, NOW), Err(Refusal::UnknownKey));
    let not_valid = Err(SignError::NotValid { id: "old".to_owned() });
    let grant = Grant::new(parts()).unwrap();
    assert_eq!(
        timed(0, NOW + 3_599).sign(&grant, None, NOW),
        not_valid,
        "it ends before the token"
    );
    assert_eq!(timed(NOW + 1, u64::MAX).sign(&grant, None, NOW), not_valid);
}

/// A key of another kind under the same id verifies nothing: a token can't choose its algorithm.
#[test]
fn the_algorithm_is_the_keys() {
    let token = sign(&hmac_ring(), parts());
    let public = SigningKey::ed25519("k1", &SECRET).unwrap();
    let other = Keyring::new(vec![public], None).unwrap();
    assert!(other.verify(&token, NOW).is_err());
    // The classic confusion: a public key, which anyone has, used as a secret of HMAC.
    let public = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&SECRET).unwrap();
    let public = aws_lc_rs::signature::KeyPair::public_key(&public).as_ref().to_vec();
    let forger = Keyring::new(vec![SigningKey::hmac("e1", &public).unwrap()], None).unwrap();
    assert!(ed25519_ring().verify(&sign(&forger, parts()), NOW).is_err());
}

#[test]
fn public_keys_verify_and_cannot_sign() {
    let text = ed25519_ring().keys()[0].public().unwrap();
    let configured = crate::config::SigningKey {
        id: "e1".to_owned(),
        algorithm: crate::config::SigningAlgorithm::Ed25519,
        secret: None,
        public: Some(text),
        not_before: None,
        not_after: None,
        active: false,
    };
    let ring = Keyring::from_config(std::slice::from_ref(&configured)).unwrap();
    let token = sign(&ed25519_ring(), full());
    for _ in 0..2 {
        assert_eq!(ring.verify(&token, NOW).unwrap().parts(), &full());
    }
    assert_eq!(ring.sign(&Grant::new(parts()).unwrap(), None, NOW), Err(SignError::NoKey));
    assert_eq!(hmac_ring().keys()[0].public(), None);

    let mut bad = configured.clone();
    bad.not_before = Some("yesterday".to_owned());
    assert!(Keyring::from_config(&[bad]).unwrap_err().to_string().contains("2026-01-31"));
    let mut bad = configured.clone();
    bad.active = true;
    assert_eq!(Keyring::from_config(&[bad]).unwrap_err(), KeyringError::Active);
    let twice = Keyring::from_config(&[configured.clone(), configured]);
    assert_eq!(twice.unwrap_err(), KeyringError::Twice { id: "e1".to_owned() });
    let two =
        vec![SigningKey::hmac("a", &SECRET).unwrap(), SigningKey::hmac("b", &SECRET).unwrap()];
    assert_eq!(Keyring::new(two, None).unwrap_err(), KeyringError::Active);
    assert!(SigningKey::hmac("a", &[1; 31]).is_err());
    assert!(SigningKey::hmac("a b", &SECRET).is_err());
    assert!(SigningKey::ed25519("a", &[1; 33]).is_err());
}

/// A process that was to take over puts a file of its own there, and dies.
#[test]
fn a_list_whose_file_was_replaced_is_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = Revocations::path_in(dir.path());
    let list = Revocations::open(&path, NOW).unwrap();
    list.revoke("s1", NOW).unwrap();
    drop(Revocations::open(&path, NOW).unwrap());
    list.write_anew(NOW).unwrap();
    list.revoke("s2", NOW).unwrap();
    let again = Revocations::open(&path, NOW).unwrap();
    assert!(again.is_revoked("s1", NOW) && again.is_revoked("s2", NOW));
}

#[test]
fn revocations_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = Revocations::path_in(dir.path());
    let list = Revocations::open(&path, NOW).unwrap();
    assert!(!list.is_revoked("s1", NOW));
    list.revoke("s1", NOW).unwrap();
    list.revoke("s1", NOW + 1).unwrap();
    list.revoke("s2", NOW + 100).unwrap();
    assert!(list.revoke("no session", NOW).is_err());
    assert!(list.is_revoked("s1", NOW) && !list.is_revoked("s3", NOW));
    // As a crash leaves it.
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str(&format!("{} half-of-a-na", NOW + 99));
    std::fs::write(&path, [text.as_bytes(), b"\xff"].concat()).unwrap();
    let again = Revocations::open(&path, NOW + 60).unwrap();
    assert!(again.is_revoked("s1", NOW + 60) && again.is_revoked("s2", NOW + 60));
    assert_eq!(again.len(), 2);
    // When no token of theirs can be alive, they are forgotten.
    let late = NOW + LIFE_SECONDS_MAX + 62;
    assert!(!again.is_revoked("s1", late) && again.is_revoked("s2", late));
    assert_eq!(Revocations::open(&path, late).unwrap().len(), 1);
}

/// Events may come twice, and for ever: the file doesn't grow with them.
#[test]
fn the_file_of_revoked_sessions_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let path = Revocations::path_in(dir.path());
    let list = Revocations::open_with(&path, NOW, 10).unwrap();
    list.revoke("other", NOW).unwrap();
    for at in 0..100 {
        list.revoke("same", NOW + at).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().lines().count() <= 11);
    }
    let again = Revocations::open(&path, NOW + 100).unwrap();
    assert!(again.is_revoked("same", NOW + LIFE_SECONDS_MAX + 150));
    assert!(again.is_revoked("other", NOW + 100) && again.len() == 2);
}

#[test]
fn the_list_of_revoked_sessions_is_bounded() {
    let list = Revocations::default();
    for number in 0..revocations::REVOKED_MAX {
        list.revoke(&format!("s{number}"), NOW).unwrap();
    }
    assert!(matches!(list.revoke("one-more", NOW), Err(RevokeError::Full)));
    list.revoke("s7", NOW).unwrap();
    let late = NOW + 2 * LIFE_SECONDS_MAX;
    list.revoke("one-more", late).unwrap();
    assert_eq!(list.len(), 1);
}

/// What another node tells: news are told apart, times are capped, bad entries stop no good ones.
#[test]
fn lists_of_revoked_sessions_merge() {
    let dir = tempfile::tempdir().unwrap();
    let path = Revocations::path_in(dir.path());
    let list = Revocations::open(&path, NOW).unwrap();
    list.revoke("known", NOW).unwrap();
    let cap = Revocations::until(NOW);
    let entries = [("new", NOW + 60), ("a b", cap), ("known", cap), ("far", u64::MAX), ("old", 7)];
    let merged = list.merge(&entries, NOW);
    assert_eq!(merged.news, [0, 3]);
    assert!(matches!(&merged.refused[..], [(1, RevokeError::Session { .. })]));
    assert!(merged.not_kept.is_none());
    assert!(list.merge(&entries, NOW).news.is_empty(), "twice is no news");
    let again = Revocations::open(&path, NOW).unwrap();
    for list in [list, again] {
        let mut all = list.list(0, NOW);
        all.sort();
        let expected = [("far", cap), ("known", cap), ("new", NOW + 60)];
        assert!(all.iter().map(|(session, until)| (&**session, *until)).eq(expected));
        assert_eq!(list.list(0, NOW + 60).len(), 2);
        assert_eq!((list.list(NOW, NOW).len(), list.list(NOW + 1, NOW).len()), (3, 0));
    }
    // A line of an earlier version, which says nothing of when it came.
    std::fs::write(&path, format!("{cap} earlier\n")).unwrap();
    let list = Revocations::open(&path, NOW + 9).unwrap();
    list.revoke("later", NOW + 20).unwrap();
    let names = |since| list.list(since, NOW + 20).into_iter().map(|(session, _)| session);
    assert_eq!(names(NOW + 9).count(), 2);
    assert!(names(NOW + 10).eq(["later".into()]));
}

/// The key of a data directory that has no ring yet.
fn local_key(data: &std::path::Path) -> Result<SigningKey, key_file::KeyFileError> {
    let (id, secret) = key_file::open_or_make(&data.join("keys"))?;
    Ok(SigningKey::hmac(&id, &secret).unwrap())
}

#[test]
fn the_local_key_is_made_once_and_kept_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let first = local_key(dir.path()).unwrap();
    let again = local_key(dir.path()).unwrap();
    assert_eq!(first.id(), again.id());
    let token = sign(&Keyring::new(vec![first], None).unwrap(), parts());
    assert!(Keyring::new(vec![again], None).unwrap().verify(&token, NOW).is_ok());

    let path = key_file::path_in(&dir.path().join("keys"));
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&path) & 0o777, 0o600);
    assert_eq!(mode(path.parent().unwrap()) & 0o777, 0o700);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let message = local_key(dir.path()).unwrap_err().to_string();
    assert!(message.contains("chmod 600"), "{message}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    for damaged in ["", "AAAA", "no base64!", &"A".repeat(200)] {
        std::fs::write(&path, damaged).unwrap();
        let message = local_key(dir.path()).unwrap_err().to_string();
        assert!(message.contains("holds no key"), "{message}");
    }
}

/// Many processes that start on one new directory agree on its key.
#[test]
fn the_local_key_is_made_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let ids: Vec<String> = std::thread::scope(|scope| {
        let made: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| local_key(dir.path()).unwrap().id().to_owned()))
            .collect();
        made.into_iter().map(|made| made.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

/// The first rotation takes the key of before into a ring: its URLs go on, and its file stays.
#[test]
fn the_local_key_becomes_the_first_of_a_ring() {
    use crate::keyring::{How, Keys, Purpose, SealingKeys};
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("keys");
    let local = local_key(dir.path()).unwrap();
    let id = local.id().to_owned();
    let token = sign(&Keyring::new(vec![local], None).unwrap(), parts());

    let keys = Keys::open(&folder, SealingKeys::none()).unwrap();
    let now_ms = i64::try_from(NOW).unwrap() * 1_000;
    let ring_now = |at_ms| {
        let ring = keys.ring(Purpose::UrlTokens).unwrap();
        Keyring::from_ring(&ring, at_ms).unwrap()
    };
    assert_eq!(ring_now(now_ms).active().unwrap().id(), id);
    assert!(!folder.join("rings").exists(), "looking at it changes nothing");
    let next = keys.rotate(Purpose::UrlTokens, How::Overlap, now_ms).unwrap();
    let later = ring_now(now_ms + 60_000);
    assert_eq!(later.active().unwrap().id(), next);
    assert!(later.verify(&token, NOW + 60).is_ok());
    assert!(later.verify(&sign(&later, parts()), NOW).is_ok());
    assert!(key_file::path_in(&folder).exists());

    keys.rotate(Purpose::UrlTokens, How::Emergency, now_ms).unwrap();
    let emergency = ring_now(now_ms);
    assert_eq!(emergency.keys().len(), 1);
    assert_eq!(emergency.verify(&token, NOW), Err(Refusal::UnknownKey));
    // Another process that starts sees the ring, not the file of before.
    let again = Keys::open(&folder, SealingKeys::none()).unwrap();
    let ring = again.ring(Purpose::UrlTokens).unwrap();
    assert_eq!(
        Keyring::from_ring(&ring, now_ms).unwrap().verify(&token, NOW),
        Err(Refusal::UnknownKey)
    );
}

prop_compose! {
    fn grants()(
        life in 1..LIFE_SECONDS_MAX,
        early in 0_u64..1_000,
        prefixes in prop::collection::btree_set("/[a-d]{1,3}(/[a-z0-9._-]{1,8}x){0,2}/", 1..8),
        bits in 1_u8..64,
        network in prop::option::of((any::<bool>(), any::<u128>(), 1_u8..128)),
        session in prop::option::of("[A-Za-z0-9_-]{1,64}"),
        claims in prop::collection::btree_map("[a-z_]{1,24}", "[!-~]{1,64}", 0..8),
    ) -> Option<Grant> {
        let network = network.and_then(|(is_v4, bits, length)| match is_v4 {
            true => IpPrefixOf::v4(bits as u32, length % 32 + 1),
            false => IpPrefixOf::v6(bits, length),
        });
        Grant::new(GrantParts {
            expires: NOW + life,
            not_before: early.min(1) * (NOW - early),
            prefixes: prefixes.into_iter().collect(),
            classes: Classes::from_bits(bits).unwrap(),
            network,
            session,
            claims,
        }).ok()
    }
}

struct IpPrefixOf;

impl IpPrefixOf {
    fn v4(bits: u32, length: u8) -> Option<crate::config::IpPrefix> {
        crate::config::IpPrefix::new(std::net::Ipv4Addr::from_bits(bits).into(), length)
    }

    fn v6(bits: u128, length: u8) -> Option<crate::config::IpPrefix> {
        crate::config::IpPrefix::new(std::net::Ipv6Addr::from_bits(bits).into(), length)
    }
}

proptest! {
    /// What is signed is what is read, by a text of path characters.
    #[test]
    fn tokens_round_trip(grant in grants()) {
        let Some(grant) = grant else { return Ok(()) };
        let token = hmac_ring().sign(&grant, None, NOW).unwrap();
        prop_assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        prop_assert!(token.len() <= TOKEN_CHARS_MAX);
        prop_assert_eq!(hmac_ring().verify(&token, NOW), Ok(grant));
    }

    /// Any text is refused without a panic.
    #[test]
    fn any_text_is_refused(text in "\\PC{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(hmac_ring().verify(&text, NOW).is_err());
        let signed_like = URL_SAFE_NO_PAD.encode([b"\x01\x02k1", &bytes[..]].concat());
        prop_assert!(hmac_ring().verify(&signed_like, NOW).is_err());
        // The reader is safe without the signature in front of it, too.
        if let Ok(grant) = codec::read(&[b"\x01\x02k1", &bytes[..]].concat()) {
            prop_assert_eq!(codec::write("k1", &grant), [b"\x01\x02k1", &bytes[..]].concat());
        }
    }
}

#[test]
fn answer_claims_are_sorted() {
    assert!(ANSWER_CLAIMS.is_sorted());
}

/// Renewal is two claims that fit each other, or none.
#[test]
fn renewal_needs_both_claims() {
    let with = |renew: &str, until: &str| {
        let claims = [("renew", renew), ("renew_until", until)];
        let claims = claims.into_iter().filter(|(_, value)| !value.is_empty());
        let claims = claims.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Grant::new(GrantParts { claims, ..parts() })
    };
    let late = (NOW + 86_400).to_string();
    assert!(with("3600", &late).is_ok());
    for (renew, until) in [
        ("3600", ""),
        ("", late.as_str()),
        ("59", &late),
        ("2592001", &late),
        ("3600", &(NOW + 3_600).to_string()),
    ] {
        assert_eq!(with(renew, until), Err(GrantError::Renewal), "{renew} {until}");
    }
    assert!(matches!(with("1h", &late), Err(GrantError::Claim { .. })));
    let grant = with("3600", &late).unwrap();
    assert_eq!(grant.renewed(NOW), None);
    let next = grant.renewed(NOW + 3_000).unwrap();
    assert_eq!(next.parts().expires, NOW + 6_600);
    assert_eq!(next.renewed(NOW + 3_000), None, "it has just been made");
    // What outlives the memory of a revocation is not renewed.
    let far = with("3600", &(NOW + LIFE_SECONDS_MAX + 7_200).to_string()).unwrap();
    assert_eq!(far.renewed(NOW + 3_600), None);
}
