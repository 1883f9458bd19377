//! Thumbnails as WebVTT: each cue names a rectangle of a sprite for its time
//! (`sprite.jpg#xywh=0,90,160,90`, W3C Media Fragments URI 1.0 4.2.2).
//!
//! HLS image playlists and DASH tiles say less than such a file could: equal tiles in rows, files
//! that are full, equal durations. A file that says more is refused with the line of the cue, so
//! that what is published is the same everywhere.

use std::collections::HashSet;

use crate::PackageError;
use crate::presentation::PresentedImages;
use crate::text::{Cue, parse_cues_with_lines, write_cue};

use super::probe::PictureSize;

mod tile;

use tile::Tile;

/// Thumbnails on a regular grid, in raster order in each file and file after file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ThumbnailGrid {
    /// Of one tile, in pixels.
    pub tile_width: u32,
    pub tile_height: u32,
    pub columns: u32,
    pub rows: u32,
    /// What every tile but the last stands for; the first starts at 0.
    pub tile_duration_ms: u64,
    /// Tiles in all files together. The last file may be partly empty.
    pub tile_count: u64,
    /// When the last tile's time is over.
    pub end_ms: u64,
    /// Sprites in order: paths below the side file's directory, without percent-encoding.
    pub files: Vec<String>,
}

/// Reads a thumbnails file.
///
/// With a single file the grid is what its cues span; [`ThumbnailGrid::fit_picture`] widens it to
/// what the picture has. Errors name the line of the cue that does not fit.
pub fn parse_thumbnails(bytes: &[u8]) -> Result<ThumbnailGrid, PackageError> {
    let cues = parse_cues_with_lines(bytes)?;
    let tiles: Vec<Tile> =
        cues.iter().map(|(line, cue)| Tile::parse(*line, cue)).collect::<Result<_, _>>()?;
    let (Some(first), Some(last)) = (tiles.first(), tiles.last()) else {
        return Err(tile::refuse(1, "the file names no pictures"));
    };
    let per_file = tiles.iter().take_while(|tile| tile.file == first.file).count();
    let columns = tiles[..per_file].iter().take_while(|tile| tile.y == first.y).count();

    for (index, tile) in tiles.iter().enumerate() {
        tile.check_size(first)?;
        tile.check_place(first, index % per_file % columns, index % per_file / columns)?;
        tile.check_time(first, index as u64, index + 1 == tiles.len())?;
    }
    let files = check_files(&tiles, per_file, columns)?;
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Ok(ThumbnailGrid {
        tile_width: first.width,
        tile_height: first.height,
        columns: count(columns),
        rows: count(per_file.div_ceil(columns)),
        tile_duration_ms: first.end_ms - first.start_ms,
        tile_count: tiles.len() as u64,
        end_ms: last.end_ms,
        files,
    })
}

/// The files in order: each holds `per_file` tiles in full rows, the last one up to that many.
fn check_files(
    tiles: &[Tile],
    per_file: usize,
    columns: usize,
) -> Result<Vec<String>, PackageError> {
    let mut seen: HashSet<&str> = HashSet::new();
    let mut files: Vec<String> = Vec::new();
    for (index, tile) in tiles.iter().enumerate() {
        let is_same = files.last().is_some_and(|file| *file == tile.file);
        match (index % per_file == 0, is_same) {
            (true, true) => return Err(tile.refuse("the file has more tiles than the first one")),
            (false, false) => return Err(tile.refuse("the file before is not full")),
            (false, true) => {}
            (true, false) => {
                if index > 0 && !per_file.is_multiple_of(columns) {
                    return Err(tile.refuse("the file before is not full"));
                }
                if !seen.insert(&tile.file) {
                    return Err(tile.refuse("the file comes a second time"));
                }
                files.push(tile.file.clone());
            }
        }
    }
    Ok(files)
}

impl ThumbnailGrid {
    /// Compares the size of sprite `file` (from 0) with the grid.
    ///
    /// A single sprite may have room that no cue uses: the grid is widened to it. Of several, all
    /// are as large as the grid, except that the last may be cropped to the tiles it has.
    pub fn fit_picture(&mut self, file: usize, size: PictureSize) -> Result<(), PackageError> {
        let invalid = |reason| Err(PackageError::InvalidPicture { offset: 0, reason });
        let width_fits = size.width.is_multiple_of(self.tile_width);
        if !width_fits || !size.height.is_multiple_of(self.tile_height) {
            return invalid("the sprite is no whole number of tiles");
        }
        let (columns, rows) = (size.width / self.tile_width, size.height / self.tile_height);
        if self.files.len() == 1 {
            let columns_fit = columns == self.columns || self.rows == 1 && columns > self.columns;
            if !columns_fit || rows < self.rows {
                return invalid("the sprite's tiles are not those of its cues");
            }
            (self.columns, self.rows) = (columns, rows);
            return Ok(());
        }
        let per_file = u64::from(self.columns) * u64::from(self.rows);
        let used = self.tile_count.saturating_sub(per_file.saturating_mul(file as u64));
        let is_last = file + 1 == self.files.len();
        let columns_used = u64::from(self.columns).min(used);
        let rows_used = used.min(per_file).div_ceil(u64::from(self.columns));
        let columns_fit = columns == self.columns || is_last && u64::from(columns) == columns_used;
        let rows_fit =
            rows == self.rows || is_last && rows < self.rows && u64::from(rows) >= rows_used;
        if !columns_fit || !rows_fit {
            return invalid("the sprite is not as large as the others");
        }
        Ok(())
    }
}

/// Writes `thumbnails.vtt` for sprites that are published.
///
/// `uri` names a sprite by its number, from 1, relative to where the file lies. Tiles after
/// `end_ms`, the end of the title, are left out, and the last one ends there.
pub fn write_thumbnails(
    images: &PresentedImages<'_>,
    end_ms: u64,
    uri: impl Fn(u64) -> String,
) -> String {
    let columns = u64::from(images.columns.max(1));
    let per_file = columns * u64::from(images.rows.max(1));
    let (width, height) = (u64::from(images.tile_width), u64::from(images.tile_height));
    let mut out = String::from("WEBVTT\n");
    for index in 0..images.tile_count {
        let start_ms = index.saturating_mul(images.tile_duration_ms);
        if start_ms >= end_ms {
            break;
        }
        let place = index % per_file;
        let (x, y) = (place % columns * width, place / columns * height);
        let uri = uri(index / per_file + 1);
        let cue = Cue {
            start_ms,
            end_ms: start_ms.saturating_add(images.tile_duration_ms).min(end_ms),
            payload: format!("{uri}#xywh={x},{y},{width},{height}"),
            ..Cue::default()
        };
        write_cue(&mut out, &cue.normalize());
    }
    out
}

#[cfg(test)]
mod tests;
