//! After a hard purge: what it hit leaves memory and disk, not only sight.
//!
//! A purge holds from the moment it is noted; the sweep gives back the room. What a URL names is
//! removed at once. What a prefix or a tag names is looked for: in memory in one go, on disk file by
//! file, a hundred at a time with rests between, since each head has to be read.

use std::sync::Arc;
use std::time::Duration;

use super::disk::Meta;
use super::front::Shared;
use super::key::KeyHash;
use super::object::Object;
use super::policy::Purged;
use super::purge::{Purge, Scope};
use crate::fetch::Fetch;

const BATCH_FILES: usize = 100;
const REST: Duration = Duration::from_millis(20);

impl<F: Fetch> Shared<F> {
    /// Removes what hard purges hit from memory, and the files of URLs; other files are left to the
    /// next sweep.
    pub(super) async fn free_purged(self: &Arc<Self>, purges: impl Iterator<Item = &Purge>) {
        let mut hashes = Vec::new();
        let mut is_wide = false;
        for purge in purges.filter(|purge| !purge.is_soft) {
            match &purge.scope {
                Scope::Url(key) => {
                    let variants = self.variants.hashes(key);
                    hashes.extend(variants.into_iter().chain([key.hash()]));
                }
                Scope::Prefix(_) | Scope::Tag(_) => is_wide = true,
            }
        }
        let shared = self.clone();
        let free = move || {
            if is_wide {
                for hash in shared.memory.find(|object| shared.is_gone(object)) {
                    shared.memory.remove(&hash);
                }
            }
            for hash in hashes {
                shared.forget_purged(&hash);
                if let Some(disk) = shared.disk.as_ref().filter(|disk| disk.contains(&hash))
                    && disk.peek(&hash).is_some_and(|meta| shared.is_gone_meta(meta))
                {
                    disk.remove(&hash);
                }
            }
        };
        // A panic of the thread leaves what nobody is shown.
        let _ = tokio::task::spawn_blocking(free).await;
        if is_wide {
            self.sweep_wanted.notify_one();
        }
    }

    fn forget_purged(&self, hash: &KeyHash) {
        let mut hashes = self.slice_hashes(hash);
        hashes.push(*hash);
        for hash in hashes {
            if self.memory.get(&hash).is_some_and(|object| self.is_gone(&object)) {
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
