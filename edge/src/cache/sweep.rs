//! After a hard purge: what it hit leaves memory and disk, not only sight.
//!
//! A purge holds from the moment it is noted; the sweep gives back the room. What a URL names is
//! removed at once. What a prefix or a tag names is looked for: in memory in one go, on disk file by
//! file, a hundred at a time with rests between, since each head has to be read.

use std::sync::Arc;
use std::time::Duration;

use super::disk::Meta;
use super::front::Shared;
use super::key::{CacheKey, KeyHash};
use super::object::Object;
use super::policy::Purged;
use super::purge::Scope;
use crate::fetch::Fetch;

const BATCH_FILES: usize = 100;
const REST: Duration = Duration::from_millis(20);

impl<F: Fetch> Shared<F> {
    /// Removes what a hard purge hit, or leaves it to the next sweep of the disk.
    pub(super) async fn free_purged(self: &Arc<Self>, scope: &Scope) {
        let Scope::Url(key) = scope else {
            for hash in self.memory.find(|object| self.is_gone(object)) {
                self.memory.remove(&hash);
            }
            self.sweep_wanted.notify_one();
            return;
        };
        let mut hashes = self.variants.hashes(key);
        hashes.push(key.hash());
        hashes.retain(|hash| {
            self.forget_purged(key, hash);
            self.disk.as_ref().is_some_and(|disk| disk.contains(hash))
        });
        if let Some(disk) = self.disk.clone().filter(|_| !hashes.is_empty()) {
            let shared = self.clone();
            let key = key.clone();
            let remove = move || {
                for hash in hashes {
                    let meta = disk.peek(&hash).filter(|meta| meta.key == key);
                    if meta.is_some_and(|meta| shared.is_gone_meta(meta)) {
                        disk.remove(&hash);
                    }
                }
            };
            // A panic of the thread leaves a file that nobody is shown.
            let _ = tokio::task::spawn_blocking(remove).await;
        }
    }

    fn forget_purged(&self, key: &CacheKey, hash: &KeyHash) {
        let mut hashes = self.slice_hashes(hash);
        hashes.push(*hash);
        for hash in hashes {
            if self.memory.get(&hash).is_some_and(|o| o.key == *key && self.is_gone(&o)) {
                self.memory.remove(&hash);
            }
        }
    }

    pub(super) fn is_gone(&self, object: &Object) -> bool {
        self.purges.check(&object.key, &object.head) == Purged::Hard
    }

    fn is_gone_meta(&self, meta: Meta) -> bool {
        let key = meta.key.clone();
        let head = meta.into_head(&self.settings.policy);
        self.purges.check(&key, &head) == Purged::Hard
    }

    /// Waits for purges, and sweeps the disk after each lot of them. Runs until dropped.
    pub(super) async fn sweep_forever(self: &Arc<Self>) {
        let Some(disk) = self.disk.clone() else {
            return std::future::pending().await;
        };
        loop {
            self.sweep_wanted.notified().await;
            // Purges during the sweep wake it once more.
            for batch in disk.hashes().chunks(BATCH_FILES) {
                let (shared, disk, batch) = (self.clone(), disk.clone(), batch.to_vec());
                let look = move || {
                    for hash in batch {
                        if disk.peek(&hash).is_some_and(|meta| shared.is_gone_meta(meta)) {
                            disk.remove(&hash);
                            shared.metrics.swept.inc();
                        }
                    }
                };
                let _ = tokio::task::spawn_blocking(look).await;
                tokio::time::sleep(REST).await;
            }
        }
    }
}
