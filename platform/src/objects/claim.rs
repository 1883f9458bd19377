//! Claims: whose work on a store is still going on.
//!
//! Work that writes many objects before one of them makes the rest count holds a claim meanwhile:
//! an object of its own that tells others to keep their hands off. When the process ends without
//! a word, the claim stays, and whoever cleans up after it takes it over first.
//!
//! Age alone can't tell a crash from an ingest that takes a day. What can differs by store:
//!
//! * In a folder the claim is a file locked by `flock(2)`. The kernel frees the lock with the
//!   process, `kill -9` included, so that a claim is free at once and never too early.
//! * On S3 nobody notices an end. The holder writes the time into its claim every few minutes,
//!   and one that was not renewed for an hour is free. Each renewal names the version that
//!   the last one wrote (`If-Match`), so that of a holder that was only asleep and somebody who
//!   took its claim exactly one goes on: [`Claim::confirm`] fails for the other.

use super::local::LocalClaim;
#[cfg(feature = "s3")]
use super::s3::S3Claim;
use super::{ObjectError, ObjectKey, ObjectStore};

/// Held until it is released. Dropped without that, it is left behind as by a crash.
#[derive(Debug)]
pub enum Claim {
    Local(LocalClaim),
    #[cfg(feature = "s3")]
    S3(S3Claim),
}

impl ObjectStore {
    /// Makes a claim at `key`.
    ///
    /// # Errors
    /// [`ObjectError::Exists`] when there is one already, on a local store.
    pub async fn claim(&self, key: &ObjectKey) -> Result<Claim, ObjectError> {
        match self {
            Self::Local(store) => store.claim(key).await.map(Claim::Local),
            #[cfg(feature = "s3")]
            Self::S3(store) => store.claim(key).await.map(Claim::S3),
        }
    }

    /// Takes over a claim that its holder left behind; none while the holder may live, or when it
    /// was released meanwhile. `now_ms` counts from 1970.
    pub async fn take_over(
        &self,
        key: &ObjectKey,
        now_ms: u64,
    ) -> Result<Option<Claim>, ObjectError> {
        match self {
            Self::Local(store) => Ok(store.take_over(key).await?.map(Claim::Local)),
            #[cfg(feature = "s3")]
            Self::S3(store) => Ok(store.take_over(key, now_ms).await?.map(Claim::S3)),
        }
    }
}

impl Claim {
    /// Makes sure that nobody took the claim over.
    ///
    /// # Errors
    /// [`ObjectError::Changed`] when somebody did.
    pub async fn confirm(&self) -> Result<(), ObjectError> {
        match self {
            Self::Local(claim) => claim.confirm(),
            #[cfg(feature = "s3")]
            Self::S3(claim) => claim.confirm().await,
        }
    }

    /// Gives up a claim whose work is done.
    pub async fn release(self) -> Result<(), ObjectError> {
        match self {
            Self::Local(claim) => claim.release().await,
            #[cfg(feature = "s3")]
            Self::S3(claim) => claim.release().await,
        }
    }
}
