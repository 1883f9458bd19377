//! What a check of a CDN's token costs: the first time a token is seen, and each time after.
//!
//! `cargo bench -p bench --bench cdn_tokens` prints microseconds per request: the median of the
//! rounds. A round takes 64 tokens that no check has seen, then the same again.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::black_box;
use std::time::Instant;

use edge::cdn::{
    Carrier, Circumstances, KeySet, Policy, RequestParts, Scheme, SignRequest, SignedSpace,
    SigningKey, signing_key_file,
};
use http::{HeaderMap, Method};
use serde_json::Value;

const ROUNDS: usize = 51;
const TOKENS: u64 = 64;
const NOW: u64 = 1_700_000_000;
const PREFIX: &str = "https://cdn.example.com/vod/film/";
const URL: &str = "https://cdn.example.com/vod/film/video/1080p/seg-00042.m4s";
const P256: &str = r#"{"kty":"EC","crv":"P-256",
    "x":"be807S4O7dzB6I4hTiCUvmxCI6FuxWba1xYBlLSSsZ8",
    "y":"rOGC4vI69g-WF9AGEVI37sNNwbjIzBxSjLvIL7f3RBA",
    "d":"yaowezrCLTU6yIwUL5RQw67cHgvZeMTLVZXjUGb1A1M"}"#;

fn main() {
    let vectors = include_str!("../../edge/src/cdn/vectors/cloudfront.json");
    let vectors: Value = serde_json::from_str(vectors).expect("JSON");
    let pem = vectors["private_key_pem"].as_str().expect("a key").to_owned();
    let rsa = move || signing_key_file("k", pem.as_bytes()).expect("a key");
    let p256 = || signing_key_file("k", P256.as_bytes()).expect("a key");
    let secret = || SigningKey::secret("k", &[7; 32]);
    let ed25519 = || SigningKey::ed25519_seed("k", &[7; 32]).expect("32 bytes");

    println!("{:<36} {:>9} {:>10} {:>10}", "token", "bytes", "first µs", "again µs");
    row("cloudfront, RSA, SHA-1", "cloudfront", rsa(), true);
    row("cloudfront, RSA, SHA-256", "cloudfront", rsa(), false);
    row("cloudfront, P-256, SHA-1", "cloudfront", p256(), true);
    row("cloudfront, P-256, SHA-256", "cloudfront", p256(), false);
    row("akamai, HMAC", "akamai", secret(), false);
    row("media-cdn, Ed25519", "media-cdn", ed25519(), false);
    row("uri-signing, HMAC", "uri-signing", secret(), false);
    row("uri-signing, P-256", "uri-signing", p256(), false);
    row("cat, HMAC", "cat", secret(), false);
    row("cat, P-256", "cat", p256(), false);
    row("cat, Ed25519", "cat", ed25519(), false);
}

fn row(what: &str, scheme: &str, key: SigningKey, sha1: bool) {
    let scheme = Scheme::from_name(scheme).expect("known");
    let targets: Vec<String> = (0..TOKENS)
        .map(|number| {
            let request = SignRequest {
                space: SignedSpace::Prefix(PREFIX),
                carrier: Carrier::Query,
                sha1,
                ..SignRequest::new(URL, NOW + 1_000 + number)
            };
            let url = scheme.sign(&request, &key).expect("signs").url;
            url.strip_prefix("https://cdn.example.com").expect("this host").to_owned()
        })
        .collect();
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let keys = KeySet::new(vec![key.verifying().expect("a key")]);
        // What is allocated once a set is not a token's cost.
        verify(&scheme, &targets[0], &keys);
        first.push(round(&scheme, &targets[1..], &keys));
        again.push(round(&scheme, &targets[1..], &keys));
    }
    println!(
        "{what:<36} {:>9} {:>10.2} {:>10.2}",
        targets[0].len(),
        median(&mut first),
        median(&mut again)
    );
}

/// Microseconds per request.
fn round(scheme: &Scheme, targets: &[String], keys: &KeySet) -> f64 {
    let start = Instant::now();
    for target in targets {
        verify(scheme, target, keys);
    }
    start.elapsed().as_secs_f64() * 1e6 / targets.len() as f64
}

fn verify(scheme: &Scheme, target: &str, keys: &KeySet) {
    let headers = HeaderMap::new();
    let request = RequestParts {
        method: &Method::GET,
        scheme: "https",
        authority: "cdn.example.com",
        target,
        headers: &headers,
        alpn: None,
        country: None,
    };
    let circumstances = Circumstances {
        now: NOW,
        client_address: [203, 0, 113, 7].into(),
        policy: Policy::default(),
    };
    black_box(scheme.verify(&request, keys, &circumstances).expect("granted"));
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
