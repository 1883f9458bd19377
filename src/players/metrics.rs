//! What is counted of players. Labels are words of CMCD's own short lists, never a player's text.

use edge::cmcd::session::Noted;
use edge::cmcd::{Cmcd, ObjectType, StreamFormat};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

const SECONDS: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0];
const KBPS: [f64; 9] =
    [150.0, 400.0, 800.0, 1_500.0, 3_000.0, 6_000.0, 12_000.0, 25_000.0, 100_000.0];

/// Clones count together.
#[derive(Clone, Debug)]
pub(super) struct PlayerMetrics {
    requests: Family<RequestLabels, Counter>,
    reports: Counter,
    invalid: Counter,
    pub(super) reports_refused: Counter,
    pub(super) sessions: Gauge,
    sessions_begun: Counter,
    pub(super) sessions_ended: Counter,
    startup: Histogram,
    stalls: Counter,
    starved: Histogram,
    buffer: Histogram,
    bit_rate: Histogram,
    throughput: Histogram,
    pub(super) events_written: Counter,
    pub(super) events_dropped: Counter,
    pub(super) file_errors: Counter,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    format: &'static str,
    object: &'static str,
}

impl Default for PlayerMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            reports: Counter::default(),
            invalid: Counter::default(),
            reports_refused: Counter::default(),
            sessions: Gauge::default(),
            sessions_begun: Counter::default(),
            sessions_ended: Counter::default(),
            startup: Histogram::new(SECONDS),
            stalls: Counter::default(),
            starved: Histogram::new(SECONDS),
            buffer: Histogram::new(SECONDS),
            bit_rate: Histogram::new(KBPS),
            throughput: Histogram::new(KBPS),
            events_written: Counter::default(),
            events_dropped: Counter::default(),
            file_errors: Counter::default(),
        }
    }
}

impl PlayerMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Requests with CMCD, by streaming format and object type";
        registry.register("requests", help, self.requests.clone());
        for (name, help, counter) in [
            ("reports", "Lines of event reports", &self.reports),
            ("reports_refused", "Reports that were not taken", &self.reports_refused),
            ("invalid_values", "Values of known keys that can't be read", &self.invalid),
            ("sessions_begun", "Playback sessions heard of", &self.sessions_begun),
            ("sessions_ended", "Playback sessions over", &self.sessions_ended),
            ("stalls", "Times that a player ran dry after it had begun", &self.stalls),
            ("events_written", "Events written to the file", &self.events_written),
            ("events_dropped", "Events lost: the disk is slower", &self.events_dropped),
            ("file_errors", "Failed writes of the file of events", &self.file_errors),
        ] {
            registry.register(name, help, counter.clone());
        }
        registry.register("sessions", "Playback sessions heard of lately", self.sessions.clone());
        for (name, help, histogram) in [
            ("startup", "From a session's first request to playback", &self.startup),
            ("starved", "Length of stalls, as players report it", &self.starved),
            ("buffer", "Length of players' buffers", &self.buffer),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
        let help = "Bit rate of requested media in kbit/s";
        registry.register("bit_rate_kbps", help, self.bit_rate.clone());
        let help = "Throughput that players measured in kbit/s";
        registry.register("throughput_kbps", help, self.throughput.clone());
    }

    pub(super) fn count_request(&self, cmcd: &Cmcd) {
        let labels = RequestLabels {
            format: cmcd.format.map_or("unknown", StreamFormat::as_str),
            object: cmcd.object.map_or("unknown", ObjectType::as_str),
        };
        self.requests.get_or_create(&labels).inc();
        self.count_values(cmcd);
    }

    pub(super) fn count_report(&self, cmcd: &Cmcd) {
        self.reports.inc();
        self.count_values(cmcd);
    }

    fn count_values(&self, cmcd: &Cmcd) {
        if cmcd.invalid > 0 {
            self.invalid.inc_by(cmcd.invalid.into());
        }
        if let Some(buffer_ms) = cmcd.buffer_ms {
            self.buffer.observe(f64::from(buffer_ms) / 1e3);
        }
        if let Some(kbps) = cmcd.bit_rate_kbps {
            self.bit_rate.observe(kbps.into());
        }
        if let Some(kbps) = cmcd.throughput_kbps {
            self.throughput.observe(kbps.into());
        }
    }

    pub(super) fn count_session(&self, noted: &Noted) {
        self.sessions_begun.inc_by(noted.is_new.into());
        self.stalls.inc_by(noted.has_stalled.into());
        if let Some(startup_ms) = noted.startup_ms {
            self.startup.observe(startup_ms as f64 / 1e3);
        }
        if let Some(starved_ms) = noted.starved_ms {
            self.starved.observe(f64::from(starved_ms) / 1e3);
        }
    }
}
