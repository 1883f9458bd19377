//! Between memory and disk: what is written there, and how it comes back.

use std::sync::Arc;

use super::disk::Reading;
use super::fill::{FillHead, Outcome};
use super::front::Shared;
use super::object::Object;
use super::policy::{Decision, Lookup, Purged, RequestControl, decide};
use super::settings::DISK_WHOLE_BYTES_MAX;
use super::writer::Job;
use crate::fetch::{Fetch, FetchError};

/// Blocks that are read at a time.
const BLOCKS_AT_ONCE: usize = 4;

/// What lies on disk for a fill.
pub(super) enum OnDisk {
    Whole(Arc<Object>),
    /// Large, and to be used as it is: it is sent while it is read.
    Large(Box<Reading>),
}

impl<F: Fetch> Shared<F> {
    /// Hands an object to a thread that writes it, unless enough of them are busy.
    pub(super) fn keep_on_disk(self: &Arc<Self>, object: Arc<Object>) {
        let Some(disk) = self.disk.clone() else {
            return;
        };
        let Ok(permit) = self.disk_writes.clone().try_acquire_owned() else {
            self.metrics.disk_writes_dropped.inc();
            return;
        };
        if object.claim_disk() {
            tokio::task::spawn_blocking(move || {
                if !disk.write(&object) {
                    object.unclaim_disk();
                }
                drop(permit);
            });
        }
    }

    pub(super) async fn open_disk(&self, job: &Job) -> Option<OnDisk> {
        let disk = self.disk.clone().filter(|disk| disk.contains(&job.hash))?;
        let hash = job.hash;
        let tier = disk.clone();
        let opened = tokio::task::spawn_blocking(move || tier.open_object(&hash)).await;
        let mut reading = opened.ok().flatten().filter(|reading| reading.meta.key == job.key)?;
        let head = reading.meta.clone().into_head(&self.settings.policy);
        let lookup = Lookup {
            stored: Some(&head),
            purged: self.purges.check(&job.key, &head),
            control: &RequestControl::of_request(&job.viewer),
            now: job.clock.now(),
        };
        if lookup.purged == Purged::Hard {
            tokio::task::spawn_blocking(move || disk.remove(&hash));
            return None;
        }
        let is_usable = decide(&lookup, &self.settings.policy) == Decision::Serve;
        if is_usable && reading.body_bytes > DISK_WHOLE_BYTES_MAX {
            return Some(OnDisk::Large(Box::new(reading)));
        }
        let body = tokio::task::spawn_blocking(move || {
            reading.read_all().inspect_err(|error| disk.read_failed(&hash, error))
        });
        let body = body.await.ok()?.ok()?;
        let counters = self.tags.counters(&head.tags);
        let object = Object::new(job.key.clone(), head, Arc::new(body), counters);
        object.claim_disk();
        Some(OnDisk::Whole(Arc::new(object)))
    }

    /// Sends an object while it is read. Each block is checked before anyone sees it; what follows a
    /// rotten one comes from the origin, if it still has the same, else the transfer breaks.
    pub(super) async fn stream_disk(
        self: &Arc<Self>,
        job: &Job,
        reading: Reading,
    ) -> Result<(), FetchError> {
        let head = reading.meta.clone().into_head(&self.settings.policy);
        let len_bytes = reading.body_bytes;
        let fill_head = FillHead {
            head: head.clone(),
            len_bytes: Some(len_bytes),
            is_shared: true,
            slice: None,
            is_from_disk: true,
        };
        job.fill.resolve(Outcome::Streaming(Arc::new(fill_head)));
        if let Err(error) = self.read_blocks(job, reading).await {
            self.go_on(job, &head, job.fill.len_bytes(), len_bytes, error).await?;
            self.store(job, head, false);
            return Ok(());
        }
        let body = Arc::new(job.fill.whole());
        let counters = self.tags.counters(&head.tags);
        let object = Object::new(job.key.clone(), head, body, counters);
        object.claim_disk();
        if !self.is_gone(&object) {
            self.memory.insert(Arc::new(object));
        }
        Ok(())
    }

    async fn read_blocks(&self, job: &Job, mut reading: Reading) -> Result<(), FetchError> {
        loop {
            let read = move || {
                let mut blocks = Vec::with_capacity(BLOCKS_AT_ONCE);
                let mut result = Ok(());
                while blocks.len() < BLOCKS_AT_ONCE {
                    match reading.next_block() {
                        Ok(Some(block)) => blocks.push(block),
                        Ok(None) => break,
                        Err(error) => {
                            result = Err(error);
                            break;
                        }
                    }
                }
                (reading, blocks, result)
            };
            let failed = |reason: String| FetchError::Unreachable {
                upstream: "the disk".to_owned(),
                reason,
            };
            let read = tokio::task::spawn_blocking(read).await;
            let (next, blocks, result) = read.map_err(|error| failed(error.to_string()))?;
            let is_end = blocks.len() < BLOCKS_AT_ONCE;
            blocks.into_iter().for_each(|block| {
                job.fill.push(block);
            });
            if let (Err(error), Some(disk)) = (result, self.disk.clone()) {
                let reason = error.to_string();
                let hash = job.hash;
                // Before anything new is written under its name.
                let forget = tokio::task::spawn_blocking(move || disk.read_failed(&hash, &error));
                let _ = forget.await;
                return Err(failed(reason));
            }
            if is_end {
                return Ok(());
            }
            reading = next;
        }
    }
}
