//! Compact JWS (RFC 7515 7.1) and the one kind of compact JWE (RFC 7516 7.1) that claims come in.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde::Deserialize;

use super::super::base64;
use super::super::keys::{Algorithm, KeySet};
use super::super::refusal::{Refusal, SignError};
use super::super::request::check_length;
use super::super::signing_key::SigningKey;

/// A JWS whose signature was right.
pub(super) struct Verified {
    pub key_id: String,
    pub payload: Vec<u8>,
}

/// Unknown members are allowed (RFC 7515 4), but not `crit`: nothing that it could list is known.
#[derive(Deserialize)]
struct JwsHeader {
    alg: String,
    kid: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
}

/// The algorithms that are known by name. There is no `none`.
fn algorithm(name: &str) -> Option<Algorithm> {
    Some(match name {
        "ES256" => Algorithm::EcdsaP256Sha256Fixed,
        "HS256" => Algorithm::HmacSha256,
        "EdDSA" => Algorithm::Ed25519,
        "RS256" => Algorithm::RsaSha256,
        "PS256" => Algorithm::RsaPssSha256,
        _ => return None,
    })
}

const FIELD: &str = "the JWT";

pub(super) fn verify(token: &str, keys: &KeySet, now: u64) -> Result<Verified, Refusal> {
    check_length(FIELD, token)?;
    let (signed, signature) = token.rsplit_once('.').ok_or_else(|| wrong("is no compact JWS"))?;
    let (header, payload) = signed.split_once('.').ok_or_else(|| wrong("is no compact JWS"))?;
    let decode =
        |text| base64::decode_url(text).ok_or_else(|| wrong("has a part that is no base64url"));
    let (header, payload, signature) = (decode(header)?, decode(payload)?, decode(signature)?);
    let header: JwsHeader =
        serde_json::from_slice(&header).map_err(|_| wrong("has a header that can't be read"))?;
    if header.crit.is_some() {
        return Err(Refusal::Unsupported("crit".to_owned()));
    }
    let algorithm = algorithm(&header.alg).ok_or_else(|| wrong("has an unknown algorithm"))?;
    let key_id = match &header.kid {
        Some(id) => {
            keys.verify(id, algorithm, signed.as_bytes(), &signature, now)?;
            id.clone()
        }
        None => keys.verify_any(algorithm, signed.as_bytes(), &signature, now)?.to_owned(),
    };
    Ok(Verified { key_id, payload })
}

pub(super) fn sign(payload: &[u8], key: &SigningKey) -> Result<String, SignError> {
    let (name, algorithm) = match (key.is_secret(), key.is_elliptic(), key.is_ed25519()) {
        (true, ..) => ("HS256", Algorithm::HmacSha256),
        (_, true, _) => ("ES256", Algorithm::EcdsaP256Sha256Fixed),
        (_, _, true) => ("EdDSA", Algorithm::Ed25519),
        _ => ("RS256", Algorithm::RsaSha256),
    };
    let id = serde_json::Value::from(key.id());
    let header = format!(r#"{{"alg":"{name}","kid":{id}}}"#);
    let signed =
        format!("{}.{}", base64::encode_url(header.as_bytes()), base64::encode_url(payload));
    let signature = key.sign(algorithm, signed.as_bytes())?;
    Ok(format!("{signed}.{}", base64::encode_url(&signature)))
}

#[derive(Deserialize)]
struct JweHeader {
    alg: String,
    enc: String,
    kid: Option<String>,
    crit: Option<serde::de::IgnoredAny>,
    zip: Option<serde::de::IgnoredAny>,
}

/// Opens a claim that is encrypted directly with a shared AES-128-GCM key (RFC 7518 4.5, 5.3).
pub(super) fn decrypt(claim: &'static str, jwe: &str, keys: &KeySet) -> Result<Vec<u8>, Refusal> {
    let wrong = |problem| Refusal::malformed(claim, problem);
    check_length(claim, jwe)?;
    let parts: Vec<&str> = jwe.split('.').collect();
    let &[header_text, "", nonce, ciphertext, tag] = parts.as_slice() else {
        return Err(wrong("is no compact JWE with a shared key"));
    };
    let decode =
        |text| base64::decode_url(text).ok_or_else(|| wrong("has a part that is no base64url"));
    let header: JweHeader = serde_json::from_slice(&decode(header_text)?)
        .map_err(|_| wrong("has a header that can't be read"))?;
    let is_known = header.alg == "dir" && header.enc == "A128GCM";
    if !is_known || header.crit.is_some() || header.zip.is_some() {
        return Err(wrong("is not encrypted by dir and A128GCM"));
    }
    let id = header.kid.unwrap_or_default();
    let key =
        keys.decrypting(&id).ok_or_else(|| wrong("is encrypted with a key that is not here"))?;
    let key = UnboundKey::new(&AES_128_GCM, key).map_err(|_| wrong("can't be decrypted"))?;
    let nonce = Nonce::try_assume_unique_for_key(&decode(nonce)?);
    let nonce = nonce.map_err(|_| wrong("has a nonce of another length"))?;
    let mut sealed = decode(ciphertext)?;
    sealed.extend(decode(tag)?);
    let open = LessSafeKey::new(key).open_in_place(nonce, Aad::from(header_text), &mut sealed);
    open.map(|plain| plain.to_vec()).map_err(|_| wrong("can't be decrypted"))
}

fn wrong(problem: &'static str) -> Refusal {
    Refusal::malformed(FIELD, problem)
}
