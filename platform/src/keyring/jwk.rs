//! Public keys as JSON Web Keys (RFC 7517): written, read, verified with.
//!
//! Members of a private key are never written, and a key that has any is refused: it has leaked.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::KeyError;
use super::purpose::Algorithm;

/// Moduli that are taken: RFC 7518 3.3 asks for 2048 bits at least.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;
/// Longest exponent; all but ancient keys have 65537.
const EXPONENT_BYTES_MAX: usize = 8;
/// Members that only private and shared keys have (RFC 7518 6.2.2, 6.3.2, 6.4.1).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The parts of a public key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Jwk {
    /// Big-endian, without leading zeros (RFC 7518 6.3.1).
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// P-256 (RFC 7518 6.2.1).
    Ec { x: [u8; 32], y: [u8; 32] },
    /// Ed25519 (RFC 8037 2).
    Okp { x: [u8; 32] },
}

/// A public key that is ready to verify with, by one algorithm and no other.
pub struct PublicKey {
    jwk: Jwk,
    id: String,
    parsed: ParsedPublicKey,
}

impl Jwk {
    /// The public half of a PKCS#1 `RSAPublicKey` (RFC 8017 A.1.1).
    pub(super) fn of_rsa(der: &[u8]) -> Result<Self, KeyError> {
        let fail = || KeyError::Crypto("no RSA public key");
        let (sequence, rest) = der_value(der, 0x30).ok_or_else(fail)?;
        let (n, e) = der_value(sequence, 0x02).ok_or_else(fail)?;
        let (e, end) = der_value(e, 0x02).ok_or_else(fail)?;
        if !rest.is_empty() || !end.is_empty() {
            return Err(fail());
        }
        Ok(Self::Rsa { n: without_zeros(n).to_vec(), e: without_zeros(e).to_vec() })
    }

    /// How signatures of the key are made: the key decides, never the token.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::Ec { .. } => Algorithm::Es256,
            Self::Okp { .. } => Algorithm::EdDsa,
        }
    }

    /// What RFC 7638 3.2 takes into the thumbprint, in its order.
    fn required(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa { n, e } => json!({ "e": text(e), "kty": "RSA", "n": text(n) }),
            Self::Ec { x, y } => {
                json!({ "crv": "P-256", "kty": "EC", "x": text(x), "y": text(y) })
            }
            Self::Okp { x } => json!({ "crv": "Ed25519", "kty": "OKP", "x": text(x) }),
        }
    }

    /// SHA-256 over the required members in alphabetical order without spaces (RFC 7638 3).
    pub fn thumbprint(&self) -> String {
        let Value::Object(members) = self.required() else { unreachable!("made as an object") };
        let mut pairs: Vec<_> = members.into_iter().collect();
        pairs.sort_by(|left, right| left.0.cmp(&right.0));
        let pairs: Vec<_> =
            pairs.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let text = format!("{{{}}}", pairs.join(","));
        URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
    }

    /// With id, use and algorithm (RFC 7517 4).
    pub fn to_json(&self, id: &str) -> Value {
        let mut value = self.required();
        value["kid"] = json!(id);
        value["use"] = json!("sig");
        value["alg"] = json!(self.algorithm().as_str());
        value
    }

    /// # Errors
    /// When it is no public key that is taken here, or holds parts of a private one.
    pub fn from_json(members: &Map<String, Value>) -> Result<Self, KeyError> {
        if PRIVATE_MEMBERS.iter().any(|name| members.contains_key(*name)) {
            return Err(KeyError::Crypto("it holds parts of a private key; replace that key"));
        }
        let text = |name: &str| members.get(name).and_then(Value::as_str).unwrap_or_default();
        let bytes =
            |name| URL_SAFE_NO_PAD.decode(text(name)).map_err(|_| KeyError::Crypto("no base64url"));
        let coordinate = |name| -> Result<[u8; 32], KeyError> {
            bytes(name)?.try_into().map_err(|_| KeyError::Crypto("no 32 bytes"))
        };
        let jwk = match (text("kty"), text("crv")) {
            ("RSA", _) => Self::Rsa { n: bytes("n")?, e: bytes("e")? },
            ("EC", "P-256") => Self::Ec { x: coordinate("x")?, y: coordinate("y")? },
            ("OKP", "Ed25519") => Self::Okp { x: coordinate("x")? },
            _ => return Err(KeyError::Crypto("no key of RSA, P-256 or Ed25519")),
        };
        match members.get("alg") {
            Some(alg) if alg.as_str() != Some(jwk.algorithm().as_str()) => {
                Err(KeyError::Crypto("another algorithm than that of its kind"))
            }
            _ => Ok(jwk),
        }
    }
}

impl PublicKey {
    /// # Errors
    /// When the parts are no key, or a weak one.
    pub fn new(jwk: Jwk, id: &str) -> Result<Self, KeyError> {
        let rejected = |_| KeyError::Crypto("the library refuses it");
        let parsed = match &jwk {
            Jwk::Rsa { n, e } => {
                let is_fine = MODULUS_BYTES.contains(&n.len())
                    && (1..=EXPONENT_BYTES_MAX).contains(&e.len())
                    && n[0] != 0;
                if !is_fine {
                    return Err(KeyError::Crypto("RSA takes 2048 to 8192 bits"));
                }
                PublicKeyComponents { n, e }
                    .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
                    .map_err(rejected)?
            }
            Jwk::Ec { x, y } => {
                let point = [&[4], &x[..], &y[..]].concat();
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(rejected)?
            }
            Jwk::Okp { x } => ParsedPublicKey::new(&ED25519, x).map_err(rejected)?,
        };
        Ok(Self { jwk, id: id.to_owned(), parsed })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    pub fn algorithm(&self) -> Algorithm {
        self.jwk.algorithm()
    }

    /// Whether the key's owner signed `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({} {})", self.algorithm().as_str(), self.id)
    }
}

/// The content of the value with `tag` that `bytes` begin with, and what follows it
/// (ITU-T X.690 8.1, definite lengths up to 65535).
fn der_value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81 | 0x82 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    if first != tag { None } else { rest.split_at_checked(length) }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
