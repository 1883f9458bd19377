//! What a document has to keep beyond its form, before anything is computed from it.
//!
//! A store may be written to by others than us. Names become keys, URLs and headers; numbers become
//! loops and sums: both are checked here once, so that nobody behind this door has to.

use std::collections::HashSet;

use packager::plan::CUTS_MAX;
use packager::uri::{REVISION_LEN_MAX, is_track_name};

use super::{AssetDocument, ImagesDocument, TrackDocument};

/// Longest instant that a title may name: a hundred years, as in text.
const DURATION_MS_MAX: u64 = packager::text::limits::TIME_MS_MAX;
/// Tracks, sources, or files of sprites.
const LIST_MAX: usize = 4_096;
/// Longest title or label, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;
/// A sprite and its tiles, in pixels and in tiles.
const PIXELS_MAX: u32 = 1 << 16;
const TILES_MAX: u64 = 1 << 20;

impl AssetDocument {
    /// What is wrong with the document.
    pub(super) fn check(&self) -> Result<(), String> {
        check_file_name("generation", &self.generation)?;
        for retired in &self.retired {
            check_file_name("retired generation", &retired.generation)?;
        }
        if self.title.len() > TEXT_BYTES_MAX {
            return Err("its title is too long".to_owned());
        }
        if self.duration_ms > DURATION_MS_MAX {
            return Err("its duration is beyond reason".to_owned());
        }
        let lists = [self.sources.len(), self.tracks.len(), self.retired.len()];
        if lists.into_iter().any(|len| len > LIST_MAX) {
            return Err(format!("it lists more than {LIST_MAX} files"));
        }
        self.check_cuts()?;
        for file in self.sources.iter().filter_map(|source| source.file.as_deref()) {
            check_file_name("source", file)?;
        }
        let mut names = HashSet::new();
        for track in &self.tracks {
            track.check()?;
            if !names.insert(&track.name) {
                return Err(format!("track `{}` is listed twice", track.name));
            }
        }
        self.images.as_ref().map_or(Ok(()), ImagesDocument::check)?;
        self.poster.as_deref().map_or(Ok(()), |file| check_file_name("poster", file))
    }

    fn check_cuts(&self) -> Result<(), String> {
        let cuts = &self.cut_list.cuts;
        if cuts.len() as u64 > CUTS_MAX {
            return Err(format!("it has more than {CUTS_MAX} cuts"));
        }
        if cuts.first() != Some(&0) || cuts.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err("its cuts don't increase from 0".to_owned());
        }
        Ok(())
    }
}

impl TrackDocument {
    fn check(&self) -> Result<(), String> {
        let name = &self.name;
        if !is_track_name(name) {
            return Err(format!("`{}` is no name of a track", short(name)));
        }
        check_revision(name, &self.revision)?;
        check_file_name(name, &self.media_file)?;
        // Cues have no index.
        if !self.index_file.is_empty() {
            check_file_name(name, &self.index_file)?;
        }
        let has_control = self.label.chars().chain(self.language.chars()).any(char::is_control);
        if has_control || self.label.len().max(self.language.len()) > TEXT_BYTES_MAX {
            return Err(format!("track `{name}` has a label or language that can't be shown"));
        }
        Ok(())
    }
}

impl ImagesDocument {
    fn check(&self) -> Result<(), String> {
        if !is_track_name(&self.name) {
            return Err(format!("`{}` is no name of pictures", short(&self.name)));
        }
        check_revision(&self.name, &self.revision)?;
        for file in &self.files {
            check_file_name("sprite", file)?;
        }
        let sizes = [self.tile_width, self.tile_height, self.columns, self.rows];
        let has_good_sizes = sizes.into_iter().all(|size| (1..=PIXELS_MAX).contains(&size))
            && (1..=TILES_MAX).contains(&self.tile_count)
            && (1..=DURATION_MS_MAX).contains(&self.tile_duration_ms);
        if !has_good_sizes || self.files.len() > LIST_MAX {
            return Err("its pictures are tiled beyond reason".to_owned());
        }
        if !self.digests.is_empty() && self.digests.len() != self.files.len() {
            return Err("its pictures and their digests differ in number".to_owned());
        }
        if !["jpg", "png", "webp"].contains(&self.extension.as_str()) {
            return Err(format!("`{}` is no extension of pictures", short(&self.extension)));
        }
        Ok(())
    }
}

/// A file or folder of the title: one part of a key, which [`super::AssetId::key`] checks further.
fn check_file_name(what: &str, name: &str) -> Result<(), String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_good = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.len() <= 255
        && name.chars().all(is_plain);
    if is_good { Ok(()) } else { Err(format!("{what} names a bad file, `{}`", short(name))) }
}

fn check_revision(what: &str, revision: &str) -> Result<(), String> {
    let is_good = (1..=REVISION_LEN_MAX).contains(&revision.len())
        && revision.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_good { Ok(()) } else { Err(format!("{what} has a bad revision")) }
}

/// The beginning of a name, for messages.
fn short(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
