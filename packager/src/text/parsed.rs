//! What a reader of text files hands over.

use crate::PackageError;

use super::cue::{Cue, CueTrack};
use super::limits;

/// A text file as read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ParsedText {
    pub track: CueTrack,
    /// What was left out, for whoever brought the file.
    pub skipped: Option<Skipped>,
}

/// Cues that a tolerant reader leaves out. Only the first is described: a broken file would have
/// thousands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Skipped {
    pub count: u32,
    /// Of the first one, from 1.
    pub first_line: u32,
    pub first_reason: &'static str,
}

/// Gathers cues with their lines and enforces the limits.
#[derive(Debug, Default)]
pub(super) struct CueCollector {
    cues: Vec<(u32, Cue)>,
    skipped: Option<Skipped>,
}

impl CueCollector {
    /// Takes a cue whose timing stands on `line`. Cues that are never shown are skipped.
    pub(super) fn add(&mut self, line: u32, cue: Cue) -> Result<(), PackageError> {
        if cue.end_ms <= cue.start_ms {
            self.skip(line, "the cue ends before it starts");
            return Ok(());
        }
        let cue = cue.normalize();
        limits::check_time_ms(cue.end_ms)?;
        limits::check_payload_bytes(cue.payload.len())?;
        limits::check_cues(self.cues.len() + 1)?;
        self.cues.push((line, cue));
        Ok(())
    }

    pub(super) fn skip(&mut self, line: u32, reason: &'static str) {
        let skipped = self.skipped.get_or_insert(Skipped {
            count: 0,
            first_line: line,
            first_reason: reason,
        });
        skipped.count = skipped.count.saturating_add(1);
    }

    /// The cues with the lines of their timings, in the order of the file.
    pub(super) fn into_lines(self) -> Vec<(u32, Cue)> {
        self.cues
    }

    /// The track. An error when there were cues and not one could be read.
    pub(super) fn finish(
        self,
        header: String,
        what: &'static str,
    ) -> Result<ParsedText, PackageError> {
        if let (true, Some(first)) = (self.cues.is_empty(), self.skipped) {
            let (line, reason) = (first.first_line, first.first_reason);
            return Err(PackageError::InvalidText { what, line, reason });
        }
        limits::check_header_bytes(header.len())?;
        let cues = self.cues.into_iter().map(|(_, cue)| cue).collect();
        Ok(ParsedText { track: CueTrack::new(cues, header), skipped: self.skipped })
    }
}
