//! Lines of a text file, numbered from 1. A line ends at CR LF, CR or LF.

use crate::PackageError;

use super::limits::LINE_BYTES_MAX;

/// A cursor over lines. Copying it remembers a place to go back to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lines<'a> {
    rest: &'a str,
    /// Of the line that `next_line` gave last; 0 before the first.
    number: u32,
    /// Names the format in errors.
    what: &'static str,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str, what: &'static str) -> Self {
        Self { rest: text, number: 0, what }
    }

    /// Number of the line given last, from 1.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// The next line without its end; `None` at the end of the text.
    pub(super) fn next_line(&mut self) -> Result<Option<&'a str>, PackageError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.number = self.number.saturating_add(1);
        let end = self.rest.bytes().position(|byte| matches!(byte, b'\r' | b'\n'));
        let (line, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.strip_prefix("\r\n").unwrap_or_else(|| rest.get(1..).unwrap_or(""));
        if line.len() > LINE_BYTES_MAX {
            return Err(self.error("the line is longer than 64 KiB"));
        }
        Ok(Some(line))
    }

    /// An error about the line given last.
    pub(super) fn error(&self, reason: &'static str) -> PackageError {
        PackageError::InvalidText { what: self.what, line: self.number.max(1), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(u32, String)> {
        let mut lines = Lines::new(text, "text");
        let mut out = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            out.push((lines.number(), line.to_owned()));
        }
        out
    }

    #[test]
    fn every_line_ending_counts_once() {
        let expected: Vec<(u32, String)> =
            [(1, "a"), (2, ""), (3, "b"), (4, ""), (5, "c")].map(|(n, s)| (n, s.into())).into();
        assert_eq!(lines("a\n\nb\n\nc"), expected);
        assert_eq!(lines("a\r\n\r\nb\r\n\r\nc\r\n"), expected);
        assert_eq!(lines("a\r\rb\r\rc\r"), expected);
        assert_eq!(lines("a\n\rb\r\n\nc"), expected);
        assert_eq!(lines(""), []);
    }

    #[test]
    fn a_long_line_is_refused_with_its_number() {
        let text = format!("x\n{}", "y".repeat(LINE_BYTES_MAX + 1));
        let mut lines = Lines::new(&text, "SRT");
        lines.next_line().unwrap();
        let error = lines.next_line().unwrap_err();
        assert_eq!(error.to_string(), "SRT at line 2: the line is longer than 64 KiB");
    }
}
