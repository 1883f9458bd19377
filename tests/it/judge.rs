//! Compares what was served with the source, by the eyes of FFmpeg.

use std::path::{Path, PathBuf};

use crate::boxes;
use crate::manifests::{Form, Rendition};
use crate::tools::{self, Packet, Stream};

#[path = "../../packager/tests/dash_schema/mod.rs"]
mod dash_schema;

pub(crate) use dash_schema::check_valid as check_schema;

/// Seconds that two times may differ and still be the same tick: a tick of the finest timescale
/// is longer, and arithmetic in `f64` errs by less.
const SAME_SECONDS: f64 = 2e-7;
/// Half a tick of MPEG-TS, and the times of frames inside a packet of sound, which FFmpeg computes
/// in whole ticks from the frame before.
const TS_SECONDS: f64 = 4.1 / 90_000.0;
/// TS times begin ten seconds in, so that none is negative.
const TS_OFFSET_SECONDS: f64 = 10.0;

/// The streams of all source files of a title.
#[track_caller]
pub(crate) fn source_streams(files: &[PathBuf]) -> Vec<Stream> {
    let media = files.iter().filter(|file| {
        let extension = file.extension().and_then(|extension| extension.to_str());
        !matches!(extension, Some("vtt" | "srt" | "jpg"))
    });
    media.flat_map(|file| tools::streams(file).unwrap_or_else(|error| panic!("{error}"))).collect()
}

/// A rendition in fragments, with its judged facts.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    /// What the times of the source are moved by on the output timeline.
    pub(crate) moved_seconds: f64,
    /// Of the first frame, where the rendition is sound.
    pub(crate) frame_seconds: f64,
    /// Samples with times in seconds.
    pub(crate) samples: Vec<(f64, f64)>,
    pub(crate) source: usize,
    pub(crate) kind: String,
}

/// Checks that segments follow each other to the tick and are what the manifest says; gives all
/// samples and the timescale.
#[track_caller]
pub(crate) fn check_segments(rendition: &Rendition) -> (Vec<boxes::Sample>, u32) {
    let name = &rendition.name;
    let timescale = boxes::init(&rendition.init).timescale;
    let tick = 1.0 / f64::from(timescale);
    let mut samples = Vec::new();
    let mut end: Option<i64> = None;
    let mut announced_end = None;
    for piece in &rendition.pieces {
        let segment = boxes::segment(&piece.bytes);
        let context = format!("{name}: {}", piece.url);
        if let Some(end) = end
            && !rendition.is_iframes
        {
            assert_eq!(segment.tfdt, end, "{context} starts where the one before it ends");
        }
        if let Some((time, duration, announced_timescale)) = piece.timeline {
            assert_eq!(announced_timescale, u64::from(timescale), "{context}");
            assert_eq!(time as i64, segment.tfdt, "{context}");
            assert_eq!(duration as i64, segment.duration(), "{context}");
        }
        if rendition.target_seconds > 0 {
            let from = announced_end.unwrap_or(segment.tfdt as f64 * tick);
            let announced = from + piece.seconds;
            let is = segment.end() as f64 * tick;
            // EXTINF has three decimals, rounded so that sums don't drift.
            assert!((announced - is).abs() < 0.0011, "{context}: ends at {is}, says {announced}");
            announced_end = Some(announced);
            assert!(piece.seconds.round() as u64 <= rendition.target_seconds, "{context}");
        }
        end = Some(segment.end());
        samples.extend(segment.samples);
    }
    (samples, timescale)
}

/// Judges a rendition in fragments against the source it comes from.
#[track_caller]
pub(crate) fn check_fmp4(rendition: &Rendition, sources: &[Stream], file: &Path) -> Judged {
    let name = &rendition.name;
    let (samples, timescale) = check_segments(rendition);
    tools::write(file, &rendition.concatenated());
    let found = tools::streams(file).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(found.len(), 1, "{name}");
    let ours = &found[0];
    assert_eq!(ours.packets.len(), samples.len(), "{name}");

    // FFmpeg adds the greatest negative composition offset of a fragmented track to every
    // presentation time, as it does to those that it writes itself.
    let tick = 1.0 / f64::from(timescale);
    let offsets = samples.iter().map(|sample| sample.pts - sample.dts);
    let reorder_seconds = offsets.min().unwrap_or(0).min(0) as f64 * tick;
    for (packet, sample) in ours.packets.iter().zip(&samples) {
        assert_eq!(packet.size, sample.size, "{name}");
        assert_eq!(packet.is_key, sample.is_sync, "{name} at {}", sample.dts);
        let pts = sample.pts as f64 * tick;
        let seen = packet.pts + reorder_seconds;
        assert!((seen - pts).abs() < SAME_SECONDS, "{name}: {seen} is {pts}");
    }
    let timed: Vec<(f64, &str)> = ours
        .packets
        .iter()
        .zip(&samples)
        .map(|(packet, sample)| (sample.pts as f64 * tick, packet.payload_md5.as_str()))
        .collect();
    let (source, moved_seconds) = find_source(name, &timed, &ours.kind, sources);
    check_presented(name, &timed, &sources[source], moved_seconds);
    Judged {
        moved_seconds,
        frame_seconds: samples.get(1).map_or(0.0, |sample| sample.duration as f64 * tick),
        samples: samples
            .iter()
            .map(|sample| (sample.pts as f64 * tick, sample.dts as f64 * tick))
            .collect(),
        source,
        kind: ours.kind.clone(),
    }
}

/// The stream that the samples come from, by their bytes, and how far its times were moved.
#[track_caller]
fn find_source(name: &str, ours: &[(f64, &str)], kind: &str, sources: &[Stream]) -> (usize, f64) {
    let mut best = None;
    for (index, source) in sources.iter().enumerate() {
        if source.kind != kind {
            continue;
        }
        // Counted from the end, where nothing is dropped: silence makes equal frames.
        let theirs: std::collections::HashSet<_> =
            source.packets.iter().map(|packet| packet.payload_md5.as_str()).collect();
        let known = ours.iter().filter(|(_, md5)| theirs.contains(md5)).count();
        if known == ours.len() && best.is_none_or(|(_, len)| source.packets.len() < len) {
            best = Some((index, source.packets.len()));
        }
    }
    let (index, _) = best.unwrap_or_else(|| panic!("{name}: no source has these samples"));
    let packets = &sources[index].packets;
    // A payload that is there once on both sides ties the clocks together.
    let once = |md5: &str| {
        packets.iter().filter(|packet| packet.payload_md5 == md5).count() == 1
            && ours.iter().filter(|(_, other)| *other == md5).count() == 1
    };
    let anchor = packets.iter().rev().filter(|packet| !packet.is_discarded).find_map(|packet| {
        let ours = ours.iter().rev().find(|(_, md5)| *md5 == packet.payload_md5)?;
        once(&packet.payload_md5).then_some(ours.0 - packet.pts)
    });
    (index, anchor.unwrap_or(0.0))
}

/// Every packet that the source presents is there, at its time; what else is there is decoded
/// only. At the edges FFmpeg and we may round a frame differently: half a frame of sound.
#[track_caller]
fn check_presented(name: &str, ours: &[(f64, &str)], source: &Stream, moved: f64) {
    let presented: Vec<&Packet> =
        source.packets.iter().filter(|packet| !packet.is_discarded).collect();
    let is_audio = source.kind == "audio";
    let start = ours.iter().map(|(pts, _)| *pts).fold(f64::INFINITY, f64::min);
    let mut wanted: std::collections::HashMap<&str, Vec<f64>> = std::collections::HashMap::new();
    for (pts, md5) in ours {
        wanted.entry(md5).or_default().push(*pts);
    }
    // Pictures that are decoded only, before the first one shown, take some ticks of its time.
    let is_first = |at: f64| (at - start).abs() < SAME_SECONDS;
    let mut missing = Vec::new();
    for packet in &presented {
        let at = packet.pts + moved;
        let is_there = wanted.get(packet.payload_md5.as_str()).is_some_and(|times| {
            times.iter().any(|time| {
                (time - at).abs() < SAME_SECONDS
                    || (is_audio && at < start && *time == start)
                    || (!is_audio
                        && is_first(at)
                        && (0.0..packet.duration / 2.0).contains(&(time - at)))
            })
        });
        let is_shown = at + packet.duration / 2.0 > start + SAME_SECONDS || !is_audio;
        if !is_there && is_shown {
            missing.push((at, packet.payload_md5.clone()));
        }
    }
    assert!(
        missing.is_empty(),
        "{name}: {} of {} presented samples are not there at their \
        times: {:?}; ours begin {:?}",
        missing.len(),
        presented.len(),
        &missing[..missing.len().min(4)],
        &ours[..ours.len().min(4)]
    );
    let discarded = source.packets.len() - presented.len();
    assert!(
        ours.len() <= presented.len() + discarded,
        "{name}: {} samples of {}",
        ours.len(),
        source.packets.len()
    );
}

/// Decodes a rendition. Its last frames are those that the source shows.
#[track_caller]
pub(crate) fn check_decodes(name: &str, file: &Path, stream: &str, source: &Stream) -> usize {
    let ours = tools::decode(file, stream).unwrap_or_else(|error| panic!("{name}: {error}"));
    let theirs = tools::decode(&source.file, &format!("0:{}", source.index))
        .unwrap_or_else(|error| panic!("{name}: the source: {error}"));
    if source.kind == "video" {
        assert!(ours.len() >= theirs.len(), "{name}: {} of {}", ours.len(), theirs.len());
        // What comes before is decoded for the sake of the first picture shown, and what comes
        // behind for the sake of the last: pictures that the source decodes and does not present.
        let (in_front, behind) = hidden_pictures(source);
        let extra = ours.len() - theirs.len();
        let matches = |start: &usize| ours[*start..].starts_with(&theirs);
        let start = (0..=extra).find(matches);
        let start = start.unwrap_or_else(|| panic!("{name}: other pictures than the source's"));
        assert!(start <= in_front && extra - start <= behind, "{name}: {start} of {extra} extra");
    } else {
        // FFmpeg hides the frames that prime a decoder where an edit list says so: one or two.
        assert!(ours.len().abs_diff(theirs.len()) <= 2, "{name}: {} {}", ours.len(), theirs.len());
    }
    ours.len()
}

/// Pictures decoded and not presented, in front of those that are and behind them.
fn hidden_pictures(source: &Stream) -> (usize, usize) {
    let shown = source.packets.iter().filter(|packet| !packet.is_discarded);
    let last = shown.map(|packet| packet.pts).fold(f64::NEG_INFINITY, f64::max);
    let hidden = source.packets.iter().filter(|packet| packet.is_discarded);
    let (behind, in_front): (Vec<_>, Vec<_>) = hidden.partition(|packet| packet.pts > last);
    (in_front.len(), behind.len())
}

/// Judges a rendition in MPEG-TS against the same tracks in fragments.
#[track_caller]
pub(crate) fn check_ts(rendition: &Rendition, fmp4: &[Judged], file: &Path) -> Vec<Stream> {
    let found = check_ts_packets(rendition, fmp4, file);
    check_ts_warnings(rendition, file);
    found
}

/// As many packets as samples, at their times.
#[track_caller]
pub(crate) fn check_ts_packets(rendition: &Rendition, fmp4: &[Judged], file: &Path) -> Vec<Stream> {
    let name = &rendition.name;
    tools::write(file, &rendition.concatenated());
    let found = tools::streams(file).unwrap_or_else(|error| panic!("{name}: {error}"));
    for stream in &found {
        let of_kind = fmp4.iter().filter(|judged| judged.kind == stream.kind);
        let closest =
            of_kind.min_by_key(|judged| judged.samples.len().abs_diff(stream.packets.len()));
        let judged = closest.unwrap_or_else(|| panic!("{name}: no {} track", stream.kind));
        assert_eq!(stream.packets.len(), judged.samples.len(), "{name}: {}", stream.kind);
        for (at, (packet, (pts, _))) in stream.packets.iter().zip(&judged.samples).enumerate() {
            let seen = packet.pts - TS_OFFSET_SECONDS;
            // FFmpeg takes the first block of an E-AC-3 frame for the whole, in MP4 files too.
            let is_known = stream.codec != "eac3" || at == 0;
            assert!(
                !is_known || (seen - pts).abs() < TS_SECONDS,
                "{name} {}: packet {at} at {seen}, not {pts}",
                stream.kind
            );
        }
    }
    found
}

/// FFmpeg reads the stream without a word about its packets.
#[track_caller]
pub(crate) fn check_ts_warnings(rendition: &Rendition, file: &Path) {
    let name = &rendition.name;
    tools::write(file, &rendition.concatenated());
    let warnings = tools::run_unchecked(
        "ffmpeg",
        &[
            "-v",
            "warning",
            "-nostdin",
            "-i",
            tools::text(file),
            "-map",
            "0",
            "-c",
            "copy",
            "-f",
            "null",
            "-",
        ],
    );
    for word in ["ontinuity", "corrupt", "non monoton", "non-monoton", "PES packet size mismatch"] {
        assert!(!warnings.err.contains(word), "{name}: {}", warnings.err);
    }
}

/// Checks the name of the form, so that none is forgotten.
pub(crate) fn is_media(rendition: &Rendition) -> bool {
    rendition.form != Form::WebVtt
}
