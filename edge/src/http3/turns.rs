//! Whose piece goes into the connection's send window next.
//!
//! quinn sends what lies in its buffers by priority, but whoever writes first fills them: woken
//! together, one stream would take all room until its answer is out, however urgent the others are.
//! So a stream takes a turn for each piece. Turns go by priority. Among equals, answers of use in parts
//! take turns, and any others go one after the other in the order of their requests (RFC 9218 10):
//! half of each of two segments is worth less than one of them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::priority::is_incremental;

/// The turns of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    is_taken: bool,
    next_number: u64,
    /// As many as there are streams.
    waiting: BTreeMap<Place, oneshot::Sender<Turn>>,
}

/// By priority, highest first, then by arrival or by stream. A priority is of one kind or the other.
type Place = (Reverse<i32>, u64);

/// The right to write; passed on when it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Option<Turns>);

impl Turns {
    /// Waits for a turn.
    pub(super) async fn take(&self, priority: i32, stream: u64) -> Turn {
        let given = {
            let mut queue = self.lock();
            if !std::mem::replace(&mut queue.is_taken, true) {
                return Turn(Some(self.clone()));
            }
            let place = queue.place(priority, stream);
            queue.wait(place)
        };
        // A sender is dropped with the queue alone, which this stream keeps.
        given.await.unwrap_or(Turn(None))
    }

    /// Keeps a turn for another piece, unless one waits that goes before.
    pub(super) async fn again(&self, turn: Turn, priority: i32, stream: u64) -> Turn {
        let given = {
            let mut queue = self.lock();
            let place = queue.place(priority, stream);
            let first = queue.waiting.first_key_value();
            if first.is_none_or(|(first, _)| place < *first) {
                return turn;
            }
            // In the queue before the turn is passed on, so that a lower one can't slip in.
            queue.wait(place)
        };
        drop(turn);
        // A sender is dropped with the queue alone, which this stream keeps.
        given.await.unwrap_or(Turn(None))
    }

    /// Gives the turn to the first that still waits.
    fn pass_on(&self) {
        loop {
            let next = {
                let mut queue = self.lock();
                let next = queue.waiting.pop_first();
                queue.is_taken = next.is_some();
                next
            };
            let Some((_, sender)) = next else { return };
            match sender.send(Turn(Some(self.clone()))) {
                Ok(()) => return,
                // That one gave up. The turn that comes back must not pass itself on.
                Err(mut turn) => turn.0 = None,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn place(&mut self, priority: i32, stream: u64) -> Place {
        self.next_number += 1;
        let order = if is_incremental(priority) { self.next_number } else { stream };
        (Reverse(priority), order)
    }

    /// A stream waits once at a time: of a place there is one, and who left it before is gone.
    fn wait(&mut self, place: Place) -> oneshot::Receiver<Turn> {
        let (sender, given) = oneshot::channel();
        self.waiting.insert(place, sender);
        given
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Lets each of `streams`, by name, priority and number, wait behind a turn that ends then.
    async fn order(turns: &Turns, streams: &[(&'static str, i32, u64)]) -> Vec<&'static str> {
        let first = turns.take(0, 0).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for &(name, priority, stream) in streams {
            let (turns, order) = (turns.clone(), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let _turn = turns.take(priority, stream).await;
                order.lock().unwrap().push(name);
            }));
            tokio::task::yield_now().await;
            if name == "gone" {
                let task = tasks.pop().unwrap();
                task.abort();
                let _ = task.await;
            }
        }
        drop(first);
        for task in tasks {
            task.await.unwrap();
        }
        let order = order.lock().unwrap();
        order.clone()
    }

    #[tokio::test]
    async fn turns_go_by_priority_past_those_who_gave_up() {
        let turns = Turns::default();
        let streams = [("low", 1, 4), ("gone", 9, 8), ("high", 4, 16), ("high too", 4, 12)];
        // 4 is of use in parts, and goes by arrival.
        assert_eq!(order(&turns, &streams).await, ["high", "high too", "low"]);
        // 5 is not, and goes by stream.
        let streams = [("late", 5, 16), ("early", 5, 12), ("parts", 4, 4)];
        assert_eq!(order(&turns, &streams).await, ["early", "late", "parts"]);
        assert!(!turns.lock().is_taken);
    }

    /// Whether a stream keeps its turn beside another of its priority that waits.
    async fn keeps(priority: i32, stream: u64, other: u64) -> bool {
        let turns = Turns::default();
        let turn = turns.take(priority, stream).await;
        let turn = turns.again(turn, priority, stream).await;
        let turns_too = turns.clone();
        let has_had = Arc::new(AtomicBool::new(false));
        let had = Arc::clone(&has_had);
        let waiting = tokio::spawn(async move {
            let _turn = turns_too.take(priority, other).await;
            had.store(true, Ordering::Relaxed);
        });
        tokio::task::yield_now().await;
        let turn = turns.again(turn, priority, stream).await;
        let keeps = !has_had.load(Ordering::Relaxed);
        drop(turn);
        waiting.await.unwrap();
        keeps
    }

    #[tokio::test]
    async fn a_turn_is_kept_against_later_requests_and_shared_among_parts() {
        assert!(keeps(5, 4, 8).await);
        assert!(!keeps(5, 8, 4).await);
        assert!(!keeps(4, 4, 8).await);
        assert!(!keeps(4, 8, 4).await);
    }
}
