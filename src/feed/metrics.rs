//! What an operator sees of the feed: whether it flows, how late, and to how many.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::follow::SourceState;

/// Bounds of how late facts come, in seconds. Five is what is promised.
const DELAY_BOUNDS_SECONDS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 5.0, 15.0, 60.0];

type Seconds = Gauge<f64, AtomicU64>;

#[derive(Debug)]
pub(super) struct FeedMetrics {
    pub(super) published: Counter,
    pub(super) refused: Counter,
    pub(super) followers: Gauge,
    pub(super) followers_refused: Counter,
    pub(super) snapshots_sent: Counter,
    pub(super) delay: Histogram,
    pub(super) facts_heard: Family<SourceLabels, Counter>,
    pub(super) history_lost: Family<SourceLabels, Counter>,
    pub(super) failures: Family<SourceLabels, Counter>,
    connected: Family<SourceLabels, Gauge>,
    age: Family<SourceLabels, Seconds>,
}

/// Sources are names from the configuration, so their number is bounded.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
pub(super) struct SourceLabels {
    pub(super) source: String,
}

impl FeedMetrics {
    pub(super) fn new() -> Self {
        Self {
            published: Counter::default(),
            refused: Counter::default(),
            followers: Gauge::default(),
            followers_refused: Counter::default(),
            snapshots_sent: Counter::default(),
            delay: Histogram::new(DELAY_BOUNDS_SECONDS),
            facts_heard: Family::default(),
            history_lost: Family::default(),
            failures: Family::default(),
            connected: Family::default(),
            age: Family::default(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("feed");
        for (name, help, counter) in [
            ("published", "Facts that this process was told first", &self.published),
            ("facts_refused", "Facts that could not be acted upon", &self.refused),
            ("followers_refused", "Followers beyond the limit", &self.followers_refused),
            ("snapshots_sent", "Followers that needed a snapshot", &self.snapshots_sent),
        ] {
            registry.register(name, help, counter.clone());
        }
        registry.register("followers", "Followers that are connected", self.followers.clone());
        let help = "From when a fact was told first to when it held here, without snapshots";
        registry.register_with_unit("delay", help, Unit::Seconds, self.delay.clone());
        for (name, help, family) in [
            ("facts_heard", "Facts that a source told and that were news", &self.facts_heard),
            ("history_lost", "Times that a source had forgotten purges", &self.history_lost),
            ("failures", "Connections to a source that failed or broke", &self.failures),
        ] {
            registry.register(name, help, family.clone());
        }
        let help = "Whether a source is connected and everything it knows is known here";
        registry.register("source_up", help, self.connected.clone());
        let help = "Time since the last word of a source, which speaks every second";
        registry.register_with_unit("source_age", help, Unit::Seconds, self.age.clone());
    }

    pub(super) fn show(&self, sources: &[SourceState], now_ms: u64) {
        for source in sources {
            let labels = SourceLabels { source: source.url.clone() };
            self.connected.get_or_create(&labels).set(i64::from(source.is_up));
            let age_ms = now_ms.saturating_sub(source.last_word_ms);
            self.age.get_or_create(&labels).set(age_ms as f64 / 1_000.0);
        }
    }
}
