//! MPEG-TS segments as byte sources: muxed from the samples while the client takes them.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use packager::index::SegmentEntry;
use packager::ts::{
    Batch, BatchLimits, MuxTrack, SegmentMuxer, SourceRange, TrackSize, segment_len_bytes,
    write_iframe_segment,
};
use platform::objects::ObjectReader;

use crate::OriginError;
use crate::asset::AssetId;
use crate::body::ChunkStream;
use crate::chunk::Chunk;
use crate::entity::Source;
use crate::loaded::{LoadedTrack, TrackContent};

/// Media muxed at a time: source and output of one batch stay in the second-level cache, and a
/// client that stops reading keeps no more than this waiting.
const BATCH: BatchLimits = BatchLimits { bytes: 64 << 10, gap_bytes: 4 << 10 };

thread_local! {
    /// Media of the batch that a thread writes. Shared by all segments, so that it stays in the
    /// cache, and one that waits for its client holds none.
    static MEDIA: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A segment of one track, or of video and audio multiplexed.
#[derive(Clone)]
pub(crate) struct TsSegment {
    pub asset: AssetId,
    pub video: Option<Arc<LoadedTrack>>,
    pub audio: Option<Arc<LoadedTrack>>,
    /// From 0.
    pub index: usize,
}

impl TsSegment {
    fn entry(track: Option<&Arc<LoadedTrack>>, index: usize) -> Option<&SegmentEntry> {
        track?.index.segments.get(index).filter(|entry| entry.sample_count > 0)
    }

    fn size(track: Option<&Arc<LoadedTrack>>, index: usize) -> Option<TrackSize> {
        let entry = Self::entry(track, index)?;
        Some(TrackSize { packets: entry.ts_packets, clock_packets: entry.ts_clock_packets })
    }

    async fn muxer(&self) -> Result<(SegmentMuxer, Readers), OriginError> {
        // Side by side: on a remote store each waits for a round trip.
        let (video, audio) =
            tokio::try_join!(self.side(self.video.as_ref()), self.side(self.audio.as_ref()))?;
        let readers = Readers::new(video.as_ref(), audio.as_ref());
        let number = self.index as u64 + 1;
        let video = video.as_ref().map(|side| side.mux_track(0));
        let audio = audio.as_ref().map(|side| side.mux_track(readers.audio_source));
        let muxer =
            SegmentMuxer::new(video, audio, number).map_err(|reason| self.damaged(reason))?;
        Ok((muxer, readers))
    }

    async fn side(&self, track: Option<&Arc<LoadedTrack>>) -> Result<Option<Side>, OriginError> {
        let (Some(track), Some(entry)) = (track, Self::entry(track, self.index)) else {
            return Ok(None);
        };
        let samples = track.segment_samples(entry).await?.samples;
        let packets_before = entry.ts_packets_before;
        Ok(Some(Side { track: track.clone(), samples, packets_before }))
    }

    /// Reads and writes a batch if that needs no waiting; `false` if it does.
    fn write_at_once(
        &self,
        muxer: &mut SegmentMuxer,
        readers: &Readers,
        batch: &Batch,
        out: &mut Vec<u8>,
    ) -> Result<bool, OriginError> {
        MEDIA.with_borrow_mut(|media| {
            if !readers.read_at_once(batch, media)? {
                return Ok(false);
            }
            self.write(muxer, batch, media, out).map(|()| true)
        })
    }

    fn write(
        &self,
        muxer: &mut SegmentMuxer,
        batch: &Batch,
        media: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), OriginError> {
        let written = muxer.write_batch(batch, &split(batch, media), out);
        written.map_err(|reason| self.damaged(reason))
    }

    fn damaged(&self, reason: &str) -> OriginError {
        OriginError::CorruptAsset {
            asset: self.asset.clone(),
            reason: format!("segment {}: {reason}", self.index + 1),
        }
    }
}

/// One track's part of a segment.
struct Side {
    track: Arc<LoadedTrack>,
    samples: Vec<packager::track::Sample>,
    packets_before: u64,
}

impl Side {
    fn mux_track(&self, source: u32) -> MuxTrack<'_> {
        MuxTrack {
            info: &self.track.index.info,
            samples: &self.samples,
            source,
            packets_before: self.packets_before,
            reorder_ticks: self.track.index.facts.reorder_ticks,
        }
    }
}

/// The files that a segment's media lies in: one when both tracks share it.
struct Readers {
    readers: Vec<Arc<ObjectReader>>,
    audio_source: u32,
}

impl Readers {
    fn new(video: Option<&Side>, audio: Option<&Side>) -> Self {
        let media = |side: Option<&Side>| match &side?.track.content {
            TrackContent::Samples { media, .. } => Some(media.clone()),
            TrackContent::Cues(_) => None,
        };
        let mut readers: Vec<_> = media(video).into_iter().collect();
        let mut audio_source = 0;
        if let Some(audio) = media(audio)
            && !readers.first().is_some_and(|video| Arc::ptr_eq(video, &audio))
        {
            audio_source = readers.len() as u32;
            readers.push(audio);
        }
        Self { readers, audio_source }
    }

    /// Reads the ranges of a batch into `buffer`, one behind the other.
    async fn read(&self, batch: &Batch, buffer: &mut Vec<u8>) -> Result<(), OriginError> {
        for (range, part) in parts(batch, buffer) {
            if let Some(reader) = self.readers.get(range.source as usize) {
                reader.read_at(range.bytes.start, part).await?;
            }
        }
        Ok(())
    }

    /// As [`Self::read`] if that needs no waiting; `false` if it does.
    fn read_at_once(&self, batch: &Batch, buffer: &mut Vec<u8>) -> Result<bool, OriginError> {
        for (range, part) in parts(batch, buffer) {
            if let Some(reader) = self.readers.get(range.source as usize)
                && !reader.read_at_once(range.bytes.start, part)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn len_bytes(range: &SourceRange) -> usize {
    (range.bytes.end - range.bytes.start) as usize
}

/// Room in `buffer` for each range of a batch, one behind the other.
fn parts<'a>(
    batch: &'a Batch,
    buffer: &'a mut Vec<u8>,
) -> impl Iterator<Item = (&'a SourceRange, &'a mut [u8])> {
    buffer.resize(batch.ranges().iter().map(len_bytes).sum(), 0);
    let mut rest = buffer.as_mut_slice();
    batch.ranges().iter().map(move |range| {
        let (part, after) = std::mem::take(&mut rest).split_at_mut(len_bytes(range));
        rest = after;
        (range, part)
    })
}

impl Source for TsSegment {
    fn len_bytes(&self) -> u64 {
        let video = Self::size(self.video.as_ref(), self.index);
        segment_len_bytes(video, Self::size(self.audio.as_ref(), self.index))
    }

    fn stream(self: Box<Self>, range: Range<u64>) -> ChunkStream {
        Box::pin(async_stream::try_stream! {
            let (mut muxer, readers) = self.muxer().await?;
            let mut at = 0;
            while let Some(batch) = muxer.next_batch(BATCH) {
                let mut out = Vec::new();
                if !self.write_at_once(&mut muxer, &readers, &batch, &mut out)? {
                    let mut media = Vec::new();
                    readers.read(&batch, &mut media).await?;
                    self.write(&mut muxer, &batch, &media, &mut out)?;
                }
                let bytes = clip(out.into(), &mut at, &range);
                if !bytes.is_empty() {
                    yield Chunk::from(bytes);
                }
                if at >= range.end {
                    break;
                }
            }
        })
    }

    fn again(&self) -> Box<dyn Source> {
        Box::new(self.clone())
    }
}

/// The bytes of each range of a batch, which lie one behind the other in `media`.
fn split<'a>(batch: &Batch, mut media: &'a [u8]) -> Vec<&'a [u8]> {
    let part = |range| {
        let (bytes, rest) = media.split_at(len_bytes(range).min(media.len()));
        media = rest;
        bytes
    };
    batch.ranges().iter().map(part).collect()
}

/// The part of `bytes`, which start at `at` of the whole, that lies in `range`.
fn clip(bytes: Bytes, at: &mut u64, range: &Range<u64>) -> Bytes {
    let start = *at;
    let len = bytes.len() as u64;
    *at += len;
    let from = range.start.saturating_sub(start).min(len);
    let to = range.end.saturating_sub(start).min(len);
    bytes.slice(from as usize..to.max(from) as usize)
}

/// Reads a sync sample and writes it as a segment of its own.
pub(crate) async fn ts_iframe(
    track: &LoadedTrack,
    index: usize,
) -> Result<Option<Bytes>, OriginError> {
    let (Some(entry), TrackContent::Samples { media, .. }) =
        (track.index.iframes.get(index), &track.content)
    else {
        return Ok(None);
    };
    let duration = u32::try_from(track.index.iframe_duration(index)).unwrap_or(u32::MAX);
    let sample = packager::fmp4::iframe_sample(entry, duration, entry.description_index);
    let mut payload = Vec::with_capacity(entry.size_bytes as usize);
    let end = entry.offset_bytes + u64::from(entry.size_bytes);
    media.read_into(entry.offset_bytes..end, &mut payload).await?;
    let mut out = Vec::new();
    let reorder_ticks = track.index.facts.reorder_ticks;
    write_iframe_segment(&track.index.info, reorder_ticks, &sample, &payload, &mut out)
        .map_err(|reason| OriginError::NotFound { reason: reason.to_owned() })?;
    Ok(Some(out.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipping_follows_the_position_in_the_whole() {
        let mut at = 0;
        let whole = Bytes::from_static(b"abcdefghij");
        assert_eq!(clip(whole.slice(0..4), &mut at, &(2..7)), "cd");
        assert_eq!(clip(whole.slice(4..8), &mut at, &(2..7)), "efg");
        assert_eq!(clip(whole.slice(8..10), &mut at, &(2..7)), "");
        assert_eq!(at, 10);
    }
}
