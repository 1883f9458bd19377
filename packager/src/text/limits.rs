//! How large a text track may be.

use crate::PackageError;

/// A text file or a stored track. The subtitles of a long film take 200 KB; karaoke with a tag
/// per syllable takes a few megabytes.
pub const FILE_BYTES_MAX: usize = 32 << 20;
/// A day with two cues a second.
pub const CUES_MAX: usize = 200_000;
/// WebVTT text of one cue.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 10;
/// One line of a file, without its end.
pub const LINE_BYTES_MAX: usize = 64 << 10;
/// A hundred years: live channels count from 1970 at times. Fits timestamps with nine digits of
/// hours.
pub const TIME_MS_MAX: u64 = 100 * 366 * 24 * 3_600_000;
/// `STYLE` and `REGION` blocks together. They are repeated in every segment.
pub const HEADER_BYTES_MAX: usize = 256 << 10;

/// Refuses a file before it is looked at.
pub(crate) fn check_file_bytes(len: usize) -> Result<(), PackageError> {
    check(len, FILE_BYTES_MAX, "bytes of text")
}

pub(crate) fn check_cues(len: usize) -> Result<(), PackageError> {
    check(len, CUES_MAX, "cues")
}

pub(crate) fn check_payload_bytes(len: usize) -> Result<(), PackageError> {
    check(len, PAYLOAD_BYTES_MAX, "bytes in a cue")
}

pub(crate) fn check_header_bytes(len: usize) -> Result<(), PackageError> {
    check(len, HEADER_BYTES_MAX, "bytes of styles and regions")
}

pub(crate) fn check_line_bytes(len: usize) -> Result<(), PackageError> {
    check(len, LINE_BYTES_MAX, "bytes in a line")
}

pub(crate) fn check_time_ms(ms: u64) -> Result<(), PackageError> {
    let (what, max) = ("milliseconds of text", TIME_MS_MAX);
    if ms > max { Err(PackageError::LimitExceeded { what, max }) } else { Ok(()) }
}

fn check(len: usize, max: usize, what: &'static str) -> Result<(), PackageError> {
    if len > max {
        return Err(PackageError::LimitExceeded { what, max: max as u64 });
    }
    Ok(())
}
