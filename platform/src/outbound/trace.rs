//! What a request carries on to those that it leads to: its id, its trace, its deadline.
//!
//! The trace is W3C Trace Context, level 1: `traceparent` is read strictly, `tracestate` is handed on
//! as it came, and only beside a `traceparent` that could be read (section 3.3).

use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::resilience::{Deadline, random};
use crate::telemetry::RequestId;

pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Longest `tracestate` that is handed on, in bytes; section 3.3.1.1 wants 512 at least.
const TRACESTATE_BYTES_MAX: usize = 512;

/// `00-{trace id}-{parent id}-{flags}`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TraceParent {
    trace_id: u128,
    parent_id: u64,
    flags: u8,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it is no traceparent of W3C Trace Context")]
pub struct TraceParentError;

/// Whose work a call is part of.
#[derive(Clone, Debug, Default)]
pub struct CallContext {
    pub request_id: Option<RequestId>,
    pub trace: Option<TraceParent>,
    pub tracestate: Option<HeaderValue>,
    pub deadline: Option<Deadline>,
}

tokio::task_local! {
    static CURRENT: CallContext;
}

impl CallContext {
    /// What came with a request.
    pub fn read(headers: &HeaderMap) -> Self {
        let text = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
        let trace = text.and_then(|text| text.parse().ok());
        let is_short = |state: &&HeaderValue| state.len() <= TRACESTATE_BYTES_MAX;
        let tracestate = headers.get(TRACESTATE).filter(is_short).filter(|_| trace.is_some());
        Self {
            request_id: Some(RequestId::of(headers)),
            trace,
            tracestate: tracestate.cloned(),
            deadline: None,
        }
    }

    /// Runs `work` as part of this; calls inside carry it on.
    pub fn scope<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, work)
    }

    /// What the present task is part of; nothing outside of [`Self::scope`].
    pub fn current() -> Self {
        CURRENT.try_with(Clone::clone).unwrap_or_default()
    }

    /// Names this as the parent of a request that is sent.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        if let Some(id) = &self.request_id {
            headers.insert(crate::telemetry::REQUEST_ID, id.to_header());
        }
        let Some(trace) = &self.trace else { return };
        // A span of its own, so that two calls of one request can be told apart.
        let child = TraceParent { parent_id: random().max(1), ..*trace };
        if let Ok(value) = HeaderValue::from_str(&child.to_string()) {
            headers.insert(TRACEPARENT, value);
        }
        if let Some(state) = &self.tracestate {
            headers.insert(TRACESTATE, state.clone());
        }
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    fn from_str(text: &str) -> Result<Self, TraceParentError> {
        let mut fields = text.split('-');
        let mut field = |digits: usize| {
            let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            let field = fields.next().ok_or(TraceParentError)?;
            let is_whole = field.len() == digits && field.bytes().all(is_hex);
            is_whole.then_some(field).ok_or(TraceParentError)
        };
        let number = |text| u128::from_str_radix(text, 16).map_err(|_| TraceParentError);
        let version = number(field(2)?)?;
        let trace_id = number(field(32)?)?;
        let parent_id = number(field(16)?)?;
        let flags = number(field(2)?)?;
        // A later version may say more after it; this one may not (section 3.2.4).
        let has_more = fields.next().is_some();
        if version == 0xff || trace_id == 0 || parent_id == 0 || (version == 0 && has_more) {
            return Err(TraceParentError);
        }
        // The widths above leave no more than fits.
        Ok(Self { trace_id, parent_id: parent_id as u64, flags: flags as u8 })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of the flags only the sampled one has a meaning in version 0 (section 3.2.2.5).
        let (trace, parent, flags) = (self.trace_id, self.parent_id, self.flags & 1);
        write!(formatter, "00-{trace:032x}-{parent:016x}-{flags:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_sample_of_the_standard_comes_back() {
        assert_eq!(SAMPLE.parse::<TraceParent>().unwrap().to_string(), SAMPLE);
        let later = format!("cc{}-what-follows", &SAMPLE[2..]);
        assert_eq!(later.parse::<TraceParent>().unwrap().to_string(), SAMPLE);
    }

    #[test]
    fn others_are_refused() {
        for text in [
            "",
            "00",
            &SAMPLE[..54],
            &format!("{SAMPLE}-more"),
            &format!("ff{}", &SAMPLE[2..]),
            &SAMPLE.to_uppercase(),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(text.parse::<TraceParent>(), Err(TraceParentError), "{text}");
        }
    }

    #[tokio::test]
    async fn calls_carry_on_what_they_are_part_of() {
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, HeaderValue::from_static(SAMPLE));
        headers.insert(TRACESTATE, HeaderValue::from_static("vendor=1"));
        headers.insert("x-request-id", HeaderValue::from_static("id-1"));
        let sent = CallContext::read(&headers)
            .scope(async {
                let mut sent = HeaderMap::new();
                CallContext::current().write(&mut sent);
                sent
            })
            .await;
        let parent = sent[TRACEPARENT].to_str().unwrap();
        assert!(parent.starts_with(&SAMPLE[..36]) && parent.ends_with("-01"), "{parent}");
        assert_ne!(parent, SAMPLE);
        assert_eq!(sent[TRACESTATE], "vendor=1");
        assert_eq!(sent["x-request-id"], "id-1");
        let mut outside = HeaderMap::new();
        CallContext::current().write(&mut outside);
        assert!(outside.is_empty());
    }
}
