//! Transport streams PES packet by PES packet: FFmpeg demultiplexes, and no parser of the codec
//! guesses where pictures begin. Each picture is one PES packet, at its time, with the NAL units
//! of its sample.

use std::path::Path;

use crate::boxes;
use crate::manifests::Rendition;
use crate::tools;

/// Packets as the demultiplexer has them.
const AS_THEY_ARE: [&str; 2] = ["-fflags", "+noparse+nofillin"];
const TICK_SECONDS: f64 = 1.0 / 90_000.0;
/// TS times begin ten seconds in.
const OFFSET_SECONDS: f64 = 10.0;

/// Checks the pictures of a rendition against the same track in fragments.
#[track_caller]
pub(crate) fn check_pictures(rendition: &Rendition, fmp4: &Rendition, file: &Path) {
    let name = &rendition.name;
    tools::write(file, &rendition.concatenated());
    let streams = tools::streams_with(file, &AS_THEY_ARE).unwrap_or_else(|e| panic!("{name}: {e}"));
    let video = streams.iter().find(|stream| stream.kind == "video").expect("a picture");
    let samples = samples(fmp4);
    assert_eq!(video.packets.len(), samples.len(), "{name}: a PES packet a picture");
    let reorder = samples.iter().map(|sample| sample.pts - sample.dts).fold(0.0, f64::min);
    let codec = NalCodec::of(&fmp4.init);
    let payloads = payloads(file, &video.packets);
    for (number, (packet, sample)) in video.packets.iter().zip(&samples).enumerate() {
        let wanted = [sample.pts, sample.dts + reorder];
        // A time that equals the other is written once.
        let dts = if packet.dts.is_nan() { packet.pts } else { packet.dts };
        for (seen, wanted) in [packet.pts, dts].into_iter().zip(wanted) {
            let late = wanted + OFFSET_SECONDS - seen;
            // Each is the floor of the exact time.
            assert!((-1e-6..TICK_SECONDS + 1e-6).contains(&late), "{name}: {number} at {seen}");
        }
        let theirs = codec.described(&codec.byte_stream(&sample.bytes));
        let ours = codec.described(&payloads[number]);
        assert!(!ours.is_empty(), "{name}: picture {number} has no NAL unit");
        assert!(ours == theirs, "{name}: picture {number} has other NAL units");
        let first = units(&payloads[number]).into_iter().next().expect("a NAL unit");
        assert!(codec.is_delimiter(first), "{name}: picture {number} opens with no delimiter");
    }
}

/// Whether a rendition has pictures.
#[track_caller]
pub(crate) fn has_pictures(rendition: &Rendition, file: &Path) -> bool {
    tools::write(file, &rendition.concatenated());
    let streams = tools::streams_with(file, &AS_THEY_ARE);
    let streams = streams.unwrap_or_else(|error| panic!("{}: {error}", rendition.name));
    streams.iter().any(|stream| stream.kind == "video")
}

/// Both forms decode to the same pictures, whatever FFmpeg complains of on the way.
#[track_caller]
pub(crate) fn check_same_pictures(rendition: &Rendition, fmp4: &Rendition, file: &Path) {
    tools::write(file, &rendition.concatenated());
    let other = file.with_extension("mp4");
    tools::write(&other, &fmp4.concatenated());
    let (ours, theirs) = (tools::decoded(file, "0:v:0"), tools::decoded(&other, "0:v:0"));
    assert!(!theirs.is_empty(), "{}: no picture", rendition.name);
    let differing = ours.iter().zip(&theirs).filter(|(left, right)| left != right).count();
    let counts = (ours.len(), theirs.len());
    assert!(differing == 0 && counts.0 == counts.1, "{}: {differing} {counts:?}", rendition.name);
}

/// A sample in fragments, times in seconds.
struct Sample {
    pts: f64,
    dts: f64,
    bytes: Vec<u8>,
}

fn samples(fmp4: &Rendition) -> Vec<Sample> {
    let tick = 1.0 / f64::from(boxes::init(&fmp4.init).timescale);
    let mut all = Vec::new();
    for piece in &fmp4.pieces {
        let mdat = boxes::boxes(&piece.bytes).pop().expect("a segment ends in its mdat").body;
        let mut rest = mdat;
        for sample in boxes::segment(&piece.bytes).samples {
            let (bytes, after) = rest.split_at(sample.size as usize);
            rest = after;
            let [pts, dts] = [sample.pts, sample.dts].map(|ticks| ticks as f64 * tick);
            // Samples without a byte have nothing to be sent.
            if !bytes.is_empty() {
                all.push(Sample { pts, dts, bytes: bytes.to_vec() });
            }
        }
    }
    all
}

/// The bytes of each PES packet of the picture.
#[track_caller]
fn payloads(file: &Path, packets: &[tools::Packet]) -> Vec<Vec<u8>> {
    let out = file.with_extension("pes");
    let mut arguments = vec!["-v", "error", "-nostdin", "-y"];
    arguments.extend(AS_THEY_ARE);
    arguments.extend([
        "-i",
        tools::text(file),
        "-map",
        "0:v:0",
        "-c",
        "copy",
        "-copyinkf",
        "-f",
        "data",
    ]);
    arguments.push(tools::text(&out));
    let said = tools::run_unchecked("ffmpeg", &arguments);
    assert_eq!(said.code, Some(0), "{said:?}");
    let bytes = std::fs::read(&out).expect("it was written");
    let mut rest = bytes.as_slice();
    let mut all = Vec::new();
    for packet in packets {
        let (payload, after) = rest.split_at(packet.size as usize);
        all.push(payload.to_vec());
        rest = after;
    }
    assert!(rest.is_empty(), "packets hold all that there is");
    all
}

#[derive(Clone, Copy)]
struct NalCodec {
    is_hevc: bool,
    length_size: usize,
}

impl NalCodec {
    /// From `avcC` or `hvcC` (ISO/IEC 14496-15 5.3.3.1 and 8.3.3.1).
    fn of(init: &[u8]) -> Self {
        let body = |kind: &[u8; 4]| {
            let at = init.windows(4).position(|window| window == kind)?;
            Some(&init[at + 4..])
        };
        match (body(b"avcC"), body(b"hvcC")) {
            (Some(config), _) => Self { is_hevc: false, length_size: length_size(config[4]) },
            (_, Some(config)) => Self { is_hevc: true, length_size: length_size(config[21]) },
            _ => panic!("neither H.264 nor H.265"),
        }
    }

    /// A sample with start codes in place of lengths.
    fn byte_stream(self, mut sample: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some((length, rest)) = sample.split_at_checked(self.length_size) {
            let length = length.iter().fold(0, |value, byte| value << 8 | usize::from(*byte));
            out.extend([0, 0, 1]);
            out.extend(&rest[..length]);
            sample = &rest[length..];
        }
        out
    }

    fn unit_type(self, unit: &[u8]) -> u8 {
        if self.is_hevc { unit[0] >> 1 & 0x3f } else { unit[0] & 0x1f }
    }

    fn is_delimiter(self, unit: &[u8]) -> bool {
        self.unit_type(unit) == if self.is_hevc { 35 } else { 9 }
    }

    /// The units that are the picture's own: without delimiters and parameter sets, which a
    /// stream repeats, and without layers beyond the base, which are no part of stream type 0x24.
    fn described(self, byte_stream: &[u8]) -> Vec<Vec<u8>> {
        let is_own = |unit: &&[u8]| {
            let is_layer = self.is_hevc && ((unit[0] & 1) << 5 | unit[1] >> 3) != 0;
            let sets = if self.is_hevc { 32..=34 } else { 7..=8 };
            !is_layer && !self.is_delimiter(unit) && !sets.contains(&self.unit_type(unit))
        };
        units(byte_stream).into_iter().filter(is_own).map(<[u8]>::to_vec).collect()
    }
}

fn length_size(byte: u8) -> usize {
    usize::from(byte & 3) + 1
}

/// The units of a byte stream (H.264 and H.265 annex B), without the zeros around them.
fn units(byte_stream: &[u8]) -> Vec<&[u8]> {
    let is_code = |at: &usize| byte_stream[*at..].starts_with(&[0, 0, 1]);
    let codes: Vec<usize> = (0..byte_stream.len()).filter(is_code).collect();
    let ends = codes.iter().skip(1).copied().chain([byte_stream.len()]);
    let trimmed = |(code, end): (&usize, usize)| {
        let unit = &byte_stream[code + 3..end];
        let len = unit.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        &unit[..len]
    };
    codes.iter().zip(ends).map(trimmed).filter(|unit| !unit.is_empty()).collect()
}
