//! SubRip text (`.srt`): reader.
//!
//! No standard exists. The reader takes what players take: the number before a timing may be
//! missing or wrong, fractions follow a comma or a dot, a cue ends where the next timing begins
//! (so that empty lines inside a cue stay in it), and tags are those of HTML and a few of ASS.

use crate::PackageError;

use super::cue::Cue;
use super::encoding::decode_text;
use super::limits;
use super::lines::Lines;
use super::parsed::{CueCollector, ParsedText};
use super::timestamp::take_digits;

mod markup;

use markup::convert_markup;

const WHAT: &str = "SRT";

/// Lines remembered where no cue is open.
const STRAY_LINES_MAX: usize = 64;

/// Reads a SubRip file in UTF-8, in UTF-16 with a byte order mark, or in Windows-1252.
///
/// Errors: no timing at all, not one readable cue, a limit exceeded.
pub fn parse_srt(bytes: &[u8]) -> Result<ParsedText, PackageError> {
    limits::check_file_bytes(bytes.len())?;
    let text = decode_text(bytes);
    let mut lines = Lines::new(&text, WHAT);
    let mut reader = Reader::default();
    while let Some(line) = lines.next_line()? {
        reader.take_line(lines.number(), line)?;
    }
    reader.finish_cue()?;
    if !reader.saw_timing {
        return Err(lines.error("the file has no line with start --> end"));
    }
    reader.collector.finish(String::new(), WHAT)
}

#[derive(Default)]
struct Reader<'a> {
    collector: CueCollector,
    /// The cue whose text is being read; `None` before the first and after a broken timing.
    current: Option<Timing>,
    /// Lines below the current timing, and before the first.
    text: Vec<&'a str>,
    text_bytes: usize,
    /// The number above the current timing.
    number: Option<u64>,
    saw_timing: bool,
}

#[derive(Clone, Copy)]
struct Timing {
    line: u32,
    start_ms: u64,
    end_ms: u64,
}

impl<'a> Reader<'a> {
    fn take_line(&mut self, line_number: u32, line: &'a str) -> Result<(), PackageError> {
        let timing = match classify(line) {
            Line::Text if self.current.is_none() => {
                // Belongs to no cue; only a number at its end matters.
                if self.text.len() == STRAY_LINES_MAX {
                    self.text.clear();
                }
                self.text.push(line);
                return Ok(());
            }
            Line::Text => {
                self.text_bytes += line.len() + 1;
                self.text.push(line);
                return limits::check_payload_bytes(self.text_bytes);
            }
            Line::BrokenTiming => {
                self.collector.skip(line_number, "the timing can't be read");
                None
            }
            Line::Timing { start_ms, end_ms } => {
                Some(Timing { line: line_number, start_ms, end_ms })
            }
        };
        self.saw_timing = true;
        let number = self.take_number();
        self.finish_cue()?;
        self.current = timing;
        self.number = number;
        Ok(())
    }

    /// Takes the number of the next cue off the text: digits alone, after an empty line or at the
    /// start. Where an empty line is missing above, or one too many below, only the number that
    /// is due counts: other digits are what somebody says.
    fn take_number(&mut self) -> Option<u64> {
        let filled = self.text.iter().rposition(|line| !is_blank(line))?;
        let number: u64 = self.text[filled].trim().parse().ok()?;
        let touches_timing = filled + 1 == self.text.len();
        let stands_apart = match filled.checked_sub(1) {
            Some(above) => is_blank(self.text[above]),
            None => self.current.is_none(),
        };
        let is_due = self.number.is_some_and(|last| last.checked_add(1) == Some(number));
        let is_number =
            if is_due { touches_timing || stands_apart } else { touches_timing && stands_apart };
        if is_number {
            self.text.truncate(filled);
        }
        is_number.then_some(number)
    }

    fn finish_cue(&mut self) -> Result<(), PackageError> {
        let lines = std::mem::take(&mut self.text);
        self.text_bytes = 0;
        let Some(Timing { line, start_ms, end_ms }) = self.current.take() else { return Ok(()) };
        let (payload, settings) = convert_markup(&join_lines(&lines));
        if payload.is_empty() {
            return Ok(());
        }
        self.collector.add(line, Cue { start_ms, end_ms, id: None, settings, payload })
    }
}

/// Lines of a cue without the empty ones around it and the spaces behind them.
fn join_lines(lines: &[&str]) -> String {
    let Some(first) = lines.iter().position(|line| !is_blank(line)) else { return String::new() };
    let last = lines.iter().rposition(|line| !is_blank(line)).unwrap_or(first);
    let trimmed: Vec<&str> = lines[first..=last].iter().map(|line| line.trim_end()).collect();
    trimmed.join("\n")
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

enum Line {
    Timing {
        start_ms: u64,
        end_ms: u64,
    },
    /// Clearly meant as one, so what follows belongs to no cue before it.
    BrokenTiming,
    Text,
}

fn classify(line: &str) -> Line {
    let Some((left, right)) = line.split_once("-->") else { return Line::Text };
    let (left, right) = (left.trim(), right.trim());
    if let Some((start_ms, "")) = parse_time(left)
        && let Some((end_ms, rest)) = parse_time(right)
        // Screen coordinates may follow (`X1:40 X2:600 …`); they belong to pictures long gone.
        && (rest.is_empty() || rest.starts_with([' ', '\t']))
    {
        return Line::Timing { start_ms, end_ms };
    }
    let is_time_like = |text: &str| {
        let digits = text.trim_start_matches('-');
        digits.starts_with(|c: char| c.is_ascii_digit()) && digits.contains(':')
    };
    if is_time_like(left) && is_time_like(right) { Line::BrokenTiming } else { Line::Text }
}

/// `H:MM:SS,mmm` off the front of `text`. A dot does for the comma, the fraction may be absent,
/// and so may the hours when there is a fraction. Times before 0 are read as 0.
fn parse_time(text: &str) -> Option<(u64, &str)> {
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (first, rest) = take_number(text)?;
    let (second, rest) = take_number(rest.strip_prefix(':')?)?;
    let third = rest.strip_prefix(':').and_then(take_number);
    let has_hours = third.is_some();
    let (third, rest) = third.unwrap_or((0, rest));
    let fraction = rest.strip_prefix([',', '.']).map(take_digits);
    let (millis, rest) = match fraction {
        // Players read the digits as a number of milliseconds, however many there are; of more
        // than three the rest is finer than that.
        Some((digits, rest)) => (digits.get(..3).unwrap_or(digits).parse().unwrap_or(0), rest),
        None if has_hours => (0, rest),
        None => return None,
    };
    let (hours, minutes, seconds) =
        if has_hours { (first, second, third) } else { (0, first, second) };
    if minutes > 59 || seconds > 59 {
        return None;
    }
    let ms = hours * 3_600_000 + minutes * 60_000 + seconds * 1_000 + millis;
    Some((if is_negative { 0 } else { ms }, rest))
}

/// One to six digits, more than any hour needs.
fn take_number(text: &str) -> Option<(u64, &str)> {
    let (digits, rest) = take_digits(text);
    if digits.len() > 6 {
        return None;
    }
    Some((digits.parse().ok()?, rest))
}

#[cfg(test)]
mod tests;
