//! The invariants of a [`SampleTable`], checked.

use crate::track::SampleTable;

/// Which invariant a sample breaks; samples count from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TableFault {
    #[error("the table is empty")]
    Empty,
    #[error("sample {index} decodes at another time than the one before it ends")]
    Discontinuous { index: usize },
    #[error("sample {index} is presented before 0")]
    NegativeTime { index: usize },
    #[error("sample {index} is presented before the first sample")]
    BeforeStart { index: usize },
    #[error("the first sample is no sync sample")]
    NoLeadingSync,
    #[error("the first sample is presented at another time than it is decoded")]
    OffsetAtStart,
    #[error("the last sample has no duration")]
    EndlessLast,
    #[error("sample {index} lies outside the source")]
    OutsideSource { index: usize },
}

/// Checks what every table that leaves this module keeps.
///
/// Beyond the invariants of [`SampleTable`]: the first sample is a sync sample whose presentation
/// time is its decode time, none is presented before it, the last has a duration, and all lie
/// within `source_len_bytes`.
///
/// # Errors
/// The first [`TableFault`] found.
pub fn check_table(table: &SampleTable, source_len_bytes: u64) -> Result<(), TableFault> {
    let (Some(first), Some(last)) = (table.samples.first(), table.samples.last()) else {
        return Err(TableFault::Empty);
    };
    if !first.is_sync {
        return Err(TableFault::NoLeadingSync);
    }
    if first.composition_offset_ticks != 0 {
        return Err(TableFault::OffsetAtStart);
    }
    let mut decode_time = first.decode_time;
    for (index, sample) in table.samples.iter().enumerate() {
        if sample.decode_time != decode_time {
            return Err(TableFault::Discontinuous { index });
        }
        decode_time = decode_time.saturating_add(u64::from(sample.duration_ticks));
        match sample.decode_time.checked_add_signed(sample.composition_offset_ticks.into()) {
            None => return Err(TableFault::NegativeTime { index }),
            Some(time) if time < first.decode_time => {
                return Err(TableFault::BeforeStart { index });
            }
            Some(_) => {}
        }
        let end = sample.offset_bytes.checked_add(sample.size_bytes.into());
        if end.is_none_or(|end| end > source_len_bytes) {
            return Err(TableFault::OutsideSource { index });
        }
    }
    if last.duration_ticks == 0 {
        return Err(TableFault::EndlessLast);
    }
    Ok(())
}
