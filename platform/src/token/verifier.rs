//! Checks access tokens.
//!
//! A token that was checked is remembered by its SHA-256 until it expires, so that a client that
//! asks often costs one signature. Everything that can change meanwhile is looked at every time:
//! the clock, the audience that is asked for, whether the key still counts, and the standing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use moka::Expiry;
use moka::sync::Cache;

use super::claims::Claims;
use super::jws::Jws;
use super::standing::Standing;
use super::{LEEWAY_SECONDS, LIFE_SECONDS_MAX, Refusal};
use crate::keyring::{Keys, PublicKey, Purpose};

/// Tokens that are remembered unless it is said otherwise: about 20 MB.
const REMEMBERED_MAX: u64 = 20_000;

/// Where keys to verify with come from: rings, or public keys alone.
pub trait KeySource: Send + Sync {
    /// The key called `id`, if what it signed counts at `now_ms`.
    fn find(&self, id: &str, now_ms: i64) -> Option<Arc<PublicKey>>;
}

impl KeySource for Keys {
    fn find(&self, id: &str, now_ms: i64) -> Option<Arc<PublicKey>> {
        let ring = self.ring(Purpose::AccessTokens).ok()?;
        ring.find(id, now_ms)?.public().cloned()
    }
}

/// Checks tokens of one issuer.
pub struct Verifier {
    issuer: String,
    keys: Arc<dyn KeySource>,
    standing: Arc<dyn Standing>,
    remembered: Cache<[u8; 32], Arc<Remembered>>,
}

struct Remembered {
    claims: Arc<Claims>,
    key_id: String,
    keep: Duration,
}

/// Forgets each token when it expires. This is for memory alone: whether a token has expired is
/// told by the time that the caller brings.
struct UntilExpired;

impl Expiry<[u8; 32], Arc<Remembered>> for UntilExpired {
    fn expire_after_create(
        &self,
        _: &[u8; 32],
        remembered: &Arc<Remembered>,
        _: Instant,
    ) -> Option<Duration> {
        Some(remembered.keep)
    }
}

impl Verifier {
    /// `issuer` is what `iss` has to be.
    pub fn new(issuer: &str, keys: Arc<dyn KeySource>, standing: Arc<dyn Standing>) -> Self {
        Self::remembering(issuer, keys, standing, REMEMBERED_MAX)
    }

    /// A verifier that remembers at most `count_max` tokens; 0 remembers none.
    pub fn remembering(
        issuer: &str,
        keys: Arc<dyn KeySource>,
        standing: Arc<dyn Standing>,
        count_max: u64,
    ) -> Self {
        let remembered = Cache::builder().max_capacity(count_max).expire_after(UntilExpired);
        Self { issuer: issuer.to_owned(), keys, standing, remembered: remembered.build() }
    }

    /// What `token` says, if it is valid at `now_ms` for `audience`.
    ///
    /// # Errors
    /// Why it is not. A client is told no more than that it has to sign in.
    pub fn verify(&self, token: &str, audience: &str, now_ms: i64) -> Result<Arc<Claims>, Refusal> {
        if super::TOKEN_BYTES_MAX < token.len() {
            return Err(Refusal::TooLong);
        }
        let name: [u8; 32] =
            digest(&SHA256, token.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes");
        let claims = match self.remembered.get(&name) {
            Some(remembered) => {
                // A revoked key takes its tokens along.
                self.keys.find(&remembered.key_id, now_ms).ok_or(Refusal::UnknownKey)?;
                let claims = remembered.claims.clone();
                check_times(&claims, now_ms)?;
                claims
            }
            None => {
                let (claims, key_id) = self.check(token, now_ms)?;
                let claims = Arc::new(claims);
                let left_s = claims.expires_s + LEEWAY_SECONDS - now_ms.div_euclid(1_000);
                let keep = Duration::from_secs(u64::try_from(left_s).unwrap_or(0));
                let remembered = Remembered { claims: claims.clone(), key_id, keep };
                self.remembered.insert(name, Arc::new(remembered));
                claims
            }
        };
        if !claims.audiences.iter().any(|held| held == audience) {
            return Err(Refusal::Audience);
        }
        if !self.standing.counts(&claims) {
            return Err(Refusal::Withdrawn);
        }
        Ok(claims)
    }

    /// Everything that is true of the token once and for all, and its times.
    fn check(&self, token: &str, now_ms: i64) -> Result<(Claims, String), Refusal> {
        let jws = Jws::read(token)?;
        if !jws.header.is_access_token() {
            return Err(Refusal::Type);
        }
        let key = self.keys.find(&jws.header.kid, now_ms).ok_or(Refusal::UnknownKey)?;
        if jws.header.alg != key.algorithm().as_str() {
            return Err(Refusal::Algorithm);
        }
        if !key.verify(jws.signed.as_bytes(), &jws.signature) {
            return Err(Refusal::Signature);
        }
        let claims = Claims::read(&jws.claims()?)?;
        if claims.issuer != self.issuer {
            return Err(Refusal::Issuer);
        }
        check_times(&claims, now_ms)?;
        Ok((claims, jws.header.kid))
    }
}

/// RFC 7519 4.1.4 to 4.1.6, with leeway for clocks that differ.
fn check_times(claims: &Claims, now_ms: i64) -> Result<(), Refusal> {
    let now_s = now_ms.div_euclid(1_000);
    if LIFE_SECONDS_MAX < claims.expires_s - claims.issued_s {
        return Err(Refusal::Life);
    }
    if claims.expires_s + LEEWAY_SECONDS <= now_s {
        return Err(Refusal::Expired);
    }
    let begins_s = claims.not_before_s.map_or(claims.issued_s, |time| time.max(claims.issued_s));
    if now_s + LEEWAY_SECONDS < begins_s {
        return Err(Refusal::NotYet);
    }
    Ok(())
}
