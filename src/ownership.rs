//! Who writes to the data directory: this process, until another one takes it over.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// Asked by everything that writes to the data directory. Clones share it.
#[derive(Clone, Debug)]
pub struct Ownership(Arc<RwLock<bool>>);

/// The right to write, while it is held.
#[derive(Debug)]
pub struct Turn {
    _guard: OwnedRwLockReadGuard<bool>,
}

/// Nobody writes while it is held.
#[derive(Debug)]
pub struct Frozen {
    guard: OwnedRwLockWriteGuard<bool>,
}

impl Ownership {
    pub fn new() -> Self {
        Self(Arc::new(RwLock::new(true)))
    }

    /// Waits while a hand-over is under way; none when another process has taken over.
    pub async fn turn(&self) -> Option<Turn> {
        let guard = Arc::clone(&self.0).read_owned().await;
        (*guard).then_some(Turn { _guard: guard })
    }

    /// Waits until nobody writes; whoever asks later waits.
    pub async fn freeze(&self) -> Frozen {
        Frozen { guard: Arc::clone(&self.0).write_owned().await }
    }
}

impl Frozen {
    /// Another process owns the directory from now on.
    pub fn lose(mut self) {
        *self.guard = false;
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
    }
}
