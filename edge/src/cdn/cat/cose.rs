//! The envelope: COSE_Mac0 and COSE_Sign1 (RFC 9052 4.2, 6.2) perhaps in a CWT tag
//! (RFC 8392 6).

use super::super::base64;
use super::super::keys::{Algorithm, KeySet};
use super::super::refusal::{Refusal, SignError};
use super::super::request::check_length;
use super::super::signing_key::SigningKey;
use super::cbor::Cbor;

const TAG_CWT: u64 = 61;
const TAG_MAC0: u64 = 17;
const TAG_SIGN1: u64 = 18;
/// Header parameters (RFC 9052 3.1).
const ALG: i64 = 1;
const CRIT: i64 = 2;
const KID: i64 = 4;

/// RFC 9053 2 and 3.1, RFC 8230 2.
const ALGORITHMS: [(i64, Algorithm, u64); 4] = [
    (5, Algorithm::HmacSha256, TAG_MAC0),
    (-7, Algorithm::EcdsaP256Sha256Fixed, TAG_SIGN1),
    (-8, Algorithm::Ed25519, TAG_SIGN1),
    (-37, Algorithm::RsaPssSha256, TAG_SIGN1),
];

/// A token whose signature was right.
pub(super) struct Verified {
    pub key_id: String,
    pub payload: Vec<u8>,
}

pub(super) fn verify(token: &str, keys: &KeySet, now: u64) -> Result<Verified, Refusal> {
    check_length("the token", token)?;
    let bytes = base64::decode_url(token).ok_or_else(|| wrong("is no base64url"))?;
    let item = Cbor::parse(&bytes).map_err(|_| wrong("is no CBOR that can be read"))?;
    // RFC 8392 6: the tag of a CWT may be left out, that of COSE may not.
    let item = match item {
        Cbor::Tag(TAG_CWT, item) => *item,
        item => item,
    };
    let Cbor::Tag(kind, item) = item else {
        return Err(wrong("is neither COSE_Mac0 nor COSE_Sign1"));
    };
    let Some([Cbor::Bytes(protected), unprotected, Cbor::Bytes(payload), Cbor::Bytes(signature)]) =
        item.as_array()
    else {
        return Err(wrong("has other parts than a CWT"));
    };
    let header = Cbor::parse(protected).map_err(|_| wrong("has a header that can't be read"))?;
    if header.member(CRIT).is_some() || unprotected.member(CRIT).is_some() {
        return Err(Refusal::Unsupported("crit".to_owned()));
    }
    // The algorithm is signed (RFC 9052 3.1): one outside the protected header is not looked at.
    let label = header.member(ALG).and_then(Cbor::as_int);
    let algorithm = ALGORITHMS.iter().find(|(known, _, tag)| Some(*known) == label && *tag == kind);
    let &(_, algorithm, _) = algorithm.ok_or_else(|| wrong("has an unknown algorithm"))?;
    let key_id = header.member(KID).or_else(|| unprotected.member(KID));
    let key_id = key_id.and_then(Cbor::as_bytes).and_then(|id| std::str::from_utf8(id).ok());
    let key_id = key_id.ok_or_else(|| wrong("names no key"))?;

    let message = message(kind, protected, payload);
    keys.verify(key_id, algorithm, &message, signature, now)?;
    Ok(Verified { key_id: key_id.to_owned(), payload: payload.clone() })
}

/// What the signature goes over: `MAC_structure` or `Sig_structure` without external data.
fn message(kind: u64, protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let context = if kind == TAG_MAC0 { "MAC0" } else { "Signature1" };
    Cbor::Array(vec![
        Cbor::Text(context.to_owned()),
        Cbor::Bytes(protected.to_vec()),
        Cbor::Bytes(Vec::new()),
        Cbor::Bytes(payload.to_vec()),
    ])
    .encode()
}

pub(super) fn sign(payload: &[u8], key: &SigningKey) -> Result<String, SignError> {
    let wanted = match (key.is_secret(), key.is_elliptic(), key.is_ed25519()) {
        (true, ..) => Algorithm::HmacSha256,
        (_, true, _) => Algorithm::EcdsaP256Sha256Fixed,
        (_, _, true) => Algorithm::Ed25519,
        _ => Algorithm::RsaPssSha256,
    };
    let (label, algorithm, kind) = ALGORITHMS
        .into_iter()
        .find(|(_, algorithm, _)| *algorithm == wanted)
        .expect("the table has each of the four");
    let protected = Cbor::Map(vec![(Cbor::Int(ALG), Cbor::Int(label))]).encode();
    let signature = key.sign(algorithm, &message(kind, &protected, payload))?;
    let key_id = Cbor::Bytes(key.id().as_bytes().to_vec());
    let parts = Cbor::Array(vec![
        Cbor::Bytes(protected),
        Cbor::Map(vec![(Cbor::Int(KID), key_id)]),
        Cbor::Bytes(payload.to_vec()),
        Cbor::Bytes(signature),
    ]);
    let token = Cbor::Tag(TAG_CWT, Box::new(Cbor::Tag(kind, Box::new(parts))));
    Ok(base64::encode_url(&token.encode()))
}

fn wrong(problem: &'static str) -> Refusal {
    Refusal::malformed("the token", problem)
}
