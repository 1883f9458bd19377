//! Clear and protected byte ranges of one sample (ISO/IEC 23001-7 9.5).

/// A run of clear bytes followed by a run of bytes that may be protected, in sample order.
///
/// The lengths are as the bitstream has them: rounding to cipher blocks and splitting of clear
/// runs longer than 65 535 bytes belong to the scheme that is applied later.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Subsample {
    pub clear_bytes: u32,
    pub protected_bytes: u32,
}

/// The subsamples of a run of samples, stored flat: one growing list and the end of each sample.
///
/// A sample with no entry is protected as a whole (audio and every codec without NAL units).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SubsampleMap {
    subsamples: Vec<Subsample>,
    /// `ends[i]` is one past the last subsample of sample `i`.
    ends: Vec<u32>,
}

impl SubsampleMap {
    /// An empty map with room for `samples` that have `subsamples` together.
    pub fn with_capacity(samples: usize, subsamples: usize) -> Self {
        Self { subsamples: Vec::with_capacity(subsamples), ends: Vec::with_capacity(samples) }
    }

    /// Appends the subsamples of the next sample; an empty iterator means "protected as a whole".
    #[inline]
    pub fn push_sample(&mut self, subsamples: impl IntoIterator<Item = Subsample>) {
        self.subsamples.extend(subsamples);
        let end = u32::try_from(self.subsamples.len()).expect("samples are counted in u32");
        self.ends.push(end);
    }

    /// Number of samples described.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The subsamples of sample `index`, counted from 0; empty when there is no such sample.
    pub fn sample(&self, index: usize) -> &[Subsample] {
        let Some(&end) = self.ends.get(index) else {
            return &[];
        };
        let start = index.checked_sub(1).map_or(0, |previous| self.ends[previous]);
        &self.subsamples[start as usize..end as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_keep_their_own_subsamples() {
        let first = Subsample { clear_bytes: 5, protected_bytes: 100 };
        let second = Subsample { clear_bytes: 9, protected_bytes: 0 };
        let mut map = SubsampleMap::default();
        map.push_sample([first, second]);
        map.push_sample([]);
        map.push_sample([second]);

        assert_eq!(map.sample(0), [first, second]);
        assert!(map.sample(1).is_empty());
        assert_eq!(map.sample(2), [second]);
        assert!(map.sample(3).is_empty());
    }
}
