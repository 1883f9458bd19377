//! How many calls one service may hold, so that a slow one does not hold everything.
//!
//! Further callers wait, up to a number and a time; what comes beyond is refused at once, which is
//! the kinder answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

#[derive(Debug)]
pub struct Bulkhead {
    permits: Arc<Semaphore>,
    waiting: AtomicU32,
    queue_max: u32,
    queue_timeout: Duration,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

/// All places are taken, and so are those of the queue; or the wait was too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("too many calls at a time")]
pub struct Full;

impl Bulkhead {
    pub fn new(calls_max: usize, queue_max: u32, queue_timeout: Duration) -> Self {
        let permits = Arc::new(Semaphore::new(calls_max.min(Semaphore::MAX_PERMITS)));
        Self { permits, waiting: AtomicU32::new(0), queue_max, queue_timeout }
    }

    /// Waits for a place, if not too many wait already, and no longer than `patience`.
    ///
    /// # Errors
    /// When there is none.
    pub async fn enter(&self, patience: Duration) -> Result<Slot, Full> {
        let permits = Arc::clone(&self.permits);
        if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
            return Ok(Slot { _permit: permit });
        }
        let _waiting = Waiting::new(&self.waiting, self.queue_max).ok_or(Full)?;
        match timeout(self.queue_timeout.min(patience), permits.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Slot { _permit: permit }),
            _ => Err(Full),
        }
    }
}

/// A place in the queue.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a AtomicU32, max: u32) -> Option<Self> {
        let place = Self(waiting);
        // Dropped when the queue turns out to be full.
        (waiting.fetch_add(1, Ordering::Relaxed) < max).then_some(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn places_and_queue_are_bounded() {
        let bulkhead = Arc::new(Bulkhead::new(2, 1, Duration::from_secs(5)));
        let patience = Duration::from_secs(60);
        let first = bulkhead.enter(patience).await.unwrap();
        let _second = bulkhead.enter(patience).await.unwrap();
        let third = tokio::spawn({
            let bulkhead = Arc::clone(&bulkhead);
            async move { bulkhead.enter(patience).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(bulkhead.enter(patience).await.unwrap_err(), Full, "the queue is full");
        drop(first);
        let third = third.await.unwrap().unwrap();
        let began = tokio::time::Instant::now();
        assert_eq!(bulkhead.enter(patience).await.unwrap_err(), Full, "waited too long");
        assert_eq!(began.elapsed(), Duration::from_secs(5));
        assert_eq!(bulkhead.enter(Duration::from_secs(1)).await.unwrap_err(), Full);
        assert_eq!(began.elapsed(), Duration::from_secs(6));
        drop(third);
        bulkhead.enter(Duration::ZERO).await.unwrap();
    }
}
