//! Keys that sign.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};

use super::keys::{Algorithm, VerifyingKey, sha1_as_long_as_sha256};
use super::refusal::{KeyError, SignError};
use super::rsa_sha1::RsaSha1Key;

pub(super) enum PrivateMaterial {
    Secret(Vec<u8>),
    Rsa { pair: RsaKeyPair, sha1: Option<Box<RsaSha1Key>> },
    P256 { der: EcdsaKeyPair, fixed: EcdsaKeyPair },
    Ed25519(Ed25519KeyPair),
}

/// One key that signs, and its id.
pub struct SigningKey {
    id: String,
    material: PrivateMaterial,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SigningKey {
    pub fn secret(id: &str, secret: &[u8]) -> Self {
        Self { id: id.to_owned(), material: PrivateMaterial::Secret(secret.to_owned()) }
    }

    /// From PKCS #8, or the older forms of RSA (PKCS #1) and of elliptic curves (RFC 5915).
    pub fn private(id: &str, der: &[u8]) -> Result<Self, KeyError> {
        let material = ed25519(der).or_else(|| p256(der)).or_else(|| rsa(der));
        let material = material.ok_or(KeyError::WrongKind {
            found: "no private key that can be read",
            wanted: "RSA of 2048 bits or more, P-256 or Ed25519",
        })?;
        Ok(Self { id: id.to_owned(), material })
    }

    /// From the 32 bytes that an Ed25519 key is made of.
    pub fn ed25519_seed(id: &str, seed: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| KeyError::Damaged("an Ed25519 seed has 32 bytes"))?;
        Ok(Self { id: id.to_owned(), material: PrivateMaterial::Ed25519(pair) })
    }

    /// From the numbers of a JSON Web Key.
    pub fn p256_numbers(id: &str, d: &[u8], point: &[u8]) -> Result<Self, KeyError> {
        let pair = |algorithm| EcdsaKeyPair::from_private_key_and_public_key(algorithm, d, point);
        let material = PrivateMaterial::P256 {
            der: pair(&signature::ECDSA_P256_SHA256_ASN1_SIGNING).map_err(bad_numbers)?,
            fixed: pair(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).map_err(bad_numbers)?,
        };
        Ok(Self { id: id.to_owned(), material })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the key is, in a word.
    pub fn kind(&self) -> &'static str {
        match self.material {
            PrivateMaterial::Secret(_) => "secret",
            PrivateMaterial::Rsa { .. } => "RSA",
            PrivateMaterial::P256 { .. } => "P-256",
            PrivateMaterial::Ed25519(_) => "Ed25519",
        }
    }

    pub(super) fn is_secret(&self) -> bool {
        matches!(self.material, PrivateMaterial::Secret(_))
    }

    pub(super) fn is_elliptic(&self) -> bool {
        matches!(self.material, PrivateMaterial::P256 { .. })
    }

    pub(super) fn is_ed25519(&self) -> bool {
        matches!(self.material, PrivateMaterial::Ed25519(_))
    }

    /// The key that checks what this one signs.
    pub fn verifying(&self) -> Result<VerifyingKey, KeyError> {
        let id = &self.id;
        match &self.material {
            PrivateMaterial::Secret(secret) => Ok(VerifyingKey::secret(id, secret)),
            PrivateMaterial::Rsa { pair, .. } => {
                VerifyingKey::public(id, pair.public_key().as_ref())
            }
            PrivateMaterial::P256 { der, .. } => {
                VerifyingKey::public(id, der.public_key().as_ref())
            }
            PrivateMaterial::Ed25519(pair) => VerifyingKey::public(id, pair.public_key().as_ref()),
        }
    }

    /// The bare signature of a message. [`super::Scheme::sign`] makes tokens.
    pub fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, SignError> {
        use Algorithm as A;
        let failed = |cure| SignError::WrongKey { algorithm: algorithm.name(), cure };
        let hmac = |algorithm, secret: &[u8]| {
            hmac::sign(&hmac::Key::new(algorithm, secret), message).as_ref().to_vec()
        };
        let signed = match (&self.material, algorithm) {
            (PrivateMaterial::Secret(secret), A::HmacSha1) => {
                Ok(hmac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret))
            }
            (PrivateMaterial::Secret(secret), A::HmacSha256) => Ok(hmac(hmac::HMAC_SHA256, secret)),
            (PrivateMaterial::Rsa { sha1, .. }, A::RsaSha1) => match sha1 {
                Some(key) => return key.sign(message),
                None => return Err(failed("use a key of 2048 bits, or SHA-256")),
            },
            (PrivateMaterial::Rsa { pair, .. }, A::RsaSha256 | A::RsaPssSha256) => {
                let padding: &'static dyn signature::RsaEncoding = match algorithm {
                    A::RsaSha256 => &signature::RSA_PKCS1_SHA256,
                    _ => &signature::RSA_PSS_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                let done = pair.sign(padding, &SystemRandom::new(), message, &mut signature);
                done.map(|()| signature)
            }
            (PrivateMaterial::P256 { der, .. }, A::EcdsaP256Sha1Der) => {
                let digest = sha1_as_long_as_sha256(message);
                der.sign_digest(&digest).map(|signature| signature.as_ref().to_vec())
            }
            (PrivateMaterial::P256 { der, .. }, A::EcdsaP256Sha256Der) => {
                der.sign(&SystemRandom::new(), message).map(|signature| signature.as_ref().to_vec())
            }
            (PrivateMaterial::P256 { fixed, .. }, A::EcdsaP256Sha256Fixed) => fixed
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec()),
            (PrivateMaterial::Ed25519(pair), A::Ed25519) => {
                pair.try_sign(message).map(|signature| signature.as_ref().to_vec())
            }
            _ => return Err(failed("give a key of the kind that this algorithm takes")),
        };
        signed.map_err(|_| failed("check the key file with the tool that made it"))
    }
}

fn ed25519(der: &[u8]) -> Option<PrivateMaterial> {
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(PrivateMaterial::Ed25519)
}

fn p256(der: &[u8]) -> Option<PrivateMaterial> {
    let pair = |algorithm| {
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, der);
        pair.or_else(|_| EcdsaKeyPair::from_private_key_der(algorithm, der)).ok()
    };
    Some(PrivateMaterial::P256 {
        der: pair(&signature::ECDSA_P256_SHA256_ASN1_SIGNING)?,
        fixed: pair(&signature::ECDSA_P256_SHA256_FIXED_SIGNING)?,
    })
}

fn rsa(der: &[u8]) -> Option<PrivateMaterial> {
    let pair = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)).ok()?;
    let sha1 = RsaSha1Key::parse(der, pair.public_key().as_ref()).map(Box::new);
    Some(PrivateMaterial::Rsa { pair, sha1 })
}

fn bad_numbers(_: aws_lc_rs::error::KeyRejected) -> KeyError {
    KeyError::Damaged("the numbers are no key of P-256")
}
