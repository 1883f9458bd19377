//! What is written down of players: one event for a request, a report, and the end of a session.
//!
//! Events are JSON objects with a `schema` number, so that they can be told apart later. They hold
//! what CMCD said and nothing else of the client: no address, no token.

use serde_json::{Map, Value, json};

use super::key::{Cmcd, PlayerState, StreamFormat};

/// Takes events in. It is called from requests on their way and must not block.
pub trait CmcdSink: Send + Sync {
    fn take(&self, event: &Event<'_>);
}

/// Changes when the meaning of a member does.
const SCHEMA: u32 = 1;

#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// When it came, in milliseconds since 1970.
    pub time_ms: u64,
    pub what: What<'a>,
}

#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    /// Came with a request for `path`, which has no token in it.
    Request { path: &'a str, cmcd: &'a Cmcd },
    /// A line of an event report.
    Report { cmcd: &'a Cmcd },
    /// All that was heard of a session.
    Session(&'a SessionSummary),
}

/// A session that is over.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionSummary {
    pub session: Box<str>,
    pub content: Option<Box<str>>,
    pub format: Option<StreamFormat>,
    pub first_ms: u64,
    pub last_ms: u64,
    pub requests: u64,
    pub startup_ms: Option<u64>,
    pub stalls: u64,
    pub starved_ms: u64,
    pub bit_rate_kbps: Option<u64>,
    pub throughput_kbps: Option<u64>,
    pub buffer_ms_min: Option<u32>,
    pub state: Option<PlayerState>,
}

impl Event<'_> {
    /// One line of JSON, without its end.
    pub fn to_json(&self) -> String {
        let mut object = Map::new();
        object.insert("schema".to_owned(), json!(SCHEMA));
        object.insert("time_ms".to_owned(), json!(self.time_ms));
        match self.what {
            What::Request { path, cmcd } => {
                object.insert("event".to_owned(), json!("request"));
                object.insert("path".to_owned(), json!(path));
                write_cmcd(&mut object, cmcd);
            }
            What::Report { cmcd } => {
                object.insert("event".to_owned(), json!("report"));
                write_cmcd(&mut object, cmcd);
            }
            What::Session(summary) => {
                object.insert("event".to_owned(), json!("session"));
                write_summary(&mut object, summary);
            }
        }
        Value::Object(object).to_string()
    }
}

/// Under CMCD's own names.
fn write_cmcd(object: &mut Map<String, Value>, cmcd: &Cmcd) {
    let flag = |is_set: bool| is_set.then_some(true);
    let rows = [
        ("v", json!(cmcd.version)),
        ("sid", json!(cmcd.session)),
        ("cid", json!(cmcd.content)),
        ("sf", json!(cmcd.format.map(StreamFormat::as_str))),
        ("st", json!(cmcd.is_live.map(|is_live| if is_live { "l" } else { "v" }))),
        ("ot", json!(cmcd.object.map(super::ObjectType::as_str))),
        ("br", json!(cmcd.bit_rate_kbps)),
        ("tb", json!(cmcd.top_bit_rate_kbps)),
        ("bl", json!(cmcd.buffer_ms)),
        ("mtp", json!(cmcd.throughput_kbps)),
        ("rtp", json!(cmcd.requested_kbps)),
        ("d", json!(cmcd.duration_ms)),
        ("dl", json!(cmcd.deadline_ms)),
        ("pr", json!(cmcd.rate_milli.map(|rate| f64::from(rate) / 1e3))),
        ("su", json!(flag(cmcd.is_startup))),
        ("bs", json!(flag(cmcd.is_starved))),
        ("bsd", json!(cmcd.starved_ms)),
        ("ltc", json!(cmcd.latency_ms)),
        ("msd", json!(cmcd.start_delay_ms)),
        ("sta", json!(cmcd.state.map(PlayerState::as_str))),
        ("nor", json!(cmcd.next)),
        ("e", json!(cmcd.event)),
        ("ts", json!(cmcd.time_ms)),
        ("rc", json!(cmcd.answer_status)),
        ("ttfb", json!(cmcd.first_byte_ms)),
        ("ttlb", json!(cmcd.last_byte_ms)),
    ];
    insert_all(object, rows);
}

fn write_summary(object: &mut Map<String, Value>, summary: &SessionSummary) {
    let rows = [
        ("sid", json!(summary.session)),
        ("cid", json!(summary.content)),
        ("sf", json!(summary.format.map(StreamFormat::as_str))),
        ("first_ms", json!(summary.first_ms)),
        ("last_ms", json!(summary.last_ms)),
        ("requests", json!(summary.requests)),
        ("startup_ms", json!(summary.startup_ms)),
        ("stalls", json!(summary.stalls)),
        ("starved_ms", json!(summary.starved_ms)),
        ("mean_kbps", json!(summary.bit_rate_kbps)),
        ("throughput_kbps", json!(summary.throughput_kbps)),
        ("buffer_ms_min", json!(summary.buffer_ms_min)),
        ("sta", json!(summary.state.map(PlayerState::as_str))),
    ];
    insert_all(object, rows);
}

/// What is known; the rest is left out.
fn insert_all<const N: usize>(object: &mut Map<String, Value>, rows: [(&str, Value); N]) {
    let known = rows.into_iter().filter(|(_, value)| !value.is_null());
    object.extend(known.map(|(name, value)| (name.to_owned(), value)));
}
