//! Keys that verify, by id, and what has been verified with them lately.
//!
//! The kind of a key fixes the algorithms it serves; a token can only choose among those (RFC 8725
//! 3.1). ECDSA with SHA-1, which CloudFront takes by default, is verified on aws-lc-rs by way of a
//! digest: ECDSA reads a hash as an integer, so the 20 bytes of SHA-1 behind 12 zeros are the same
//! number as a 32-byte hash (FIPS 186-5 6.4.1).

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{self, ParsedPublicKey};

use super::memo::Memo;
use super::refusal::{KeyError, Refusal};
use super::signing_key::SigningKey;

/// Keys that are tried for one id. Rotation needs two; Media CDN allows three in a keyset.
pub const KEYS_PER_ID_MAX: usize = 8;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    HmacSha1,
    HmacSha256,
    RsaSha1,
    RsaSha256,
    RsaPssSha256,
    /// The signature as DER.
    EcdsaP256Sha1Der,
    EcdsaP256Sha256Der,
    /// The signature as two numbers of 32 bytes.
    EcdsaP256Sha256Fixed,
    Ed25519,
}

impl Algorithm {
    pub fn name(self) -> &'static str {
        match self {
            Self::HmacSha1 => "HMAC with SHA-1",
            Self::HmacSha256 => "HMAC with SHA-256",
            Self::RsaSha1 => "RSA with SHA-1",
            Self::RsaSha256 => "RSA with SHA-256",
            Self::RsaPssSha256 => "RSA-PSS with SHA-256",
            Self::EcdsaP256Sha1Der => "ECDSA P-256 with SHA-1",
            Self::EcdsaP256Sha256Der | Self::EcdsaP256Sha256Fixed => "ECDSA P-256 with SHA-256",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// What costs less than looking it up isn't remembered.
    fn is_cheap(self) -> bool {
        matches!(self, Self::HmacSha1 | Self::HmacSha256)
    }
}

pub(super) enum PublicMaterial {
    /// Keys of either hash, which are large.
    Secret(Box<[hmac::Key; 2]>),
    Rsa {
        sha1: ParsedPublicKey,
        sha256: ParsedPublicKey,
        pss: ParsedPublicKey,
    },
    P256 {
        der: ParsedPublicKey,
        fixed: ParsedPublicKey,
    },
    Ed25519(ParsedPublicKey),
}

/// One key that verifies.
pub struct VerifyingKey {
    id: String,
    material: PublicMaterial,
    not_before: Option<u64>,
    not_after: Option<u64>,
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifyingKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl VerifyingKey {
    pub fn secret(id: &str, secret: &[u8]) -> Self {
        Self::new(id, PublicMaterial::secret(secret))
    }

    /// From a `SubjectPublicKeyInfo`, a PKCS #1 `RSAPublicKey`, an uncompressed point of P-256 or
    /// the 32 bytes of Ed25519.
    pub fn public(id: &str, der: &[u8]) -> Result<Self, KeyError> {
        Ok(Self::new(id, PublicMaterial::public(der)?))
    }

    fn new(id: &str, material: PublicMaterial) -> Self {
        Self { id: id.to_owned(), material, not_before: None, not_after: None }
    }

    /// The key is used from `not_before` on and until `not_after`, in seconds since 1970.
    #[must_use]
    pub fn valid(mut self, not_before: Option<u64>, not_after: Option<u64>) -> Self {
        (self.not_before, self.not_after) = (not_before, not_after);
        self
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the key is, in a word.
    pub fn kind(&self) -> &'static str {
        match self.material {
            PublicMaterial::Secret(_) => "secret",
            PublicMaterial::Rsa { .. } => "RSA",
            PublicMaterial::P256 { .. } => "P-256",
            PublicMaterial::Ed25519(_) => "Ed25519",
        }
    }

    fn is_valid_at(&self, now: u64) -> bool {
        is_within(self.not_before, self.not_after, now)
    }
}

fn is_within(not_before: Option<u64>, not_after: Option<u64>, now: u64) -> bool {
    not_before.is_none_or(|start| start <= now) && not_after.is_none_or(|end| now < end)
}

impl PublicMaterial {
    fn secret(secret: &[u8]) -> Self {
        let key = |algorithm| hmac::Key::new(algorithm, secret);
        let keys = [hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA256].map(key);
        Self::Secret(Box::new(keys))
    }

    fn public(der: &[u8]) -> Result<Self, KeyError> {
        let parse = |algorithm: &'static dyn signature::VerificationAlgorithm| {
            ParsedPublicKey::new(algorithm, der).map_err(|_| ())
        };
        let rsa = || {
            Ok::<_, ()>(Self::Rsa {
                sha1: parse(&signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY)?,
                sha256: parse(&signature::RSA_PKCS1_2048_8192_SHA256)?,
                pss: parse(&signature::RSA_PSS_2048_8192_SHA256)?,
            })
        };
        let p256 = || {
            Ok::<_, ()>(Self::P256 {
                der: parse(&signature::ECDSA_P256_SHA256_ASN1)?,
                fixed: parse(&signature::ECDSA_P256_SHA256_FIXED)?,
            })
        };
        let ed25519 = || Ok::<_, ()>(Self::Ed25519(parse(&signature::ED25519)?));
        let key = ed25519().or_else(|()| p256()).or_else(|()| rsa());
        key.map_err(|()| KeyError::WrongKind {
            found: "no public key that can be read",
            wanted: "RSA of 2048 bits or more, P-256 or Ed25519",
        })
    }

    /// `None`: the key is of another kind than the algorithm.
    fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Option<bool> {
        use Algorithm as A;
        let verdict = match (self, algorithm) {
            (Self::Secret(keys), A::HmacSha1) => hmac::verify(&keys[0], message, signature),
            (Self::Secret(keys), A::HmacSha256) => hmac::verify(&keys[1], message, signature),
            (Self::Rsa { sha1, .. }, A::RsaSha1) => sha1.verify_sig(message, signature),
            (Self::Rsa { sha256, .. }, A::RsaSha256) => sha256.verify_sig(message, signature),
            (Self::Rsa { pss, .. }, A::RsaPssSha256) => pss.verify_sig(message, signature),
            (Self::P256 { der, .. }, A::EcdsaP256Sha1Der) => {
                der.verify_digest_sig(&sha1_as_long_as_sha256(message), signature)
            }
            (Self::P256 { der, .. }, A::EcdsaP256Sha256Der) => der.verify_sig(message, signature),
            (Self::P256 { fixed, .. }, A::EcdsaP256Sha256Fixed) => {
                fixed.verify_sig(message, signature)
            }
            (Self::Ed25519(key), A::Ed25519) => key.verify_sig(message, signature),
            _ => return None,
        };
        Some(verdict.is_ok())
    }
}

/// SHA-1 as a number of 32 bytes.
pub(super) fn sha1_as_long_as_sha256(message: &[u8]) -> Digest {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, message);
    let mut padded = [0; digest::SHA256_OUTPUT_LEN];
    padded[digest::SHA256_OUTPUT_LEN - digest::SHA1_OUTPUT_LEN..].copy_from_slice(hash.as_ref());
    Digest::import_less_safe(&padded, &digest::SHA256).expect("32 bytes are the length of SHA-256")
}

/// The key that signs renewed tokens, and from when until when.
#[derive(Debug)]
struct Renewing {
    key: SigningKey,
    not_before: Option<u64>,
    not_after: Option<u64>,
}

/// All keys of one scheme. Replaced as a whole when keys change, with all that is remembered.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: Vec<VerifyingKey>,
    renewing: Option<Renewing>,
    decrypting: Vec<(String, [u8; 16])>,
    pub(super) memo: Memo,
}

impl KeySet {
    pub fn new(keys: Vec<VerifyingKey>) -> Self {
        Self { keys, ..Self::default() }
    }

    /// With a key that signs renewed tokens. An edge that holds public keys alone has none and
    /// leaves renewal to others.
    #[must_use]
    pub fn renewing_with(self, key: SigningKey) -> Self {
        self.renewing_within(key, None, None)
    }

    /// Likewise, from `not_before` on and until `not_after`.
    #[must_use]
    pub fn renewing_within(
        mut self,
        key: SigningKey,
        not_before: Option<u64>,
        not_after: Option<u64>,
    ) -> Self {
        self.renewing = Some(Renewing { key, not_before, not_after });
        self
    }

    /// With an AES-128-GCM key for encrypted claims (RFC 9246 2.1.9).
    #[must_use]
    pub fn decrypting_with(mut self, id: &str, key: [u8; 16]) -> Self {
        self.decrypting.push((id.to_owned(), key));
        self
    }

    pub(super) fn renewing(&self, now: u64) -> Option<&SigningKey> {
        let renewing = self.renewing.as_ref()?;
        is_within(renewing.not_before, renewing.not_after, now).then_some(&renewing.key)
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn decrypting(&self, id: &str) -> Option<&[u8; 16]> {
        self.decrypting.iter().find(|(known, _)| known == id).map(|(_, key)| key)
    }

    /// Kind of the first key of an id that is valid now: which of two algorithms a format means
    /// that names only a hash.
    pub(super) fn is_elliptic(&self, id: &str, now: u64) -> bool {
        let mut keys = self.keys_at(now).filter(|(_, key)| key.id == id);
        keys.next().is_some_and(|(_, key)| matches!(key.material, PublicMaterial::P256 { .. }))
    }

    pub(super) fn verify(
        &self,
        id: &str,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
        now: u64,
    ) -> Result<(), Refusal> {
        let keys = self.keys_at(now).filter(|(_, key)| key.id == id);
        match self.verify_with(keys, algorithm, message, signature) {
            Ok(_) => Ok(()),
            Err(Refusal::WrongAlgorithm { algorithm, .. }) => {
                Err(Refusal::WrongAlgorithm { key: printable(id), algorithm })
            }
            Err(Refusal::UnknownKey(_)) => Err(Refusal::UnknownKey(printable(id))),
            Err(other) => Err(other),
        }
    }

    /// For formats that name no key: any may have signed. Returns the id of the one that has.
    pub(super) fn verify_any(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
        now: u64,
    ) -> Result<&str, Refusal> {
        self.verify_with(self.keys_at(now), algorithm, message, signature)
    }

    /// Keys that are valid, each with its place, which tells keys of one id apart.
    fn keys_at(&self, now: u64) -> impl Iterator<Item = (usize, &VerifyingKey)> {
        self.keys.iter().enumerate().filter(move |(_, key)| key.is_valid_at(now))
    }

    fn verify_with<'a>(
        &self,
        keys: impl Iterator<Item = (usize, &'a VerifyingKey)>,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<&'a str, Refusal> {
        let mut refusal = Refusal::UnknownKey(String::new());
        for (place, key) in keys.take(KEYS_PER_ID_MAX) {
            let entry =
                (!algorithm.is_cheap()).then(|| Memo::entry(place, algorithm, message, signature));
            if entry.as_ref().is_some_and(|entry| self.memo.knows(entry)) {
                return Ok(&key.id);
            }
            match key.material.verify(algorithm, message, signature) {
                Some(true) => {
                    if let Some(entry) = entry {
                        self.memo.remember(entry);
                    }
                    return Ok(&key.id);
                }
                Some(false) => refusal = Refusal::Signature,
                None if refusal == Refusal::Signature => {}
                None => {
                    refusal = Refusal::WrongAlgorithm {
                        key: key.id.clone(),
                        algorithm: algorithm.name(),
                    };
                }
            }
        }
        Err(refusal)
    }
}

/// A key id of a request, fit for a log.
fn printable(id: &str) -> String {
    const SHOWN_MAX: usize = 64;
    id.chars().filter(char::is_ascii_graphic).take(SHOWN_MAX).collect()
}
