//! Claims as objects that are renewed. See [`super::super::claim`].

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::super::{ObjectError, ObjectKey, PutMode, SourceVersion};
use super::S3Store;

/// How long a claim lasts after it was renewed: long enough for a store that is away for a while
/// and for clocks that differ by minutes.
const LEASE: Duration = Duration::from_secs(60 * 60);
const RENEW_EVERY: Duration = Duration::from_secs(5 * 60);

/// Largest claim that is read.
const CLAIM_BYTES_MAX: u64 = 4_096;

/// What a claim says.
#[derive(Debug, Deserialize, Serialize)]
struct Lease {
    /// Tells two holders apart.
    holder: String,
    /// Milliseconds since 1970.
    renewed_ms: u64,
}

/// A claim that this process holds, or took over.
#[derive(Debug)]
pub struct S3Claim {
    held: Arc<Held>,
    renewing: JoinHandle<()>,
}

#[derive(Debug)]
struct Held {
    store: S3Store,
    key: ObjectKey,
    holder: String,
    /// What the claim was written as last.
    version: Mutex<SourceVersion>,
}

impl S3Store {
    pub(in super::super) async fn claim(&self, key: &ObjectKey) -> Result<S3Claim, ObjectError> {
        let holder = new_holder();
        let meta = self.put(key, lease(&holder, now_ms()), PutMode::Overwrite).await?;
        Ok(S3Claim::hold(self.clone(), key.clone(), holder, meta.version))
    }

    pub(in super::super) async fn take_over(
        &self,
        key: &ObjectKey,
        now_ms: u64,
    ) -> Result<Option<S3Claim>, ObjectError> {
        let (bytes, meta) = match self.get_versioned(key, CLAIM_BYTES_MAX).await {
            Err(ObjectError::NotFound { .. }) => return Ok(None),
            result => result?,
        };
        let found: Lease = serde_json::from_slice(&bytes).map_err(|error| {
            let reason = format!("it is no claim: {error}");
            ObjectError::Remote { key: key.to_string(), reason }
        })?;
        let lease_ms = u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX);
        if now_ms < found.renewed_ms.saturating_add(lease_ms) {
            return Ok(None);
        }
        let holder = new_holder();
        match self.replace(key, lease(&holder, now_ms), &meta.version).await {
            Ok(meta) => Ok(Some(S3Claim::hold(self.clone(), key.clone(), holder, meta.version))),
            // Its holder woke up, or somebody else was faster.
            Err(ObjectError::Changed { .. } | ObjectError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl S3Claim {
    fn hold(store: S3Store, key: ObjectKey, holder: String, version: SourceVersion) -> Self {
        let held = Arc::new(Held { store, key, holder, version: Mutex::new(version) });
        let renewed = Arc::clone(&held);
        let renewing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                if let Err(error) = renewed.renew(now_ms()).await {
                    // The holder finds out before its work counts.
                    tracing::warn!(key = %renewed.key, %error, "could not renew a claim");
                }
            }
        });
        Self { held, renewing }
    }

    pub(in super::super) async fn confirm(&self) -> Result<(), ObjectError> {
        self.held.renew(now_ms()).await
    }

    pub(in super::super) async fn release(self) -> Result<(), ObjectError> {
        // A renewal on its way names a version, and so brings back nothing.
        self.renewing.abort();
        self.held.store.delete(&self.held.key).await
    }
}

impl Drop for S3Claim {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

impl Held {
    async fn renew(&self, now_ms: u64) -> Result<(), ObjectError> {
        let mut version = self.version.lock().await;
        match self.store.replace(&self.key, lease(&self.holder, now_ms), &version).await {
            Ok(meta) => *version = meta.version,
            Err(ObjectError::Changed { key, reason }) => {
                // A repeated request may have met what its first try had written already.
                let Some(own) = self.written_by_us().await? else {
                    return Err(ObjectError::Changed { key, reason });
                };
                *version = own;
            }
            Err(ObjectError::NotFound { key }) => {
                let reason = "somebody removed it".to_owned();
                return Err(ObjectError::Changed { key, reason });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The version that the claim has, if it still is ours.
    async fn written_by_us(&self) -> Result<Option<SourceVersion>, ObjectError> {
        let (bytes, meta) = match self.store.get_versioned(&self.key, CLAIM_BYTES_MAX).await {
            Err(ObjectError::NotFound { .. }) => return Ok(None),
            result => result?,
        };
        let found = serde_json::from_slice::<Lease>(&bytes);
        Ok(found.is_ok_and(|lease| lease.holder == self.holder).then_some(meta.version))
    }
}

fn new_holder() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

fn lease(holder: &str, renewed_ms: u64) -> Bytes {
    let lease = Lease { holder: holder.to_owned(), renewed_ms };
    serde_json::to_vec(&lease).expect("a lease is plain data").into()
}

fn now_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}
