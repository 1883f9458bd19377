//! Seeds for the targets that take parts of files, cut out of whole files.

use std::sync::Arc;

use packager::Timescale;
use packager::demux::{SourceTrack, read_movie};
use packager::index::{IndexBuilder, MediaIdentity, Sidecar, StoredBlock, TrackPlaces};
use packager::plan::{SyncTimes, plan_cuts};
use packager::track::{SampleTable, TrackInfo, TrackKind};

use crate::index::block_seed;

/// Samples of a track that go into a seed, and bytes of the largest of them.
const SAMPLES_MAX: usize = 24;
const SAMPLE_BYTES_MAX: usize = 4_096;

/// Seeds out of one file, each with the name of its target. None when the file can't be read.
pub fn of_file(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    let Ok(movie) = read_movie(bytes) else {
        return seeds;
    };
    seeds.extend(index_seeds(&movie.tracks, bytes).unwrap_or_default());
    for track in movie.tracks {
        let choice = match track.info.kind() {
            TrackKind::Video => 0,
            TrackKind::Audio => 1,
            TrackKind::Text => 2,
        };
        let entry = track.info.sample_entries.first().cloned().unwrap_or_default();
        seeds.push(("describe", [&[choice], &entry[..]].concat()));
        seeds.push(("scanner", scanner_seed(choice, &entry, &track.table, bytes)));
        seeds.push(("ts", ts_seed(choice, &track.info, &entry, &track.table, bytes)));
        if choice == 2 {
            seeds.push(("text_samples", text_seed(&track.info, &entry, &track.table, bytes)));
        }
    }
    seeds
}

fn put_short(seed: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = &bytes[..bytes.len().min(SAMPLE_BYTES_MAX)];
    seed.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
    seed.extend_from_slice(bytes);
}

fn payload<'a>(sample: &packager::track::Sample, bytes: &'a [u8]) -> &'a [u8] {
    let start = sample.offset_bytes as usize;
    bytes.get(start..start + sample.size_bytes as usize).unwrap_or_default()
}

fn scanner_seed(choice: u8, entry: &[u8], table: &SampleTable, bytes: &[u8]) -> Vec<u8> {
    let mut seed = vec![choice];
    put_short(&mut seed, entry);
    for sample in table.samples.iter().take(SAMPLES_MAX) {
        put_short(&mut seed, payload(sample, bytes));
    }
    seed
}

fn ts_seed(
    choice: u8,
    info: &TrackInfo,
    entry: &[u8],
    table: &SampleTable,
    bytes: &[u8],
) -> Vec<u8> {
    let mut seed = vec![choice];
    seed.extend_from_slice(&info.timescale.get().to_be_bytes());
    put_short(&mut seed, entry);
    seed.extend_from_slice(&[0; 4]);
    let samples = table.samples.iter().filter(|s| s.size_bytes as usize <= SAMPLE_BYTES_MAX);
    for sample in samples.take(SAMPLES_MAX) {
        seed.extend_from_slice(&sample.duration_ticks.to_be_bytes());
        seed.extend_from_slice(&(sample.composition_offset_ticks as i16).to_be_bytes());
        seed.push(u8::from(!sample.is_sync));
        put_short(&mut seed, payload(sample, bytes));
    }
    seed
}

fn text_seed(info: &TrackInfo, entry: &[u8], table: &SampleTable, bytes: &[u8]) -> Vec<u8> {
    let mut seed = info.timescale.get().to_be_bytes().to_vec();
    put_short(&mut seed, entry);
    for sample in table.samples.iter().take(SAMPLES_MAX) {
        seed.extend_from_slice(&sample.duration_ticks.to_be_bytes());
        put_short(&mut seed, payload(sample, bytes));
    }
    seed
}

/// The sidecar of each track, and the first block of each with that of its guide. `None` when the
/// file can't be cut.
fn index_seeds(tracks: &[SourceTrack], bytes: &[u8]) -> Option<Vec<(&'static str, Vec<u8>)>> {
    let is_video = |track: &&SourceTrack| track.info.kind() == TrackKind::Video;
    let sync = tracks.iter().filter(is_video);
    let sync: Vec<_> =
        sync.map(|track| SyncTimes::of(String::new(), &track.info, &track.table)).collect();
    let end =
        tracks.iter().map(|track| track.info.timescale.ticks(track.table.end_time())).max()?;
    let cuts = plan_cuts(&sync, Timescale::MILLIS.ticks(2_000), end).ok()?;
    let mut seeds = Vec::new();
    let mut guides: Vec<(Arc<TrackPlaces>, Vec<u8>)> = Vec::new();
    let others = tracks.iter().filter(|track| !is_video(track));
    for track in tracks.iter().filter(is_video).chain(others) {
        let (info, table) = (track.info.clone(), track.table.clone());
        let Ok(mut builder) = IndexBuilder::new("x1", info, table, Vec::new(), &cuts) else {
            continue;
        };
        let places = is_video(&track).then(|| Arc::new(builder.places()));
        if places.is_none() {
            let guides: Vec<_> = guides.iter().map(|(places, _)| places.clone()).collect();
            builder = builder.beside(&guides);
        }
        let Some(sidecar) = read_samples(builder, bytes) else {
            continue;
        };
        seeds.extend(first_block_seed(&sidecar, &guides).map(|seed| ("block", seed)));
        guides.extend(places.map(|places| (places, sidecar.clone())));
        seeds.push(("sidecar", sidecar));
    }
    Some(seeds)
}

fn read_samples(mut builder: IndexBuilder, bytes: &[u8]) -> Option<Vec<u8>> {
    while let Some(sample) = builder.next_sample() {
        builder.handle_sample(payload(sample, bytes)).ok()?;
    }
    Some(builder.finish(MediaIdentity::default()).1)
}

fn first_block_seed(bytes: &[u8], guides: &[(Arc<TrackPlaces>, Vec<u8>)]) -> Option<Vec<u8>> {
    let sidecar = Sidecar::parse(bytes).ok()?;
    let guides = guides.iter().filter_map(|(_, bytes)| Some((Sidecar::parse(bytes).ok()?, bytes)));
    let mut guides =
        guides.filter(|(guide, _)| sidecar.guide == Some(guide.index.info.source_track_id));
    let guide = guides.next();
    let guide = guide.as_ref().and_then(|(guide, bytes)| stored(guide, bytes));
    Some(block_seed(stored(&sidecar, bytes)?, guide))
}

fn stored<'a>(sidecar: &'a Sidecar, bytes: &'a [u8]) -> Option<StoredBlock<'a>> {
    let entry = sidecar.index.segments.first()?;
    let start = entry.block_offset_bytes as usize;
    let bytes = bytes.get(start..start + entry.block_len_bytes as usize)?;
    Some(StoredBlock { entry, bytes })
}
