//! Cues and the track they form: what every text format is read into and written from.
//!
//! Times are milliseconds, which is what WebVTT can say (<https://www.w3.org/TR/webvtt1/> 3.3).
//! A payload is WebVTT cue text with its tags and escapes, whatever the source was.
//!
//! A *normal* cue can be written as WebVTT and read back unchanged; readers of this module make
//! only such cues:
//!
//! - it ends after it starts;
//! - the id is one line without `-->`, not blank, and no word that opens another kind of block;
//! - the settings are `name:value` tokens with one space between them;
//! - the payload has no carriage return, no NUL, no `-->` and no empty line.

use std::borrow::Cow;

use crate::MediaTime;

use super::timestamp::{Timestamp, parse_timestamp};

/// One cue of a text track.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Cue {
    /// First millisecond the cue is shown, from the start of the title.
    pub start_ms: u64,
    /// First millisecond the cue is no longer shown.
    pub end_ms: u64,
    pub id: Option<String>,
    /// Cue settings as the timing line carries them (`line:0 align:left`), or empty.
    pub settings: String,
    /// WebVTT cue text, lines separated by `\n`.
    pub payload: String,
}

/// A text track.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CueTrack {
    /// Sorted by start; cues that start together keep the order of their source.
    pub cues: Vec<Cue>,
    /// `STYLE` and `REGION` blocks of WebVTT with an empty line between them, or empty.
    pub header: String,
}

impl CueTrack {
    /// A track of normal cues in order. Cues that are never shown are left out.
    pub fn new(cues: Vec<Cue>, header: String) -> Self {
        let mut cues: Vec<Cue> =
            cues.into_iter().filter(|cue| cue.start_ms < cue.end_ms).map(Cue::normalize).collect();
        // The sort is stable: WebVTT shows cues that start together in the order of the file.
        cues.sort_by_key(|cue| cue.start_ms);
        Self { cues, header: normalize_header(&header) }
    }

    /// Cues shown at any instant of `[start, end)`, with their own times.
    ///
    /// The comparison is exact in the timescale of the boundaries. Looks at the cues that start
    /// before `end`.
    pub fn overlapping(&self, start: MediaTime, end: MediaTime) -> impl Iterator<Item = &Cue> {
        let after = self.cues.partition_point(|cue| millis(cue.start_ms) < end);
        self.cues[..after].iter().filter(move |cue| start < millis(cue.end_ms))
    }

    /// When the last cue is gone, in milliseconds; 0 without cues.
    pub fn end_ms(&self) -> u64 {
        self.cues.iter().map(|cue| cue.end_ms).max().unwrap_or(0)
    }
}

impl Cue {
    /// The nearest cue that WebVTT can say. Times stay as they are.
    pub fn normalize(self) -> Self {
        Self {
            id: self.id.as_deref().and_then(normalize_id),
            settings: normalize_settings(&self.settings),
            payload: normalize_payload(self.payload),
            ..self
        }
    }

    /// Moves the cue and the timestamps inside its payload. What would lie before 0 is cut off;
    /// `None` when nothing remains.
    pub fn shift(mut self, by_ms: i64) -> Option<Self> {
        if by_ms == 0 {
            return Some(self);
        }
        self.end_ms = self.end_ms.saturating_add_signed(by_ms);
        self.start_ms = self.start_ms.saturating_add_signed(by_ms);
        if self.end_ms <= self.start_ms {
            return None;
        }
        if let Cow::Owned(payload) = shift_payload(&self.payload, by_ms) {
            self.payload = payload;
        }
        Some(self)
    }
}

/// Moves the timestamp tags of a payload (`<00:00:01.500>`, WebVTT 3.3), down to 0 at most.
pub(super) fn shift_payload(payload: &str, by_ms: i64) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = payload;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at + 1);
        out.push_str(before);
        rest = tag;
        if let Some((time_ms, after)) = parse_timestamp(tag)
            && after.starts_with('>')
        {
            out.push_str(&Timestamp(time_ms.saturating_add_signed(by_ms)).to_string());
            rest = after;
        }
    }
    if out.is_empty() {
        return Cow::Borrowed(payload);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn millis(ms: u64) -> MediaTime {
    crate::Timescale::MILLIS.ticks(ms)
}

/// Words that open a block which is no cue. The standard tells them from an id by what follows;
/// readers in the field look at the first word only, so such an id would hide its cue.
const BLOCK_WORDS: [&str; 4] = ["WEBVTT", "NOTE", "STYLE", "REGION"];

fn normalize_id(id: &str) -> Option<String> {
    let id = id.trim();
    let fits = !id.is_empty()
        && !id.contains(['\n', '\r'])
        && !id.contains("-->")
        && !BLOCK_WORDS.iter().any(|word| id.starts_with(word));
    fits.then(|| id.replace('\0', "\u{fffd}"))
}

/// Keeps the tokens that have the form of a setting: a name, a colon, a value (WebVTT 3.5).
pub(super) fn normalize_settings(settings: &str) -> String {
    let mut out = String::with_capacity(settings.len());
    let is_setting = |token: &&str| {
        !token.contains("-->")
            && !token.contains('\0')
            && token.split_once(':').is_some_and(|(name, value)| {
                !name.is_empty() && !value.is_empty() && name.is_ascii()
            })
    };
    for token in settings.split_ascii_whitespace().filter(is_setting) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(token);
    }
    out
}

/// An empty line would end the cue, so it becomes a line that shows a space.
fn normalize_payload(payload: String) -> String {
    let is_normal = !payload.contains(['\r', '\0'])
        && !payload.contains("-->")
        && !payload.contains("\n\n")
        && !payload.starts_with('\n')
        && !payload.ends_with('\n');
    if is_normal {
        return payload;
    }
    let text = payload.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}");
    let text = text.replace("-->", "--&gt;");
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.trim_matches('\n').split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
            if line.is_empty() {
                out.push_str("&nbsp;");
            }
        }
        out.push_str(line);
    }
    out
}

/// Keeps the blocks that are `STYLE` or `REGION`, without what would end them early.
fn normalize_header(header: &str) -> String {
    let text = header.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}");
    let mut out = String::with_capacity(text.len());
    for block in text.split("\n\n").map(|block| block.trim_matches('\n')) {
        let word = block.lines().next().unwrap_or("").trim_end();
        let is_kept = matches!(word, "STYLE" | "REGION") && !block.contains("-->");
        if is_kept && block.contains('\n') {
            if !out.is_empty() {
                out.push_str("\n\n");
            }
            out.push_str(block);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cue(id: &str, settings: &str, payload: &str) -> Cue {
        Cue {
            start_ms: 0,
            end_ms: 1,
            id: Some(id.into()),
            settings: settings.into(),
            payload: payload.into(),
        }
    }

    #[test]
    fn what_webvtt_cannot_say_becomes_what_is_nearest() {
        let check = |from: Cue, id: Option<&str>, settings: &str, payload: &str| {
            let normal = from.normalize();
            assert_eq!(normal.id.as_deref(), id);
            assert_eq!(normal.settings, settings);
            assert_eq!(normal.payload, payload);
            assert_eq!(normal.clone().normalize(), normal);
        };
        check(cue("7", "line:0", "a\nb"), Some("7"), "line:0", "a\nb");
        check(cue(" 7 ", " line:0\t align:left ", "\na\n\n"), Some("7"), "line:0 align:left", "a");
        check(cue("a --> b", "a:--> x :y z:", "a --> b"), None, "", "a --&gt; b");
        check(cue("two\nlines", "", "a\r\n\r\nb\rc"), None, "", "a\n&nbsp;\nb\nc");
        check(cue("NOTE 3", "", "\0"), None, "", "\u{fffd}");
        check(cue("", "x:1\0", "a\n\n\nb"), None, "", "a\n&nbsp;\n&nbsp;\nb");
    }

    #[test]
    fn a_track_is_sorted_and_keeps_the_order_of_equal_starts() {
        let at = |start_ms, end_ms, payload: &str| Cue {
            start_ms,
            end_ms,
            payload: payload.into(),
            ..Cue::default()
        };
        let track = CueTrack::new(
            vec![at(5, 9, "c"), at(1, 2, "a"), at(3, 3, "x"), at(1, 9, "b")],
            "".into(),
        );
        let order: Vec<&str> = track.cues.iter().map(|cue| cue.payload.as_str()).collect();
        assert_eq!(order, ["a", "b", "c"]);
        assert_eq!(track.end_ms(), 9);
    }

    #[test]
    fn a_header_keeps_styles_and_regions() {
        let header =
            "STYLE\n::cue { color: red }\n\n\nNOTE x\n\nREGION\nid:a\nwidth:40%\n\nSTYLE\n";
        let track = CueTrack::new(vec![], header.into());
        assert_eq!(track.header, "STYLE\n::cue { color: red }\n\nREGION\nid:a\nwidth:40%");
    }

    #[test]
    fn shifting_moves_inner_timestamps_and_cuts_at_zero() {
        let karaoke = Cue {
            start_ms: 1_000,
            end_ms: 5_000,
            payload: "<00:00:01.000>la <b>x</b> <00:02.500>la <3".into(),
            ..Cue::default()
        };
        let later = karaoke.clone().shift(60_000).unwrap();
        assert_eq!((later.start_ms, later.end_ms), (61_000, 65_000));
        assert_eq!(later.payload, "<00:01:01.000>la <b>x</b> <00:01:02.500>la <3");
        let earlier = karaoke.clone().shift(-2_000).unwrap();
        assert_eq!((earlier.start_ms, earlier.end_ms), (0, 3_000));
        assert_eq!(earlier.payload, "<00:00:00.000>la <b>x</b> <00:00:00.500>la <3");
        assert_eq!(karaoke.shift(-5_000), None);
    }
}
