//! What a file says of itself can't break out of the place that a manifest has for it.

use fuzz::check_manifests;
use packager::Timescale;
use packager::index::{SegmentEntry, TrackFacts, TrackIndex};
use packager::track::{
    AudioCodec, AudioParams, MediaParams, TrackInfo, VideoCodec, VideoParams, VideoRange,
};

const HOSTILE: [&str; 8] = [
    "\"",
    "a\",URI=\"https://elsewhere.example/\",X=\"",
    "a\n#EXT-X-KEY:METHOD=AES-128,URI=\"https://elsewhere.example/\"\n",
    "a\r\n\r\n<script>",
    "\"/><BaseURL>https://elsewhere.example/</BaseURL><x y=\"",
    "]]>&lt;!--&#0;-->",
    "\u{0}\u{1}\u{7f}\u{85}\u{9f}\u{fffe}\u{ffff}",
    "\u{202e}\u{2028}\u{1f600}",
];

fn index(media: MediaParams, text: &str) -> TrackIndex {
    let segment = SegmentEntry {
        sample_count: 1,
        media_bytes: 1_000,
        ts_packets: 6,
        ..SegmentEntry::default()
    };
    TrackIndex {
        info: TrackInfo {
            source_track_id: 1,
            timescale: Timescale::MILLIS,
            language: text.to_owned(),
            name: text.to_owned(),
            display_matrix: None,
            sample_entries: vec![vec![0; 8]],
            media,
        },
        facts: TrackFacts {
            sample_count: 1,
            frame_rate: (25, 1),
            fits_ts: true,
            ..TrackFacts::default()
        },
        segments: vec![segment],
        iframes: Vec::new(),
        end_time: 6_000,
    }
}

#[test]
fn labels_languages_and_codecs_stay_in_their_quotes() {
    for text in HOSTILE {
        let video = MediaParams::Video(VideoParams {
            codec: VideoCodec::Avc,
            rfc6381: text.to_owned(),
            supplemental: Some(text.to_owned()),
            width: 320,
            height: 180,
            pixel_aspect: (1, 1),
            range: VideoRange::Sdr,
            color: None,
            nal_length_size: Some(4),
            parameter_sets: Vec::new(),
        });
        let audio = MediaParams::Audio(AudioParams {
            codec: AudioCodec::Aac,
            rfc6381: text.to_owned(),
            channels: 2,
            sample_rate: 48_000,
            aac: None,
            joc_complexity: None,
            channel_configuration: None,
        });
        let video = index(video, text);
        let (first, second) = (index(audio.clone(), text), index(audio, "de"));
        check_manifests(&[(&video, "v1"), (&first, "a1"), (&second, "a2")]);
        check_manifests(&[(&first, "a1")]);
    }
}
