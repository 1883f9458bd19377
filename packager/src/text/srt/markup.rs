//! Tags and escapes of SubRip text, as WebVTT.
//!
//! Kept: bold, italic, underline, the font colours that every WebVTT player knows by name, and the
//! nine positions of ASS. Dropped: other fonts, colours and effects. What only looks like a tag is
//! text.

use crate::text::markup::{CueText, Tag};

/// Bytes looked at for the end of a tag. Keeps a text full of `<` linear.
const TAG_BYTES_MAX: usize = 256;
/// Bytes looked at for the end of a character reference.
const REFERENCE_BYTES_MAX: usize = 10;

/// WebVTT cue text and cue settings of a SubRip text.
pub(super) fn convert_markup(text: &str) -> (String, String) {
    let mut converter = Converter::default();
    let mut rest = text;
    while let Some(at) = rest.find(['<', '{', '&']) {
        converter.out.text(&rest[..at]);
        rest = &rest[at..];
        let taken = converter.take_special(rest).unwrap_or_else(|| {
            converter.out.text(&rest[..1]);
            1
        });
        rest = &rest[taken..];
    }
    converter.out.text(rest);
    let settings = converter.position.map_or("", Position::settings).to_owned();
    (converter.out.finish().trim_matches('\n').to_owned(), settings)
}

#[derive(Default)]
struct Converter {
    out: CueText,
    position: Option<Position>,
}

impl Converter {
    /// Takes a tag, an override or a reference off the front: its length in bytes, or `None` when
    /// it is none.
    fn take_special(&mut self, text: &str) -> Option<usize> {
        match text.as_bytes()[0] {
            b'<' => {
                let tag = enclosed(text, '>')?;
                self.take_tag(&tag[1..tag.len() - 1])?;
                Some(tag.len())
            }
            b'{' => {
                let group = enclosed(text, '}')?;
                self.take_group(&group[1..group.len() - 1])?;
                Some(group.len())
            }
            _ => self.take_reference(text),
        }
    }

    fn take_tag(&mut self, tag: &str) -> Option<()> {
        let (is_end, tag) = match tag.strip_prefix('/') {
            Some(rest) => (true, rest.trim()),
            // No space behind `<`: "a < b > c" is text.
            None => (false, tag.trim_end().trim_end_matches('/')),
        };
        let end = tag.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(tag.len());
        let (name, attributes) = tag.split_at(end);
        // `<b>` and `<font color=…>`, but not `<i.e. something>`.
        if !attributes.is_empty() && !attributes.starts_with([' ', '\t']) {
            return None;
        }
        let tag = match name.to_ascii_lowercase().as_str() {
            "b" | "strong" => Tag::Bold,
            "i" | "em" => Tag::Italic,
            "u" => Tag::Underline,
            "font" | "span" => font_color(attributes).map_or(Tag::Nothing, Tag::Color),
            "s" | "strike" | "p" | "div" => return Some(()),
            "br" => {
                self.out.verbatim("\n");
                return Some(());
            }
            _ => return None,
        };
        self.set(tag, !is_end);
        Some(())
    }

    /// ASS overrides (`{\an8}`, `{\i1\b0}`), and the braces of old SubRip (`{i}`, `{/i}`).
    fn take_group(&mut self, group: &str) -> Option<()> {
        match group {
            "b" | "/b" => self.set(Tag::Bold, group == "b"),
            "i" | "/i" => self.set(Tag::Italic, group == "i"),
            "u" | "/u" => self.set(Tag::Underline, group == "u"),
            _ => {
                for code in group.strip_prefix('\\')?.split('\\') {
                    self.take_override(code.trim());
                }
            }
        }
        Some(())
    }

    fn take_override(&mut self, code: &str) {
        match code {
            "b1" | "b700" => self.set_once(Tag::Bold, true),
            "b0" | "b" => self.set_once(Tag::Bold, false),
            "i1" => self.set_once(Tag::Italic, true),
            "i0" | "i" => self.set_once(Tag::Italic, false),
            "u1" => self.set_once(Tag::Underline, true),
            "u0" | "u" => self.set_once(Tag::Underline, false),
            _ => {
                let position = Position::of_override(code);
                self.position = self.position.or(position);
            }
        }
    }

    fn set_once(&mut self, tag: Tag, on: bool) {
        if self.out.is_open(tag) != on {
            self.set(tag, on);
        }
    }

    fn set(&mut self, tag: Tag, on: bool) {
        if on { self.out.open(tag) } else { self.out.close(tag) }
    }

    /// A reference that WebVTT shares with HTML stays, two others become their character.
    fn take_reference(&mut self, text: &str) -> Option<usize> {
        let window = text.as_bytes().get(..REFERENCE_BYTES_MAX).unwrap_or(text.as_bytes());
        let end = window.iter().position(|byte| *byte == b';')?;
        let reference = text.get(..=end)?;
        let name = &reference[1..end];
        let is_number = name.strip_prefix('#').is_some_and(|number| {
            let hex = number.strip_prefix(['x', 'X']);
            let is_digit =
                |c: char| if hex.is_some() { c.is_ascii_hexdigit() } else { c.is_ascii_digit() };
            let digits = hex.unwrap_or(number);
            !digits.is_empty() && digits.chars().all(is_digit)
        });
        match name {
            "quot" => self.out.text("\""),
            "apos" => self.out.text("'"),
            "amp" | "lt" | "gt" | "nbsp" | "lrm" | "rlm" => self.out.verbatim(reference),
            _ if is_number => self.out.verbatim(reference),
            _ => return None,
        }
        Some(reference.len())
    }
}

/// `text` up to and with `end`, when that is near and on the same line.
fn enclosed(text: &str, end: char) -> Option<&str> {
    let window = text.as_bytes().get(..TAG_BYTES_MAX).unwrap_or(text.as_bytes());
    let at =
        window[1..].iter().position(|byte| matches!(*byte, b'<' | b'{' | b'>' | b'}' | b'\n'))?;
    let found = text.get(..at + 2)?;
    found.ends_with(end).then_some(found)
}

/// The class that stands for a font colour (WebVTT 5.1). White is what text has anyway.
fn font_color(attributes: &str) -> Option<&'static str> {
    let lower = attributes.to_ascii_lowercase();
    let value = lower.split_once("color")?.1.trim_start().strip_prefix(['=', ':'])?.trim_start();
    let value = value.trim_start_matches(['"', '\'']);
    let end = value.find(['"', '\'', ' ', ';']).unwrap_or(value.len());
    match &value[..end] {
        "yellow" | "#ffff00" => Some("yellow"),
        "cyan" | "aqua" | "#00ffff" => Some("cyan"),
        "lime" | "#00ff00" => Some("lime"),
        "red" | "#ff0000" => Some("red"),
        "magenta" | "fuchsia" | "#ff00ff" => Some("magenta"),
        "blue" | "#0000ff" => Some("blue"),
        "black" | "#000000" => Some("black"),
        _ => None,
    }
}

/// Place on the screen as on a number pad: 1 to 3 below, 7 to 9 above.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Position(u8);

impl Position {
    /// `an1` to `an9`, or the older `a1` to `a11`.
    fn of_override(code: &str) -> Option<Self> {
        if let Some(digit) = code.strip_prefix("an") {
            return digit.parse().ok().filter(|at| (1..=9).contains(at)).map(Self);
        }
        match code.strip_prefix('a')?.parse::<u8>().ok()? {
            at @ 1..=3 => Some(Self(at)),
            at @ 5..=7 => Some(Self(at + 2)),
            at @ 9..=11 => Some(Self(at - 5)),
            _ => None,
        }
    }

    /// Where WebVTT puts text without settings is position 2.
    fn settings(self) -> &'static str {
        match self.0 {
            1 => "align:left",
            3 => "align:right",
            4 => "line:50% align:left",
            5 => "line:50%",
            6 => "line:50% align:right",
            7 => "line:0 align:left",
            8 => "line:0",
            9 => "line:0 align:right",
            _ => "",
        }
    }
}
