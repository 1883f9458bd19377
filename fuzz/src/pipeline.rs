//! The whole way of a file: tables, cuts, index, sidecar, segments, manifests.

use packager::demux::{SourceTrack, read_movie};
use packager::fmp4::{MediaSegment, SegmentShape, SingleFile, init_segment, segment_header_len};
use packager::index::{
    IndexBuilder, MediaIdentity, Sidecar, TrackEvent, TrackIndex, segment_samples,
};
use packager::plan::{CutList, SyncTimes, plan_cuts};
use packager::text::SampleTextReader;
use packager::track::{MediaParams, TextCodec, TrackKind};
use packager::{MediaTime, PackageError, Timescale};

use crate::manifests::check_manifests;
use crate::ts::check_segment;

/// Segments of a track that are written out; the others are checked by their tables.
const SEGMENTS_WRITTEN_MAX: usize = 32;
/// Media bytes of all segments of a track that are written out.
const BYTES_WRITTEN_MAX: u64 = 8 << 20;

/// Packages a file as ingest and the origin do.
pub fn pipeline(data: &[u8]) {
    let Ok(movie) = read_movie(data) else {
        return;
    };
    let tracks: Vec<SourceTrack> =
        movie.tracks.into_iter().filter(|track| track.encryption.is_none()).collect();
    let end_of = |track: &SourceTrack| track.info.timescale.ticks(track.table.end_time());
    let media = tracks.iter().filter(|track| track.info.kind() != TrackKind::Text);
    let Some(end) = media.map(end_of).max() else {
        return;
    };
    let video = tracks.iter().filter(|track| track.info.kind() == TrackKind::Video);
    let sync: Vec<_> =
        video.map(|track| SyncTimes::of("v".to_owned(), &track.info, &track.table)).collect();
    let target = Timescale::MILLIS.ticks(2_000);
    let Ok(cuts) = plan_cuts(&sync, target, end) else {
        return;
    };
    assert_eq!(cuts.cuts.first(), Some(&0));
    assert!(cuts.cuts.windows(2).all(|pair| pair[0] < pair[1]), "cuts increase");
    let indexed =
        tracks.into_iter().map(|track| index_track(track, &cuts, movie.time_origin, data));
    let indexes: Vec<TrackIndex> = indexed.filter_map(Result::ok).collect();
    let names: Vec<String> = (1..=indexes.len()).map(|number| format!("x{number}")).collect();
    let named: Vec<_> = indexes.iter().zip(names.iter().map(String::as_str)).collect();
    check_manifests(&named);
}

/// Reads all samples of a track; the error is why the track is refused.
fn index_track(
    track: SourceTrack,
    cuts: &CutList,
    origin: Option<MediaTime>,
    data: &[u8],
) -> Result<TrackIndex, PackageError> {
    if let MediaParams::Text(text) = &track.info.media
        && text.codec == TextCodec::WebVtt
    {
        let entry = track.info.sample_entries.first().map_or(&[][..], Vec::as_slice);
        SampleTextReader::new(track.info.source_track_id, track.info.timescale, entry)?;
    }
    let events = track.events.iter().filter_map(|event| {
        let (place, scale) = (event.first_sample as usize, track.info.timescale);
        TrackEvent::rebased(event.kind, &event.bytes, place, &track.table, scale, origin)
    });
    let events = events.collect();
    let table = track.table.clone();
    let mut builder = IndexBuilder::new("x1", track.info, track.table, events, cuts)?;
    while let Some(sample) = builder.next_sample() {
        let start = sample.offset_bytes as usize;
        let bytes = &data[start..start + sample.size_bytes as usize];
        builder.handle_sample(bytes)?;
    }
    let media = MediaIdentity { len_bytes: data.len() as u64, digest: [7; 16] };
    let (index, sidecar) = builder.finish(media);
    let read = Sidecar::parse(&sidecar).expect("what was written can be read");
    assert_eq!(read.media, media);
    check_index(&read.index, &sidecar, data);

    let mut all = Vec::with_capacity(table.len());
    for entry in &read.index.segments {
        let at = entry.block_offset_bytes as usize;
        let block = &sidecar[at..at + entry.block_len_bytes as usize];
        let segment = segment_samples(entry, block).expect("what was written can be read");
        all.extend(segment.samples);
    }
    assert_eq!(all, table.samples, "the segments tile the track");
    assert_eq!(
        index.segments.iter().map(|entry| entry.sample_count).collect::<Vec<_>>(),
        read.index.segments.iter().map(|entry| entry.sample_count).collect::<Vec<_>>(),
    );
    Ok(read.index)
}

/// Announced sizes are those of what is written.
fn check_index(index: &TrackIndex, sidecar: &[u8], data: &[u8]) {
    let init = init_segment(&index.info, &index.facts, Some(index.duration()));
    assert_eq!(init.get(4..8), Some(&b"ftyp"[..]));
    let file = SingleFile::new(index).ok();
    let mut budget = BYTES_WRITTEN_MAX;
    for (at, entry) in index.segments.iter().enumerate().take(SEGMENTS_WRITTEN_MAX) {
        let place = entry.block_offset_bytes as usize;
        let block = &sidecar[place..place + entry.block_len_bytes as usize];
        let segment = segment_samples(entry, block).expect("what was written can be read");
        let fragment = MediaSegment {
            number: at as u32 + 1,
            decode_time: entry.decode_time,
            samples: &segment.samples,
            events: &segment.events,
            index: false,
            timescale: index.timescale(),
        };
        let shape = SegmentShape::from(entry);
        assert_eq!(fragment.shape(), shape);
        let mut header = Vec::new();
        fragment.write_header(&mut header);
        assert_eq!(header.len() as u64, segment_header_len(&shape));
        if let Some(range) = file.as_ref().and_then(|file| file.segment_range(at)) {
            assert_eq!(range.end - range.start, header.len() as u64 + entry.media_bytes);
        }
        let Some(left) = budget.checked_sub(entry.media_bytes) else {
            return;
        };
        budget = left;
        if index.facts.fits_ts {
            check_segment(&index.info, &segment.samples, index.facts.reorder_ticks, data);
        }
    }
}
