//! `moov` (ISO/IEC 14496-12 8.2.1): the tracks of a movie.

use super::TRACKS_MAX;
use super::box_reader::BoxReader;
use super::track_box::{MovieHeader, read_trak};
use super::track_build::{Budget, SampleDefaults, TrackBuild};
use crate::{FourCc, PackageError, Timescale};

pub(super) struct MovieBuild {
    pub tracks: Vec<TrackBuild>,
    pub is_fragmented: bool,
}

/// Reads `moov` with all progressive samples.
pub(super) fn read_moov(
    moov: BoxReader<'_>,
    is_quicktime: bool,
    budget: &mut Budget,
) -> Result<MovieBuild, PackageError> {
    let mut mvhd = None;
    let mut mvex = None;
    let mut traks = Vec::new();
    moov.for_each_box(|child| {
        match &child.kind.0 {
            b"mvhd" => mvhd = Some(child),
            b"mvex" => mvex = Some(child),
            b"trak" if traks.len() as u64 >= TRACKS_MAX => {
                return Err(PackageError::LimitExceeded { what: "tracks", max: TRACKS_MAX });
            }
            b"trak" => traks.push(child),
            b"cmov" => return Err(child.invalid("compressed movie headers are not read")),
            _ => {}
        }
        Ok(())
    })?;
    let mvhd = mvhd.ok_or(PackageError::MissingBox { kind: FourCc::new(b"mvhd") })?;
    let header =
        MovieHeader { timescale: read_mvhd(mvhd)?, is_fragmented: mvex.is_some(), is_quicktime };
    let mut tracks = Vec::<TrackBuild>::new();
    for trak in traks {
        let track = read_trak(trak, header, budget)?;
        if tracks.iter().any(|known| known.track_id == track.track_id) {
            return Err(trak.invalid("its track id is another track's"));
        }
        tracks.push(track);
    }
    if let Some(mvex) = mvex {
        read_mvex(mvex, &mut tracks)?;
    }
    Ok(MovieBuild { tracks, is_fragmented: header.is_fragmented })
}

/// `mvhd` (8.2.2).
fn read_mvhd(mut mvhd: BoxReader<'_>) -> Result<Timescale, PackageError> {
    let (version, _) = mvhd.full_box()?;
    mvhd.skip(if version == 0 { 8 } else { 16 })?;
    let timescale = mvhd.u32()?;
    Timescale::new(timescale).ok_or_else(|| mvhd.invalid("its timescale is 0"))
}

/// `mvex` with its `trex` boxes (8.8.1, 8.8.3).
fn read_mvex(mvex: BoxReader<'_>, tracks: &mut [TrackBuild]) -> Result<(), PackageError> {
    mvex.for_each_box(|mut trex| {
        if &trex.kind.0 != b"trex" {
            return Ok(());
        }
        trex.full_box()?;
        let track_id = trex.u32()?;
        let defaults = SampleDefaults {
            description_index: trex.u32()?,
            duration_ticks: trex.u32()?,
            size_bytes: trex.u32()?,
            flags: trex.u32()?,
        };
        if let Some(track) = tracks.iter_mut().find(|track| track.track_id == track_id) {
            track.defaults = defaults;
        }
        Ok(())
    })
}
