//! `EXT-X-PROGRAM-DATE-TIME` for titles in which a rendition starts late.
//!
//! A media playlist has no start time: players that look at playlists before media (shaka-player)
//! take them all to start together, and play sound that begins half a second in half a second
//! early. A date on the first segment (RFC 8216 4.3.2.6) says where each starts. One playlist with
//! dates wants them in all of the title (RFC 8216bis 6.2.1), on one clock: ours counts from 1970,
//! as no recording time is known, and titles whose renditions start together have none.
//!
//! `EXT-X-GAP` in front would say the same, but Chromium fetches gaps and fails.

use std::fmt::Write;

use super::{SegmentFormat, muxed_audio};
use crate::presentation::{Presentation, PresentedTrack};
use crate::track::TrackKind;
use crate::{MediaTime, Timescale};

/// Sound this far from its picture is noticed (ITU-R BT.1359: 45 ms early); frames of sound
/// that straddle a cut stay below.
const APART_MS_MAX: u64 = 40;

/// Whether the playlists of a presentation need dates: pictures and sound that have playlists of
/// their own start apart.
pub fn wants_start_dates(presentation: &Presentation<'_>, format: SegmentFormat) -> bool {
    let is_muxed = muxed_audio(presentation, format).is_some();
    let has_playlist = |track: &&PresentedTrack<'_>| match track.index.info.kind() {
        TrackKind::Video => true,
        TrackKind::Audio => !is_muxed,
        TrackKind::Text => false,
    };
    let tracks = presentation.tracks.iter().filter(|track| !track.entries().is_empty());
    let starts = tracks.filter(has_playlist).map(|track| start_ms(track.start_time()));
    let (earliest, latest) =
        starts.fold((u64::MAX, 0), |(min, max), start| (min.min(start), max.max(start)));
    latest.saturating_sub(earliest) > APART_MS_MAX
}

/// Dates the first segment of a media playlist, which starts at `start` on the title's clock.
pub fn insert_start_date(playlist: &mut String, start: MediaTime) {
    const FIRST_SEGMENT: &str = "#EXTINF:";
    let Some(at) = playlist.find(FIRST_SEGMENT) else { return };
    let Some(date) = date(start_ms(start)) else { return };
    playlist.insert_str(at, &format!("#EXT-X-PROGRAM-DATE-TIME:{date}\n"));
}

fn start_ms(start: MediaTime) -> u64 {
    start.rescale_round(Timescale::MILLIS).map_or(0, |start| start.ticks)
}

/// So many milliseconds after 1970 began, as ISO 8601 has it; `None` beyond its four digits of
/// years.
fn date(ms: u64) -> Option<String> {
    const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
    let (year, month, day) = civil_date(ms / DAY_MS)?;
    let (hours, rest) = (ms % DAY_MS / 3_600_000, ms % 3_600_000);
    let (minutes, seconds, fraction) = (rest / 60_000, rest % 60_000 / 1_000, rest % 1_000);
    let mut out = String::new();
    // Writing to a String can't fail.
    let _ = write!(out, "{year:04}-{month:02}-{day:02}");
    let _ = write!(out, "T{hours:02}:{minutes:02}:{seconds:02}.{fraction:03}Z");
    Some(out)
}

/// Year, month and day, each counted as calendars do.
fn civil_date(days_since_1970: u64) -> Option<(u64, u64, u64)> {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut left = days_since_1970;
    for year in 1970..10_000 {
        let february = if is_leap(year) { 29 } else { 28 };
        for (length, month) in
            [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].into_iter().zip(1..)
        {
            if left < length {
                return Some((year, month, left + 1));
            }
            left -= length;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_follow_the_calendar() {
        let day = 86_400_000;
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (500, "1970-01-01T00:00:00.500Z"),
            (day - 1, "1970-01-01T23:59:59.999Z"),
            (59 * day, "1970-03-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(date(ms).as_deref(), Some(expected));
        }
        assert_eq!(date(u64::MAX), None);
    }

    #[test]
    fn the_first_segment_gets_the_date() {
        let mut playlist = "#EXTM3U\n#EXTINF:1,\na\n#EXTINF:1,\nb\n".to_owned();
        insert_start_date(&mut playlist, Timescale::new(48_000).unwrap().ticks(24_000));
        let date = "#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:00.500Z\n";
        assert_eq!(playlist, format!("#EXTM3U\n{date}#EXTINF:1,\na\n#EXTINF:1,\nb\n"));
        let mut empty = "#EXTM3U\n".to_owned();
        insert_start_date(&mut empty, Timescale::MILLIS.ticks(1));
        assert_eq!(empty, "#EXTM3U\n");
    }
}
