//! Batches: the bytes of the source that the next part of a segment is made of.

use std::ops::Range;

/// How much a batch may ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BatchLimits {
    /// Bytes of media per batch, and about as many of output; 64 KiB at least are taken. Larger
    /// samples are spread over several batches.
    pub bytes: u32,
    /// Unwanted bytes that are read along where that joins two ranges: some KiB on a disk, more
    /// where each range costs a request.
    pub gap_bytes: u32,
}

/// Bytes of a source file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SourceRange {
    /// [`MuxTrack::source`](super::MuxTrack::source) of the track or tracks it is for.
    pub source: u32,
    pub bytes: Range<u64>,
}

/// What [`SegmentMuxer::next_batch`](super::SegmentMuxer::next_batch) wants to be written next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Batch {
    pub(super) start: Cursor,
    pub(super) end: Cursor,
    pub(super) pieces: Vec<Piece>,
    ranges: Vec<SourceRange>,
}

impl Batch {
    /// The ranges to read, by source and offset. They don't overlap; none is empty. There may be
    /// none at all: such a batch is written without data.
    pub fn ranges(&self) -> &[SourceRange] {
        &self.ranges
    }

    /// Finds the ranges that cover `wanted`: for each piece its source and first byte there.
    pub(super) fn new(
        (start, end): (Cursor, Cursor),
        mut pieces: Vec<Piece>,
        wanted: &[(u32, u64)],
        gap_bytes: u32,
    ) -> Self {
        debug_assert_eq!(pieces.len(), wanted.len());
        let mut order =
            (0..pieces.len()).filter(|at| pieces[*at].len_bytes > 0).collect::<Vec<_>>();
        order.sort_by_key(|at| wanted[*at]);
        let mut ranges: Vec<SourceRange> = Vec::new();
        for at in order {
            let (source, first) = wanted[at];
            let piece = &mut pieces[at];
            let past = first + u64::from(piece.len_bytes);
            match ranges.last_mut() {
                Some(range)
                    if range.source == source
                        && first <= range.bytes.end.saturating_add(u64::from(gap_bytes)) =>
                {
                    range.bytes.end = range.bytes.end.max(past);
                }
                _ => ranges.push(SourceRange { source, bytes: first..past }),
            }
            let last = ranges.len() - 1;
            piece.range = last;
            piece.start_bytes = first - ranges[last].bytes.start;
        }
        Self { start, end, pieces, ranges }
    }

    /// The bytes of one piece.
    pub(super) fn bytes<'a>(&self, piece: &Piece, data: &[&'a [u8]]) -> Option<&'a [u8]> {
        if piece.len_bytes == 0 {
            return Some(&[]);
        }
        let start = usize::try_from(piece.start_bytes).ok()?;
        data.get(piece.range)?.get(start..)?.get(..piece.len_bytes as usize)
    }
}

/// A place in a segment's plan: a unit and how many of its bytes are behind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Cursor {
    pub(super) unit: usize,
    pub(super) at_bytes: u32,
}

/// A unit, or a part of one that is too large for a batch.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Piece {
    pub(super) cursor: Cursor,
    pub(super) len_bytes: u32,
    /// Index of its range, and where it starts there.
    range: usize,
    start_bytes: u64,
}

impl Piece {
    pub(super) fn new(cursor: Cursor, len_bytes: u32) -> Self {
        Self { cursor, len_bytes, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: &[(u32, u64, u32)], gap_bytes: u32, expected: &[(u32, Range<u64>)]) {
        let pieces = wanted.iter().map(|(_, _, len)| Piece::new(Cursor::default(), *len)).collect();
        let places = wanted.iter().map(|(source, first, _)| (*source, *first)).collect::<Vec<_>>();
        let batch = Batch::new(Default::default(), pieces, &places, gap_bytes);
        let ranges = batch.ranges().iter().map(|range| (range.source, range.bytes.clone()));
        assert_eq!(ranges.collect::<Vec<_>>(), expected);

        let file = (0..=255_u8).collect::<Vec<_>>();
        let slice =
            |range: &SourceRange| &file[range.bytes.start as usize..range.bytes.end as usize];
        let data = batch.ranges().iter().map(slice).collect::<Vec<_>>();
        for (piece, (_, first, len)) in batch.pieces.iter().zip(wanted) {
            let first = *first as usize;
            assert_eq!(batch.bytes(piece, &data).unwrap(), &file[first..first + *len as usize]);
        }
    }

    #[test]
    fn neighbours_are_joined_across_small_gaps() {
        check(&[(0, 10, 5), (0, 15, 5), (0, 21, 5)], 0, &[(0, 10..20), (0, 21..26)]);
        check(&[(0, 10, 5), (0, 15, 5), (0, 21, 5)], 1, &[(0, 10..26)]);
    }

    #[test]
    fn audio_and_video_of_one_file_share_ranges() {
        check(&[(0, 30, 10), (0, 10, 5), (0, 40, 2), (0, 15, 15)], 0, &[(0, 10..42)]);
        check(&[(1, 30, 10), (0, 10, 5), (1, 40, 2)], 9, &[(0, 10..15), (1, 30..42)]);
    }

    #[test]
    fn overlaps_and_empty_pieces_are_harmless() {
        check(&[(0, 10, 20), (0, 12, 3), (0, 99, 0)], 0, &[(0, 10..30)]);
        check(&[], 0, &[]);
    }
}
