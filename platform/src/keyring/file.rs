//! The file of a ring.
//!
//! The first line tells what it is, in JSON: `{"format":1,"purpose":"…","seal":"…"}`, where `seal`
//! is the id of the sealing key, or null. The second is the body: JSON as below, or, sealed, the
//! base64 form of nonce, ciphertext and tag, with the first line authenticated along.

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::KeyError;
use super::jwk::{Jwk, PublicKey};
use super::material::Material;
use super::purpose::{Algorithm, KEYS_MAX, Purpose};
use super::ring::{Key, Ring};
use super::sealing::SealingKeys;

const FORMAT: u32 = 1;
/// As many keys as a ring takes, of RSA with 2048 bits, have 200 KiB.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 20;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: u32,
    purpose: String,
    seal: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Body {
    generation: u64,
    keys: Vec<KeyRecord>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct KeyRecord {
    id: String,
    algorithm: String,
    created_ms: i64,
    activates_ms: i64,
    revoked_ms: Option<i64>,
    /// In base64: PKCS#8 of RSA, the seed of Ed25519, or the secret itself.
    private: Option<PrivateText>,
    /// A JSON Web Key.
    public: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Wiped when it is dropped.
struct PrivateText(Zeroizing<String>);

impl Serialize for PrivateText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PrivateText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Zeroizing::new(text)))
    }
}

/// The bytes of the file of `ring`.
pub(super) fn write(ring: &Ring, seals: &SealingKeys) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let keys = ring.keys.iter().map(KeyRecord::of).collect();
    let body = Body { generation: ring.generation, keys };
    let plain = |_| KeyError::Crypto("the keyring can't be written");
    let body = Zeroizing::new(serde_json::to_vec(&body).map_err(plain)?);
    let seal = seals.first();
    let head = Head {
        format: FORMAT,
        purpose: ring.purpose.to_string(),
        seal: seal.map(|seal| seal.id().to_owned()),
    };
    let head = serde_json::to_string(&head).map_err(plain)?;
    let body = match seal {
        Some(seal) => Zeroizing::new(STANDARD.encode(seal.seal(&head, &body)?).into_bytes()),
        None => body,
    };
    Ok(Zeroizing::new([head.as_bytes(), b"\n", &body, b"\n"].concat()))
}

/// The ring that `bytes` hold, and whether the first sealing key sealed it.
pub(super) fn read(
    path: &Path,
    purpose: Purpose,
    bytes: &[u8],
    seals: &SealingKeys,
) -> Result<(Ring, bool), KeyError> {
    let unreadable = |reason: String| KeyError::Unreadable { path: path.to_owned(), reason };
    let text = std::str::from_utf8(bytes).map_err(|error| unreadable(error.to_string()))?;
    let lines = text.split_once('\n');
    let (head, body) = lines.ok_or_else(|| unreadable("it has no second line".to_owned()))?;
    let read: Head = serde_json::from_str(head).map_err(|error| unreadable(error.to_string()))?;
    if read.format != FORMAT {
        return Err(unreadable(format!("format {} is not known here", read.format)));
    }
    if read.purpose != purpose.as_str() {
        return Err(unreadable("it is the file of another purpose".to_owned()));
    }
    let body = body.trim_end();
    let body = match &read.seal {
        None => Zeroizing::new(body.as_bytes().to_vec()),
        Some(id) => {
            let sealed = || KeyError::Sealed { path: path.to_owned(), seal: id.clone() };
            let seal = seals.find(id).ok_or_else(sealed)?;
            let forged = || KeyError::Forged { path: path.to_owned() };
            let body = STANDARD.decode(body).map_err(|_| forged())?;
            seal.open(head, &body).ok_or_else(forged)?
        }
    };
    let is_current = read.seal.as_deref() == seals.first().map(|seal| seal.id());
    let body: Body =
        serde_json::from_slice(&body).map_err(|error| unreadable(error.to_string()))?;
    let ring = body.into_ring(purpose).map_err(|error| unreadable(error.to_string()))?;
    Ok((ring, is_current))
}

impl KeyRecord {
    fn of(key: &Key) -> Self {
        let json = |public: &Arc<PublicKey>| public.jwk().to_json(public.id());
        let object = |value: serde_json::Value| value.as_object().cloned();
        Self {
            id: key.id.clone(),
            algorithm: key.algorithm.as_str().to_owned(),
            created_ms: key.created_ms,
            activates_ms: key.activates_ms,
            revoked_ms: key.revoked_ms,
            private: key
                .material
                .as_ref()
                .map(|material| PrivateText(Zeroizing::new(STANDARD.encode(material.bytes())))),
            public: key.public.as_ref().map(json).and_then(object),
        }
    }

    fn into_key(self) -> Result<Key, KeyError> {
        let algorithm = Algorithm::parse(&self.algorithm)?;
        let material = match &self.private {
            Some(private) => {
                let bytes = STANDARD.decode(private.0.as_bytes()).map(Zeroizing::new);
                let bytes = bytes.map_err(|_| KeyError::Crypto("a private key is no base64"))?;
                Some(Arc::new(Material::read(algorithm, &bytes)?))
            }
            None => None,
        };
        let public = match &self.public {
            Some(members) => {
                let jwk = Jwk::from_json(members)?;
                if jwk.thumbprint() != self.id || jwk.algorithm() != algorithm {
                    return Err(KeyError::Crypto("the id is not that of the public key"));
                }
                Some(Arc::new(PublicKey::new(jwk, &self.id)?))
            }
            None => None,
        };
        if let (Some(material), Some(public)) = (&material, &public)
            && material.public()?.as_ref() != Some(public.jwk())
        {
            return Err(KeyError::Crypto("the halves of a key don't belong together"));
        }
        let Self { id, created_ms, activates_ms, revoked_ms, .. } = self;
        Ok(Key { id, algorithm, created_ms, activates_ms, revoked_ms, material, public })
    }
}

impl Body {
    fn into_ring(self, purpose: Purpose) -> Result<Ring, KeyError> {
        let Self { generation, keys } = self;
        if keys.is_empty() || KEYS_MAX < keys.len() {
            return Err(KeyError::TooMany { purpose, count: keys.len() });
        }
        let mut keys = keys.into_iter().map(KeyRecord::into_key).collect::<Result<Vec<_>, _>>()?;
        keys.sort_by_key(|key| key.activates_ms);
        for (index, key) in keys.iter().enumerate() {
            if keys[..index].iter().any(|other| other.id == key.id) {
                return Err(KeyError::Crypto("two keys have one id"));
            }
        }
        Ok(Ring { purpose, generation, keys })
    }
}
