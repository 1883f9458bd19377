//! Keys as files hold them.
//!
//! A file is PEM (`PUBLIC KEY`, `PRIVATE KEY`, `RSA PUBLIC KEY`, `RSA PRIVATE KEY`,
//! `EC PRIVATE KEY`), a JSON Web Key (RFC 7517: `oct`, `EC` on P-256, `OKP` with Ed25519), a secret in
//! hexadecimal, or base64 of the 32 bytes of Ed25519, as Media CDN's tools write them.

use serde::Deserialize;

use super::base64;
use super::keys::VerifyingKey;
use super::refusal::KeyError;
use super::signing_key::SigningKey;

/// Longest key file.
pub const KEY_FILE_BYTES_MAX: usize = 16 << 10;
/// Shortest secret. 32 bytes are as many as the hash has.
const SECRET_BYTES_MIN: usize = 8;
const ED25519_BYTES: usize = 32;

/// A key that signs.
pub fn signing_key_file(id: &str, file: &[u8]) -> Result<SigningKey, KeyError> {
    match KeyFile::parse(file)? {
        KeyFile::Pem { label, der } => match label {
            "PUBLIC KEY" | "RSA PUBLIC KEY" => {
                Err(KeyError::WrongKind { found: "a public key", wanted: "a private key, to sign" })
            }
            _ => SigningKey::private(id, &der),
        },
        KeyFile::Secret(secret) => Ok(SigningKey::secret(id, &secret)),
        KeyFile::Base64(bytes) => SigningKey::ed25519_seed(id, &bytes),
        KeyFile::Jwk(jwk) => {
            let id = if id.is_empty() { jwk.kid.as_deref().unwrap_or("") } else { id };
            match jwk.kind()? {
                JwkKind::Secret(secret) => Ok(SigningKey::secret(id, &secret)),
                JwkKind::P256 { point, d: Some(d) } => SigningKey::p256_numbers(id, &d, &point),
                JwkKind::Ed25519 { d: Some(d), .. } => SigningKey::ed25519_seed(id, &d),
                JwkKind::P256 { .. } | JwkKind::Ed25519 { .. } => Err(KeyError::WrongKind {
                    found: "a public key",
                    wanted: "a private key (with `d`), to sign",
                }),
            }
        }
    }
}

/// A key that verifies: a public one, or a secret. Private keys are refused, so that none lies on
/// an edge by accident.
pub fn verifying_key_file(id: &str, file: &[u8]) -> Result<VerifyingKey, KeyError> {
    let private = Err(KeyError::WrongKind {
        found: "a private key",
        wanted: "its public half: who only verifies does not need more",
    });
    match KeyFile::parse(file)? {
        KeyFile::Pem { label: "PUBLIC KEY" | "RSA PUBLIC KEY", der } => {
            VerifyingKey::public(id, &der)
        }
        KeyFile::Pem { .. } => private,
        KeyFile::Secret(secret) => Ok(VerifyingKey::secret(id, &secret)),
        KeyFile::Base64(bytes) => VerifyingKey::public(id, &bytes),
        KeyFile::Jwk(jwk) => {
            let id = if id.is_empty() { jwk.kid.as_deref().unwrap_or("") } else { id };
            match jwk.kind()? {
                JwkKind::Secret(secret) => Ok(VerifyingKey::secret(id, &secret)),
                JwkKind::P256 { d: Some(_), .. } | JwkKind::Ed25519 { d: Some(_), .. } => private,
                JwkKind::P256 { point, .. } => VerifyingKey::public(id, &point),
                JwkKind::Ed25519 { x, .. } => VerifyingKey::public(id, &x),
            }
        }
    }
}

/// A key of AES-128-GCM for encrypted claims, with the id that its JSON Web Key states.
pub fn decrypting_key_file(id: &str, file: &[u8]) -> Result<(String, [u8; 16]), KeyError> {
    let wrong = KeyError::WrongKind { found: "another key", wanted: "16 bytes for AES-128-GCM" };
    let (id, bytes) = match KeyFile::parse(file)? {
        KeyFile::Secret(secret) => (id.to_owned(), secret),
        KeyFile::Jwk(jwk) => {
            let own = jwk.kid.clone().unwrap_or_default();
            let JwkKind::Secret(secret) = jwk.kind()? else {
                return Err(wrong);
            };
            (if id.is_empty() { own } else { id.to_owned() }, secret)
        }
        KeyFile::Pem { .. } | KeyFile::Base64(_) => return Err(wrong),
    };
    Ok((id, bytes.try_into().map_err(|_| wrong)?))
}

enum KeyFile<'a> {
    Pem { label: &'a str, der: Vec<u8> },
    Jwk(Box<Jwk>),
    Secret(Vec<u8>),
    Base64(Vec<u8>),
}

impl<'a> KeyFile<'a> {
    fn parse(file: &'a [u8]) -> Result<Self, KeyError> {
        if file.len() > KEY_FILE_BYTES_MAX {
            return Err(KeyError::TooLong { len: file.len(), max: KEY_FILE_BYTES_MAX });
        }
        let text = std::str::from_utf8(file).map_err(|_| KeyError::UnknownFormat)?.trim();
        if text.contains("-----BEGIN ") {
            return parse_pem(text);
        }
        if text.starts_with('{') {
            let jwk = serde_json::from_str(text);
            return jwk.map(Self::Jwk).map_err(|_| KeyError::Damaged("it is no JSON Web Key"));
        }
        // A secret in digits is also base64; nobody writes 32 bytes as base64 without a letter.
        if let Some(secret) = base64::decode_hex(text) {
            return secret_of(secret).map(Self::Secret);
        }
        let bytes = base64::decode_url_any_padding(text).or_else(|| base64::decode_standard(text));
        match bytes {
            Some(bytes) if bytes.len() == ED25519_BYTES => Ok(Self::Base64(bytes)),
            _ => Err(KeyError::UnknownFormat),
        }
    }
}

fn secret_of(secret: Vec<u8>) -> Result<Vec<u8>, KeyError> {
    if secret.len() < SECRET_BYTES_MIN {
        return Err(KeyError::ShortSecret { len: secret.len(), min: SECRET_BYTES_MIN });
    }
    Ok(secret)
}

/// The first block of RFC 7468 that is a key; parameters of a curve may stand in front of it.
fn parse_pem(text: &str) -> Result<KeyFile<'_>, KeyError> {
    const LABELS: [&str; 5] =
        ["PUBLIC KEY", "PRIVATE KEY", "RSA PUBLIC KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];
    for label in LABELS {
        let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
        let Some((_, body)) = text.split_once(&begin) else {
            continue;
        };
        let (body, _) =
            body.split_once(&end).ok_or(KeyError::Damaged("the PEM block has no end"))?;
        let body: String =
            body.chars().filter(|character| !character.is_ascii_whitespace()).collect();
        let der = base64::decode_standard(&body);
        let der = der.ok_or(KeyError::Damaged("the PEM block is no base64"))?;
        return Ok(KeyFile::Pem { label, der });
    }
    Err(KeyError::WrongKind {
        found: "a PEM block of another kind, maybe an encrypted key or a certificate",
        wanted: "PUBLIC KEY or an unencrypted PRIVATE KEY",
    })
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    crv: Option<String>,
    k: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<String>,
}

enum JwkKind {
    Secret(Vec<u8>),
    P256 { point: Vec<u8>, d: Option<Vec<u8>> },
    Ed25519 { x: Vec<u8>, d: Option<Vec<u8>> },
}

impl Jwk {
    fn kind(&self) -> Result<JwkKind, KeyError> {
        let bytes = |value: &Option<String>, len: Option<usize>| {
            let bytes = value.as_deref().and_then(base64::decode_url);
            bytes.filter(|bytes| len.is_none_or(|len| bytes.len() == len))
        };
        let damaged = KeyError::Damaged("a number of the JSON Web Key is missing or damaged");
        // A private number that is there but can't be read must not make the key a public one.
        let d = match &self.d {
            None => None,
            Some(_) => Some(bytes(&self.d, Some(32)).ok_or_else(|| damaged.clone())?),
        };
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("oct", _) => secret_of(bytes(&self.k, None).ok_or(damaged)?).map(JwkKind::Secret),
            ("EC", Some("P-256")) => {
                let x = bytes(&self.x, Some(32)).ok_or_else(|| damaged.clone())?;
                let y = bytes(&self.y, Some(32)).ok_or(damaged)?;
                Ok(JwkKind::P256 { point: [&[4], x.as_slice(), y.as_slice()].concat(), d })
            }
            ("OKP", Some("Ed25519")) => {
                Ok(JwkKind::Ed25519 { x: bytes(&self.x, Some(32)).ok_or(damaged)?, d })
            }
            _ => Err(KeyError::WrongKind {
                found: "a JSON Web Key of another kind",
                wanted: "`oct`, `EC` on P-256 or `OKP` with Ed25519; give RSA keys as PEM",
            }),
        }
    }
}
