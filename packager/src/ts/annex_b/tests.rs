use proptest::prelude::*;

use super::*;
use crate::track::VideoRange;

fn annex_b(codec: VideoCodec, nal_length_size: u8, parameter_sets: &[&[u8]]) -> AnnexB {
    AnnexB::new(&VideoParams {
        codec,
        rfc6381: String::new(),
        supplemental: None,
        width: 16,
        height: 16,
        pixel_aspect: (1, 1),
        range: VideoRange::Sdr,
        color: None,
        nal_length_size: Some(nal_length_size),
        parameter_sets: parameter_sets.iter().map(|set| set.to_vec()).collect(),
    })
    .unwrap()
}

fn with_lengths(units: &[&[u8]], length_size: usize) -> Vec<u8> {
    units
        .iter()
        .flat_map(|unit| {
            let length = (unit.len() as u32).to_be_bytes();
            [&length[4 - length_size..], unit].concat()
        })
        .collect()
}

/// The whole access unit as it goes into the stream, fed in pieces of `step` bytes.
fn stream(
    framing: &AnnexB,
    sample: &[u8],
    is_sync: bool,
    step: usize,
) -> Result<Vec<u8>, &'static str> {
    let preface = framing.preface(sample, is_sync);
    let mut out = framing.delimiter(&preface).to_vec();
    let (own, rest) = sample.split_at(preface.own_delimiter_bytes);
    let mut rewriter = framing.rewriter(sample.len() as u32);
    rewriter.feed(own, |bytes| out.extend(bytes))?;
    framing.parameter_sets(&preface).for_each(|set| out.extend(set));
    for piece in rest.chunks(step) {
        rewriter.feed(piece, |bytes| out.extend(bytes))?;
    }
    rewriter.finish()?;
    let expected = framing.preface_bytes(&preface) + framing.stream_bytes(sample)?;
    assert_eq!(out.len() as u64, expected);
    Ok(out)
}

fn check(framing: &AnnexB, units: &[&[u8]], is_sync: bool, expected: &[&[u8]]) {
    let sample = with_lengths(units, usize::from(framing.length_size));
    let expected =
        expected.iter().flat_map(|unit| [&START_CODE, *unit].concat()).collect::<Vec<_>>();
    for step in [1, 3, 7, 1 << 20] {
        assert_eq!(
            stream(framing, &sample, is_sync, step).unwrap(),
            expected,
            "in steps of {step}"
        );
    }
}

const AUD: &[u8] = &[0x09, 0xf0];
const OWN_AUD: &[u8] = &[0x09, 0x10];
const SPS: &[u8] = &[0x67, 1, 2];
const PPS: &[u8] = &[0x68, 3];
const OWN_SPS: &[u8] = &[0x67, 9];
const SEI: &[u8] = &[0x06, 4, 4];
const IDR: &[u8] = &[0x65, 5, 5, 5, 5];
const SLICE: &[u8] = &[0x41, 6, 6];

#[test]
fn sync_samples_repeat_what_they_lack() {
    for length_size in [1, 2, 4] {
        let framing = annex_b(VideoCodec::Avc, length_size, &[SPS, PPS]);
        check(&framing, &[SEI, IDR, IDR], true, &[AUD, SPS, PPS, SEI, IDR, IDR]);
        check(&framing, &[SLICE], false, &[AUD, SLICE]);
        check(&framing, &[OWN_SPS, SEI, IDR], true, &[AUD, PPS, OWN_SPS, SEI, IDR]);
        check(&framing, &[OWN_AUD, IDR], true, &[OWN_AUD, SPS, PPS, IDR]);
        check(&framing, &[OWN_AUD, SLICE], false, &[OWN_AUD, SLICE]);
        check(&framing, &[IDR, OWN_SPS], true, &[AUD, SPS, PPS, IDR, OWN_SPS]);
    }
}

#[test]
fn empty_units_vanish() {
    let framing = annex_b(VideoCodec::Avc, 2, &[SPS]);
    check(&framing, &[&[], OWN_AUD, &[], IDR, &[]], true, &[OWN_AUD, SPS, IDR]);
    check(&framing, &[&[], &[]], false, &[AUD]);
}

#[test]
fn hevc_has_its_own_types() {
    let (vps, sps, pps) = (&[0x40, 1, 1][..], &[0x42, 1, 2][..], &[0x44, 1, 3][..]);
    let (delimiter, own, idr) = (&[0x46, 1, 0x50][..], &[0x46, 1, 0x10][..], &[0x26, 1, 9][..]);
    let framing = annex_b(VideoCodec::Hevc, 4, &[vps, sps, pps]);
    check(&framing, &[idr], true, &[delimiter, vps, sps, pps, idr]);
    check(&framing, &[own, vps, idr], true, &[own, sps, pps, vps, idr]);
    let (sei, own_sei) = (&[0x4e, 1, 137][..], &[0x4e, 1, 5][..]);
    let framing = annex_b(VideoCodec::Hevc, 4, &[vps, sei]);
    check(&framing, &[own_sei, idr], true, &[delimiter, vps, sei, own_sei, idr]);
}

/// A second view of MV-HEVC, or an alpha plane: `nuh_layer_id` 1. Its parameter sets do not stand
/// in for those of the base.
#[test]
fn layers_beyond_the_base_are_left_out() {
    let (vps, sps, delimiter) = (&[0x40, 1, 1][..], &[0x42, 1, 2][..], &[0x46, 1, 0x50][..]);
    let (idr, slice) = (&[0x26, 1, 9, 9][..], &[0x02, 1, 8][..]);
    let (sps_1, idr_1, slice_1) = (&[0x42, 9, 2][..], &[0x2a, 9, 7, 7, 7][..], &[0x02, 9, 6][..]);
    // The highest bit of the layer is in the first byte.
    let slice_32 = &[0x03, 1, 6][..];
    for length_size in [1, 2, 4] {
        let framing = annex_b(VideoCodec::Hevc, length_size, &[vps, sps, sps_1]);
        check(&framing, &[idr, idr_1], true, &[delimiter, vps, sps, idr]);
        check(&framing, &[sps_1, idr, idr_1], true, &[delimiter, vps, sps, idr]);
        let mixed = [slice_1, slice, slice_32, &[][..], slice, slice_1];
        check(&framing, &mixed, false, &[delimiter, slice, slice]);
        check(&framing, &[slice_1], false, &[delimiter]);
        // Too short to name a layer.
        check(&framing, &[slice, &[0x02]], false, &[delimiter, slice, &[0x02]]);
    }
    // In H.264 the same bits mean something else.
    let framing = annex_b(VideoCodec::Avc, 4, &[]);
    check(&framing, &[&[0x41, 9, 6]], false, &[AUD, &[0x41, 9, 6]]);
}

#[test]
fn lengths_that_lie_are_errors() {
    let framing = annex_b(VideoCodec::Avc, 4, &[SPS]);
    for sample in [&[0, 0, 0, 9, 0x65][..], &[0, 0], &[0, 0, 0, 1], &[0, 0, 0, 1, 0x65, 0]] {
        for step in [1, 100] {
            assert!(stream(&framing, sample, true, step).is_err());
        }
        assert!(framing.stream_bytes(sample).is_err());
    }
}

proptest! {
    #[test]
    fn any_bytes_give_the_announced_length_or_an_error(
        sample in proptest::collection::vec(prop_oneof![3 => 0..4_u8, 1 => any::<u8>()], 0..200),
        length_size in prop_oneof![Just(1_u8), Just(2), Just(4)],
        is_sync: bool,
        step in 1..64_usize,
    ) {
        let framing = annex_b(VideoCodec::Avc, length_size, &[SPS, PPS]);
        let streamed = stream(&framing, &sample, is_sync, step);
        prop_assert_eq!(streamed.is_ok(), framing.stream_bytes(&sample).is_ok());
    }
}
