//! What ffprobe says about a file, and our tracks held against it.

#![allow(dead_code, reason = "shared by test crates that use different parts")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use packager::demux::SourceTrack;
use packager::track::TrackKind;

/// A packet as `ffprobe -show_packets` prints it, times in ticks of the stream.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Packet {
    pub(crate) pts: Option<i64>,
    pub(crate) dts: Option<i64>,
    pub(crate) size: u64,
    pub(crate) position: Option<u64>,
    pub(crate) is_key: bool,
    /// The edit list does not show it.
    pub(crate) is_discarded: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    pub(crate) ticks_per_second: i64,
    pub(crate) packets: Vec<Packet>,
}

/// The streams of a file by track id. Without the edit list packets are those of the tables.
pub(crate) fn probe(path: &Path, with_edit_list: bool) -> BTreeMap<u32, Stream> {
    let ignore = if with_edit_list { "0" } else { "1" };
    let entries = "stream=index,id,time_base:packet=stream_index,pts,dts,size,pos,flags";
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-ignore_editlist", ignore, "-show_entries", entries])
        .args(["-of", "compact"])
        .arg(path)
        .output()
        .expect("ffprobe runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut ids = BTreeMap::new();
    let mut streams = BTreeMap::<u32, Stream>::new();
    // Packets are printed before the streams they belong to.
    for line in text.lines().filter(|line| line.starts_with("stream|")) {
        let fields = fields(line);
        let Some(id) = fields.get("id").and_then(|id| parse_hex(id)) else {
            continue;
        };
        ids.insert(fields["index"].to_owned(), id);
        let base = fields["time_base"].strip_prefix("1/").expect("MP4 time bases are whole");
        let ticks_per_second = base.parse().unwrap();
        streams.insert(id, Stream { ticks_per_second, packets: Vec::new() });
    }
    for line in text.lines().filter(|line| line.starts_with("packet|")) {
        let fields = fields(line);
        let Some(stream) = ids.get(fields["stream_index"]).and_then(|id| streams.get_mut(id))
        else {
            continue;
        };
        let number = |name: &str| fields.get(name).and_then(|value| value.parse().ok());
        stream.packets.push(Packet {
            pts: number("pts"),
            dts: number("dts"),
            size: fields["size"].parse().unwrap(),
            position: fields.get("pos").and_then(|value| value.parse().ok()),
            is_key: fields["flags"].contains('K'),
            is_discarded: fields["flags"].contains('D'),
        });
    }
    streams
}

fn fields(line: &str) -> BTreeMap<&str, &str> {
    line.split('|').filter_map(|field| field.split_once('=')).collect()
}

fn parse_hex(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// What a comparison found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Comparison {
    /// Packets of the tables that have no sample.
    pub(crate) dropped_in_front: usize,
    pub(crate) dropped_inside: usize,
    pub(crate) dropped_at_end: usize,
    /// Samples at the start that got times of their own.
    pub(crate) retimed: usize,
    /// Our presentation time minus ffprobe's with the edit list, in seconds.
    pub(crate) shift_seconds: f64,
}

/// Holds a track against the packets of ffprobe.
///
/// Every sample must be a packet, in the same order, with the same place, size and key flag; from
/// the first on that was not moved within the edit, all are presented at ffprobe's time plus one
/// constant.
pub(crate) fn compare(track: &SourceTrack, raw: &Stream, edited: &Stream) -> Comparison {
    let mut comparison = Comparison::default();
    let mut packets = raw.packets.iter();
    let samples = &track.table.samples;
    for (index, sample) in samples.iter().enumerate() {
        let mut skipped = 0;
        let packet = loop {
            let packet = packets.next().unwrap_or_else(|| panic!("sample {index} is no packet"));
            if packet.position == Some(sample.offset_bytes) {
                break packet;
            }
            skipped += 1;
        };
        *(if index == 0 {
            &mut comparison.dropped_in_front
        } else {
            &mut comparison.dropped_inside
        }) += skipped;
        assert_eq!(packet.size, u64::from(sample.size_bytes), "size of sample {index}");
        if track.info.kind() == TrackKind::Video {
            assert_eq!(packet.is_key, sample.is_sync, "key flag of sample {index}");
        }
    }
    comparison.dropped_at_end = packets.count();

    let shown = edited.packets.iter().filter(|packet| !packet.is_discarded);
    let shown = shown.filter_map(|packet| Some((packet.position?, packet.pts?)));
    let shown = shown.collect::<BTreeMap<_, _>>();
    let ticks = i64::from(track.info.timescale.get());
    let factor = ticks / edited.ticks_per_second;
    assert_eq!(factor * edited.ticks_per_second, ticks, "timescales are multiples");
    let shifts = samples.iter().map(|sample| {
        let pts = shown.get(&sample.offset_bytes)?;
        Some(sample.presentation_time().cast_signed() - pts * factor)
    });
    let shifts = shifts.collect::<Vec<_>>();
    let shift = shifts.iter().rev().flatten().next().copied();
    let shift = shift.unwrap_or_else(|| panic!("no sample of track {:?} is shown", track.info));
    if std::env::var_os("SHOW").is_some() {
        println!("{shifts:?}")
    }
    comparison.retimed = shifts.iter().rposition(|&s| s != Some(shift)).map_or(0, |at| at + 1);
    comparison.shift_seconds = shift as f64 / ticks as f64;
    comparison
}
