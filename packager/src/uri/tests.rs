use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(path: &str, expected: ResourceName<'_>) {
    assert_eq!(ResourceName::parse(path), Some(expected));
    assert_eq!(expected.to_string(), path);
}

fn dir(packaging: Packaging, class: TrackClass) -> SegmentDir<'static> {
    SegmentDir { packaging, class, track: "v1", revision: "0a1b", muxed_with: None }
}

#[test]
fn manifests_and_playlists_lie_in_their_preset() {
    check("cmaf/master.m3u8", ResourceName::Multivariant { preset: "cmaf" });
    check("ts-aes128/manifest.mpd", ResourceName::Mpd { preset: "ts-aes128" });
    let playlist = |playlist| ResourceName::Playlist { preset: "ts", playlist };
    check("ts/v1.m3u8", playlist(PlaylistName::Track { track: "v1", muxed_with: None }));
    check("ts/v1_a2.m3u8", playlist(PlaylistName::Track { track: "v1", muxed_with: Some("a2") }));
    check("ts/v1.iframes.m3u8", playlist(PlaylistName::IFrames { track: "v1" }));
    check("ts/i1.images.m3u8", playlist(PlaylistName::Images { images: "i1" }));
}

#[test]
fn media_lies_below_packaging_class_and_revision() {
    let media = |dir, file| ResourceName::Media { dir, file };
    let fmp4 = dir(Packaging::Fmp4, TrackClass::Hd);
    check("fmp4/hd/v1-0a1b/init.mp4", media(fmp4, MediaFile::Init));
    check("fmp4/hd/v1-0a1b/12.m4s", media(fmp4, MediaFile::Segment(12)));
    check("fmp4/hd/v1-0a1b/i3.m4s", media(fmp4, MediaFile::IFrame(3)));
    check("fmp4/hd/v1-0a1b/track.mp4", media(fmp4, MediaFile::SingleFile));
    let ts = dir(Packaging::MpegTs, TrackClass::Uhd);
    check("mpegts/uhd/v1-0a1b/i3.ts", media(ts, MediaFile::IFrame(3)));
    let muxed = SegmentDir { muxed_with: Some(TrackVersion { track: "a1", revision: "ff" }), ..ts };
    check("mpegts/uhd/v1_a1-0a1b_ff/1.ts", media(muxed, MediaFile::Segment(1)));
    let text = dir(Packaging::WebVtt, TrackClass::Text);
    check("webvtt/text/v1-0a1b/all.vtt", media(text, MediaFile::WholeText));
    let image = dir(Packaging::Image, TrackClass::Image);
    let sprite = MediaFile::Image { number: 7, extension: "webp" };
    check("image/image/v1-0a1b/7.webp", media(image, sprite));
    check("thumbnails.vtt", ResourceName::Thumbnails);
    check("poster.jpg", ResourceName::Poster);
}

#[test]
fn names_that_no_manifest_writes_are_refused() {
    for path in [
        "",
        "/",
        "master.m3u8",
        "cmaf/",
        "/cmaf/master.m3u8",
        "../cmaf/master.m3u8",
        "CMAF/master.m3u8",
        "-cmaf/master.m3u8",
        "cmaf/v1",
        "cmaf/v1.m3u",
        "cmaf/.m3u8",
        "cmaf/v 1.m3u8",
        "cmaf/v1_a1_a2.m3u8",
        "cmaf/v1.iframes.images.m3u8",
        "cmaf/master.iframes.m3u8",
        "fmp4/hd/v1/1.m4s",
        "fmp4/hd/v1-/1.m4s",
        "fmp4/hd/v1-AB/1.m4s",
        "fmp4/hd/v1-ab/0.m4s",
        "fmp4/hd/v1-ab/01.m4s",
        "fmp4/hd/v1-ab/+1.m4s",
        "fmp4/hd/v1-ab/18446744073709551616.m4s",
        "fmp4/hd/v1-ab/1.ts",
        "fmp4/hd/v1-ab/1.m4s/",
        "fmp4/hd/v1-ab/1.m4s.m4s",
        "fmp4/hd/v1-ab//1.m4s",
        "fmp4/hd/v1_a1-ab_cd/1.m4s",
        "fmp4/image/v1-ab/1.m4s",
        "fmp4/audio/a1-ab/i1.m4s",
        "mpegts/text/t1-ab/1.ts",
        "mpegts/hd/v1_a1-ab/1.ts",
        "mpegts/hd/v1-ab_cd/1.ts",
        "mpegts/hd/v1_a1-ab_cd/i1.ts",
        "mpegts/hd/v1-ab/init.mp4",
        "webvtt/text/t1-ab/i1.vtt",
        "image/image/i1-ab/1.gif",
    ] {
        assert_eq!(ResourceName::parse(path), None, "{path}");
    }
    let long = "v".repeat(NAME_LEN_MAX + 1);
    assert_eq!(ResourceName::parse(&format!("cmaf/{long}.m3u8")), None);
    let long = "a".repeat(REVISION_LEN_MAX + 1);
    assert_eq!(ResourceName::parse(&format!("fmp4/hd/v1-{long}/1.m4s")), None);
}

/// Owned parts of a name: the tests below borrow from them.
#[derive(Clone, Debug)]
struct Parts {
    preset: String,
    track: String,
    other: String,
    revisions: (String, String),
    number: u64,
    form: usize,
    class: TrackClass,
    extension: &'static str,
}

impl Parts {
    fn dir(&self, packaging: Packaging, class: TrackClass) -> SegmentDir<'_> {
        SegmentDir {
            packaging,
            class,
            track: &self.track,
            revision: &self.revisions.0,
            muxed_with: None,
        }
    }

    /// One of every form that a manifest writes.
    fn name(&self) -> ResourceName<'_> {
        let (preset, number) = (self.preset.as_str(), self.number);
        let playlist = |playlist| ResourceName::Playlist { preset, playlist };
        let media = |dir, file| ResourceName::Media { dir, file };
        let fmp4 = self.dir(Packaging::Fmp4, self.class);
        let ts = self.dir(Packaging::MpegTs, self.class);
        let muxed = SegmentDir {
            muxed_with: Some(TrackVersion { track: &self.other, revision: &self.revisions.1 }),
            ..ts
        };
        let text = self.dir(Packaging::WebVtt, TrackClass::Text);
        let image = self.dir(Packaging::Image, TrackClass::Image);
        match self.form {
            0 => ResourceName::Multivariant { preset },
            1 => ResourceName::Mpd { preset },
            2 => playlist(PlaylistName::Track { track: &self.track, muxed_with: None }),
            3 => {
                playlist(PlaylistName::Track { track: &self.track, muxed_with: Some(&self.other) })
            }
            4 => playlist(PlaylistName::IFrames { track: &self.track }),
            5 => playlist(PlaylistName::Images { images: &self.track }),
            6 => media(fmp4, MediaFile::Init),
            7 => media(fmp4, MediaFile::Segment(number)),
            8 => media(fmp4, MediaFile::IFrame(number)),
            9 => media(fmp4, MediaFile::SingleFile),
            10 => media(ts, MediaFile::Segment(number)),
            11 => media(ts, MediaFile::IFrame(number)),
            12 => media(muxed, MediaFile::Segment(number)),
            13 => media(text, MediaFile::Segment(number)),
            14 => media(text, MediaFile::WholeText),
            15 => media(image, MediaFile::Image { number, extension: self.extension }),
            16 => ResourceName::Thumbnails,
            _ => ResourceName::Poster,
        }
    }
}

fn parts() -> impl Strategy<Value = Parts> {
    let name = || "[A-Za-z0-9]{1,32}".prop_filter("reserved", |name: &String| name != "master");
    let class = prop::sample::select(vec![TrackClass::Sd, TrackClass::Hd, TrackClass::Uhd]);
    let extension = prop::sample::select(vec!["jpg", "png", "webp"]);
    let revisions = ("[0-9a-f]{1,64}", "[0-9a-f]{1,64}");
    let preset = "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?";
    (preset, name(), name(), revisions, 1..=u64::MAX, 0..18_usize, class, extension).prop_map(
        |(preset, track, other, revisions, number, form, class, extension)| Parts {
            preset,
            track,
            other,
            revisions,
            number,
            form,
            class,
            extension,
        },
    )
}

proptest! {
    /// Every name that can be written is read back as the same value.
    #[test]
    fn written_names_are_read_back(parts in parts()) {
        let name = parts.name();
        let text = name.to_string();
        prop_assert_eq!(ResourceName::parse(&text), Some(name));
    }

    /// Whatever is accepted prints as it was read: a resource has one name.
    #[test]
    fn accepted_names_print_as_read(
        path in "(fmp4|mpegts|webvtt|image|cmaf)/(hd|audio|text|image|v1)(/[va_12-]{1,9}[-_ab0-9]{0,6}/(i?[0-9]{1,3}|init|track|all)\\.(m4s|mp4|ts|vtt|jpg))?",
    ) {
        if let Some(name) = ResourceName::parse(&path) {
            prop_assert_eq!(name.to_string(), path);
        }
    }

    #[test]
    fn any_text_is_read_without_panic(path in ".{0,200}") {
        if let Some(name) = ResourceName::parse(&path) {
            prop_assert_eq!(name.to_string(), path);
        }
    }
}
