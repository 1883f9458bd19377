//! Claims as locked files. See [`super::super::claim`].

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::super::{ObjectError, ObjectKey, PutMode, blocking};
use super::LocalStore;

/// A claim that this process holds, or took over.
#[derive(Debug)]
pub struct LocalClaim {
    store: LocalStore,
    key: ObjectKey,
    /// The lock belongs to the open file and ends with it.
    lock: File,
}

impl LocalStore {
    pub(in super::super) async fn claim(&self, key: &ObjectKey) -> Result<LocalClaim, ObjectError> {
        let (store, key) = (self.clone(), key.clone());
        blocking(move || {
            let mut lock = None;
            store.write(&key, PutMode::IfAbsent, |file, path| {
                let fail = |error: io::Error| ObjectError::io("lock", path, error);
                // Locked before it gets its name, so that it is never seen free.
                flock(&*file, FlockOperation::NonBlockingLockExclusive)
                    .map_err(|error| fail(error.into()))?;
                lock = Some(file.try_clone().map_err(fail)?);
                writeln!(file, "{}", std::process::id()).map_err(fail)
            })?;
            let lock = lock.expect("an object that was written was filled");
            Ok(LocalClaim { store, key, lock })
        })
        .await
    }

    pub(in super::super) async fn take_over(
        &self,
        key: &ObjectKey,
    ) -> Result<Option<LocalClaim>, ObjectError> {
        let (store, key) = (self.clone(), key.clone());
        blocking(move || {
            let lock = match store.open_file(&key) {
                Ok((file, _)) => file,
                Err(ObjectError::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(error),
            };
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(ObjectError::io("lock", &store.path(&key), error)),
            }
            let claim = LocalClaim { store, key, lock };
            // It may have been released between the two.
            Ok(claim.confirm().is_ok().then_some(claim))
        })
        .await
    }
}

impl LocalClaim {
    pub(in super::super) fn confirm(&self) -> Result<(), ObjectError> {
        let metadata = self.lock.metadata();
        let fail = |error| ObjectError::io("look at", &self.store.path(&self.key), error);
        if metadata.map_err(fail)?.nlink() == 0 {
            let reason = "somebody removed it".to_owned();
            return Err(ObjectError::Changed { key: self.key.clone(), reason });
        }
        Ok(())
    }

    pub(in super::super) async fn release(self) -> Result<(), ObjectError> {
        // Unlocked last: whoever waits for the lock finds the file removed.
        self.store.delete(&self.key).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ObjectKey {
        "ingests/film/0192".parse().unwrap()
    }

    #[tokio::test]
    async fn a_claim_is_free_when_its_holder_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::at(folder.path()).unwrap();
        assert!(store.take_over(&key()).await.unwrap().is_none());
        let held = store.claim(&key()).await.unwrap();
        assert!(matches!(store.claim(&key()).await, Err(ObjectError::Exists { .. })));
        // Another opening of the folder stands for another process: the lock is the open file's.
        let other = LocalStore::at(folder.path()).unwrap();
        assert!(other.take_over(&key()).await.unwrap().is_none());
        held.confirm().unwrap();
        drop(held);

        let taken = other.take_over(&key()).await.unwrap().unwrap();
        assert!(store.take_over(&key()).await.unwrap().is_none());
        taken.release().await.unwrap();
        assert!(store.take_over(&key()).await.unwrap().is_none());
        assert!(store.list(None, 9).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_claim_that_was_removed_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let store = LocalStore::at(folder.path()).unwrap();
        let held = store.claim(&key()).await.unwrap();
        std::fs::remove_file(store.path(&key())).unwrap();
        assert!(matches!(held.confirm(), Err(ObjectError::Changed { .. })));
    }
}
