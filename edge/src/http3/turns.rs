//! Whose piece goes into the connection's send window next.
//!
//! quinn sends what lies in its buffers by priority, but whoever writes first fills them: woken
//! together, one stream would take all room until its answer is out, however urgent the others are.
//! So a stream takes a turn for each piece. Turns go by priority, and in order among equals.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The turns of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Arc<Mutex<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    is_taken: bool,
    next_number: u64,
    /// By priority, highest first, then by arrival. As many as there are streams.
    waiting: BTreeMap<(Reverse<i32>, u64), oneshot::Sender<Turn>>,
}

/// The right to write; passed on when it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Option<Turns>);

impl Turns {
    /// Waits for a turn.
    pub(super) async fn take(&self, priority: i32) -> Turn {
        let given = {
            let mut queue = self.lock();
            if !std::mem::replace(&mut queue.is_taken, true) {
                return Turn(Some(self.clone()));
            }
            queue.wait(priority)
        };
        // A sender is dropped with the queue alone, which this stream keeps.
        given.await.unwrap_or(Turn(None))
    }

    /// Keeps a turn for another piece, unless one waits that goes before or is its equal.
    pub(super) async fn again(&self, turn: Turn, priority: i32) -> Turn {
        let given = {
            let mut queue = self.lock();
            let first = queue.waiting.first_key_value();
            if first.is_none_or(|((Reverse(best), _), _)| *best < priority) {
                return turn;
            }
            // In the queue before the turn is passed on, so that a lower one can't slip in.
            queue.wait(priority)
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
    fn wait(&mut self, priority: i32) -> oneshot::Receiver<Turn> {
        let (sender, given) = oneshot::channel();
        self.next_number += 1;
        self.waiting.insert((Reverse(priority), self.next_number), sender);
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
    use super::*;

    #[tokio::test]
    async fn turns_go_by_priority_and_arrival_past_those_who_gave_up() {
        let turns = Turns::default();
        let first = turns.take(0).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for (name, priority) in [("low", 1), ("gone", 9), ("high", 5), ("high too", 5)] {
            let (turns, order) = (turns.clone(), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let _turn = turns.take(priority).await;
                order.lock().unwrap().push(name);
            }));
            tokio::task::yield_now().await;
        }
        tasks[1].abort();
        let _ = (&mut tasks[1]).await;
        drop(first);
        for task in [0, 2, 3] {
            (&mut tasks[task]).await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), ["high", "high too", "low"]);
        // Alone, a turn is kept; beside an equal it is shared.
        let turn = turns.take(0).await;
        let turn = turns.again(turn, 0).await;
        let (turns_too, order_too) = (turns.clone(), Arc::clone(&order));
        let equal = tokio::spawn(async move {
            let _turn = turns_too.take(0).await;
            order_too.lock().unwrap().push("equal");
        });
        tokio::task::yield_now().await;
        let turn = turns.again(turn, 0).await;
        assert_eq!(order.lock().unwrap().last(), Some(&"equal"));
        equal.await.unwrap();
        drop(turn);
        assert!(!turns.lock().is_taken);
    }
}
