//! A text track as the asset keeps it: one canonical WebVTT file.
//!
//! Equal tracks have equal bytes, so a hash of the file is a revision of the track; and whoever
//! looks into an asset finds a file that any player opens.

use crate::PackageError;

use super::cue::CueTrack;
use super::limits;
use super::parsed::ParsedText;
use super::srt::parse_srt;
use super::webvtt::{parse_webvtt, write_webvtt};

/// Reads a side file, WebVTT or SubRip by its content. See [`parse_webvtt`] and [`parse_srt`].
pub fn parse_text_file(bytes: &[u8], mpegts_origin_ticks: u64) -> Result<ParsedText, PackageError> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if text.starts_with(b"WEBVTT") {
        parse_webvtt(bytes, mpegts_origin_ticks)
    } else {
        parse_srt(bytes)
    }
}

/// The bytes to keep. The track is brought into normal form first ([`CueTrack::new`]).
///
/// Errors: the track exceeds a limit, so that it could not be read again.
pub fn write_stored(track: &CueTrack) -> Result<Vec<u8>, PackageError> {
    let track = CueTrack::new(track.cues.clone(), track.header.clone());
    limits::check_cues(track.cues.len())?;
    limits::check_header_bytes(track.header.len())?;
    for line in track.header.lines() {
        limits::check_line_bytes(line.len())?;
    }
    for cue in &track.cues {
        limits::check_time_ms(cue.end_ms)?;
        limits::check_payload_bytes(cue.payload.len())?;
        limits::check_line_bytes(cue.settings.len() + TIMING_BYTES_MAX)?;
        limits::check_line_bytes(cue.id.as_ref().map_or(0, String::len))?;
    }
    let out = write_webvtt(&track);
    limits::check_file_bytes(out.len())?;
    Ok(out.into_bytes())
}

/// Two timestamps of the longest kind, the arrow and a space.
const TIMING_BYTES_MAX: usize = 48;

/// Reads what [`write_stored`] wrote, or a file that someone put in its place.
pub fn read_stored(bytes: &[u8]) -> Result<CueTrack, PackageError> {
    Ok(parse_webvtt(bytes, 0)?.track)
}

#[cfg(test)]
mod tests;
