use super::*;
use crate::Timescale;
use crate::track::VideoRange;

const BT709: ColorInfo = ColorInfo { primaries: 1, transfer: 1, matrix: 1, full_range: false };
const CLOSED_30: TrackFacts = TrackFacts { frame_rate: (30_000, 1_001), ..EMPTY };
const EMPTY: TrackFacts = TrackFacts {
    sample_count: 0,
    frame_rate: (0, 0),
    open_gop: false,
    cea608_channels: 0,
    cea708_services: 0,
    average_bitrate: 0,
    peak_bitrate: 0,
    reorder_ticks: 0,
    fits_ts: false,
};

fn video(rfc6381: &str, width: u16, height: u16, color: Option<ColorInfo>) -> MediaParams {
    MediaParams::Video(VideoParams {
        codec: VideoCodec::Avc,
        rfc6381: rfc6381.into(),
        supplemental: None,
        width,
        height,
        pixel_aspect: (1, 1),
        range: VideoRange::Sdr,
        color,
        nal_length_size: Some(4),
        parameter_sets: Vec::new(),
    })
}

fn audio(rfc6381: &str, channels: u16, sample_rate: u32) -> MediaParams {
    MediaParams::Audio(AudioParams {
        codec: AudioCodec::Aac,
        rfc6381: rfc6381.into(),
        channels,
        sample_rate,
        aac: None,
        joc_complexity: None,
        channel_configuration: None,
    })
}

fn text(codec: TextCodec, rfc6381: &str) -> MediaParams {
    MediaParams::Text(TextParams { codec, rfc6381: rfc6381.into() })
}

#[track_caller]
fn check(media: MediaParams, facts: TrackFacts, expected: &str) {
    let info = TrackInfo {
        source_track_id: 1,
        timescale: Timescale::MILLIS,
        language: "und".into(),
        name: String::new(),
        display_matrix: None,
        sample_entries: Vec::new(),
        media,
    };
    let brands: Vec<String> = init_brands(&info, &facts).iter().map(ToString::to_string).collect();
    assert_eq!(brands.join(" "), expected);
}

#[test]
fn avc_claims_the_narrowest_profile_that_holds() {
    let hd = |codec| video(codec, 1920, 1080, Some(BT709));
    check(hd("avc1.640028"), CLOSED_30, "cmfc iso6 cmf2 dash cfhd");
    check(hd("avc1.64002a"), CLOSED_30, "cmfc iso6 cmf2 dash chdf");
    check(hd("avc1.42c01f"), CLOSED_30, "cmfc iso6 cmf2 dash cfhd");
    check(video("avc3.4d401e", 720, 576, Some(BT709)), CLOSED_30, "cmfc iso6 cmf2 dash cfsd");
}

#[test]
fn what_is_not_shown_is_not_claimed() {
    let none = "cmfc iso6 cmf2 dash";
    check(video("avc1.640028", 1920, 1080, None), CLOSED_30, none);
    check(video("avc1.640033", 1920, 1080, Some(BT709)), CLOSED_30, none);
    check(video("avc1.640028", 1920, 1200, Some(BT709)), CLOSED_30, none);
    check(video("avc1.42001f", 1280, 720, Some(BT709)), CLOSED_30, none);
    check(video("avc1.6e0028", 1280, 720, Some(BT709)), CLOSED_30, none);
    check(video("avc1.640028", 1280, 720, Some(BT709)), EMPTY, none);
    check(
        video("avc1.640028", 1280, 720, Some(BT709)),
        TrackFacts { frame_rate: (120, 1), ..EMPTY },
        none,
    );
    for broken in ["avc1", "avc1.", "avc1.64002", "avc1.64002\u{e9}", "avc1.zzzzzz", ""] {
        check(video(broken, 1280, 720, Some(BT709)), CLOSED_30, none);
    }
}

#[test]
fn an_open_gop_is_no_cmaf() {
    let open = TrackFacts { open_gop: true, ..CLOSED_30 };
    check(video("avc1.640028", 1920, 1080, Some(BT709)), open, "iso6 dash");
}

#[test]
fn audio_and_text_have_profiles_of_their_own() {
    check(audio("mp4a.40.2", 2, 48_000), EMPTY, "cmfc iso6 cmf2 dash caac");
    check(audio("mp4a.40.2", 6, 48_000), EMPTY, "cmfc iso6 cmf2 dash");
    check(audio("mp4a.40.42", 2, 48_000), EMPTY, "cmfc iso6 cmf2 dash");
    check(audio("mp4a.40.2", 2, 96_000), EMPTY, "cmfc iso6 cmf2 dash");
    check(text(TextCodec::WebVtt, "wvtt"), EMPTY, "cmfc iso6 cmf2 dash cwvt");
    check(text(TextCodec::Ttml, "stpp.ttml.im1t"), EMPTY, "cmfc iso6 cmf2 dash im1t");
    check(text(TextCodec::Ttml, "stpp.ttml.im2t|etd1"), EMPTY, "cmfc iso6 cmf2 dash im2t");
    check(text(TextCodec::Ttml, "stpp"), EMPTY, "cmfc iso6 cmf2 dash");
}
