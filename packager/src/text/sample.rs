//! Samples of MP4 text tracks to cues.
//!
//! A sample says what is on screen while it lasts, so a cue that outlives another, or that crosses
//! a fragment, lies in several samples. The reader joins these again: a cue goes on when the next
//! sample starts where the last one ended and shows it again.

use std::collections::{HashMap, VecDeque};

use crate::{FourCc, MediaTime, PackageError, Timescale};

use super::cue::{Cue, CueTrack, shift_payload};
use super::limits;
use super::tx3g::StyledTextEntry;
use super::wvtt;

/// One sample of a text track, on the timeline of the title.
#[derive(Clone, Copy, Debug)]
pub struct TextSample<'a> {
    /// From 1, for errors.
    pub number: u32,
    /// Presentation time in ticks of the track.
    pub start_ticks: u64,
    pub duration_ticks: u64,
    pub data: &'a [u8],
}

/// Reads the samples of a `tx3g`, QuickTime `text` or `wvtt` track, one after the other.
///
/// ```text
/// let mut reader = SampleTextReader::new(track_id, timescale, &sample_entry)?;
/// for sample in samples { reader.handle_sample(sample)?; }
/// let track = reader.finish();
/// ```
#[derive(Debug)]
pub struct SampleTextReader {
    track: u32,
    timescale: Timescale,
    format: Format,
    header: String,
    /// On screen at the end of the last sample.
    open: Vec<OpenCue>,
    /// Where the last sample ended.
    end_ticks: u64,
    /// Cues begun so far: the order of those that start together.
    begun: usize,
    done: Vec<(usize, Cue)>,
}

#[derive(Debug)]
enum Format {
    Styled(StyledTextEntry),
    Wvtt,
}

/// What one sample shows.
#[derive(Debug, Default)]
pub(super) struct ShownCue {
    pub(super) identity: CueIdentity,
    /// The cue's own clock at the start of the sample, in milliseconds (`ctim`).
    pub(super) clock_ms: Option<u64>,
}

/// Tells a cue that goes on from another one: the number its writer gave it (`vsid`), or without
/// that its content.
#[derive(Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct CueIdentity {
    pub(super) source_id: Option<u32>,
    pub(super) id: Option<String>,
    pub(super) settings: String,
    pub(super) payload: String,
}

#[derive(Debug)]
struct OpenCue {
    order: usize,
    start_ticks: u64,
    identity: CueIdentity,
}

impl SampleTextReader {
    /// A reader for the samples that `sample_entry` describes (the whole box, header included).
    ///
    /// Errors: the entry is cut off, or of a kind that holds no cues (`stpp`, `c608`, …).
    pub fn new(
        track: u32,
        timescale: Timescale,
        sample_entry: &[u8],
    ) -> Result<Self, PackageError> {
        let kind = sample_entry.get(4..8).and_then(|kind| <[u8; 4]>::try_from(kind).ok());
        let mut header = String::new();
        let format = match kind.as_ref() {
            Some(b"tx3g") => Format::Styled(StyledTextEntry::parse_tx3g(sample_entry)?),
            Some(b"text") => Format::Styled(StyledTextEntry::parse_quicktime(sample_entry)?),
            Some(b"wvtt") => {
                header = wvtt::parse_header(sample_entry)?;
                Format::Wvtt
            }
            Some(kind) => {
                let reason = format!("`{}` samples hold no cues", FourCc::new(kind));
                return Err(PackageError::UnsupportedTrack { track, reason });
            }
            None => {
                let reason = "the sample entry is cut off".into();
                return Err(PackageError::UnsupportedTrack { track, reason });
            }
        };
        let (open, done) = (Vec::new(), Vec::new());
        Ok(Self { track, timescale, format, header, open, end_ticks: 0, begun: 0, done })
    }

    /// The track says that all its samples are forced: translations of signs and foreign speech,
    /// shown to everyone (QuickTime File Format, `displayFlags` of `tx3g`).
    pub fn is_forced(&self) -> bool {
        matches!(&self.format, Format::Styled(entry) if entry.is_forced)
    }

    /// Takes the next sample in presentation order. Errors name the sample.
    pub fn handle_sample(&mut self, sample: TextSample<'_>) -> Result<(), PackageError> {
        let invalid = |reason| PackageError::InvalidSample {
            track: self.track,
            sample: sample.number,
            reason,
        };
        let end_ticks = sample
            .start_ticks
            .checked_add(sample.duration_ticks)
            .ok_or_else(|| invalid("the sample ends beyond 64 bits of ticks"))?;
        let end_ms = self.millis(end_ticks).unwrap_or(u64::MAX);
        limits::check_time_ms(end_ms)?;
        let start_ms = self
            .millis(sample.start_ticks)
            .and_then(|ms| i64::try_from(ms).ok())
            .ok_or_else(|| invalid("the sample starts beyond 63 bits of milliseconds"))?;
        let shown = match &self.format {
            Format::Styled(entry) => entry.decode(sample.data).map_err(invalid)?,
            Format::Wvtt => wvtt::decode(sample.data).map_err(invalid)?,
        };
        if sample.duration_ticks == 0 {
            return Ok(());
        }
        if sample.start_ticks != self.end_ticks {
            self.close_all();
        }
        self.show(sample.start_ticks, start_ms, shown)?;
        self.end_ticks = end_ticks;
        Ok(())
    }

    /// The track, when all samples were taken.
    pub fn finish(mut self) -> CueTrack {
        self.close_all();
        self.done.sort_by_key(|(order, _)| *order);
        CueTrack::new(self.done.into_iter().map(|(_, cue)| cue).collect(), self.header)
    }

    /// Goes on with the open cues that are shown again, closes the others, begins the rest.
    fn show(
        &mut self,
        start_ticks: u64,
        start_ms: i64,
        shown: Vec<ShownCue>,
    ) -> Result<(), PackageError> {
        let mut going_on: HashMap<CueIdentity, VecDeque<OpenCue>> = HashMap::new();
        let mut open = Vec::with_capacity(shown.len());
        let mut before = std::mem::take(&mut self.open);
        for cue in before.drain(..) {
            going_on.entry(key(&cue.identity)).or_default().push_back(cue);
        }
        for ShownCue { mut identity, clock_ms } in shown {
            limits::check_payload_bytes(identity.payload.len())?;
            let by_ms = clock_ms.and_then(|clock| start_ms.checked_sub_unsigned(clock));
            identity.payload = shift_payload(&identity.payload, by_ms.unwrap_or(0)).into_owned();
            let same = going_on.get_mut(&key(&identity)).and_then(VecDeque::pop_front);
            open.push(same.unwrap_or_else(|| {
                self.begun += 1;
                OpenCue { order: self.begun, start_ticks, identity }
            }));
            limits::check_cues(self.begun)?;
        }
        for cue in going_on.into_values().flatten() {
            self.close(cue);
        }
        self.open = open;
        Ok(())
    }

    fn close_all(&mut self) {
        for cue in std::mem::take(&mut self.open) {
            self.close(cue);
        }
    }

    /// Ends a cue where the last sample ended. One shorter than a millisecond is never seen.
    fn close(&mut self, cue: OpenCue) {
        let times = (self.millis(cue.start_ticks), self.millis(self.end_ticks));
        if let (Some(start_ms), Some(end_ms)) = times
            && start_ms < end_ms
        {
            let CueIdentity { id, settings, payload, .. } = cue.identity;
            self.done.push((cue.order, Cue { start_ms, end_ms, id, settings, payload }));
        }
    }

    fn millis(&self, ticks: u64) -> Option<u64> {
        let at: MediaTime = self.timescale.ticks(ticks);
        Some(at.rescale_round(Timescale::MILLIS)?.ticks)
    }
}

/// A number from the writer is enough; content may then differ, as inner timestamps do.
fn key(identity: &CueIdentity) -> CueIdentity {
    match identity.source_id {
        Some(_) => CueIdentity { source_id: identity.source_id, ..CueIdentity::default() },
        None => CueIdentity {
            source_id: None,
            id: identity.id.clone(),
            settings: identity.settings.clone(),
            payload: identity.payload.clone(),
        },
    }
}

#[cfg(test)]
mod tests;
