//! Samples: which of their bytes may be protected (ISO/IEC 23001-7 9.5 and 10), where decoding can
//! start, and which captions they carry.
//!
//! A track is scanned once, at ingest, sample by sample in decode order, because parameter sets
//! and reference frames of earlier samples decide how the headers of later ones are read.

use drm::{Subsample, SubsampleMap};

use super::bits::Parsed;
use super::sample_entry::Entry;
use super::{av1, avc, hevc, video, vp9};
use crate::track::{TrackInfo, TrackKind};

/// Where a decoder that knows nothing of earlier samples stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum RandomAccess {
    /// It needs earlier samples.
    #[default]
    None,
    /// This sample and all that follow it decode (IDR, key frames, every audio frame).
    Closed,
    /// This sample and all that are presented after it decode; samples that follow it in decode
    /// order and are presented before it may not (CRA, recovery point).
    Open,
    /// The codec is not read: the container's word stands.
    Unknown,
}

/// What a sample says about itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SampleFacts {
    pub random_access: RandomAccess,
    /// It can't be decoded when decoding starts at the open random access point that it follows
    /// (RASL pictures of H.265; other codecs do not label theirs).
    pub is_skipped_leading: bool,
    /// CEA-608 channels with data in this sample: bit 0 for CC1, to bit 3 for CC4.
    pub cea608_channels: u8,
    /// CEA-708 services with data in this sample: bit 0 for service 1, to bit 7 for service 8.
    pub cea708_services: u8,
}

/// Scans the samples of one track in decode order.
#[derive(Clone, Debug)]
pub struct SampleScanner {
    /// One per sample entry: another entry is another coded video sequence.
    streams: Vec<Stream>,
}

#[derive(Clone, Debug)]
enum Stream {
    /// Protected as a whole.
    Whole(RandomAccess),
    Avc(avc::Scanner),
    Hevc(hevc::Scanner),
    Av1(Box<av1::Scanner>),
    Vp9(vp9::Scanner),
}

impl SampleScanner {
    /// A configuration that can't be read leaves its stream without parameter sets: only samples
    /// that bring their own are understood.
    pub fn new(info: &TrackInfo) -> Self {
        let stream = |entry: &Vec<u8>| match info.kind() {
            TrackKind::Video => video_stream(entry),
            TrackKind::Audio | TrackKind::Text => Stream::Whole(RandomAccess::Closed),
        };
        let mut streams: Vec<_> = info.sample_entries.iter().map(stream).collect();
        if streams.is_empty() {
            streams.push(Stream::Whole(RandomAccess::Closed));
        }
        Self { streams }
    }

    /// Appends the subsample layout of `sample` to `layout` (exactly one
    /// [`SubsampleMap::push_sample`] per call) and says what the sample is.
    ///
    /// Lengths are exact: protected runs begin behind the byte that holds the last header bit
    /// (emulation prevention counted) and are not rounded to cipher blocks. Clear runs are merged,
    /// and a trailing one has no protected bytes. Audio, text and unknown codecs get no entry:
    /// they are protected as a whole.
    ///
    /// `description_index` counts sample entries from 0.
    ///
    /// # Errors
    /// Says what is wrong with the sample, which is then laid out as wholly clear.
    pub fn scan(
        &mut self,
        sample: &[u8],
        description_index: u16,
        layout: &mut SubsampleMap,
    ) -> Result<SampleFacts, &'static str> {
        let size = u32::try_from(sample.len()).map_err(|_| {
            layout.push_sample([]);
            "the sample is larger than 4 GiB"
        })?;
        let mut runs = Runs::default();
        let scanned = match self.streams.get_mut(usize::from(description_index)) {
            None => Err("the sample refers to a sample entry that is not there"),
            Some(Stream::Whole(random_access)) => {
                layout.push_sample([]);
                return Ok(SampleFacts { random_access: *random_access, ..Default::default() });
            }
            Some(Stream::Avc(scanner)) => scanner.scan(sample, &mut runs),
            Some(Stream::Hevc(scanner)) => scanner.scan(sample, &mut runs),
            Some(Stream::Av1(scanner)) => scanner.scan(sample, &mut runs),
            Some(Stream::Vp9(scanner)) => scanner.scan(sample, &mut runs),
        };
        match scanned {
            Ok(facts) => {
                let subsamples = runs.finish();
                debug_assert_eq!(sum(&subsamples), u64::from(size));
                layout.push_sample(subsamples);
                Ok(facts)
            }
            Err(reason) => {
                let clear = Subsample { clear_bytes: size, protected_bytes: 0 };
                layout.push_sample((size > 0).then_some(clear));
                Err(reason)
            }
        }
    }
}

fn video_stream(entry: &[u8]) -> Stream {
    let unknown = Stream::Whole(RandomAccess::Unknown);
    let Ok(entry) =
        Entry::new(0, entry, 0).and_then(|entry| entry.with_children(video::FIXED_SIZE))
    else {
        return unknown;
    };
    let config = |kind: &[u8; 4]| entry.find(&[kind]).map_or(&[][..], |child| child.body);
    match &entry.kind.0 {
        b"avc1" | b"avc3" | b"dva1" | b"dvav" => Stream::Avc(avc::Scanner::new(config(b"avcC"))),
        b"hvc1" | b"hev1" | b"dvh1" | b"dvhe" => Stream::Hevc(hevc::Scanner::new(config(b"hvcC"))),
        b"av01" | b"dav1" => Stream::Av1(Box::new(av1::Scanner::new(config(b"av1C")))),
        b"vp09" => Stream::Vp9(vp9::Scanner::default()),
        _ => unknown,
    }
}

fn sum(subsamples: &[Subsample]) -> u64 {
    let size = |run: &Subsample| u64::from(run.clear_bytes) + u64::from(run.protected_bytes);
    subsamples.iter().map(size).sum()
}

/// Clear and protected runs of one sample as a scanner meets them; clear ones that touch are
/// joined.
///
/// The sample is below 4 GiB and every run lies inside it, so that no sum overflows.
#[derive(Debug, Default)]
pub(super) struct Runs {
    subsamples: Vec<Subsample>,
    clear_bytes: usize,
}

impl Runs {
    pub(super) fn clear(&mut self, bytes: usize) {
        self.clear_bytes += bytes;
    }

    /// Protected runs stay apart even where they touch, as the last two tiles of an AV1 frame do:
    /// each is a chain of its own.
    pub(super) fn protect(&mut self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.push(bytes);
    }

    /// Of `unit`, the first `header_bytes` are clear and the rest may be protected.
    pub(super) fn split(&mut self, unit: &[u8], header_bytes: usize) {
        let header_bytes = header_bytes.min(unit.len());
        self.clear(header_bytes);
        self.protect(unit.len() - header_bytes);
    }

    fn push(&mut self, protected_bytes: usize) {
        let clear_bytes = std::mem::take(&mut self.clear_bytes) as u32;
        self.subsamples.push(Subsample { clear_bytes, protected_bytes: protected_bytes as u32 });
    }

    fn finish(mut self) -> Vec<Subsample> {
        if self.clear_bytes > 0 {
            self.push(0);
        }
        self.subsamples
    }
}

/// What a codec's scanner answers.
pub(super) type Scanned = Parsed<SampleFacts>;

#[cfg(test)]
mod tests;
