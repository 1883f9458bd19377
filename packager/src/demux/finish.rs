//! From what the boxes said to what leaves the module: tracks on the output timeline.

use super::movie_box::MovieBuild;
use super::timeline::apply_edit;
use super::track_box::NO_SAMPLES;
use super::track_build::MediaBuild;
use super::{Movie, SkippedTrack, SourceTrack, check_table};
use crate::track::{Sample, SampleTable};
use crate::{FourCc, PackageError, Timescale};

pub(super) fn finish_movie(
    movie: MovieBuild,
    brands: Vec<FourCc>,
    source_len: u64,
) -> Result<Movie, PackageError> {
    let is_fragmented = movie.is_fragmented;
    let mut out = Movie { brands, is_fragmented, ..Movie::default() };
    for track in movie.tracks {
        let (track_id, handler) = (track.track_id, track.handler);
        let finished = match track.media {
            Ok(media) => finish_track(media, track_id)?,
            Err(reason) => Err(reason),
        };
        match finished {
            Ok(track) => out.tracks.push(track),
            Err(reason) => out.skipped.push(SkippedTrack { track_id, handler, reason }),
        }
    }
    if is_fragmented {
        move_to_zero(&mut out);
    }
    for track in &out.tracks {
        debug_assert_eq!(check_table(&track.table, source_len), Ok(()));
    }
    Ok(out)
}

/// Puts a track on the output timeline; the inner error is the reason when nothing is left of it.
fn finish_track(
    mut media: MediaBuild,
    track: u32,
) -> Result<Result<SourceTrack, String>, PackageError> {
    if media.samples.is_empty() {
        return Ok(Err(NO_SAMPLES.to_owned()));
    }
    give_last_a_duration(&mut media);
    let kind = media.info.kind();
    let Some(retimed) = apply_edit(&mut media.samples, &media.edit, kind, track)? else {
        return Ok(Err("its edit list presents none of its samples".to_owned()));
    };
    let timescale = media.info.timescale.get().checked_mul(retimed.timescale_factor);
    media.info.timescale = timescale.and_then(Timescale::new).ok_or_else(|| {
        let reason = "its timescale is too coarse for where its edit list starts".to_owned();
        PackageError::UnsupportedTrack { track, reason }
    })?;
    for event in &mut media.events {
        event.first_sample = retimed.place_of(event.first_sample as usize) as u32;
    }
    Ok(Ok(SourceTrack {
        info: media.info,
        table: SampleTable { samples: media.samples },
        events: media.events,
        encryption: media.encryption,
        is_enabled: media.is_enabled,
    }))
}

/// A last sample of no duration lasts as long as the one before it, or as the media says.
fn give_last_a_duration(media: &mut MediaBuild) {
    let whole = u32::try_from(media.duration_ticks).unwrap_or(0).max(1);
    let before = media.samples.iter().rev().skip(1).map(|sample| sample.duration_ticks);
    let before = before.into_iter().find(|&duration| duration > 0);
    if let Some(last) = media.samples.last_mut()
        && last.duration_ticks == 0
    {
        last.duration_ticks = before.unwrap_or(whole);
    }
}

/// Moves all tracks together so that the one that starts first starts at 0.
fn move_to_zero(movie: &mut Movie) {
    let starts = movie.tracks.iter().map(|t| t.info.timescale.ticks(t.table.start_time()));
    let Some(origin) = starts.min().filter(|origin| origin.ticks > 0) else {
        return;
    };
    movie.time_origin = Some(origin);
    for track in &mut movie.tracks {
        // Not beyond the start of the track, as the origin is not and rounding is downwards.
        let shift = origin.rescale_floor(track.info.timescale).map_or(0, |time| time.ticks);
        let shift = shift.min(track.table.start_time());
        let moved = |sample: &mut Sample| sample.decode_time -= shift;
        track.table.samples.iter_mut().for_each(moved);
    }
}
