//! Tokens whose slow signature was found good already.
//!
//! A viewer shows one token with each segment. HMAC costs less than a look-up; Ed25519 costs tens
//! of microseconds, once a token instead of once a request. Bad signatures are not remembered:
//! whoever forges could fill any memory with them.

use std::collections::HashSet;
use std::sync::Mutex;

use aws_lc_rs::digest::{SHA256, digest};

/// Tokens of one generation; two are kept, at about 50 bytes each.
const GENERATION_MAX: usize = 16_384;

/// By the digest of the whole token, signature included, so that nothing else has its verdict.
type Digest = [u8; 32];

/// A set that forgets by halves: a full generation becomes the old one, whose place it takes.
#[derive(Debug, Default)]
pub(super) struct Verdicts {
    generations: Mutex<[HashSet<Digest>; 2]>,
}

impl Verdicts {
    /// The verdict on `token`: a remembered good one, or that of `verify`.
    pub(super) fn get_or(&self, token: &[u8], verify: impl FnOnce() -> bool) -> bool {
        let digest: Digest =
            digest(&SHA256, token).as_ref().try_into().expect("SHA-256 has 32 bytes");
        if self.is_known(&digest) {
            return true;
        }
        let is_good = verify();
        if is_good {
            self.keep(digest);
        }
        is_good
    }

    fn is_known(&self, digest: &Digest) -> bool {
        let Ok(mut generations) = self.generations.lock() else { return false };
        if generations[0].contains(digest) {
            return true;
        }
        let is_old = generations[1].contains(digest);
        if is_old {
            put(&mut generations, *digest);
        }
        is_old
    }

    fn keep(&self, digest: Digest) {
        if let Ok(mut generations) = self.generations.lock() {
            put(&mut generations, digest);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.generations.lock().unwrap().iter().map(HashSet::len).sum()
    }
}

fn put(generations: &mut [HashSet<Digest>; 2], digest: Digest) {
    if GENERATION_MAX <= generations[0].len() {
        generations[1] = std::mem::take(&mut generations[0]);
    }
    generations[0].insert(digest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_ones_are_remembered_within_bounds() {
        let verdicts = Verdicts::default();
        assert!(!verdicts.get_or(b"bad", || false));
        assert_eq!(verdicts.len(), 0, "bad ones are not kept");
        assert!(verdicts.get_or(b"good", || true));
        assert!(verdicts.get_or(b"good", || unreachable!("it is known")));
        for number in 0..3 * GENERATION_MAX {
            assert!(verdicts.get_or(&number.to_be_bytes(), || true));
            // One that is shown all the time is never forgotten.
            assert!(verdicts.get_or(b"good", || unreachable!("it is known")));
        }
        assert!(verdicts.len() <= 2 * GENERATION_MAX, "{}", verdicts.len());
    }
}
