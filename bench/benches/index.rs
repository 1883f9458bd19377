//! Bytes that the index of a file takes, and time to decode it segment by segment, guides included.
//!
//! `cargo bench -p bench --bench index -- FILE.mp4…` prints a row a track: bytes a sample, and
//! microseconds to decode one segment's block, the median and the least of the rounds.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use packager::Timescale;
use packager::demux::{SourceTrack, read_movie};
use packager::index::{
    IndexBuilder, MediaIdentity, SegmentEntry, Sidecar, StoredBlock, TrackPlaces, segment_samples,
};
use packager::plan::{CutList, SyncTimes, plan_cuts};
use packager::track::TrackKind;

const ROUNDS: usize = 101;
const SEGMENT_MS: u64 = 4_000;

fn main() {
    let files: Vec<String> =
        std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    if files.is_empty() {
        println!("index: no file given, `cargo bench -p bench --bench index -- FILE.mp4`");
        return;
    }
    println!(
        "{:<28} {:>8} {:>9} {:>10} {:>10}",
        "track", "samples", "B/sample", "median µs", "least µs"
    );
    for file in files {
        let data = std::fs::read(&file).expect("the file can be read");
        let movie = read_movie(&data[..]).expect("the file is a movie");
        let cuts = cuts(&movie.tracks);
        let name = file.rsplit('/').next().unwrap_or_default();
        let builders: Vec<_> =
            movie.tracks.into_iter().map(|track| builder(track, &cuts)).collect();
        let video = builders.iter().filter(|(kind, _)| *kind == TrackKind::Video);
        let places: Vec<_> = video.map(|(_, builder)| Arc::new(builder.places())).collect();
        let sidecars: Vec<_> = builders
            .into_iter()
            .map(|(kind, it)| (kind, sidecar(kind, it, &places, &data)))
            .collect();
        for (kind, bytes) in &sidecars {
            measure(&format!("{name} {kind:?}"), bytes, &sidecars);
        }
    }
}

fn cuts(tracks: &[SourceTrack]) -> CutList {
    let video = tracks.iter().filter(|track| track.info.kind() == TrackKind::Video);
    let sync: Vec<_> =
        video.map(|track| SyncTimes::of("v".to_owned(), &track.info, &track.table)).collect();
    let ends = tracks.iter().map(|track| track.info.timescale.ticks(track.table.end_time()));
    let end = ends.max().expect("a movie has tracks");
    plan_cuts(&sync, Timescale::MILLIS.ticks(SEGMENT_MS), end).expect("the movie can be cut")
}

fn builder(track: SourceTrack, cuts: &CutList) -> (TrackKind, IndexBuilder) {
    let kind = track.info.kind();
    let builder = IndexBuilder::new("x1", track.info, track.table, Vec::new(), cuts);
    (kind, builder.expect("the track can be cut"))
}

fn sidecar(
    kind: TrackKind,
    mut builder: IndexBuilder,
    places: &[Arc<TrackPlaces>],
    data: &[u8],
) -> Vec<u8> {
    if kind != TrackKind::Video {
        builder = builder.beside(places);
    }
    while let Some(sample) = builder.next_sample() {
        let start = sample.offset_bytes as usize;
        let bytes = &data[start..start + sample.size_bytes as usize];
        builder.handle_sample(bytes).expect("the sample is valid");
    }
    builder.finish(MediaIdentity { len_bytes: data.len() as u64, digest: [0; 16] }).1
}

fn block<'a>(entry: &'a SegmentEntry, bytes: &'a [u8]) -> StoredBlock<'a> {
    let start = entry.block_offset_bytes as usize;
    StoredBlock { entry, bytes: &bytes[start..start + entry.block_len_bytes as usize] }
}

fn measure(name: &str, bytes: &[u8], all: &[(TrackKind, Vec<u8>)]) {
    let sidecar = Sidecar::parse(bytes).expect("what was written can be read");
    let parsed = all.iter().map(|(_, bytes)| (Sidecar::parse(bytes), bytes));
    let mut parsed = parsed.filter_map(|(sidecar, bytes)| Some((sidecar.ok()?, bytes)));
    let guide = sidecar
        .guide
        .and_then(|guide| parsed.find(|(sidecar, _)| sidecar.index.info.source_track_id == guide));
    let segments = &sidecar.index.segments;
    let mut micros = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for (at, entry) in segments.iter().enumerate() {
            let guide =
                guide.as_ref().map(|(guide, bytes)| block(&guide.index.segments[at], bytes));
            let samples = segment_samples(block(entry, bytes), guide);
            black_box(samples.expect("what was written can be read"));
        }
        micros.push(start.elapsed().as_secs_f64() * 1e6 / segments.len().max(1) as f64);
    }
    micros.sort_by(f64::total_cmp);
    let samples = sidecar.index.facts.sample_count;
    let per_sample = bytes.len() as f64 / f64::from(samples);
    let (median, least) = (micros[ROUNDS / 2], micros[0]);
    println!("{name:<28} {samples:>8} {per_sample:>9.2} {median:>10.2} {least:>10.2}");
}
