//! Renditions: which audio, subtitles and captions a variant can be played with
//! (RFC 8216 4.3.4.1).
//!
//! "Each Group of the same TYPE MUST have the same set of members", so audio is sorted twice: by
//! who it is for (language, label, role: one rendition), and by how it is coded (one group per
//! codec and channel layout). A rendition that lacks a coding appears in that group with the
//! nearest it has.

use super::tag::AttributeTag;
use super::{SegmentFormat, tracks_of};
use crate::presentation::{Accessibility, BitRate, Presentation, PresentedTrack, TrackRole};
use crate::track::{AudioCodec, AudioParams, MediaParams, TrackInfo, TrackKind};
use crate::uri::PlaylistName;

pub(super) const SUBTITLES_GROUP: &str = "subtitles";
pub(super) const CAPTIONS_GROUP: &str = "captions";

const DESCRIBES_VIDEO: &str = "public.accessibility.describes-video";
const FOR_THE_DEAF: &str =
    "public.accessibility.transcribes-spoken-dialog,public.accessibility.describes-music-and-sound";
const EASY_TO_READ: &str = "public.easy-to-read";

/// What the viewer chooses: one entry of a menu.
struct Rendition<'p> {
    /// Its codings in order of preference; never empty.
    tracks: Vec<&'p PresentedTrack<'p>>,
    /// Unique among the renditions.
    name: String,
    is_default: bool,
    is_autoselect: bool,
}

/// Renditions of a title's audio in one coding.
pub(super) struct AudioGroup<'p> {
    pub(super) id: String,
    pub(super) members: Vec<&'p PresentedTrack<'p>>,
    /// Index of the member that plays without a choice.
    pub(super) default_member: usize,
    /// Of the member that needs most.
    pub(super) rate: BitRate,
}

impl AudioGroup<'_> {
    /// Codec strings of the group.
    pub(super) fn codecs(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|track| hls_codecs(&track.index.info))
    }
}

/// The codec string that players of HLS know. They call MP3 by its MPEG-4 object type (34, Layer-3)
/// in every container; the two object types of `esds` mean nothing to them.
fn hls_codecs(info: &TrackInfo) -> &str {
    match &info.media {
        MediaParams::Audio(audio) if audio.codec == AudioCodec::Mp3 => "mp4a.40.34",
        _ => info.codecs(),
    }
}

/// All audio of a presentation, in groups that have the same members.
pub(super) struct AudioGroups<'p> {
    renditions: Vec<Rendition<'p>>,
    pub(super) groups: Vec<AudioGroup<'p>>,
}

impl<'p> AudioGroups<'p> {
    pub(super) fn new(presentation: &'p Presentation<'_>, format: SegmentFormat) -> Self {
        let renditions = renditions(tracks_of(presentation, TrackKind::Audio), true);
        let default_member = renditions.iter().position(|it| it.is_default).unwrap_or(0);
        let mut codings: Vec<Coding> = Vec::new();
        for rendition in &renditions {
            for track in &rendition.tracks {
                let coding = Coding::of(rendition, track);
                if !codings.contains(&coding) {
                    codings.push(coding);
                }
            }
        }
        let groups = codings.iter().map(|coding| {
            let members: Vec<_> = renditions.iter().map(|it| coding.nearest(it)).collect();
            let rates =
                members.iter().map(|track| BitRate::of_track(track, format.packaging(track)));
            let rate = rates.reduce(BitRate::max).unwrap_or_default();
            AudioGroup { id: coding.group_id(), members, default_member, rate }
        });
        Self { groups: groups.collect(), renditions }
    }

    pub(super) fn write(&self, out: &mut String, query: &str) {
        for group in &self.groups {
            for (rendition, track) in self.renditions.iter().zip(&group.members) {
                let mut tag = AttributeTag::open(out, "EXT-X-MEDIA");
                tag.plain("TYPE", "AUDIO").quoted("GROUP-ID", &group.id);
                write_choice(&mut tag, rendition);
                tag.optional("CHARACTERISTICS", characteristics(track).as_deref());
                if let MediaParams::Audio(audio) = &track.index.info.media {
                    tag.quoted("CHANNELS", &channels(audio));
                }
                tag.quoted("URI", &playlist_uri(track, query)).close();
            }
        }
    }
}

/// How audio is coded. Two tracks of one rendition that agree in codec and channels differ in bit
/// rate: they go to groups of different tiers.
#[derive(PartialEq)]
struct Coding {
    codec: AudioCodec,
    channels: String,
    tier: usize,
}

impl Coding {
    /// Of a track, among the codings of its rendition.
    fn of(rendition: &Rendition<'_>, track: &PresentedTrack<'_>) -> Self {
        let (codec, channels) = codec_and_channels(track);
        let tier = rendition
            .tracks
            .iter()
            .take_while(|other| !std::ptr::eq(**other, track))
            .filter(|other| codec_and_channels(other) == (codec, channels.clone()))
            .count();
        Self { codec, channels, tier }
    }

    /// The track of `rendition` that is coded like this, else the nearest.
    fn nearest<'p>(&self, rendition: &Rendition<'p>) -> &'p PresentedTrack<'p> {
        let alike = |track: &&&PresentedTrack<'_>| {
            codec_and_channels(track) == (self.codec, self.channels.clone())
        };
        let same_codec = |track: &&&PresentedTrack<'_>| codec_and_channels(track).0 == self.codec;
        let tiers = rendition.tracks.iter().filter(alike).take(self.tier + 1);
        tiers
            .last()
            .or_else(|| rendition.tracks.iter().find(same_codec))
            .copied()
            .unwrap_or(rendition.tracks[0])
    }

    fn group_id(&self) -> String {
        let codec = match self.codec {
            AudioCodec::Aac => "aac".to_owned(),
            AudioCodec::Ac3 => "ac-3".to_owned(),
            AudioCodec::Eac3 => "ec-3".to_owned(),
            AudioCodec::Opus => "opus".to_owned(),
            AudioCodec::Flac => "flac".to_owned(),
            AudioCodec::Mp3 => "mp3".to_owned(),
            AudioCodec::Other(kind) => kind.to_string(),
        };
        let channels = self.channels.replace('/', "-").to_ascii_lowercase();
        match self.tier {
            0 => format!("{codec}-{channels}"),
            tier => format!("{codec}-{channels}-{}", tier + 1),
        }
    }
}

fn codec_and_channels(track: &PresentedTrack<'_>) -> (AudioCodec, String) {
    match &track.index.info.media {
        MediaParams::Audio(audio) => (audio.codec, channels(audio)),
        // Groups hold audio alone; anything else is a coding of its own.
        _ => (AudioCodec::Other(crate::FourCc::new(b"    ")), String::new()),
    }
}

/// `CHANNELS`: loudspeakers, or the complexity of joint object coding (RFC 8216bis 4.4.6.1).
fn channels(audio: &AudioParams) -> String {
    match audio.joc_complexity {
        Some(complexity) => format!("{complexity}/JOC"),
        None => audio.channels.to_string(),
    }
}

/// Writes the subtitles; returns whether there are any.
pub(super) fn write_subtitles(
    out: &mut String,
    presentation: &Presentation<'_>,
    query: &str,
) -> bool {
    let renditions = renditions(tracks_of(presentation, TrackKind::Text), false);
    for rendition in &renditions {
        let track = rendition.tracks[0];
        let mut tag = AttributeTag::open(out, "EXT-X-MEDIA");
        tag.plain("TYPE", "SUBTITLES").quoted("GROUP-ID", SUBTITLES_GROUP);
        write_choice(&mut tag, rendition);
        if track.role == TrackRole::ForcedSubtitle {
            tag.plain("FORCED", "YES");
        }
        tag.optional("CHARACTERISTICS", characteristics(track).as_deref());
        tag.quoted("URI", &playlist_uri(track, query)).close();
    }
    !renditions.is_empty()
}

/// Captions that lie inside the video.
#[derive(Clone, Copy, Default)]
pub(super) struct Captions {
    cea608_channels: u8,
    cea708_services: u8,
}

impl Captions {
    pub(super) fn of(presentation: &Presentation<'_>) -> Self {
        let facts = tracks_of(presentation, TrackKind::Video).map(|track| track.index.facts);
        facts.fold(Self::default(), |captions, facts| Self {
            cea608_channels: captions.cea608_channels | facts.cea608_channels & 0x0f,
            cea708_services: captions.cea708_services | facts.cea708_services & 0x3f,
        })
    }

    pub(super) fn is_empty(self) -> bool {
        self.cea608_channels == 0 && self.cea708_services == 0
    }

    /// `SERVICE` is newer than `CC`.
    pub(super) fn version(self) -> u64 {
        if self.cea708_services == 0 { 1 } else { 7 }
    }

    /// Nothing in the video names a language, so that none is claimed.
    pub(super) fn write(self, out: &mut String) {
        let cea608 = bits(self.cea608_channels).map(|bit| format!("CC{}", bit + 1));
        let cea708 = bits(self.cea708_services).map(|bit| format!("SERVICE{}", bit + 1));
        for (index, id) in cea608.chain(cea708).enumerate() {
            AttributeTag::open(out, "EXT-X-MEDIA")
                .plain("TYPE", "CLOSED-CAPTIONS")
                .quoted("GROUP-ID", CAPTIONS_GROUP)
                .quoted("NAME", &id)
                .plain("DEFAULT", "NO")
                .plain("AUTOSELECT", if index == 0 { "YES" } else { "NO" })
                .quoted("INSTREAM-ID", &id)
                .close();
        }
    }
}

fn bits(mask: u8) -> impl Iterator<Item = u8> {
    (0..8).filter(move |bit| mask & (1 << bit) != 0)
}

fn write_choice(tag: &mut AttributeTag<'_>, rendition: &Rendition<'_>) {
    let yes_or_no = |is_so| if is_so { "YES" } else { "NO" };
    tag.quoted("NAME", &rendition.name)
        .optional("LANGUAGE", language(rendition.tracks[0]))
        .plain("DEFAULT", yes_or_no(rendition.is_default))
        .plain("AUTOSELECT", yes_or_no(rendition.is_autoselect));
}

pub(super) fn playlist_uri(track: &PresentedTrack<'_>, query: &str) -> String {
    format!("{}{query}", PlaylistName::Track { track: track.name, muxed_with: None })
}

/// Sorts tracks into renditions. Where none is marked as default, the first is when one must be.
fn renditions<'p>(
    tracks: impl Iterator<Item = &'p PresentedTrack<'p>>,
    wants_default: bool,
) -> Vec<Rendition<'p>> {
    let mut renditions: Vec<Rendition<'p>> = Vec::new();
    for track in tracks {
        let known = renditions.iter_mut().find(|it| {
            // Codings of one text don't exist: each is its own entry.
            wants_default && is_same_rendition(it.tracks[0], track)
        });
        match known {
            Some(rendition) => rendition.tracks.push(track),
            None => {
                let name = unique_name(track, &renditions);
                renditions.push(Rendition {
                    tracks: vec![track],
                    name,
                    is_default: false,
                    is_autoselect: false,
                });
            }
        }
    }
    choose(&mut renditions, wants_default);
    renditions
}

fn is_same_rendition(a: &PresentedTrack<'_>, b: &PresentedTrack<'_>) -> bool {
    a.index.info.language == b.index.info.language
        && (a.label, a.role, a.accessibility) == (b.label, b.role, b.accessibility)
}

/// Sets `DEFAULT` on at most one rendition, and `AUTOSELECT` on every one that a player could
/// choose by language and characteristics alone.
fn choose(renditions: &mut [Rendition<'_>], wants_default: bool) {
    let marked = renditions.iter().position(|it| it.tracks.iter().any(|track| track.is_default));
    let default = marked.or_else(|| (wants_default && !renditions.is_empty()).then_some(0));
    let mut taken = Vec::with_capacity(renditions.len());
    if let Some(default) = default {
        renditions[default].is_default = true;
        renditions[default].is_autoselect = true;
        taken.push(selection_key(renditions[default].tracks[0]));
    }
    for rendition in renditions.iter_mut().filter(|it| !it.is_default) {
        let key = selection_key(rendition.tracks[0]);
        let is_commentary = rendition.tracks[0].role == TrackRole::Commentary;
        if !is_commentary && !taken.contains(&key) {
            rendition.is_autoselect = true;
            taken.push(key);
        }
    }
}

/// What a player tells renditions apart by when it chooses for the viewer.
fn selection_key<'p>(track: &'p PresentedTrack<'p>) -> (&'p str, bool, Option<String>) {
    let is_forced = track.role == TrackRole::ForcedSubtitle;
    (&track.index.info.language, is_forced, characteristics(track))
}

/// `NAME`: the label, else the language, else the track's name; numbered where taken.
fn unique_name(track: &PresentedTrack<'_>, others: &[Rendition<'_>]) -> String {
    let candidates = [track.label.trim(), language(track).unwrap_or_default(), track.name];
    let base = candidates.into_iter().find(|name| !name.is_empty()).unwrap_or("-");
    let is_free = |name: &str| others.iter().all(|other| other.name != name);
    if is_free(base) {
        return base.to_owned();
    }
    // One more number than there are names, so that one is free.
    let mut numbered = (2..others.len() + 3).map(|number| format!("{base} ({number})"));
    numbered.find(|name| is_free(name)).unwrap_or_else(|| track.name.to_owned())
}

/// `LANGUAGE`; nothing when it is not known.
fn language<'p>(track: &'p PresentedTrack<'_>) -> Option<&'p str> {
    Some(track.index.info.language.as_str()).filter(|tag| !matches!(*tag, "" | "und"))
}

/// `CHARACTERISTICS`: uniform type identifiers with commas between them.
fn characteristics(track: &PresentedTrack<'_>) -> Option<String> {
    let has = |accessibility| track.accessibility.contains(&accessibility);
    let is_text = track.index.info.kind() == TrackKind::Text;
    let describes_video =
        has(Accessibility::DescribesVideo) || track.role == TrackRole::Description;
    let for_the_deaf = has(Accessibility::HardOfHearing) || track.role == TrackRole::Caption;
    let wanted = [
        (describes_video && !is_text, DESCRIBES_VIDEO),
        (for_the_deaf && is_text, FOR_THE_DEAF),
        (has(Accessibility::EasyToRead), EASY_TO_READ),
    ];
    let names: Vec<_> = wanted.iter().filter(|(is_so, _)| *is_so).map(|(_, name)| *name).collect();
    (!names.is_empty()).then(|| names.join(","))
}
