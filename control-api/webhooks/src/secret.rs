//! Secrets of endpoints: made here, sealed in the database, shown once.

use platform::keyring::{Keys, Purpose};

use crate::error::WebhookError;
use crate::sign::SigningKey;

const SECRET_BYTES: usize = 32;

/// A secret that is shown to whoever made or rotated it.
#[derive(Clone, Debug)]
pub struct Secret(pub(crate) SigningKey);

impl Secret {
    pub(crate) fn generate() -> Result<Self, WebhookError> {
        let mut bytes = vec![0; SECRET_BYTES];
        let broken = WebhookError::Broken { reason: "the system gives no random bytes" };
        platform::secret_file::fill_random(&mut bytes).map_err(|_| broken)?;
        let broken = WebhookError::Broken { reason: "a secret has a wrong length" };
        SigningKey::new(bytes).map(Self).map_err(|_| broken)
    }

    pub fn reveal(&self) -> String {
        self.0.reveal()
    }
}

/// What a secret is sealed for: it opens for the same endpoint alone.
fn context(tenant: &str, endpoint_id: &str) -> Vec<u8> {
    format!("webhook secret\0{tenant}\0{endpoint_id}").into_bytes()
}

pub(crate) fn seal(
    keys: &Keys,
    tenant: &str,
    endpoint_id: &str,
    secret: &Secret,
    now_ms: i64,
) -> Result<Vec<u8>, WebhookError> {
    let context = context(tenant, endpoint_id);
    Ok(keys.seal(Purpose::Records, &context, secret.0.bytes(), now_ms)?)
}

pub(crate) fn open(
    keys: &Keys,
    tenant: &str,
    endpoint_id: &str,
    sealed: &[u8],
    now_ms: i64,
) -> Result<SigningKey, WebhookError> {
    let context = context(tenant, endpoint_id);
    let opened = keys.open_sealed(Purpose::Records, &context, sealed, now_ms)?;
    let broken = WebhookError::Broken { reason: "a sealed secret has a wrong length" };
    SigningKey::new(opened.plaintext).map_err(|_| broken)
}
