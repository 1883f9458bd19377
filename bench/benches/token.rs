//! Time to let a signed request in: reading the target, the signature, what the token says.
//!
//! `cargo bench -p bench --bench token` prints nanoseconds a request: the median and the least of
//! the rounds. The MAC alone stands beside, since no check can be faster than that.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::black_box;
use std::time::Instant;

use edge::gate::admit;
use edge::target::SignedTarget;
use platform::url_token::grant::GrantParts;
use platform::url_token::{Classes, Grant, Keyring, Revocations, SigningKey};

const ROUNDS: usize = 101;
const NOW: u64 = 1_800_000_000;
const SEED: [u8; 32] = [7; 32];

fn main() {
    println!("{:<44} {:>6} {:>10} {:>10}", "check", "chars", "median ns", "least ns");
    let ring = |key| Keyring::new(vec![key], None).expect("one key");
    let hmac = ring(SigningKey::hmac("k1", &SEED).expect("a good key"));
    let ed25519 = ring(SigningKey::ed25519("e1", &SEED).expect("a good key"));
    let path = "/vod/film/fmp4/hd/v1-0123456789/17.m4s";

    let token = hmac.sign(&grant(), None, NOW).expect("it can be signed");
    let mac = aws_mac();
    measure("HMAC-SHA256 of as many bytes, alone", token.len(), 2_000, || {
        mac(token.len() * 3 / 4 - 32)
    });
    row("HMAC-SHA256: verify and read", &hmac, &token, 2_000);
    let signed = format!("/~{token}{path}");
    let revoked = Revocations::default();
    let check = |keys: &Keyring, signed: &str| {
        let request = SignedTarget::parse(signed).expect("a good target");
        admit(request, None, keys, &revoked, NOW).expect("it is admitted")
    };
    let chars = signed.len();
    measure("HMAC-SHA256: all of admission", chars, 2_000, || check(&hmac, &signed));
    revoked.revoke("another-session", NOW).expect("there is room");
    measure("HMAC-SHA256: with sessions revoked", chars, 2_000, || check(&hmac, &signed));
    let bare = format!("{path}?CMCD=br%3D1000%2Csid%3D%22a%22");
    measure("target alone", bare.len(), 2_000, || SignedTarget::parse(&bare));

    let token = ed25519.sign(&grant(), None, NOW).expect("it can be signed");
    measure("Ed25519: first time", token.len(), 20, || {
        ring(SigningKey::ed25519("e1", &SEED).expect("a good key")).verify(&token, NOW)
    });
    row("Ed25519: every other time", &ed25519, &token, 2_000);
}

fn grant() -> Grant {
    let parts = GrantParts {
        expires: NOW + 43_200,
        not_before: 0,
        prefixes: vec!["/ad/".to_owned(), "/key/".to_owned(), "/vod/film/".to_owned()],
        classes: Classes::ALL,
        network: None,
        session: Some("AZNjq5ZvQ0C1m3bq7Yw2Lw".to_owned()),
        claims: std::collections::BTreeMap::new(),
    };
    Grant::new(parts).expect("a good grant")
}

/// A MAC over so many bytes, as the keyring computes it.
fn aws_mac() -> impl Fn(usize) -> aws_lc_rs::hmac::Tag {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &SEED);
    let message = vec![1; 4_096];
    move |len| aws_lc_rs::hmac::sign(&key, &message[..len])
}

fn row(name: &str, keys: &Keyring, token: &str, times: u32) {
    measure(name, token.len(), times, || keys.verify(token, NOW).expect("a good token"));
}

fn measure<T>(name: &str, chars: usize, times: u32, run: impl Fn() -> T) {
    let mut nanos = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..times {
            black_box(run());
        }
        nanos.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(times));
    }
    nanos.sort_by(f64::total_cmp);
    println!("{name:<44} {chars:>6} {:>10.0} {:>10.0}", nanos[ROUNDS / 2], nanos[0]);
}
