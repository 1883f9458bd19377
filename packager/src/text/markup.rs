//! Builds WebVTT cue text (<https://www.w3.org/TR/webvtt1/> 3.4) from styled text.
//!
//! Other formats let tags overlap, WebVTT wants them nested and ignores an end tag that does not
//! match. The builder therefore closes and reopens what lies between.

/// Tags open at once; more are ignored. Real text has three.
const OPEN_TAGS_MAX: usize = 16;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tag {
    Bold,
    Italic,
    Underline,
    /// One of the colours that players know without a style sheet (WebVTT 5.1).
    Color(&'static str),
    /// A tag without meaning in WebVTT, remembered so that its end tag finds it.
    Nothing,
}

impl Tag {
    fn is_same_kind(self, other: Self) -> bool {
        let is_font = |tag| matches!(tag, Self::Color(_) | Self::Nothing);
        self == other || is_font(self) && is_font(other)
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Self::Bold => Some("b"),
            Self::Italic => Some("i"),
            Self::Underline => Some("u"),
            Self::Color(_) => Some("c"),
            Self::Nothing => None,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct CueText {
    out: String,
    open: Vec<Tag>,
}

impl CueText {
    /// Plain text; `&`, `<` and the `>` of an arrow are escaped.
    pub(super) fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' if self.out.ends_with("--") => self.out.push_str("&gt;"),
                _ => self.out.push(c),
            }
        }
    }

    /// Something that is WebVTT already, such as a character reference.
    pub(super) fn verbatim(&mut self, text: &str) {
        self.out.push_str(text);
    }

    pub(super) fn open(&mut self, tag: Tag) {
        if self.open.len() < OPEN_TAGS_MAX {
            self.write_open(tag);
            self.open.push(tag);
        }
    }

    /// Closes the innermost open tag of this kind; without one, nothing happens.
    pub(super) fn close(&mut self, tag: Tag) {
        let Some(at) = self.open.iter().rposition(|open| open.is_same_kind(tag)) else { return };
        let inner: Vec<Tag> = self.open.drain(at..).collect();
        for tag in inner.iter().rev() {
            self.write_close(*tag);
        }
        for tag in &inner[1..] {
            self.write_open(*tag);
            self.open.push(*tag);
        }
    }

    pub(super) fn is_open(&self, tag: Tag) -> bool {
        self.open.contains(&tag)
    }

    /// The cue text, every tag closed.
    pub(super) fn finish(mut self) -> String {
        while let Some(tag) = self.open.pop() {
            self.write_close(tag);
        }
        self.out
    }

    fn write_open(&mut self, tag: Tag) {
        if let Some(name) = tag.name() {
            self.out.push('<');
            self.out.push_str(name);
            if let Tag::Color(color) = tag {
                self.out.push('.');
                self.out.push_str(color);
            }
            self.out.push('>');
        }
    }

    /// A tag with nothing inside leaves no trace.
    fn write_close(&mut self, tag: Tag) {
        let Some(name) = tag.name() else { return };
        let mut opened = Self::default();
        opened.write_open(tag);
        if self.out.ends_with(&opened.out) {
            self.out.truncate(self.out.len() - opened.out.len());
        } else {
            self.out.push_str("</");
            self.out.push_str(name);
            self.out.push('>');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_tags_are_nested() {
        let mut text = CueText::default();
        text.text("a");
        text.open(Tag::Bold);
        text.text("b");
        text.open(Tag::Italic);
        text.text("c");
        text.close(Tag::Bold);
        text.text("d");
        assert_eq!(text.finish(), "a<b>b<i>c</i></b><i>d</i>");
    }

    #[test]
    fn stray_and_empty_tags_leave_no_trace() {
        let mut text = CueText::default();
        text.close(Tag::Italic);
        text.open(Tag::Underline);
        text.open(Tag::Color("red"));
        text.close(Tag::Nothing);
        text.text("x");
        text.open(Tag::Bold);
        assert_eq!(text.finish(), "<u>x</u>");
    }

    #[test]
    fn text_is_escaped() {
        let mut text = CueText::default();
        text.text("R&D <3 --");
        text.text("> >>");
        assert_eq!(text.finish(), "R&amp;D &lt;3 --&gt; >>");
    }

    #[test]
    fn depth_is_bounded() {
        let mut text = CueText::default();
        for _ in 0..1_000 {
            text.open(Tag::Bold);
        }
        text.text("x");
        assert_eq!(text.finish().len(), OPEN_TAGS_MAX * 7 + 1);
    }
}
