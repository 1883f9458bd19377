//! Dolby Vision configuration (`dvcC`, `dvvC`, `dvwC`; Dolby Vision Streams Within the ISO Base
//! Media File Format 3.2) and the codec strings that follow from it (Dolby Vision Streams within
//! the HTTP Live Streaming format 2.4; RFC 8216bis 4.4.6.2, `SUPPLEMENTAL-CODECS`).

use super::sample_entry::Entry;
use crate::track::VideoRange;
use crate::{FourCc, PackageError};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Signal {
    profile: u8,
    level: u8,
    /// `dv_bl_signal_compatibility_id`: what a decoder without Dolby Vision makes of the base
    /// layer. 0 nothing, 1 HDR10, 2 SDR, 4 HLG, 6 HDR10 of a Blu-ray disc.
    compatibility: u8,
}

#[derive(Debug, Eq, PartialEq)]
pub(super) enum Codec {
    /// The track can be decoded as Dolby Vision alone.
    Primary(String),
    /// The base layer stands for itself, and this stands beside it.
    Supplemental(String),
    /// No brand names this combination: the base layer is all that can be offered.
    BaseOnly,
}

pub(super) fn find(entry: &Entry<'_>) -> Result<Option<Signal>, PackageError> {
    let Some(config) = entry.find(&[b"dvcC", b"dvvC", b"dvwC"]) else {
        return Ok(None);
    };
    let [_, _, high, low, compatibility] = *config
        .body
        .first_chunk::<5>()
        .ok_or_else(|| config.invalid("it ends before the compatibility id"))?;
    Ok(Some(Signal {
        profile: high >> 1,
        level: (high & 1) << 5 | low >> 3,
        compatibility: compatibility >> 4,
    }))
}

impl Signal {
    /// `VIDEO-RANGE` where the configuration decides it: a base layer that nothing else can show
    /// is PQ whatever its own colour description says (profile 5 writes "unspecified").
    pub(super) fn range(self) -> Option<VideoRange> {
        match self.compatibility {
            0 | 1 | 6 => Some(VideoRange::Pq),
            2 => Some(VideoRange::Sdr),
            4 => Some(VideoRange::Hlg),
            _ => None,
        }
    }

    /// `entry` is the sample entry type; `transfer` the base layer's transfer characteristics.
    ///
    /// A Dolby Vision sample entry (`dvh1`) makes a Dolby Vision string the only true one, also
    /// where the base layer could stand alone: players choose the decoder by the entry.
    pub(super) fn codec_string(self, entry: FourCc, transfer: Option<u8>) -> Codec {
        let tag = match &entry.0 {
            b"hvc1" | b"dvh1" => "dvh1",
            b"hev1" | b"dvhe" => "dvhe",
            b"avc1" | b"dva1" => "dva1",
            b"avc3" | b"dvav" => "dvav",
            b"av01" | b"dav1" => "dav1",
            _ => return Codec::BaseOnly,
        };
        let codec = format!("{tag}.{:02}.{:02}", self.profile, self.level);
        if entry.0.starts_with(b"d") || self.compatibility == 0 {
            return Codec::Primary(codec);
        }
        // Profiles 4 and 7 keep half of the picture in a second layer, which has no brand.
        match (self.profile, self.compatibility) {
            (4 | 7, _) => Codec::BaseOnly,
            (_, 1) => Codec::Supplemental(format!("{codec}/db1p")),
            (_, 2) => Codec::Supplemental(format!("{codec}/db2g")),
            // The HLG base layer may be labelled as SDR BT.2020 for old decoders.
            (_, 4) if transfer == Some(14) => Codec::Supplemental(format!("{codec}/db4g")),
            (_, 4) => Codec::Supplemental(format!("{codec}/db4h")),
            _ => Codec::BaseOnly,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(entry: &[u8; 4], profile: u8, compatibility: u8, transfer: u8, expected: Codec) {
        let signal = Signal { profile, level: 7, compatibility };
        assert_eq!(signal.codec_string(FourCc(*entry), Some(transfer)), expected);
    }

    #[test]
    fn strings_follow_entry_profile_and_compatibility() {
        let primary = |codec: &str| Codec::Primary(codec.to_owned());
        let supplemental = |codec: &str| Codec::Supplemental(codec.to_owned());
        check(b"dvh1", 5, 0, 2, primary("dvh1.05.07"));
        check(b"hev1", 5, 0, 2, primary("dvhe.05.07"));
        check(b"dvh1", 8, 1, 16, primary("dvh1.08.07"));
        check(b"hvc1", 8, 1, 16, supplemental("dvh1.08.07/db1p"));
        check(b"hvc1", 8, 2, 1, supplemental("dvh1.08.07/db2g"));
        check(b"hvc1", 8, 4, 18, supplemental("dvh1.08.07/db4h"));
        check(b"hvc1", 8, 4, 14, supplemental("dvh1.08.07/db4g"));
        check(b"av01", 10, 1, 16, supplemental("dav1.10.07/db1p"));
        check(b"dav1", 10, 0, 16, primary("dav1.10.07"));
        check(b"avc1", 9, 2, 1, supplemental("dva1.09.07/db2g"));
        check(b"hvc1", 7, 6, 16, Codec::BaseOnly);
    }
}
