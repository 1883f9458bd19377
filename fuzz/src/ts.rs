//! MPEG-TS: what was announced is what is written.

use packager::track::{Sample, TrackInfo, TrackKind};
use packager::ts::{
    BatchLimits, MuxTrack, SegmentMuxer, TrackSizer, reorder_ticks, segment_len_bytes,
};

use crate::input::{Input, track};

/// A track and one segment of it: a byte for the handler, the timescale, the sample entry, then
/// samples, each with duration, composition offset, flags and bytes.
pub fn ts(data: &[u8]) {
    let mut input = Input::new(data);
    let (choice, timescale) = (input.u8(), input.u32());
    let Some(info) = track(choice, input.short_bytes(), timescale) else {
        return;
    };
    let mut samples = Vec::new();
    let mut file = Vec::new();
    let mut decode_time = u64::from(input.u32());
    while !input.is_empty() {
        let duration_ticks = input.u32();
        let composition_offset_ticks = input.u16().cast_signed().into();
        let is_sync = input.u8().is_multiple_of(2);
        let bytes = input.short_bytes();
        samples.push(Sample {
            offset_bytes: file.len() as u64,
            size_bytes: bytes.len() as u32,
            decode_time,
            duration_ticks,
            composition_offset_ticks,
            is_sync,
            description_index: 0,
        });
        file.extend_from_slice(bytes);
        decode_time += u64::from(duration_ticks);
    }
    check_segment(&info, &samples, reorder_ticks(&samples), &file);
}

/// The sizer and the muxer agree about `samples`, whose bytes lie in `file`.
pub(crate) fn check_segment(info: &TrackInfo, samples: &[Sample], reorder_ticks: u32, file: &[u8]) {
    let Some(mut sizer) = TrackSizer::new(info, reorder_ticks) else {
        return;
    };
    let payload = |sample: &Sample| {
        let start = sample.offset_bytes as usize;
        &file[start..start + sample.size_bytes as usize]
    };
    let fits = samples.iter().all(|sample| sizer.push(sample, payload(sample)).is_ok());
    let muxed = mux(info, samples, reorder_ticks, file);
    assert_eq!(muxed.is_ok(), fits, "{muxed:?}");
    if let Ok(written) = muxed {
        let size = Some(sizer.finish_segment());
        let announced = match info.kind() {
            TrackKind::Video => segment_len_bytes(size, None),
            _ => segment_len_bytes(None, size),
        };
        assert_eq!(written.len() as u64, announced);
        assert!(written.chunks(188).all(|packet| packet[0] == 0x47));
    }
}

fn mux(
    info: &TrackInfo,
    samples: &[Sample],
    reorder_ticks: u32,
    file: &[u8],
) -> Result<Vec<u8>, &'static str> {
    let track = Some(MuxTrack { info, samples, source: 0, packets_before: 0, reorder_ticks });
    let mut muxer = match info.kind() {
        TrackKind::Video => SegmentMuxer::new(track, None, 1)?,
        _ => SegmentMuxer::new(None, track, 1)?,
    };
    let mut out = Vec::new();
    while let Some(batch) = muxer.next_batch(BatchLimits { bytes: 70_000, gap_bytes: 64 }) {
        let ranges = batch.ranges().iter();
        let data: Vec<_> =
            ranges.map(|r| &file[r.bytes.start as usize..r.bytes.end as usize]).collect();
        muxer.write_batch(&batch, &data, &mut out)?;
    }
    Ok(out)
}
