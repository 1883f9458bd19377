//! Private keys and secrets: made, used, and written only into a ring's file.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use zeroize::Zeroizing;

use super::KeyError;
use super::jwk::Jwk;
use super::purpose::Algorithm;

const SECRET_BYTES: usize = 32;

/// What only the owner of a key has.
pub enum Material {
    Rsa { pair: RsaKeyPair, pkcs8: Zeroizing<Vec<u8>> },
    Ed25519 { pair: Ed25519KeyPair, seed: Zeroizing<Vec<u8>> },
    Secret(Zeroizing<Vec<u8>>),
}

impl Material {
    /// New material. For RSA that takes a tenth of a second and more: not for an executor's thread.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let fail = |_| KeyError::Crypto("the library made none");
        match algorithm {
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(fail)?;
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(fail)?;
                let pkcs8 = Zeroizing::new(der.as_ref().to_vec());
                Ok(Self::Rsa { pair, pkcs8 })
            }
            Algorithm::Es256 => Err(KeyError::Crypto("keys of ES256 are not made here")),
            algorithm => {
                let mut secret = Zeroizing::new(vec![0; SECRET_BYTES]);
                crate::secret_file::fill_random(&mut secret)?;
                Self::read(algorithm, &secret)
            }
        }
    }

    /// What [`Self::bytes`] gave.
    ///
    /// # Errors
    /// When it is no such key.
    pub fn read(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, KeyError> {
        let fail = |_| KeyError::Crypto("the library refuses the private key");
        match algorithm {
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(bytes).map_err(fail)?;
                Ok(Self::Rsa { pair, pkcs8: Zeroizing::new(bytes.to_vec()) })
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_seed_unchecked(bytes).map_err(fail)?;
                Ok(Self::Ed25519 { pair, seed: Zeroizing::new(bytes.to_vec()) })
            }
            Algorithm::Es256 => Err(KeyError::Crypto("keys of ES256 are not kept here")),
            // Those of signed URLs may have been made elsewhere, and be longer.
            Algorithm::HmacSha256 if (SECRET_BYTES..=2 * SECRET_BYTES).contains(&bytes.len()) => {
                Ok(Self::Secret(Zeroizing::new(bytes.to_vec())))
            }
            Algorithm::Aes256Gcm | Algorithm::Seed256 if bytes.len() == SECRET_BYTES => {
                Ok(Self::Secret(Zeroizing::new(bytes.to_vec())))
            }
            _ => Err(KeyError::Crypto("a secret has 32 bytes")),
        }
    }

    /// For the file alone.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Rsa { pkcs8, .. } => pkcs8,
            Self::Ed25519 { seed, .. } => seed,
            Self::Secret(secret) => secret,
        }
    }

    /// The public half; a shared secret has none.
    pub fn public(&self) -> Result<Option<Jwk>, KeyError> {
        match self {
            Self::Rsa { pair, .. } => Jwk::of_rsa(pair.public_key().as_ref()).map(Some),
            Self::Ed25519 { pair, .. } => {
                let x = pair.public_key().as_ref().try_into();
                Ok(Some(Jwk::Okp { x: x.map_err(|_| KeyError::Crypto("no 32 bytes"))? }))
            }
            Self::Secret(_) => Ok(None),
        }
    }

    /// Signs with RS256 or EdDSA; none by a shared secret.
    pub fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Rsa { pair, .. } => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let random = SystemRandom::new();
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            Self::Ed25519 { pair, .. } => Some(pair.sign(message).as_ref().to_vec()),
            Self::Secret(_) => None,
        }
    }

    /// The bytes of a shared secret; none of a private key.
    pub fn secret(&self) -> Option<&[u8]> {
        match self {
            Self::Secret(secret) => Some(secret),
            Self::Rsa { .. } | Self::Ed25519 { .. } => None,
        }
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Material(***)")
    }
}
