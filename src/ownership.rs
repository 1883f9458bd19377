//! Who writes to the data directory: this process, until another one takes it over.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Asked by everything that writes to the data directory. Clones share it.
///
/// There are two locks, so that a hand-over that waits for an ingest holds up nothing but the next
/// ingest: a session that is revoked meanwhile is revoked at once.
#[derive(Clone, Debug)]
pub struct Ownership {
    long: Arc<RwLock<bool>>,
    short: Arc<RwLock<bool>>,
}

/// The right to write, while it is held.
#[derive(Debug)]
pub struct Turn {
    _guard: OwnedRwLockReadGuard<bool>,
}

/// Nobody takes a short turn while it is held.
#[derive(Debug)]
pub struct Pause {
    _guard: OwnedRwLockWriteGuard<bool>,
}

/// Nobody writes while it is held.
#[derive(Debug)]
pub struct Frozen {
    long: OwnedRwLockWriteGuard<bool>,
    short: OwnedRwLockWriteGuard<bool>,
}

impl Ownership {
    pub fn new() -> Self {
        Self { long: Arc::new(RwLock::new(true)), short: Arc::new(RwLock::new(true)) }
    }

    /// For a write of moments. Waits while a hand-over is under way; none when another process has
    /// taken over. Not to be held while something else asks for a turn.
    pub async fn turn(&self) -> Option<Turn> {
        turn_of(&self.short).await
    }

    /// For work that may take minutes, and may take short turns meanwhile.
    pub async fn long_turn(&self) -> Option<Turn> {
        turn_of(&self.long).await
    }

    /// Waits until nobody has a short turn; whoever asks for one later waits. Long work goes on:
    /// what it writes appears whole, and an ingest of an hour would hold up everybody. None when
    /// another process has taken over.
    pub async fn pause(&self) -> Option<Pause> {
        let guard = Arc::clone(&self.short).write_owned().await;
        (*guard).then_some(Pause { _guard: guard })
    }

    /// Waits until nobody writes; whoever asks later waits.
    pub async fn freeze(&self) -> Frozen {
        let long = Arc::clone(&self.long).write_owned().await;
        let short = Arc::clone(&self.short).write_owned().await;
        Frozen { long, short }
    }
}

async fn turn_of(lock: &Arc<RwLock<bool>>) -> Option<Turn> {
    let guard = Arc::clone(lock).read_owned().await;
    (*guard).then_some(Turn { _guard: guard })
}

impl Frozen {
    /// Another process owns the directory from now on.
    pub fn lose(mut self) {
        *self.long = false;
        *self.short = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn writers_wait_and_learn_who_owns() {
        let ownership = Ownership::new();
        let turn = ownership.turn().await.unwrap();
        let mut freezing = Box::pin(ownership.freeze());
        let poll = std::future::poll_fn(|context| {
            std::task::Poll::Ready(freezing.as_mut().poll(context).is_pending())
        });
        assert!(poll.await, "frozen while somebody writes");
        drop(turn);
        let frozen = freezing.await;
        let waiting = tokio::spawn({
            let ownership = ownership.clone();
            async move { ownership.turn().await.is_some() }
        });
        drop(frozen);
        assert!(waiting.await.unwrap());
        ownership.freeze().await.lose();
        assert!(ownership.turn().await.is_none());
        assert!(ownership.long_turn().await.is_none());
    }

    #[tokio::test]
    async fn a_pause_waits_for_no_long_work() {
        let ownership = Ownership::new();
        let work = ownership.long_turn().await.unwrap();
        let pause = ownership.pause().await.unwrap();
        let second = tokio::time::Duration::from_millis(50);
        assert!(tokio::time::timeout(second, ownership.turn()).await.is_err());
        drop(pause);
        assert!(ownership.turn().await.is_some());
        drop(work);
        ownership.freeze().await.lose();
        assert!(ownership.pause().await.is_none());
    }

    #[tokio::test]
    async fn long_work_holds_up_no_short_one() {
        let ownership = Ownership::new();
        let work = ownership.long_turn().await.unwrap();
        let mut freezing = Box::pin(ownership.freeze());
        let poll = std::future::poll_fn(|context| {
            std::task::Poll::Ready(freezing.as_mut().poll(context).is_pending())
        });
        assert!(poll.await, "frozen in the middle of the work");
        let turn = tokio::time::timeout(std::time::Duration::from_secs(5), ownership.turn()).await;
        drop(turn.expect("a hand-over waits for the work, a short write for nobody").unwrap());
        drop(work);
        freezing.await.lose();
    }
}
