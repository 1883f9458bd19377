//! A track packaged as the origin would: cut into segments, written as header and runs of the
//! source.

use packager::fmp4::{MediaSegment, media_runs};
use packager::index::{SegmentEntry, TrackFacts, TrackIndex};
use packager::track::Sample;

use crate::source::{Source, SourceTrack};

pub(crate) struct Packaged<'a> {
    pub(crate) source: &'a [u8],
    pub(crate) samples: &'a [Sample],
    pub(crate) index: TrackIndex,
}

impl<'a> Packaged<'a> {
    /// Cuts at the first sync sample a second or more after the last cut.
    pub(crate) fn new(source: &'a Source, track: &'a SourceTrack) -> Self {
        let second = u64::from(track.info.timescale.get());
        let mut segments: Vec<SegmentEntry> = Vec::new();
        for (index, sample) in track.samples.iter().enumerate() {
            let is_cut = segments.last().is_none_or(|segment| {
                let description = track.samples[segment.first_sample as usize].description_index;
                sample.is_sync && segment.decode_time + second <= sample.decode_time
                    || sample.description_index != description
            });
            if is_cut {
                segments.push(SegmentEntry {
                    decode_time: sample.decode_time,
                    first_sample: index as u32,
                    ..SegmentEntry::default()
                });
            }
            let segment = segments.last_mut().unwrap();
            segment.sample_count += 1;
            segment.media_bytes += u64::from(sample.size_bytes);
        }
        let index = TrackIndex {
            info: track.info.clone(),
            facts: TrackFacts::default(),
            segments,
            iframes: Vec::new(),
            end_time: track.samples.last().map_or(0, Sample::end_time),
        };
        Self { source: &source.bytes, samples: &track.samples, index }
    }

    pub(crate) fn segment_samples(&self, index: usize) -> &'a [Sample] {
        let segment = &self.index.segments[index];
        let first = segment.first_sample as usize;
        &self.samples[first..first + segment.sample_count as usize]
    }

    /// Segment `index` as it stands alone.
    pub(crate) fn segment(&self, index: usize, with_sidx: bool) -> Vec<u8> {
        let samples = self.segment_samples(index);
        let mut out = Vec::new();
        let segment = MediaSegment {
            number: index as u32 + 1,
            decode_time: samples[0].decode_time,
            samples,
            events: &[],
            index: with_sidx,
            timescale: self.index.timescale(),
        };
        segment.write_header(&mut out);
        self.append_media(samples, &mut out);
        out
    }

    pub(crate) fn append_media(&self, samples: &[Sample], out: &mut Vec<u8>) {
        for run in media_runs(samples) {
            out.extend_from_slice(&self.source[run.start as usize..run.end as usize]);
        }
    }
}
