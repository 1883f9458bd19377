//! Movie fragments (`moof`, ISO/IEC 14496-12 8.8): samples that follow `moov`.

use super::TICKS_MAX;
use super::box_reader::BoxReader;
use super::sample_join::entry_index;
use super::track_build::{Budget, MediaBuild, SampleDefaults, TrackBuild};
use crate::track::Sample;
use crate::{FourCc, PackageError};

/// Appends the samples of a `moof` to their tracks.
///
/// Returns the place in `tracks` of the first track with output that the fragment has.
pub(super) fn read_moof(
    moof: BoxReader<'_>,
    tracks: &mut [TrackBuild],
    budget: &mut Budget,
) -> Result<Option<usize>, PackageError> {
    let mut first_track = None;
    // 8.8.7.1: without any base, data starts at `moof` for the first track of a fragment, and
    // goes on where the track before ended for the others.
    let mut data_end = moof.start();
    moof.for_each_box(|traf| {
        if &traf.kind.0 != b"traf" {
            return Ok(());
        }
        let (tfhd, tfdt) = find_headers(traf)?;
        let header = TrackFragmentHeader::read(tfhd)?;
        let place = tracks.iter().position(|track| track.track_id == header.track_id);
        let place = place.ok_or_else(|| tfhd.invalid("`moov` has no such track"))?;
        let track = &mut tracks[place];
        if track.media.is_ok() && first_track.is_none() {
            first_track = Some(place);
        }
        let base = header.base(moof.start(), data_end);
        data_end = TrackFragment { traf, tfhd, tfdt, header, base }.append(track, budget)?;
        Ok(())
    })?;
    Ok(first_track)
}

fn find_headers(
    traf: BoxReader<'_>,
) -> Result<(BoxReader<'_>, Option<BoxReader<'_>>), PackageError> {
    let mut tfhd = None;
    let mut tfdt = None;
    traf.for_each_box(|child| {
        match &child.kind.0 {
            b"tfhd" => tfhd = Some(child),
            b"tfdt" => tfdt = Some(child),
            _ => {}
        }
        Ok(())
    })?;
    Ok((tfhd.ok_or_else(|| traf.invalid("it has no `tfhd`"))?, tfdt))
}

/// `tfhd` (8.8.7).
#[derive(Clone, Copy)]
struct TrackFragmentHeader {
    track_id: u32,
    base_data_offset: Option<u64>,
    description_index: Option<u32>,
    duration_ticks: Option<u32>,
    size_bytes: Option<u32>,
    flags: Option<u32>,
    duration_is_empty: bool,
    default_base_is_moof: bool,
}

impl TrackFragmentHeader {
    fn read(mut tfhd: BoxReader<'_>) -> Result<Self, PackageError> {
        let (_, flags) = tfhd.full_box()?;
        let has = |bit: u32| flags & bit != 0;
        Ok(Self {
            track_id: tfhd.u32()?,
            base_data_offset: has(0x1).then(|| tfhd.u64()).transpose()?,
            description_index: has(0x2).then(|| tfhd.u32()).transpose()?,
            duration_ticks: has(0x8).then(|| tfhd.u32()).transpose()?,
            size_bytes: has(0x10).then(|| tfhd.u32()).transpose()?,
            flags: has(0x20).then(|| tfhd.u32()).transpose()?,
            duration_is_empty: has(0x1_0000),
            default_base_is_moof: has(0x2_0000),
        })
    }

    fn base(&self, moof_start: u64, data_end: u64) -> u64 {
        match self.base_data_offset {
            Some(offset) => offset,
            None if self.default_base_is_moof => moof_start,
            None => data_end,
        }
    }

    fn defaults(&self, trex: SampleDefaults) -> SampleDefaults {
        SampleDefaults {
            description_index: self.description_index.unwrap_or(trex.description_index),
            duration_ticks: self.duration_ticks.unwrap_or(trex.duration_ticks),
            size_bytes: self.size_bytes.unwrap_or(trex.size_bytes),
            flags: self.flags.unwrap_or(trex.flags),
        }
    }
}

/// One `traf`.
struct TrackFragment<'a> {
    traf: BoxReader<'a>,
    tfhd: BoxReader<'a>,
    tfdt: Option<BoxReader<'a>>,
    header: TrackFragmentHeader,
    /// What data offsets count from.
    base: u64,
}

impl TrackFragment<'_> {
    /// Appends the samples; returns where their data ends.
    fn append(&self, track: &mut TrackBuild, budget: &mut Budget) -> Result<u64, PackageError> {
        let defaults = self.header.defaults(track.defaults);
        let mut data_end = self.base;
        if let Ok(media) = &mut track.media {
            self.start(media, defaults)?;
        }
        self.traf.for_each_box(|trun| {
            if &trun.kind.0 != b"trun" {
                return Ok(());
            }
            let run = TrackRun::read(trun, defaults, budget)?;
            let offset = match run.data_offset {
                Some(offset) => self
                    .base
                    .checked_add_signed(offset.into())
                    .ok_or_else(|| trun.invalid("its data starts before the file"))?,
                None => data_end,
            };
            data_end = match &mut track.media {
                Ok(media) => {
                    let description_index = self.description_index(media, defaults)?;
                    run.append(offset, description_index, track.track_id, media, budget)?
                }
                Err(_) => run.end_of_data(offset),
            };
            Ok(())
        })?;
        Ok(data_end)
    }

    /// Moves the track to the fragment's decode time (`tfdt`, 8.8.12).
    fn start(&self, media: &mut MediaBuild, defaults: SampleDefaults) -> Result<(), PackageError> {
        if let Some(mut tfdt) = self.tfdt {
            let (version, _) = tfdt.full_box()?;
            let time = tfdt.u32_or_u64(version)?;
            media.move_to(time).map_err(|reason| tfdt.invalid(reason))?;
        }
        if self.header.duration_is_empty {
            let end = media.end_time.saturating_add(defaults.duration_ticks.into());
            media.move_to(end).map_err(|reason| self.tfhd.invalid(reason))?;
        }
        Ok(())
    }

    fn description_index(
        &self,
        media: &MediaBuild,
        defaults: SampleDefaults,
    ) -> Result<u16, PackageError> {
        // Entries count from 1; writers that leave a 0 mean the first.
        entry_index(&media.entry_indexes, defaults.description_index.max(1))
            .ok_or_else(|| self.tfhd.invalid("it names a sample entry that `stsd` does not have"))
    }
}

impl MediaBuild {
    /// Makes `time` the decode time of the next sample.
    ///
    /// Tables are continuous: a gap lengthens the sample before it, and an overlap shortens it,
    /// as writers guess the duration of a fragment's last sample. More than that sample can't be
    /// taken back.
    fn move_to(&mut self, time: u64) -> Result<(), &'static str> {
        if time > TICKS_MAX {
            return Err("its time is beyond reason");
        }
        if let Some(last) = self.samples.last_mut() {
            let duration = time
                .checked_sub(last.decode_time)
                .filter(|&duration| duration > 0 || time == self.end_time);
            let duration = duration.ok_or("it goes back before the fragment in front of it")?;
            last.duration_ticks =
                u32::try_from(duration).map_err(|_| "it leaves too long a gap in front of it")?;
        }
        self.end_time = time;
        Ok(())
    }
}

/// `trun` (8.8.8).
struct TrackRun<'a> {
    trun: BoxReader<'a>,
    data_offset: Option<i32>,
    first_flags: Option<u32>,
    sample_count: u32,
    fields: RunFields,
    /// `sample_count` rows of the fields that are there.
    rows: &'a [[u8; 4]],
    defaults: SampleDefaults,
}

/// Which fields each sample has.
#[derive(Clone, Copy)]
struct RunFields {
    duration: bool,
    size: bool,
    flags: bool,
    composition_offset: bool,
}

impl RunFields {
    fn words(self) -> usize {
        [self.duration, self.size, self.flags, self.composition_offset]
            .into_iter()
            .filter(|&is_there| is_there)
            .count()
    }
}

impl<'a> TrackRun<'a> {
    fn read(
        mut trun: BoxReader<'a>,
        defaults: SampleDefaults,
        budget: &mut Budget,
    ) -> Result<Self, PackageError> {
        let (_, flags) = trun.full_box()?;
        let has = |bit: u32| flags & bit != 0;
        let sample_count = trun.u32()?;
        let data_offset = has(0x1).then(|| trun.i32()).transpose()?;
        let first_flags = has(0x4).then(|| trun.u32()).transpose()?;
        let fields = RunFields {
            duration: has(0x100),
            size: has(0x200),
            flags: has(0x400),
            composition_offset: has(0x800),
        };
        let words = fields.words() as u32;
        let row_words = sample_count.checked_mul(words);
        let row_words = row_words.ok_or_else(|| trun.invalid("it counts too many samples"))?;
        let rows = trun.rows(row_words)?;
        if words == 0 && !budget.take_unlisted(sample_count, defaults.size_bytes) {
            return Err(trun.invalid("its samples would not fit into the file"));
        }
        Ok(Self { trun, data_offset, first_flags, sample_count, fields, rows, defaults })
    }

    /// Where the data ends that starts at `offset`, for tracks nobody needs samples of.
    fn end_of_data(&self, offset: u64) -> u64 {
        let bytes = if self.fields.size {
            let size_at = usize::from(self.fields.duration);
            let sizes = self.rows.iter().skip(size_at).step_by(self.fields.words());
            sizes.map(|size| u64::from(u32::from_be_bytes(*size))).sum()
        } else {
            u64::from(self.sample_count) * u64::from(self.defaults.size_bytes)
        };
        offset.saturating_add(bytes)
    }

    /// Appends the samples, whose data starts at `offset`; returns where it ends.
    fn append(
        &self,
        mut offset: u64,
        description_index: u16,
        track: u32,
        media: &mut MediaBuild,
        budget: &mut Budget,
    ) -> Result<u64, PackageError> {
        budget.take(media.samples.len(), self.sample_count)?;
        let mut rows = self.rows.iter().map(|row| u32::from_be_bytes(*row));
        let mut field = |is_there: bool, default: u32| {
            if is_there { rows.next().unwrap_or(default) } else { default }
        };
        media.samples.reserve(self.sample_count as usize);
        let start = offset;
        for index in 0..self.sample_count {
            let duration_ticks = field(self.fields.duration, self.defaults.duration_ticks);
            let size_bytes = field(self.fields.size, self.defaults.size_bytes);
            let mut flags = field(self.fields.flags, self.defaults.flags);
            let composition_offset = field(self.fields.composition_offset, 0);
            if let (0, Some(first_flags)) = (index, self.first_flags) {
                flags = first_flags;
            }
            let end = offset.checked_add(size_bytes.into());
            let Some(end) = end.filter(|&end| end <= budget.source_len) else {
                return Err(PackageError::SampleOutsideSource {
                    track,
                    sample: media.samples.len() as u32 + 1,
                    offset,
                    size: size_bytes,
                    source_len: budget.source_len,
                });
            };
            media.samples.push(Sample {
                offset_bytes: offset,
                size_bytes,
                decode_time: media.end_time,
                duration_ticks,
                // Version 0 is unsigned, version 1 signed; real offsets fit both readings.
                composition_offset_ticks: composition_offset.cast_signed(),
                is_sync: flags & SAMPLE_IS_NON_SYNC == 0,
                description_index,
            });
            offset = end;
            media.end_time += u64::from(duration_ticks);
        }
        budget.take_media(offset - start)?;
        if media.end_time > TICKS_MAX {
            return Err(self.trun.invalid("its times are beyond reason"));
        }
        Ok(offset)
    }
}

/// Track that a `prft` tells about (8.16.5): reference_track_ID.
pub(super) fn reference_track(prft: &[u8]) -> Option<u32> {
    let mut body = BoxReader::new(FourCc::new(b"prft"), prft.get(8..)?, 0, 8);
    body.full_box().ok()?;
    body.u32().ok()
}

/// `sample_is_non_sync_sample` (8.8.3.1).
const SAMPLE_IS_NON_SYNC: u32 = 0x1_0000;
