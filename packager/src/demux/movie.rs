//! What a file turns into.

use crate::track::{SampleTable, TrackInfo};
use crate::{FourCc, MediaTime};

/// A file, read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Movie {
    /// Major brand first, then the compatible ones; empty for QuickTime files without `ftyp`.
    pub brands: Vec<FourCc>,
    /// The file has `mvex` or `moof` boxes.
    pub is_fragmented: bool,
    /// In the order of `moov`.
    pub tracks: Vec<SourceTrack>,
    /// Tracks that give no output, each with the reason.
    pub skipped: Vec<SkippedTrack>,
    /// What was subtracted from every track of a fragmented file so that the title starts at 0:
    /// files of one title that came apart find their common clock again by it.
    pub time_origin: Option<MediaTime>,
}

/// A track whose samples are all known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourceTrack {
    pub info: TrackInfo,
    /// Never empty; [`check_table`](super::check_table) holds.
    pub table: SampleTable,
    /// In order of `first_sample`.
    pub events: Vec<EventBox>,
    /// Of the first sample entry that is encrypted.
    pub encryption: Option<Encryption>,
    /// Bit 0 of the `tkhd` flags: an author wants the track to be played.
    pub is_enabled: bool,
}

/// An `emsg` or `prft` box that stood between fragments (ISO/IEC 23009-1 5.10.3.3,
/// ISO/IEC 14496-12 8.16.5).
///
/// `prft` belongs to the track it names, `emsg` to the first track of the fragment that follows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventBox {
    pub kind: FourCc,
    /// Index, from 0, of the first sample at or after the start of the fragment that follows: the
    /// box goes in front of the segment that holds this sample.
    pub first_sample: u32,
    /// The box with its header, verbatim. Times in it are on the source's clock:
    /// [`Movie::time_origin`] leads from there to the output timeline.
    pub bytes: Vec<u8>,
}

/// How a source is already protected (ISO/IEC 14496-12 8.12, ISO/IEC 23001-7 8.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Encryption {
    /// `schm`: `cenc`, `cbcs` …; `None` when the box is absent.
    pub scheme: Option<FourCc>,
    /// `frma`: the sample entry type before encryption.
    pub original_format: FourCc,
    /// `tenc` default_KID.
    pub default_key_id: Option<[u8; 16]>,
}

/// A track that gives no output.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SkippedTrack {
    pub track_id: u32,
    /// `hdlr` type; zeros when there is none.
    pub handler: FourCc,
    pub reason: String,
}
