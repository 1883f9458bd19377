//! The NAL units of an H.265 sample: slice segments of the base layer are protected behind their
//! headers, everything else is clear (ISO/IEC 23001-7 10.2).

use super::{DecoderConfig, ParameterSets, UnitHeader, nal_type, slice};
use crate::codec::bits::Parsed;
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

impl Scanner {
    /// `config` is the body of `hvcC`; parameter sets that can't be read are left out.
    pub(in crate::codec) fn new(config: &[u8]) -> Self {
        let mut sets = ParameterSets::default();
        let config = DecoderConfig::parse(config).ok();
        for unit in config.iter().flat_map(|config| &config.parameter_sets) {
            let _unreadable = sets.handle_unit(unit);
        }
        let nal_length_size = config.map_or(4, |config| config.nal_length_size);
        Self { nal_length_size, sets, captions: Captions::default() }
    }

    pub(in crate::codec) fn scan(&mut self, sample: &[u8], runs: &mut Runs) -> Scanned {
        let mut facts = SampleFacts::default();
        for unit in nal_units(sample, self.nal_length_size) {
            runs.clear(usize::from(self.nal_length_size));
            self.scan_unit(unit?, &mut facts, runs)?;
        }
        Ok(facts)
    }

    fn scan_unit(&mut self, unit: &[u8], facts: &mut SampleFacts, runs: &mut Runs) -> Parsed<()> {
        let header = UnitHeader::parse(unit).filter(|header| header.layer_id == 0);
        let Some(header) = header else {
            runs.clear(unit.len());
            return Ok(());
        };
        match header.unit_type {
            unit_type if is_slice(unit_type) => {
                let size_bytes = slice::header_size_bytes(unit, header, &self.sets)?;
                facts.random_access = random_access(unit_type);
                facts.is_skipped_leading = matches!(unit_type, nal_type::RASL_N | nal_type::RASL_R);
                runs.split(unit, size_bytes);
                return Ok(());
            }
            nal_type::PREFIX_SEI | nal_type::SUFFIX_SEI => {
                sei::for_each_message(&unit[UnitHeader::SIZE_BYTES..], |kind, message| {
                    if kind == sei::USER_DATA_REGISTERED {
                        self.captions.handle_t35(message, facts);
                    }
                });
            }
            _ => self.sets.handle_unit(unit)?,
        }
        runs.clear(unit.len());
        Ok(())
    }
}

/// Slice segments; the reserved types between and behind them have an unknown syntax.
fn is_slice(unit_type: u8) -> bool {
    matches!(unit_type, 0..=nal_type::RASL_R | nal_type::BLA_W_LP..=nal_type::CRA)
}

/// All slices of a picture have the same type here (7.4.2.2). Broken link and clean random access
/// pictures may have leading pictures that refer to what came before; IDR and the other two BLA
/// types have none, or decodable ones.
fn random_access(unit_type: u8) -> RandomAccess {
    match unit_type {
        nal_type::BLA_W_LP | nal_type::CRA => RandomAccess::Open,
        nal_type::IRAP_FIRST..=nal_type::IRAP_LAST => RandomAccess::Closed,
        _ => RandomAccess::None,
    }
}
