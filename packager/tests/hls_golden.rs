//! HLS playlists as text, side by side with what an independent parser reads from them.

mod manifest_support;

use std::ops::Range;

use manifest_support::{Title, check_golden, presented, thumbnails};
use packager::hls::{
    MultivariantOptions, SegmentFormat, SingleFileRanges, muxed_audio, write_iframe_playlist,
    write_image_playlist, write_media_playlist, write_multivariant, write_single_file_playlist,
};
use packager::presentation::{Presentation, PresentedTrack};

fn multivariant(presentation: &Presentation<'_>, format: SegmentFormat, query: &str) -> String {
    write_multivariant(presentation, &MultivariantOptions { format, query })
}

/// Parses as a multivariant playlist whose every variant parses, too.
#[track_caller]
fn check_multivariant(name: &str, presentation: &Presentation<'_>, format: SegmentFormat) {
    let playlist = multivariant(presentation, format, "");
    check_golden(name, &playlist);
    let parsed = m3u8_rs::parse_master_playlist_res(playlist.as_bytes()).expect("it parses");
    let lines = |prefix: &str| playlist.lines().filter(|line| line.starts_with(prefix)).count();
    let variants = lines("#EXT-X-STREAM-INF") + lines("#EXT-X-I-FRAME-STREAM-INF");
    assert_eq!(parsed.variants.len(), variants);
    assert_eq!(parsed.alternatives.len(), lines("#EXT-X-MEDIA:"));
    for variant in parsed.variants.iter().filter(|variant| !variant.is_i_frame) {
        for (kind, group) in [("AUDIO", &variant.audio), ("SUBTITLES", &variant.subtitles)] {
            let Some(group) = group else { continue };
            let is_member = |line: &str| {
                line.starts_with(&format!("#EXT-X-MEDIA:TYPE={kind},GROUP-ID=\"{group}\""))
            };
            assert!(playlist.lines().any(is_member), "group {group} has members");
        }
        assert!(variant.bandwidth >= variant.average_bandwidth.expect("it is stated"));
    }
}

#[track_caller]
fn check_media(name: &str, playlist: &str) {
    check_golden(name, playlist);
    let parsed = m3u8_rs::parse_media_playlist_res(playlist.as_bytes()).expect("it parses");
    assert!(parsed.end_list);
    for segment in &parsed.segments {
        assert!(segment.duration.round() as u64 <= parsed.target_duration);
    }
}

#[test]
fn a_title_with_everything() {
    let title = Title::new();
    let images = vec![thumbnails("i1")];
    let presentation = Presentation { tracks: title.tracks(), images };
    check_multivariant("everything.cmaf.master.m3u8", &presentation, SegmentFormat::Fmp4);
}

#[test]
fn transport_streams_with_several_languages_are_demuxed() {
    let title = Title::new();
    let mut tracks = title.tracks();
    tracks.retain(|track| ["v1", "v2", "a1", "a4"].contains(&track.name));
    let presentation = Presentation { tracks, images: Vec::new() };
    assert!(muxed_audio(&presentation, SegmentFormat::MpegTs).is_none());
    check_multivariant("demuxed.ts.master.m3u8", &presentation, SegmentFormat::MpegTs);
}

#[test]
fn transport_streams_with_one_audio_track_are_muxed() {
    let title = Title::new();
    let mut tracks = title.tracks();
    tracks.retain(|track| ["v1", "v2", "a1"].contains(&track.name));
    let presentation = Presentation { tracks, images: Vec::new() };
    let audio = muxed_audio(&presentation, SegmentFormat::MpegTs).expect("one audio track");
    check_multivariant("muxed.ts.master.m3u8", &presentation, SegmentFormat::MpegTs);
    let playlist =
        write_media_playlist(&presentation.tracks[0], Some(audio), SegmentFormat::MpegTs);
    check_media("muxed.ts.v1_a1.m3u8", &playlist);
    assert!(muxed_audio(&presentation, SegmentFormat::Fmp4).is_none(), "CMAF is never muxed");
}

#[test]
fn audio_alone_is_its_own_variant() {
    let title = Title::new();
    let mut tracks = title.tracks();
    tracks.retain(|track| ["a1", "a2"].contains(&track.name));
    let mut presentation = Presentation { tracks, images: Vec::new() };
    check_multivariant("audio.cmaf.master.m3u8", &presentation, SegmentFormat::Fmp4);
    presentation.tracks = title.tracks();
    presentation.tracks.retain(|track| ["a1", "a4"].contains(&track.name));
    check_multivariant("audio-languages.cmaf.master.m3u8", &presentation, SegmentFormat::Fmp4);
}

#[test]
fn queries_are_carried_to_every_media_playlist() {
    let title = Title::new();
    let images = vec![thumbnails("i1")];
    let presentation = Presentation { tracks: title.tracks(), images };
    let playlist = multivariant(&presentation, SegmentFormat::Fmp4, "?start=0&end=12");
    let uris = playlist.matches(".m3u8").count();
    assert!(uris > 10);
    assert_eq!(playlist.matches(".m3u8?start=0&end=12").count(), uris);
}

/// RFC 8216bis 4.4.6.1.1: groups of one type have the same members, and their names differ.
#[test]
fn audio_groups_have_the_same_members() {
    let title = Title::new();
    let presentation = Presentation { tracks: title.tracks(), images: Vec::new() };
    let playlist = multivariant(&presentation, SegmentFormat::Fmp4, "");
    let parsed = m3u8_rs::parse_master_playlist_res(playlist.as_bytes()).expect("it parses");
    let audio = parsed.alternatives.iter();
    let audio: Vec<_> = audio.filter(|it| it.media_type.to_string() == "AUDIO").collect();
    let names = |group: &str| -> Vec<String> {
        audio.iter().filter(|it| it.group_id == group).map(|it| it.name.clone()).collect()
    };
    let first = names("aac-2");
    assert_eq!(first, ["English", "Director 'live' & crew", "Français"]);
    assert_eq!([names("aac-2-2"), names("ec-3-16-joc")], [first.clone(), first]);
    assert_eq!(audio.iter().filter(|it| it.default).count(), 3, "one default in each group");
}

#[test]
fn open_gops_are_not_called_independent() {
    let mut title = Title::new();
    title.avc_480.facts.open_gop = true;
    let presentation = Presentation { tracks: title.tracks(), images: Vec::new() };
    let playlist = multivariant(&presentation, SegmentFormat::Fmp4, "");
    assert!(!playlist.contains("EXT-X-INDEPENDENT-SEGMENTS"));
    let is_independent = |track: &PresentedTrack<'_>| {
        write_media_playlist(track, None, SegmentFormat::Fmp4)
            .contains("#EXT-X-INDEPENDENT-SEGMENTS\n")
    };
    assert!(is_independent(&presentation.tracks[0]));
    assert!(!is_independent(&presentation.tracks[1]));
}

#[test]
fn portrait_video_has_an_upright_resolution() {
    let mut title = Title::new();
    let quarter_turn = [0, 0x1_0000, 0, -0x1_0000, 0, 0, 0, 0, 0x4000_0000];
    title.avc_1080.info.display_matrix = Some(quarter_turn);
    let tracks = vec![presented(&title.avc_1080, "v1")];
    let presentation = Presentation { tracks, images: Vec::new() };
    let playlist = multivariant(&presentation, SegmentFormat::Fmp4, "");
    assert!(playlist.contains("RESOLUTION=1080x1920"));
}

#[test]
fn media_playlists_of_every_packaging() {
    let title = Title::new();
    let tracks = title.tracks();
    let track = |name: &str| tracks.iter().find(|track| track.name == name).expect("it exists");
    let (fmp4, ts) = (SegmentFormat::Fmp4, SegmentFormat::MpegTs);
    check_media("v1.cmaf.m3u8", &write_media_playlist(track("v1"), None, fmp4));
    check_media("a1.cmaf.m3u8", &write_media_playlist(track("a1"), None, fmp4));
    check_media("a1.ts.m3u8", &write_media_playlist(track("a1"), None, ts));
    check_media("t1.m3u8", &write_media_playlist(track("t1"), None, fmp4));
    check_media("v1.cmaf.iframes.m3u8", &write_iframe_playlist(track("v1"), fmp4));
    check_media("v1.ts.iframes.m3u8", &write_iframe_playlist(track("v1"), ts));
}

#[test]
fn clipped_playlists_keep_the_numbers_of_the_title() {
    let title = Title::new();
    let track = PresentedTrack { segments: 1..3, ..presented(&title.aac_english, "a1") };
    let playlist = write_media_playlist(&track, None, SegmentFormat::Fmp4);
    check_media("a1.clipped.m3u8", &playlist);
    let track = PresentedTrack { segments: 1..2, ..presented(&title.avc_1080, "v1") };
    check_media("v1.clipped.iframes.m3u8", &write_iframe_playlist(&track, SegmentFormat::Fmp4));
}

/// A file of 1 000 bytes in front and 500 bytes in each segment.
struct EvenFile;

impl SingleFileRanges for EvenFile {
    fn init_range(&self) -> Range<u64> {
        0..900
    }

    fn segment_range(&self, segment: usize) -> Option<Range<u64>> {
        let start = 1_000 + segment as u64 * 500;
        (segment < 3).then_some(start..start + 500)
    }
}

#[test]
fn single_files_are_byte_ranges() {
    let title = Title::new();
    let playlist = write_single_file_playlist(&presented(&title.avc_1080, "v1"), &EvenFile);
    check_media("v1.single.m3u8", &playlist);
    let parsed = m3u8_rs::parse_media_playlist_res(playlist.as_bytes()).expect("it parses");
    let ranges: Vec<_> = parsed.segments.iter().filter_map(|it| it.byte_range.clone()).collect();
    let expected: Vec<_> =
        (0..3).map(|n| m3u8_rs::ByteRange { length: 500, offset: Some(1_000 + n * 500) }).collect();
    assert_eq!(ranges, expected);
}

#[test]
fn images_are_tiled() {
    let title = Title::new();
    let mut presentation = Presentation { tracks: title.tracks(), images: vec![thumbnails("i1")] };
    let images = thumbnails("i1");
    check_golden("i1.images.m3u8", &write_image_playlist(&presentation, &images));
    let stream = "#EXT-X-IMAGE-STREAM-INF";
    assert!(multivariant(&presentation, SegmentFormat::Fmp4, "").contains(stream));
    // 6.006 s is inside the first sprite: no playlist could say so.
    for track in &mut presentation.tracks {
        track.segments = 1..3;
    }
    assert!(!multivariant(&presentation, SegmentFormat::Fmp4, "").contains(stream));
}
