//! The first half of ingest: what the files hold, what of it the title gets, where it is cut.
//!
//! Only headers, tables and side files are read, and nothing is written: whatever is refused here
//! leaves no trace.

use std::io::Read;
use std::path::{Path, PathBuf};

use packager::demux::Movie;
use packager::image::{PICTURE_PREFIX_BYTES_MAX, ThumbnailGrid, parse_thumbnails, probe_picture};
use packager::language::display_name;
use packager::plan::{CutList, SyncTimes, plan_cuts};
use packager::presentation::{Accessibility, TrackRole};
use packager::text::{CueTrack, MPEGTS_ORIGIN_TS, parse_side_file_name, parse_text_file};
use packager::track::{MediaParams, TextCodec, TrackKind};
use packager::{MediaTime, PackageError, Timescale};

use super::inputs::Inputs;
use super::movie::read_movie_file;
use super::tracks::{Candidate, ChosenTrack, LeftOut, choose};
use crate::OriginError;

/// Renditions may differ in length by a few frames, not by content.
const LENGTH_TOLERANCE_SECONDS: f64 = 1.0;
/// Side files above this are no subtitles.
const SIDE_FILE_BYTES_MAX: u64 = 32 << 20;

/// Samples of all files of a title: 2 GiB of tables.
const SAMPLES_MAX: usize = 1 << 26;
/// Times of tracks stay far inside 64 bits.
const END_TICKS_MAX: u64 = 1 << 62;

/// A title that could be made of the files.
pub struct Prepared {
    pub movies: Vec<PathBuf>,
    pub tracks: Vec<ChosenTrack>,
    pub side_files: Vec<TextFile>,
    pub thumbnails: Option<ThumbnailFiles>,
    pub poster: Option<PathBuf>,
    pub cut_list: CutList,
    pub duration: MediaTime,
    /// What was subtracted from the times of each movie to reach the title's timeline.
    pub time_origins: Vec<Option<MediaTime>>,
    pub left_out: Vec<LeftOut>,
    /// What an editor should know though it stops nothing.
    pub warnings: Vec<String>,
}

/// A subtitle file, read.
pub struct TextFile {
    pub path: PathBuf,
    pub cues: CueTrack,
    pub language: String,
    pub label: String,
    pub role: TrackRole,
    pub accessibility: Vec<Accessibility>,
    pub is_default: bool,
}

/// Sprites and how they are tiled.
pub struct ThumbnailFiles {
    pub grid: ThumbnailGrid,
    /// Of the files, as they are to be named.
    pub extension: &'static str,
    /// In order, absolute or relative like the index that named them.
    pub files: Vec<PathBuf>,
}

/// Reads the structure of all files and plans the title.
///
/// # Errors
/// What is wrong with a file and where, or how the files don't fit each other.
pub fn prepare(files: &[PathBuf], target: MediaTime) -> Result<Prepared, OriginError> {
    let inputs = Inputs::sort(files)?;
    let mut candidates = Vec::new();
    let mut left_out = Vec::new();
    let mut warnings = Vec::new();
    let movies = read_movies(&inputs.movies)?;
    let earliest = movies.iter().filter_map(|movie| movie.time_origin).min();
    let time_origins = movies.iter().map(|movie| movie.time_origin.and(earliest)).collect();
    for (source, movie) in movies.into_iter().enumerate() {
        for skipped in movie.skipped {
            let (track_id, reason) = (skipped.track_id, skipped.reason);
            left_out.push(LeftOut { source, track_id, reason });
        }
        for track in movie.tracks {
            if let Some(encryption) = track.encryption {
                let scheme =
                    encryption.scheme.map_or_else(|| "unknown".to_owned(), |s| s.to_string());
                let reason =
                    format!("the samples are encrypted (scheme `{scheme}`): give the clear source");
                left_out.push(LeftOut { source, track_id: track.info.source_track_id, reason });
                continue;
            }
            candidates.push(Candidate { source, track });
        }
    }
    let (tracks, equal) = choose(candidates);
    left_out.extend(equal);
    if tracks.iter().all(|track| track.track.info.kind() == TrackKind::Text) {
        let told = |track: &LeftOut| {
            let file = inputs.movies[track.source].display();
            format!("{file}: track {}: {}", track.track_id, track.reason)
        };
        let reasons: Vec<String> = left_out.iter().map(told).collect();
        let reason = if reasons.is_empty() {
            "the files hold neither video nor audio".to_owned()
        } else {
            format!("no video or audio track can be used: {}", reasons.join("; "))
        };
        return Err(OriginError::Refused { reason });
    }
    refuse_other_lengths(&tracks)?;
    let duration = duration(&tracks);
    let cut_list = plan_cuts(&sync_times(&tracks), target, duration)?;
    warn_of_long_segments(&cut_list, target, duration, &mut warnings);
    let side_files = read_text_files(&inputs, &mut warnings)?;
    let thumbnails = inputs.thumbnails.as_deref().map(read_thumbnail_files).transpose()?;
    Ok(Prepared {
        movies: inputs.movies,
        tracks,
        side_files,
        thumbnails,
        poster: inputs.poster,
        cut_list,
        duration,
        time_origins,
        left_out,
        warnings,
    })
}

/// Reads the movies; fragments of one title that came apart get their common clock back.
fn read_movies(paths: &[PathBuf]) -> Result<Vec<Movie>, OriginError> {
    let mut movies: Vec<Movie> = Vec::with_capacity(paths.len());
    let mut sample_count = 0;
    for path in paths {
        let movie = read_movie_file(path)?;
        sample_count += movie.tracks.iter().map(|track| track.table.len()).sum::<usize>();
        if sample_count > SAMPLES_MAX {
            let (what, max) = ("samples, with those before it,", SAMPLES_MAX as u64);
            let source = PackageError::LimitExceeded { what, max };
            return Err(OriginError::Unreadable { file: path.display().to_string(), source });
        }
        movies.push(movie);
    }
    let origins: Vec<MediaTime> = movies.iter().filter_map(|movie| movie.time_origin).collect();
    if origins.len() != movies.len() {
        return Ok(movies);
    }
    let Some(earliest) = origins.iter().min().copied() else {
        return Ok(movies);
    };
    for (movie, origin) in movies.iter_mut().zip(origins) {
        for track in &mut movie.tracks {
            let timescale = track.info.timescale;
            let ticks = |time: MediaTime| time.rescale_round(timescale).map_or(0, |t| t.ticks);
            let later = ticks(origin).saturating_sub(ticks(earliest));
            let end = track.table.end_time().checked_add(later);
            if end.is_none_or(|end| end > END_TICKS_MAX) {
                let reason = "the files' clocks lie too far apart for one title".to_owned();
                return Err(OriginError::Refused { reason });
            }
            for sample in &mut track.table.samples {
                sample.decode_time += later;
            }
        }
    }
    Ok(movies)
}

fn end_time(track: &ChosenTrack) -> MediaTime {
    track.track.info.timescale.ticks(track.track.table.end_time())
}

/// The end of whatever lasts longest; text never makes a title longer.
fn duration(tracks: &[ChosenTrack]) -> MediaTime {
    let media = tracks.iter().filter(|track| track.track.info.kind() != TrackKind::Text);
    media.map(end_time).max().unwrap_or(Timescale::MILLIS.ticks(0))
}

fn sync_times(tracks: &[ChosenTrack]) -> Vec<SyncTimes> {
    let video = tracks.iter().filter(|track| track.track.info.kind() == TrackKind::Video);
    video
        .map(|track| SyncTimes::of(track.name.clone(), &track.track.info, &track.track.table))
        .collect()
}

fn refuse_other_lengths(tracks: &[ChosenTrack]) -> Result<(), OriginError> {
    let mut video = tracks.iter().filter(|track| track.track.info.kind() == TrackKind::Video);
    let Some(first) = video.next() else {
        return Ok(());
    };
    for other in video {
        let (left, right) = (end_time(first).as_seconds(), end_time(other).as_seconds());
        if (left - right).abs() > LENGTH_TOLERANCE_SECONDS {
            return Err(PackageError::IncompatibleRenditions {
                reason: format!(
                    "{} lasts {left:.3} s and {} lasts {right:.3} s, so they are not the same film",
                    first.name, other.name
                ),
            }
            .into());
        }
    }
    Ok(())
}

fn warn_of_long_segments(
    cuts: &CutList,
    target: MediaTime,
    end: MediaTime,
    warnings: &mut Vec<String>,
) {
    let starts: Vec<f64> =
        cuts.cuts.iter().map(|&c| cuts.timescale.ticks(c).as_seconds()).collect();
    let ends = starts.iter().skip(1).copied().chain([end.as_seconds()]);
    let longest = starts.iter().zip(ends).map(|(start, end)| end - start).fold(0.0, f64::max);
    if longest > target.as_seconds() * 2.0 {
        warnings.push(format!(
            "key frames are far apart: the longest segment lasts {longest:.1} s; a GOP of 2 s lets \
             viewers start and switch faster"
        ));
    }
}

fn read_text_files(
    inputs: &Inputs,
    warnings: &mut Vec<String>,
) -> Result<Vec<TextFile>, OriginError> {
    let movie_stem = inputs.movies.first().and_then(|path| path.file_stem());
    let movie_stem = movie_stem.and_then(|stem| stem.to_str());
    let mut files: Vec<TextFile> = Vec::with_capacity(inputs.text.len());
    for path in &inputs.text {
        let bytes = read_side_file(path)?;
        let parsed = parse_text_file(&bytes, MPEGTS_ORIGIN_TS).map_err(|source| {
            OriginError::Unreadable { file: path.display().to_string(), source }
        })?;
        if let Some(skipped) = parsed.skipped {
            warnings.push(format!(
                "{}: {} cues were left out, the first at line {}: {}",
                path.display(),
                skipped.count,
                skipped.first_line,
                skipped.first_reason
            ));
        }
        files.push(describe_text_file(path, parsed.track, movie_stem));
    }
    Ok(files)
}

fn describe_text_file(path: &Path, cues: CueTrack, movie_stem: Option<&str>) -> TextFile {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut side_file = parse_side_file_name(name, movie_stem);
    if side_file.language.is_none() && name.matches('.').count() == 1 {
        // `en.vtt`: the whole name may be the language.
        side_file = parse_side_file_name(&format!("film.{name}"), None);
    }
    let language = side_file.language.unwrap_or_else(|| "und".to_owned());
    let mut label =
        if language == "und" { "Subtitles".to_owned() } else { display_name(&language) };
    let (role, accessibility) = if side_file.is_forced {
        label.push_str(" (forced)");
        (TrackRole::ForcedSubtitle, Vec::new())
    } else if side_file.is_hearing_impaired {
        label.push_str(" (SDH)");
        (TrackRole::Caption, vec![Accessibility::HardOfHearing])
    } else {
        (TrackRole::Subtitle, Vec::new())
    };
    let is_default = side_file.is_default;
    TextFile { path: path.to_owned(), cues, language, label, role, accessibility, is_default }
}

fn read_side_file(path: &Path) -> Result<Vec<u8>, OriginError> {
    let io = |source| OriginError::Io { path: path.display().to_string(), source };
    let len = std::fs::metadata(path).map_err(io)?.len();
    if len > SIDE_FILE_BYTES_MAX {
        let reason = format!("{} has {len} bytes, which no side file has", path.display());
        return Err(OriginError::Refused { reason });
    }
    std::fs::read(path).map_err(io)
}

fn read_prefix(path: &Path, len_max: usize) -> Result<Vec<u8>, OriginError> {
    let io = |source| OriginError::Io { path: path.display().to_string(), source };
    // A name from somebody's index: neither a link to elsewhere nor a FIFO that never opens.
    if !std::fs::symlink_metadata(path).map_err(io)?.is_file() {
        let reason = format!("{} is not a regular file", path.display());
        return Err(OriginError::Refused { reason });
    }
    let mut prefix = Vec::new();
    let file = std::fs::File::open(path).map_err(io)?;
    file.take(len_max as u64).read_to_end(&mut prefix).map_err(io)?;
    Ok(prefix)
}

fn read_thumbnail_files(path: &Path) -> Result<ThumbnailFiles, OriginError> {
    let bytes = read_side_file(path)?;
    let unreadable = |source| OriginError::Unreadable { file: path.display().to_string(), source };
    let mut grid = parse_thumbnails(&bytes).map_err(unreadable)?;
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let mut files = Vec::with_capacity(grid.files.len());
    for name in &grid.files {
        // The index is somebody's file: it may name its neighbours and nothing else.
        if name.contains(['/', '\\']) || name.starts_with('.') {
            let reason = format!("{}: `{name}` must lie beside it", path.display());
            return Err(OriginError::Refused { reason });
        }
        files.push(folder.join(name));
    }
    let mut extension = "jpg";
    for (index, file) in files.iter().enumerate() {
        let unreadable =
            |source| OriginError::Unreadable { file: file.display().to_string(), source };
        let prefix = read_prefix(file, PICTURE_PREFIX_BYTES_MAX)?;
        let Some(size) = probe_picture(&prefix).map_err(unreadable)? else {
            let reason = format!("{} is neither JPEG, PNG nor WebP", file.display());
            return Err(OriginError::Refused { reason });
        };
        extension = size.format.extension();
        grid.fit_picture(index, size).map_err(unreadable)?;
    }
    Ok(ThumbnailFiles { grid, files, extension })
}

/// Whether a text track's samples become cues; the others are carried over as they are.
pub(super) fn becomes_cues(track: &ChosenTrack) -> bool {
    match &track.track.info.media {
        MediaParams::Text(text) => text.codec == TextCodec::WebVtt,
        _ => false,
    }
}
