//! NAL units with length prefixes (ISO/IEC 14496-15 4.3.3) rewritten as a byte stream with start
//! codes (ITU-T H.264 and H.265 annex B).
//!
//! Each access unit opens with an access unit delimiter, which ISO/IEC 13818-1 2.14.1 and 2.17.1
//! ask for and MP4 drops. Sync samples repeat the parameter sets of the sample entry unless they
//! carry their own. Units of no bytes vanish; so do the layers beyond the base in H.265 (the second
//! view of MV-HEVC, an alpha plane), for which stream types of their own are meant (ISO/IEC
//! 13818-1 table 2-34). Decoders of the base ignore them (H.265 7.4.2.2), but some readers take
//! each for a picture. Everything else passes as it is.

use crate::track::{VideoCodec, VideoParams};

/// Bytes at the front of a sample in which its own delimiter and parameter sets are looked for.
/// Samples up to this size are muxed in one piece.
pub(super) const HEAD_BYTES_MAX: usize = 64 << 10;

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// `access_unit_delimiter_rbsp` that allows every slice type (H.264 7.3.2.4, H.265 7.3.2.5).
const AVC_DELIMITER: &[u8] = &[0, 0, 0, 1, 0x09, 0xf0];
const HEVC_DELIMITER: &[u8] = &[0, 0, 0, 1, 0x46, 0x01, 0x50];

const LYING_LENGTH: &str = "a NAL unit is longer than its sample";
const CUT_LENGTH: &str = "the sample ends inside a NAL unit's length";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum NalCodec {
    Avc,
    Hevc,
}

impl NalCodec {
    /// `nal_unit_type`, below 64 (H.264 7.3.1, H.265 7.3.1.2).
    fn unit_type(self, first_byte: u8) -> u8 {
        match self {
            Self::Avc => first_byte & 0x1f,
            Self::Hevc => first_byte >> 1 & 0x3f,
        }
    }

    fn is_delimiter(self, unit_type: u8) -> bool {
        unit_type == if self == Self::Avc { 9 } else { 35 }
    }

    /// Supplemental information, which a sample entry may hold for the whole stream. That of a
    /// sample says something else, and does not stand in for it.
    fn is_supplemental(self, unit_type: u8) -> bool {
        match self {
            Self::Avc => unit_type == 6,
            Self::Hevc => matches!(unit_type, 39 | 40),
        }
    }

    /// Whether a unit is of a layer beyond the base: `nuh_layer_id` of H.265 (7.3.1.2).
    fn is_other_layer(self, header: [u8; 2]) -> bool {
        self == Self::Hevc && (header[0] & 1 != 0 || header[1] >> 3 != 0)
    }

    /// Slices and their data partitions: nothing that describes the access unit comes after them.
    fn is_slice(self, unit_type: u8) -> bool {
        match self {
            Self::Avc => matches!(unit_type, 1..=5),
            Self::Hevc => unit_type < 32,
        }
    }
}

/// How the samples of one sample entry become a byte stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct AnnexB {
    codec: NalCodec,
    length_size: u8,
    parameter_sets: Vec<ParameterSet>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct ParameterSet {
    unit_type: u8,
    /// With its start code.
    bytes: Vec<u8>,
}

/// What one access unit gets besides its own bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Preface {
    /// Bytes of the sample that stay in front: its own delimiter, with the length; 0 without one.
    pub(super) own_delimiter_bytes: usize,
    wants_parameter_sets: bool,
    /// Bit `n` set: the sample brings a unit of type `n`, other than SEI, before its first slice.
    carried: u64,
}

impl AnnexB {
    /// `None` for codecs without NAL units.
    pub(super) fn new(video: &VideoParams) -> Option<Self> {
        let codec = match video.codec {
            VideoCodec::Avc => NalCodec::Avc,
            VideoCodec::Hevc => NalCodec::Hevc,
            _ => return None,
        };
        let length_size = video.nal_length_size.filter(|size| matches!(size, 1 | 2 | 4))?;
        let sets = video.parameter_sets.iter().filter_map(|unit| {
            let unit_type = codec.unit_type(*unit.first()?);
            let header = unit.first_chunk().copied().unwrap_or_default();
            (!codec.is_other_layer(header))
                .then(|| ParameterSet { unit_type, bytes: [&START_CODE, unit.as_slice()].concat() })
        });
        Some(Self { codec, length_size, parameter_sets: sets.collect() })
    }

    /// Looks at the front of a sample: `head` is the sample, or at least [`HEAD_BYTES_MAX`] of it.
    pub(super) fn preface(&self, head: &[u8], is_sync: bool) -> Preface {
        let head = &head[..head.len().min(HEAD_BYTES_MAX)];
        let mut units = Units::new(head, self.length_size).map_while(Result::ok).peekable();
        let own_delimiter_bytes = units
            .peek()
            .filter(|first| self.codec.is_delimiter(self.codec.unit_type(first.header[0])))
            .filter(|first| !self.codec.is_other_layer(first.header))
            .filter(|first| first.end <= head.len())
            .map_or(0, |first| first.end);
        let carried = units
            .filter(|unit| !self.codec.is_other_layer(unit.header))
            .map(|unit| self.codec.unit_type(unit.header[0]))
            .take_while(|unit_type| !self.codec.is_slice(*unit_type))
            .filter(|unit_type| !self.codec.is_supplemental(*unit_type))
            .fold(0, |carried, unit_type| carried | 1_u64 << unit_type);
        Preface { own_delimiter_bytes, wants_parameter_sets: is_sync, carried }
    }

    /// What is written in front of the sample's first byte.
    pub(super) fn delimiter(&self, preface: &Preface) -> &'static [u8] {
        match self.codec {
            _ if preface.own_delimiter_bytes > 0 => &[],
            NalCodec::Avc => AVC_DELIMITER,
            NalCodec::Hevc => HEVC_DELIMITER,
        }
    }

    /// What is written after the delimiter: the parameter sets of kinds that the sample lacks.
    pub(super) fn parameter_sets(&self, preface: &Preface) -> impl Iterator<Item = &[u8]> {
        let (wants, carried) = (preface.wants_parameter_sets, preface.carried);
        self.parameter_sets
            .iter()
            .filter(move |set| wants && carried >> set.unit_type & 1 == 0)
            .map(|set| set.bytes.as_slice())
    }

    /// Bytes of the preface in the stream.
    pub(super) fn preface_bytes(&self, preface: &Preface) -> u64 {
        let sets = self.parameter_sets(preface).map(|set| set.len() as u64).sum::<u64>();
        self.delimiter(preface).len() as u64 + sets
    }

    /// Bytes of a whole sample with start codes in place of lengths, without the preface.
    pub(super) fn stream_bytes(&self, sample: &[u8]) -> Result<u64, &'static str> {
        let mut bytes = 0;
        for unit in Units::new(sample, self.length_size) {
            let unit = unit?;
            if unit.end > sample.len() {
                return Err(LYING_LENGTH);
            }
            if !self.codec.is_other_layer(unit.header) {
                bytes += START_CODE.len() as u64 + u64::from(unit.len_bytes);
            }
        }
        Ok(bytes)
    }

    /// A rewriter for the next sample, of `sample_bytes`.
    pub(super) fn rewriter(&self, sample_bytes: u32) -> Rewriter {
        let (codec, length_size) = (Some(self.codec), self.length_size);
        Rewriter { codec, length_size, sample_left: sample_bytes, ..Rewriter::default() }
    }
}

/// The NAL units of a sample that are not empty.
struct Units<'a> {
    sample: &'a [u8],
    length_size: usize,
    at: usize,
}

struct Unit {
    /// The first two bytes; the second is 0 where there is none.
    header: [u8; 2],
    len_bytes: u32,
    /// One past its last byte; beyond the sample when the length lies or the sample is cut.
    end: usize,
}

impl<'a> Units<'a> {
    fn new(sample: &'a [u8], length_size: u8) -> Self {
        Self { sample, length_size: usize::from(length_size), at: 0 }
    }
}

impl Iterator for Units<'_> {
    type Item = Result<Unit, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.sample.get(self.at..).filter(|rest| !rest.is_empty())?;
            let Some((length, body)) = rest.split_at_checked(self.length_size) else {
                self.at = self.sample.len();
                return Some(Err(CUT_LENGTH));
            };
            let len_bytes = length.iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
            self.at = (self.at + self.length_size).saturating_add(len_bytes as usize);
            if len_bytes > 0 {
                let second = body.get(1).copied().filter(|_| len_bytes > 1).unwrap_or(0);
                let unit = body.first().map(|first| {
                    let header = [*first, second];
                    Unit { header, len_bytes, end: self.at }
                });
                return Some(unit.ok_or(LYING_LENGTH));
            }
        }
    }
}

/// Replaces lengths by start codes in a sample that comes in pieces of any size.
#[derive(Debug, Default)]
pub(super) struct Rewriter {
    codec: Option<NalCodec>,
    length_size: u8,
    /// Bytes of a length read so far, and their value.
    length_bytes: u8,
    length: u32,
    /// Bytes still to come of the current unit, and of the sample.
    unit_left: u32,
    sample_left: u32,
    /// Bytes of the current unit's header read so far, and their number, until it is known whether
    /// the unit stays.
    header: [u8; 2],
    header_bytes: u8,
    part: UnitPart,
}

/// Where in a unit a [`Rewriter`] stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum UnitPart {
    #[default]
    Header,
    Stays,
    IsLeftOut,
}

impl Rewriter {
    /// Passes the stream's bytes to `write` in order.
    #[inline]
    pub(super) fn feed(
        &mut self,
        mut bytes: &[u8],
        mut write: impl FnMut(&[u8]),
    ) -> Result<(), &'static str> {
        let fed = u32::try_from(bytes.len()).ok();
        let sample_end = fed.and_then(|fed| self.sample_left.checked_sub(fed));
        let sample_end = sample_end.ok_or("the data are longer than the sample")?;
        while !bytes.is_empty() {
            let wanted = match (self.unit_left, self.part) {
                (0, _) => u32::from(self.length_size - self.length_bytes),
                (left, UnitPart::Header) => left.min(u32::from(2 - self.header_bytes)),
                (left, _) => left,
            };
            let (part, rest) = bytes.split_at(bytes.len().min(wanted as usize));
            bytes = rest;
            if self.unit_left > 0 {
                self.unit_left -= part.len() as u32;
                match self.part {
                    UnitPart::Header => self.take_header(part, &mut write),
                    UnitPart::Stays => write(part),
                    UnitPart::IsLeftOut => {}
                }
                continue;
            }
            self.length =
                part.iter().fold(self.length, |value, byte| value << 8 | u32::from(*byte));
            self.length_bytes += part.len() as u8;
            if self.length_bytes == self.length_size {
                self.length_bytes = 0;
                self.unit_left = std::mem::take(&mut self.length);
                if u64::from(self.unit_left) > u64::from(sample_end) + bytes.len() as u64 {
                    return Err(LYING_LENGTH);
                }
                (self.part, self.header, self.header_bytes) = Default::default();
            }
        }
        self.sample_left = sample_end;
        Ok(())
    }

    /// Takes bytes of a unit's header; once it is whole, writes it if the unit stays.
    fn take_header(&mut self, part: &[u8], write: &mut impl FnMut(&[u8])) {
        for byte in part {
            self.header[usize::from(self.header_bytes)] = *byte;
            self.header_bytes += 1;
        }
        if self.header_bytes < 2 && self.unit_left > 0 {
            return;
        }
        if self.codec.is_some_and(|codec| codec.is_other_layer(self.header)) {
            self.part = UnitPart::IsLeftOut;
            return;
        }
        self.part = UnitPart::Stays;
        write(&START_CODE);
        write(&self.header[..usize::from(self.header_bytes)]);
    }

    /// Bytes of the sample that have not come yet.
    pub(super) fn sample_left(&self) -> u32 {
        self.sample_left
    }

    /// Checks that the sample ended where its last unit did.
    pub(super) fn finish(&self) -> Result<(), &'static str> {
        match (self.sample_left, self.length_bytes, self.unit_left) {
            (0, 0, 0) => Ok(()),
            (0, 0, _) => Err(LYING_LENGTH),
            (0, ..) => Err(CUT_LENGTH),
            _ => Err("the data are shorter than the sample"),
        }
    }
}

#[cfg(test)]
mod tests;
