//! What the tests of MPEG-TS share: a parser of transport streams that knows nothing of the muxer,
//! and a driver that feeds the muxer from files in memory.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::disallowed_methods, reason = "tests bring their own files")]

pub(crate) mod parser;
pub(crate) mod source;

use packager::ts::{BatchLimits, MuxTrack, SegmentMuxer};

/// Reads what each batch asks for out of `files` (by source) and returns the whole segment.
pub(crate) fn mux(
    files: &[&[u8]],
    video: Option<MuxTrack<'_>>,
    audio: Option<MuxTrack<'_>>,
    segment_number: u64,
    limits: BatchLimits,
) -> Result<Vec<u8>, &'static str> {
    let mut muxer = SegmentMuxer::new(video, audio, segment_number)?;
    let mut out = Vec::new();
    while let Some(batch) = muxer.next_batch(limits) {
        let read = |range: &packager::ts::SourceRange| {
            assert!(range.bytes.start < range.bytes.end);
            let file = files[range.source as usize];
            &file[range.bytes.start as usize..(range.bytes.end as usize).min(file.len())]
        };
        let data = batch.ranges().iter().map(read).collect::<Vec<_>>();
        muxer.write_batch(&batch, &data, &mut out)?;
        assert_eq!(out.len() % 188, 0, "only whole packets leave");
    }
    Ok(out)
}

pub(crate) const LIMITS: BatchLimits = BatchLimits { bytes: 128 << 10, gap_bytes: 4 << 10 };
