//! Samples on the output timeline.
//!
//! Edit lists are already applied: times are those that segments carry, and what the edits cut
//! away is gone. The table exists at ingest only; serving reads one segment's samples at a time
//! from the index.

/// One sample as a segment carries it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sample {
    /// First byte in the source file.
    pub offset_bytes: u64,
    /// Bytes as stored.
    pub size_bytes: u32,
    /// Decode time in ticks of the track's timescale, from the start of the title.
    pub decode_time: u64,
    pub duration_ticks: u32,
    /// Presentation minus decode time; negative values need `trun` version 1.
    pub composition_offset_ticks: i32,
    /// Decoding can start here (`stss`, or `sample_is_non_sync_sample` = 0 in a fragment).
    pub is_sync: bool,
    /// Sample entry that describes it, counted from 0.
    pub description_index: u16,
}

impl Sample {
    /// Presentation time in ticks; never below zero by construction of the table.
    pub fn presentation_time(&self) -> u64 {
        self.decode_time.saturating_add_signed(i64::from(self.composition_offset_ticks))
    }

    pub fn end_time(&self) -> u64 {
        self.decode_time + u64::from(self.duration_ticks)
    }
}

/// All samples of one track in decode order.
///
/// Invariants, kept by whoever builds it: decode times are continuous (each is the previous one
/// plus its duration) and every presentation time is at or after 0.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SampleTable {
    pub samples: Vec<Sample>,
}

impl SampleTable {
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    pub fn start_time(&self) -> u64 {
        self.samples.first().map_or(0, |sample| sample.decode_time)
    }

    pub fn end_time(&self) -> u64 {
        self.samples.last().map_or(0, Sample::end_time)
    }
}
