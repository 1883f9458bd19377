//! The whole way of a file: tables, cuts, index, sidecar, segments, manifests.

use std::sync::Arc;

use packager::demux::{SourceTrack, read_movie};
use packager::fmp4::{MediaSegment, SegmentShape, SingleFile, init_segment, segment_header_len};
use packager::index::{
    IndexBuilder, MediaIdentity, SegmentEntry, SegmentSamples, Sidecar, StoredBlock, TrackEvent,
    TrackIndex, TrackPlaces, segment_samples,
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
    let mut indexed = Indexed { cuts: &cuts, origin: movie.time_origin, data, guides: Vec::new() };
    // Pictures first: sound counts along them.
    let (video, others): (Vec<_>, Vec<_>) =
        tracks.into_iter().partition(|track| track.info.kind() == TrackKind::Video);
    let tracks = video.into_iter().chain(others);
    let indexes: Vec<TrackIndex> =
        tracks.filter_map(|track| index_track(track, &mut indexed).ok()).collect();
    let names: Vec<String> = (1..=indexes.len()).map(|number| format!("x{number}")).collect();
    let named: Vec<_> = indexes.iter().zip(names.iter().map(String::as_str)).collect();
    check_manifests(&named);
}

/// A file while its tracks are indexed.
struct Indexed<'a> {
    cuts: &'a CutList,
    origin: Option<MediaTime>,
    data: &'a [u8],
    /// The tracks of pictures so far, and their sidecars.
    guides: Vec<(Arc<TrackPlaces>, Sidecar, Vec<u8>)>,
}

impl Indexed<'_> {
    /// The block of the segment at a position of the track that a sidecar names as its guide.
    fn guide_block(&self, sidecar: &Sidecar, position: usize) -> Option<StoredBlock<'_>> {
        let id = sidecar.guide?;
        let is_guide = |guide: &&(_, Sidecar, Vec<u8>)| guide.1.index.info.source_track_id == id;
        let (_, guide, bytes) = self.guides.iter().find(is_guide).expect("the guide is there");
        guide.index.segments.get(position).map(|entry| block(entry, bytes))
    }
}

fn block<'a>(entry: &'a SegmentEntry, sidecar: &'a [u8]) -> StoredBlock<'a> {
    let start = entry.block_offset_bytes as usize;
    StoredBlock { entry, bytes: &sidecar[start..start + entry.block_len_bytes as usize] }
}

/// Reads all samples of a track; the error is why the track is refused.
fn index_track(track: SourceTrack, indexed: &mut Indexed<'_>) -> Result<TrackIndex, PackageError> {
    let (cuts, origin, data) = (indexed.cuts, indexed.origin, indexed.data);
    let is_video = track.info.kind() == TrackKind::Video;
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
    let places = is_video.then(|| Arc::new(builder.places()));
    if !is_video {
        let guides: Vec<_> = indexed.guides.iter().map(|(places, ..)| places.clone()).collect();
        builder = builder.beside(&guides);
    }
    while let Some(sample) = builder.next_sample() {
        let start = sample.offset_bytes as usize;
        let bytes = &data[start..start + sample.size_bytes as usize];
        builder.handle_sample(bytes)?;
    }
    let media = MediaIdentity { len_bytes: data.len() as u64, digest: [7; 16] };
    let (index, sidecar) = builder.finish(media);
    let read = Sidecar::parse(&sidecar).expect("what was written can be read");
    assert_eq!(read.media, media);
    let segments = read_segments(&read, &sidecar, indexed);
    check_index(&read.index, &segments, data);

    let samples = segments.iter().flat_map(|segment| &segment.samples);
    let all: Vec<_> = samples.copied().collect();
    assert_eq!(all, table.samples, "the segments tile the track");
    assert_eq!(
        index.segments.iter().map(|entry| entry.sample_count).collect::<Vec<_>>(),
        read.index.segments.iter().map(|entry| entry.sample_count).collect::<Vec<_>>(),
    );
    let index = read.index.clone();
    indexed.guides.extend(places.map(|places| (places, read, sidecar)));
    Ok(index)
}

fn read_segments(read: &Sidecar, sidecar: &[u8], indexed: &Indexed<'_>) -> Vec<SegmentSamples> {
    let segments = read.index.segments.iter().enumerate();
    let samples = segments.map(|(position, entry)| {
        let empty = SegmentEntry::default();
        let nothing = StoredBlock { entry: &empty, bytes: &[] };
        let guide = indexed.guide_block(read, position).unwrap_or(nothing);
        let guide = read.guide.map(|_| guide);
        segment_samples(block(entry, sidecar), guide).expect("what was written can be read")
    });
    samples.collect()
}

/// Announced sizes are those of what is written.
fn check_index(index: &TrackIndex, segments: &[SegmentSamples], data: &[u8]) {
    let init = init_segment(&index.info, &index.facts, Some(index.duration()));
    assert_eq!(init.get(4..8), Some(&b"ftyp"[..]));
    let file = SingleFile::new(index).ok();
    let mut budget = BYTES_WRITTEN_MAX;
    let rows = index.segments.iter().zip(segments).enumerate();
    for (at, (entry, segment)) in rows.take(SEGMENTS_WRITTEN_MAX) {
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
