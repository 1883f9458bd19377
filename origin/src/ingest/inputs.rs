//! What the files given to ingest are, by their content.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::OriginError;

/// The files of one title, sorted by what they are.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    pub movies: Vec<PathBuf>,
    pub text: Vec<PathBuf>,
    pub thumbnails: Option<PathBuf>,
    pub poster: Option<PathBuf>,
}

/// More files than any title has.
const FILES_MAX: usize = 256;
/// Bytes that tell what a file is.
const SNIFF_BYTES: usize = 4_096;

impl Inputs {
    /// # Errors
    /// [`OriginError::Io`] for files that can't be read, [`OriginError::Refused`] for those that
    /// are none of the known kinds and for more posters or thumbnails than one.
    pub(super) fn sort(files: &[PathBuf]) -> Result<Self, OriginError> {
        if files.len() > FILES_MAX {
            let reason = format!("{} files are more than the {FILES_MAX} of a title", files.len());
            return Err(OriginError::Refused { reason });
        }
        let mut inputs = Self::default();
        for path in files {
            match sniff(path)? {
                FileKind::Movie => inputs.movies.push(path.clone()),
                FileKind::Text => inputs.text.push(path.clone()),
                FileKind::Thumbnails => only_one(&mut inputs.thumbnails, path, "thumbnails")?,
                FileKind::Jpeg => only_one(&mut inputs.poster, path, "posters")?,
            }
        }
        if inputs.movies.is_empty() {
            let reason = "no MP4 or MOV file was given".to_owned();
            return Err(OriginError::Refused { reason });
        }
        Ok(inputs)
    }
}

enum FileKind {
    Movie,
    Text,
    Thumbnails,
    Jpeg,
}

fn only_one(slot: &mut Option<PathBuf>, path: &Path, what: &str) -> Result<(), OriginError> {
    if let Some(first) = slot {
        let reason = format!("{} and {} can't both be the {what}", first.display(), path.display());
        return Err(OriginError::Refused { reason });
    }
    *slot = Some(path.to_owned());
    Ok(())
}

fn sniff(path: &Path) -> Result<FileKind, OriginError> {
    let io = |source| OriginError::Io { path: path.display().to_string(), source };
    // Opening a FIFO waits for a writer that may never come.
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        let reason = format!("{} is not a regular file", path.display());
        return Err(OriginError::Refused { reason });
    }
    let file = File::open(path).map_err(io)?;
    let mut start = Vec::with_capacity(SNIFF_BYTES);
    file.take(SNIFF_BYTES as u64).read_to_end(&mut start).map_err(io)?;
    classify(path, &start).ok_or_else(|| OriginError::Refused {
        reason: if start.is_empty() {
            format!("{} is empty", path.display())
        } else {
            format!(
                "{} is neither MP4, MOV, WebVTT, SubRip nor JPEG; other containers have to be \
                 remuxed first, for instance `ffmpeg -i IN -c copy OUT.mp4`",
                path.display()
            )
        },
    })
}

fn classify(path: &Path, start: &[u8]) -> Option<FileKind> {
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    if start.starts_with(&[0xff, 0xd8, 0xff]) {
        return Some(FileKind::Jpeg);
    }
    if text.starts_with(b"WEBVTT") {
        let points_at_sprites = text.windows(6).any(|window| window == b"#xywh=");
        return Some(if points_at_sprites { FileKind::Thumbnails } else { FileKind::Text });
    }
    let extension = path.extension().and_then(|extension| extension.to_str());
    if extension.is_some_and(|extension| extension.eq_ignore_ascii_case("srt")) {
        return Some(FileKind::Text);
    }
    // Any box type that a file may begin with: the demuxer has the last word.
    let kind = start.get(4..8)?;
    let known: [&[u8]; 9] =
        [b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"moof", b"pnot"];
    let by_name = extension.is_some_and(|extension| {
        ["mp4", "m4v", "m4a", "mov", "ismv", "isma", "cmfv", "cmfa", "3gp", "mp4a"]
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    });
    (known.contains(&kind) || by_name).then_some(FileKind::Movie)
}
