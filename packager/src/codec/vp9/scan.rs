//! The frames of a VP9 sample: each is protected behind its uncompressed header; the index of a
//! superframe is clear (VP Codec ISO Media File Format Binding, "Common Encryption").

use super::frame::{FrameHeader, References};
use crate::codec::bits::Parsed;
use crate::codec::scanner::{RandomAccess, Runs, SampleFacts, Scanned};

#[derive(Clone, Debug, Default)]
pub(in crate::codec) struct Scanner {
    references: References,
}

impl Scanner {
    pub(in crate::codec) fn scan(&mut self, sample: &[u8], runs: &mut Runs) -> Scanned {
        let mut facts = SampleFacts::default();
        let superframe = Superframe::parse(sample);
        let mut rest = sample;
        for (index, size_bytes) in superframe.frames(sample.len()).enumerate() {
            let (frame, after) =
                rest.split_at_checked(size_bytes).ok_or("a frame runs past its superframe")?;
            rest = after;
            if frame.is_empty() {
                continue;
            }
            let is_key = self.scan_frame(frame, runs)?;
            if index == 0 && is_key {
                facts.random_access = RandomAccess::Closed;
            }
        }
        if rest.len() < superframe.index_bytes {
            return Err("a frame runs past its superframe");
        }
        runs.clear(rest.len());
        Ok(facts)
    }

    fn scan_frame(&mut self, frame: &[u8], runs: &mut Runs) -> Parsed<bool> {
        let header = FrameHeader::parse(frame, &mut self.references)?;
        runs.split(frame, header.size_bytes);
        Ok(header.is_key)
    }
}

/// The index at the end of a sample with several frames (VP9 specification, annex B).
struct Superframe<'a> {
    /// Little-endian frame sizes; empty where there is no index.
    sizes: &'a [u8],
    bytes_per_size: usize,
    index_bytes: usize,
}

impl<'a> Superframe<'a> {
    fn parse(sample: &'a [u8]) -> Self {
        let none = Self { sizes: &[], bytes_per_size: 1, index_bytes: 0 };
        let Some(&marker) = sample.last().filter(|marker| *marker & 0xe0 == 0xc0) else {
            return none;
        };
        let bytes_per_size = usize::from(marker >> 3 & 3) + 1;
        let index_bytes = 2 + bytes_per_size * (usize::from(marker & 7) + 1);
        let start = sample.len().checked_sub(index_bytes);
        match start.map(|start| &sample[start..]) {
            Some([first, sizes @ .., _]) if *first == marker => {
                Self { sizes, bytes_per_size, index_bytes }
            }
            _ => none,
        }
    }

    /// Sizes of the frames; without an index the sample is one.
    fn frames(&self, sample_bytes: usize) -> impl Iterator<Item = usize> {
        let one = self.sizes.is_empty().then_some(sample_bytes);
        let number = |bytes: &[u8]| {
            bytes.iter().rev().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte))
        };
        one.into_iter().chain(self.sizes.chunks(self.bytes_per_size).map(number))
    }
}
