//! Reads the sample tables of progressive files through mp4-atom, independently of the crate.

use std::path::Path;

use mp4_atom::{Decode as _, Moov, Stbl, StszSamples, Trak};
use packager::track::{Sample, TrackInfo};
use packager::{FourCc, Timescale};

use crate::boxes::{boxes, child, u32_at};

/// One track of a source file.
pub(crate) struct SourceTrack {
    pub(crate) info: TrackInfo,
    pub(crate) samples: Vec<Sample>,
    /// Earliest presentation time in the source, edit lists ignored: it becomes 0.
    pub(crate) shift_ticks: i64,
}

pub(crate) struct Source {
    pub(crate) bytes: Vec<u8>,
    pub(crate) tracks: Vec<SourceTrack>,
}

impl Source {
    /// `None` when mp4-atom can't read the file.
    pub(crate) fn try_read(path: &Path) -> Option<Self> {
        let bytes = std::fs::read(path).unwrap();
        let top = boxes(&bytes);
        let moov = top.iter().find(|found| &found.kind == b"moov")?;
        let parsed = Moov::decode(&mut &*moov.whole).ok()?;
        let raw_tracks = boxes(moov.body).into_iter().filter(|found| &found.kind == b"trak");
        let tracks = parsed
            .trak
            .iter()
            .zip(raw_tracks)
            .filter_map(|(trak, raw)| read_track(trak, raw.body))
            .collect();
        Some(Self { tracks, bytes })
    }

    #[track_caller]
    pub(crate) fn read(path: &Path) -> Self {
        Self::try_read(path).unwrap_or_else(|| panic!("{} is unreadable", path.display()))
    }
}

/// `None` for tracks that are neither video nor audio, or have no samples.
fn read_track(trak: &Trak, raw: &[u8]) -> Option<SourceTrack> {
    let stsd = child(raw, &[b"mdia", b"minf", b"stbl", b"stsd"]);
    let sample_entries: Vec<Vec<u8>> =
        boxes(&stsd[8..]).iter().map(|entry| entry.whole.to_vec()).collect();
    let handler: [u8; 4] = child(raw, &[b"mdia", b"hdlr"])[8..12].try_into().unwrap();
    let media = match &handler {
        b"vide" | b"soun" => {
            packager::codec::describe(1, FourCc(handler), &sample_entries[0], 0).ok()?
        }
        _ => return None,
    };
    let (samples, shift_ticks) = read_samples(&trak.mdia.minf.stbl)?;
    let tkhd = child(raw, &[b"tkhd"]);
    let matrix_at = if tkhd[0] == 1 { 52 } else { 40 };
    let display_matrix = std::array::from_fn(|i| u32_at(tkhd, matrix_at + 4 * i) as i32);
    let info = TrackInfo {
        source_track_id: trak.tkhd.track_id,
        timescale: Timescale::new(trak.mdia.mdhd.timescale)?,
        language: trak.mdia.mdhd.language.clone(),
        name: trak.mdia.hdlr.name.clone(),
        display_matrix: Some(display_matrix),
        sample_entries,
        media,
    };
    Some(SourceTrack { info, samples, shift_ticks })
}

fn read_samples(stbl: &Stbl) -> Option<(Vec<Sample>, i64)> {
    let mut samples = match &stbl.stsz.samples {
        StszSamples::Identical { count, size } => vec![*size; *count as usize],
        StszSamples::Different { sizes } => sizes.clone(),
    }
    .into_iter()
    .map(|size_bytes| Sample { size_bytes, ..Sample::default() })
    .collect::<Vec<_>>();
    place_in_chunks(stbl, &mut samples)?;

    let mut decode_time = 0;
    let durations = stbl.stts.entries.iter();
    let mut durations =
        durations.flat_map(|row| std::iter::repeat_n(row.sample_delta, row.sample_count as usize));
    let offsets = stbl.ctts.iter().flat_map(|ctts| &ctts.entries);
    let mut offsets =
        offsets.flat_map(|row| std::iter::repeat_n(row.sample_offset, row.sample_count as usize));
    let mut earliest = i64::MAX;
    let mut composition = Vec::new();
    for (index, sample) in samples.iter_mut().enumerate() {
        sample.decode_time = decode_time;
        sample.duration_ticks = durations.next()?;
        decode_time += u64::from(sample.duration_ticks);
        let offset = offsets.next().unwrap_or(0);
        composition.push(offset);
        earliest = earliest.min(sample.decode_time as i64 + offset);
        sample.is_sync =
            stbl.stss.as_ref().is_none_or(|stss| stss.entries.contains(&(index as u32 + 1)));
    }
    for (sample, offset) in samples.iter_mut().zip(composition) {
        sample.composition_offset_ticks = i32::try_from(offset - earliest).ok()?;
    }
    (!samples.is_empty()).then_some((samples, earliest))
}

fn place_in_chunks(stbl: &Stbl, samples: &mut [Sample]) -> Option<()> {
    let chunks: Vec<u64> = match (&stbl.stco, &stbl.co64) {
        (Some(stco), _) => stco.entries.iter().map(|offset| u64::from(*offset)).collect(),
        (_, Some(co64)) => co64.entries.clone(),
        _ => return None,
    };
    let runs = &stbl.stsc.entries;
    let mut samples = samples.iter_mut();
    for (index, mut offset_bytes) in chunks.into_iter().enumerate() {
        let run = runs.iter().rev().find(|run| run.first_chunk as usize <= index + 1)?;
        for sample in samples.by_ref().take(run.samples_per_chunk as usize) {
            sample.offset_bytes = offset_bytes;
            sample.description_index = u16::try_from(run.sample_description_index - 1).ok()?;
            offset_bytes += u64::from(sample.size_bytes);
        }
    }
    Some(())
}
