//! Which trace a piece of work belongs to, and the spans that are made of it.
//!
//! W3C Trace Context (<https://www.w3.org/TR/trace-context/>): `traceparent` names the trace and the
//! caller's span, `tracestate` carries what vendors add. A request's context is that of its task
//! ([`in_context`]), so that whatever is called from there can name its own spans ([`span`]) and hand
//! the context on ([`TraceContext::inject`]). Spans go to the sink that the process has, if any;
//! without one a span costs nothing.

use std::borrow::Cow;
use std::future::Future;
use std::sync::OnceLock;
use std::time::SystemTime;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::request_id::{scramble, unique_word};

pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Longest `tracestate` that is handed on, and its members (Trace Context 3.3.1).
const STATE_BYTES_MAX: usize = 512;
const STATE_MEMBERS_MAX: usize = 32;
/// `00-`, 32 digits, `-`, 16 digits, `-`, 2 digits.
const PARENT_BYTES: usize = 55;

/// Attributes of one span.
const ATTRIBUTES_MAX: usize = 32;

/// A span's place in its trace.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TraceContext {
    pub trace_id: u128,
    pub span_id: u64,
    /// The caller's span.
    pub parent_id: Option<u64>,
    pub is_sampled: bool,
    state: Option<HeaderValue>,
}

impl TraceContext {
    /// Goes on with the trace of a request, or begins one, of which the part `sample` is recorded.
    pub fn of(headers: &HeaderMap, sample: f64) -> Self {
        let mut parents = headers.get_all(TRACEPARENT).iter();
        let parent = parents.next().filter(|_| parents.next().is_none());
        match parent.and_then(|parent| parse(parent.as_bytes())) {
            Some((trace_id, parent_id, is_sampled)) => Self {
                trace_id,
                span_id: new_id(),
                parent_id: Some(parent_id),
                is_sampled,
                state: state_of(headers),
            },
            None => Self::begin(sample),
        }
    }

    /// A trace of its own.
    pub fn begin(sample: f64) -> Self {
        let (high, low) = (new_id(), scramble(new_id()));
        // The upper bits are as good as random, and all of 53 fit a float.
        let is_sampled = ((low >> 11) as f64) < sample * (1_u64 << 53) as f64;
        let trace_id = (u128::from(high) << 64) | u128::from(low);
        Self { trace_id, span_id: new_id(), parent_id: None, is_sampled, state: None }
    }

    /// Work within this work.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span_id: new_id(), parent_id: Some(self.span_id), ..self.clone() }
    }

    /// Puts the context into the headers of a request that is sent.
    pub fn inject(&self, headers: &mut HeaderMap) {
        let flags = u8::from(self.is_sampled);
        let text = format!("00-{:032x}-{:016x}-{flags:02x}", self.trace_id, self.span_id);
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(TRACEPARENT, value);
        }
        match &self.state {
            Some(state) => drop(headers.insert(TRACESTATE, state.clone())),
            None => drop(headers.remove(TRACESTATE)),
        }
    }
}

/// An id that is not 0.
fn new_id() -> u64 {
    unique_word().max(1)
}

/// Trace Context 3.2: lower-case hexadecimal, no id of zeros, and of later versions what is known.
fn parse(text: &[u8]) -> Option<(u128, u64, bool)> {
    let version = digits(text.get(..2)?)?;
    let is_whole = match version {
        0 => text.len() == PARENT_BYTES,
        0xff => false,
        _ => text.len() == PARENT_BYTES || text.get(PARENT_BYTES) == Some(&b'-'),
    };
    let is_parted = [2, 35, 52].iter().all(|at| text.get(*at) == Some(&b'-'));
    if !is_whole || !is_parted {
        return None;
    }
    let trace_id = digits(&text[3..35])?;
    let parent_id = u64::try_from(digits(&text[36..52])?).ok()?;
    let flags = digits(&text[53..55])?;
    (trace_id != 0 && parent_id != 0).then_some((trace_id, parent_id, flags & 1 == 1))
}

fn digits(text: &[u8]) -> Option<u128> {
    text.iter().try_fold(0, |number: u128, byte| match byte {
        b'0'..=b'9' => Some(number << 4 | u128::from(byte - b'0')),
        b'a'..=b'f' => Some(number << 4 | u128::from(byte - b'a' + 10)),
        _ => None,
    })
}

/// All `tracestate` in one; none where it is longer than callers may expect to be handed on.
fn state_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut state = Vec::new();
    for value in headers.get_all(TRACESTATE) {
        if !state.is_empty() {
            state.push(b',');
        }
        state.extend_from_slice(value.as_bytes());
        if STATE_BYTES_MAX < state.len() {
            return None;
        }
    }
    let members = state.split(|byte| *byte == b',').count();
    let is_plain = state.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    let fits = !state.is_empty() && members <= STATE_MEMBERS_MAX && is_plain;
    fits.then(|| HeaderValue::from_bytes(&state).ok()).flatten()
}

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// Does work in a context.
pub async fn in_context<F: Future>(context: TraceContext, work: F) -> F::Output {
    CURRENT.scope(context, work).await
}

/// The context of the task that is running.
pub fn current() -> Option<TraceContext> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Which side of a call a span is (OpenTelemetry, SpanKind).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SpanKind {
    Internal = 1,
    Server = 2,
    Client = 3,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    Text(Cow<'static, str>),
    Number(i64),
    Flag(bool),
}

impl From<&'static str> for Attribute {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<i64> for Attribute {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Attribute {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// A span that has ended.
#[derive(Clone, Debug)]
pub struct SpanRecord {
    pub context: TraceContext,
    pub name: Cow<'static, str>,
    pub kind: SpanKind,
    pub began: SystemTime,
    pub ended: SystemTime,
    pub attributes: Vec<(&'static str, Attribute)>,
    pub has_failed: bool,
}

/// Where spans go. It must not wait.
pub trait SpanSink: Send + Sync {
    fn record(&self, span: SpanRecord);
}

static SINK: OnceLock<Box<dyn SpanSink>> = OnceLock::new();

/// Sets where this process's spans go. Once only; false when there is a sink already.
pub fn set_sink(sink: Box<dyn SpanSink>) -> bool {
    SINK.set(sink).is_ok()
}

/// Begins a span within the context of the running task. `None` where nobody records it.
///
/// The span ends when it is dropped.
pub fn span(name: impl Into<Cow<'static, str>>, kind: SpanKind) -> Option<ActiveSpan> {
    let sink = SINK.get()?;
    let context = current().filter(|context| context.is_sampled)?.child();
    Some(ActiveSpan::new(sink.as_ref(), context, name.into(), kind))
}

/// As [`span`], for the work of `context` itself.
pub fn span_of(
    context: &TraceContext,
    name: impl Into<Cow<'static, str>>,
    kind: SpanKind,
) -> Option<ActiveSpan> {
    let sink = SINK.get().filter(|_| context.is_sampled)?;
    Some(ActiveSpan::new(sink.as_ref(), context.clone(), name.into(), kind))
}

/// Work under way that is recorded.
pub struct ActiveSpan {
    sink: &'static dyn SpanSink,
    record: Option<SpanRecord>,
}

impl ActiveSpan {
    fn new(
        sink: &'static dyn SpanSink,
        context: TraceContext,
        name: Cow<'static, str>,
        kind: SpanKind,
    ) -> Self {
        let began = SystemTime::now();
        let (attributes, has_failed) = (Vec::new(), false);
        let record =
            SpanRecord { context, name, kind, began, ended: began, attributes, has_failed };
        Self { sink, record: Some(record) }
    }

    /// Of the work, so that what it calls can be placed within it.
    pub fn context(&self) -> Option<&TraceContext> {
        self.record.as_ref().map(|record| &record.context)
    }

    pub fn rename(&mut self, name: impl Into<Cow<'static, str>>) {
        if let Some(record) = &mut self.record {
            record.name = name.into();
        }
    }

    /// Adds what is known. Nothing of it may be secret or say who somebody is.
    pub fn set(&mut self, name: &'static str, value: impl Into<Attribute>) {
        if let Some(record) = &mut self.record
            && record.attributes.len() < ATTRIBUTES_MAX
        {
            record.attributes.push((name, value.into()));
        }
    }

    pub fn fail(&mut self) {
        if let Some(record) = &mut self.record {
            record.has_failed = true;
        }
    }
}

impl Drop for ActiveSpan {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.ended = SystemTime::now();
            self.sink.record(record);
        }
    }
}

impl std::fmt::Debug for ActiveSpan {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("ActiveSpan").field(&self.record).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn of(fields: &[(&str, &str)]) -> TraceContext {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        TraceContext::of(&headers, 0.0)
    }

    #[test]
    fn a_trace_goes_on() {
        let context = of(&[("traceparent", SAMPLE), ("tracestate", "a=1"), ("tracestate", "b=2")]);
        assert_eq!(context.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((context.parent_id, context.is_sampled), (Some(0x00f0_67aa_0ba9_02b7), true));
        let mut headers = HeaderMap::new();
        context.child().inject(&mut headers);
        let sent = headers["traceparent"].to_str().unwrap();
        assert!(sent.starts_with(&SAMPLE[..36]) && sent.ends_with("-01"), "{sent}");
        assert_ne!(sent, SAMPLE);
        assert_eq!(headers["tracestate"], "a=1,b=2");
    }

    #[test]
    fn what_is_no_context_begins_another() {
        let zeros = "0".repeat(32);
        let long = format!("{SAMPLE}-x");
        for parent in [
            "",
            "00",
            &SAMPLE.to_uppercase(),
            &SAMPLE.replace("00-4", "ff-4"),
            &SAMPLE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &zeros),
            &SAMPLE.replace("00f067aa0ba902b7", &zeros[..16]),
            &SAMPLE.replace('-', "_"),
            &long,
        ] {
            let context = of(&[("traceparent", parent), ("tracestate", "a=1")]);
            assert_eq!((context.parent_id, context.state), (None, None), "{parent}");
        }
        let twice = of(&[("traceparent", SAMPLE), ("traceparent", SAMPLE)]);
        assert_eq!(twice.parent_id, None);
        // A later version may say more.
        let later = of(&[("traceparent", &long.replace("00-4", "01-4"))]);
        assert!(later.parent_id.is_some());
        let many = vec!["a=1"; 33].join(",");
        let context = of(&[("traceparent", SAMPLE), ("tracestate", &many)]);
        assert_eq!(context.state, None);
    }

    #[test]
    fn a_part_of_traces_is_sampled() {
        let sampled = (0..10_000).filter(|_| TraceContext::begin(0.25).is_sampled).count();
        assert!((2_000..3_000).contains(&sampled), "{sampled}");
        assert!((0..1_000).all(|_| TraceContext::begin(1.0).is_sampled));
        assert!(!(0..1_000).any(|_| TraceContext::begin(0.0).is_sampled));
    }

    #[tokio::test]
    async fn work_knows_its_context() {
        assert_eq!(current(), None);
        let context = TraceContext::begin(1.0);
        let seen = in_context(context.clone(), async { current() }).await;
        assert_eq!(seen, Some(context));
    }
}
