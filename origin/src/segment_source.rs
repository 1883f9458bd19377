//! Segments as byte sources: computed headers and ranges of the source, streamed with
//! backpressure.
//!
//! A stream reads the segment's block, writes the header, and then hands over the media a chunk at
//! a time, as the client takes it. Nothing is read that is not sent.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use packager::fmp4::{MediaSegment, SegmentShape, iframe_sample, media_runs, segment_header_len};
use packager::index::{IFrameEntry, SegmentEntry};
use packager::track::Sample;
use platform::objects::ObjectReader;

use crate::OriginError;
use crate::body::ChunkStream;
use crate::chunk::Chunk;
use crate::entity::Source;
use crate::loaded::{LoadedTrack, TrackContent};

/// Media handed to the socket at a time where it is mapped, and waiting costs no memory.
const MAPPED_CHUNK_BYTES: u64 = 1 << 20;
/// Media handed to the socket at a time where it lies in blocks that all viewers share.
const SHARED_CHUNK_BYTES: u64 = 256 << 10;
/// Media handed to the socket at a time where it is copied for one viewer, who may stop reading.
const COPIED_CHUNK_BYTES: u64 = 64 << 10;
/// Byte strings in one chunk: the socket takes 64 in one write, one of them the header.
const CHUNK_PARTS_MAX: usize = 63;
/// Runs shorter than this, on average, are copied together: the kernel's work for a range costs
/// more than copying so few bytes. Measured over loopback with runs of 350 bytes (audio between
/// video), where copying takes 0.6 of the time, and of 6 KiB, where it takes 1.2 of it.
const GATHER_RUN_BYTES_MIN: u64 = 2 << 10;

/// A CMAF media segment.
#[derive(Clone)]
pub(crate) struct Fmp4Segment {
    pub track: Arc<LoadedTrack>,
    /// From 0.
    pub index: usize,
    /// A `sidx` in front was asked for.
    pub with_index: bool,
}

impl Fmp4Segment {
    fn entry(&self) -> &SegmentEntry {
        &self.track.index.segments[self.index]
    }

    fn shape(&self) -> SegmentShape {
        SegmentShape { index: self.with_index, ..SegmentShape::from(self.entry()) }
    }

    async fn pieces(&self) -> Result<Pieces, OriginError> {
        let entry = self.entry();
        let segment = self.track.segment_samples(entry).await?;
        let mut header = Vec::with_capacity(segment_header_len(&self.shape()) as usize);
        MediaSegment {
            number: self.index as u32 + 1,
            decode_time: entry.decode_time,
            samples: &segment.samples,
            events: &segment.events,
            index: self.with_index,
            timescale: self.track.index.timescale(),
        }
        .write_header(&mut header);
        Ok(Pieces::new(header, &segment.samples))
    }
}

impl Source for Fmp4Segment {
    fn len_bytes(&self) -> u64 {
        self.shape().segment_bytes()
    }

    fn stream(self: Box<Self>, range: Range<u64>) -> ChunkStream {
        let track = self.track.clone();
        stream_of(track, async move { self.pieces().await }, range)
    }

    fn again(&self) -> Box<dyn Source> {
        Box::new(self.clone())
    }
}

/// One sync sample as a CMAF segment of its own.
#[derive(Clone)]
pub(crate) struct Fmp4IFrame {
    pub track: Arc<LoadedTrack>,
    /// From 0.
    pub index: usize,
}

impl Fmp4IFrame {
    fn entry(&self) -> &IFrameEntry {
        &self.track.index.iframes[self.index]
    }

    fn pieces(&self) -> Pieces {
        let entry = self.entry();
        let duration = self.track.index.iframe_duration(self.index);
        let duration = u32::try_from(duration).unwrap_or(u32::MAX);
        let sample = iframe_sample(entry, duration, entry.description_index);
        let mut header = Vec::new();
        MediaSegment {
            number: self.index as u32 + 1,
            decode_time: sample.decode_time,
            samples: &[sample],
            events: &[],
            index: false,
            timescale: self.track.index.timescale(),
        }
        .write_header(&mut header);
        Pieces::new(header, &[sample])
    }
}

impl Source for Fmp4IFrame {
    fn len_bytes(&self) -> u64 {
        let media_bytes = u64::from(self.entry().size_bytes);
        SegmentShape { sample_count: 1, media_bytes, ..SegmentShape::default() }.segment_bytes()
    }

    fn stream(self: Box<Self>, range: Range<u64>) -> ChunkStream {
        let pieces = self.pieces();
        stream_of(self.track, async move { Ok(pieces) }, range)
    }

    fn again(&self) -> Box<dyn Source> {
        Box::new(self.clone())
    }
}

/// A file of the title as it lies in the store: pictures.
#[derive(Clone)]
pub(crate) struct FileSource {
    pub reader: Arc<ObjectReader>,
}

impl Source for FileSource {
    fn len_bytes(&self) -> u64 {
        self.reader.meta().len_bytes
    }

    fn stream(self: Box<Self>, range: Range<u64>) -> ChunkStream {
        Box::pin(async_stream::try_stream! {
            let mut at = range.start;
            while at < range.end {
                let end = range.end.min(at + SHARED_CHUNK_BYTES);
                let mut chunk = Chunk::default();
                chunk.extend(self.reader.slice(at..end).await?);
                yield chunk;
                at = end;
            }
        })
    }

    fn again(&self) -> Box<dyn Source> {
        Box::new(self.clone())
    }
}

/// Streams a part of what `pieces` turns out to be, once the first bytes are wanted.
fn stream_of(
    track: Arc<LoadedTrack>,
    pieces: impl Future<Output = Result<Pieces, OriginError>> + Send + 'static,
    range: Range<u64>,
) -> ChunkStream {
    Box::pin(async_stream::try_stream! {
        let mut pieces = pieces.await?;
        pieces.keep(range);
        while let Some(chunk) = pieces.next_chunk(&track).await? {
            yield chunk;
        }
    })
}

/// A header and the ranges of the media object that follow it.
struct Pieces {
    header: Bytes,
    runs: VecDeque<Range<u64>>,
    /// The runs are long enough to be handed over one by one.
    gather: bool,
}

impl Pieces {
    fn new(header: Vec<u8>, samples: &[Sample]) -> Self {
        let runs: VecDeque<_> = media_runs(samples).into();
        let bytes: u64 = runs.iter().map(|run| run.end - run.start).sum();
        let gather = bytes >= GATHER_RUN_BYTES_MIN * runs.len() as u64;
        Self { header: header.into(), runs, gather }
    }

    /// Drops what lies outside `range` of the whole.
    fn keep(&mut self, range: Range<u64>) {
        let header_len = self.header.len() as u64;
        let header = range.start.min(header_len)..range.end.min(header_len);
        self.header = self.header.slice(header.start as usize..header.end as usize);

        let mut skip = range.start.saturating_sub(header_len);
        let mut left = range.end.saturating_sub(header_len.max(range.start));
        self.runs.retain_mut(|run| {
            let len = run.end - run.start;
            let skipped = skip.min(len);
            skip -= skipped;
            run.start += skipped;
            run.end = run.start + left.min(run.end - run.start);
            left -= run.end - run.start;
            !run.is_empty()
        });
    }

    /// The next bytes to send.
    async fn next_chunk(&mut self, track: &LoadedTrack) -> Result<Option<Chunk>, OriginError> {
        let mut chunk = Chunk::default();
        chunk.push(std::mem::take(&mut self.header));
        let TrackContent::Samples { media, .. } = &track.content else {
            return Ok((chunk.part_count() > 0).then_some(chunk));
        };
        if self.gather {
            self.gather_runs(media, &mut chunk).await?;
        } else {
            self.copy_runs(media, &mut chunk).await?;
        }
        Ok((chunk.part_count() > 0).then_some(chunk))
    }

    async fn gather_runs(
        &mut self,
        media: &ObjectReader,
        chunk: &mut Chunk,
    ) -> Result<(), OriginError> {
        let mut wanted = Vec::new();
        let mut budget = if media.is_mapped() { MAPPED_CHUNK_BYTES } else { SHARED_CHUNK_BYTES };
        while budget > 0 && chunk.part_count() + wanted.len() < CHUNK_PARTS_MAX {
            let Some(run) = self.take_run(budget) else {
                break;
            };
            budget -= run.end - run.start;
            wanted.push(run);
        }
        if let (Some(last), Some(next)) = (wanted.last(), self.runs.front()) {
            media.go_on(last, next.end)?;
        }
        media.prepare(&wanted).await?;
        for run in wanted {
            media.slice_prepared(run, chunk).await?;
        }
        Ok(())
    }

    async fn copy_runs(
        &mut self,
        media: &ObjectReader,
        chunk: &mut Chunk,
    ) -> Result<(), OriginError> {
        let mut wanted = Vec::new();
        let mut budget = COPIED_CHUNK_BYTES;
        while budget > 0
            && let Some(run) = self.take_run(budget)
        {
            budget -= run.end - run.start;
            wanted.push(run);
        }
        let mut copied = vec![0; (COPIED_CHUNK_BYTES - budget) as usize];
        let mut rest = copied.as_mut_slice();
        for run in wanted {
            let (part, after) = rest.split_at_mut((run.end - run.start) as usize);
            media.read_at(run.start, part).await?;
            rest = after;
        }
        chunk.push(copied.into());
        Ok(())
    }

    /// At most `budget` bytes of the first run.
    fn take_run(&mut self, budget: u64) -> Option<Range<u64>> {
        let run = self.runs.front_mut()?;
        let end = run.end.min(run.start + budget);
        let taken = run.start..end;
        run.start = end;
        if run.is_empty() {
            self.runs.pop_front();
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn samples(sizes: &[(u32, u64)]) -> Vec<Sample> {
        let mut offset_bytes = 100;
        sizes
            .iter()
            .map(|&(size_bytes, gap)| {
                offset_bytes += gap;
                let sample = Sample { offset_bytes, size_bytes, ..Sample::default() };
                offset_bytes += u64::from(size_bytes);
                sample
            })
            .collect()
    }

    proptest! {
        /// Any range of a segment is the same bytes as that range of the whole.
        #[test]
        fn ranges_select_from_header_and_runs(
            header_len in 0..50_usize,
            sizes in prop::collection::vec((1..400_u32, prop_oneof![Just(0_u64), 1..90_u64]), 1..20),
            from: prop::sample::Index, to: prop::sample::Index,
        ) {
            let samples = samples(&sizes);
            let media: u64 = sizes.iter().map(|&(size, _)| u64::from(size)).sum();
            let total = header_len as u64 + media;
            let (a, b) = (from.index(total as usize + 1) as u64, to.index(total as usize + 1) as u64);
            let range = a.min(b)..a.max(b);

            // Each byte is named by its place: negative in the header, else by its source offset.
            let expand = |pieces: &Pieces, header_from: u64| -> Vec<i64> {
                let header = (0..pieces.header.len() as u64).map(|i| -1 - (header_from + i) as i64);
                let runs = pieces.runs.iter().flat_map(|run| run.clone()).map(|at| at as i64);
                header.chain(runs).collect()
            };
            let whole = Pieces::new(vec![0; header_len], &samples);
            let all = expand(&whole, 0);
            let mut part = Pieces::new(vec![0; header_len], &samples);
            part.keep(range.clone());
            prop_assert_eq!(
                expand(&part, range.start.min(header_len as u64)),
                all[range.start as usize..range.end as usize].to_vec()
            );
        }
    }
}
