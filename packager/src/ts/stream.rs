//! Elementary streams: what a track is called in the PMT and how its samples are framed.

use super::adts::{self, AdtsHeader};
use super::annex_b::AnnexB;
use super::language::iso_639_2;
use super::pes::{self, Cadence};
use crate::track::{AudioCodec, AudioParams, MediaParams, TrackInfo, TrackKind, VideoCodec};
use crate::{FourCc, codec};

/// `stream_type` (ISO/IEC 13818-1 table 2-34; ATSC A/53 part 3 for the two of Dolby).
const AVC: u8 = 0x1b;
const HEVC: u8 = 0x24;
const MPEG1_AUDIO: u8 = 0x03;
const MPEG2_AUDIO: u8 = 0x04;
const ADTS_AAC: u8 = 0x0f;
const AC3: u8 = 0x81;
const EAC3: u8 = 0x87;

/// `stream_id` (ISO/IEC 13818-1 table 2-22). AC-3 and E-AC-3 go as private data.
const VIDEO_STREAM: u8 = 0xe0;
const AUDIO_STREAM: u8 = 0xc0;
const PRIVATE_STREAM_1: u8 = 0xbd;

const REGISTRATION_DESCRIPTOR: u8 = 0x05;
const LANGUAGE_DESCRIPTOR: u8 = 0x0a;

/// The lowest sampling rate of MPEG-1 audio, in hertz; below it are MPEG-2 and 2.5.
const MPEG1_RATE_MIN: u32 = 32_000;

/// A track as a transport stream knows it.
#[derive(Clone, Debug)]
pub(super) struct ElementaryStream {
    pub(super) kind: TrackKind,
    pub(super) stream_type: u8,
    pub(super) stream_id: u8,
    /// For the PMT, each with tag and length.
    pub(super) descriptors: Vec<u8>,
    /// One for each sample entry.
    framings: Vec<Framing>,
}

/// How samples become an elementary stream.
#[derive(Clone, Debug)]
pub(super) enum Framing {
    AnnexB(AnnexB),
    Adts(AdtsHeader),
    /// Frames that carry their own sync word.
    Bare(Option<Cadence>),
}

impl Framing {
    /// Bytes of an audio frame in the stream.
    pub(super) fn audio_frame_bytes(&self, sample_bytes: u32) -> Result<u32, &'static str> {
        match self {
            Self::Adts(_) => AdtsHeader::framed_bytes(sample_bytes),
            Self::Bare(_) if sample_bytes <= pes::AUDIO_BYTES_MAX => Ok(sample_bytes),
            _ => Err("the audio frame is too long for a PES packet"),
        }
    }

    /// How a reader counts the time of audio frames on, where the codec says.
    pub(super) fn cadence(&self) -> Option<Cadence> {
        match self {
            Self::AnnexB(_) => None,
            Self::Adts(header) => Some(header.cadence()),
            Self::Bare(cadence) => *cadence,
        }
    }

    /// The header in front of an audio frame of `sample_bytes`; empty where it brings its own.
    pub(super) fn audio_header(
        &self,
        sample_bytes: u32,
    ) -> Option<[u8; adts::HEADER_BYTES as usize]> {
        match self {
            Self::Adts(header) => Some(header.for_frame(sample_bytes + adts::HEADER_BYTES)),
            _ => None,
        }
    }
}

impl ElementaryStream {
    /// `None` when the track's codec, or that of one of its sample entries, has no place in a
    /// transport stream for HLS.
    pub(super) fn new(info: &TrackInfo) -> Option<Self> {
        let first = Naming::of(&info.media)?;
        let handler = match info.kind() {
            TrackKind::Video => FourCc::new(b"vide"),
            _ => FourCc::new(b"soun"),
        };
        let mut framings = vec![framing(&info.media)?];
        for entry in info.sample_entries.iter().skip(1) {
            let media = codec::describe(info.source_track_id, handler, entry, 0).ok()?;
            if Naming::of(&media)?.stream_type != first.stream_type {
                return None;
            }
            framings.push(framing(&media)?);
        }
        let mut descriptors = Vec::new();
        if let Some(format) = first.registration {
            descriptors.extend([REGISTRATION_DESCRIPTOR, 4]);
            descriptors.extend(format);
        }
        if let (TrackKind::Audio, Some(code)) = (info.kind(), iso_639_2(&info.language)) {
            // The last byte is the audio_type: undefined, as for any ordinary track.
            descriptors.extend([LANGUAGE_DESCRIPTOR, 4, code[0], code[1], code[2], 0]);
        }
        Some(Self {
            kind: info.kind(),
            stream_type: first.stream_type,
            stream_id: first.stream_id,
            descriptors,
            framings,
        })
    }

    /// Framing of a sample by its sample entry, counted from 0.
    pub(super) fn framing(&self, description_index: u16) -> Result<&Framing, &'static str> {
        self.framings
            .get(usize::from(description_index))
            .ok_or("the sample names a sample entry that the track lacks")
    }
}

/// What a codec is called.
struct Naming {
    stream_type: u8,
    stream_id: u8,
    registration: Option<&'static [u8; 4]>,
}

impl Naming {
    fn of(media: &MediaParams) -> Option<Self> {
        let (stream_type, stream_id, registration) = match media {
            MediaParams::Video(video) => match video.codec {
                VideoCodec::Avc => (AVC, VIDEO_STREAM, None),
                VideoCodec::Hevc => (HEVC, VIDEO_STREAM, Some(b"HEVC")),
                _ => return None,
            },
            MediaParams::Audio(audio) => match audio.codec {
                AudioCodec::Aac => (ADTS_AAC, AUDIO_STREAM, None),
                AudioCodec::Ac3 => (AC3, PRIVATE_STREAM_1, Some(b"AC-3")),
                AudioCodec::Eac3 => (EAC3, PRIVATE_STREAM_1, Some(b"EAC3")),
                AudioCodec::Mp3 => (mpeg_audio_type(audio), AUDIO_STREAM, None),
                _ => return None,
            },
            MediaParams::Text(_) => return None,
        };
        Some(Self { stream_type, stream_id, registration })
    }
}

fn mpeg_audio_type(audio: &AudioParams) -> u8 {
    if audio.sample_rate >= MPEG1_RATE_MIN { MPEG1_AUDIO } else { MPEG2_AUDIO }
}

/// Samples of a frame: 1536 of AC-3, and as many in a sample of E-AC-3 in MP4, which holds six blocks
/// (ETSI TS 102 366); 1152 of MPEG-1 layers II and III. At lower rates the layers differ.
fn cadence(audio: &AudioParams) -> Option<Cadence> {
    let sample_rate = audio.sample_rate;
    let frame_samples = match audio.codec {
        AudioCodec::Ac3 | AudioCodec::Eac3 => 1536,
        AudioCodec::Mp3 if sample_rate >= MPEG1_RATE_MIN => 1152,
        _ => return None,
    };
    (sample_rate > 0).then_some(Cadence { frame_samples, sample_rate })
}

fn framing(media: &MediaParams) -> Option<Framing> {
    match media {
        MediaParams::Video(video) => AnnexB::new(video).map(Framing::AnnexB),
        MediaParams::Audio(audio) if audio.codec == AudioCodec::Aac => {
            AdtsHeader::new(audio.aac.as_ref()?).map(Framing::Adts)
        }
        MediaParams::Audio(audio) => Some(Framing::Bare(cadence(audio))),
        MediaParams::Text(_) => None,
    }
}
