//! Keys of signed URLs: which there are, which one signs, and from when until when each counts.
//!
//! The algorithm belongs to the key and never to the token, so that no token can choose how it is
//! checked. A key is replaced with overlap: the new one is configured beside the old one and made
//! active; the old one verifies until the last of its tokens has expired. A keyring of public keys
//! alone verifies and can't sign, which is what an edge needs that stands apart.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};

use super::codec::{self, FormatError};
use super::verdicts::Verdicts;
use super::{Grant, LEEWAY_SECONDS, LIFE_SECONDS_MAX, Refusal, TOKEN_CHARS_MAX};
use crate::config;
use crate::keyring::Ring;
use crate::keyring::material::Material as RingMaterial;

/// Keys in one ring.
pub const KEYS_MAX: usize = 16;
/// Shortest and longest secret of HMAC-SHA256: as long as its output, and one block.
const HMAC_BYTES_MIN: usize = 32;
const HMAC_BYTES_MAX: usize = 64;
const HMAC_SIGNATURE_BYTES: usize = 32;
const ED25519_KEY_BYTES: usize = 32;
const ED25519_SIGNATURE_BYTES: usize = 64;

/// One key as it is configured, its texts read.
pub struct SigningKey {
    id: String,
    material: Material,
    /// Seconds since 1970.
    not_before: u64,
    not_after: u64,
}

enum Material {
    Hmac(Box<hmac::Key>),
    Ed25519 { pair: Option<Box<Ed25519KeyPair>>, public: [u8; ED25519_KEY_BYTES] },
}

/// The keys that are known here.
#[derive(Debug, Default)]
pub struct Keyring {
    keys: Vec<SigningKey>,
    active: Option<usize>,
    /// Ends with the ring, so that a key that is taken away takes its verdicts along.
    verdicts: Verdicts,
}

/// Why keys can't be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyringError {
    #[error("signing key `{id}`: {cause}; {cure}")]
    Key { id: String, cause: &'static str, cure: &'static str },

    #[error("two signing keys are called `{id}`; a key id is never used again for another key")]
    Twice { id: String },

    #[error("{count} signing keys, at most {KEYS_MAX} are taken; remove those that have expired")]
    TooMany { count: usize },

    #[error("of several signing keys that can sign, one and no more needs `active = true`")]
    Active,
}

/// Why nothing was signed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignError {
    #[error("no key here can sign: the keyring holds public keys alone")]
    NoKey,

    #[error("there is no key `{id}` that can sign; configure it as [[signing_key]] with a secret")]
    Unknown { id: String },

    #[error("the key `{id}` is not valid now, or ends before the token does")]
    NotValid { id: String },

    #[error(
        "the token would have expired already, or live longer than {} days", LIFE_SECONDS_MAX / 86_400
    )]
    Life,

    #[error(
        "the token would have {chars} characters, more than {TOKEN_CHARS_MAX}; open less by one"
    )]
    TooLong { chars: usize },
}

impl SigningKey {
    /// A key of HMAC-SHA256.
    ///
    /// # Errors
    /// When the id or the secret is of the wrong length or form.
    pub fn hmac(id: &str, secret: &[u8]) -> Result<Self, KeyringError> {
        if !(HMAC_BYTES_MIN..=HMAC_BYTES_MAX).contains(&secret.len()) {
            let cause = "the secret of HMAC-SHA256 has 32 to 64 bytes";
            return Err(fail(id, cause, "make one with `openssl rand -base64 32`"));
        }
        Self::new(id, Material::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret))))
    }

    /// A key pair of Ed25519 (RFC 8032 5.1.5) by its private seed.
    ///
    /// # Errors
    /// As [`Self::hmac`].
    pub fn ed25519(id: &str, seed: &[u8]) -> Result<Self, KeyringError> {
        let cure = "write the base64 form of the 32 bytes of RFC 8032";
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| fail(id, "the secret of Ed25519 is a seed of 32 bytes", cure))?;
        let public = pair.public_key().as_ref().try_into();
        let public = public.map_err(|_| fail(id, "the public key has no 32 bytes", cure))?;
        Self::new(id, Material::Ed25519 { pair: Some(Box::new(pair)), public })
    }

    /// A public key of Ed25519, which verifies and can't sign.
    ///
    /// # Errors
    /// As [`Self::hmac`].
    pub fn ed25519_public(id: &str, public: &[u8]) -> Result<Self, KeyringError> {
        let public = public.try_into().map_err(|_| {
            fail(id, "a public key of Ed25519 has 32 bytes", "write their base64 form")
        })?;
        Self::new(id, Material::Ed25519 { pair: None, public })
    }

    fn new(id: &str, material: Material) -> Result<Self, KeyringError> {
        if !codec::is_key_id(id) {
            let cure = "write 1 to 16 letters, digits, `-` and `_`";
            return Err(fail(&id.chars().take(32).collect::<String>(), "this is no id", cure));
        }
        Ok(Self { id: id.to_owned(), material, not_before: 0, not_after: u64::MAX })
    }

    /// The key, counting only from `not_before` to before `not_after`, in seconds since 1970.
    #[must_use]
    pub fn valid_within(mut self, not_before: u64, not_after: u64) -> Self {
        (self.not_before, self.not_after) = (not_before, not_after);
        self
    }

    /// # Errors
    /// When a text of the configured key can't be read, or key and algorithm don't fit.
    pub fn from_config(configured: &config::SigningKey) -> Result<Self, KeyringError> {
        let id = &configured.id;
        let secret = configured.secret.as_ref().map(|secret| read_base64(id, secret.expose()));
        let public = configured.public.as_ref().map(|public| read_base64(id, public));
        let key = match (configured.algorithm, secret.transpose()?, public.transpose()?) {
            (config::SigningAlgorithm::HmacSha256, Some(secret), None) => Self::hmac(id, &secret),
            (config::SigningAlgorithm::Ed25519, None, Some(public)) => {
                Self::ed25519_public(id, &public)
            }
            (config::SigningAlgorithm::Ed25519, Some(seed), None) => Self::ed25519(id, &seed),
            (config::SigningAlgorithm::HmacSha256, _, _) => {
                let cure = "set `secret` alone";
                Err(fail(id, "hmac-sha256 has a secret and no public key", cure))
            }
            (config::SigningAlgorithm::Ed25519, _, _) => {
                let cure = "where URLs are signed set `secret`, elsewhere `public`";
                Err(fail(id, "ed25519 takes a secret or a public key", cure))
            }
        }?;
        let time = |text: &Option<String>, absent: u64| match text {
            None => Ok(absent),
            Some(text) => jiff::Timestamp::from_str(text)
                .ok()
                .and_then(|time| u64::try_from(time.as_second()).ok())
                .ok_or_else(|| fail(id, "a time can't be read", "write 2026-01-31T00:00:00Z")),
        };
        let (not_before, not_after) =
            (time(&configured.not_before, 0)?, time(&configured.not_after, u64::MAX)?);
        if not_after <= not_before {
            let cure = "let not_after be later than not_before";
            return Err(fail(id, "it is never valid", cure));
        }
        Ok(key.valid_within(not_before, not_after))
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// The public half, for an edge that verifies alone. An HMAC key has none.
    pub fn public(&self) -> Option<String> {
        match &self.material {
            Material::Hmac(_) => None,
            Material::Ed25519 { public, .. } => Some(STANDARD.encode(public)),
        }
    }

    fn can_sign(&self) -> bool {
        matches!(&self.material, Material::Hmac(_) | Material::Ed25519 { pair: Some(_), .. })
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match &self.material {
            Material::Hmac(key) => Some(hmac::sign(key, message).as_ref().to_vec()),
            Material::Ed25519 { pair, .. } => Some(pair.as_ref()?.sign(message).as_ref().to_vec()),
        }
    }

    fn signature_bytes(&self) -> usize {
        match self.material {
            Material::Hmac(_) => HMAC_SIGNATURE_BYTES,
            Material::Ed25519 { .. } => ED25519_SIGNATURE_BYTES,
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.id)
    }
}

fn fail(id: &str, cause: &'static str, cure: &'static str) -> KeyringError {
    KeyringError::Key { id: id.to_owned(), cause, cure }
}

/// Either alphabet, padded or not: what `openssl`, JWK and cloud consoles print.
fn read_base64(id: &str, text: &str) -> Result<Vec<u8>, KeyringError> {
    let text = text.trim();
    let read = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
    let read = read.or_else(|_| URL_SAFE_NO_PAD.decode(text));
    read.map_err(|_| fail(id, "the key is no base64", "make one with `openssl rand -base64 32`"))
}

impl Keyring {
    /// A ring of `keys`, of which the one called `active` signs. Without a name, the only one that
    /// can does.
    ///
    /// # Errors
    /// When two have one id, there are too many, or it is not clear which one signs.
    pub fn new(keys: Vec<SigningKey>, active: Option<&str>) -> Result<Self, KeyringError> {
        if KEYS_MAX < keys.len() {
            return Err(KeyringError::TooMany { count: keys.len() });
        }
        for (index, key) in keys.iter().enumerate() {
            if keys[..index].iter().any(|other| other.id == key.id) {
                return Err(KeyringError::Twice { id: key.id.clone() });
            }
        }
        let mut able = keys.iter().enumerate().filter(|(_, key)| key.can_sign());
        let active = match active {
            Some(id) => {
                let found = able.find(|(_, key)| key.id == id).ok_or(KeyringError::Active)?;
                Some(found.0)
            }
            None => match (able.next(), able.next()) {
                (Some(_), Some(_)) => return Err(KeyringError::Active),
                (first, _) => first.map(|(index, _)| index),
            },
        };
        Ok(Self { keys, active, verdicts: Verdicts::default() })
    }

    /// The ring that the configuration describes. Empty where it names no key.
    ///
    /// # Errors
    /// What is wrong with a key, or with all of them together.
    pub fn from_config(configured: &[config::SigningKey]) -> Result<Self, KeyringError> {
        let keys = configured.iter().map(SigningKey::from_config).collect::<Result<_, _>>()?;
        let mut active = configured.iter().filter(|key| key.active).map(|key| key.id.as_str());
        match (active.next(), active.next()) {
            (_, Some(_)) => Err(KeyringError::Active),
            (active, None) => Self::new(keys, active),
        }
    }

    /// The keys of a ring that count at `now_ms`, of which the active one signs.
    ///
    /// # Errors
    /// When there are too many, or none is active.
    pub fn from_ring(ring: &Ring, now_ms: i64) -> Result<Self, KeyringError> {
        let mut keys = Vec::new();
        // Of many that count, the latest: the others' tokens are refused, which a busy hand at
        // `keys rotate` is told by the list.
        let counting: Vec<_> = ring.states(now_ms).filter(|(_, state)| state.counts()).collect();
        let older = counting.len().saturating_sub(KEYS_MAX);
        for (key, _) in &counting[older..] {
            let cure = "restore the ring from a backup";
            let secret = key.material().and_then(RingMaterial::secret);
            let secret = secret.ok_or_else(|| fail(key.id(), "it holds no secret", cure))?;
            keys.push(SigningKey::hmac(key.id(), secret)?);
        }
        let active = ring.active(now_ms).map_err(|_| KeyringError::Active)?;
        Self::new(keys, Some(active.id()))
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub fn keys(&self) -> &[SigningKey] {
        &self.keys
    }

    /// The key that signs.
    pub fn active(&self) -> Option<&SigningKey> {
        self.active.map(|index| &self.keys[index])
    }

    /// The token that says `grant`, signed by the active key or the one called `key_id`.
    ///
    /// # Errors
    /// When no such key can sign at `now` (seconds since 1970), or the token would be refused.
    pub fn sign(&self, grant: &Grant, key_id: Option<&str>, now: u64) -> Result<String, SignError> {
        let key = match key_id {
            None => self.active().ok_or(SignError::NoKey)?,
            Some(id) => {
                let mut able = self.keys.iter().filter(|key| key.can_sign());
                let unknown = || SignError::Unknown { id: id.to_owned() };
                able.find(|key| key.id == id).ok_or_else(unknown)?
            }
        };
        if matches!(grant.check_time(now), Err(Refusal::Expired | Refusal::TooLong)) {
            return Err(SignError::Life);
        }
        if now < key.not_before || key.not_after < grant.parts.expires {
            return Err(SignError::NotValid { id: key.id.clone() });
        }
        let mut token = codec::write(&key.id, grant);
        token.extend(key.sign(&token).ok_or(SignError::NoKey)?);
        let token = URL_SAFE_NO_PAD.encode(token);
        match token.len() {
            0..=TOKEN_CHARS_MAX => Ok(token),
            chars => Err(SignError::TooLong { chars }),
        }
    }

    /// What `token` says, if one of these keys signed it and it is valid at `now`, in seconds
    /// since 1970. Whether it opens what was asked for is told by the grant.
    ///
    /// # Errors
    /// Nothing that the token says is looked at before its signature is verified, the key's id
    /// excepted.
    pub fn verify(&self, token: &str, now: u64) -> Result<Grant, Refusal> {
        let grant = self.open(token, now)?;
        grant.check_time(now)?;
        Ok(grant)
    }

    /// What `token` says, if one of these keys signed it, whether its time has come or not.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn open(&self, token: &str, now: u64) -> Result<Grant, Refusal> {
        if TOKEN_CHARS_MAX < token.len() {
            return Err(FormatError::TooLong.into());
        }
        let token = URL_SAFE_NO_PAD.decode(token).map_err(|_| FormatError::Base64)?;
        let id = codec::read_key_id(&token)?;
        let key = self.keys.iter().find(|key| key.id == id).ok_or(Refusal::UnknownKey)?;
        let is_valid = key.not_before <= now.saturating_add(LEEWAY_SECONDS) && now < key.not_after;
        if !is_valid {
            return Err(Refusal::UnknownKey);
        }
        let signed_bytes = token.len().checked_sub(key.signature_bytes());
        let (signed, signature) = token.split_at(signed_bytes.ok_or(FormatError::Truncated)?);
        let is_signed = match &key.material {
            // Compares in constant time.
            Material::Hmac(key) => hmac::verify(key, signed, signature).is_ok(),
            Material::Ed25519 { public, .. } => self.verdicts.get_or(&token, || {
                UnparsedPublicKey::new(&ED25519, public).verify(signed, signature).is_ok()
            }),
        };
        if !is_signed {
            return Err(Refusal::Signature);
        }
        Ok(codec::read(signed)?)
    }
}
