//! Real files with random damage: no panic, no table that breaks its promises, bounded memory.
#![allow(clippy::disallowed_methods, reason = "tests read files")]

use std::path::PathBuf;

use packager::demux::{check_table, read_movie};

mod demux_ffprobe;
use demux_ffprobe::Scratch;

/// Damaged copies made of each file.
const ROUNDS: u32 = 300;
/// Memory that reading may take beyond what the files themselves do. A table takes 32 bytes for
/// each sample; damage can make samples of a byte each out of twice the file.
const MEMORY_BYTES_MAX: u64 = 128 << 20;

/// Marsaglia's xorshift: the same damage in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

/// Files of the media folder below 130 kB, and three made here.
fn files(scratch: &Scratch) -> Vec<Vec<u8>> {
    let encode = "-f lavfi -i testsrc2=s=64x36:r=25:d=1 -f lavfi -i sine=d=1 -c:v libx264 -g 10";
    let mut paths = vec![
        scratch.ffmpeg(&format!("{encode} -movflags +faststart"), "a.mp4"),
        scratch.ffmpeg(&format!("{encode} -movflags frag_keyframe+empty_moov"), "b.mp4"),
        scratch.ffmpeg(encode, "c.mov"),
    ];
    let root = std::env::var_os("STREAMVERSE_MEDIA").map(PathBuf::from);
    for folder in ["good", "frag", "enc", "text"] {
        let entries = root.as_ref().map(|root| std::fs::read_dir(root.join(folder)).unwrap());
        paths.extend(entries.into_iter().flatten().map(|entry| entry.unwrap().path()));
    }
    paths.sort();
    let files = paths.iter().map(|path| std::fs::read(path).unwrap());
    files.filter(|bytes| bytes.len() < 130_000).collect()
}

/// Positions worth damaging: everything but media, as far as headers tell.
fn metadata(bytes: &[u8]) -> Vec<usize> {
    let mut positions = Vec::new();
    let mut at = 0;
    while let Some(&[a, b, c, d, ref kind @ ..]) = bytes.get(at..at + 8) {
        let size = (u32::from_be_bytes([a, b, c, d]) as usize).max(8);
        let end = if kind == b"mdat" { at + 8 } else { (at + size).min(bytes.len()) };
        positions.extend(at..end);
        at += size;
    }
    positions
}

fn damage(bytes: &mut Vec<u8>, positions: &[usize], random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = positions[random.below(positions.len())];
        let Some(byte) = bytes.get_mut(at) else { continue };
        match random.below(6) {
            0 => *byte = 0,
            1 => *byte = 0xff,
            2 => *byte ^= 1 << random.below(8),
            3 => *byte = byte.wrapping_add(1),
            4 => *byte = random.next() as u8,
            _ if random.below(8) == 0 => bytes.truncate(at),
            _ => {
                let from = positions[random.below(positions.len())];
                let word = bytes.get(from..from + 4).map(<[u8]>::to_vec);
                if let (Some(word), Some(to)) = (word, bytes.get_mut(at..at + 4)) {
                    to.copy_from_slice(&word);
                }
            }
        }
    }
}

/// The most memory this process ever had, where the system tells.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
}

#[test]
fn damaged_files_are_read_or_refused() {
    let scratch = Scratch::new("mutation");
    let files = files(&scratch);
    let before = peak_memory_bytes();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut read, mut refused) = (0, 0);
    for original in &files {
        let positions = metadata(original);
        for _ in 0..ROUNDS {
            let mut bytes = original.clone();
            damage(&mut bytes, &positions, &mut random);
            let Ok(movie) = read_movie(&bytes) else {
                refused += 1;
                continue;
            };
            read += 1;
            for track in &movie.tracks {
                assert_eq!(check_table(&track.table, bytes.len() as u64), Ok(()));
            }
        }
    }
    assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
    if let (Some(before), Some(after)) = (before, peak_memory_bytes()) {
        let grown = after - before;
        assert!(grown < MEMORY_BYTES_MAX, "reading took {grown} bytes");
    }
}
