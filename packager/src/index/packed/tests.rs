use proptest::prelude::*;

use super::*;
use crate::index::block::tests::segments;
use crate::index::{
    BlockPlace, IndexBuilder, MediaIdentity, Sidecar, SidecarHeader, StoredBlock, TrackIndex,
    segment_samples,
};
use crate::plan::CutList;
use crate::track::{
    MediaParams, Sample, SampleTable, TrackInfo, VideoCodec, VideoParams, VideoRange,
};
use crate::{FourCc, Timescale};

fn info() -> TrackInfo {
    TrackInfo {
        source_track_id: 7,
        timescale: Timescale::new(1_000).unwrap(),
        language: "en".to_owned(),
        name: String::new(),
        display_matrix: None,
        sample_entries: vec![vec![0; 8]],
        media: MediaParams::Video(VideoParams {
            codec: VideoCodec::Other(FourCc::new(b"test")),
            rfc6381: "test".to_owned(),
            supplemental: None,
            width: 16,
            height: 16,
            pixel_aspect: (1, 1),
            range: VideoRange::Sdr,
            color: None,
            nal_length_size: None,
            parameter_sets: Vec::new(),
        }),
    }
}

/// Samples of 400 ms in a source of their own order, a key frame every fifth, with their bytes.
fn table(sizes: &[u32], scattered: bool) -> (SampleTable, Vec<Vec<u8>>) {
    let source_offset = |index: usize| {
        let place = if scattered { sizes.len() - index } else { index };
        1_000_000 * place as u64
    };
    let samples = sizes.iter().enumerate().map(|(index, &size_bytes)| Sample {
        offset_bytes: source_offset(index),
        size_bytes,
        decode_time: index as u64 * 400,
        duration_ticks: 400,
        is_sync: index % 5 == 0,
        ..Sample::default()
    });
    let bytes = sizes
        .iter()
        .enumerate()
        .map(|(index, &size)| (0..size as usize).map(|at| (index * 31 + at) as u8).collect());
    (SampleTable { samples: samples.collect() }, bytes.collect())
}

/// The index of a track, its sidecar, and the media object as a caller writes it.
fn pack(sizes: &[u32], scattered: bool) -> (TrackIndex, Vec<u8>, Vec<u8>) {
    let (table, bytes) = table(sizes, scattered);
    let cuts = CutList {
        timescale: Timescale::new(1_000).unwrap(),
        cuts: (0..sizes.len().div_ceil(5) as u64).map(|cut| cut * 2_000).collect(),
    };
    let builder = IndexBuilder::new("v1", info(), table, Vec::new(), &cuts).unwrap();
    let mut builder = builder.packed();
    let (mut media, mut kept) = (Vec::new(), Vec::new());
    for sample in &bytes {
        builder.handle_sample(sample).unwrap();
        kept.extend_from_slice(sample);
        if let Some(block) = builder.take_block() {
            media.extend_from_slice(&block);
            media.append(&mut kept);
        }
    }
    assert!(kept.is_empty(), "every sample belongs to a segment that ended");
    let identity = MediaIdentity { len_bytes: media.len() as u64, digest: [9; 16] };
    let (index, sidecar) = builder.finish(identity);
    (index, sidecar, media)
}

/// Decoded from the stored table and the media object alone.
fn unpack(sidecar: &Sidecar, media: &[u8]) -> Vec<(Sample, Vec<u8>)> {
    let mut samples = Vec::new();
    for entry in &sidecar.index.segments {
        let span = entry.span();
        let span = &media[span.start as usize..span.end as usize];
        let (block, rest) = span.split_at(entry.block_len_bytes as usize);
        let segment = segment_samples(StoredBlock { entry, bytes: block }, None).unwrap();
        let mut at = 0;
        for sample in segment.samples {
            let start = sample.offset_bytes as usize;
            let bytes = media[start..start + sample.size_bytes as usize].to_vec();
            assert_eq!(rest[at..at + bytes.len()], bytes, "samples fill the span in order");
            at += bytes.len();
            samples.push((sample, bytes));
        }
        assert_eq!(at, rest.len());
    }
    samples
}

proptest! {
    /// Every sample's bytes lie where the stored index says, behind their segment's block, and
    /// nothing else about a sample changes. Spans tile the object.
    #[test]
    fn samples_are_found_where_the_index_says(
        sizes in prop::collection::vec(prop_oneof![1_u32..300, 1_u32..20_000], 1..60),
        scattered: bool,
    ) {
        let (index, sidecar, media) = pack(&sizes, scattered);
        let header = SidecarHeader::parse(&sidecar).unwrap();
        prop_assert_eq!(header.resident_bytes(), sidecar.len() as u64, "no blocks are in it");
        let sidecar = Sidecar::parse(&sidecar).unwrap();
        prop_assert_eq!(&sidecar.index, &index);
        prop_assert_eq!(sidecar.block_place, BlockPlace::Media);
        prop_assert_eq!(sidecar.media.len_bytes, media.len() as u64);

        let (table, bytes) = table(&sizes, scattered);
        let found = unpack(&sidecar, &media);
        prop_assert_eq!(found.len(), bytes.len());
        for ((found, found_bytes), (sample, bytes)) in
            found.iter().zip(table.samples.iter().zip(&bytes))
        {
            prop_assert_eq!(found_bytes, bytes);
            let moved = Sample { offset_bytes: found.offset_bytes, ..*sample };
            prop_assert_eq!(*found, moved);
        }
        for iframe in &index.iframes {
            let (sample, _) = &found[iframe.sample as usize];
            prop_assert_eq!(iframe.offset_bytes, sample.offset_bytes);
            prop_assert_eq!(iframe.size_bytes, sample.size_bytes);
            prop_assert!(sample.is_sync);
        }
        let mut end = 0;
        for entry in &index.segments {
            prop_assert_eq!(entry.span().start, end);
            end = entry.span().end;
        }
        prop_assert_eq!(end, media.len() as u64);
    }

    /// The circle of length and offset closes wherever a segment starts, also where the number
    /// gets a byte longer.
    #[test]
    fn a_segment_can_start_anywhere(
        mut segment in segments(),
        width in 0..9_u32,
        near in -600_i64..600,
    ) {
        let start = (1_u64 << (7 * width)).saturating_add_signed(near);
        let mut entry = SegmentEntry {
            decode_time: segment.samples[0].decode_time,
            media_bytes: segment.samples.iter().map(|sample| u64::from(sample.size_bytes)).sum(),
            sample_count: segment.samples.len() as u32,
            ..SegmentEntry::default()
        };
        let block = place_segment(&mut entry, &mut segment, &mut [], start);
        let samples_start = start + block.len() as u64;
        prop_assert_eq!(entry.span(), start..samples_start + entry.media_bytes);
        let decoded = segment_samples(StoredBlock { entry: &entry, bytes: &block }, None).unwrap();
        prop_assert_eq!(decoded.samples[0].offset_bytes, samples_start);
        prop_assert_eq!(&decoded.samples, &segment.samples);
    }
}

/// A packed track and one read from its source differ in places alone.
#[test]
fn packing_changes_places_only() {
    let sizes: Vec<u32> = (1..33).map(|n| n * 37).collect();
    let (packed, ..) = pack(&sizes, true);
    let (table, bytes) = table(&sizes, true);
    let cuts = CutList {
        timescale: Timescale::new(1_000).unwrap(),
        cuts: (0..7).map(|cut| cut * 2_000).collect(),
    };
    let mut builder = IndexBuilder::new("v1", info(), table, Vec::new(), &cuts).unwrap();
    for sample in &bytes {
        builder.handle_sample(sample).unwrap();
        assert!(builder.take_block().is_none());
    }
    let (mut plain, _) = builder.finish(MediaIdentity::default());
    for (entry, packed) in plain.segments.iter_mut().zip(&packed.segments) {
        entry.block_offset_bytes = packed.block_offset_bytes;
        entry.block_len_bytes = packed.block_len_bytes;
    }
    for (iframe, packed) in plain.iframes.iter_mut().zip(&packed.iframes) {
        iframe.offset_bytes = packed.offset_bytes;
    }
    assert_eq!(plain, packed);
}
