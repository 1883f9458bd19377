//! WebVTT (<https://www.w3.org/TR/webvtt1/>): reader and writer.
//!
//! The reader follows the standard's parser (6.1 to 6.3), which is tolerant: a block that it can't
//! read is passed over and the next one is tried. Where a standard player would show nothing at
//! all, a file is refused with the line at fault.

use std::fmt::Write as _;

use crate::PackageError;

use super::cue::{Cue, CueTrack, normalize_settings};
use super::limits;
use super::lines::Lines;
use super::parsed::{CueCollector, ParsedText};
use super::timestamp::{Timestamp, parse_timestamp};

const WHAT: &str = "WebVTT";

/// Reads a WebVTT file.
///
/// `mpegts_origin_ticks` is the MPEG-2 time, on the 90 kHz clock, at which the title starts. It
/// counts only where the file has an `X-TIMESTAMP-MAP` (RFC 8216 3.5), as segments of HLS have:
/// a cue at the map's LOCAL time is then shown at its MPEGTS time minus the origin.
///
/// Invalid UTF-8 is read as U+FFFD, as the standard has it. Errors: no signature, not one readable
/// cue although there are timings, a limit exceeded.
pub fn parse_webvtt(bytes: &[u8], mpegts_origin_ticks: u64) -> Result<ParsedText, PackageError> {
    let (collector, header) = read(bytes, mpegts_origin_ticks)?;
    collector.finish(header, WHAT)
}

/// The cues of a file with the lines of their timings, in the order of the file.
pub(crate) fn parse_cues_with_lines(bytes: &[u8]) -> Result<Vec<(u32, Cue)>, PackageError> {
    Ok(read(bytes, 0)?.0.into_lines())
}

/// Writes a track as one WebVTT file. A track of normal cues reads back as it is.
pub fn write_webvtt(track: &CueTrack) -> String {
    let mut out = String::from("WEBVTT\n");
    write_header(&mut out, &track.header);
    for cue in &track.cues {
        write_cue(&mut out, cue);
    }
    out
}

/// Appends `STYLE` and `REGION` blocks, an empty line in front.
pub(super) fn write_header(out: &mut String, header: &str) {
    if !header.is_empty() {
        out.push('\n');
        out.push_str(header);
        out.push('\n');
    }
}

/// Appends a cue, an empty line in front.
pub(crate) fn write_cue(out: &mut String, cue: &Cue) {
    out.push('\n');
    if let Some(id) = &cue.id {
        out.push_str(id);
        out.push('\n');
    }
    let (start, end) = (Timestamp(cue.start_ms), Timestamp(cue.end_ms));
    write!(out, "{start} --> {end}").expect("a String takes every write");
    if !cue.settings.is_empty() {
        out.push(' ');
        out.push_str(&cue.settings);
    }
    out.push('\n');
    if !cue.payload.is_empty() {
        out.push_str(&cue.payload);
        out.push('\n');
    }
}

fn read(bytes: &[u8], origin_ticks: u64) -> Result<(CueCollector, String), PackageError> {
    limits::check_file_bytes(bytes.len())?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    let mut lines = Lines::new(&text, WHAT);
    let signature = lines.next_line()?.unwrap_or("");
    let after = signature.strip_prefix("WEBVTT");
    if !after.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t'])) {
        return Err(lines.error("the file does not start with WEBVTT"));
    }

    let mut reader = Reader { lines, offset_ms: 0, origin_ticks, ..Reader::default() };
    reader.read_file_header()?;
    while reader.read_block()? {}
    Ok((reader.collector, reader.header))
}

#[derive(Default)]
struct Reader<'a> {
    lines: Lines<'a>,
    collector: CueCollector,
    /// Styles and regions so far.
    header: String,
    /// Added to every time, from `X-TIMESTAMP-MAP`.
    offset_ms: i64,
    origin_ticks: u64,
    /// A timing was seen: styles and regions count no more, nor does a timestamp map.
    seen_cue: bool,
}

/// What the first lines of a block make it.
enum Block {
    Unknown,
    Cue { line: u32, cue: Option<Cue> },
    Definition,
}

impl Reader<'_> {
    /// The lines below the signature up to an empty one: metadata, of which one is known.
    fn read_file_header(&mut self) -> Result<(), PackageError> {
        loop {
            let before = self.lines;
            let Some(line) = self.lines.next_line()? else { return Ok(()) };
            if line.contains("-->") {
                self.lines = before;
                return Ok(());
            }
            if line.is_empty() {
                return Ok(());
            }
            self.take_timestamp_map(line)?;
        }
    }

    /// Reads one block (WebVTT 6.1, "collect a WebVTT block"). `false` at the end of the file.
    fn read_block(&mut self) -> Result<bool, PackageError> {
        let mut block = Block::Unknown;
        let mut buffer = String::new();
        let mut line_count = 0_u32;
        loop {
            let before = self.lines;
            let Some(line) = self.lines.next_line()? else {
                self.finish_block(block, buffer)?;
                return Ok(false);
            };
            line_count = line_count.saturating_add(1);
            if line.contains("-->") {
                let may_be_timing =
                    line_count == 1 || line_count == 2 && !matches!(block, Block::Cue { .. });
                if !may_be_timing {
                    // The next cue lacks its empty line.
                    self.lines = before;
                    break;
                }
                block = self.start_cue(line, std::mem::take(&mut buffer));
            } else if line.is_empty() {
                break;
            } else {
                if line_count == 2 && matches!(block, Block::Unknown) {
                    block = self.classify(&buffer)?;
                }
                if !buffer.is_empty() {
                    buffer.push('\n');
                }
                buffer.push_str(line);
                limits::check_header_bytes(buffer.len())?;
            }
        }
        self.finish_block(block, buffer)?;
        Ok(true)
    }

    fn start_cue(&mut self, line: &str, id: String) -> Block {
        self.seen_cue = true;
        let number = self.lines.number();
        let Some((start_ms, end_ms, settings)) = parse_timing(line) else {
            self.collector.skip(number, "the timing can't be read");
            return Block::Cue { line: number, cue: None };
        };
        let id = Some(id).filter(|id| !id.is_empty());
        let settings = normalize_settings(settings);
        let cue = Cue { start_ms, end_ms, id, settings, payload: String::new() };
        Block::Cue { line: number, cue: Some(cue) }
    }

    /// Decides by the first line of a block, when its second is no timing.
    fn classify(&mut self, first: &str) -> Result<Block, PackageError> {
        if self.seen_cue {
            return Ok(Block::Unknown);
        }
        // Some writers put an empty line between the signature and the map.
        self.take_timestamp_map(first)?;
        let word = first.trim_ascii_end();
        Ok(if matches!(word, "STYLE" | "REGION") { Block::Definition } else { Block::Unknown })
    }

    fn finish_block(&mut self, block: Block, buffer: String) -> Result<(), PackageError> {
        match block {
            Block::Cue { line, cue: Some(cue) } => {
                let cue = Cue { payload: buffer, ..cue };
                if cue.end_ms <= cue.start_ms {
                    return self.collector.add(line, cue);
                }
                match cue.shift(self.offset_ms) {
                    Some(cue) => self.collector.add(line, cue)?,
                    None => self.collector.skip(line, "the cue ends before the title starts"),
                }
            }
            Block::Cue { cue: None, .. } => {}
            Block::Definition => {
                if !self.header.is_empty() {
                    self.header.push_str("\n\n");
                }
                self.header.push_str(&buffer);
                limits::check_header_bytes(self.header.len())?;
            }
            Block::Unknown if !self.seen_cue => self.take_timestamp_map(&buffer)?,
            Block::Unknown => {}
        }
        Ok(())
    }

    fn take_timestamp_map(&mut self, line: &str) -> Result<(), PackageError> {
        if let Some(map) = line.strip_prefix("X-TIMESTAMP-MAP=") {
            let first = map.split('\n').next().unwrap_or("");
            let offset = parse_timestamp_map(first, self.origin_ticks);
            self.offset_ms = offset
                .ok_or_else(|| self.lines.error("X-TIMESTAMP-MAP needs LOCAL:time,MPEGTS:ticks"))?;
        }
        Ok(())
    }
}

/// A timing line: start, end, and the settings behind them (WebVTT 6.3).
fn parse_timing(line: &str) -> Option<(u64, u64, &str)> {
    let (start_ms, rest) = parse_timestamp(line.trim_ascii_start())?;
    let rest = rest.trim_ascii_start().strip_prefix("-->")?;
    let (end_ms, settings) = parse_timestamp(rest.trim_ascii_start())?;
    Some((start_ms, end_ms, settings))
}

/// The milliseconds that a map adds to cue times: MPEGTS minus origin minus LOCAL.
///
/// MPEG-2 time has 33 bits, so of two distances around the wrap the shorter one is meant.
fn parse_timestamp_map(map: &str, origin_ticks: u64) -> Option<i64> {
    let (mut local_ms, mut mpegts_ticks) = (None, None);
    for part in map.split(',').map(str::trim) {
        match part.split_once(':')? {
            ("LOCAL", time) => local_ms = Some(parse_timestamp(time)?),
            ("MPEGTS", ticks) => mpegts_ticks = Some(ticks.parse::<u64>().ok()?),
            _ => return None,
        }
    }
    let (local_ms, rest) = local_ms?;
    if !rest.is_empty() {
        return None;
    }
    const WRAP: u64 = 1 << 33;
    let distance = (mpegts_ticks? % WRAP + WRAP - origin_ticks % WRAP) % WRAP;
    let distance = i64::try_from(distance).ok()?;
    let signed = if distance >= (1 << 32) { distance - (1 << 33) } else { distance };
    // Ticks of 1/90 ms to milliseconds, to the nearest.
    Some((signed + 45).div_euclid(90) - i64::try_from(local_ms).ok()?)
}

#[cfg(test)]
mod tests;
