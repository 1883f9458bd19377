//! DASH manifests as text, side by side with what an independent parser reads from them, and
//! validated against the schema of ISO/IEC 23009-1 when `STREAMVERSE_DASH_XSD` names it.

mod dash_schema;
mod manifest_support;

use dash_mpd_core::{AdaptationSet, MPD};
use manifest_support::{Title, check_golden, presented, thumbnails};
use packager::dash::{Addressing, MpdOptions, SingleFileHead, write_mpd};
use packager::presentation::{Presentation, PresentedTrack};

const NUMBERED: MpdOptions<'static> =
    MpdOptions { addressing: Addressing::Numbered, trick_mode: true };

#[track_caller]
fn check(name: &str, presentation: &Presentation<'_>, options: &MpdOptions<'_>) -> MPD {
    let manifest = write_mpd(presentation, options);
    check_golden(name, &manifest);
    dash_schema::check_valid(&manifest);
    let parsed = dash_mpd_core::parse(&manifest).expect("it parses");
    assert_eq!(parsed.periods.len(), 1);
    parsed
}

fn sets(mpd: &MPD) -> &[AdaptationSet] {
    &mpd.periods[0].adaptations
}

#[test]
fn a_title_with_everything() {
    let title = Title::new();
    let presentation = Presentation { tracks: title.tracks(), images: vec![thumbnails("i1")] };
    let mpd = check("everything.mpd", &presentation, &NUMBERED);
    let kinds = |kind: &str| {
        sets(&mpd).iter().filter(|set| set.contentType.as_deref() == Some(kind)).count()
    };
    assert_eq!([kinds("video"), kinds("audio"), kinds("text"), kinds("image")], [4, 4, 3, 1]);
    let mut ids: Vec<_> = sets(&mpd).iter().filter_map(|set| set.id.clone()).collect();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count, "set ids differ");
    for set in sets(&mpd) {
        let bandwidths: Vec<_> = set.representations.iter().map(|it| it.bandwidth).collect();
        assert!(bandwidths.is_sorted());
    }
}

/// Every track's offset is the start of the Period on its own clock.
#[test]
fn clipping_moves_the_period_to_the_earliest_segment() {
    let title = Title::new();
    let mut tracks = title.tracks();
    tracks.retain(|track| ["v1", "v2", "a1", "t1"].contains(&track.name));
    for track in &mut tracks {
        track.segments = 1..3;
    }
    let presentation = Presentation { tracks, images: vec![thumbnails("i1")] };
    let mpd = check("clipped.mpd", &presentation, &NUMBERED);
    let offset = |kind: &str| {
        let mut of_kind = sets(&mpd).iter().filter(|set| set.contentType.as_deref() == Some(kind));
        let template = of_kind.next().and_then(|set| set.SegmentTemplate.clone());
        template.and_then(|template| template.presentationTimeOffset)
    };
    // 6.006 s: the video starts it, the audio 10 ms later.
    assert_eq!(offset("video"), Some(180_180));
    assert_eq!(offset("audio"), Some(288_288));
    assert_eq!(offset("text"), Some(6_006));
    assert_eq!(offset("image"), Some(6_006));
    let duration = mpd.mediaPresentationDuration.expect("it is stated");
    assert_eq!(duration.as_micros(), 8_010_000, "from 6.006 s to the audio's end at 14.016 s");
}

#[test]
fn renditions_on_different_clocks_have_templates_of_their_own() {
    let mut title = Title::new();
    title.avc_480.info.timescale = manifest_support::timescale(60_000);
    for entry in &mut title.avc_480.segments {
        entry.decode_time *= 2;
    }
    title.avc_480.end_time *= 2;
    let tracks = vec![presented(&title.avc_1080, "v1"), presented(&title.avc_480, "v2")];
    let presentation = Presentation { tracks, images: Vec::new() };
    let options = MpdOptions { trick_mode: false, ..NUMBERED };
    let mpd = check("two-clocks.mpd", &presentation, &options);
    let set = &sets(&mpd)[0];
    assert!(set.SegmentTemplate.is_none());
    assert_eq!(set.segmentAlignment, Some(true));
    assert!(set.representations.iter().all(|it| it.SegmentTemplate.is_some()));
}

#[test]
fn single_files_have_an_index_range() {
    let title = Title::new();
    let head = |track: &PresentedTrack<'_>| {
        (track.name != "t3").then_some(SingleFileHead { init: 0..900, index: 900..1_000 })
    };
    let options = MpdOptions { addressing: Addressing::SingleFile(&head), trick_mode: true };
    let presentation = Presentation { tracks: title.tracks(), images: Vec::new() };
    let mpd = check("on-demand.mpd", &presentation, &options);
    let names = sets(&mpd).iter().flat_map(|set| &set.representations);
    let names: Vec<_> = names.filter_map(|it| it.id.clone()).collect();
    assert_eq!(names.len(), 10, "all but the track without a file, and no I-frames: {names:?}");
    let base = sets(&mpd)[0].representations[0].SegmentBase.clone().expect("it is addressed so");
    assert_eq!(base.indexRange.as_deref(), Some("900-999"));
    assert_eq!(base.Initialization.and_then(|it| it.range).as_deref(), Some("0-899"));
}

#[test]
fn open_gops_start_with_access_points_of_type_3() {
    let mut title = Title::new();
    title.avc_480.facts.open_gop = true;
    let tracks = vec![presented(&title.avc_1080, "v1"), presented(&title.avc_480, "v2")];
    let presentation = Presentation { tracks, images: Vec::new() };
    let manifest = write_mpd(&presentation, &MpdOptions { trick_mode: false, ..NUMBERED });
    assert!(manifest.contains("startWithSAP=\"3\""));
    assert!(!manifest.contains("startWithSAP=\"1\""));
}

/// Labels and languages come from files: none of them reaches the markup.
#[test]
fn hostile_names_stay_text() {
    let mut title = Title::new();
    title.aac_english.info.language = "\"><Period/>".to_owned();
    let label = "<&\">\u{0}\u{b}\u{ffff}\r\n";
    let tracks = vec![PresentedTrack { label, ..presented(&title.aac_english, "a1") }];
    let presentation = Presentation { tracks, images: Vec::new() };
    let manifest = write_mpd(&presentation, &NUMBERED);
    dash_schema::check_valid(&manifest);
    let mpd = dash_mpd_core::parse(&manifest).expect("it parses");
    assert_eq!(sets(&mpd).len(), 1);
    assert_eq!(sets(&mpd)[0].Label[0].content, "<&\">");
    assert_eq!(sets(&mpd)[0].lang.as_deref(), Some("und"));
}
