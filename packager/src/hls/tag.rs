//! Tags and attribute lists (RFC 8216 4.1 and 4.2).

use crate::presentation::numbers::push_number;

/// A tag with an attribute list, written as its attributes come.
pub(super) struct AttributeTag<'o> {
    out: &'o mut String,
    separator: char,
}

impl<'o> AttributeTag<'o> {
    /// Opens `#NAME:`.
    pub(super) fn open(out: &'o mut String, name: &str) -> Self {
        out.push('#');
        out.push_str(name);
        Self { out, separator: ':' }
    }

    /// A quoted string. A double quote becomes an apostrophe, control characters are left out:
    /// the grammar has no escape for them.
    pub(super) fn quoted(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        self.out.push('"');
        push_quotable(self.out, value);
        self.out.push('"');
        self
    }

    /// A quoted string, when there is one.
    pub(super) fn optional(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.quoted(name, value),
            None => self,
        }
    }

    /// An enumerated string, a resolution or a decimal already in its form.
    pub(super) fn plain(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        self.out.push_str(value);
        self
    }

    pub(super) fn number(&mut self, name: &str, value: u64) -> &mut Self {
        self.name(name);
        push_number(self.out, value);
        self
    }

    /// `WIDTHxHEIGHT`.
    pub(super) fn resolution(&mut self, name: &str, (width, height): (u64, u64)) -> &mut Self {
        self.number(name, width);
        self.out.push('x');
        push_number(self.out, height);
        self
    }

    pub(super) fn close(&mut self) {
        self.out.push('\n');
    }

    fn name(&mut self, name: &str) {
        self.out.push(self.separator);
        self.out.push_str(name);
        self.out.push('=');
        self.separator = ',';
    }
}

fn push_quotable(out: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '"' => out.push('\''),
            character if character.is_control() => {}
            character => out.push(character),
        }
    }
}

/// `#NAME:number` on a line of its own.
pub(super) fn push_number_tag(out: &mut String, name: &str, value: u64) {
    out.push('#');
    out.push_str(name);
    out.push(':');
    push_number(out, value);
    out.push('\n');
}
