//! Track descriptions: plain data, filled at ingest, kept in the index, read by every writer.

use serde::{Deserialize, Serialize};

use crate::{FourCc, Timescale};

/// Everything about a track that is not a sample.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct TrackInfo {
    /// `track_ID` in the source file.
    pub source_track_id: u32,
    pub timescale: Timescale,
    /// BCP 47; `und` when the source does not say.
    pub language: String,
    /// `hdlr` name, or empty: the label when nobody gives a better one.
    pub name: String,
    /// `tkhd` matrix, verbatim; `None` for the identity.
    pub display_matrix: Option<[i32; 9]>,
    /// Sample entry boxes verbatim, headers included, in `stsd` order; QuickTime sound descriptions
    /// alone are rewritten as ISO entries. Never empty for video and audio; those with equal bytes
    /// are stored once.
    pub sample_entries: Vec<Vec<u8>>,
    pub media: MediaParams,
}

impl TrackInfo {
    pub fn kind(&self) -> TrackKind {
        match self.media {
            MediaParams::Video(_) => TrackKind::Video,
            MediaParams::Audio(_) => TrackKind::Audio,
            MediaParams::Text(_) => TrackKind::Text,
        }
    }

    /// RFC 6381 codec string, as `CODECS` and `@codecs` carry it.
    pub fn codecs(&self) -> &str {
        match &self.media {
            MediaParams::Video(video) => &video.rfc6381,
            MediaParams::Audio(audio) => &audio.rfc6381,
            MediaParams::Text(text) => &text.rfc6381,
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TrackKind {
    Video,
    Audio,
    Text,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum MediaParams {
    Video(VideoParams),
    Audio(AudioParams),
    Text(TextParams),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum VideoCodec {
    Avc,
    Hevc,
    Av1,
    Vp9,
    /// Carried over by its sample entry alone; no MPEG-TS, no subsample layout.
    Other(FourCc),
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct VideoParams {
    pub codec: VideoCodec,
    /// `avc1.64001f`, `hvc1.2.4.L120.b0`, `av01.0.08M.10.0.110.09.16.09.0`, `vp09.00.31.08`.
    pub rfc6381: String,
    /// `SUPPLEMENTAL-CODECS` with its brand, such as `dvh1.08.07/db1p` (Dolby Vision 8).
    pub supplemental: Option<String>,
    /// Luma samples after cropping, before the pixel aspect ratio is applied.
    pub width: u16,
    pub height: u16,
    /// `pasp`, reduced; (1, 1) when absent.
    pub pixel_aspect: (u32, u32),
    pub range: VideoRange,
    pub color: Option<ColorInfo>,
    /// Bytes of the length before each NAL unit (1, 2 or 4); `None` for codecs without NAL units.
    pub nal_length_size: Option<u8>,
    /// Parameter sets of the first sample entry, without start codes, in stream order (VPS, SPS,
    /// PPS): what MPEG-TS repeats before key frames.
    pub parameter_sets: Vec<Vec<u8>>,
}

/// `VIDEO-RANGE` (RFC 8216bis 4.4.6.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum VideoRange {
    #[default]
    Sdr,
    Hlg,
    Pq,
}

/// Coding-independent code points (ITU-T H.273).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ColorInfo {
    pub primaries: u8,
    pub transfer: u8,
    pub matrix: u8,
    pub full_range: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum AudioCodec {
    Aac,
    Ac3,
    Eac3,
    Opus,
    Flac,
    Mp3,
    /// Carried over by its sample entry alone; no MPEG-TS.
    Other(FourCc),
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct AudioParams {
    pub codec: AudioCodec,
    /// `mp4a.40.2`, `ac-3`, `ec-3`, `Opus`, `fLaC`, `mp4a.6B` …
    pub rfc6381: String,
    /// Loudspeakers, as the decoder puts out (6 for 5.1).
    pub channels: u16,
    /// Hertz, as the decoder puts out (twice the core's rate for HE-AAC with SBR signalled).
    pub sample_rate: u32,
    /// What ADTS needs; AAC only.
    pub aac: Option<AacConfig>,
    /// `complexity_index_type_a` of E-AC-3 with joint object coding (Dolby Atmos): the number in
    /// `CHANNELS="16/JOC"` and in the DASH supplemental property.
    pub joc_complexity: Option<u8>,
    /// ISO/IEC 23091-3 ChannelConfiguration when the bitstream names one.
    pub channel_configuration: Option<u8>,
}

/// The fields of AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1) that an ADTS header repeats.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct AacConfig {
    /// Of the core: 2 (LC) for HE-AAC too.
    pub object_type: u8,
    /// Of the core.
    pub frequency_index: u8,
    pub channel_configuration: u8,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum TextCodec {
    /// Cues kept by us; written as WebVTT for HLS and as `wvtt` for DASH.
    WebVtt,
    /// TTML documents in samples (`stpp`), carried over as they are.
    Ttml,
}

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct TextParams {
    pub codec: TextCodec,
    /// `wvtt`, `stpp.ttml.im1t` …
    pub rfc6381: String,
}
