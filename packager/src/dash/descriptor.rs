//! Descriptors (ISO/IEC 23009-1 5.8): scheme and value for what has no attribute of its own.

use super::xml::XmlWriter;
use crate::index::TrackFacts;
use crate::presentation::{Accessibility, PresentedTrack, TrackRole};
use crate::track::{AudioCodec, AudioParams, TrackKind, VideoParams, VideoRange};

/// Code points of ISO/IEC 23091-2 and -3, by the name of their table.
const CICP: &str = "urn:mpeg:mpegB:cicp:";
/// Loudspeaker masks of AC-3 and E-AC-3 (ETSI TS 102 366 I.1.2).
const DOLBY_CHANNELS: &str = "tag:dolby.com,2014:dash:audio_channel_configuration:2011";
/// Joint object coding in E-AC-3 (ETSI TS 103 420 D.2).
const DOLBY_EXTENSION: &str = "tag:dolby.com,2018:dash:EC3_ExtensionType:2018";
const DOLBY_COMPLEXITY: &str = "tag:dolby.com,2018:dash:EC3_ExtensionComplexityIndex:2018";
const ROLE: &str = "urn:mpeg:dash:role:2011";
const AUDIO_PURPOSE: &str = "urn:tva:metadata:cs:AudioPurposeCS:2007";
/// Captions inside the video (ANSI/SCTE 214-1 7.2.5).
const CEA_608: &str = "urn:scte:dash:cc:cea-608:2015";
const CEA_708: &str = "urn:scte:dash:cc:cea-708:2015";

/// H.273 code points: the BT.709 that players take for granted, and hybrid log-gamma.
const BT_709: u8 = 1;
const TRANSFER_HLG: u8 = 18;
const UNSPECIFIED: u8 = 2;

pub(super) fn write_descriptor(xml: &mut XmlWriter, element: &'static str, id: &str, value: &str) {
    xml.element(element).text("schemeIdUri", id).text("value", value).empty();
}

/// `AudioChannelConfiguration`.
pub(super) fn write_channels(xml: &mut XmlWriter, audio: &AudioParams) {
    const ELEMENT: &str = "AudioChannelConfiguration";
    if matches!(audio.codec, AudioCodec::Ac3 | AudioCodec::Eac3)
        && let Some(mask) = dolby_mask(audio.channels)
    {
        write_descriptor(xml, ELEMENT, DOLBY_CHANNELS, mask);
    } else if let Some(configuration) = channel_configuration(audio) {
        let scheme = format!("{CICP}ChannelConfiguration");
        write_descriptor(xml, ELEMENT, &scheme, &configuration.to_string());
    } else {
        // A layout without a code point: the scheme that counts loudspeakers.
        let scheme = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011";
        write_descriptor(xml, ELEMENT, scheme, &audio.channels.to_string());
    }
}

/// ISO/IEC 23091-3 ChannelConfiguration: what the stream says, else the usual layout of so many.
fn channel_configuration(audio: &AudioParams) -> Option<u8> {
    let stated = audio.channel_configuration.filter(|configuration| *configuration > 0);
    stated.or_else(|| match audio.channels {
        count @ 1..=6 => u8::try_from(count).ok(),
        7 => Some(11),
        8 => Some(12),
        _ => None,
    })
}

/// Loudspeakers as bits from the left: L, C, R, Ls, Rs, Lc/Rc, Lrs/Rrs, Cs, …, LFE.
fn dolby_mask(channels: u16) -> Option<&'static str> {
    match channels {
        1 => Some("4000"),
        2 => Some("A000"),
        3 => Some("E000"),
        4 => Some("B800"),
        5 => Some("F800"),
        6 => Some("F801"),
        7 => Some("F901"),
        8 => Some("FA01"),
        _ => None,
    }
}

/// `SupplementalProperty` for object audio: who does not know it plays the channels.
pub(super) fn write_object_audio(xml: &mut XmlWriter, audio: &AudioParams) {
    if let Some(complexity) = audio.joc_complexity {
        write_descriptor(xml, "SupplementalProperty", DOLBY_EXTENSION, "JOC");
        write_descriptor(xml, "SupplementalProperty", DOLBY_COMPLEXITY, &complexity.to_string());
    }
}

/// Colours other than BT.709. HDR is essential: a player that does not know PQ or HLG would show
/// a wrong picture, and so has to leave it (DASH-IF IOP 4.3, 10.3 and 10.4).
pub(super) fn write_colors(xml: &mut XmlWriter, video: &VideoParams) {
    let Some(color) = video.color else { return };
    let is_hdr = video.range != VideoRange::Sdr;
    let element = if is_hdr { "EssentialProperty" } else { "SupplementalProperty" };
    let points = [
        ("ColourPrimaries", color.primaries),
        ("TransferCharacteristics", color.transfer),
        ("MatrixCoefficients", color.matrix),
    ];
    for (table, point) in points {
        if point != UNSPECIFIED && (is_hdr || point != BT_709) {
            write_descriptor(xml, element, &format!("{CICP}{table}"), &point.to_string());
        }
    }
    // Backward compatible HLG says 14 (BT.2020) and adds its own name for those who know it.
    if video.range == VideoRange::Hlg && color.transfer != TRANSFER_HLG {
        let scheme = format!("{CICP}TransferCharacteristics");
        write_descriptor(xml, "SupplementalProperty", &scheme, &TRANSFER_HLG.to_string());
    }
}

/// `Accessibility` for captions inside the video. Nothing in it names their language.
pub(super) fn write_captions(xml: &mut XmlWriter, facts: &TrackFacts) {
    let list = |mask: u8, prefix: &str, value: &str| {
        let present = (0..8).filter(|bit| mask & (1 << bit) != 0);
        let entries = present.map(|bit| format!("{prefix}{}={value}", bit + 1));
        entries.collect::<Vec<_>>().join(";")
    };
    let cea_608 = list(facts.cea608_channels & 0x0f, "CC", "und");
    if !cea_608.is_empty() {
        write_descriptor(xml, "Accessibility", CEA_608, &cea_608);
    }
    let cea_708 = list(facts.cea708_services & 0x3f, "", "lang:und");
    if !cea_708.is_empty() {
        write_descriptor(xml, "Accessibility", CEA_708, &cea_708);
    }
}

/// `Accessibility` for the blind and the deaf.
pub(super) fn write_accessibility(xml: &mut XmlWriter, track: &PresentedTrack<'_>) {
    let has = |accessibility| track.accessibility.contains(&accessibility);
    let is_audio = track.index.info.kind() == TrackKind::Audio;
    let describes = has(Accessibility::DescribesVideo) || track.role == TrackRole::Description;
    if describes && is_audio {
        write_descriptor(xml, "Accessibility", AUDIO_PURPOSE, "1");
    }
    if has(Accessibility::HardOfHearing) {
        write_descriptor(xml, "Accessibility", AUDIO_PURPOSE, "2");
    }
}

pub(super) fn write_roles(xml: &mut XmlWriter, track: &PresentedTrack<'_>) {
    let role = match track.role {
        TrackRole::Main => "main",
        TrackRole::Alternate => "alternate",
        TrackRole::Commentary => "commentary",
        TrackRole::Dub => "dub",
        TrackRole::Subtitle => "subtitle",
        TrackRole::Caption => "caption",
        TrackRole::ForcedSubtitle => "forced-subtitle",
        TrackRole::Description => "description",
    };
    write_descriptor(xml, "Role", ROLE, role);
    if track.accessibility.contains(&Accessibility::EasyToRead) {
        write_descriptor(xml, "Role", ROLE, "easyreader");
    }
}
