//! The feed as server-sent events (HTML Living Standard 9.2), as one source writes and one
//! follower reads them.
//!
//! ```text
//! event: hello                     first, once
//! data: {"epoch":"0198…","head":7,"since":1799990000000,"now":1800000000000,"snapshot":true}
//!
//! event: fact                      of a snapshot: without an id
//! data: {"id":"0198…","at":1799999999000,"type":"cache.purged","tag":"film","soft":false}
//!
//! event: live                      the snapshot is complete up to this position
//! id: 0198…-7
//!
//! event: fact
//! id: 0198…-8
//! data: {…}
//!
//! event: beat                      every second: nothing is missing up to this position and time
//! id: 0198…-8
//! data: 1800000001000
//! ```
//!
//! The reader takes what a writer of this version writes, and what a later one may add: unknown
//! fields and events are passed over, comments too. Everything has a largest size.

use serde::{Deserialize, Serialize};

use super::fact::{EVENT_BYTES_MAX, Event, EventError};
use super::log::{Cursor, Epoch, FactLog, Resume};

/// The media type.
pub const CONTENT_TYPE: &str = "text/event-stream";
/// Longest line.
const LINE_BYTES_MAX: usize = EVENT_BYTES_MAX + 64;
/// Lines of one event, those that are passed over included.
const LINES_MAX: usize = 64;

/// One event of the stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Frame {
    Hello(Hello),
    /// Without a cursor where it belongs to a snapshot.
    Fact {
        cursor: Option<Cursor>,
        event: Result<Event, EventError>,
    },
    Live {
        cursor: Cursor,
    },
    Beat {
        cursor: Cursor,
        now_ms: u64,
    },
}

/// How a source begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Hello {
    pub epoch: Epoch,
    /// Position of the newest fact.
    pub head: u64,
    /// The source remembers every purge that came later, in milliseconds since 1970 by its clock.
    pub since_ms: u64,
    /// The same clock, now.
    pub now_ms: u64,
    /// Whether a snapshot follows, or the facts behind the follower's cursor.
    pub is_snapshot: bool,
}

#[derive(Debug, Deserialize, Serialize)]
struct WrittenHello {
    epoch: String,
    head: u64,
    since: u64,
    now: u64,
    snapshot: bool,
}

/// Why a stream is no feed. The follower gives the connection up.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WireError {
    #[error("a line has more than {LINE_BYTES_MAX} bytes")]
    LineTooLong,

    #[error("an event has more than {LINES_MAX} lines, or data beyond {EVENT_BYTES_MAX} bytes")]
    EventTooLong,

    #[error("a line is not UTF-8")]
    Encoding,

    #[error("`{event}` lacks {missing}, or it can't be read")]
    Event { event: &'static str, missing: &'static str },
}

impl Hello {
    /// What `log` says to a follower with `cursor`.
    pub fn of(log: &mut FactLog, cursor: Option<Cursor>, clock_ms: u64) -> Self {
        Self {
            now_ms: log.now_ms(clock_ms),
            epoch: log.epoch(),
            head: log.head(),
            since_ms: log.since_ms(),
            is_snapshot: log.resume(cursor) == Resume::Snapshot,
        }
    }

    fn parse(data: &str) -> Option<Self> {
        let written: WrittenHello = serde_json::from_str(data).ok()?;
        Some(Self {
            epoch: Epoch(written.epoch.parse().ok()?),
            head: written.head,
            since_ms: written.since,
            now_ms: written.now,
            is_snapshot: written.snapshot,
        })
    }
}

impl Frame {
    /// Appends the frame as it is sent. A fact that could not be read is never sent on.
    pub fn write(&self, out: &mut String) {
        match self {
            Self::Hello(hello) => {
                let written = WrittenHello {
                    epoch: hello.epoch.0.to_string(),
                    head: hello.head,
                    since: hello.since_ms,
                    now: hello.now_ms,
                    snapshot: hello.is_snapshot,
                };
                let data = serde_json::to_string(&written).expect("plain data with string keys");
                put(out, "hello", None, Some(&data));
            }
            Self::Fact { cursor, event: Ok(event) } => {
                put(out, "fact", *cursor, Some(&event.to_json()));
            }
            Self::Fact { event: Err(_), .. } => {}
            Self::Live { cursor } => put(out, "live", Some(*cursor), None),
            Self::Beat { cursor, now_ms } => {
                put(out, "beat", Some(*cursor), Some(&now_ms.to_string()));
            }
        }
    }
}

fn put(out: &mut String, event: &str, id: Option<Cursor>, data: Option<&str>) {
    out.push_str("event: ");
    out.push_str(event);
    out.push('\n');
    if let Some(id) = id {
        out.push_str(&format!("id: {id}\n"));
    }
    if let Some(data) = data {
        out.push_str("data: ");
        out.push_str(data);
        out.push('\n');
    }
    out.push('\n');
}

/// Reads frames out of bytes as they come, however they are cut.
#[derive(Debug, Default)]
pub struct FrameReader {
    /// The line that has not ended.
    line: Vec<u8>,
    has_skipped_mark: bool,
    pending: Pending,
}

/// The event that has not ended.
#[derive(Debug, Default)]
struct Pending {
    lines: usize,
    event: String,
    id: Option<String>,
    data: Option<String>,
}

impl FrameReader {
    /// Takes further bytes and hands `take` every frame that they complete.
    ///
    /// # Errors
    /// When the stream is no feed, or `take` gives up; the reader is of no more use then.
    pub fn read<E: From<WireError>>(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(Frame) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            let (head, rest) = bytes.split_at(end);
            self.push(head)?;
            bytes = &rest[1..];
            let line = std::mem::take(&mut self.line);
            let line = std::str::from_utf8(&line).map_err(|_| WireError::Encoding)?;
            let line = line.strip_suffix('\r').unwrap_or(line);
            // A byte order mark may stand in front of the stream (9.2.5).
            let is_first = !std::mem::replace(&mut self.has_skipped_mark, true);
            let line = line.strip_prefix('\u{feff}').filter(|_| is_first).unwrap_or(line);
            if let Some(frame) = self.pending.line(line)? {
                take(frame)?;
            }
        }
        Ok(self.push(bytes)?)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        if LINE_BYTES_MAX < self.line.len() + bytes.len() {
            return Err(WireError::LineTooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }
}

impl Pending {
    fn line(&mut self, line: &str) -> Result<Option<Frame>, WireError> {
        if line.is_empty() {
            return std::mem::take(self).end();
        }
        self.lines += 1;
        if LINES_MAX < self.lines {
            return Err(WireError::EventTooLong);
        }
        // "If the line starts with a U+003A COLON character (:), ignore the line" (9.2.6).
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "id" => self.id = Some(value.to_owned()),
            "data" => match &mut self.data {
                None => self.data = Some(value.to_owned()),
                Some(data) => {
                    if EVENT_BYTES_MAX < data.len() + 1 + value.len() {
                        return Err(WireError::EventTooLong);
                    }
                    data.push('\n');
                    data.push_str(value);
                }
            },
            _ => {}
        }
        Ok(None)
    }

    fn end(self) -> Result<Option<Frame>, WireError> {
        let lacks = |event, missing| WireError::Event { event, missing };
        let cursor = self.id.as_deref().map(str::parse::<Cursor>);
        let of = |event| match &cursor {
            Some(Ok(cursor)) => Ok(*cursor),
            _ => Err(lacks(event, "its position")),
        };
        let data = self.data.as_deref().unwrap_or_default();
        Ok(Some(match &*self.event {
            "hello" => Frame::Hello(Hello::parse(data).ok_or_else(|| lacks("hello", "its data"))?),
            "fact" => Frame::Fact {
                cursor: self.id.is_some().then(|| of("fact")).transpose()?,
                event: Event::parse(data),
            },
            "live" => Frame::Live { cursor: of("live")? },
            "beat" => {
                let now_ms = data.parse().map_err(|_| lacks("beat", "its time"))?;
                Frame::Beat { cursor: of("beat")?, now_ms }
            }
            _ => return Ok(None),
        }))
    }
}
