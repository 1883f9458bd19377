//! Where passwords are hashed: a few blocking threads at a time, and a short queue in front.
//!
//! A hash costs tens of milliseconds of a core and 19 MiB. Unbounded, a burst of logins would take
//! every core and all memory; here it takes [`HashPool::new`]'s `running_max` threads, and beyond
//! `waiting_max` callers are told to come again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::{Password, PasswordHash};

/// Seconds after which a refused caller may come again.
pub const RETRY_AFTER_SECONDS: u32 = 2;

/// Hashes and verifies. Cheap to clone.
#[derive(Clone)]
pub struct HashPool {
    inner: Arc<Inner>,
}

struct Inner {
    running: Semaphore,
    waiting: AtomicUsize,
    waiting_max: usize,
    refused: AtomicU64,
    /// What the password of somebody who doesn't exist is compared with.
    nobody: PasswordHash,
}

/// No thread can take this hash in reasonable time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PoolError {
    #[error("too many logins wait for their turn; try again in {RETRY_AFTER_SECONDS} s")]
    Full,

    #[error("the thread that hashed ended early")]
    Lost,
}

/// How a password compares with what is kept.
#[derive(Debug)]
pub enum Verdict {
    Wrong,
    Right,
    /// Right, and the kept hash is to be replaced by this one.
    RightAndRehashed(PasswordHash),
}

impl HashPool {
    /// `running_max` hashes at once, `waiting_max` callers in the queue.
    pub fn new(running_max: usize, waiting_max: usize) -> Self {
        let nobody = PasswordHash::make(&Password::typed("nobody").expect("six characters"));
        let inner = Inner {
            running: Semaphore::new(running_max.max(1)),
            waiting: AtomicUsize::new(0),
            waiting_max,
            refused: AtomicU64::new(0),
            nobody,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Half of the cores, and four seconds of queue at 25 ms a hash.
    pub fn for_this_machine() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let running = (cores / 2).max(1);
        Self::new(running, running * 160)
    }

    /// A hash of a password that is to be kept.
    pub async fn hash(&self, password: Password) -> Result<PasswordHash, PoolError> {
        self.run(move || PasswordHash::make(&password)).await
    }

    /// Compares a password with the kept hash, or with nobody's when there is none: who asks can't
    /// tell from the time whether an account exists.
    pub async fn verify(
        &self,
        password: Password,
        kept: Option<PasswordHash>,
    ) -> Result<Verdict, PoolError> {
        let is_known = kept.is_some();
        let kept = kept.unwrap_or_else(|| self.inner.nobody.clone());
        self.run(move || {
            if !kept.verify(&password) || !is_known {
                Verdict::Wrong
            } else if kept.is_outdated() {
                Verdict::RightAndRehashed(PasswordHash::make(&password))
            } else {
                Verdict::Right
            }
        })
        .await
    }

    /// Callers turned away so far.
    pub fn refused(&self) -> u64 {
        self.inner.refused.load(Ordering::Relaxed)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PoolError> {
        let permit = match self.inner.running.try_acquire() {
            Ok(permit) => permit,
            Err(_) => self.wait().await?,
        };
        // Kept by the thread, not by this future: a caller that gives up frees no place before its
        // hash is done.
        permit.forget();
        let pool = self.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _freed = Freed(pool);
            work()
        });
        work.await.map_err(|_| PoolError::Lost)
    }

    async fn wait(&self) -> Result<tokio::sync::SemaphorePermit<'_>, PoolError> {
        let inner = &self.inner;
        let place = Place::take(inner).ok_or_else(|| {
            inner.refused.fetch_add(1, Ordering::Relaxed);
            PoolError::Full
        })?;
        let permit = inner.running.acquire().await.map_err(|_| PoolError::Lost);
        drop(place);
        permit
    }
}

/// Gives a running place back, also when the work panics.
struct Freed(HashPool);

impl Drop for Freed {
    fn drop(&mut self) {
        self.0.inner.running.add_permits(1);
    }
}

/// A place in the queue, given back when the caller gets its turn or gives up.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(inner: &'a Inner) -> Option<Self> {
        let take = |waiting: usize| (waiting < inner.waiting_max).then_some(waiting + 1);
        inner.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        Some(Self(&inner.waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password::typed(text).unwrap()
    }

    #[tokio::test]
    async fn right_wrong_and_nobody() {
        let pool = HashPool::new(1, 8);
        let kept = pool.hash(password("right")).await.unwrap();
        let verdict = pool.verify(password("right"), Some(kept.clone())).await;
        assert!(matches!(verdict, Ok(Verdict::Right)));
        assert!(matches!(pool.verify(password("wrong"), Some(kept)).await, Ok(Verdict::Wrong)));
        // Even who guesses what nobody's hash was made of is not let in.
        assert!(matches!(pool.verify(password("nobody"), None).await, Ok(Verdict::Wrong)));
    }

    #[tokio::test]
    async fn bcrypt_is_replaced() {
        let pool = HashPool::new(1, 8);
        let kept = PasswordHash::read(&bcrypt::hash("right", 4).unwrap()).unwrap();
        match pool.verify(password("right"), Some(kept)).await {
            Ok(Verdict::RightAndRehashed(new)) => assert!(!new.is_outdated()),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_burst_is_bounded_and_the_pool_recovers() {
        let pool = HashPool::new(1, 2);
        let burst: Vec<_> = (0..20)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move { pool.hash(password("x")).await.is_ok() })
            })
            .collect();
        let mut done = 0;
        for task in burst {
            done += u64::from(task.await.unwrap());
        }
        assert!(done >= 3, "one runs and two wait: {done}");
        assert_eq!(done + pool.refused(), 20);
        assert!(pool.hash(password("y")).await.is_ok());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn callers_that_give_up_leave_no_trace() {
        let pool = HashPool::new(1, 1);
        for _ in 0..5 {
            let (first, second) = (pool.hash(password("a")), pool.hash(password("b")));
            let both = async { tokio::join!(first, second) };
            let _ = tokio::time::timeout(std::time::Duration::from_millis(1), both).await;
        }
        // The abandoned hash still runs; one waits for it, and gets its turn.
        assert!(pool.hash(password("c")).await.is_ok());
        assert_eq!(pool.inner.waiting.load(Ordering::Relaxed), 0);
    }
}
