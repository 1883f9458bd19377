//! The single-file form: the same segments behind one `sidx`.

use packager::fmp4::{Part, SingleFile};
use packager::track::TrackKind;
use proptest::prelude::*;

use crate::packaged::Packaged;
use crate::playback::make;
use crate::source::Source;
use crate::tools::{self, Packet, packets, write};

/// Serves a byte range as the origin would.
fn read(file: &SingleFile, packaged: &Packaged, range: std::ops::Range<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    for part in file.locate(range) {
        match part {
            Part::Head(range) => out.extend_from_slice(&file.head()[range]),
            Part::Segment { index, range } => {
                let segment = packaged.segment(index, false);
                out.extend_from_slice(&segment[range.start as usize..range.end as usize]);
            }
        }
    }
    out
}

fn payloads(packets: &[Packet]) -> Vec<(i64, &str)> {
    packets.iter().map(|packet| (packet.pts, packet.payload_md5.as_str())).collect()
}

#[test]
fn ffprobe_reads_it_and_seeks_by_its_sidx() {
    let path = make("single_file", "-c:v libx264 -bf 2 -g 25 -c:a aac");
    let source = Source::read(&path);
    for track in &source.tracks {
        let packaged = Packaged::new(&source, track);
        let file = SingleFile::new(&packaged.index).unwrap();
        let whole = read(&file, &packaged, 0..u64::MAX);
        assert_eq!(whole.len() as u64, file.len_bytes());
        let stream = if track.info.kind() == TrackKind::Video { "v:0" } else { "a:0" };
        let ours = tools::folder("single_file").join(format!("{}.mp4", stream.replace(':', "")));
        write(&ours, &whole);
        let all = packets(&ours, stream, &[]);
        assert_eq!(all.len(), track.samples.len());

        // The middle is wiped out, so whoever does not seek by the index has to stumble over it.
        let last = packaged.index.segments.len() - 1;
        let start = file.segment_range(1).unwrap().start as usize;
        let end = file.segment_range(last).unwrap().start as usize;
        let mut wiped = whole;
        wiped[start..end].fill(0);
        write(&ours, &wiped);
        let seconds = packaged.index.segments[last].decode_time as f64
            / f64::from(track.info.timescale.get());
        let tail = packets(&ours, stream, &["-read_intervals", &format!("{:.3}", seconds + 0.1)]);
        let first = packaged.index.segments[last].first_sample as usize;
        assert_eq!(payloads(&tail), payloads(&all[first..]));
    }
}

#[test]
fn any_range_reassembles() {
    let path = make("single_file_ranges", "-c:v libx264 -bf 2 -g 25 -c:a aac");
    let source = Source::read(&path);
    let packaged = Packaged::new(&source, &source.tracks[0]);
    let file = SingleFile::new(&packaged.index).unwrap();

    let mut whole = file.head().to_vec();
    for index in 0..packaged.index.segments.len() {
        let segment = packaged.segment(index, false);
        let at = whole.len() as u64;
        assert_eq!(file.segment_range(index), Some(at..at + segment.len() as u64));
        whole.extend_from_slice(&segment);
    }
    let len = whole.len() as u64;
    proptest!(|(a in 0..len + 100, b in 0..len + 100)| {
        let range = a.min(b)..a.max(b);
        let end = range.end.min(len) as usize;
        let start = (range.start as usize).min(end);
        prop_assert_eq!(read(&file, &packaged, range), &whole[start..end]);
    });
}
