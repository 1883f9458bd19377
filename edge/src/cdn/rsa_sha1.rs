//! RSA signatures over SHA-1, which CloudFront takes unless a URL says otherwise.
//!
//! aws-lc-rs verifies them and does not make them. So the one private operation, `padded^d mod n`
//! (RFC 8017 8.2.1), runs here, for keys of 2048 bits, CloudFront's only size, with the
//! constant-time numbers of `crypto-bigint`. Every signature is checked with aws-lc-rs before it
//! is given out: a fault in the computation must not become a hint about the key.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U2048};

use super::der::DerReader;
use super::keys::Algorithm;
use super::refusal::SignError;

const KEY_BYTES: usize = 256;
/// `DigestInfo` of SHA-1 in front of the hash (RFC 8017 9.2, note 1).
const DIGEST_INFO: [u8; 15] =
    [0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14];

pub(super) struct RsaSha1Key {
    modulus: FixedMontyParams<{ U2048::LIMBS }>,
    private_exponent: U2048,
    public_key: Vec<u8>,
}

impl RsaSha1Key {
    /// Of a PKCS #8 or PKCS #1 key that aws-lc-rs has accepted. `None` for other sizes.
    pub(super) fn parse(der: &[u8], public_key: &[u8]) -> Option<Self> {
        let (modulus, private_exponent) = numbers(der)?;
        let odd = Option::<Odd<U2048>>::from(Odd::new(modulus))?;
        Some(Self {
            modulus: FixedMontyParams::new(odd),
            private_exponent,
            public_key: public_key.to_owned(),
        })
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let padded = U2048::from_be_slice(&padded(message));
        let power = FixedMontyForm::new(&padded, &self.modulus).pow(&self.private_exponent);
        let signature = power.retrieve().to_be_bytes().as_ref().to_vec();
        let algorithm = &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY;
        let check = UnparsedPublicKey::new(algorithm, &self.public_key).verify(message, &signature);
        check.map(|()| signature).map_err(|_| SignError::WrongKey {
            algorithm: Algorithm::RsaSha1.name(),
            cure: "its parts do not belong together: check the key file",
        })
    }
}

/// EMSA-PKCS1-v1_5 (RFC 8017 9.2): 00 01, ones, 00, what is signed.
fn padded(message: &[u8]) -> [u8; KEY_BYTES] {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, message);
    let mut padded = [0xff; KEY_BYTES];
    (padded[0], padded[1]) = (0, 1);
    let info_at = KEY_BYTES - hash.as_ref().len() - DIGEST_INFO.len();
    padded[info_at - 1] = 0;
    padded[info_at..info_at + DIGEST_INFO.len()].copy_from_slice(&DIGEST_INFO);
    padded[info_at + DIGEST_INFO.len()..].copy_from_slice(hash.as_ref());
    padded
}

/// Modulus and private exponent of `RSAPrivateKey` (RFC 8017 A.1.2), alone or within PKCS #8
/// (RFC 5958): version, modulus, public exponent, private exponent.
fn numbers(der: &[u8]) -> Option<(U2048, U2048)> {
    let mut key = DerReader::new(der).sequence()?;
    key.integer()?;
    let mut inner = key;
    if inner.sequence().is_some() {
        key = DerReader::new(inner.octets()?).sequence()?;
        key.integer()?;
    }
    let modulus = key.integer()?;
    key.integer()?;
    let exponent = key.integer()?;
    (modulus.len() == KEY_BYTES).then_some(())?;
    Some((number(modulus)?, number(exponent)?))
}

fn number(bytes: &[u8]) -> Option<U2048> {
    let mut wide = [0; KEY_BYTES];
    wide.get_mut(KEY_BYTES.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(U2048::from_be_slice(&wide))
}
