//! Bit rates as manifests state them: measured on the segments, in the packaging they are sent in.
//!
//! A peak is taken over every run of consecutive segments that lasts between half and one and a
//! half target durations (`BANDWIDTH`, RFC 8216 4.3.4.2 and 4.1): a short last segment does not
//! count by itself. DASH states the same figure as `@bandwidth`, with the longest segment as
//! `@minBufferTime`.

use super::packaged_size::{iframe_bytes, multiplex_bytes, segment_bytes};
use super::{Presentation, PresentedTrack};
use crate::Timescale;
use crate::uri::Packaging;

/// Segments tried in one run; only segments far shorter than their neighbours need more than two.
const RUN_SEGMENTS_MAX: usize = 16;

/// Bits per second of a sequence of segments, rounded up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BitRate {
    pub peak: u64,
    pub average: u64,
}

/// One segment as far as bit rates go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Piece {
    pub(crate) duration_ticks: u64,
    pub(crate) bytes: u64,
}

impl BitRate {
    /// Rates of the segments presented of `track` by itself.
    pub fn of_track(track: &PresentedTrack<'_>, packaging: Packaging) -> Self {
        let kind = track.index.info.kind();
        let pieces: Vec<_> = durations(track)
            .zip(track.entries())
            .map(|(duration_ticks, entry)| Piece {
                duration_ticks,
                bytes: segment_bytes(packaging, kind, entry),
            })
            .collect();
        Self::of_pieces(&pieces, track.index.timescale())
    }

    /// Rates of a multiplex: every segment of `video` carries that of `audio` with its number.
    pub fn of_multiplex(video: &PresentedTrack<'_>, audio: &PresentedTrack<'_>) -> Self {
        let pieces: Vec<_> = durations(video)
            .zip(video.segments.clone())
            .map(|(duration_ticks, index)| {
                let [video, audio] = [video, audio].map(|track| track.index.segments.get(index));
                Piece { duration_ticks, bytes: multiplex_bytes(video, audio) }
            })
            .collect();
        Self::of_pieces(&pieces, video.index.timescale())
    }

    /// Rates of the I-frames presented of `track`, each lasting until the next.
    pub fn of_iframes(track: &PresentedTrack<'_>, packaging: Packaging) -> Self {
        let (_, frames) = track.iframes();
        let ends = frames.iter().skip(1).map(|frame| frame.time);
        let ends = ends.chain(std::iter::once(track.end_time().ticks));
        let pieces: Vec<_> = frames
            .iter()
            .zip(ends)
            .map(|(frame, end)| Piece {
                duration_ticks: end.saturating_sub(frame.time),
                bytes: iframe_bytes(packaging, frame),
            })
            .collect();
        Self::of_pieces(&pieces, track.index.timescale())
    }

    pub(crate) fn of_pieces(pieces: &[Piece], timescale: Timescale) -> Self {
        let mut total = Piece { duration_ticks: 0, bytes: 0 };
        let mut longest_ticks = 0;
        for piece in pieces {
            total = total.joined(*piece);
            longest_ticks = longest_ticks.max(piece.duration_ticks);
        }
        let target = target_seconds(longest_ticks, timescale);
        let target_ticks = target.saturating_mul(u64::from(timescale.get()));
        let peak = peak_run(pieces, target_ticks).unwrap_or(total);
        Self { peak: peak.rate(timescale), average: total.rate(timescale) }
    }

    /// Sum of what is played together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            peak: self.peak.saturating_add(other.peak),
            average: self.average.saturating_add(other.average),
        }
    }

    /// The larger of each, for what is played in turn.
    pub fn max(self, other: Self) -> Self {
        Self { peak: self.peak.max(other.peak), average: self.average.max(other.average) }
    }
}

impl Piece {
    fn joined(self, other: Self) -> Self {
        Self {
            duration_ticks: self.duration_ticks.saturating_add(other.duration_ticks),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// Compares `bytes / duration` exactly.
    fn is_denser_than(self, other: Self) -> bool {
        u128::from(self.bytes) * u128::from(other.duration_ticks)
            > u128::from(other.bytes) * u128::from(self.duration_ticks)
    }

    fn rate(self, timescale: Timescale) -> u64 {
        if self.duration_ticks == 0 {
            return 0;
        }
        let bits = u128::from(self.bytes) * 8 * u128::from(timescale.get());
        u64::try_from(bits.div_ceil(u128::from(self.duration_ticks))).unwrap_or(u64::MAX)
    }
}

/// The densest run that lasts between half and one and a half targets; `None` without such a run.
fn peak_run(pieces: &[Piece], target_ticks: u64) -> Option<Piece> {
    let (least, most) = (target_ticks.div_ceil(2), target_ticks.saturating_add(target_ticks / 2));
    let mut peak: Option<Piece> = None;
    for first in 0..pieces.len() {
        let mut run = Piece { duration_ticks: 0, bytes: 0 };
        for piece in pieces[first..].iter().take(RUN_SEGMENTS_MAX) {
            run = run.joined(*piece);
            if run.duration_ticks > most {
                break;
            }
            let is_peak = peak.is_none_or(|peak| run.is_denser_than(peak));
            if run.duration_ticks >= least && is_peak {
                peak = Some(run);
            }
        }
    }
    peak
}

/// Target duration for a longest segment: to the nearest second, at least 1.
fn target_seconds(longest_ticks: u64, timescale: Timescale) -> u64 {
    let per_second = u64::from(timescale.get());
    let half_up = longest_ticks % per_second >= per_second.div_ceil(2);
    (longest_ticks / per_second + u64::from(half_up)).max(1)
}

/// Ticks that each segment presented lasts.
pub(crate) fn durations(track: &PresentedTrack<'_>) -> impl Iterator<Item = u64> {
    let entries = track.entries();
    let starts = entries.iter().map(|entry| entry.decode_time);
    let ends = entries.iter().skip(1).map(|entry| entry.decode_time);
    let ends = ends.chain(std::iter::once(track.end_time().ticks));
    starts.zip(ends).map(|(start, end)| end.saturating_sub(start))
}

impl Presentation<'_> {
    /// The longest segment presented, in microseconds rounded up.
    pub(crate) fn longest_segment_micros(&self) -> u64 {
        let longest = self.presented().filter_map(|track| {
            let ticks = durations(track).max()?;
            let micros = Timescale::new(1_000_000)?;
            Some(track.index.timescale().ticks(ticks).rescale_ceil(micros)?.ticks)
        });
        longest.max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pieces: &[(u64, u64)], peak: u64, average: u64) {
        let pieces: Vec<_> =
            pieces.iter().map(|&(duration_ticks, bytes)| Piece { duration_ticks, bytes }).collect();
        assert_eq!(BitRate::of_pieces(&pieces, Timescale::MILLIS), BitRate { peak, average });
    }

    #[test]
    fn the_densest_segment_is_the_peak() {
        check(&[(6_000, 600), (6_000, 1_200), (6_000, 900)], 1_600, 1_200);
    }

    /// A tenth of a second with many bytes counts only together with its neighbour.
    #[test]
    fn a_short_segment_counts_with_its_neighbour() {
        check(&[(6_000, 6_000), (100, 1_000)], 9_181, 9_181);
    }

    #[test]
    fn a_lone_short_segment_has_the_average() {
        check(&[(100, 100)], 8_000, 8_000);
        check(&[], 0, 0);
        check(&[(0, 100)], 0, 0);
    }

    #[test]
    fn the_target_is_to_the_nearest_second() {
        let target = |ticks| target_seconds(ticks, Timescale::MILLIS);
        assert_eq!([target(0), target(5_499), target(5_500), target(6_006)], [1, 5, 6, 6]);
    }
}
