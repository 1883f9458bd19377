use proptest::prelude::*;

use crate::PackageError;
use crate::index::block::tests::entry_for;
use crate::index::block::{StoredBlock, encode_block};
use crate::index::{SegmentSamples, segment_samples};
use crate::track::Sample;

/// Whose sample comes next in a file, how many bytes it has, and how many that no track knows of
/// lie before it.
type Step = (usize, u32, u32);

/// Lays the samples of two tracks out in one file: pictures, and sound that counts along them.
fn lay_out(steps: &[Step], start: u64) -> [SegmentSamples; 2] {
    let mut tracks = [SegmentSamples::default(), SegmentSamples::default()];
    let mut offset_bytes = start;
    for &(track, size_bytes, padding) in steps {
        offset_bytes += u64::from(padding);
        // Of other tracks there are samples too, which only take their place.
        if let Some(track) = tracks.get_mut(track) {
            let sample = Sample { offset_bytes, size_bytes, is_sync: true, ..Sample::default() };
            track.samples.push(Sample { duration_ticks: 1_024, ..sample });
        }
        offset_bytes += u64::from(size_bytes);
    }
    fill_in_times(&mut tracks);
    tracks
}

fn fill_in_times(tracks: &mut [SegmentSamples]) {
    for track in tracks {
        for (sample, time) in track.samples.iter_mut().zip(0..) {
            sample.decode_time = time * 1_024;
        }
    }
}

fn ends(segment: &SegmentSamples) -> Vec<u64> {
    segment.samples.iter().map(super::end_of).collect()
}

/// Encodes sound along pictures and decodes it again. Gives the bytes that sound takes.
fn round_trip(pictures: &SegmentSamples, sound: &SegmentSamples) -> usize {
    let guide = encode_block(pictures, &[]);
    assert!(!guide.has_guide);
    let block = encode_block(sound, &ends(pictures));
    let read = decode(sound, &block.bytes, Some((pictures, &guide.bytes))).unwrap();
    assert_eq!(read.samples, sound.samples);
    if !block.has_guide {
        assert_eq!(decode(sound, &block.bytes, None).unwrap().samples, sound.samples);
    }
    block.bytes.len()
}

fn decode(
    sound: &SegmentSamples,
    bytes: &[u8],
    guide: Option<(&SegmentSamples, &[u8])>,
) -> Result<SegmentSamples, PackageError> {
    let entry = entry_for(sound);
    let guide = guide.map(|(pictures, bytes)| (entry_for_any(pictures), bytes));
    let guide = guide.as_ref().map(|(entry, bytes)| StoredBlock { entry, bytes });
    segment_samples(StoredBlock { entry: &entry, bytes }, guide)
}

fn entry_for_any(segment: &SegmentSamples) -> crate::index::SegmentEntry {
    match segment.samples.is_empty() {
        true => crate::index::SegmentEntry::default(),
        false => entry_for(segment),
    }
}

/// Pictures of 60 a second and sound of 47 frames a second, one after the other as their times
/// have it, for four seconds: how FFmpeg writes a file.
fn finely_muxed(picture_bytes: u32) -> [SegmentSamples; 2] {
    let mut steps: Vec<(u32, Step)> = Vec::new();
    for n in 0..240_u32 {
        let size = picture_bytes / 2 + n * 7_919 % picture_bytes;
        steps.push((n * 1_000 / 60, (0, size, 0)));
    }
    for n in 0..188_u32 {
        steps.push((n * 1_024 / 48, (1, 280 + n * 37 % 121, 0)));
    }
    steps.sort_by_key(|(time, _)| *time);
    let steps: Vec<Step> = steps.into_iter().map(|(_, step)| step).collect();
    lay_out(&steps, 48)
}

fn muxed() -> impl Strategy<Value = (Vec<Step>, u64)> {
    let size = prop_oneof![0..500_u32, 0..100_000_u32];
    let padding = prop_oneof![9 => Just(0_u32), 1 => 0..5_000_u32];
    (prop::collection::vec((0..3_usize, size, padding), 1..300), 0..1_u64 << 40)
}

proptest! {
    /// However the tracks of a file are interleaved, with samples of a third and with bytes of
    /// none in between, each sample is found again.
    #[test]
    fn muxed_segments_round_trip((steps, start) in muxed()) {
        let [pictures, sound] = lay_out(&steps, start);
        prop_assume!(!sound.samples.is_empty() && !pictures.samples.is_empty());
        round_trip(&pictures, &sound);
    }

    /// A file that has its samples in no order.
    #[test]
    fn scattered_segments_round_trip(
        (steps, start) in muxed(),
        swaps in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..9),
    ) {
        let mut tracks = lay_out(&steps, start);
        prop_assume!(tracks.iter().all(|track| !track.samples.is_empty()));
        for (at, (a, b)) in swaps.iter().enumerate() {
            let samples = &mut tracks[at % 2].samples;
            let (a, b) = (a.index(samples.len()), b.index(samples.len()));
            samples.swap(a, b);
        }
        fill_in_times(&mut tracks);
        let [pictures, sound] = tracks;
        round_trip(&pictures, &sound);
    }

    /// Bytes that pass the checksum give samples or an error, whatever they say of the guide.
    #[test]
    fn damage_is_refused((steps, start) in muxed(), at: prop::sample::Index, value: u8) {
        let [pictures, sound] = lay_out(&steps, start);
        prop_assume!(!sound.samples.is_empty() && !pictures.samples.is_empty());
        let guide = encode_block(&pictures, &[]).bytes;
        let mut block = encode_block(&sound, &ends(&pictures)).bytes;
        let at = 4 + at.index(block.len() - 4);
        block[at] = value;
        let crc = crc32fast::hash(&block[4..]);
        block[..4].copy_from_slice(&crc.to_le_bytes());
        let _ = decode(&sound, &block, Some((&pictures, &guide)));
        let _ = decode(&sound, &block, None);
    }
}

/// Sound takes its sizes, and a bit or two for its place, however large the pictures are.
#[test]
fn places_cost_little_beside_pictures() {
    for picture_bytes in [1_300, 20_000, 150_000] {
        let [pictures, sound] = finely_muxed(picture_bytes);
        let bytes = round_trip(&pictures, &sound);
        let per_sample = bytes as f64 / sound.samples.len() as f64;
        assert!(per_sample < 1.4, "{per_sample} bytes beside pictures of {picture_bytes}");
    }
}

/// A guide without samples, and one that ends in the middle.
#[test]
fn guides_may_be_short() {
    let [mut pictures, sound] = finely_muxed(9_000);
    pictures.samples.truncate(100);
    round_trip(&pictures, &sound);
    pictures.samples.clear();
    round_trip(&pictures, &sound);
}

/// The index of another file, or an older one, must not send wrong bytes.
#[test]
fn another_guide_is_noticed() {
    let [mut pictures, sound] = finely_muxed(9_000);
    let block = encode_block(&sound, &ends(&pictures));
    assert!(block.has_guide);
    let check = |guide: Option<(&SegmentSamples, &[u8])>, cause: &str| {
        let error = decode(&sound, &block.bytes, guide).unwrap_err().to_string();
        assert!(error.contains(cause), "{error}");
    };
    check(None, "lacks its guide");
    check(Some((&sound, &block.bytes)), "a guide has a guide");

    let guide = encode_block(&pictures, &[]).bytes;
    let mut damaged = guide.clone();
    damaged[40] ^= 4;
    check(Some((&pictures, &damaged)), "checksum");

    pictures.samples[100].size_bytes += 1;
    for sample in &mut pictures.samples[101..] {
        sample.offset_bytes += 1;
    }
    let other = encode_block(&pictures, &[]).bytes;
    check(Some((&pictures, &other)), "where their guide says");

    pictures.samples.truncate(50);
    let shorter = encode_block(&pictures, &[]).bytes;
    check(Some((&pictures, &shorter)), "more samples than its guide has");
}
