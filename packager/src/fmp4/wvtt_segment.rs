//! Media segments of a WebVTT track, made from cues (ISO/IEC 14496-30 7).
//!
//! Samples tile the segment: a new one starts wherever a cue starts or ends. A sample lists the
//! cues that are active all through it, or says with `vtte` that there is none. A cue that lasts
//! over several samples is repeated in each, under one `source_ID`, so that a reader can put it
//! together again.

use std::collections::HashMap;

use super::box_writer::BoxWriter;
use super::boxes::vttc::{write_vttc, write_vtte};
use super::media_segment::MediaSegment;
use crate::text::Cue;
use crate::track::Sample;
use crate::{PackageError, Timescale};

/// Media bytes of one text segment. Cues that overlap are repeated at every boundary, so a hostile
/// file could ask for the square of its size; a real segment has some kilobytes.
pub const WVTT_SEGMENT_BYTES_MAX: usize = 16 << 20;

/// What a cue's boxes take beside its text: six headers, `source_ID`, and a time stamp of which the
/// hours may have thirteen digits.
const VTTC_BYTES_MAX: usize = 6 * 8 + 4 + 24;

/// Writes a whole media segment, `mdat` and its media included, for the cues of
/// `[start_ms, end_ms)`.
///
/// `cues` may be all of a track's or only those near the segment: what is not active in it is
/// passed over, and the bytes are the same. Times are those of the title, in milliseconds.
///
/// # Errors
/// [`PackageError::LimitExceeded`] when overlapping cues fill [`WVTT_SEGMENT_BYTES_MAX`].
pub fn wvtt_segment(
    number: u32,
    start_ms: u64,
    end_ms: u64,
    cues: &[Cue],
) -> Result<Vec<u8>, PackageError> {
    let active = ActiveCue::of_segment(start_ms, end_ms, cues);
    let (samples, media) = write_samples(start_ms, end_ms, &active)?;
    let mut out = Vec::new();
    let segment = MediaSegment {
        number,
        decode_time: start_ms,
        samples: &samples,
        events: &[],
        index: false,
        timescale: Timescale::MILLIS,
    };
    segment.write_header(&mut out);
    out.extend_from_slice(&media);
    Ok(out)
}

/// A cue of the segment and the number it goes by.
struct ActiveCue<'a> {
    cue: &'a Cue,
    source_id: i32,
}

impl<'a> ActiveCue<'a> {
    /// The cues active at any time of the segment, by start and then by their order in the track.
    fn of_segment(start_ms: u64, end_ms: u64, cues: &'a [Cue]) -> Vec<Self> {
        let is_active = |cue: &&Cue| {
            cue.start_ms < cue.end_ms && cue.start_ms < end_ms && start_ms < cue.end_ms
        };
        let mut seen = HashMap::new();
        let mut active: Vec<Self> = cues
            .iter()
            .filter(is_active)
            .map(|cue| {
                let digest = digest(cue);
                // Cues that are equal in everything are active in the same segments, so counting
                // them gives each the same number there.
                let twins: &mut u32 = seen.entry(digest).or_default();
                let source_id = digest.wrapping_add(*twins) & 0x7fff_ffff;
                *twins += 1;
                Self { cue, source_id: source_id as i32 }
            })
            .collect();
        active.sort_by_key(|active| active.cue.start_ms);
        active
    }
}

/// A number that depends on nothing but the cue: every segment it is active in, on every node,
/// gives it the same.
fn digest(cue: &Cue) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&cue.start_ms.to_be_bytes());
    hasher.update(&cue.end_ms.to_be_bytes());
    for text in [cue.id.as_deref().unwrap_or_default(), &cue.settings, &cue.payload] {
        hasher.update(text.as_bytes());
        hasher.update(&[0]);
    }
    hasher.finalize()
}

/// The samples of the segment and their bytes.
fn write_samples(
    start_ms: u64,
    end_ms: u64,
    cues: &[ActiveCue],
) -> Result<(Vec<Sample>, Vec<u8>), PackageError> {
    let mut samples = Vec::new();
    let mut media = Vec::new();
    let mut upcoming = cues;
    let mut current: Vec<&ActiveCue> = Vec::new();

    for (from, until) in spans(start_ms, end_ms, cues) {
        current.retain(|active| active.cue.end_ms > from);
        let started = upcoming.partition_point(|active| active.cue.start_ms <= from);
        current.extend(&upcoming[..started]);
        upcoming = &upcoming[started..];

        let before = media.len();
        write_sample(&mut media, from, until, &current)?;
        samples.push(Sample {
            size_bytes: (media.len() - before) as u32,
            decode_time: from,
            duration_ticks: (until - from) as u32,
            is_sync: true,
            ..Sample::default()
        });
    }
    Ok((samples, media))
}

/// The times between which the set of active cues stays the same, in order; none is longer than
/// `sample_duration` can say.
fn spans(start_ms: u64, end_ms: u64, cues: &[ActiveCue]) -> impl Iterator<Item = (u64, u64)> {
    let mut borders: Vec<u64> = cues
        .iter()
        .flat_map(|active| [active.cue.start_ms, active.cue.end_ms])
        .filter(|time| start_ms < *time && *time < end_ms)
        .collect();
    borders.push(end_ms);
    borders.sort_unstable();
    borders.dedup();

    let mut borders = borders.into_iter().peekable();
    let mut from = start_ms;
    std::iter::from_fn(move || {
        let border = *borders.peek()?;
        let until = border.min(from.saturating_add(u64::from(u32::MAX)));
        if until == border {
            borders.next();
        }
        let span = (from, until);
        from = until;
        Some(span)
    })
    .filter(|(from, until)| from < until)
}

fn write_sample(
    media: &mut Vec<u8>,
    from: u64,
    until: u64,
    cues: &[&ActiveCue],
) -> Result<(), PackageError> {
    let mut w = BoxWriter::new(media);
    if cues.is_empty() {
        ensure_room(&w, 0)?;
        write_vtte(&mut w);
    }
    for active in cues {
        let cue = active.cue;
        let id_bytes = cue.id.as_ref().map_or(0, String::len);
        ensure_room(&w, cue.payload.len().saturating_add(cue.settings.len() + id_bytes))?;
        let is_whole = cue.start_ms == from && cue.end_ms == until;
        let source_id = (!is_whole).then_some(active.source_id);
        write_vttc(&mut w, cue, source_id, has_time_stamps(&cue.payload).then_some(from));
    }
    Ok(())
}

/// Checks that a cue with so much text still fits.
fn ensure_room(w: &BoxWriter, text_bytes: usize) -> Result<(), PackageError> {
    if text_bytes.saturating_add(w.len()).saturating_add(VTTC_BYTES_MAX) <= WVTT_SEGMENT_BYTES_MAX {
        return Ok(());
    }
    Err(PackageError::LimitExceeded {
        what: "bytes of cues in a text segment",
        max: WVTT_SEGMENT_BYTES_MAX as u64,
    })
}

/// Whether the text has WebVTT time stamp tags in it, such as `<00:00:01.000>`.
fn has_time_stamps(payload: &str) -> bool {
    payload.as_bytes().windows(2).any(|pair| pair[0] == b'<' && pair[1].is_ascii_digit())
}

#[cfg(test)]
mod tests;
