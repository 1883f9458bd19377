//! Writes XML as it comes: nothing is kept but the depth.

use crate::presentation::numbers::push_number;

pub(super) struct XmlWriter {
    out: String,
    depth: usize,
}

impl XmlWriter {
    pub(super) fn new(len_estimate: usize) -> Self {
        let mut out = String::with_capacity(len_estimate);
        out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        Self { out, depth: 0 }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    /// Opens `<name`; attributes follow, then [`Element::empty`], [`Element::children`] or
    /// [`Element::content`].
    pub(super) fn element(&mut self, name: &'static str) -> Element<'_> {
        for _ in 0..self.depth {
            self.out.push_str("  ");
        }
        self.out.push('<');
        self.out.push_str(name);
        Element { xml: self, name }
    }
}

pub(super) struct Element<'x> {
    xml: &'x mut XmlWriter,
    name: &'static str,
}

impl Element<'_> {
    pub(super) fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.open(name);
        push_escaped(&mut self.xml.out, value);
        self.xml.out.push('"');
        self
    }

    pub(super) fn number(&mut self, name: &str, value: u64) -> &mut Self {
        self.open(name);
        push_number(&mut self.xml.out, value);
        self.xml.out.push('"');
        self
    }

    /// Two numbers with a separator: ratios, frame rates, byte ranges.
    pub(super) fn pair(&mut self, name: &str, (a, b): (u64, u64), separator: char) -> &mut Self {
        self.open(name);
        push_number(&mut self.xml.out, a);
        self.xml.out.push(separator);
        push_number(&mut self.xml.out, b);
        self.xml.out.push('"');
        self
    }

    pub(super) fn empty(&mut self) {
        self.xml.out.push_str("/>\n");
    }

    pub(super) fn children(&mut self, body: impl FnOnce(&mut XmlWriter)) {
        self.xml.out.push_str(">\n");
        self.xml.depth += 1;
        body(self.xml);
        self.xml.depth -= 1;
        for _ in 0..self.xml.depth {
            self.xml.out.push_str("  ");
        }
        self.end();
    }

    pub(super) fn content(&mut self, text: &str) {
        self.xml.out.push('>');
        push_escaped(&mut self.xml.out, text);
        self.end();
    }

    fn open(&mut self, name: &str) {
        self.xml.out.push(' ');
        self.xml.out.push_str(name);
        self.xml.out.push_str("=\"");
    }

    fn end(&mut self) {
        self.xml.out.push_str("</");
        self.xml.out.push_str(self.name);
        self.xml.out.push_str(">\n");
    }
}

/// Escapes markup; leaves out what XML 1.0 2.2 does not allow, and line ends, which no value here
/// needs.
fn push_escaped(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => {}
            character if character.is_control() => {}
            character => out.push(character),
        }
    }
}
