//! H.264: the configuration record and the parameter sets of a track (ISO/IEC 14496-15 5.3).

mod pps;
mod scan;
mod slice;
mod sps;

use std::collections::BTreeMap;

use super::bits::Parsed;
use super::video::Picture;
use crate::FourCc;
use crate::track::VideoCodec;

pub(super) use pps::Pps;
pub(super) use scan::Scanner;
pub(super) use sps::{Sps, cropped, parse_vui};

/// `nal_unit_type` (ITU-T H.264 table 7-1).
pub(super) mod nal_type {
    pub(crate) const SLICE: u8 = 1;
    pub(crate) const PARTITION_A: u8 = 2;
    pub(crate) const PARTITION_B: u8 = 3;
    pub(crate) const PARTITION_C: u8 = 4;
    pub(crate) const IDR: u8 = 5;
    pub(crate) const SEI: u8 = 6;
    pub(crate) const SPS: u8 = 7;
    pub(crate) const PPS: u8 = 8;
}

/// AVCDecoderConfigurationRecord (`avcC`, ISO/IEC 14496-15 5.3.3.1), borrowed.
#[derive(Debug)]
pub(super) struct DecoderConfig<'a> {
    /// `AVCProfileIndication`, `profile_compatibility`, `AVCLevelIndication`.
    pub(super) profile_compat_level: [u8; 3],
    pub(super) nal_length_size: u8,
    /// NAL units in the record's order: SPSs, then PPSs.
    pub(super) sps: Vec<&'a [u8]>,
    pub(super) pps: Vec<&'a [u8]>,
}

impl<'a> DecoderConfig<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Parsed<Self> {
        const ENDS: &str = "the configuration record ends early";
        let [version, profile, compat, level, length, sps_count, rest @ ..] = body else {
            return Err(ENDS);
        };
        if *version != 1 {
            return Err("its configurationVersion is not 1");
        }
        let mut rest = rest;
        let sps = take_sets(&mut rest, sps_count & 0x1f).ok_or(ENDS)?;
        let (pps_count, mut rest) = rest.split_first().ok_or(ENDS)?;
        let pps = take_sets(&mut rest, *pps_count).ok_or(ENDS)?;
        Ok(Self {
            profile_compat_level: [*profile, *compat, *level],
            nal_length_size: (length & 3) + 1,
            sps,
            pps,
        })
    }

    /// What the record says about the picture, under the sample entry type `kind`. The sizes of
    /// `picture` stay as they are where the parameter sets come in band (`avc3`).
    pub(super) fn describe(&self, kind: FourCc, picture: &mut Picture) -> Parsed<()> {
        let [profile, compat, level] = self.profile_compat_level;
        // RFC 6381 3.3: the three bytes in hexadecimal, behind the sample entry type.
        let entry = match &kind.0 {
            b"avc3" | b"dvav" => "avc3",
            _ => "avc1",
        };
        picture.codec = VideoCodec::Avc;
        picture.rfc6381 = format!("{entry}.{profile:02x}{compat:02x}{level:02x}");
        picture.nal_length_size = Some(self.nal_length_size);
        picture.parameter_sets =
            self.sps.iter().chain(&self.pps).map(|unit| unit.to_vec()).collect();
        if let Some(unit) = self.sps.first() {
            let sps = Sps::parse(unit)?;
            (picture.width, picture.height) = (sps.width, sps.height);
            picture.pixel_aspect = picture.pixel_aspect.or(sps.pixel_aspect);
            picture.color = picture.color.or(sps.color);
        }
        Ok(())
    }
}

fn take_sets<'a>(rest: &mut &'a [u8], count: u8) -> Option<Vec<&'a [u8]>> {
    (0..count)
        .map(|_| {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let (unit, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            *rest = after;
            Some(unit)
        })
        .collect()
}

/// The parameter sets that slices may refer to, as of one place in the stream.
///
/// At most 32 SPSs and 256 PPSs: the identifiers end there.
#[derive(Clone, Debug, Default)]
pub(super) struct ParameterSets {
    sps: BTreeMap<u32, Sps>,
    pps: BTreeMap<u32, Pps>,
}

impl ParameterSets {
    /// Takes over a parameter set NAL unit; other NAL units change nothing.
    pub(super) fn handle_unit(&mut self, unit: &[u8]) -> Parsed<()> {
        match unit.first().map(|header| header & 0x1f) {
            Some(nal_type::SPS) => {
                let sps = Sps::parse(unit)?;
                self.sps.insert(sps.id, sps);
            }
            Some(nal_type::PPS) => {
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
