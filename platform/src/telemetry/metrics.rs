//! Metrics of HTTP, and the text that `/metrics` answers.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use http::{Method, StatusCode, Version};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// The type of [`encode_metrics`]' text.
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds of the time histograms, in seconds: fine where a cache answers, coarse where a disk or a
/// slow client does.
const TIME_BOUNDS_SECONDS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// What is counted of every request. Clones count together.
///
/// Routes are names from the program, never paths from a request, so that their number is bounded.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: Family<RequestLabels, Counter>,
    sent_bytes: Family<RouteLabels, Counter>,
    first_byte: Family<RouteLabels, Histogram, fn() -> Histogram>,
    total: Family<RouteLabels, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    cut_short: Counter,
    known: Arc<RwLock<Vec<(RequestLabels, Series)>>>,
}

/// Sets of labels whose series are at hand; others are looked up.
const KNOWN_MAX: usize = 64;

/// The series of one set of labels. Looking them up hashes every label four times, which is more
/// than all counting together.
#[derive(Clone, Debug)]
struct Series {
    requests: Counter,
    sent_bytes: Counter,
    first_byte: Histogram,
    total: Histogram,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    route: &'static str,
    method: &'static str,
    protocol: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RouteLabels {
    route: &'static str,
}

/// One finished request.
pub(super) struct Finished<'a> {
    pub(super) route: &'static str,
    pub(super) method: &'a Method,
    pub(super) protocol: &'static str,
    pub(super) status: StatusCode,
    pub(super) sent_bytes: u64,
    pub(super) first_byte_seconds: f64,
    pub(super) total_seconds: f64,
    /// Whether the client took the whole answer.
    pub(super) is_whole: bool,
}

impl HttpMetrics {
    pub fn new() -> Self {
        let times: fn() -> Histogram = || Histogram::new(TIME_BOUNDS_SECONDS);
        Self {
            requests: Family::default(),
            sent_bytes: Family::default(),
            first_byte: Family::new_with_constructor(times),
            total: Family::new_with_constructor(times),
            in_flight: Gauge::default(),
            cut_short: Counter::default(),
            known: Arc::default(),
        }
    }

    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("http");
        registry.register("requests", "Requests answered", self.requests.clone());
        let sent = self.sent_bytes.clone();
        registry.register_with_unit("sent", "Bytes of bodies sent", Unit::Bytes, sent);
        let help = "Time from a request's headers to the first byte of the answer's body";
        let first_byte = self.first_byte.clone();
        registry.register_with_unit("first_byte", help, Unit::Seconds, first_byte);
        let help = "Time from a request's headers to the end of the answer";
        registry.register_with_unit("answer", help, Unit::Seconds, self.total.clone());
        let help = "Requests whose answer is not finished";
        registry.register("requests_in_flight", help, self.in_flight.clone());
        let help = "Answers that the client did not take to their end";
        registry.register("answers_cut_short", help, self.cut_short.clone());
    }

    /// Answers that are not finished.
    pub fn requests_in_flight(&self) -> u64 {
        u64::try_from(self.in_flight.get()).unwrap_or(0)
    }

    pub(super) fn begin(&self) {
        self.in_flight.inc();
    }

    pub(super) fn finish(&self, finished: &Finished<'_>) {
        self.in_flight.dec();
        if !finished.is_whole {
            self.cut_short.inc();
        }
        let labels = RequestLabels {
            route: finished.route,
            method: method_label(finished.method),
            protocol: finished.protocol,
            status: status_label(finished.status),
        };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, series)) = known.iter().find(|(known, _)| *known == labels) {
            return series.count(finished);
        }
        drop(known);
        let series = self.series(&labels);
        series.count(finished);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < KNOWN_MAX && !known.iter().any(|(known, _)| *known == labels) {
            known.push((labels, series));
        }
    }

    fn series(&self, labels: &RequestLabels) -> Series {
        let route = RouteLabels { route: labels.route };
        Series {
            requests: self.requests.get_or_create(labels).clone(),
            sent_bytes: self.sent_bytes.get_or_create(&route).clone(),
            first_byte: self.first_byte.get_or_create(&route).clone(),
            total: self.total.get_or_create(&route).clone(),
        }
    }

    /// A request that ended without an answer.
    pub(super) fn abandon(&self) {
        self.in_flight.dec();
        self.cut_short.inc();
    }
}

impl Series {
    fn count(&self, finished: &Finished<'_>) {
        self.requests.inc();
        self.sent_bytes.inc_by(finished.sent_bytes);
        self.first_byte.observe(finished.first_byte_seconds);
        self.total.observe(finished.total_seconds);
    }
}

impl Default for HttpMetrics {
    fn default() -> Self {
        Self::new()
    }
}

/// The registry as text in the OpenMetrics format.
pub fn encode_metrics(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    encode(&mut text, registry)?;
    Ok(text)
}

/// Methods that clients invent are one label.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

/// HTTP's version, as ALPN names it (RFC 7301 6); h2 with and without TLS is one label.
pub(super) fn protocol_label(version: Version) -> &'static str {
    match version {
        Version::HTTP_3 => "h3",
        Version::HTTP_2 => "h2",
        _ => "http/1.1",
    }
}

fn status_label(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
