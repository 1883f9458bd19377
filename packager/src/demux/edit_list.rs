//! Edit lists (`elst`, ISO/IEC 14496-12 8.6.6): which part of the media is presented, and when.
//!
//! One stretch of media at normal speed is honoured, with an empty stretch before it. Neighbouring
//! edits that go on where the one before stopped are one stretch. Anything else would need media
//! twice, or none, in the middle of a title; that is refused by name.

use super::box_reader::BoxReader;
use super::{EDITS_MAX, TICKS_MAX};
use crate::{PackageError, Timescale};

/// What an edit list comes to, in ticks of the media timescale.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Edit {
    /// Where the presentation of the track starts: the sum of the empty edits.
    pub lead_ticks: u64,
    /// Media time presented first.
    pub media_time: u64,
    /// How much media is presented; `None` for all there is.
    pub limit: Option<EditLimit>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct EditLimit {
    pub duration_ticks: u64,
    /// A tick of the movie timescale and one of the media: how far rounding can be off.
    pub tolerance_ticks: u64,
}

/// Timescales an edit list is read with.
#[derive(Clone, Copy)]
pub(super) struct EditClocks {
    pub movie: Timescale,
    pub media: Timescale,
    /// Durations in a movie with fragments tell what was known when `moov` was written, before the
    /// fragments: they limit nothing.
    pub is_fragmented: bool,
}

/// One row of `elst`.
#[derive(Clone, Copy)]
struct Row {
    /// In ticks of the movie timescale.
    duration: u64,
    /// `None` for an empty edit.
    media_time: Option<u64>,
    has_normal_rate: bool,
}

/// Reads `elst` and sums it up.
///
/// # Errors
/// [`PackageError::UnsupportedTrack`] for lists beyond one stretch of media at normal speed.
pub(super) fn read_elst(
    mut elst: BoxReader<'_>,
    track: u32,
    clocks: EditClocks,
) -> Result<Edit, PackageError> {
    let (version, _) = elst.full_box()?;
    let count = elst.u32()?;
    if count > EDITS_MAX {
        let max = EDITS_MAX.into();
        return Err(PackageError::LimitExceeded { what: "edits in a track", max });
    }
    let rows = if version == 0 {
        elst.rows::<12>(count)?.iter().map(row_from_v0).collect::<Vec<_>>()
    } else {
        elst.rows::<20>(count)?.iter().map(row_from_v1).collect()
    };
    summarize(&rows, clocks)
        .map_err(|reason| PackageError::UnsupportedTrack { track, reason: reason.to_owned() })
}

fn row_from_v0(row: &[u8; 12]) -> Row {
    let [d0, d1, d2, d3, m0, m1, m2, m3, rate @ ..] = *row;
    let media_time = i32::from_be_bytes([m0, m1, m2, m3]);
    Row {
        duration: u32::from_be_bytes([d0, d1, d2, d3]).into(),
        media_time: u64::try_from(media_time).ok(),
        has_normal_rate: rate == NORMAL_RATE,
    }
}

fn row_from_v1(row: &[u8; 20]) -> Row {
    let (duration, rest) = row.split_first_chunk().expect("a row has 20 bytes");
    let (media_time, rate) = rest.split_first_chunk().expect("12 bytes are left");
    Row {
        duration: u64::from_be_bytes(*duration),
        media_time: u64::try_from(i64::from_be_bytes(*media_time)).ok(),
        has_normal_rate: rate == NORMAL_RATE,
    }
}

fn summarize(rows: &[Row], clocks: EditClocks) -> Result<Edit, &'static str> {
    let leading = rows.iter().take_while(|row| row.media_time.is_none()).count();
    let (empty, media) = rows.split_at(leading);
    let lead = sum_durations(empty)?;
    // An empty stretch after the media presents nothing.
    let trailing = media.iter().rev().take_while(|row| row.media_time.is_none()).count();
    let media = &media[..media.len() - trailing];

    let Some((last, before_last)) = media.split_last() else {
        return if rows.is_empty() {
            Ok(Edit::default())
        } else {
            Err("its edit list presents no media")
        };
    };
    let mut start = None;
    let mut presented = 0_u64;
    for row in before_last.iter().filter(|row| row.duration > 0).chain([last]) {
        let media_time = row.media_time.ok_or("its edit list has an empty edit between media")?;
        if !row.has_normal_rate {
            return Err("its edit list plays media at another rate than 1");
        }
        let start = *start.get_or_insert(media_time);
        let expected = start.saturating_add(clocks.to_media(presented)?);
        if expected.abs_diff(media_time) > clocks.tolerance_ticks() {
            return Err("its edit list presents several separate stretches of media");
        }
        presented = presented.checked_add(row.duration).ok_or(TOO_LONG)?;
    }
    let is_unlimited = last.duration == 0 || clocks.is_fragmented;
    let limit = EditLimit {
        duration_ticks: clocks.to_media(presented)?,
        tolerance_ticks: clocks.tolerance_ticks(),
    };
    let edit = Edit {
        lead_ticks: clocks.to_media(lead)?,
        media_time: start.unwrap_or(0),
        limit: (!is_unlimited).then_some(limit),
    };
    if edit.media_time > TICKS_MAX { Err(TOO_LONG) } else { Ok(edit) }
}

fn sum_durations(rows: &[Row]) -> Result<u64, &'static str> {
    rows.iter().try_fold(0_u64, |sum, row| sum.checked_add(row.duration)).ok_or(TOO_LONG)
}

impl EditClocks {
    fn to_media(self, movie_ticks: u64) -> Result<u64, &'static str> {
        let time = self.movie.ticks(movie_ticks).rescale_round(self.media);
        time.map(|time| time.ticks).filter(|&ticks| ticks <= TICKS_MAX).ok_or(TOO_LONG)
    }

    fn tolerance_ticks(self) -> u64 {
        u64::from(self.media.get()).div_ceil(u64::from(self.movie.get())) + 1
    }
}

/// `media_rate_integer` 1 and `media_rate_fraction` 0.
const NORMAL_RATE: [u8; 4] = [0, 1, 0, 0];
const TOO_LONG: &str = "its edit list has times beyond reason";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FourCc;

    fn clocks(is_fragmented: bool) -> EditClocks {
        let movie = Timescale::MILLIS;
        EditClocks { movie, media: Timescale::new(48_000).unwrap(), is_fragmented }
    }

    /// Rows of (duration, media time); the list is read in both versions.
    #[track_caller]
    fn check(rows: &[(u32, i32)], expected: Result<Edit, &str>) {
        for version in [0_u8, 1] {
            let mut body = vec![version, 0, 0, 0];
            body.extend((rows.len() as u32).to_be_bytes());
            for &(duration, media_time) in rows {
                if version == 0 {
                    body.extend(duration.to_be_bytes());
                    body.extend(media_time.to_be_bytes());
                } else {
                    body.extend(u64::from(duration).to_be_bytes());
                    body.extend(i64::from(media_time).to_be_bytes());
                }
                body.extend(NORMAL_RATE);
            }
            let elst = BoxReader::new(FourCc::new(b"elst"), &body, 0, 8);
            let read = read_elst(elst, 1, clocks(false));
            let expected = expected.map_err(|reason| PackageError::UnsupportedTrack {
                track: 1,
                reason: reason.to_owned(),
            });
            assert_eq!(read, expected, "version {version}");
        }
    }

    fn edit(lead_ticks: u64, media_time: u64, duration_ticks: u64) -> Edit {
        let limit = Some(EditLimit { duration_ticks, tolerance_ticks: 49 });
        Edit { lead_ticks, media_time, limit }
    }

    #[test]
    fn one_stretch_of_media_with_empty_edits_around_it() {
        check(&[], Ok(Edit::default()));
        check(&[(1_000, 1024)], Ok(edit(0, 1024, 48_000)));
        check(&[(10, -1), (11, -1), (1_000, 0)], Ok(edit(1_008, 0, 48_000)));
        check(&[(1_000, 0), (500, -1)], Ok(edit(0, 0, 48_000)));
        check(&[(0, 312)], Ok(Edit { media_time: 312, ..Edit::default() }));
    }

    #[test]
    fn edits_that_go_on_where_the_last_stopped_are_one() {
        check(&[(1_000, 1024), (500, 49_024)], Ok(edit(0, 1024, 72_000)));
        // The second starts 20 ticks late: less than a tick of the movie.
        check(&[(1_000, 0), (500, 48_020)], Ok(edit(0, 0, 72_000)));
    }

    #[test]
    fn what_would_need_a_jump_is_refused() {
        let jump = "its edit list presents several separate stretches of media";
        check(&[(1_000, 0), (500, 96_000)], Err(jump));
        check(&[(1_000, 0), (500, 0)], Err(jump));
        let gap = "its edit list has an empty edit between media";
        check(&[(1_000, 0), (10, -1), (500, 48_000)], Err(gap));
        check(&[(1_000, -1)], Err("its edit list presents no media"));
    }

    #[test]
    fn a_rate_other_than_one_is_refused() {
        let body = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 3, 232, 0, 0, 0, 0, 0, 2, 0, 0];
        let elst = BoxReader::new(FourCc::new(b"elst"), &body, 0, 8);
        let error = read_elst(elst, 7, clocks(false)).unwrap_err();
        assert_eq!(error.to_string(), "track 7: its edit list plays media at another rate than 1");
    }

    #[test]
    fn a_duration_written_before_the_fragments_limits_nothing() {
        let body = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 3, 232, 0, 0, 4, 0, 0, 1, 0, 0];
        let elst = BoxReader::new(FourCc::new(b"elst"), &body, 0, 8);
        let edit = read_elst(elst, 1, clocks(true)).unwrap();
        assert_eq!(edit, Edit { media_time: 1024, ..Edit::default() });
    }
}
