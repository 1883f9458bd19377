//! Random sample tables, written as boxes and read back.

use proptest::prelude::*;

use crate::demux::box_reader::BoxReader;
use crate::demux::movie_box::read_moov;
use crate::demux::test_writer::{Layout, Row, TestTrack, boxed, full, progressive, words};
use crate::demux::track_build::Budget;
use crate::track::Sample;
use crate::{FourCc, PackageError};

/// Reads the tables of `moov`, which lies at `start` of a file of `source_len` bytes.
fn read(moov: &[u8], start: u64, source_len: u64) -> Result<Vec<Vec<Sample>>, PackageError> {
    let reader = BoxReader::new(FourCc::new(b"moov"), &moov[8..], start, start + 8);
    let movie = read_moov(reader, false, &mut Budget::new(source_len))?;
    Ok(movie.tracks.into_iter().map(|track| track.media.unwrap().samples).collect())
}

fn any_layout() -> impl Strategy<Value = Layout> {
    any::<(bool, bool)>().prop_map(|(wide_chunk_offsets, moov_at_end)| Layout {
        wide_chunk_offsets,
        moov_at_end,
        ..Layout::default()
    })
}

fn any_track() -> impl Strategy<Value = TestTrack> {
    let compact = prop::option::of(prop::sample::select(vec![4_u32, 8, 16]));
    let row = (0..70_000_u32, 0..4_u32, -3..3_i32, any::<bool>());
    let rows = prop::collection::vec(row, 1..60);
    let chunks = prop::collection::vec(1..5_u32, 1..6);
    (compact, rows, chunks, any::<bool>()).prop_map(|(compact_bits, rows, chunks, is_equal)| {
        let size_max = compact_bits.map_or(70_000, |bits| 1 << bits);
        let rows = rows.iter().map(|&(size, duration, offset, is_sync)| Row {
            size: if is_equal { 9 } else { size % size_max },
            duration: duration * 500,
            composition_offset: offset * 700,
            is_sync,
        });
        TestTrack { rows: rows.collect(), chunks, compact_bits, ..TestTrack::default() }
    })
}

proptest! {
    #[test]
    fn tables_come_back(
        tracks in prop::collection::vec(any_track(), 1..3), layout in any_layout(),
    ) {
        let mut tracks = tracks;
        (1..).zip(&mut tracks).for_each(|(id, track)| track.id = id);
        let (file, offsets) = progressive(&tracks, layout);
        let moov_at = file.windows(4).position(|kind| kind == b"moov").unwrap() - 4;
        let end = if layout.moov_at_end { file.len() } else {
            file.windows(4).position(|kind| kind == b"mdat").unwrap() - 4
        };
        let read = read(&file[moov_at..end], moov_at as u64, file.len() as u64).unwrap();
        for ((track, offsets), samples) in tracks.iter().zip(&offsets).zip(&read) {
            let mut decode_time = 0;
            let expected = track.rows.iter().zip(offsets).map(|(row, &offset_bytes)| {
                let sample = Sample {
                    offset_bytes,
                    size_bytes: row.size,
                    decode_time,
                    duration_ticks: row.duration,
                    composition_offset_ticks: row.composition_offset,
                    is_sync: row.is_sync,
                    description_index: 0,
                };
                decode_time += u64::from(row.duration);
                sample
            });
            prop_assert_eq!(samples, &expected.collect::<Vec<_>>());
        }
    }
}

/// A track of `count` samples of 10 ticks and 4 bytes in one chunk at byte 100.
fn valid(count: u32) -> [(&'static [u8; 4], Vec<u8>); 5] {
    [
        (b"stts", words(&[1, count, 10])),
        (b"stsz", words(&[4, count])),
        (b"stsc", words(&[1, 1, count, 1])),
        (b"stco", words(&[1, 100])),
        (b"stss", words(&[1, 1])),
    ]
}

/// Reads a track of four samples with one table replaced.
#[track_caller]
fn check_replaced(kind: &[u8; 4], body: Vec<u8>, expected: &str) {
    let tables = valid(4).into_iter().filter(|(known, _)| *known != kind);
    let mut tables = tables.collect::<Vec<_>>();
    let kind: &'static [u8; 4] = Box::leak(Box::new(*kind));
    tables.push((kind, body));
    let tables = tables.iter().filter(|(_, body)| !body.is_empty());
    let tables = tables.flat_map(|(kind, body)| full(kind, 0, 0, body)).collect::<Vec<_>>();
    let plain = TestTrack::default();
    let moov = crate::demux::test_writer::moov(&[plain], &[Vec::new()], Layout::default(), &[]);
    // The `stbl` of the writer is replaced as a whole, and the sizes around it with it.
    let stsd = full(b"stsd", 0, 0, &[words(&[1]), TestTrack::default().entries.concat()].concat());
    let stbl = boxed(b"stbl", &[stsd, tables].concat());
    let find = |kind: &[u8; 4]| moov.windows(4).position(|found| found == kind).unwrap() - 4;
    let (trak, mdia, minf, old) = (find(b"trak"), find(b"mdia"), find(b"minf"), find(b"stbl"));
    let minf = boxed(b"minf", &[&moov[minf + 8..old], &stbl].concat());
    let mdia = boxed(b"mdia", &[&moov[mdia + 8..find(b"minf")], &minf].concat());
    let trak = boxed(b"trak", &[&moov[trak + 8..find(b"mdia")], &mdia].concat());
    let moov = boxed(b"moov", &[&moov[8..find(b"trak")], &trak].concat());
    let found = match read(&moov, 0, 1000) {
        Ok(tracks) => format!("{} samples", tracks[0].len()),
        Err(error) => error.to_string(),
    };
    assert!(found.contains(expected), "`{found}` does not say `{expected}`");
}

#[test]
fn tables_that_disagree_are_refused_by_name() {
    check_replaced(b"stss", words(&[1, 1]), "4 samples");
    check_replaced(b"stts", words(&[1, 3, 10]), "track 1, sample 4: `stts` ends before it");
    check_replaced(b"stts", words(&[1, 9, 10]), "4 samples");
    check_replaced(b"stts", vec![], "track 1 has no `stts` box");
    check_replaced(b"stts", words(&[u32::MAX, 1, 1]), "wants 34359738360 bytes, 8 remain");
    check_replaced(b"stsz", words(&[0, 4, 1, 1, 1]), "wants 16 bytes, 12 remain");
    check_replaced(b"stsz", words(&[300, 4]), "sample 4: 300 bytes at byte 1000 lie outside");
    check_replaced(b"stsz", words(&[1, 1 << 24]), "its samples would not fit into the file");
    check_replaced(b"stsz", words(&[1, u32::MAX]), "more than 16777216 samples in a track");
    check_replaced(b"stz2", words(&[5, 4]), "the track has a second one");
    check_replaced(b"stsc", words(&[1, 1, 3, 1]), "sample 4: no chunk holds it");
    check_replaced(b"stsc", words(&[1, 2, 4, 1]), "it does not start at the first chunk");
    check_replaced(b"stsc", words(&[2, 1, 4, 1, 1, 4, 1]), "its chunk numbers don't increase");
    check_replaced(b"stsc", words(&[1, 1, 4, 2]), "it names a sample entry");
    check_replaced(b"stsc", words(&[0]), "it does not start at the first chunk");
    check_replaced(b"stco", words(&[1, 990]), "sample 3: 4 bytes at byte 998 lie outside");
    check_replaced(b"co64", words(&[1, u32::MAX, u32::MAX]), "the track has a second one");
    check_replaced(b"stss", words(&[2, 3, 3]), "its sample numbers don't increase");
}
