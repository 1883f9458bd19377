//! Seeds for the targets that take parts of files, cut out of whole files.

use packager::Timescale;
use packager::demux::read_movie;
use packager::index::{IndexBuilder, MediaIdentity};
use packager::plan::{SyncTimes, plan_cuts};
use packager::track::{SampleTable, TrackInfo, TrackKind};

/// Samples of a track that go into a seed, and bytes of the largest of them.
const SAMPLES_MAX: usize = 24;
const SAMPLE_BYTES_MAX: usize = 4_096;

/// Seeds out of one file, each with the name of its target. None when the file can't be read.
pub fn of_file(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    let Ok(movie) = read_movie(bytes) else {
        return seeds;
    };
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
        let sidecar = sidecar_of(&track.info, &track.table, bytes);
        seeds.extend(sidecar.map(|sidecar| ("sidecar", sidecar)));
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

fn sidecar_of(info: &TrackInfo, table: &SampleTable, bytes: &[u8]) -> Option<Vec<u8>> {
    let sync = match info.kind() {
        TrackKind::Video => vec![SyncTimes::of(String::new(), info, table)],
        _ => Vec::new(),
    };
    let end = info.timescale.ticks(table.end_time());
    let cuts = plan_cuts(&sync, Timescale::MILLIS.ticks(2_000), end).ok()?;
    let mut builder =
        IndexBuilder::new("x1", info.clone(), table.clone(), Vec::new(), &cuts).ok()?;
    while let Some(sample) = builder.next_sample() {
        let bytes = payload(sample, bytes);
        builder.handle_sample(bytes).ok()?;
    }
    Some(builder.finish(MediaIdentity::default()).1)
}
