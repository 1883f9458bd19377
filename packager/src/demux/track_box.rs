//! `trak` (ISO/IEC 14496-12 8.3): one track with its progressive samples.

use super::box_reader::BoxReader;
use super::edit_list::{Edit, EditClocks, read_elst};
use super::language::{is_language_tag, language_from_packed};
use super::sample_entries::{SampleEntries, read_stsd};
use super::sample_join::{SampleBoxes, join_samples};
use super::track_build::{Budget, MediaBuild, SampleDefaults, TrackBuild};
use crate::track::{Sample, TrackInfo};
use crate::{FourCc, PackageError, Timescale};

/// What the movie says to every track.
#[derive(Clone, Copy)]
pub(super) struct MovieHeader {
    pub timescale: Timescale,
    /// `mvex` is there: samples may follow in fragments.
    pub is_fragmented: bool,
    /// Languages below 0x400 are Macintosh codes.
    pub is_quicktime: bool,
}

pub(super) fn read_trak(
    trak: BoxReader<'_>,
    movie: MovieHeader,
    budget: &mut Budget,
) -> Result<TrackBuild, PackageError> {
    let boxes = TrackBoxes::find(trak)?;
    let tkhd = boxes.tkhd.ok_or_else(|| trak.invalid("it has no `tkhd`"))?;
    let header = read_tkhd(tkhd)?;
    let track_id = header.track_id;
    let (handler, name) = match boxes.hdlr {
        Some(hdlr) => read_hdlr(hdlr)?,
        None => (FourCc([0; 4]), String::new()),
    };
    let media = match handler_reason(handler) {
        Some(reason) => Err(reason),
        None => match read_media(&boxes, &header, handler, name, movie, budget) {
            Ok(media) => media,
            // Text is an extra: a title is not refused for a kind of it that nobody can use.
            Err(PackageError::UnsupportedTrack { reason, .. }) if is_text(handler) => Err(reason),
            Err(error) => return Err(error),
        },
    };
    Ok(TrackBuild { track_id, handler, media, defaults: SampleDefaults::default() })
}

/// Why a track with this handler gives no output; `None` when it may.
fn handler_reason(handler: FourCc) -> Option<String> {
    match &handler.0 {
        b"vide" | b"soun" => None,
        _ if is_text(handler) => None,
        [0, 0, 0, 0] => Some("it has no handler".to_owned()),
        _ => Some(format!("handler `{handler}` is neither video, audio nor text")),
    }
}

fn is_text(handler: FourCc) -> bool {
    matches!(&handler.0, b"text" | b"sbtl" | b"subt" | b"clcp" | b"subp")
}

fn read_media(
    boxes: &TrackBoxes<'_>,
    header: &TrackHeader,
    handler: FourCc,
    name: String,
    movie: MovieHeader,
    budget: &mut Budget,
) -> Result<Result<MediaBuild, String>, PackageError> {
    let track = header.track_id;
    if !movie.is_fragmented && boxes.samples.sample_count()? == 0 {
        return Ok(Err(NO_SAMPLES.to_owned()));
    }
    let missing = |kind| PackageError::MissingTrackBox { track, kind: FourCc::new(kind) };
    let (timescale, duration_ticks, language) =
        read_mdhd(boxes.mdhd.ok_or_else(|| missing(b"mdhd"))?, movie.is_quicktime)?;
    let entries = read_stsd(boxes.stsd.ok_or_else(|| missing(b"stsd"))?, track, handler)?;
    check_data_references(boxes.dref, &entries, track)?;
    let clocks =
        EditClocks { movie: movie.timescale, media: timescale, is_fragmented: movie.is_fragmented };
    let edit = match boxes.elst {
        Some(elst) => read_elst(elst, track, clocks)?,
        None => Edit::default(),
    };
    let samples = join_samples(&boxes.samples, track, &entries.indexes, budget)?;
    let elng = boxes.elng.map(read_elng).transpose()?.flatten();
    Ok(Ok(MediaBuild {
        info: TrackInfo {
            source_track_id: track,
            timescale,
            language: elng.unwrap_or(language),
            name,
            display_matrix: header.display_matrix,
            sample_entries: entries.entries,
            media: entries.media,
        },
        is_enabled: header.is_enabled,
        encryption: entries.encryption,
        entry_indexes: entries.indexes,
        edit,
        duration_ticks,
        end_time: samples.last().map_or(0, Sample::end_time),
        samples,
        events: Vec::new(),
    }))
}

/// Media in another file can't be read from this one (`dref`, 8.7.2).
fn check_data_references(
    dref: Option<BoxReader<'_>>,
    entries: &SampleEntries,
    track: u32,
) -> Result<(), PackageError> {
    let Some(mut dref) = dref else {
        return Ok(());
    };
    dref.full_box()?;
    dref.u32()?;
    let mut number = 0_u16;
    dref.for_each_box(|mut reference| {
        number = number.saturating_add(1);
        let (_, flags) = reference.full_box()?;
        // Writers forget the flag that says "in this file"; only a location takes media away.
        let is_elsewhere = flags & 1 == 0 && reference.rest().iter().any(|&byte| byte != 0);
        if is_elsewhere && entries.data_references.contains(&number) {
            let reason = "its media lies in another file".to_owned();
            return Err(PackageError::UnsupportedTrack { track, reason });
        }
        Ok(())
    })
}

/// The boxes of a track, wherever they lie in `trak`.
#[derive(Default)]
struct TrackBoxes<'a> {
    tkhd: Option<BoxReader<'a>>,
    elst: Option<BoxReader<'a>>,
    mdhd: Option<BoxReader<'a>>,
    hdlr: Option<BoxReader<'a>>,
    elng: Option<BoxReader<'a>>,
    dref: Option<BoxReader<'a>>,
    stsd: Option<BoxReader<'a>>,
    samples: SampleBoxes<'a>,
}

impl<'a> TrackBoxes<'a> {
    fn find(trak: BoxReader<'a>) -> Result<Self, PackageError> {
        let mut found = Self::default();
        trak.for_each_box(|child| match &child.kind.0 {
            b"tkhd" => keep_first(&mut found.tkhd, child),
            b"edts" => child.for_each_box(|child| match &child.kind.0 {
                b"elst" => keep_first(&mut found.elst, child),
                _ => Ok(()),
            }),
            b"mdia" => found.find_in_mdia(child),
            _ => Ok(()),
        })?;
        Ok(found)
    }

    fn find_in_mdia(&mut self, mdia: BoxReader<'a>) -> Result<(), PackageError> {
        mdia.for_each_box(|child| match &child.kind.0 {
            b"mdhd" => keep_first(&mut self.mdhd, child),
            b"hdlr" => keep_first(&mut self.hdlr, child),
            b"elng" => keep_first(&mut self.elng, child),
            // QuickTime has a second `hdlr` in here, for the data (`alis`, `url `): not ours.
            b"minf" => child.for_each_box(|child| match &child.kind.0 {
                b"dinf" => child.for_each_box(|child| match &child.kind.0 {
                    b"dref" => keep_first(&mut self.dref, child),
                    _ => Ok(()),
                }),
                b"stbl" => self.find_in_stbl(child),
                _ => Ok(()),
            }),
            _ => Ok(()),
        })
    }

    fn find_in_stbl(&mut self, stbl: BoxReader<'a>) -> Result<(), PackageError> {
        stbl.for_each_box(|child| match &child.kind.0 {
            b"stsd" => keep_first(&mut self.stsd, child),
            b"stts" => keep_first(&mut self.samples.stts, child),
            b"ctts" => keep_first(&mut self.samples.ctts, child),
            b"stsc" => keep_first(&mut self.samples.stsc, child),
            b"stsz" | b"stz2" => keep_first(&mut self.samples.sizes, child),
            b"stco" | b"co64" => keep_first(&mut self.samples.chunk_offsets, child),
            b"stss" => keep_first(&mut self.samples.stss, child),
            _ => Ok(()),
        })
    }
}

fn keep_first<'a>(
    slot: &mut Option<BoxReader<'a>>,
    found: BoxReader<'a>,
) -> Result<(), PackageError> {
    if slot.is_some() {
        return Err(found.invalid("the track has a second one"));
    }
    *slot = Some(found);
    Ok(())
}

struct TrackHeader {
    track_id: u32,
    is_enabled: bool,
    display_matrix: Option<[i32; 9]>,
}

/// `tkhd` (8.3.2).
fn read_tkhd(mut tkhd: BoxReader<'_>) -> Result<TrackHeader, PackageError> {
    let (version, flags) = tkhd.full_box()?;
    // Creation and modification times.
    tkhd.skip(if version == 0 { 8 } else { 16 })?;
    let track_id = tkhd.u32()?;
    if track_id == 0 {
        return Err(tkhd.invalid("its track id is 0"));
    }
    // Reserved word and duration; two reserved words, layer, group, volume, reserved.
    tkhd.skip(if version == 0 { 8 } else { 12 })?;
    tkhd.skip(16)?;
    let mut matrix = [0; 9];
    for value in &mut matrix {
        *value = tkhd.i32()?;
    }
    let display_matrix = (matrix != IDENTITY_MATRIX).then_some(matrix);
    Ok(TrackHeader { track_id, is_enabled: flags & 1 != 0, display_matrix })
}

/// `mdhd` (8.4.2): timescale, duration in ticks (0 when unknown), language.
fn read_mdhd(
    mut mdhd: BoxReader<'_>,
    is_quicktime: bool,
) -> Result<(Timescale, u64, String), PackageError> {
    let (version, _) = mdhd.full_box()?;
    mdhd.skip(if version == 0 { 8 } else { 16 })?;
    let timescale = mdhd.u32()?;
    let timescale = Timescale::new(timescale).ok_or_else(|| mdhd.invalid("its timescale is 0"))?;
    let duration = mdhd.u32_or_u64(version)?;
    let unknown = if version == 0 { u64::from(u32::MAX) } else { u64::MAX };
    let duration = if duration == unknown { 0 } else { duration };
    Ok((timescale, duration, language_from_packed(mdhd.u16()?, is_quicktime)))
}

/// `hdlr` (8.4.3): handler type and name.
///
/// The name ends with a zero byte in MP4 and starts with its length in QuickTime, and files of
/// either kind are found with the other's: a first byte that counts exactly the rest is a length.
fn read_hdlr(mut hdlr: BoxReader<'_>) -> Result<(FourCc, String), PackageError> {
    hdlr.full_box()?;
    hdlr.skip(4)?;
    let handler = hdlr.fourcc()?;
    // Some QuickTime files stop after these, without a name.
    hdlr.skip(12.min(hdlr.rest().len()))?;
    let bytes = match hdlr.rest() {
        [length, text @ ..] if usize::from(*length) == text.len() => text,
        bytes => bytes,
    };
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    let name = String::from_utf8_lossy(&text[..text.len().min(NAME_BYTES_MAX)]);
    let name = name.trim_end_matches('\u{fffd}');
    Ok((handler, name.chars().filter(|c| !c.is_control()).collect()))
}

/// `elng` (8.4.6): a BCP 47 tag; `None` when it holds something else.
fn read_elng(mut elng: BoxReader<'_>) -> Result<Option<String>, PackageError> {
    elng.full_box()?;
    let text = elng.rest().split(|&byte| byte == 0).next().unwrap_or_default();
    Ok(std::str::from_utf8(text).ok().filter(|tag| is_language_tag(tag)).map(str::to_owned))
}

pub(super) const NO_SAMPLES: &str = "it has no samples";
/// 8.3.2.3: a unit matrix in 16.16 and 2.30 fixed point.
const IDENTITY_MATRIX: [i32; 9] = [1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30];
/// A label, not a novel.
const NAME_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests;
