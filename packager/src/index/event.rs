//! Boxes of a fragmented source that go out again in front of a segment, moved to its timeline.
//!
//! The title's timeline begins at 0 and its segments are cut anew, so times that count from the
//! source's clock or from the source's fragments would point elsewhere. Events get an absolute time
//! (`emsg` version 1), producer times the decode time of the title.

use crate::track::SampleTable;
use crate::{FourCc, MediaTime, Timescale};

const EMSG: FourCc = FourCc::new(b"emsg");
const PRFT: FourCc = FourCc::new(b"prft");
/// Size, type, version and flags of a full box.
const FULL_BOX_BYTES: usize = 12;
/// Every box that a segment carries of ours has track 1.
const OUTPUT_TRACK_ID: u32 = 1;

/// A box of a fragmented source that goes out again in front of a segment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrackEvent {
    /// Index of the sample in front of which it stood.
    pub before_sample: usize,
    /// The box with its header.
    pub bytes: Vec<u8>,
}

impl TrackEvent {
    /// Moves a box of the source to the title's timeline.
    ///
    /// `time_origin` is what was subtracted from all times of the source. `None` for boxes that
    /// can't be read: whoever reads them later couldn't either.
    pub fn rebased(
        kind: FourCc,
        bytes: &[u8],
        before_sample: usize,
        table: &SampleTable,
        timescale: Timescale,
        time_origin: Option<MediaTime>,
    ) -> Option<Self> {
        let start = table.samples.get(before_sample)?.decode_time;
        let start = timescale.ticks(start);
        let bytes = match kind {
            EMSG => rebase_emsg(bytes, start, time_origin)?,
            PRFT => rebase_prft(bytes, start)?,
            _ => return None,
        };
        Some(Self { before_sample, bytes })
    }
}

/// `emsg` (ISO/IEC 23009-1 5.10.3.3). Version 0 counts from the start of its segment:
///
/// ```text
/// version 0: scheme\0 value\0  u32 timescale  u32 delta  u32 duration  u32 id  message
/// version 1: u32 timescale  u64 time  u32 duration  u32 id  scheme\0 value\0  message
/// ```
fn rebase_emsg(bytes: &[u8], start: MediaTime, origin: Option<MediaTime>) -> Option<Vec<u8>> {
    let version = *bytes.get(8)?;
    let body = bytes.get(FULL_BOX_BYTES..)?;
    match version {
        0 => {
            let strings_len = strings_len(body)?;
            let (strings, numbers) = body.split_at(strings_len);
            let timescale = Timescale::new(u32_at(numbers, 0)?)?;
            let time = start.rescale_round(timescale)?.ticks;
            let time = time.checked_add(u64::from(u32_at(numbers, 4)?))?;
            let duration_and_id = numbers.get(8..16)?;
            let message = numbers.get(16..)?;
            Some(write_emsg(timescale, time, duration_and_id, strings, message))
        }
        1 => {
            let timescale = Timescale::new(u32_at(body, 0)?)?;
            let time = u64::from_be_bytes(body.get(4..12)?.try_into().ok()?);
            let origin = origin.and_then(|origin| origin.rescale_round(timescale));
            let time = time.saturating_sub(origin.map_or(0, |origin| origin.ticks));
            let rest = body.get(20..)?;
            let (strings, message) = rest.split_at(strings_len(rest)?);
            Some(write_emsg(timescale, time, body.get(12..20)?, strings, message))
        }
        _ => None,
    }
}

fn write_emsg(
    timescale: Timescale,
    time: u64,
    duration_and_id: &[u8],
    strings: &[u8],
    message: &[u8],
) -> Vec<u8> {
    let len = FULL_BOX_BYTES + 20 + strings.len() + message.len();
    let mut out = Vec::with_capacity(len);
    out.extend_from_slice(&(len as u32).to_be_bytes());
    out.extend_from_slice(&EMSG.0);
    out.extend_from_slice(&[1, 0, 0, 0]);
    out.extend_from_slice(&timescale.get().to_be_bytes());
    out.extend_from_slice(&time.to_be_bytes());
    out.extend_from_slice(duration_and_id);
    out.extend_from_slice(strings);
    out.extend_from_slice(message);
    out
}

/// `prft` (ISO/IEC 14496-12 8.16.5): `u32 track  u64 ntp  u32 or u64 media time`.
fn rebase_prft(bytes: &[u8], start: MediaTime) -> Option<Vec<u8>> {
    let head = bytes.get(8..FULL_BOX_BYTES)?;
    let ntp = bytes.get(16..24)?;
    let mut out = Vec::with_capacity(32);
    out.extend_from_slice(&32_u32.to_be_bytes());
    out.extend_from_slice(&PRFT.0);
    out.extend_from_slice(&[1, head[1], head[2], head[3]]);
    out.extend_from_slice(&OUTPUT_TRACK_ID.to_be_bytes());
    out.extend_from_slice(ntp);
    out.extend_from_slice(&start.ticks.to_be_bytes());
    Some(out)
}

/// Bytes of two strings with their terminators.
fn strings_len(body: &[u8]) -> Option<usize> {
    let first = body.iter().position(|&byte| byte == 0)? + 1;
    let second = body[first..].iter().position(|&byte| byte == 0)? + 1;
    Some(first + second)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::Sample;

    const TIMESCALE: Timescale = Timescale::new(25).unwrap();

    fn table() -> SampleTable {
        let samples =
            (0..100).map(|n| Sample { decode_time: n, duration_ticks: 1, ..Sample::default() });
        SampleTable { samples: samples.collect() }
    }

    fn full_box(kind: &[u8; 4], version: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = ((FULL_BOX_BYTES + body.len()) as u32).to_be_bytes().to_vec();
        bytes.extend_from_slice(kind);
        bytes.extend_from_slice(&[version, 0, 0, 0]);
        bytes.extend_from_slice(body);
        bytes
    }

    fn rebased(bytes: &[u8], origin: Option<MediaTime>) -> Option<Vec<u8>> {
        let kind = FourCc(bytes[4..8].try_into().unwrap());
        TrackEvent::rebased(kind, bytes, 50, &table(), TIMESCALE, origin).map(|event| event.bytes)
    }

    fn emsg_v1(time: u64) -> Vec<u8> {
        let mut body = 1_000_u32.to_be_bytes().to_vec();
        body.extend_from_slice(&time.to_be_bytes());
        body.extend_from_slice(b"\0\0\0\x05\0\0\0\x07urn:x\0v\0message");
        full_box(b"emsg", 1, &body)
    }

    /// Sample 50 of 25 a second stands at 2 s; 300 ms later is 2.3 s.
    #[test]
    fn events_of_a_fragment_get_an_absolute_time() {
        let mut body = b"urn:x\0v\0".to_vec();
        body.extend_from_slice(&1_000_u32.to_be_bytes());
        body.extend_from_slice(&300_u32.to_be_bytes());
        body.extend_from_slice(b"\0\0\0\x05\0\0\0\x07message");
        assert_eq!(rebased(&full_box(b"emsg", 0, &body), None), Some(emsg_v1(2_300)));
    }

    #[test]
    fn events_leave_the_clock_of_the_source() {
        let origin = Timescale::new(90_000).unwrap().ticks(900_000);
        assert_eq!(rebased(&emsg_v1(12_300), Some(origin)), Some(emsg_v1(2_300)));
        assert_eq!(rebased(&emsg_v1(12_300), None), Some(emsg_v1(12_300)));
    }

    #[test]
    fn producer_times_name_our_track_and_decode_time() {
        let mut body = 9_u32.to_be_bytes().to_vec();
        body.extend_from_slice(b"ntp-time\0\0\x10\0");
        let out = rebased(&full_box(b"prft", 0, &body), None).unwrap();
        assert_eq!(&out[12..16], 1_u32.to_be_bytes());
        assert_eq!(&out[16..24], b"ntp-time");
        assert_eq!(&out[24..32], 50_u64.to_be_bytes());
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let whole = emsg_v1(1);
        for len in 0..FULL_BOX_BYTES + 24 {
            let cut = &whole[..len];
            let event = TrackEvent::rebased(EMSG, cut, 0, &table(), TIMESCALE, None);
            assert_eq!(event, None, "{len}");
        }
        assert_eq!(rebased(&full_box(b"free", 0, b""), None), None);
    }
}
