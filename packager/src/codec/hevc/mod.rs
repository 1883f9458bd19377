//! H.265: the configuration record and the parameter sets of a track (ISO/IEC 14496-15 8.3).
//!
//! Only the base layer is read: NAL units with `nuh_layer_id` above 0 (the second view of
//! MV-HEVC, scalable layers) belong to decoders that ask for them.

mod pps;
mod ref_pic_set;
mod scan;
mod slice;
mod sps;
mod vui;

use std::collections::BTreeMap;

use super::bits::Parsed;
use super::video::Picture;
use crate::FourCc;
use crate::track::VideoCodec;

pub(super) use pps::Pps;
pub(super) use scan::Scanner;
pub(super) use sps::Sps;

/// `nal_unit_type` (ITU-T H.265 table 7-1).
pub(super) mod nal_type {
    pub(crate) const RASL_N: u8 = 8;
    pub(crate) const RASL_R: u8 = 9;
    pub(crate) const BLA_W_LP: u8 = 16;
    pub(crate) const IDR_W_RADL: u8 = 19;
    pub(crate) const IDR_N_LP: u8 = 20;
    pub(crate) const CRA: u8 = 21;
    /// First and last of the intra random access pictures, reserved ones included.
    pub(crate) const IRAP_FIRST: u8 = 16;
    pub(crate) const IRAP_LAST: u8 = 23;
    pub(crate) const VPS: u8 = 32;
    pub(crate) const SPS: u8 = 33;
    pub(crate) const PPS: u8 = 34;
    pub(crate) const PREFIX_SEI: u8 = 39;
    pub(crate) const SUFFIX_SEI: u8 = 40;
}

/// The two bytes before the payload (ITU-T H.265 7.3.1.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct UnitHeader {
    pub(super) unit_type: u8,
    pub(super) layer_id: u8,
}

impl UnitHeader {
    pub(super) const SIZE_BYTES: usize = 2;

    /// `None` when the unit is shorter than its header.
    pub(super) fn parse(unit: &[u8]) -> Option<Self> {
        let [first, second] = *unit.first_chunk()?;
        Some(Self { unit_type: first >> 1 & 0x3f, layer_id: (first & 1) << 5 | second >> 3 })
    }
}

/// HEVCDecoderConfigurationRecord (`hvcC`, ISO/IEC 14496-15 8.3.3.1), borrowed.
#[derive(Debug)]
pub(super) struct DecoderConfig<'a> {
    /// `general_profile_space` to `general_level_idc`: bytes 1 to 12 of the record.
    general: [u8; 12],
    pub(super) nal_length_size: u8,
    /// VPSs, SPSs and PPSs of the base layer, in this order.
    pub(super) parameter_sets: Vec<&'a [u8]>,
}

impl<'a> DecoderConfig<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Parsed<Self> {
        const ENDS: &str = "the configuration record ends early";
        let (fixed, mut rest) = body.split_first_chunk::<23>().ok_or(ENDS)?;
        // Version 0 was written before the first edition was final; the layout is the same.
        if fixed[0] > 1 {
            return Err("its configurationVersion is above 1");
        }
        let mut sets = Vec::new();
        for _ in 0..fixed[22] {
            take_array(&mut rest, &mut sets).ok_or(ENDS)?;
        }
        sets.sort_by_key(|(unit_type, _)| *unit_type);
        Ok(Self {
            general: *fixed[1..].first_chunk().expect("the record has 23 bytes"),
            nal_length_size: (fixed[21] & 3) + 1,
            parameter_sets: sets.into_iter().map(|(_, unit)| unit).collect(),
        })
    }

    /// What the record says about the picture, under the sample entry type `kind`. The sizes of
    /// `picture` stay as they are where the parameter sets come in band (`hev1`).
    pub(super) fn describe(&self, kind: FourCc, picture: &mut Picture) -> Parsed<()> {
        let entry = match &kind.0 {
            b"hev1" | b"dvhe" => "hev1",
            _ => "hvc1",
        };
        picture.codec = VideoCodec::Hevc;
        picture.rfc6381 = self.rfc6381(entry);
        picture.nal_length_size = Some(self.nal_length_size);
        picture.parameter_sets = self.parameter_sets.iter().map(|unit| unit.to_vec()).collect();
        let is_sps =
            |unit: &&&[u8]| UnitHeader::parse(unit).is_some_and(|h| h.unit_type == nal_type::SPS);
        if let Some(unit) = self.parameter_sets.iter().find(is_sps) {
            let sps = Sps::parse(unit)?;
            (picture.width, picture.height) = (sps.width, sps.height);
            picture.pixel_aspect = picture.pixel_aspect.or(sps.pixel_aspect);
            picture.color = picture.color.or(sps.color);
        }
        Ok(())
    }

    /// ISO/IEC 14496-15 E.3: profile space and profile, compatibility flags in reverse bit order,
    /// tier and level, constraint bytes without trailing zeros.
    fn rfc6381(&self, entry: &str) -> String {
        let [profile, compat @ .., c0, c1, c2, c3, c4, c5, level] = self.general;
        let space = ["", "A", "B", "C"][usize::from(profile >> 6)];
        let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
        let compat = u32::from_be_bytes(compat).reverse_bits();
        let mut codec = format!("{entry}.{space}{}.{compat:X}.{tier}{level}", profile & 0x1f);
        let constraints = [c0, c1, c2, c3, c4, c5];
        let used = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        for byte in &constraints[..used] {
            codec.push_str(&format!(".{byte:X}"));
        }
        codec
    }
}

/// One array of NAL units; those of the base layer's parameter sets join `sets`.
fn take_array<'a>(rest: &mut &'a [u8], sets: &mut Vec<(u8, &'a [u8])>) -> Option<()> {
    let ([_, count @ ..], mut after) = rest.split_first_chunk::<3>()?;
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, units) = after.split_first_chunk::<2>()?;
        let (unit, left) = units.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let is_set = |header: &UnitHeader| {
            header.layer_id == 0 && (nal_type::VPS..=nal_type::PPS).contains(&header.unit_type)
        };
        if let Some(header) = UnitHeader::parse(unit).filter(is_set) {
            sets.push((header.unit_type, unit));
        }
        after = left;
    }
    *rest = after;
    Some(())
}

/// The parameter sets that slices may refer to, as of one place in the stream.
///
/// At most 16 SPSs and 64 PPSs: the identifiers end there.
#[derive(Clone, Debug, Default)]
pub(super) struct ParameterSets {
    sps: BTreeMap<u32, Sps>,
    pps: BTreeMap<u32, Pps>,
}

impl ParameterSets {
    /// Takes over a parameter set NAL unit of the base layer; other units change nothing.
    pub(super) fn handle_unit(&mut self, unit: &[u8]) -> Parsed<()> {
        match UnitHeader::parse(unit) {
            Some(UnitHeader { unit_type: nal_type::SPS, layer_id: 0 }) => {
                let sps = Sps::parse(unit)?;
                self.sps.insert(sps.id, sps);
            }
            Some(UnitHeader { unit_type: nal_type::PPS, layer_id: 0 }) => {
                let pps = Pps::parse(unit)?;
                self.pps.insert(pps.id, pps);
            }
            _ => {}
        }
        Ok(())
    }

    fn of_slice(&self, pps_id: u32) -> Parsed<(&Sps, &Pps)> {
        const MISSING: &str = "a slice refers to a parameter set that is not there";
        let pps = self.pps.get(&pps_id).ok_or(MISSING)?;
        let sps = self.sps.get(&pps.sps_id).ok_or(MISSING)?;
        Ok((sps, pps))
    }
}
