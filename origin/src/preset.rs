//! Presets: how a title is offered. Manifests lie under a preset's name, segments don't.

use packager::hls::SegmentFormat;
use packager::presentation::{Presentation, PresentedTrack};
use packager::track::{AudioCodec, MediaParams, TrackInfo, VideoCodec};

use crate::ingest::{PresetReport, ScannedTrack};

/// A preset that can be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Preset {
    pub name: &'static str,
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
    Preset { name: "cmaf", format: SegmentFormat::Fmp4, addressing: Addressing::Segments },
    Preset { name: "ts", format: SegmentFormat::MpegTs, addressing: Addressing::Segments },
    Preset { name: "cmaf-single", format: SegmentFormat::Fmp4, addressing: Addressing::SingleFile },
];

/// Presets of the contract that come with content protection.
pub const PROTECTED_PRESETS: [&str; 4] = ["cenc", "cbcs", "ts-aes128", "ts-sample-aes"];

impl Preset {
    pub fn find(name: &str) -> Option<Self> {
        PRESETS.into_iter().find(|preset| preset.name == name)
    }

    /// Why a track can't be offered under this preset.
    pub fn refusal(self, info: &TrackInfo, fits_ts: bool) -> Option<String> {
        if self.format == SegmentFormat::Fmp4 {
            return None;
        }
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

    /// Leaves out the tracks that can't be offered.
    pub fn keep_fitting(self, presentation: &mut Presentation<'_>) {
        let fits = |track: &PresentedTrack<'_>| {
            self.refusal(&track.index.info, track.index.facts.fits_ts).is_none()
        };
        presentation.tracks.retain(fits);
    }
}

/// What each preset makes of the tracks.
pub fn preset_reports(tracks: &[ScannedTrack]) -> Vec<PresetReport> {
    let report = |preset: Preset| {
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
        PresetReport { preset: preset.name, playable: media_tracks > 0, left_out }
    };
    PRESETS.into_iter().map(report).collect()
}
