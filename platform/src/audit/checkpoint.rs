//! Checkpoints: the head of a chain, signed, to be kept where the database's owner can't reach it.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};

use super::chain::Hash;
use super::verify::{Verified, VerifyError, verify};
use crate::db::{Db, TenantId};

/// Stands before what is signed, so that the signature means nothing anywhere else.
const PURPOSE: &[u8] = b"streamverse audit checkpoint 1\n";

/// A place in a tenant's chain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    pub tenant: String,
    pub sequence: i64,
    pub hash: Hash,
    pub at_ms: i64,
}

/// Signs with Ed25519. The key is the keyring's matter.
pub trait Signer: Send + Sync {
    fn key_id(&self) -> &str;
    /// The 64 bytes of RFC 8032.
    ///
    /// # Errors
    /// With the reason why there is no signature.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String>;
}

/// A checkpoint as it is exported, in JSON.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SignedCheckpoint {
    pub tenant: String,
    pub sequence: i64,
    /// Hexadecimal.
    pub hash: String,
    pub at_ms: i64,
    pub key_id: String,
    /// Base64.
    pub signature: String,
}

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error(transparent)]
    Verify(#[from] VerifyError),

    #[error("the checkpoint can't be signed: {0}")]
    Sign(String),

    #[error("the checkpoint's {0} can't be read")]
    Unreadable(&'static str),

    #[error("the checkpoint's signature is not that of key `{0}`")]
    Signature(String),
}

/// Verifies a tenant's chain and signs its head.
///
/// # Errors
/// When the chain is broken or there is no signature.
pub async fn checkpoint(
    db: &Db,
    tenant: &TenantId,
    now_ms: i64,
    signer: &dyn Signer,
) -> Result<SignedCheckpoint, CheckpointError> {
    let Verified { records, hash } = verify(db, tenant, None).await?;
    let mut signed = SignedCheckpoint {
        tenant: tenant.as_str().to_owned(),
        sequence: records,
        hash: HEXLOWER.encode(&hash),
        at_ms: now_ms,
        key_id: signer.key_id().to_owned(),
        signature: String::new(),
    };
    let signature = signer.sign(&signed.message()).map_err(CheckpointError::Sign)?;
    signed.signature = BASE64.encode(&signature);
    Ok(signed)
}

impl SignedCheckpoint {
    fn message(&self) -> Vec<u8> {
        let Self { tenant, sequence, hash, at_ms, key_id, .. } = self;
        let body = serde_json::json!({
            "tenant": tenant,
            "sequence": sequence.to_string(),
            "hash": hash,
            "at_ms": at_ms.to_string(),
            "key_id": key_id,
        });
        let mut message = PURPOSE.to_vec();
        // Text alone: it has a form.
        message.extend(serde_json_canonicalizer::to_vec(&body).unwrap_or_default());
        message
    }

    /// The checkpoint, if the key with these 32 bytes has signed it.
    ///
    /// # Errors
    /// When it hasn't.
    pub fn open(&self, public_key: &[u8]) -> Result<Checkpoint, CheckpointError> {
        let unreadable = |what| move |_| CheckpointError::Unreadable(what);
        let signature = BASE64.decode(self.signature.as_bytes());
        let signature = signature.map_err(unreadable("signature"))?;
        UnparsedPublicKey::new(&ED25519, public_key)
            .verify(&self.message(), &signature)
            .map_err(|_| CheckpointError::Signature(self.key_id.clone()))?;
        let hash = HEXLOWER.decode(self.hash.as_bytes()).map_err(unreadable("hash"))?;
        let hash = hash.try_into().map_err(|_| CheckpointError::Unreadable("hash"))?;
        Ok(Checkpoint {
            tenant: self.tenant.clone(),
            sequence: self.sequence,
            hash,
            at_ms: self.at_ms,
        })
    }
}
