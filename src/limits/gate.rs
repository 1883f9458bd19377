//! Requests under way: the tasks that wait behind [`edge::limit::Load`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use edge::limit::{Arrival, Load, LoadSettings, Priority, Ticket};
use http::Response;
use origin::body::MediaBody;
use platform::config;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::oneshot;

use super::{nanos, refuse};

/// How often the processor's delay is measured, and who has waited too long is looked for.
const TICK: Duration = Duration::from_millis(50);

/// Lets requests in. Clones share everything.
#[derive(Clone)]
pub struct Gate {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    began: Instant,
    metrics: Metrics,
}

struct State {
    load: Load,
    /// Told true when they are under way, and false when they are turned away.
    waiting: HashMap<Ticket, oneshot::Sender<bool>>,
}

#[derive(Default)]
struct Metrics {
    shed: Family<PriorityLabels, Counter>,
    waited: Counter,
    running: Gauge,
    waiting: Gauge,
    limit: Gauge,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct PriorityLabels {
    priority: &'static str,
}

/// A place among the requests under way, until it is dropped.
pub struct Slot {
    shared: Arc<Shared>,
}

/// A place in the waiting room, until it is dropped.
struct Place {
    shared: Arc<Shared>,
    ticket: Ticket,
    told: oneshot::Receiver<bool>,
}

impl Gate {
    pub fn new(config: &config::Load) -> Self {
        let load = Load::new(settings(config));
        let shared = Shared {
            state: Mutex::new(State { load, waiting: HashMap::new() }),
            began: Instant::now(),
            metrics: Metrics::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    pub fn reload(&self, config: &config::Load) {
        let mut state = self.shared.state();
        state.load.set(settings(config));
        state.let_in();
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        let metrics = &self.shared.metrics;
        let registry = registry.sub_registry_with_prefix("load");
        let help = "Requests turned away with 503, by their priority";
        registry.register("shed", help, metrics.shed.clone());
        registry.register("waited", "Requests that had to wait", metrics.waited.clone());
        for (name, help, gauge) in [
            ("running", "Requests under way", &metrics.running),
            ("waiting", "Requests that wait", &metrics.waiting),
            ("limit", "Requests that may be under way now", &metrics.limit),
        ] {
            registry.register(name, help, gauge.clone());
        }
    }

    /// A place for a request, perhaps after some waiting.
    ///
    /// # Errors
    /// The answer to a request for which there is none.
    #[allow(clippy::result_large_err, reason = "the answer is sent as it is")]
    pub async fn enter(&self, priority: Priority) -> Result<Slot, Response<MediaBody>> {
        let now = nanos(self.shared.began.elapsed());
        let mut place = {
            let mut state = self.shared.state();
            match state.load.arrive(priority, now) {
                Arrival::Runs => return Ok(Slot { shared: self.shared.clone() }),
                Arrival::Shed => {
                    drop(state);
                    return Err(self.shed(priority));
                }
                Arrival::Waits { ticket, displaced } => {
                    displaced.map(|displaced| state.tell(displaced, false));
                    let (sender, told) = oneshot::channel();
                    state.waiting.insert(ticket, sender);
                    Place { shared: self.shared.clone(), ticket, told }
                }
            }
        };
        self.shared.metrics.waited.inc();
        // The sender lives until it has spoken.
        match (&mut place.told).await {
            Ok(true) => Ok(Slot { shared: self.shared.clone() }),
            _ => Err(self.shed(priority)),
        }
    }

    /// Whether requests wait, or the processor is behind.
    pub fn is_pressed(&self) -> bool {
        self.shared.state().load.is_pressed()
    }

    /// Whether there is room for what nobody waits for.
    pub fn has_room_ahead(&self) -> bool {
        self.shared.state().load.has_room_ahead()
    }

    /// Looks after the waiting and the limit. Never ends.
    pub async fn maintain(&self) {
        loop {
            let began = Instant::now();
            tokio::time::sleep(TICK).await;
            // The timer counts in milliseconds, and rounds up.
            let late = began.elapsed().saturating_sub(TICK + Duration::from_millis(2));
            self.tick(nanos(late));
        }
    }

    fn tick(&self, delay_nanos: u64) {
        let now = nanos(self.shared.began.elapsed());
        let mut state = self.shared.state();
        state.load.note_delay(delay_nanos);
        while let Some(ticket) = state.load.expire(now) {
            state.tell(ticket, false);
        }
        state.let_in();
        let Metrics { running, waiting, limit, .. } = &self.shared.metrics;
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        running.set(count(state.load.running()));
        waiting.set(count(state.load.waiting()));
        limit.set(count(state.load.limit()));
    }

    fn shed(&self, priority: Priority) -> Response<MediaBody> {
        let labels = PriorityLabels { priority: priority.as_str() };
        self.shared.metrics.shed.get_or_create(&labels).inc();
        refuse::shed(priority)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// False when nobody listens any more.
    fn tell(&mut self, ticket: Ticket, may_run: bool) -> bool {
        self.waiting.remove(&ticket).is_some_and(|waiting| waiting.send(may_run).is_ok())
    }

    fn let_in(&mut self) {
        while let Some(ticket) = self.load.poll() {
            if !self.tell(ticket, true) {
                self.load.finish();
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.load.finish();
        state.let_in();
    }
}

impl Drop for Place {
    /// Of a request that was given up, too.
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.waiting.remove(&self.ticket);
        state.load.leave(self.ticket);
        // It was let in, and nobody has heard of it.
        if self.told.try_recv() == Ok(true) {
            state.load.finish();
            state.let_in();
        }
    }
}

fn settings(config: &config::Load) -> LoadSettings {
    LoadSettings {
        requests_max: config.requests_max as usize,
        requests_min: config.requests_min.min(config.requests_max) as usize,
        waiting_max: config.waiting_max as usize,
        wait_nanos_max: nanos(Duration::from_secs_f64(config.wait_seconds)),
        delay_nanos_target: nanos(Duration::from_secs_f64(config.delay_target_seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(requests_max: u32, waiting_max: u32) -> Gate {
        Gate::new(&config::Load {
            requests_max,
            requests_min: 1,
            waiting_max,
            wait_seconds: 0.2,
            delay_target_seconds: 0.0,
        })
    }

    #[tokio::test]
    async fn places_are_given_back_however_requests_end() {
        let gate = gate(1, 4);
        let slot = gate.enter(Priority::MANIFEST).await.ok().expect("there is room");
        // One that gives up while it waits.
        let waiting = gate.enter(Priority::MANIFEST);
        assert!(tokio::time::timeout(Duration::from_millis(5), waiting).await.is_err());
        assert_eq!(gate.shared.state().load.waiting(), 0);
        // One that is let in and never hears of it.
        let mut waiting = Box::pin(gate.enter(Priority::MANIFEST));
        assert!(tokio::time::timeout(Duration::from_millis(5), &mut waiting).await.is_err());
        drop(slot);
        drop(waiting);
        assert_eq!(gate.shared.state().load.running(), 0);
        let slot = gate.enter(Priority::AHEAD).await.ok().expect("there is room");
        // One that waits too long.
        let looking = gate.clone();
        let looking = tokio::spawn(async move { looking.maintain().await });
        let refused = gate.enter(Priority::MANIFEST).await.err().expect("nobody leaves");
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["retry-after"]),
            (503, &"1".parse().expect("a value"))
        );
        looking.abort();
        drop(slot);
        assert!(gate.shared.state().waiting.is_empty());
    }
}
