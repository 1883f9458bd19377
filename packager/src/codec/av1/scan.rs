//! The OBUs of an AV1 sample: tile data is protected, everything else is clear (AV1 Codec ISO
//! Media File Format Binding 4.2).

use super::frame::{FrameHeader, FrameType, Header};
use super::obu::{self, Unit, kind, leb128};
use super::references::References;
use super::{DecoderConfig, SequenceHeader};
use crate::codec::bits::{BitReader, Parsed};
use crate::codec::captions::Captions;
use crate::codec::scanner::{RandomAccess, Runs, SampleFacts, Scanned};

#[derive(Clone, Debug)]
pub(in crate::codec) struct Scanner {
    sequence: Option<SequenceHeader>,
    references: References,
    /// The frame whose tile groups are still to come; header OBUs meanwhile repeat its header.
    open_frame: Option<FrameHeader>,
    captions: Captions,
}

impl Scanner {
    /// `config` is the body of `av1C`; a sequence header that can't be read is left out.
    pub(in crate::codec) fn new(config: &[u8]) -> Self {
        let config = DecoderConfig::parse(config);
        let sequence = config.and_then(|config| config.sequence_header()).ok().flatten();
        Self {
            sequence,
            references: References::default(),
            open_frame: None,
            captions: Captions::default(),
        }
    }

    pub(in crate::codec) fn scan(&mut self, sample: &[u8], runs: &mut Runs) -> Scanned {
        let mut facts = SampleFacts::default();
        let mut has_frames = false;
        // A temporal unit holds whole frames.
        self.open_frame = None;
        for unit in obu::units(sample) {
            let unit = unit?;
            runs.clear(unit.header_bytes);
            let mut clear_bytes = unit.payload.len();
            match unit.kind {
                kind::SEQUENCE_HEADER => {
                    self.sequence = Some(SequenceHeader::parse(unit.payload)?);
                }
                kind::FRAME_HEADER | kind::REDUNDANT_FRAME_HEADER | kind::FRAME => {
                    let (access, header_bytes) = self.handle_frame_header(&unit)?;
                    if !std::mem::replace(&mut has_frames, true) {
                        facts.random_access = access;
                    }
                    if unit.kind == kind::FRAME {
                        clear_bytes = 0;
                        runs.clear(header_bytes);
                        self.split_tiles(&unit.payload[header_bytes..], runs)?;
                    }
                }
                kind::TILE_GROUP => {
                    clear_bytes = 0;
                    self.split_tiles(unit.payload, runs)?;
                }
                kind::METADATA => self.handle_metadata(unit.payload, &mut facts),
                _ => {}
            }
            runs.clear(clear_bytes);
        }
        Ok(facts)
    }

    /// 5.9.1: what the header says about random access, and its bytes.
    fn handle_frame_header(&mut self, unit: &Unit<'_>) -> Parsed<(RandomAccess, usize)> {
        if self.open_frame.is_some() && unit.kind != kind::FRAME {
            return Ok((RandomAccess::None, 0)); // frame_header_copy()
        }
        let sequence = self.sequence.as_ref().ok_or("a frame comes before its sequence header")?;
        match Header::parse(unit, sequence, &mut self.references)? {
            Header::ShowExisting { slot } => {
                // 7.21: showing a key frame makes it every reference.
                let reference = *self.references.get(slot)?;
                if reference.frame_type == FrameType::Key {
                    self.references.store(0xff, reference);
                }
                Ok((RandomAccess::None, unit.payload.len()))
            }
            Header::Frame(frame) => {
                self.references.store(frame.refresh_frame_flags, frame.reference);
                let is_access = frame.frame_type == FrameType::Key && frame.show_frame;
                let access = if is_access { RandomAccess::Closed } else { RandomAccess::None };
                let size_bytes = frame.size_bytes;
                self.open_frame = Some(frame);
                Ok((access, size_bytes))
            }
        }
    }

    /// 5.11.1: `payload` is a tile group, from its first byte.
    fn split_tiles(&mut self, payload: &[u8], runs: &mut Runs) -> Parsed<()> {
        const RUNS_PAST: &str = "a tile runs past its tile group";
        let frame = self.open_frame.as_ref().ok_or("tiles come before their frame header")?;
        let tiles = frame.tiles;
        let bits = &mut BitReader::new(payload);
        let (mut first, mut last) = (0, tiles.count() - 1);
        if tiles.count() > 1 && bits.bit()? {
            (first, last) = (bits.bits(tiles.number_bits)?, bits.bits(tiles.number_bits)?);
        }
        if first > last || last >= tiles.count() {
            return Err("a tile group names tiles that are not there");
        }
        let mut rest = payload;
        let take = |rest: &mut &[u8], bytes: usize| -> Parsed<usize> {
            let (taken, after) = rest.split_at_checked(bytes).ok_or(RUNS_PAST)?;
            *rest = after;
            Ok(taken.iter().rev().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte)))
        };
        let header_bytes = bits.bytes_read();
        take(&mut rest, header_bytes)?;
        runs.clear(header_bytes);
        for _ in first..last {
            let tile_bytes = take(&mut rest, tiles.size_bytes)?.checked_add(1).ok_or(RUNS_PAST)?;
            runs.clear(tiles.size_bytes);
            take(&mut rest, tile_bytes)?;
            runs.protect(tile_bytes);
        }
        runs.protect(rest.len());
        if last == tiles.count() - 1 {
            self.open_frame = None;
        }
        Ok(())
    }

    fn handle_metadata(&mut self, payload: &[u8], facts: &mut SampleFacts) {
        const METADATA_TYPE_ITUT_T35: u64 = 4;
        if let Ok((METADATA_TYPE_ITUT_T35, taken)) = leb128(payload) {
            self.captions.handle_t35(&payload[taken..], facts);
        }
    }
}
