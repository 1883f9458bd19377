//! Styled text samples: 3GPP timed text (`tx3g`, 3GPP TS 26.245, ISO/IEC 14496-17) and QuickTime
//! `text` (QuickTime File Format, "Text Sample Data").
//!
//! ```text
//! 2 bytes   length of the text in bytes; 0 clears the screen
//! text      UTF-8, or UTF-16 after a byte order mark; older QuickTime: Mac OS Roman
//! boxes     styl: which characters are bold, italic, underlined; others don't matter here
//! ```
//!
//! Vertical justification is relative to a text box that the track header places on the screen,
//! so it says nothing alone and is left out; so are fonts, colours, scrolling and links.

use std::borrow::Cow;

use encoding_rs::{MACINTOSH, UTF_16BE, UTF_16LE};

use crate::{FourCc, PackageError};

use super::boxes::boxes;
use super::markup::{CueText, Tag};
use super::sample::{CueIdentity, ShownCue};

/// What a sample entry says about all samples.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct StyledTextEntry {
    flavor: Flavor,
    /// Style of characters that no `styl` covers.
    face: Face,
    settings: &'static str,
    pub(super) is_forced: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Flavor {
    Tx3g,
    QuickTime,
}

/// `face-style-flags`: 1 bold, 2 italic, 4 underline. The rest is not kept.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Face(u8);

impl Face {
    const TAGS: [(u8, Tag); 3] = [(1, Tag::Bold), (2, Tag::Italic), (4, Tag::Underline)];

    fn new(flags: u8) -> Self {
        Self(flags & 7)
    }
}

/// `displayFlags` bit: every sample is forced.
const ALL_SAMPLES_FORCED: u32 = 0x8000_0000;

impl StyledTextEntry {
    /// `TextSampleEntry` (3GPP TS 26.245 5.16), header included.
    pub(super) fn parse_tx3g(entry: &[u8]) -> Result<Self, PackageError> {
        let display_flags = be_u32(entry, 16);
        let justification = entry.get(20).copied();
        let face = entry.get(40).copied();
        let (Some(display_flags), Some(justification), Some(face)) =
            (display_flags, justification, face)
        else {
            return Err(cut_off(b"tx3g", entry));
        };
        let settings = match justification {
            0 => "align:left",
            0xff => "align:right",
            _ => "",
        };
        let is_forced = display_flags & ALL_SAMPLES_FORCED != 0;
        Ok(Self { flavor: Flavor::Tx3g, face: Face::new(face), settings, is_forced })
    }

    /// QuickTime text sample description, header included. Justification is not kept: chapter
    /// tracks, the most common use, leave it at left without meaning it.
    pub(super) fn parse_quicktime(entry: &[u8]) -> Result<Self, PackageError> {
        let Some(face) = entry.get(49).copied() else { return Err(cut_off(b"text", entry)) };
        let face = Face::new(face);
        Ok(Self { flavor: Flavor::QuickTime, face, settings: "", is_forced: false })
    }

    /// What a sample shows: nothing, or one cue. Errors are the reason alone.
    pub(super) fn decode(&self, data: &[u8]) -> Result<Vec<ShownCue>, &'static str> {
        let Some((length, rest)) = data.split_first_chunk::<2>() else {
            return if data.is_empty() { Ok(vec![]) } else { Err("the text length is cut off") };
        };
        let length = usize::from(u16::from_be_bytes(*length));
        let (text, modifiers) =
            rest.split_at_checked(length).ok_or("the text is longer than the sample")?;
        let text = self.decode_text(text, modifiers);
        if text.trim().is_empty() {
            return Ok(vec![]);
        }
        let payload = self.mark_up(&text, modifiers);
        let settings = self.settings.to_owned();
        let identity = CueIdentity { settings, payload, ..CueIdentity::default() };
        Ok(vec![ShownCue { identity, clock_ms: None }])
    }

    fn decode_text<'a>(&self, text: &'a [u8], modifiers: &[u8]) -> Cow<'a, str> {
        match text {
            [0xfe, 0xff, rest @ ..] => UTF_16BE.decode_without_bom_handling(rest).0,
            [0xff, 0xfe, rest @ ..] => UTF_16LE.decode_without_bom_handling(rest).0,
            _ if self.flavor == Flavor::Tx3g => String::from_utf8_lossy(text),
            _ if says_utf16(modifiers) => UTF_16BE.decode_without_bom_handling(text).0,
            _ => match std::str::from_utf8(text) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => MACINTOSH.decode_without_bom_handling(text).0,
            },
        }
    }

    /// WebVTT of the text with its styles. Carriage returns end lines too, as QuickTime has them.
    fn mark_up(&self, text: &str, modifiers: &[u8]) -> String {
        let mut runs = self.style_runs(modifiers).into_iter().peekable();
        let mut out = CueText::default();
        let mut face = Face::default();
        let mut buffer = [0; 4];
        // Offsets in `styl` count characters, not bytes.
        for (index, c) in text.chars().enumerate() {
            while runs.next_if(|run| run.end <= index).is_some() {}
            let wanted =
                runs.peek().filter(|run| run.start <= index).map_or(self.face, |run| run.face);
            change_face(&mut out, face, wanted);
            face = wanted;
            match c {
                '\0' => {}
                '\u{2028}' => out.text("\n"),
                _ => out.text(c.encode_utf8(&mut buffer)),
            }
        }
        out.finish()
    }

    /// Runs of all `styl` boxes. They must not overlap (26.245 5.17.1.1): one that starts before
    /// the last one's end is passed over, which also keeps the walk linear. A box that is cut off
    /// ends the list; the text is good without it.
    fn style_runs(&self, modifiers: &[u8]) -> Vec<StyleRun> {
        let mut runs: Vec<StyleRun> = Vec::new();
        for modifier in boxes(modifiers).map_while(Result::ok).filter(|b| b.kind == *b"styl") {
            let Some((count, records)) = modifier.body.split_first_chunk::<2>() else { break };
            let records = match self.flavor {
                Flavor::Tx3g => records.chunks_exact(12),
                Flavor::QuickTime => records.chunks_exact(20),
            };
            for record in records.take(usize::from(u16::from_be_bytes(*count))) {
                runs.extend(self.style_run(record, runs.last().map_or(0, |last| last.end)));
            }
        }
        // QuickTime gives only starts: each run lasts until the next.
        if self.flavor == Flavor::QuickTime {
            for index in 1..runs.len() {
                runs[index - 1].end = runs[index].start;
            }
            if let Some(last) = runs.last_mut() {
                last.end = usize::MAX;
            }
        }
        runs
    }

    fn style_run(&self, record: &[u8], from: usize) -> Option<StyleRun> {
        let (start, end, face) = match self.flavor {
            // startChar, endChar, font-ID, face, …
            Flavor::Tx3g => (be_u16(record, 0)?.into(), be_u16(record, 2)?.into(), *record.get(6)?),
            // startChar (32 bits), height, ascent, font, face (16 bits, of which writers fill either
            // half), …
            Flavor::QuickTime => {
                let start = usize::try_from(be_u32(record, 0)?).ok()?;
                (start, start, record.get(10)? | record.get(11)?)
            }
        };
        (from <= start && start <= end).then_some(StyleRun { start, end, face: Face::new(face) })
    }
}

/// Characters `start..end` have this face.
#[derive(Clone, Copy, Debug)]
struct StyleRun {
    start: usize,
    end: usize,
    face: Face,
}

fn change_face(out: &mut CueText, from: Face, to: Face) {
    let changed = |flag: u8| (from.0 ^ to.0) & flag != 0;
    for (flag, tag) in Face::TAGS.iter().rev() {
        if changed(*flag) && to.0 & flag == 0 {
            out.close(*tag);
        }
    }
    for (flag, tag) in Face::TAGS {
        if changed(flag) && to.0 & flag != 0 {
            out.open(tag);
        }
    }
}

/// The `encd` extension names UTF-16 without a mark (`kTextEncodingUnicodeDefault`, 0x100).
fn says_utf16(modifiers: &[u8]) -> bool {
    boxes(modifiers)
        .map_while(Result::ok)
        .any(|modifier| modifier.kind == *b"encd" && be_u32(modifier.body, 0) == Some(0x100))
}

fn cut_off(kind: &[u8; 4], entry: &[u8]) -> PackageError {
    let reason = "the sample entry is cut off";
    PackageError::InvalidBox { kind: FourCc::new(kind), offset: entry.len() as u64, reason }
}

fn be_u16(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*data.get(at..)?.first_chunk()?))
}

fn be_u32(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*data.get(at..)?.first_chunk()?))
}
