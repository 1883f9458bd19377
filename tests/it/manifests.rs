//! Follows manifests as a player does, read by `m3u8-rs` and `dash-mpd-core`, and fetches all
//! that they name.

use std::collections::BTreeMap;

use m3u8_rs::{MasterPlaylist, MediaPlaylist, Playlist};

use crate::client::Client;

/// How the media of a rendition is packaged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    Fmp4,
    Ts,
    WebVtt,
}

/// A rendition as a manifest offers it, with its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Rendition {
    /// The manifest and what it calls the rendition.
    pub(crate) name: String,
    pub(crate) form: Form,
    /// Each piece is one picture for trick play.
    pub(crate) is_iframes: bool,
    pub(crate) codecs: String,
    pub(crate) init: Vec<u8>,
    pub(crate) pieces: Vec<Piece>,
    /// `EXT-X-TARGETDURATION`; 0 in DASH.
    pub(crate) target_seconds: u64,
    /// `EXT-X-PROGRAM-DATE-TIME` of the first segment, in milliseconds from 1970.
    pub(crate) start_date_ms: Option<i64>,
}

impl Rendition {
    /// Init segment and all media segments behind each other.
    pub(crate) fn concatenated(&self) -> Vec<u8> {
        let pieces = self.pieces.iter().flat_map(|piece| piece.bytes.iter());
        self.init.iter().chain(pieces).copied().collect()
    }
}

/// A segment.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) url: String,
    pub(crate) bytes: Vec<u8>,
    /// As HLS announces it.
    pub(crate) seconds: f64,
    /// Start and duration as DASH announces them, and its timescale.
    pub(crate) timeline: Option<(u64, u64, u64)>,
}

/// Everything fetched, by address.
#[derive(Debug)]
pub(crate) struct Fetcher<'a> {
    client: &'a mut Client,
    /// What stands in front of `/vod/`: nothing, or a token.
    root: String,
    pub(crate) bodies: BTreeMap<String, Vec<u8>>,
}

impl<'a> Fetcher<'a> {
    pub(crate) fn new(client: &'a mut Client) -> Self {
        Self::below(client, "")
    }

    /// Begins at manifests below `root`; all else follows from their relative URIs.
    pub(crate) fn below(client: &'a mut Client, root: &str) -> Self {
        Self { client, root: root.to_owned(), bodies: BTreeMap::new() }
    }

    #[track_caller]
    pub(crate) fn get(&mut self, url: &str) -> Vec<u8> {
        if let Some(body) = self.bodies.get(url) {
            return body.clone();
        }
        let body = self.client.get(url).body;
        self.bodies.insert(url.to_owned(), body.clone());
        body
    }

    #[track_caller]
    pub(crate) fn status(&mut self, url: &str) -> u16 {
        self.client.get_with(url, &[]).status
    }

    /// Bytes of a resource; a range is asked for as a range.
    #[track_caller]
    fn part(&mut self, url: &str, range: Option<(u64, u64)>) -> Vec<u8> {
        let Some((start, end)) = range else {
            return self.get(url);
        };
        let value = format!("bytes={start}-{}", end - 1);
        let answer = self.client.get_with(url, &[("Range", &value)]);
        assert_eq!(answer.status, 206, "{url} {value}");
        assert_eq!(answer.body.len() as u64, end - start, "{url} {value}");
        answer.body
    }

    /// All renditions of `/vod/{id}/{preset}/master.m3u8`.
    #[track_caller]
    pub(crate) fn hls(&mut self, id: &str, preset: &str) -> Vec<Rendition> {
        let url = format!("{}/vod/{id}/{preset}/master.m3u8", self.root);
        let master = parse_master(&self.get(&url));
        let mut playlists: Vec<(String, String, bool)> = Vec::new();
        for variant in &master.variants {
            let codecs = variant.codecs.clone().unwrap_or_default();
            assert!(!codecs.is_empty() && variant.bandwidth > 0, "{variant:?}");
            playlists.push((variant.uri.clone(), codecs, variant.is_i_frame));
        }
        for alternative in &master.alternatives {
            if let Some(uri) = &alternative.uri {
                playlists.push((uri.clone(), String::new(), false));
            }
        }
        playlists.sort();
        playlists.dedup_by(|left, right| left.0 == right.0);
        playlists
            .into_iter()
            .map(|(uri, codecs, is_iframes)| {
                let mut rendition = self.hls_rendition(&resolve(&url, &uri), is_iframes);
                rendition.codecs = codecs;
                rendition
            })
            .collect()
    }

    #[track_caller]
    pub(crate) fn hls_rendition(&mut self, url: &str, is_iframes: bool) -> Rendition {
        let playlist = parse_media(&self.get(url));
        assert!(playlist.end_list, "{url} is complete");
        assert_eq!(playlist.i_frames_only, is_iframes, "{url}");
        let mut init = Vec::new();
        let mut pieces = Vec::new();
        for segment in &playlist.segments {
            if let Some(map) = &segment.map {
                let range = map.byte_range.as_ref().map(byte_range);
                init = self.part(&resolve(url, &map.uri), range);
            }
            let address = resolve(url, &segment.uri);
            let range = segment.byte_range.as_ref().map(byte_range);
            let bytes = self.part(&address, range);
            pieces.push(Piece {
                url: address,
                bytes,
                seconds: f64::from(segment.duration),
                timeline: None,
            });
        }
        let form = match pieces.first().map(|piece| piece.url.as_str()) {
            Some(url) if url.ends_with(".ts") => Form::Ts,
            Some(url) if url.ends_with(".vtt") => Form::WebVtt,
            _ => Form::Fmp4,
        };
        let first_date = playlist.segments.first().and_then(|first| first.program_date_time);
        Rendition {
            name: url.to_owned(),
            form,
            is_iframes,
            codecs: String::new(),
            init,
            pieces,
            target_seconds: playlist.target_duration,
            start_date_ms: first_date.map(|date| date.timestamp_millis()),
        }
    }

    /// All representations of `/vod/{id}/{preset}/manifest.mpd`.
    #[track_caller]
    pub(crate) fn dash(&mut self, id: &str, preset: &str) -> Vec<Rendition> {
        let url = format!("{}/vod/{id}/{preset}/manifest.mpd", self.root);
        let xml = String::from_utf8(self.get(&url)).expect("an MPD is UTF-8");
        crate::judge::check_schema(&xml);
        let mpd = dash_mpd_core::parse(&xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
        let mut renditions = Vec::new();
        for period in &mpd.periods {
            for set in &period.adaptations {
                for representation in &set.representations {
                    let name = representation.id.clone().expect("a representation has an id");
                    let base = resolve(&url, &representation.BaseURL[0].base);
                    let template =
                        representation.SegmentTemplate.as_ref().or(set.SegmentTemplate.as_ref());
                    let (init, pieces) = match (template, &representation.SegmentBase) {
                        (Some(template), _) => self.template(&base, template),
                        (None, Some(segment_base)) => self.single(&base, segment_base),
                        (None, None) => panic!("{name} has no segments"),
                    };
                    renditions.push(Rendition {
                        is_iframes: name.ends_with("-iframes"),
                        name: format!("{url}#{name}"),
                        form: Form::Fmp4,
                        codecs: representation.codecs.clone().unwrap_or_default(),
                        init,
                        pieces,
                        target_seconds: 0,
                        start_date_ms: None,
                    });
                }
            }
        }
        renditions
    }

    #[track_caller]
    fn template(
        &mut self,
        base: &str,
        template: &dash_mpd_core::SegmentTemplate,
    ) -> (Vec<u8>, Vec<Piece>) {
        let timescale = template.timescale.unwrap_or(1);
        let init = template.initialization.as_ref().expect("an init segment is named");
        let init = self.get(&resolve(base, init));
        let media = template.media.as_ref().expect("media is named");
        let timeline = template.SegmentTimeline.as_ref().expect("a timeline");
        let mut number = template.startNumber.unwrap_or(1);
        let mut time = 0;
        let mut pieces = Vec::new();
        for s in &timeline.segments {
            time = s.t.unwrap_or(time);
            for _ in 0..=s.r.unwrap_or(0) {
                let url = resolve(base, &media.replace("$Number$", &number.to_string()));
                let bytes = self.get(&url);
                let seconds = s.d as f64 / timescale as f64;
                pieces.push(Piece { url, bytes, seconds, timeline: Some((time, s.d, timescale)) });
                number += 1;
                time += s.d;
            }
        }
        (init, pieces)
    }

    /// Finds the segments of a single file through its `sidx` (ISO/IEC 14496-12 8.16.3).
    #[track_caller]
    fn single(
        &mut self,
        url: &str,
        segment_base: &dash_mpd_core::SegmentBase,
    ) -> (Vec<u8>, Vec<Piece>) {
        use mp4_atom::Decode;

        let range = |text: &Option<String>| {
            let text = text.as_ref().expect("a range");
            let (start, end) = text.split_once('-').expect("a range");
            (start.parse::<u64>().expect("digits"), end.parse::<u64>().expect("digits") + 1)
        };
        let init_range = range(&segment_base.Initialization.as_ref().expect("an init").range);
        let index_range = range(&segment_base.indexRange);
        let init = self.part(url, Some(init_range));
        let index = self.part(url, Some(index_range));
        let sidx = mp4_atom::Sidx::decode(&mut &*index).expect("a sidx at the index range");
        assert_eq!(Some(u64::from(sidx.timescale)), segment_base.timescale);
        let mut at = index_range.1 + sidx.first_offset;
        let mut time = sidx.earliest_presentation_time;
        let mut pieces = Vec::new();
        for reference in &sidx.references {
            let end = at + u64::from(reference.referenced_size);
            let bytes = self.part(url, Some((at, end)));
            let duration = u64::from(reference.subsegment_duration);
            let timescale = u64::from(sidx.timescale);
            pieces.push(Piece {
                url: format!("{url}@{at}"),
                bytes,
                seconds: duration as f64 / timescale as f64,
                timeline: Some((time, duration, timescale)),
            });
            at = end;
            time += duration;
        }
        assert_eq!(self.get(url).len() as u64, at, "segments reach the end of the file");
        (init, pieces)
    }
}

fn byte_range(range: &m3u8_rs::ByteRange) -> (u64, u64) {
    let start = range.offset.expect("offsets are always written");
    (start, start + range.length)
}

#[track_caller]
pub(crate) fn parse_master(bytes: &[u8]) -> MasterPlaylist {
    match m3u8_rs::parse_playlist_res(bytes) {
        Ok(Playlist::MasterPlaylist(master)) => master,
        other => panic!("{other:?}: {}", String::from_utf8_lossy(bytes)),
    }
}

#[track_caller]
pub(crate) fn parse_media(bytes: &[u8]) -> MediaPlaylist {
    match m3u8_rs::parse_playlist_res(bytes) {
        Ok(Playlist::MediaPlaylist(media)) => media,
        other => panic!("{other:?}: {}", String::from_utf8_lossy(bytes)),
    }
}

/// A relative reference against the path of what names it (RFC 3986 5.2).
pub(crate) fn resolve(base: &str, reference: &str) -> String {
    let mut parts: Vec<&str> = base.split('/').collect();
    parts.pop();
    for part in reference.split('/') {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
