//! What is signed is granted, and nothing else is: every byte of a token matters.

use proptest::prelude::*;

use super::*;

/// A scheme, a key that it takes, and a carrier that it has.
fn signers() -> Vec<(&'static str, SigningKey, Carrier)> {
    let rsa = || {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../vectors/cloudfront.json")).unwrap();
        signing_key_file("k", vectors["private_key_pem"].as_str().unwrap().as_bytes()).unwrap()
    };
    let p256 = || signing_key_file("k", super::uri_signing::SIGNING_JWK.as_bytes()).unwrap();
    let ed25519 = || SigningKey::ed25519_seed("k", &[5; 32]).unwrap();
    let secret = || SigningKey::secret("k", b"sixteen bytes or more");
    vec![
        ("cloudfront", rsa(), Carrier::Query),
        ("cloudfront", p256(), Carrier::Cookie),
        ("akamai", secret(), Carrier::Query),
        ("akamai", secret(), Carrier::Cookie),
        ("media-cdn", ed25519(), Carrier::Query),
        ("media-cdn", ed25519(), Carrier::Path),
        ("media-cdn", ed25519(), Carrier::Cookie),
        ("uri-signing", p256(), Carrier::Query),
        ("uri-signing", secret(), Carrier::Path),
        ("uri-signing", ed25519(), Carrier::Cookie),
        ("cat", secret(), Carrier::Query),
        ("cat", p256(), Carrier::Header),
        ("cat", ed25519(), Carrier::Cookie),
    ]
}

/// The part of the request that carries the token, to be changed.
fn carrying(ask: &Ask, is_in_target: bool, base: &str) -> (usize, String) {
    if is_in_target {
        // Behind the clean path: what the space covers is another test's.
        let common = ask.target.bytes().zip(base.bytes()).take_while(|(one, other)| one == other);
        return (common.count(), ask.target.clone());
    }
    (0, ask.headers.values().map(|value| value.to_str().unwrap()).collect::<Vec<_>>().join(";;"))
}

/// A text with one byte replaced, left out or doubled, and cut off there.
fn changes(text: &str, at: usize) -> Vec<String> {
    let byte = text.as_bytes()[at];
    let mut changes = vec![text[..at].to_owned()];
    for replacement in [b'A', b'0', byte ^ 1] {
        if replacement != byte && replacement.is_ascii_graphic() {
            let replacement = char::from(replacement).to_string();
            changes.push([&text[..at], &replacement, &text[at + 1..]].concat());
        }
    }
    // What stands between parameters or cookies is no part of a token.
    if !b"?&;".contains(&byte) {
        changes.push([&text[..at], &text[at + 1..]].concat());
        changes.push([&text[..=at], &text[at..]].concat());
    }
    changes
}

/// The request with another text where the token stood.
fn carry(ask: &Ask, is_in_target: bool, text: &str) -> Ask {
    let mut changed = ask.clone();
    if is_in_target {
        return changed.target(text);
    }
    let name = ask.headers.keys().next().unwrap().clone();
    changed.headers.clear();
    for value in text.split(";;") {
        changed.headers.append(&name, HeaderValue::from_str(value).unwrap());
    }
    changed
}

/// Each byte of each token, in turn.
#[test]
fn no_byte_of_a_token_can_be_changed() {
    for (name, key, carrier) in signers() {
        let request = SignRequest {
            space: SignedSpace::Prefix("https://h.example/a/"),
            carrier,
            ..SignRequest::new("https://h.example/a/b.m3u8", 4_000_000_000)
        };
        let signed = scheme(name).sign(&request, &key).unwrap();
        let keys = keys_of(&key);
        let mut ask = Ask::new(&signed.url, 1_000_000_000);
        for (name, value) in &signed.cookies {
            ask = ask.header("cookie", &format!("{name}={value}"));
        }
        for (name, value) in &signed.headers {
            ask = ask.header(name, value);
        }
        let granted = ask.verify(&scheme(name), &keys).unwrap();
        assert_eq!(granted.target, "/a/b.m3u8");
        let is_in_target = matches!(carrier, Carrier::Query | Carrier::Path);
        let (start, text) = carrying(&ask, is_in_target, "/a/b.m3u8");
        for at in start..text.len() {
            for changed in changes(&text, at) {
                let verdict = carry(&ask, is_in_target, &changed).verify(&scheme(name), &keys);
                // In the path form another file below the prefix is no other token.
                let is_file = carrier == Carrier::Path
                    && verdict.as_ref().is_ok_and(|grant| grant.target != granted.target);
                assert!(
                    verdict.is_err() || is_file && at >= text.len() - "/b.m3u8".len(),
                    "{name} {carrier:?}: {changed} is {verdict:?}"
                );
            }
        }
    }
}

fn segment() -> impl Strategy<Value = String> {
    "[a-z0-9_-]{1,12}"
}

proptest! {
    /// Every URL below the prefix is granted until the end, none elsewhere, and nothing of the
    /// token is left in what goes on.
    #[test]
    fn what_is_signed_is_granted_and_nothing_else(
        index in 0..13_usize,
        folder in segment(),
        file in segment(),
        other in segment(),
        life in 1..100_000_u64,
    ) {
        let (name, key, carrier) = signers().swap_remove(index);
        let prefix = format!("https://h.example/{folder}/");
        let url = format!("{prefix}{file}.m3u8");
        let request = SignRequest {
            space: SignedSpace::Prefix(&prefix),
            carrier,
            ..SignRequest::new(&url, 1_000 + life)
        };
        let signed = scheme(name).sign(&request, &key).unwrap();
        let keys = keys_of(&key);
        let ask = Ask::signed(&signed, 1_000 + life - 1);
        let grant = ask.verify(&scheme(name), &keys).unwrap();
        prop_assert_eq!(&grant.target, &format!("/{folder}/{file}.m3u8"));
        prop_assert_eq!(grant.expires_at, 1_000 + life);
        let late = Ask { now: 1_000 + life, ..ask.clone() };
        prop_assert_eq!(code(late.verify(&scheme(name), &keys)), "token_expired");
        let elsewhere = ask.clone().target(&ask.target.replacen(&folder, &format!("{folder}{other}"), 1));
        prop_assert!(elsewhere.verify(&scheme(name), &keys).is_err());
        let strange = Ask { authority: format!("not-{other}.example"), ..ask };
        // Akamai's paths are those of any host.
        prop_assert!(name == "akamai" || strange.verify(&scheme(name), &keys).is_err());
    }

    /// One URL on its own is granted as such and with CMCD, and with no other query.
    #[test]
    fn one_url_is_one_url(index in 0..13_usize, file in segment(), query in segment()) {
        let (name, key, carrier) = signers().swap_remove(index);
        prop_assume!(name != "media-cdn" || carrier == Carrier::Query);
        let url = format!("https://h.example/{file}.m3u8?x={query}");
        let request = SignRequest { carrier, ..SignRequest::new(&url, 100) };
        let signed = scheme(name).sign(&request, &key).unwrap();
        let keys = keys_of(&key);
        let ask = Ask::signed(&signed, 99);
        let grant = ask.verify(&scheme(name), &keys).unwrap();
        prop_assert_eq!(&grant.target, &format!("/{file}.m3u8?x={query}"));
        let with_cmcd = ask.clone().target(&format!("{}&CMCD=bl%3D1", ask.target));
        prop_assert_eq!(with_cmcd.verify(&scheme(name), &keys).unwrap().target, grant.target);
        let with_more = ask.clone().target(&format!("{}&y={query}", ask.target));
        prop_assert!(with_more.verify(&scheme(name), &keys).is_err());
    }
}
