//! Every file of the folder STREAMVERSE_MEDIA is read as ffprobe and mp4-atom read it, or refused
//! for a stated reason. Without the folder there is nothing to hold: `demux_ffmpeg` makes its own.
#![allow(clippy::disallowed_methods, reason = "tests read files")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mp4_atom::{Any, Decode, Moof, Moov, Stbl, StszSamples, Trak};
use packager::demux::{Movie, SourceTrack, check_table, read_movie};
use packager::track::TrackKind;

mod demux_ffprobe;
use demux_ffprobe::{Comparison, compare, probe};

const FOLDERS: [&str; 6] = ["good", "frag", "derived", "text", "enc", "bad"];

/// Files that are refused, with what the error says.
const REFUSED: [(&str, &str); 3] = [
    ("derived/trunc_60pct.mp4", "track 1, sample 167: 71 bytes at byte 195402 lie outside"),
    ("bad/ax_sample_missing_stsd.mp4", "track 2 has no `stsd` box"),
    ("enc/ff_2xSencNoMdat.mp4", "the file has no `moov` box"),
];

/// Files whose tracks ffprobe shows at times that are not one constant away from ours, with that
/// of the video minus that of the sound, in milliseconds. ffprobe moves an edit that starts within
/// a frame to the next one, and adds negative composition offsets of fragments once too often.
const APART: [(&str, i64); 3] = [
    ("derived/cut_nonkey_editlist.mp4", 20),
    ("derived/frag_negcts.mp4", -80),
    ("derived/smooth.ismv", -80),
];

/// Video that starts with pictures that are not shown.
const PREROLL: [(&str, usize); 2] =
    [("derived/cut_nonkey_editlist.mp4", 32), ("good/ax_iibbibb_editlist_videoonly.mp4", 1)];

/// Samples of PCM that ffprobe joins into packets.
const JOINED: &str = "good/ax_sample_fixed_rechunk_no_elst.mp4";

fn files() -> Vec<(String, PathBuf)> {
    let Some(root) = std::env::var_os("STREAMVERSE_MEDIA").map(PathBuf::from) else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for folder in FOLDERS {
        for entry in std::fs::read_dir(root.join(folder)).expect("the folder is there") {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().expect("files have names").to_string_lossy();
            files.push((format!("{folder}/{name}"), path));
        }
    }
    files.sort();
    files
}

fn find<T: Copy>(list: &[(&str, T)], name: &str) -> Option<T> {
    list.iter().find(|(known, _)| *known == name).map(|&(_, value)| value)
}

#[test]
fn every_file_is_read_or_refused() {
    for (name, path) in files() {
        let bytes = std::fs::read(&path).unwrap();
        match (read_movie(&bytes), find(&REFUSED, &name)) {
            (Ok(movie), None) => check_movie(&name, &path, &movie, bytes.len() as u64),
            (Err(error), Some(expected)) => {
                assert!(error.to_string().contains(expected), "{name}: {error}");
            }
            (Ok(_), Some(expected)) => panic!("{name} was read without saying {expected}"),
            (Err(error), None) => panic!("{name}: {error}"),
        }
    }
}

fn check_movie(name: &str, path: &Path, movie: &Movie, source_len: u64) {
    let [raw, edited] = [false, true].map(|with_edit_list| probe(path, with_edit_list));
    let is_encrypted = movie.tracks.iter().any(|track| track.encryption.is_some());
    assert!(is_encrypted || !name.starts_with("enc/"), "{name} is encrypted");
    for skipped in &movie.skipped {
        let is_media = matches!(&skipped.handler.0, b"vide" | b"soun");
        assert!(!is_media || skipped.reason == "it has no samples", "{name}: {skipped:?}");
    }
    let mut shifts = BTreeMap::new();
    for track in &movie.tracks {
        check_table(&track.table, source_len).unwrap();
        let id = track.info.source_track_id;
        let (Some(raw), Some(edited)) = (raw.get(&id), edited.get(&id)) else {
            // ffprobe gives up on some encrypted files; mp4-atom still reads them.
            assert!(is_encrypted, "{name}: ffprobe knows no track {id}");
            continue;
        };
        // Text samples without text are no packets for ffprobe.
        if name == JOINED || track.info.kind() == TrackKind::Text {
            continue;
        }
        let found = compare(track, raw, edited);
        check_comparison(name, track, &found);
        let dropped = found.dropped_in_front + found.dropped_inside + found.dropped_at_end;
        assert_eq!(track.table.len() + dropped, raw.packets.len(), "{name}: count of {id}");
        shifts.insert(track.info.kind(), found.shift_seconds);
    }
    if let [video, sound] = shifts.values().collect::<Vec<_>>()[..] {
        let apart_ms = ((video - sound) * 1000.0).round() as i64;
        assert_eq!(apart_ms, find(&APART, name).unwrap_or(0), "{name}: video minus sound");
    }
}

/// Pictures are all there. Of sound, what lies before the edit may be gone, with at most one
/// frame of which ffprobe keeps the lesser half, or the priming that it shows in fragments.
fn check_comparison(name: &str, track: &SourceTrack, found: &Comparison) {
    let is_sound = track.info.kind() == TrackKind::Audio;
    let expected = Comparison {
        dropped_in_front: if is_sound { found.dropped_in_front } else { 0 },
        lost: if is_sound { found.lost.min(1) } else { 0 },
        retimed: match find(&PREROLL, name) {
            Some(count) if !is_sound => count,
            _ if is_sound => found.retimed.min(1),
            _ => 0,
        },
        shift_seconds: found.shift_seconds,
        ..Comparison::default()
    };
    assert_eq!(*found, expected, "{name}: {}", track.info.codecs());
}

/// A sample as mp4-atom's boxes tell it.
#[derive(Clone, Copy, Debug, Default)]
struct AtomSample {
    offset: u64,
    size: u32,
    presentation: i64,
    is_sync: bool,
}

#[test]
fn tables_agree_with_mp4_atom() {
    let mut compared = 0;
    let files = files();
    for (name, path) in &files {
        let bytes = std::fs::read(path).unwrap();
        let Ok(movie) = read_movie(&bytes) else { continue };
        let Some((moov, moofs)) = atoms(&bytes) else { continue };
        for track in &movie.tracks {
            let id = track.info.source_track_id;
            let trak = moov.trak.iter().find(|trak| trak.tkhd.track_id == id).unwrap();
            check_description(name, track, trak);
            let mut samples = join(&trak.mdia.minf.stbl);
            if moofs.is_empty() {
                check_samples(name, track, &samples);
            } else {
                samples.extend(fragments(&moov, &moofs, id));
            }
            let sizes = samples.iter().map(|sample| sample.size);
            let mut sizes = sizes.collect::<Vec<_>>().into_iter();
            let is_there = |size| sizes.any(|known| known == size);
            let mut ours = track.table.samples.iter().map(|sample| sample.size_bytes);
            assert!(ours.all(is_there), "{name}: sizes of track {id}, in order");
            compared += 1;
        }
    }
    assert!(files.is_empty() || compared > 60, "only {compared} tracks were compared");
}

/// `moov` and all `moof` boxes; `None` when mp4-atom can't read one of them.
fn atoms(bytes: &[u8]) -> Option<(Moov, Vec<(u64, Moof)>)> {
    let mut rest = bytes;
    let (mut moov, mut moofs) = (None, Vec::new());
    while !rest.is_empty() {
        let start = (bytes.len() - rest.len()) as u64;
        let size = u32::from_be_bytes(rest.get(..4)?.try_into().unwrap());
        let size = match size {
            0 => rest.len(),
            1 => u64::from_be_bytes(rest.get(8..16)?.try_into().unwrap()) as usize,
            size => size as usize,
        };
        let mut body = rest.get(..size)?;
        if matches!(rest.get(4..8)?, b"moov" | b"moof") {
            match Any::decode(&mut body).ok()? {
                Any::Moov(found) => moov = Some(found),
                Any::Moof(found) => moofs.push((start, found)),
                _ => return None,
            }
        }
        rest = &rest[size..];
    }
    Some((moov?, moofs))
}

fn check_description(name: &str, track: &SourceTrack, trak: &Trak) {
    let ticks = track.info.timescale.get();
    assert_eq!(ticks % trak.mdia.mdhd.timescale, 0, "{name}: timescale");
    assert_eq!(track.is_enabled, trak.tkhd.enabled, "{name}: enabled");
    let theirs = trak.mdia.hdlr.name.trim_matches(char::from(0));
    // QuickTime names come with their length in front from mp4-atom.
    assert!(theirs.ends_with(&track.info.name), "{name}: {theirs:?} {:?}", track.info.name);
}

/// The tables of a progressive track, joined the plain way.
fn join(stbl: &Stbl) -> Vec<AtomSample> {
    let sizes = match &stbl.stsz.samples {
        StszSamples::Identical { count, size } => vec![*size; *count as usize],
        StszSamples::Different { sizes } => sizes.clone(),
    };
    let deltas = stbl.stts.entries.iter();
    let mut deltas = deltas.flat_map(|e| (0..e.sample_count).map(|_| i64::from(e.sample_delta)));
    let offsets = stbl.ctts.iter().flat_map(|ctts| &ctts.entries);
    let mut offsets = offsets.flat_map(|e| (0..e.sample_count).map(|_| e.sample_offset));
    let chunks = match (&stbl.stco, &stbl.co64) {
        (Some(stco), _) => stco.entries.iter().map(|&offset| offset.into()).collect(),
        (None, Some(co64)) => co64.entries.clone(),
        (None, None) => Vec::new(),
    };
    let mut samples = Vec::new();
    let mut decode = 0;
    for (number, &chunk) in (1..).zip(&chunks) {
        let run = stbl.stsc.entries.iter().rfind(|entry| entry.first_chunk <= number).unwrap();
        let mut offset = chunk;
        for _ in 0..run.samples_per_chunk {
            let index = samples.len();
            let Some(&size) = sizes.get(index) else { break };
            samples.push(AtomSample {
                offset,
                size,
                // Some writers put negative offsets into version 0.
                presentation: decode + i64::from(offsets.next().unwrap_or(0) as i32),
                is_sync: stbl.stss.as_ref().is_none_or(|s| s.entries.contains(&(index as u32 + 1))),
            });
            offset += u64::from(size);
            decode += deltas.next().unwrap();
        }
    }
    samples
}

/// Samples of the fragments of a track, sizes alone.
fn fragments(moov: &Moov, moofs: &[(u64, Moof)], id: u32) -> Vec<AtomSample> {
    let trex = moov.mvex.iter().flat_map(|mvex| &mvex.trex).find(|trex| trex.track_id == id);
    let trafs = moofs.iter().flat_map(|(_, moof)| &moof.traf).filter(|t| t.tfhd.track_id == id);
    let mut samples = Vec::new();
    for traf in trafs {
        let default = traf.tfhd.default_sample_size;
        let default = default.or_else(|| trex.map(|trex| trex.default_sample_size)).unwrap_or(0);
        for entry in traf.trun.iter().flat_map(|trun| trun.samples.iter()) {
            let size = entry.size.unwrap_or(default);
            samples.push(AtomSample { size, ..AtomSample::default() });
        }
    }
    samples
}

/// Our samples are theirs in place, size and sync, shown later by one constant; those that start
/// the track within its edit have their own times.
fn check_samples(name: &str, track: &SourceTrack, theirs: &[AtomSample]) {
    let theirs = theirs.iter().map(|sample| (sample.offset, sample)).collect::<BTreeMap<_, _>>();
    // Pictures that are not shown take a tick each in front of the first that is.
    let preroll = match track.info.kind() {
        TrackKind::Video => find(&PREROLL, name).unwrap_or(0),
        _ => 0,
    };
    let settled = track.table.start_time() + preroll as u64;
    let mut shift = None;
    for ours in &track.table.samples {
        let sample = theirs[&ours.offset_bytes];
        assert_eq!(sample.size, ours.size_bytes, "{name}");
        assert_eq!(sample.is_sync, ours.is_sync, "{name}");
        if ours.presentation_time() > settled {
            let found = ours.presentation_time() as i64 - sample.presentation;
            assert_eq!(found, *shift.get_or_insert(found), "{name}");
        }
    }
}
