//! Time to make an access token, to check one for the first time, and every other time.
//!
//! `cargo bench -p bench --bench access_token` prints microseconds: the median and the least of the
//! rounds. The signature alone stands beside, since nothing can be faster that looks at it.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use platform::keyring::material::Material;
use platform::keyring::purpose::Algorithm;
use platform::keyring::{Key, PublicKey, Purpose, Ring};
use platform::token::{Issuer, KeySource, NewToken, Verifier, Withdrawn, jws::Jws};

const ROUNDS: usize = 51;
const NOW_MS: i64 = 1_800_000_000_000;
const ISSUER: &str = "https://api.example.org";

struct OneRing(Ring);

impl KeySource for OneRing {
    fn find(&self, id: &str, now_ms: i64) -> Option<Arc<PublicKey>> {
        self.0.find(id, now_ms)?.public().cloned()
    }
}

fn main() {
    println!("{:<44} {:>10} {:>10}", "what", "median µs", "least µs");
    for algorithm in [Algorithm::Rs256, Algorithm::EdDsa] {
        let name = algorithm.as_str();
        let material = Material::generate(algorithm).expect("it can be made");
        let key = Key::new(Purpose::AccessTokens, algorithm, material, (NOW_MS, NOW_MS));
        let ring = Ring::new(Purpose::AccessTokens, key.expect("a good key"));
        let issuer = Issuer::new(ISSUER);
        let new = NewToken {
            subject: "0198c0de-0000-7000-8000-000000000001",
            audience: "viewer",
            client_id: "web",
            scopes: &["profile", "playback"],
            tenant: "0198c0de-0000-7000-8000-000000000002",
            session: Some("0198c0de-0000-7000-8000-000000000003"),
            profile: Some("0198c0de-0000-7000-8000-000000000004"),
            tier: Some("premium"),
            epoch: 1,
            ..NewToken::default()
        };
        let issue = || issuer.issue(&ring, &new, NOW_MS).expect("it can be made").0;
        let token = issue();
        let verifier = |count_max| {
            let keys = Arc::new(OneRing(ring.clone()));
            Verifier::remembering(ISSUER, keys, Arc::new(Withdrawn::default()), count_max)
        };
        measure(&format!("{name}: made"), 20, issue);
        let public = ring.keys()[0].public().expect("a public half");
        let parts = Jws::read(&token).expect("a good token");
        measure(&format!("{name}: the signature alone"), 100, || {
            assert!(public.verify(parts.signed.as_bytes(), &parts.signature));
        });
        let forgets = verifier(0);
        measure(&format!("{name}: checked for the first time"), 100, || {
            forgets.verify(&token, "viewer", NOW_MS).expect("a good token")
        });
        let remembers = verifier(1_000);
        measure(&format!("{name}: checked every other time"), 2_000, || {
            remembers.verify(&token, "viewer", NOW_MS).expect("a good token")
        });
    }
}

fn measure<T>(name: &str, times: u32, run: impl Fn() -> T) {
    let mut micros = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..times {
            black_box(run());
        }
        micros.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(times));
    }
    micros.sort_by(f64::total_cmp);
    println!("{name:<44} {:>10.2} {:>10.2}", micros[ROUNDS / 2], micros[0]);
}
