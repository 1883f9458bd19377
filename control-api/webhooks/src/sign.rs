//! Standard Webhooks signatures, version 1: HMAC-SHA256 over `id.timestamp.body`.
//!
//! Each secret that counts signs; the receiver takes the one it knows. Pure.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// What a secret begins with, as it is shown.
pub const PREFIX: &str = "whsec_";
/// The specification asks for 24 to 64 bytes.
pub const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The bytes that sign.
#[derive(Clone, Eq, PartialEq)]
pub struct SigningKey(Zeroizing<Vec<u8>>);

/// The text is no secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no webhook secret: write `whsec_` and 24 to 64 bytes in base64")]
pub struct KeyError;

impl SigningKey {
    /// # Errors
    /// When there are too few bytes, or too many.
    pub fn new(bytes: Vec<u8>) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(bytes);
        if KEY_BYTES.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(KeyError) }
    }

    /// Reads `whsec_…`; the prefix may be missing.
    ///
    /// # Errors
    /// When it is not base64, or of another length.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bare = text.strip_prefix(PREFIX).unwrap_or(text);
        Self::new(STANDARD.decode(bare).map_err(|_| KeyError)?)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// `whsec_…`: for whoever is to check what this signs.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&*self.0))
    }

    /// `v1,…`.
    pub fn sign(&self, id: &str, timestamp_seconds: i64, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut context = hmac::Context::with_key(&key);
        context.update(format!("{id}.{timestamp_seconds}.").as_bytes());
        context.update(body);
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// The value of `webhook-signature`: that of every key, apart by spaces.
pub fn signatures<'a>(
    keys: impl IntoIterator<Item = &'a SigningKey>,
    id: &str,
    timestamp_seconds: i64,
    body: &[u8],
) -> String {
    let all: Vec<_> = keys.into_iter().map(|key| key.sign(id, timestamp_seconds, body)).collect();
    all.join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// From the specification's own libraries.
    #[test]
    fn the_published_vector() {
        let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let signature = key.sign(id, 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let both = signatures([&key, &key], id, 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(both, format!("{signature} {signature}"));
    }

    #[test]
    fn secrets_are_shown_as_they_are_read_and_never_by_chance() {
        let text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let key = SigningKey::parse(text).unwrap();
        assert_eq!(key.reveal(), text);
        assert_eq!(format!("{key:?}"), "SigningKey(…)");
        for bad in ["", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!!", &"A".repeat(400)] {
            assert_eq!(SigningKey::parse(bad).err(), Some(KeyError), "{bad}");
        }
    }

    proptest! {
        /// Another body, time or id has another signature; what is signed can't be cut differently.
        #[test]
        fn every_part_counts(
            key in prop::collection::vec(any::<u8>(), 24..=64),
            id in "[a-z0-9-]{1,40}",
            at in 0..4_000_000_000_i64,
            body in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let key = SigningKey::new(key).unwrap();
            let signature = key.sign(&id, at, &body);
            prop_assert_eq!(SigningKey::parse(&key.reveal()).unwrap().sign(&id, at, &body), &*signature);
            prop_assert_ne!(key.sign(&format!("{id}x"), at, &body), &*signature);
            prop_assert_ne!(key.sign(&id, at + 1, &body), &*signature);
            prop_assert_ne!(key.sign(&id, at, &[&body[..], b" "].concat()), &*signature);
        }
    }
}
