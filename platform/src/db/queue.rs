//! A bounded queue from asynchronous callers to threads.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The sending side. When the last one is gone, the threads end once the queue is empty.
#[derive(Debug)]
pub(super) struct Sender<T>(Arc<Shared<T>>);

/// The receiving side, shared by threads. When the last one is gone, what waits is dropped.
#[derive(Debug)]
pub(super) struct Receiver<T>(Arc<Shared<T>>);

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    senders: usize,
    receivers: usize,
}

/// Why something was not taken into the queue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refused {
    Full,
    /// No thread is left.
    Closed,
}

pub(super) fn queue<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let state = State { waiting: VecDeque::new(), senders: 1, receivers: 1 };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), capacity });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Sender<T> {
    pub(super) fn send(&self, item: T) -> Result<(), Refused> {
        let mut state = self.0.state();
        if state.receivers == 0 {
            return Err(Refused::Closed);
        }
        if self.0.capacity <= state.waiting.len() {
            return Err(Refused::Full);
        }
        state.waiting.push_back(item);
        drop(state);
        self.0.changed.notify_one();
        Ok(())
    }
}

impl<T> Receiver<T> {
    /// Waits for the next; none when every sender is gone.
    pub(super) fn next(&self) -> Option<T> {
        let mut state = self.0.state();
        loop {
            if let Some(item) = state.waiting.pop_front() {
                return Some(item);
            }
            if state.senders == 0 {
                return None;
            }
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next if there is one.
    pub(super) fn try_next(&self) -> Option<T> {
        self.0.state().waiting.pop_front()
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.0.state().receivers += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.state().senders -= 1;
        self.0.changed.notify_all();
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.receivers -= 1;
        if state.receivers == 0 {
            let dropped = std::mem::take(&mut state.waiting);
            drop(state);
            drop(dropped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_ends() {
        let (sender, receiver) = queue(2);
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        assert_eq!(sender.send(3), Err(Refused::Full));
        assert_eq!(receiver.next(), Some(1));
        sender.send(4).unwrap();
        drop(sender);
        assert_eq!(
            (receiver.next(), receiver.try_next(), receiver.next()),
            (Some(2), Some(4), None)
        );
    }

    #[test]
    fn nothing_waits_for_threads_that_are_gone() {
        let (sender, receiver) = queue(2);
        let other = receiver.clone();
        drop(receiver);
        let (answer, answered) = tokio::sync::oneshot::channel::<()>();
        sender.send(Some(answer)).unwrap();
        drop(other);
        assert!(answered.blocking_recv().is_err());
        assert_eq!(sender.send(None), Err(Refused::Closed));
    }
}
