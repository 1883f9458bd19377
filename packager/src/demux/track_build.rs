//! A track while its samples are still coming in, and what the file may still cost.

use super::edit_list::Edit;
use super::{Encryption, EventBox};
use super::{MEDIA_REPEATS_MAX, MOVIE_SAMPLES_MAX, TRACK_SAMPLES_MAX};
use crate::track::{Sample, TrackInfo};
use crate::{FourCc, PackageError};

pub(super) struct TrackBuild {
    pub track_id: u32,
    /// `hdlr` type; zeros when there is none.
    pub handler: FourCc,
    /// The reason when the track gives no output.
    pub media: Result<MediaBuild, String>,
    pub defaults: SampleDefaults,
}

/// A track with output. Times are those of the source until `timeline` moves them.
pub(super) struct MediaBuild {
    pub info: TrackInfo,
    pub is_enabled: bool,
    pub encryption: Option<Encryption>,
    /// Place in `info.sample_entries` of each `stsd` entry.
    pub entry_indexes: Vec<u16>,
    pub edit: Edit,
    /// `mdhd` duration in ticks; 0 when unknown.
    pub duration_ticks: u64,
    pub samples: Vec<Sample>,
    /// Decode time of the sample that would come next.
    pub end_time: u64,
    pub events: Vec<EventBox>,
}

/// What a fragment leaves unsaid (`trex`, ISO/IEC 14496-12 8.8.3).
#[derive(Clone, Copy, Default)]
pub(super) struct SampleDefaults {
    pub description_index: u32,
    pub duration_ticks: u32,
    pub size_bytes: u32,
    pub flags: u32,
}

/// What the file may still cost.
pub(super) struct Budget {
    pub source_len: u64,
    samples_left: u64,
    /// Bytes of samples whose sizes no table lists one by one. Such samples take no bytes of a
    /// table, so the bytes of media stand for them: within a factor of two, because tracks may
    /// share media.
    unlisted_bytes_left: u64,
    /// Bytes of samples, however they are listed.
    media_bytes_left: u64,
}

impl Budget {
    pub(super) fn new(source_len: u64) -> Self {
        let unlisted_bytes_left = source_len.saturating_mul(2);
        let media_bytes_left = source_len.saturating_mul(MEDIA_REPEATS_MAX);
        Self { source_len, samples_left: MOVIE_SAMPLES_MAX, unlisted_bytes_left, media_bytes_left }
    }

    /// Accounts for samples of `bytes` together that were read.
    pub(super) fn take_media(&mut self, bytes: u64) -> Result<(), PackageError> {
        let Some(left) = self.media_bytes_left.checked_sub(bytes) else {
            let max = self.source_len.saturating_mul(MEDIA_REPEATS_MAX);
            let what = "bytes of samples, several times its own length";
            return Err(PackageError::LimitExceeded { what, max });
        };
        self.media_bytes_left = left;
        Ok(())
    }

    /// Accounts for `count` samples more on a track that holds `present`.
    pub(super) fn take(&mut self, present: usize, count: u32) -> Result<(), PackageError> {
        let count = u64::from(count);
        if present as u64 + count > TRACK_SAMPLES_MAX {
            let max = TRACK_SAMPLES_MAX;
            return Err(PackageError::LimitExceeded { what: "samples in a track", max });
        }
        let Some(left) = self.samples_left.checked_sub(count) else {
            let max = MOVIE_SAMPLES_MAX;
            return Err(PackageError::LimitExceeded { what: "samples", max });
        };
        self.samples_left = left;
        Ok(())
    }

    /// Accounts for `count` samples of one size that no table lists. False when the source can't
    /// hold them.
    pub(super) fn take_unlisted(&mut self, count: u32, size_bytes: u32) -> bool {
        let bytes = u64::from(count) * u64::from(size_bytes);
        let is_countable = size_bytes > 0 || count <= 1;
        match self.unlisted_bytes_left.checked_sub(bytes) {
            Some(left) if is_countable => {
                self.unlisted_bytes_left = left;
                true
            }
            _ => false,
        }
    }
}
