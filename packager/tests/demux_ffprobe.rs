//! What ffprobe says about a file, our tracks held against it, and files made by ffmpeg.
#![allow(clippy::disallowed_methods, reason = "tests read and write files")]
#![allow(dead_code, reason = "shared by test crates that use different parts")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
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
    /// Packets that ffprobe shows under the edit list and that have no sample.
    pub(crate) lost: usize,
    /// Samples that ffprobe does not even decode under the edit list.
    pub(crate) extra: usize,
    /// Samples at the start that have times of their own.
    pub(crate) retimed: usize,
    /// Our presentation time minus ffprobe's under the edit list, in seconds.
    pub(crate) shift_seconds: f64,
}

/// Holds a track against the packets of ffprobe.
///
/// Every sample must be a packet, in the same order, with the same place, size and key flag; after
/// those with times of their own, all are presented at ffprobe's time plus one constant.
pub(crate) fn compare(track: &SourceTrack, raw: &Stream, edited: &Stream) -> Comparison {
    let mut comparison = Comparison::default();
    let mut packets = raw.packets.iter();
    let samples = &track.table.samples;
    for (index, sample) in samples.iter().enumerate() {
        let is_sample = |packet: &&Packet| packet.position == Some(sample.offset_bytes);
        let skipped = packets.clone().take_while(|packet| !is_sample(packet)).count();
        let packet = packets.nth(skipped).unwrap_or_else(|| panic!("sample {index} is no packet"));
        match index {
            0 => comparison.dropped_in_front = skipped,
            _ => comparison.dropped_inside += skipped,
        }
        assert_eq!(packet.size, u64::from(sample.size_bytes), "size of sample {index}");
        if track.info.kind() == TrackKind::Video {
            assert_eq!(packet.is_key, sample.is_sync, "key flag of sample {index}");
        }
    }
    comparison.dropped_at_end = packets.count();

    let places = samples.iter().map(|sample| sample.offset_bytes).collect::<BTreeSet<_>>();
    let under_edit = edited.packets.iter().filter_map(|p| Some((p.position?, p)));
    let under_edit = under_edit.collect::<BTreeMap<_, _>>();
    let shown = under_edit.iter().filter(|(_, packet)| !packet.is_discarded);
    comparison.lost = shown.filter(|(place, _)| !places.contains(place)).count();
    comparison.extra = places.iter().filter(|place| !under_edit.contains_key(place)).count();

    let ticks = i64::from(track.info.timescale.get());
    let factor = ticks / edited.ticks_per_second;
    assert_eq!(factor * edited.ticks_per_second, ticks, "timescales are multiples");
    let shifts = samples.iter().map(|sample| {
        let packet = under_edit.get(&sample.offset_bytes).filter(|packet| !packet.is_discarded)?;
        Some(sample.presentation_time().cast_signed() - packet.pts? * factor)
    });
    let shifts = shifts.collect::<Vec<_>>();
    let shift = shifts.iter().rev().flatten().next().copied();
    let shift = shift.unwrap_or_else(|| panic!("no sample is shown: {:?}", track.info));
    let is_moved = |found: &Option<i64>| found.is_some_and(|found| found != shift);
    let unshown = shifts.iter().take_while(|found| found.is_none()).count();
    let moved = shifts.iter().rposition(is_moved).map_or(0, |last| last + 1);
    comparison.retimed = moved.max(unshown);
    comparison.shift_seconds = shift as f64 / ticks as f64;
    comparison
}

/// A folder of its own under the system's temporary one, removed at the end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("streamverse-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("the temporary folder can be written");
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Runs ffmpeg with its arguments in one string; `name` is the file it writes in here.
    pub(crate) fn ffmpeg(&self, arguments: &str, name: &str) -> PathBuf {
        let path = self.file(name);
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-y", "-threads", "1"])
            .args(arguments.split_whitespace())
            .arg(&path)
            .current_dir(&self.0)
            .output()
            .expect("ffmpeg runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ffmpeg {arguments} {name}: {errors}");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder that stays behind is the system's to clean.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
