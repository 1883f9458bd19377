//! A track of cues as fragments: one segment, or all of them as one file.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use packager::fmp4::{Part, SingleFile, wvtt_segment};
use packager::text::CueTrack;

use crate::OriginError;
use crate::body::ChunkStream;
use crate::chunk::Chunk;
use crate::entity::Source;
use crate::loaded::{LoadedTrack, TrackContent};

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

/// A whole track of cues as one file, made a segment at a time.
#[derive(Clone)]
pub(crate) struct TextFileSource {
    pub track: Arc<LoadedTrack>,
    pub layout: Arc<SingleFile>,
}

impl Source for TextFileSource {
    fn len_bytes(&self) -> u64 {
        self.layout.len_bytes()
    }

    fn stream(self: Box<Self>, range: Range<u64>) -> ChunkStream {
        Box::pin(async_stream::try_stream! {
            let parts: Vec<Part> = self.layout.locate(range).collect();
            for part in parts {
                match part {
                    Part::Head(range) => {
                        yield Chunk::from(Bytes::copy_from_slice(&self.layout.head()[range]));
                    }
                    Part::Segment { index, range } => {
                        // Samples have a source of their own.
                        let TrackContent::Cues(cues) = &self.track.content else { continue };
                        let segment = cue_segment(&self.track, cues, index)?;
                        yield Chunk::from(segment.slice(range.start as usize..range.end as usize));
                    }
                }
            }
        })
    }

    fn again(&self) -> Box<dyn Source> {
        Box::new(self.clone())
    }
}
