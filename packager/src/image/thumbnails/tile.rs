//! One cue of a thumbnails file: a rectangle of a sprite.

use crate::PackageError;
use crate::text::Cue;

const WHAT: &str = "thumbnails";

/// Pixels of a picture's side: what JPEG can say.
const SIDE_MAX: u32 = 65_535;
/// Bytes of a sprite's path.
const PATH_BYTES_MAX: usize = 1_024;

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Tile {
    line: u32,
    pub(super) start_ms: u64,
    pub(super) end_ms: u64,
    pub(super) file: String,
    x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

pub(super) fn refuse(line: u32, reason: &'static str) -> PackageError {
    PackageError::InvalidText { what: WHAT, line, reason }
}

impl Tile {
    /// Reads a cue whose timing stands on `line`.
    pub(super) fn parse(line: u32, cue: &Cue) -> Result<Self, PackageError> {
        let refuse = |reason| refuse(line, reason);
        let (uri, fragment) = cue
            .payload
            .trim()
            .split_once('#')
            .ok_or_else(|| refuse("the cue names no #xywh of a sprite"))?;
        let [x, y, width, height] = parse_xywh(fragment)
            .ok_or_else(|| refuse("the cue's #xywh is not four numbers of pixels"))?;
        if width == 0 || height == 0 {
            return Err(refuse("the tile is empty"));
        }
        let is_inside = |from: u32, length: u32| from.saturating_add(length) <= SIDE_MAX;
        if !is_inside(x, width) || !is_inside(y, height) {
            return Err(refuse("the tile lies beyond 65,535 pixels"));
        }
        let file =
            local_path(uri).ok_or_else(|| refuse("the sprite is no file below the directory"))?;
        let Cue { start_ms, end_ms, .. } = *cue;
        Ok(Self { line, start_ms, end_ms, file, x, y, width, height })
    }

    pub(super) fn check_size(&self, first: &Self) -> Result<(), PackageError> {
        if (self.width, self.height) != (first.width, first.height) {
            return Err(self.refuse("the tile is not as large as the first one"));
        }
        Ok(())
    }

    pub(super) fn check_place(
        &self,
        first: &Self,
        column: usize,
        row: usize,
    ) -> Result<(), PackageError> {
        let is_at = |at: u32, number: usize, length: u32| {
            u64::from(at) == (number as u64).saturating_mul(length.into())
        };
        if !is_at(self.x, column, first.width) || !is_at(self.y, row, first.height) {
            return Err(self.refuse("the tile is not the next one in its row or file"));
        }
        Ok(())
    }

    pub(super) fn check_time(
        &self,
        first: &Self,
        index: u64,
        is_last: bool,
    ) -> Result<(), PackageError> {
        let duration_ms = first.end_ms - first.start_ms;
        if self.start_ms != index.saturating_mul(duration_ms) {
            return Err(self.refuse("the tile does not start where equal durations would have it"));
        }
        let own_ms = self.end_ms - self.start_ms;
        let fits = if is_last { own_ms <= duration_ms } else { own_ms == duration_ms };
        if !fits {
            return Err(self.refuse("the tile does not last as long as the first one"));
        }
        Ok(())
    }

    pub(super) fn refuse(&self, reason: &'static str) -> PackageError {
        refuse(self.line, reason)
    }
}

/// `xywh=[pixel:]x,y,width,height` among the dimensions of a fragment.
fn parse_xywh(fragment: &str) -> Option<[u32; 4]> {
    let value = fragment.split('&').find_map(|dimension| dimension.strip_prefix("xywh="))?;
    let value = value.strip_prefix("pixel:").unwrap_or(value);
    let mut numbers = value.split(',').map(|number| {
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| number.parse::<u32>().ok()).flatten()
    });
    let found = [numbers.next()??, numbers.next()??, numbers.next()??, numbers.next()??];
    numbers.next().is_none().then_some(found)
}

/// A relative reference as a path: decoded, without its query. `None` when it would lead out of
/// the side file's directory, or is no path at all.
fn local_path(uri: &str) -> Option<String> {
    let path = uri.split('?').next().unwrap_or("");
    if path.len() > PATH_BYTES_MAX {
        return None;
    }
    let path = percent_decoded(path)?;
    let is_step = |part: &str| part.is_empty() || part == "." || part == "..";
    let path = path.strip_prefix("./").unwrap_or(&path);
    let is_local = !path.contains(['\\', ':'])
        && !path.chars().any(char::is_control)
        && !path.split('/').any(is_step);
    is_local.then(|| path.to_owned())
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>()?;
        let digits = std::str::from_utf8(digits).ok()?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        out.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(out).ok()
}
