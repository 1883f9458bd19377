//! A whole track as one file: init segment, segment index, and every segment, made one at a time.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use packager::fmp4::{Part, SingleFile, wvtt_segment};
use packager::text::CueTrack;

use crate::OriginError;
use crate::body::{ChunkStream, next_chunk};
use crate::chunk::Chunk;
use crate::entity::Source;
use crate::loaded::{LoadedTrack, TrackContent};
use crate::segment_source::Fmp4Segment;

/// Segment `index` (from 0) of a track of cues.
pub(crate) fn cue_segment(
    track: &LoadedTrack,
    cues: &CueTrack,
    index: usize,
) -> Result<Bytes, OriginError> {
    let number = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1);
    let (start_ms, end_ms) =
        (track.index.segment_start(index), track.index.segment_start(index + 1));
    Ok(wvtt_segment(number, start_ms, end_ms, &cues.cues)?.into())
}

/// The file of a track, of samples or of cues.
#[derive(Clone)]
pub(crate) struct SingleFileSource {
    pub track: Arc<LoadedTrack>,
    pub layout: Arc<SingleFile>,
}

impl Source for SingleFileSource {
    fn len_bytes(&self) -> u64 {
        self.layout.len_bytes()
    }

    fn stream(self: Box<Self>, range: Range<u64>) -> ChunkStream {
        Box::pin(async_stream::try_stream! {
            let parts: Vec<Part> = self.layout.locate(range).collect();
            for part in parts {
                match (part, &self.track.content) {
                    (Part::Head(range), _) => {
                        yield Chunk::from(Bytes::copy_from_slice(&self.layout.head()[range]));
                    }
                    (Part::Segment { index, range }, TrackContent::Cues(cues)) => {
                        let segment = cue_segment(&self.track, cues, index)?;
                        yield Chunk::from(segment.slice(range.start as usize..range.end as usize));
                    }
                    (Part::Segment { index, range }, TrackContent::Samples { .. }) => {
                        let track = self.track.clone();
                        let segment = Fmp4Segment { track, index, with_index: false };
                        let mut chunks = Box::new(segment).stream(range);
                        while let Some(chunk) = next_chunk(&mut chunks).await {
                            yield chunk?;
                        }
                    }
                }
            }
        })
    }

    fn again(&self) -> Box<dyn Source> {
        Box::new(self.clone())
    }
}
