//! Spans to an OpenTelemetry receiver: OTLP over HTTP with protobuf (OTLP 1.5, "OTLP/HTTP").
//!
//! Spans wait in a bounded queue; one task sends them in batches. A receiver that is away costs
//! spans, never requests: what finds no room is dropped and counted. The messages are the few that a
//! span needs, written here with their tags (opentelemetry-proto, trace/v1/trace.proto).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, Uri};
use platform::config::Telemetry;
use platform::outbound::{Call, CallError, Outbound, Peer, Reach};
use platform::telemetry::trace::{Attribute, SpanRecord, SpanSink, set_sink};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use prost::Message;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

/// Spans that wait. One takes about 500 bytes.
const QUEUE_SPANS_MAX: usize = 4_096;
/// Spans of one batch, and how long the first of them waits.
const BATCH_SPANS_MAX: usize = 512;
const BATCH_WAIT: Duration = Duration::from_secs(2);

/// How often a batch is sent: 429, 502, 503 and 504 are worth another try.
const TRIES: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// For what is left when the process ends.
const LAST_MAX: Duration = Duration::from_secs(3);
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    #[error("`telemetry.otlp_endpoint` is no address: {0}")]
    Endpoint(#[from] http::Error),
    #[error("`telemetry.otlp_secret` can't stand in a header")]
    Secret,
    #[error("another exporter has this process's spans")]
    Taken,
}

/// Sends this process's spans.
#[derive(Debug)]
pub struct Exporter {
    end: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
    metrics: Metrics,
}

#[derive(Clone, Debug, Default)]
struct Metrics {
    exported: Counter,
    dropped: Counter,
}

impl Exporter {
    /// Starts where the configuration names a receiver.
    ///
    /// # Errors
    /// When it can't be asked as configured, or there is an exporter already.
    pub fn start(config: &Telemetry, outbound: &Outbound) -> Result<Option<Self>, OtlpError> {
        let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
        let target = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let target: Uri = target.parse().map_err(http::Error::from)?;
        let secret =
            config.otlp_secret.as_ref().map(|secret| secret_header(config, secret.expose()));
        let peer = outbound.peer("otlp", Reach::Anywhere, |_| {});
        let (queue, spans) = mpsc::channel(QUEUE_SPANS_MAX);
        let metrics = Metrics::default();
        if !set_sink(Box::new(Queue { queue, metrics: metrics.clone() })) {
            return Err(OtlpError::Taken);
        }
        let sender = Sender {
            peer,
            target,
            secret: secret.transpose()?,
            resource: Resource::of(config),
            metrics: metrics.clone(),
        };
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(sender.run(spans, ended));
        Ok(Some(Self { end: Some(end), task, metrics }))
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("spans");
        let help = "Spans that a receiver took";
        registry.register("exported", help, self.metrics.exported.clone());
        let help = "Spans that found no room or that no receiver took";
        registry.register("dropped", help, self.metrics.dropped.clone());
    }

    /// Sends what is left.
    pub async fn finish(mut self) {
        drop(self.end.take());
        if timeout(LAST_MAX, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

fn secret_header(config: &Telemetry, secret: &str) -> Result<(HeaderName, HeaderValue), OtlpError> {
    let name = HeaderName::from_bytes(config.otlp_header.as_bytes()).map_err(http::Error::from)?;
    let mut value = HeaderValue::from_str(secret).map_err(|_| OtlpError::Secret)?;
    value.set_sensitive(true);
    Ok((name, value))
}

struct Queue {
    queue: mpsc::Sender<SpanRecord>,
    metrics: Metrics,
}

impl SpanSink for Queue {
    fn record(&self, span: SpanRecord) {
        if self.queue.try_send(span).is_err() {
            self.metrics.dropped.inc();
        }
    }
}

struct Sender {
    peer: Peer,
    target: Uri,
    secret: Option<(HeaderName, HeaderValue)>,
    resource: Resource,
    metrics: Metrics,
}

impl Sender {
    async fn run(self, mut spans: mpsc::Receiver<SpanRecord>, mut ended: oneshot::Receiver<()>) {
        loop {
            let first = tokio::select! {
                span = spans.recv() => span,
                _ = &mut ended => break,
            };
            let Some(first) = first else { return };
            let mut batch = vec![first];
            let until = Instant::now() + BATCH_WAIT;
            while batch.len() < BATCH_SPANS_MAX {
                tokio::select! {
                    span = timeout_at(until, spans.recv()) => match span {
                        Ok(Some(span)) => batch.push(span),
                        Ok(None) | Err(_) => break,
                    },
                    _ = &mut ended => {
                        self.send(batch).await;
                        return self.send_rest(spans).await;
                    }
                }
            }
            self.send(batch).await;
        }
        self.send_rest(spans).await;
    }

    async fn send_rest(&self, mut spans: mpsc::Receiver<SpanRecord>) {
        spans.close();
        loop {
            let mut batch = Vec::new();
            if spans.recv_many(&mut batch, BATCH_SPANS_MAX).await == 0 {
                return;
            }
            self.send(batch).await;
        }
    }

    async fn send(&self, batch: Vec<SpanRecord>) {
        let count = batch.len() as u64;
        let content = Bytes::from(self.resource.request(batch).encode_to_vec());
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=TRIES {
            match self.post(content.clone()).await {
                Ok(status) if status.is_success() => {
                    self.metrics.exported.inc_by(count);
                    return;
                }
                Ok(status) if !matches!(status.as_u16(), 429 | 502..=504) => {
                    tracing::warn!(%status, "the receiver of spans refuses them");
                    break;
                }
                Ok(status) => tracing::debug!(%status, attempt, "spans were not taken"),
                Err(error) => tracing::debug!(%error, attempt, "spans were not sent"),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        self.metrics.dropped.inc_by(count);
    }

    async fn post(&self, content: Bytes) -> Result<StatusCode, CallError> {
        let mut call = Call::post(self.target.clone(), "application/x-protobuf", content)
            .cut_answer_at(ANSWER_BYTES_MAX);
        if let Some((name, value)) = &self.secret {
            call = call.header(name.clone(), value.clone());
        }
        Ok(self.peer.send(call).await?.status)
    }
}

/// Who the spans come from (OpenTelemetry, "Resource Semantic Conventions").
struct Resource(Vec<KeyValue>);

impl Resource {
    fn of(config: &Telemetry) -> Self {
        let text = |key: &str, value: &str| key_value(key, Value::Text(value.to_owned()));
        Self(vec![
            text("service.name", &config.service_name),
            text("service.version", env!("CARGO_PKG_VERSION")),
            key_value("process.pid", Value::Number(i64::from(std::process::id()))),
        ])
    }

    fn request(&self, spans: Vec<SpanRecord>) -> ExportRequest {
        let scope =
            Scope { name: "streamverse".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
        let spans = spans.into_iter().map(Span::from).collect();
        let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
        let resource = Some(ResourceMessage { attributes: self.0.clone() });
        ExportRequest { resource_spans: vec![ResourceSpans { resource, scope_spans }] }
    }
}

impl From<SpanRecord> for Span {
    fn from(record: SpanRecord) -> Self {
        let attributes = record.attributes.into_iter().map(|(key, value)| {
            let value = match value {
                Attribute::Text(text) => Value::Text(text.into_owned()),
                Attribute::Number(number) => Value::Number(number),
                Attribute::Flag(flag) => Value::Flag(flag),
            };
            key_value(key, value)
        });
        let context = &record.context;
        Self {
            trace_id: context.trace_id.to_be_bytes().to_vec(),
            span_id: context.span_id.to_be_bytes().to_vec(),
            parent_span_id: context
                .parent_id
                .map(|parent| parent.to_be_bytes().to_vec())
                .unwrap_or_default(),
            kind: record.kind as i32,
            start_nanos: nanos(record.began),
            end_nanos: nanos(record.ended),
            attributes: attributes.collect(),
            // STATUS_CODE_ERROR; without an error it is left unset.
            status: record.has_failed.then_some(SpanStatus { code: 2 }),
            name: record.name.into_owned(),
        }
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}

fn key_value(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

#[derive(Clone, PartialEq, Message)]
struct ExportRequest {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<ResourceMessage>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceMessage {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(int32, tag = "6")]
    kind: i32,
    #[prost(fixed64, tag = "7")]
    start_nanos: u64,
    #[prost(fixed64, tag = "8")]
    end_nanos: u64,
    #[prost(message, repeated, tag = "9")]
    attributes: Vec<KeyValue>,
    #[prost(message, optional, tag = "15")]
    status: Option<SpanStatus>,
}

#[derive(Clone, PartialEq, Message)]
struct SpanStatus {
    #[prost(int32, tag = "3")]
    code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Value", tags = "1, 2, 3")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Value {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Flag(bool),
    #[prost(int64, tag = "3")]
    Number(i64),
}
