//! The NAL units of an H.264 sample: slices are protected behind their headers, everything else is
//! clear (ISO/IEC 23001-7 10.2).

use super::slice::SliceHeader;
use super::{DecoderConfig, ParameterSets, nal_type};
use crate::codec::bits::{BitReader, Parsed};
use crate::codec::captions::Captions;
use crate::codec::nal_units;
use crate::codec::scanner::{RandomAccess, Runs, SampleFacts, Scanned};
use crate::codec::sei;

#[derive(Clone, Debug)]
pub(in crate::codec) struct Scanner {
    nal_length_size: u8,
    sets: ParameterSets,
    captions: Captions,
}

/// What the units of one sample have said so far.
#[derive(Default)]
struct Picture {
    facts: SampleFacts,
    /// A recovery point whose pictures are exact from this one on (D.2.8).
    is_recovery_point: bool,
    has_slices: bool,
}

impl Scanner {
    /// `config` is the body of `avcC`; parameter sets that can't be read are left out.
    pub(in crate::codec) fn new(config: &[u8]) -> Self {
        let mut sets = ParameterSets::default();
        let config = DecoderConfig::parse(config).ok();
        for unit in config.iter().flat_map(|config| config.sps.iter().chain(&config.pps)) {
            let _unreadable = sets.handle_unit(unit);
        }
        let nal_length_size = config.map_or(4, |config| config.nal_length_size);
        Self { nal_length_size, sets, captions: Captions::default() }
    }

    pub(in crate::codec) fn scan(&mut self, sample: &[u8], runs: &mut Runs) -> Scanned {
        let mut picture = Picture::default();
        for unit in nal_units(sample, self.nal_length_size) {
            runs.clear(usize::from(self.nal_length_size));
            self.scan_unit(unit?, &mut picture, runs)?;
        }
        Ok(picture.facts)
    }

    fn scan_unit(&mut self, unit: &[u8], picture: &mut Picture, runs: &mut Runs) -> Parsed<()> {
        let Some(header) = unit.first() else { return Ok(()) };
        match header & 0x1f {
            unit_type @ (nal_type::SLICE | nal_type::PARTITION_A | nal_type::IDR) => {
                let slice = SliceHeader::parse(unit, &self.sets)?;
                picture.handle_slice(unit_type, slice);
                runs.split(unit, slice.size_bytes);
            }
            // Partitions B and C repeat no slice header.
            nal_type::PARTITION_B | nal_type::PARTITION_C => runs.split(unit, 1),
            nal_type::SEI => {
                self.handle_sei(&unit[1..], picture);
                runs.clear(unit.len());
            }
            _ => {
                self.sets.handle_unit(unit)?;
                runs.clear(unit.len());
            }
        }
        Ok(())
    }

    fn handle_sei(&mut self, payload: &[u8], picture: &mut Picture) {
        sei::for_each_message(payload, |kind, message| match kind {
            sei::USER_DATA_REGISTERED => {
                self.captions.handle_t35(message, &mut picture.facts);
            }
            sei::RECOVERY_POINT => {
                let recovery_frames = BitReader::new(message).ue();
                picture.is_recovery_point |= recovery_frames == Ok(0);
            }
            _ => {}
        });
    }
}

impl Picture {
    /// The first slice decides: in a pair of fields the second one may refer to the first.
    fn handle_slice(&mut self, unit_type: u8, slice: SliceHeader) {
        if std::mem::replace(&mut self.has_slices, true) {
            return;
        }
        self.facts.random_access = match unit_type {
            nal_type::IDR => RandomAccess::Closed,
            _ if self.is_recovery_point && slice.is_intra => RandomAccess::Open,
            _ => RandomAccess::None,
        };
    }
}
