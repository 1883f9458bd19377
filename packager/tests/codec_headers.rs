//! Ends of slice and frame headers against ffmpeg's `trace_headers`, which parses them on its own
//! and prints the position of every field.
#![allow(clippy::disallowed_methods, reason = "tests read files")]

mod codec_support;

use std::path::Path;
use std::process::Command;

use codec_support::{read_tracks, track_info, video_files};
use drm::{Subsample, SubsampleMap};
use packager::codec::{SampleScanner, nal_units};
use packager::track::{MediaParams, VideoCodec};

/// One headline of the trace with the fields below it.
#[derive(Debug, Default)]
struct Block {
    name: String,
    /// Bits from the start of the unit to the end of the last field, without escapes.
    end_bits: usize,
    obu_size: Option<usize>,
    has_compressed_header: bool,
}

/// The blocks of each packet.
fn trace(path: &Path) -> Vec<Vec<Block>> {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-nostats", "-i"])
        .arg(path)
        .args(["-map", "0:v", "-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"])
        .output()
        .expect("ffmpeg is installed");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut packets: Vec<Vec<Block>> = Vec::new();
    for line in text.lines() {
        let Some((_, line)) =
            line.split_once("[trace_headers @ ").and_then(|(_, rest)| rest.split_once("] "))
        else {
            continue;
        };
        if line.starts_with("Packet:") {
            packets.push(Vec::new());
            continue;
        }
        let Some(blocks) = packets.last_mut() else { continue };
        let words: Vec<&str> = line.split_whitespace().collect();
        match (words.first().map(|word| word.parse::<usize>()), blocks.last_mut()) {
            (Some(Ok(position)), Some(block)) if words.len() >= 3 => {
                block.end_bits = position + words[2].len();
                let value = || words.last().and_then(|value| value.parse().ok());
                match words[1] {
                    "obu_size" => block.obu_size = value(),
                    "header_size_in_bytes" => block.has_compressed_header = true,
                    _ => {}
                }
            }
            // A tile group of one tile has no fields: it begins where the header ended.
            (_, last) => {
                let end_bits = last.map_or(0, |block| block.end_bits);
                blocks.push(Block { name: line.to_owned(), end_bits, ..Block::default() });
            }
        }
    }
    packets
}

/// First byte of each protected run.
fn protected_starts(subsamples: &[Subsample]) -> Vec<usize> {
    let mut at = 0;
    let mut starts = Vec::new();
    for run in subsamples {
        at += run.clear_bytes as usize;
        if run.protected_bytes > 0 {
            starts.push(at);
        }
        at += run.protected_bytes as usize;
    }
    starts
}

/// Bytes that hold `bits` bits of the unit, its emulation prevention counted.
fn escaped_bytes(unit: &[u8], bits: usize) -> usize {
    let (mut zeros, mut plain) = (0, 0);
    for (index, byte) in unit.iter().enumerate() {
        if plain == bits.div_ceil(8) {
            return index;
        }
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        plain += 1;
    }
    unit.len()
}

fn expected_nal_starts(sample: &[u8], blocks: &[Block], is_hevc: bool) -> Vec<usize> {
    let name = if is_hevc { "Slice Segment Header" } else { "Slice Header" };
    let mut slices = blocks.iter().filter(|block| block.name == name);
    let mut at = 0;
    let mut starts = Vec::new();
    for unit in nal_units(sample, 4) {
        let unit = unit.unwrap();
        at += 4;
        let is_slice = if is_hevc { unit[0] >> 1 < 32 } else { matches!(unit[0] & 31, 1 | 5) };
        if is_slice {
            let header = slices.next().expect("a slice in the trace");
            starts.push(at + escaped_bytes(unit, header.end_bits));
        }
        at += unit.len();
    }
    assert!(slices.next().is_none(), "more slices in the trace");
    starts
}

/// First tiles only: the trace does not print tile sizes.
fn expected_obu_starts(blocks: &[Block]) -> Vec<usize> {
    let mut at = 0;
    let mut next = 0;
    let mut starts = Vec::new();
    for block in blocks {
        if let Some(size) = block.obu_size {
            at = next;
            let size_field_bytes = (1..).find(|bytes| size >> (7 * bytes) == 0).unwrap();
            next = at + 1 + size_field_bytes + size;
        }
        if block.name == "Tile Group" {
            starts.push(at + block.end_bits / 8);
        }
    }
    starts
}

fn check(path: &Path) -> usize {
    let file = std::fs::read(path).unwrap();
    let track = read_tracks(&file).remove(0);
    let info = track_info(&track).unwrap();
    let MediaParams::Video(video) = &info.media else { panic!() };
    let packets = trace(path);
    assert_eq!(packets.len(), track.samples.len(), "{}", path.display());
    let mut scanner = SampleScanner::new(&info);
    let mut layout = SubsampleMap::default();
    let mut compared = 0;
    for (index, (sample, blocks)) in track.samples.iter().zip(&packets).enumerate() {
        let bytes = &file[sample.offset..sample.offset + sample.size];
        scanner.scan(bytes, 0, &mut layout).unwrap();
        let found = protected_starts(layout.sample(index));
        let place = format!("{}, sample {index}", path.display());
        match video.codec {
            VideoCodec::Avc | VideoCodec::Hevc => {
                let is_hevc = video.codec == VideoCodec::Hevc;
                assert_eq!(found, expected_nal_starts(bytes, blocks, is_hevc), "{place}");
            }
            VideoCodec::Av1 => {
                let expected = expected_obu_starts(blocks);
                let has_one_tile = expected.len() == found.len();
                assert!(!has_one_tile || found == expected, "{place}: {found:?} {expected:?}");
                compared += usize::from(has_one_tile);
                continue;
            }
            VideoCodec::Vp9 => {
                let headers = blocks.iter().filter(|block| block.has_compressed_header);
                let expected: Vec<_> = headers.map(|block| block.end_bits.div_ceil(8)).collect();
                let runs = layout.sample(index).iter().filter(|run| run.protected_bytes > 0);
                let found: Vec<_> = runs.map(|run| run.clear_bytes as usize).collect();
                assert_eq!(found, expected, "{place}");
            }
            VideoCodec::Other(kind) => panic!("{place}: {kind}"),
        }
        compared += 1;
    }
    compared
}

#[test]
fn headers_end_where_ffmpeg_says() {
    let mut compared = 0;
    for path in video_files() {
        compared += check(&path);
    }
    // All but the samples of AV1 frames with several tiles, whose sizes the trace leaves out.
    assert!(compared >= 1665, "{compared} samples");
}
