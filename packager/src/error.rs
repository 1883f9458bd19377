//! Why a source can't be packaged.

use crate::FourCc;

/// Why a source could not be packaged.
///
/// Each variant says where, in terms a box dumper shows, so that an operator can open the file at
/// that place. Short input is no error while bytes may still come: builders ask for them.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackageError {
    #[error("`{kind}` at byte {offset} wants {wanted} bytes, {left} remain")]
    Truncated { kind: FourCc, offset: u64, wanted: u64, left: u64 },

    #[error("`{kind}` at byte {offset}: {reason}")]
    InvalidBox { kind: FourCc, offset: u64, reason: &'static str },

    #[error("the file has no `{kind}` box")]
    MissingBox { kind: FourCc },

    #[error("track {track} has no `{kind}` box")]
    MissingTrackBox { track: u32, kind: FourCc },

    #[error("track {track}, sample {sample}: {reason}")]
    InvalidSample { track: u32, sample: u32, reason: &'static str },

    #[error(
        "track {track}, sample {sample}: {size} bytes at byte {offset} lie outside the source of \
         {source_len} bytes"
    )]
    SampleOutsideSource { track: u32, sample: u32, offset: u64, size: u32, source_len: u64 },

    #[error("was handed bytes at {offset}, having asked for those at {expected}")]
    UnexpectedBytes { offset: u64, expected: u64 },

    #[error("track {track}: {reason}")]
    UnsupportedTrack { track: u32, reason: String },

    #[error("not an MP4 or MOV file: {reason}")]
    NotIsoBmff { reason: &'static str },

    #[error("the file holds more than {max} {what}")]
    LimitExceeded { what: &'static str, max: u64 },

    #[error("{what} at line {line}: {reason}")]
    InvalidText { what: &'static str, line: u32, reason: &'static str },

    #[error("picture, at byte {offset}: {reason}")]
    InvalidPicture { offset: u64, reason: &'static str },

    #[error("renditions can't share segments: {reason}")]
    IncompatibleRenditions { reason: String },

    #[error("the index is unreadable at byte {offset}: {reason}")]
    CorruptIndex { offset: u64, reason: &'static str },

    #[error("the index has format {found}, this version reads format {wanted}")]
    StaleIndex { found: u8, wanted: u8 },
}
