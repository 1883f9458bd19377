//! Files that are small and ask for much: each is taken within bounds or refused with its cause.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use origin::ingest::{probe, target_duration};

/// Memory that this process may ever take, and time that one file may, without optimisation.
const MEMORY_BYTES_MAX: u64 = 2 << 30;
const TIME_MAX: Duration = Duration::from_secs(120);

fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes(), &kind[..], body].concat()
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

/// A full box of version 0 without flags.
fn table(kind: &[u8; 4], values: &[u32]) -> Vec<u8> {
    boxed(kind, &[vec![0; 4], words(values)].concat())
}

/// A film of one audio track, whose tables are given, in front of `media_bytes` of media.
fn film(timescale: u32, tables: &[Vec<u8>], media_bytes: usize) -> Vec<u8> {
    let mut entry = vec![0, 0, 0, 0, 0, 0, 0, 1];
    entry.extend_from_slice(&[0; 8]);
    entry.extend_from_slice(&[0, 2, 0, 16, 0, 0, 0, 0]);
    entry.extend_from_slice(&(48_000_u32 << 16).to_be_bytes());
    let stsd = boxed(b"stsd", &[words(&[0, 1]), boxed(b"test", &entry)].concat());
    let stbl = boxed(b"stbl", &[stsd, tables.concat()].concat());
    let minf = boxed(b"minf", &stbl);
    let hdlr = boxed(b"hdlr", &[&words(&[0, 0]), &b"soun"[..], &[0; 13]].concat());
    let mdhd = table(b"mdhd", &[0, 0, timescale, 0, 0x55c4_0000]);
    let mdia = boxed(b"mdia", &[mdhd, hdlr, minf].concat());
    let matrix = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
    let tkhd = [&[0, 0, 1, 0, 0, 0, 0, 0, 0][..], &matrix, &[0, 0]].concat();
    let trak = boxed(b"trak", &[table(b"tkhd", &tkhd), mdia].concat());
    let mvhd = table(b"mvhd", &[0, 0, 1_000, 0]);
    let moov = boxed(b"moov", &[mvhd, trak].concat());
    let ftyp = boxed(b"ftyp", b"isom\0\0\0\0isom");
    [ftyp, moov, boxed(b"mdat", &vec![0; media_bytes])].concat()
}

/// Tables of `count` samples, all in one chunk at the start of the file.
fn tables(count: u32, size: u32, duration: u32) -> Vec<Vec<u8>> {
    vec![
        table(b"stts", &[1, count, duration]),
        table(b"stsc", &[1, 1, count, 1]),
        table(b"stsz", &[size, count]),
        table(b"stco", &[1, 0]),
    ]
}

struct TestFile(PathBuf);

impl TestFile {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("streamverse-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Reads a file as ingest does; gives its segments, or why it is refused.
#[track_caller]
fn segments(name: &str, bytes: &[u8]) -> Result<usize, String> {
    let file = TestFile::new(name, bytes);
    let start = Instant::now();
    let report = probe(&file.0, target_duration(6));
    let taken = start.elapsed();
    assert!(taken < TIME_MAX, "{name} took {taken:?}");
    if let Some(peak) = peak_memory_bytes() {
        assert!(peak < MEMORY_BYTES_MAX, "{name} took {peak} bytes");
    }
    report.map(|report| report.segment_count).map_err(|error| error.to_string())
}

/// The most memory this process ever had, where the system tells.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
}

#[track_caller]
fn check_refused(name: &str, bytes: &[u8], cause: &str) {
    let reason = segments(name, bytes).expect_err("it is refused");
    assert!(reason.contains(cause), "{name}: {reason}");
}

#[test]
fn sixteen_million_samples_are_read_within_bounds() {
    let count = 1 << 24;
    let bytes = film(90_000, &tables(count, 1, 1), count as usize);
    let movie = packager::demux::read_movie(&bytes).unwrap();
    assert_eq!(movie.tracks[0].table.len(), 1 << 24);
    drop(movie);
    // All of ingest takes a minute and a half without optimisation.
    let count = if std::env::var_os("STREAMVERSE_SOAK").is_some() { count } else { 1 << 19 };
    let bytes = film(90_000, &tables(count, 1, 1), count as usize);
    let seconds = u64::from(count).div_ceil(90_000);
    assert_eq!(segments("many.mp4", &bytes), Ok(seconds.div_ceil(6) as usize));
}

#[test]
fn samples_that_no_bytes_stand_for_are_refused() {
    let count = 1 << 24;
    check_refused("sized.mp4", &film(90_000, &tables(count, 1, 1), 64), "would not fit");
    check_refused("zero.mp4", &film(90_000, &tables(count, 0, 1), 64), "stsz");
    let bytes = film(90_000, &tables(count + 1, 1, 1), count as usize + 4_096);
    check_refused("more.mp4", &bytes, "samples in a track");
}

#[test]
fn the_same_bytes_are_not_read_a_million_times() {
    let (count, size) = (20_000_u32, 900_000_u32);
    let sizes = [&[0, count][..], &vec![size; count as usize]].concat();
    let offsets = [&[count][..], &vec![0; count as usize]].concat();
    let repeated = [
        table(b"stts", &[1, count, 1_024]),
        table(b"stsc", &[1, 1, 1, 1]),
        table(b"stsz", &sizes),
        table(b"stco", &offsets),
    ];
    check_refused("repeated.mp4", &film(48_000, &repeated, 1_000_000), "bytes of samples");
}

#[test]
fn a_title_of_a_million_segments_is_refused() {
    // One sample that lasts 136 years, and 70 days of ordinary ones.
    check_refused("long.mp4", &film(1, &tables(1, 1, u32::MAX), 64), "segments in a title");
    let bytes = film(1, &tables(6_000_000, 1, 1), 6_000_000);
    check_refused("days.mp4", &bytes, "segments in a title");
}

#[test]
fn edit_lists_are_bounded() {
    let tables = tables(10, 1, 1_024);
    let bytes = film(48_000, &tables, 64);
    let edits = 1 << 20;
    let rows = vec![0_u32; 3 * edits];
    let elst = table(b"elst", &[&[edits as u32][..], &rows].concat());
    let edts = boxed(b"edts", &elst);
    // Put in front of `mdia`, with the sizes around it grown.
    let at = bytes.windows(4).position(|window| window == b"mdia").unwrap() - 4;
    let mut with_edits = [&bytes[..at], &edts, &bytes[at..]].concat();
    for kind in [b"moov", b"trak"] {
        let place = with_edits.windows(4).position(|window| window == kind).unwrap() - 4;
        let size = u32::from_be_bytes(with_edits[place..place + 4].try_into().unwrap());
        let grown = size + edts.len() as u32;
        with_edits[place..place + 4].copy_from_slice(&grown.to_be_bytes());
    }
    check_refused("edits.mp4", &with_edits, "edits in a track");
}

#[test]
fn a_fifo_is_refused_and_never_opened() {
    let path = std::env::temp_dir().join(format!("streamverse-{}-fifo.mp4", std::process::id()));
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let refused = probe(&path, target_duration(6)).map(drop);
    std::fs::remove_file(&path).unwrap();
    let reason = refused.unwrap_err().to_string();
    assert!(reason.contains("not a regular file"), "{reason}");
    let reason = probe(&PathBuf::from("/dev/zero"), target_duration(6)).map(drop).unwrap_err();
    assert!(reason.to_string().contains("not a regular file"), "{reason}");
}
