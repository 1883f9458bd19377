//! Which brands an init segment may claim.
//!
//! A brand is a promise, so each is claimed only where the index shows that it is kept; a track
//! that fits no media profile has the structural brands alone.

use crate::FourCc;
use crate::index::TrackFacts;
use crate::track::{
    AudioCodec, AudioParams, ColorInfo, MediaParams, TextCodec, TextParams, TrackInfo, VideoCodec,
    VideoParams,
};

/// The brands of a track's init segment, the major one first.
///
/// `iso6` brings `tfdt` and `default-base-is-moof`, `dash` the segment formats of ISO/IEC 23009-1.
/// `cmfc` and `cmf2` (ISO/IEC 23000-19 7.2) ask of video that segments open on a stream access
/// point of type 1 or 2, which an open GOP does not.
pub(super) fn init_brands(info: &TrackInfo, facts: &TrackFacts) -> Vec<FourCc> {
    let is_cmaf = !facts.open_gop;
    let structure: &[FourCc] = if is_cmaf { &[CMFC, ISO6, CMF2, DASH] } else { &[ISO6, DASH] };
    let profile = match &info.media {
        MediaParams::Video(video) if is_cmaf => avc_profile(video, facts),
        MediaParams::Video(_) => None,
        MediaParams::Audio(audio) => aac_core_profile(audio),
        MediaParams::Text(text) => text_profile(text),
    };
    structure.iter().copied().chain(profile).collect()
}

/// The AVC media profiles (ISO/IEC 23000-19 Annex A.1), the narrowest that holds.
fn avc_profile(video: &VideoParams, facts: &TrackFacts) -> Option<FourCc> {
    if video.codec != VideoCodec::Avc {
        return None;
    }
    let [profile, constraints, level] = avc_levels(&video.rfc6381)?;
    // A High decoder reads Main, and Baseline where constraint_set1 says that it is Main as well.
    let is_high = matches!(profile, 77 | 100) || profile == 66 && constraints & 0x40 != 0;
    let (frames, seconds) = facts.frame_rate;
    let is_paced = seconds != 0 && u64::from(frames) <= 60 * u64::from(seconds);
    let color = video.color?;
    let is_bt709 = matches!(color, ColorInfo { primaries: 1, transfer: 1, matrix: 1, .. });
    let is_sd_color =
        matches!(color, ColorInfo { primaries: 1 | 5 | 6, transfer: 1 | 6, matrix: 1 | 5 | 6, .. });
    let fits = |width, height| video.width <= width && video.height <= height;

    if !is_high || !is_paced {
        None
    } else if is_sd_color && level <= 31 && fits(864, 576) {
        Some(FourCc::new(b"cfsd"))
    } else if is_bt709 && level <= 40 && fits(1920, 1080) {
        Some(FourCc::new(b"cfhd"))
    } else if is_bt709 && level <= 42 && fits(1920, 1080) {
        Some(FourCc::new(b"chdf"))
    } else {
        None
    }
}

/// `profile_idc`, the constraint flags and `level_idc` of an `avc1.PPCCLL` string (RFC 6381 3.3).
fn avc_levels(rfc6381: &str) -> Option<[u8; 3]> {
    let (_, digits) = rfc6381.split_once('.')?;
    let value = (digits.len() == 6).then(|| u32::from_str_radix(digits, 16).ok())??;
    let [_, bytes @ ..] = value.to_be_bytes();
    Some(bytes)
}

/// AAC core (ISO/IEC 23000-19 10.5): LC, HE or HEv2, mono or stereo, at most 48 kHz.
fn aac_core_profile(audio: &AudioParams) -> Option<FourCc> {
    let holds = audio.codec == AudioCodec::Aac
        && matches!(audio.rfc6381.as_str(), "mp4a.40.2" | "mp4a.40.5" | "mp4a.40.29")
        && matches!(audio.channels, 1 | 2)
        && audio.sample_rate <= 48_000;
    holds.then_some(FourCc::new(b"caac"))
}

/// WebVTT (11.2), and the IMSC profile that an `stpp` string names (11.3).
fn text_profile(text: &TextParams) -> Option<FourCc> {
    match text.codec {
        TextCodec::WebVtt => Some(FourCc::new(b"cwvt")),
        TextCodec::Ttml => text.rfc6381.split(['.', '|']).find_map(|part| {
            let imsc = [b"im1t", b"im1i", b"im2t", b"im2i"];
            imsc.into_iter().find(|brand| part.as_bytes() == *brand).map(FourCc::new)
        }),
    }
}

const CMFC: FourCc = FourCc::new(b"cmfc");
const CMF2: FourCc = FourCc::new(b"cmf2");
const DASH: FourCc = FourCc::new(b"dash");
const ISO6: FourCc = FourCc::new(b"iso6");

#[cfg(test)]
mod tests;
