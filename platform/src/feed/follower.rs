//! What a node does with what it hears from one source.
//!
//! ```text
//! connect ── hello, resumed ──────────────→ facts, beats
//!        └── hello, snapshot → facts → live ┘
//! ```
//!
//! The cursor moves with each fact, and to the end of a snapshot only when that is complete: one
//! that breaks off begins again. Beside the cursor, which is worth something within one run of the
//! source alone, a follower keeps the source's time up to which it has heard everything
//! ([`Follower::heard_ms`]); its caller writes that down, since it outlives both processes. A
//! snapshot of a source whose memory begins later than that has a hole in it: purges may have been
//! forgotten, and only [`Step::HistoryLost`], everything is looked at anew, makes up for them.

use super::fact::{Event, EventError};
use super::log::{Cursor, FACTS_MAX};
use super::wire::{Frame, Hello};
use crate::url_token::revocations::REVOKED_MAX;

/// Facts of one snapshot. A source that sends more is broken.
pub const SNAPSHOT_FACTS_MAX: usize = REVOKED_MAX + FACTS_MAX;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Follower {
    cursor: Option<Cursor>,
    heard_ms: Option<u64>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Waits for the source to say hello.
    Begun,
    Snapshot {
        end: Cursor,
        now_ms: u64,
        facts: usize,
    },
    Live,
}

/// What there is to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    Apply(Event),
    /// Count it: a newer source told something that this version can't act upon.
    Refused(EventError),
    /// Purges may have been missed, and nobody knows which: have every stored object confirmed
    /// before it is used again.
    HistoryLost,
    /// What came with a snapshot is complete.
    CaughtUp,
    Nothing,
}

/// A source that does not keep to the protocol. The follower connects anew, for a snapshot.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ProtocolError {
    #[error("the source sent something before it said hello, or said it twice")]
    Order,

    #[error("the source resumes where nobody asked it to")]
    Resumed,

    #[error("the source left out facts: {expected} was expected, {found} came")]
    Gap { expected: u64, found: u64 },

    #[error("a snapshot has more than {SNAPSHOT_FACTS_MAX} facts")]
    TooManyFacts,
}

impl Follower {
    /// A follower that heard everything up to `heard_ms` of the source's clock in an earlier run.
    pub fn new(heard_ms: Option<u64>) -> Self {
        Self { cursor: None, heard_ms, stage: Stage::Begun }
    }

    /// A new connection: what to tell the source.
    pub fn connect(&mut self) -> Option<Cursor> {
        self.stage = Stage::Begun;
        self.cursor
    }

    /// Everything that the source was told up to this time of its clock has been handed out. True
    /// for facts that were applied before the next frame is handed in.
    pub fn heard_ms(&self) -> Option<u64> {
        self.heard_ms
    }

    /// Whether the connection has caught up with its source.
    pub fn is_live(&self) -> bool {
        self.stage == Stage::Live
    }

    /// # Errors
    /// When the source does not keep to the protocol; then the cursor is gone.
    pub fn handle(&mut self, frame: Frame) -> Result<Step, ProtocolError> {
        let step = self.step(frame);
        if step.is_err() {
            self.cursor = None;
        }
        step
    }

    fn step(&mut self, frame: Frame) -> Result<Step, ProtocolError> {
        match (self.stage, frame) {
            (Stage::Begun, Frame::Hello(hello)) => self.hello(hello),
            (Stage::Snapshot { end, now_ms, facts }, Frame::Fact { cursor: None, event }) => {
                if SNAPSHOT_FACTS_MAX <= facts {
                    return Err(ProtocolError::TooManyFacts);
                }
                self.stage = Stage::Snapshot { end, now_ms, facts: facts + 1 };
                Ok(event.map_or_else(Step::Refused, Step::Apply))
            }
            (Stage::Snapshot { end, now_ms, .. }, Frame::Live { cursor }) => {
                if cursor != end {
                    return Err(gap(end, cursor));
                }
                self.cursor = Some(end);
                self.hear(now_ms);
                self.stage = Stage::Live;
                Ok(Step::CaughtUp)
            }
            (Stage::Live, Frame::Fact { cursor: Some(found), event }) => {
                self.advance(found)?;
                Ok(event.map_or_else(Step::Refused, Step::Apply))
            }
            (Stage::Live, Frame::Beat { cursor, now_ms }) => {
                if Some(cursor) != self.cursor {
                    let expected = self.cursor.unwrap_or(cursor);
                    return Err(gap(expected, cursor));
                }
                self.hear(now_ms);
                Ok(Step::Nothing)
            }
            _ => Err(ProtocolError::Order),
        }
    }

    fn hello(&mut self, hello: Hello) -> Result<Step, ProtocolError> {
        if !hello.is_snapshot {
            let is_ours = |cursor: &Cursor| cursor.epoch == hello.epoch;
            if !self.cursor.as_ref().is_some_and(is_ours) {
                return Err(ProtocolError::Resumed);
            }
            self.stage = Stage::Live;
            return Ok(Step::Nothing);
        }
        // Where it ends decides; what was known of another run, or of this one, is of no use.
        self.cursor = None;
        let end = Cursor { epoch: hello.epoch, position: hello.head };
        self.stage = Stage::Snapshot { end, now_ms: hello.now_ms, facts: 0 };
        // At the very time of the oldest purge that was forgotten, it may or may not have come.
        let is_whole = self.heard_ms.is_some_and(|heard_ms| hello.since_ms < heard_ms);
        Ok(if is_whole { Step::Nothing } else { Step::HistoryLost })
    }

    fn advance(&mut self, found: Cursor) -> Result<(), ProtocolError> {
        let Some(cursor) = &mut self.cursor else { return Err(ProtocolError::Order) };
        let expected = Cursor { epoch: cursor.epoch, position: cursor.position + 1 };
        if found != expected {
            return Err(gap(expected, found));
        }
        *cursor = found;
        Ok(())
    }

    fn hear(&mut self, now_ms: u64) {
        self.heard_ms = Some(now_ms);
    }
}

fn gap(expected: Cursor, found: Cursor) -> ProtocolError {
    ProtocolError::Gap { expected: expected.position, found: found.position }
}
