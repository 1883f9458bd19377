//! What the streams of one connection share.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;

use super::budget::{Budget, Rate};
use super::control::Critical;
use super::error::{Code, Fault};
use super::priority::{Priorities, Priority};
use super::turns::Turns;

/// Requests that a client may give up: a player that seeks gives up a few, a browser that leaves a
/// page some dozens. Beyond, opening and resetting is all it does (as CVE-2023-44487 did in HTTP/2).
const CANCELLED: Rate = Rate { burst: 200, per_second: 20 };

/// Frames and reads on control streams: priorities change with every seek, a few streams at a time.
const CONTROL: Rate = Rate { burst: 500, per_second: 100 };

/// Shared by the tasks of a connection.
#[derive(Debug)]
pub(super) struct State {
    streams_max: u32,
    pub(super) critical: Critical,
    pub(super) turns: Turns,
    priorities: Mutex<Priorities>,
    cancelled: Mutex<Budget>,
    control: Mutex<Budget>,
    /// Requests under way.
    in_flight: watch::Sender<usize>,
    idle_since: Mutex<Instant>,
}

impl State {
    pub(super) fn new(streams_max: u32) -> Self {
        let now = Instant::now();
        Self {
            streams_max,
            critical: Critical::default(),
            turns: Turns::default(),
            priorities: Mutex::default(),
            cancelled: Mutex::new(Budget::new(CANCELLED, now)),
            control: Mutex::new(Budget::new(CONTROL, now)),
            in_flight: watch::Sender::new(0),
            idle_since: Mutex::new(now),
        }
    }

    /// A request begins; the guard ends it.
    pub(super) fn begin(self: &Arc<Self>, id: u64) -> InFlight {
        self.in_flight.send_modify(|count| *count += 1);
        let priority = lock(&self.priorities).open(id);
        InFlight { state: Arc::clone(self), id, priority }
    }

    /// Requests under way; changes are seen.
    pub(super) fn in_flight(&self) -> watch::Receiver<usize> {
        self.in_flight.subscribe()
    }

    /// For how long nothing has been under way.
    pub(super) fn idle(&self) -> Option<Duration> {
        let is_idle = *self.in_flight.borrow() == 0;
        is_idle.then(|| lock(&self.idle_since).elapsed())
    }

    /// A frame or a read on a control stream.
    pub(super) fn spend_control(&self) -> Result<(), Fault> {
        let reason = "there are too many control frames";
        spend(&self.control, reason)
    }

    /// A request that the client gave up.
    pub(super) fn spend_cancelled(&self) -> Result<(), Fault> {
        spend(&self.cancelled, "too many requests are cancelled")
    }

    pub(super) fn update_priority(&self, payload: Bytes) -> Result<(), Fault> {
        lock(&self.priorities).update(payload, self.streams_max)
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct InFlight {
    state: Arc<State>,
    id: u64,
    priority: Arc<AtomicI32>,
}

impl InFlight {
    /// The priority in force, as quinn counts.
    pub(super) fn priority(&self) -> i32 {
        self.priority.load(Ordering::Relaxed)
    }

    /// The request's own `priority` field.
    pub(super) fn requested(&self, priority: Priority) {
        lock(&self.state.priorities).requested(self.id, priority);
    }

    /// The stream's id.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        lock(&self.state.priorities).close(self.id);
        *lock(&self.state.idle_since) = Instant::now();
        self.state.in_flight.send_modify(|count| *count -= 1);
    }
}

fn spend(budget: &Mutex<Budget>, reason: &'static str) -> Result<(), Fault> {
    let is_within = lock(budget).take(Instant::now());
    if is_within { Ok(()) } else { Err(Fault::connection(Code::EXCESSIVE_LOAD, reason)) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
