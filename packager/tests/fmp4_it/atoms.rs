//! mp4-atom reads every box that is written, and writes the same bytes again.

use std::collections::BTreeSet;

use mp4_atom::{Any, Decode as _, Encode as _, Ftyp, Moof, Moov, StszSamples};
use packager::fmp4::init_segment;
use packager::index::TrackFacts;
use packager::track::{TextCodec, TrackKind};
use packager::{FourCc, MediaTime, Timescale};

use crate::boxes::{boxes, child, leaves};
use crate::golden::{media_segment, text_track, video_track};
use crate::packaged::Packaged;
use crate::playback::make;
use crate::source::Source;

/// Decodes every leaf and compares what it encodes to; returns the kinds that came out otherwise,
/// and those that mp4-atom does not know.
fn differing(bytes: &[u8]) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut different, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    for leaf in leaves(bytes) {
        let kind = FourCc(leaf.kind).to_string();
        let any = Any::decode(&mut &*leaf.whole).unwrap_or_else(|e| panic!("{kind}: {e}"));
        if let Any::Unknown(..) = any {
            unknown.insert(kind.clone());
        }
        let mut again = Vec::new();
        // A sample entry that mp4-atom knows nothing of can't be encoded.
        if any.encode(&mut again).is_err() || again != leaf.whole {
            different.insert(kind);
        }
    }
    (different, unknown)
}

fn set(kinds: &[&str]) -> BTreeSet<String> {
    kinds.iter().map(ToString::to_string).collect()
}

/// mp4-atom always writes these with 64-bit times.
const WIDER: [&str; 3] = ["mdhd", "mvhd", "tkhd"];

fn duration() -> Option<MediaTime> {
    Some(Timescale::MILLIS.ticks(60_000))
}

#[test]
fn init_boxes_come_back_as_they_are() {
    let facts = TrackFacts::default();
    let init = |info| init_segment(&info, &facts, duration());
    let opaque = set(&["mdhd", "mvhd", "stsd", "tkhd"]);
    assert_eq!(differing(&init(video_track())), (opaque.clone(), set(&["elng"])));
    let wvtt = init(text_track(TextCodec::WebVtt));
    assert_eq!(differing(&wvtt), (set(&WIDER), set(&[])));
    let stpp = init(text_track(TextCodec::Ttml));
    assert_eq!(differing(&stpp), (opaque, set(&[])));
}

#[test]
fn segment_boxes_come_back_as_they_are() {
    let bytes = media_segment();
    // Everything but the event, which is a placeholder, and the `mdat`, of which only the header
    // is there.
    let checked: Vec<u8> = boxes(&bytes)
        .iter()
        .filter(|found| !matches!(&found.kind, b"emsg" | b"mdat"))
        .flat_map(|found| found.whole.to_vec())
        .collect();
    let kinds: Vec<String> =
        boxes(&checked).iter().map(|found| FourCc(found.kind).to_string()).collect();
    assert_eq!(kinds, ["styp", "sidx", "moof"]);
    assert_eq!(differing(&checked), (set(&[]), set(&[])));
}

/// The fields mean to mp4-atom what they mean to us.
#[test]
fn fields_are_understood() {
    let path = make("atoms", "-c:v libx264 -bf 2 -g 25 -c:a aac -metadata:s:a:0 language=deu");
    let source = Source::read(&path);
    for track in &source.tracks {
        let packaged = Packaged::new(&source, track);
        let is_video = track.info.kind() == TrackKind::Video;
        let init = init_segment(&track.info, &packaged.index.facts, duration());
        // mp4-atom keeps the fields of real sample entries, not all their bytes; those are ours to
        // compare.
        let expected = set(&["mdhd", "mvhd", "stsd", "tkhd"]);
        assert_eq!(differing(&init), (expected, set(&[])));
        let stsd = child(&init, &[b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"]);
        assert_eq!(stsd[8..], track.info.sample_entries.concat());
        let top = boxes(&init);
        assert_eq!(top.len(), 2);
        let ftyp = Ftyp::decode(&mut &*top[0].whole).unwrap();
        assert_eq!(ftyp.major_brand.to_string(), "cmfc");

        let moov = Moov::decode(&mut &*top[1].whole).unwrap();
        assert_eq!(moov.trak.len(), 1);
        let trak = &moov.trak[0];
        assert!(trak.edts.is_none());
        assert_eq!(trak.tkhd.track_id, 1);
        assert_eq!(trak.mdia.mdhd.timescale, track.info.timescale.get());
        assert_eq!(trak.mdia.mdhd.language, if is_video { "und" } else { "deu" });
        assert_eq!(trak.mdia.minf.stbl.stsd.codecs.len(), 1);
        assert_eq!(trak.mdia.minf.stbl.stsz.samples, StszSamples::Different { sizes: vec![] });
        let mvex = moov.mvex.unwrap();
        assert_eq!(mvex.trex[0].track_id, 1);
        let ticks = 60 * u64::from(track.info.timescale.get());
        assert_eq!(mvex.mehd.unwrap().fragment_duration, ticks);

        for index in 0..packaged.index.segments.len() {
            let segment = packaged.segment(index, true);
            let samples = packaged.segment_samples(index);
            let found = boxes(&segment);
            let moof = found.iter().find(|found| &found.kind == b"moof").unwrap();
            let parsed = Moof::decode(&mut &*moof.whole).unwrap();
            assert_eq!(parsed.mfhd.sequence_number, index as u32 + 1);
            let traf = &parsed.traf[0];
            assert!(traf.tfhd.default_base_is_moof);
            let tfdt = traf.tfdt.as_ref().unwrap();
            assert_eq!(tfdt.base_media_decode_time, samples[0].decode_time);
            let rows: Vec<_> = traf.trun[0].samples.iter().collect();
            assert_eq!(rows.len(), samples.len());
            for (row, sample) in rows.iter().zip(samples) {
                assert_eq!(row.duration, Some(sample.duration_ticks));
                assert_eq!(row.size, Some(sample.size_bytes));
                assert_eq!(row.cts, Some(i64::from(sample.composition_offset_ticks)));
                let is_sync = row.flags.unwrap() & 0x0001_0000 == 0;
                assert_eq!(is_sync, sample.is_sync);
            }
        }
    }
}
