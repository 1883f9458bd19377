//! Where a segment's media lies in the source.

use std::ops::Range;

use crate::track::Sample;

/// Byte ranges of the source that make up the media of `samples`, in that order.
///
/// Samples that follow each other in the source share a range, so a track stored apart gives one
/// range a segment and an interleaved one gives one a chunk. The lengths add up to the sum of the
/// sample sizes; no range is empty.
pub fn media_runs(samples: &[Sample]) -> Vec<Range<u64>> {
    let mut runs: Vec<Range<u64>> = Vec::new();
    for sample in samples.iter().filter(|sample| sample.size_bytes > 0) {
        let end = sample.offset_bytes.saturating_add(u64::from(sample.size_bytes));
        match runs.last_mut() {
            Some(run) if run.end == sample.offset_bytes => run.end = end,
            _ => runs.push(sample.offset_bytes..end),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::media_runs;
    use crate::track::Sample;

    #[track_caller]
    fn check(samples: &[(u64, u32)], expected: &[std::ops::Range<u64>]) {
        let samples: Vec<Sample> = samples
            .iter()
            .map(|&(offset_bytes, size_bytes)| Sample {
                offset_bytes,
                size_bytes,
                ..Sample::default()
            })
            .collect();
        assert_eq!(media_runs(&samples), expected);
    }

    #[test]
    fn neighbours_share_a_run() {
        check(&[], &[]);
        check(&[(10, 5), (15, 5), (30, 1)], &[10..20, 30..31]);
        check(&[(10, 5), (99, 0), (15, 5), (50, 1)], &[10..20, 50..51]);
    }

    #[test]
    fn order_is_that_of_the_samples() {
        check(&[(30, 10), (10, 20), (10, 20)], &[30..40, 10..30, 10..30]);
    }
}
