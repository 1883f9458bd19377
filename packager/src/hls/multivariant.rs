//! Multivariant playlist (RFC 8216 4.3.4): every video with every coding of the audio.

use super::media_playlist::image_files;
use super::renditions::{
    AudioGroup, AudioGroups, CAPTIONS_GROUP, Captions, SUBTITLES_GROUP, playlist_uri,
    write_subtitles,
};
use super::tag::{AttributeTag, push_number_tag};
use super::{SegmentFormat, muxed_audio, tracks_of};
use crate::presentation::{BitRate, Presentation, PresentedImages, PresentedTrack};
use crate::track::{MediaParams, TrackKind, VideoParams, VideoRange};
use crate::uri::PlaylistName;

/// How a multivariant playlist is written.
#[derive(Clone, Copy, Debug)]
pub struct MultivariantOptions<'a> {
    pub format: SegmentFormat,
    /// Appended to the URI of every media playlist: a query with its question mark, already
    /// percent-encoded, such as `?start=10&end=20`. Empty for none.
    pub query: &'a str,
}

/// Writes the multivariant playlist of `presentation`, which lies in `{preset}/`.
///
/// Variants come in the order of the tracks: for each coding of the audio, every video. A title
/// without video has one variant per coding.
pub fn write_multivariant(
    presentation: &Presentation<'_>,
    options: &MultivariantOptions<'_>,
) -> String {
    let mut out = String::with_capacity(4_096);
    let captions = Captions::of(presentation);
    write_header(&mut out, presentation, options.format, captions);
    let muxed = muxed_audio(presentation, options.format);
    let audio = AudioGroups::new(presentation, options.format);
    let videos = measured_videos(presentation, options.format, muxed);
    let is_single = audio.groups.iter().all(|group| group.members.len() == 1);
    let has_audio_renditions = muxed.is_none() && !(videos.is_empty() && is_single);
    if has_audio_renditions {
        audio.write(&mut out, options.query);
    }
    let texts: Vec<_> = tracks_of(presentation, TrackKind::Text).collect();
    let text_rates =
        texts.iter().map(|text| BitRate::of_track(text, options.format.packaging(text)));
    let variants = VariantWriter {
        options,
        muxed,
        has_audio_renditions,
        has_subtitles: write_subtitles(&mut out, presentation, options.query),
        has_captions: !captions.is_empty(),
        text_rate: text_rates.reduce(BitRate::max).unwrap_or_default(),
        texts,
    };
    captions.write(&mut out);
    for group in &audio.groups {
        for video in &videos {
            variants.write_video(&mut out, *video, Some(group));
        }
        if videos.is_empty() {
            variants.write_audio(&mut out, group);
        }
    }
    if audio.groups.is_empty() {
        for video in &videos {
            variants.write_video(&mut out, *video, None);
        }
    }
    for (video, _) in &videos {
        write_iframe_stream(&mut out, video, options);
    }
    for images in &presentation.images {
        if image_files(presentation, images).is_some() {
            write_image_stream(&mut out, images, options);
        }
    }
    out
}

type MeasuredVideo<'p> = (&'p PresentedTrack<'p>, BitRate);

/// Every video with the rates of its own segments, which hold the audio too when muxed.
fn measured_videos<'p>(
    presentation: &'p Presentation<'_>,
    format: SegmentFormat,
    muxed: Option<&PresentedTrack<'_>>,
) -> Vec<MeasuredVideo<'p>> {
    let measure = |video: &PresentedTrack<'_>| match muxed {
        Some(audio) => BitRate::of_multiplex(video, audio),
        None => BitRate::of_track(video, format.packaging(video)),
    };
    tracks_of(presentation, TrackKind::Video).map(|video| (video, measure(video))).collect()
}

fn write_header(
    out: &mut String,
    presentation: &Presentation<'_>,
    format: SegmentFormat,
    captions: Captions,
) {
    let version = match format {
        SegmentFormat::Fmp4 => 6,
        SegmentFormat::MpegTs => 4,
    };
    out.push_str("#EXTM3U\n");
    push_number_tag(out, "EXT-X-VERSION", captions.version().max(version));
    // RFC 8216 4.3.5.1 speaks for all segments of all media playlists.
    if !presentation.tracks.iter().any(|track| track.index.facts.open_gop) {
        out.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
}

struct VariantWriter<'p> {
    options: &'p MultivariantOptions<'p>,
    muxed: Option<&'p PresentedTrack<'p>>,
    has_audio_renditions: bool,
    has_subtitles: bool,
    has_captions: bool,
    texts: Vec<&'p PresentedTrack<'p>>,
    /// Of the text that needs most.
    text_rate: BitRate,
}

impl VariantWriter<'_> {
    fn write_video(
        &self,
        out: &mut String,
        (video, rate): MeasuredVideo<'_>,
        group: Option<&AudioGroup<'_>>,
    ) {
        let MediaParams::Video(params) = &video.index.info.media else { return };
        let rate = match group.filter(|_| self.muxed.is_none()) {
            Some(group) => rate.plus(group.rate),
            None => rate,
        };
        let audio_codecs = group.into_iter().flat_map(AudioGroup::codecs);
        let codecs = [video.index.info.codecs()].into_iter().chain(audio_codecs);
        let mut tag = AttributeTag::open(out, "EXT-X-STREAM-INF");
        self.write_rates(&mut tag, rate, codecs);
        tag.optional("SUPPLEMENTAL-CODECS", params.supplemental.as_deref());
        write_picture(&mut tag, video, params);
        self.write_groups(&mut tag, group);
        match self.has_captions {
            true => tag.quoted("CLOSED-CAPTIONS", CAPTIONS_GROUP).close(),
            false => tag.plain("CLOSED-CAPTIONS", "NONE").close(),
        }
        let muxed_with = self.muxed.map(|audio| audio.name);
        let name = PlaylistName::Track { track: video.name, muxed_with };
        push_uri(out, name, self.options.query);
    }

    fn write_audio(&self, out: &mut String, group: &AudioGroup<'_>) {
        let mut tag = AttributeTag::open(out, "EXT-X-STREAM-INF");
        self.write_rates(&mut tag, group.rate, group.codecs());
        self.write_groups(&mut tag, Some(group));
        tag.close();
        out.push_str(&playlist_uri(group.members[group.default_member], self.options.query));
        out.push('\n');
    }

    /// RFC 8216 4.3.4.2: "the BANDWIDTH value MUST be the largest sum of peak segment bit rates
    /// that is produced by any playable combination of Renditions"; AVERAGE-BANDWIDTH likewise.
    fn write_rates<'c>(
        &'c self,
        tag: &mut AttributeTag<'_>,
        media: BitRate,
        codecs: impl Iterator<Item = &'c str>,
    ) {
        let rate = media.plus(self.text_rate);
        let text_codecs = self.texts.iter().map(|text| text.index.info.codecs());
        let mut distinct: Vec<&str> = Vec::new();
        for codec in codecs.chain(text_codecs) {
            if !codec.is_empty() && !distinct.contains(&codec) {
                distinct.push(codec);
            }
        }
        tag.number("BANDWIDTH", rate.peak)
            .number("AVERAGE-BANDWIDTH", rate.average)
            .quoted("CODECS", &distinct.join(","));
    }

    fn write_groups(&self, tag: &mut AttributeTag<'_>, group: Option<&AudioGroup<'_>>) {
        if let Some(group) = group.filter(|_| self.has_audio_renditions) {
            tag.quoted("AUDIO", &group.id);
        }
        if self.has_subtitles {
            tag.quoted("SUBTITLES", SUBTITLES_GROUP);
        }
    }
}

/// `RESOLUTION`, `FRAME-RATE` and `VIDEO-RANGE`.
fn write_picture(tag: &mut AttributeTag<'_>, video: &PresentedTrack<'_>, params: &VideoParams) {
    tag.resolution("RESOLUTION", display_size(video, params));
    let (frames, seconds) = video.index.facts.frame_rate;
    if let Some(rate) = frame_rate(frames, seconds) {
        tag.plain("FRAME-RATE", &rate);
    }
    tag.plain("VIDEO-RANGE", video_range(params));
}

fn write_iframe_stream(
    out: &mut String,
    video: &PresentedTrack<'_>,
    options: &MultivariantOptions<'_>,
) {
    let MediaParams::Video(params) = &video.index.info.media else { return };
    if video.iframes().1.is_empty() {
        return;
    }
    let rate = BitRate::of_iframes(video, options.format.packaging(video));
    let name = PlaylistName::IFrames { track: video.name };
    AttributeTag::open(out, "EXT-X-I-FRAME-STREAM-INF")
        .number("BANDWIDTH", rate.peak)
        .number("AVERAGE-BANDWIDTH", rate.average)
        .quoted("CODECS", video.index.info.codecs())
        .optional("SUPPLEMENTAL-CODECS", params.supplemental.as_deref())
        .resolution("RESOLUTION", display_size(video, params))
        .plain("VIDEO-RANGE", video_range(params))
        .quoted("URI", &format!("{name}{}", options.query))
        .close();
}

fn write_image_stream(
    out: &mut String,
    images: &PresentedImages<'_>,
    options: &MultivariantOptions<'_>,
) {
    let name = PlaylistName::Images { images: images.name };
    // The codec names of image renditions are those of their media types.
    let codec = if images.extension == "jpg" { "jpeg" } else { images.extension };
    AttributeTag::open(out, "EXT-X-IMAGE-STREAM-INF")
        .number("BANDWIDTH", images.bandwidth())
        .resolution("RESOLUTION", (images.tile_width.into(), images.tile_height.into()))
        .quoted("CODECS", codec)
        .quoted("URI", &format!("{name}{}", options.query))
        .close();
}

/// Pixels as shown: after the pixel aspect ratio, and upright.
fn display_size(video: &PresentedTrack<'_>, params: &VideoParams) -> (u64, u64) {
    let (horizontal, vertical) = params.pixel_aspect;
    let (width, height) = (u64::from(params.width), u64::from(params.height));
    let width = match (u64::from(horizontal), u64::from(vertical)) {
        (0, _) | (_, 0) => width,
        (horizontal, vertical) => (width * horizontal + vertical / 2) / vertical,
    };
    match video.index.info.display_matrix {
        // `tkhd` matrix {a b u, c d v, …}: a quarter turn leaves nothing on the diagonal.
        Some([0, _, _, _, 0, ..]) => (height, width),
        _ => (width, height),
    }
}

/// Frames per second with three decimals.
fn frame_rate(frames: u32, seconds: u32) -> Option<String> {
    let (frames, seconds) = (u64::from(frames), u64::from(seconds));
    if frames == 0 || seconds == 0 {
        return None;
    }
    let thousandths = (frames * 1_000 + seconds / 2) / seconds;
    Some(format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000))
}

fn video_range(params: &VideoParams) -> &'static str {
    match params.range {
        VideoRange::Sdr => "SDR",
        VideoRange::Hlg => "HLG",
        VideoRange::Pq => "PQ",
    }
}

fn push_uri(out: &mut String, name: PlaylistName<'_>, query: &str) {
    out.push_str(&name.to_string());
    out.push_str(query);
    out.push('\n');
}
