//! Lengths of runs that cover a segment's samples.
//!
//! ```text
//! varint  number of runs − 1
//! column  lengths of all runs but the last, which has what is left
//! ```

use super::column::{Backing, put_column, read_column};
use super::wire::{WireReader, put_varint};
use crate::PackageError;

/// Length and key of each run of items with equal `key`s.
pub(super) fn runs<T, K: PartialEq>(items: &[T], key: impl Fn(&T) -> K) -> Vec<(usize, K)> {
    let runs = items.chunk_by(|left, right| key(left) == key(right));
    runs.map(|run| (run.len(), key(&run[0]))).collect()
}

/// Appends the lengths of the runs; none are zero, and there is one at least.
pub(super) fn put_run_lengths(out: &mut Vec<u8>, lengths: &[usize]) {
    let listed = lengths.len().saturating_sub(1);
    put_varint(out, listed as u64);
    let listed: Vec<i64> = lengths[..listed].iter().map(|&length| length as i64).collect();
    put_column(out, Backing::Free, &listed);
}

/// Reads lengths that cover `count` samples.
pub(super) fn read_run_lengths(
    reader: &mut WireReader<'_>,
    count: usize,
) -> Result<Vec<usize>, PackageError> {
    let listed = reader.u32()? as usize;
    if listed >= count.max(1) {
        return Err(reader.error("there are more runs than samples"));
    }
    let mut lengths = vec![0; listed + 1];
    let mut left = count;
    let reason = "a run does not fit the segment";
    read_column(reader, Backing::Free, lengths[..listed].iter_mut(), reason, |length, value| {
        *length = usize::try_from(value).ok().filter(|&length| length > 0)?;
        left = left.checked_sub(*length)?;
        Some(())
    })?;
    if left == 0 && count > 0 {
        return Err(reader.error(reason));
    }
    lengths[listed] = left;
    Ok(lengths)
}
