//! Presets: how a title is offered. Manifests lie under a preset's name, segments don't.

use std::borrow::Cow;

use packager::hls::SegmentFormat;
use packager::presentation::{Presentation, PresentedTrack};
use packager::track::{AudioCodec, MediaParams, TrackInfo, VideoCodec};

use crate::ingest::{PresetReport, ScannedTrack};

/// A preset that can be asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Preset {
    pub name: Cow<'static, str>,
    pub format: SegmentFormat,
    pub addressing: Addressing,
}

/// How segments are found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Addressing {
    /// A file a segment.
    Segments,
    /// Byte ranges of one file a track.
    SingleFile,
}

/// The presets that need no configuration.
pub const PRESETS: [Preset; 3] = [
    Preset::built_in("cmaf", SegmentFormat::Fmp4, Addressing::Segments),
    Preset::built_in("ts", SegmentFormat::MpegTs, Addressing::Segments),
    Preset::built_in("cmaf-single", SegmentFormat::Fmp4, Addressing::SingleFile),
];

/// Presets of the contract that come with content protection.
pub const PROTECTED_PRESETS: [&str; 4] = ["cenc", "cbcs", "ts-aes128", "ts-sample-aes"];

impl Preset {
    const fn built_in(name: &'static str, format: SegmentFormat, addressing: Addressing) -> Self {
        Self { name: Cow::Borrowed(name), format, addressing }
    }

    /// A preset that needs no configuration.
    pub fn find(name: &str) -> Option<Self> {
        PRESETS.into_iter().find(|preset| preset.name == name)
    }

    /// Why a track can't be offered under this preset.
    pub fn refusal(&self, info: &TrackInfo, fits_ts: bool) -> Option<String> {
        match self.format {
            SegmentFormat::Fmp4 => None,
            SegmentFormat::MpegTs => ts_refusal(info, fits_ts),
        }
    }

    /// Leaves out the tracks that can't be offered.
    pub fn keep_fitting(&self, presentation: &mut Presentation<'_>) {
        let fits = |track: &PresentedTrack<'_>| {
            self.refusal(&track.index.info, track.index.facts.fits_ts).is_none()
        };
        presentation.tracks.retain(fits);
    }
}

/// Why a track can't be carried in MPEG-TS for HLS.
pub fn ts_refusal(info: &TrackInfo, fits_ts: bool) -> Option<String> {
    let carried = match &info.media {
        MediaParams::Video(video) => {
            matches!(video.codec, VideoCodec::Avc | VideoCodec::Hevc)
        }
        MediaParams::Audio(audio) => matches!(
            audio.codec,
            AudioCodec::Aac | AudioCodec::Ac3 | AudioCodec::Eac3 | AudioCodec::Mp3
        ),
        MediaParams::Text(_) => return None,
    };
    if !carried {
        return Some(format!("`{}` is not carried in HLS over MPEG-TS", info.codecs()));
    }
    (!fits_ts).then(|| "its samples don't fit a transport stream".to_owned())
}

/// What each preset makes of the tracks.
pub fn preset_reports(tracks: &[ScannedTrack]) -> Vec<PresetReport> {
    let report = |preset: &Preset| {
        let mut left_out = Vec::new();
        let mut media_tracks = 0;
        for scanned in tracks {
            let ScannedTrack::Indexed { track, index, .. } = scanned else {
                continue;
            };
            match preset.refusal(&index.info, index.facts.fits_ts) {
                Some(reason) => left_out.push(format!("{}: {reason}", track.name)),
                None => media_tracks += 1,
            }
        }
        PresetReport { preset: preset.name.to_string(), playable: media_tracks > 0, left_out }
    };
    PRESETS.iter().map(report).collect()
}
