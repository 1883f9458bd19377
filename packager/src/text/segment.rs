//! WebVTT segments for HLS (RFC 8216 3.5) and the whole track as one file.
//!
//! A segment holds every cue that is shown at some instant of it, with the cue's own times: a cue
//! across a boundary lies in both segments, and players know it by its equal times and text.
//!
//! Cue times count from the start of the title; `X-TIMESTAMP-MAP` ties them to the MPEG-2 clock of
//! the media that plays along. Its MPEGTS value is where that media starts:
//!
//! - MPEG-TS segments start at [`MPEGTS_ORIGIN_TS`], so that decode times, which may precede the
//!   first picture, stay positive;
//! - fMP4 segments start at 0 (`tfdt`), so the map is the identity, [`MPEGTS_ORIGIN_FMP4`]. It is
//!   written all the same: without a map, players assume different things.
//!
//! A text segment belongs to one of the two kinds of media, hence the argument.

use crate::MediaTime;

use super::cue::CueTrack;
use super::webvtt::{write_cue, write_header, write_webvtt};

/// PTS of the first instant of a title in our MPEG-TS: ten seconds on the 90 kHz clock.
pub const MPEGTS_ORIGIN_TS: u64 = 900_000;
/// Media time of the first instant of a title in fMP4, on the 90 kHz clock.
pub const MPEGTS_ORIGIN_FMP4: u64 = 0;

/// The segment for `[start, end)`, boundaries of the title's cut list in any timescale.
///
/// Cues are chosen by exact comparison: one that ends on `start`, or starts on `end`, belongs to
/// the neighbour alone. Segments that tile the title together hold every cue of it. Styles and
/// regions are repeated, since a player may begin with any segment.
pub fn write_segment(
    track: &CueTrack,
    start: MediaTime,
    end: MediaTime,
    mpegts_origin_ticks: u64,
) -> Vec<u8> {
    // The clock has 33 bits (ISO/IEC 13818-1 2.4.3.7).
    let mpegts = mpegts_origin_ticks % (1 << 33);
    let mut out = format!("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:{mpegts},LOCAL:00:00:00.000\n");
    write_header(&mut out, &track.header);
    for cue in track.overlapping(start, end) {
        write_cue(&mut out, cue);
    }
    out.into_bytes()
}

/// The whole track as one file, for DASH and for downloads (`all.vtt`): times from the start of
/// the title, no map.
pub fn write_whole(track: &CueTrack) -> Vec<u8> {
    write_webvtt(track).into_bytes()
}

#[cfg(test)]
mod tests;
