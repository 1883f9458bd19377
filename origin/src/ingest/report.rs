//! What an ingest or a probe tells of the result.

use packager::index::TrackIndex;
use packager::text::CueTrack;
use packager::track::{MediaParams, TrackInfo};
use serde::Serialize;

use super::tracks::{ChosenTrack, LeftOut};

/// The result of an ingest.
#[derive(Clone, Debug, Serialize)]
pub struct IngestReport {
    pub id: String,
    pub title: String,
    pub duration_seconds: f64,
    pub segment_count: usize,
    pub tracks: Vec<TrackReport>,
    /// Presets that the title can be played with.
    pub presets: Vec<PresetReport>,
    pub left_out: Vec<LeftOut>,
    pub warnings: Vec<String>,
}

/// One track, as people and scripts read it.
#[derive(Clone, Debug, Serialize)]
pub struct TrackReport {
    pub name: String,
    pub kind: &'static str,
    pub codecs: String,
    pub language: String,
    pub label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<u32>,
    pub average_bitrate: u64,
    pub peak_bitrate: u64,
    pub sample_count: u32,
    /// Bytes of the track's index on disk.
    pub index_bytes: usize,
}

/// Which tracks a preset leaves out.
#[derive(Clone, Debug, Serialize)]
pub struct PresetReport {
    pub preset: String,
    pub playable: bool,
    pub left_out: Vec<String>,
}

impl TrackReport {
    pub fn new(
        name: &str,
        label: &str,
        info: &TrackInfo,
        index: Option<&TrackIndex>,
        index_bytes: usize,
    ) -> Self {
        let facts = index.map(|index| index.facts).unwrap_or_default();
        let (frames, per_seconds) = facts.frame_rate;
        let mut report = Self {
            name: name.to_owned(),
            kind: "text",
            codecs: info.codecs().to_owned(),
            language: info.language.clone(),
            label: label.to_owned(),
            width: None,
            height: None,
            frame_rate: None,
            channels: None,
            sample_rate: None,
            average_bitrate: facts.average_bitrate,
            peak_bitrate: facts.peak_bitrate,
            sample_count: facts.sample_count,
            index_bytes,
        };
        match &info.media {
            MediaParams::Video(video) => {
                report.kind = "video";
                report.width = Some(video.width);
                report.height = Some(video.height);
                report.frame_rate = (per_seconds > 0)
                    .then(|| (f64::from(frames) / f64::from(per_seconds) * 1e3).round() / 1e3);
            }
            MediaParams::Audio(audio) => {
                report.kind = "audio";
                report.channels = Some(audio.channels);
                report.sample_rate = Some(audio.sample_rate);
            }
            MediaParams::Text(_) => {}
        }
        report
    }

    /// Of a track that was read.
    pub fn of(track: &ChosenTrack, index: Option<&TrackIndex>, index_bytes: usize) -> Self {
        Self::new(&track.name, &track.label, &track.track.info, index, index_bytes)
    }

    /// Of text that was read into cues: what is counted are those, whatever samples held them.
    pub fn of_cues(track: &ChosenTrack, cues: &CueTrack) -> Self {
        let sample_count = u32::try_from(cues.cues.len()).unwrap_or(u32::MAX);
        Self { sample_count, ..Self::of(track, None, 0) }
    }
}
