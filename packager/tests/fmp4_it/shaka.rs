//! Shaka Packager takes our output as its input. Runs where `STREAMVERSE_SHAKA_PACKAGER` names it.

use packager::fmp4::{SingleFile, init_segment};
use packager::track::TrackKind;

use crate::packaged::Packaged;
use crate::playback::make;
use crate::source::Source;
use crate::tools::{self, packets, text, write};

pub(crate) fn shaka_packager() -> Option<String> {
    std::env::var("STREAMVERSE_SHAKA_PACKAGER").ok()
}

#[test]
fn shaka_packager_keeps_every_packet() {
    let Some(packager) = shaka_packager() else { return };
    let path = make("shaka", "-c:v libx264 -bf 2 -g 25 -pix_fmt yuv420p -c:a aac");
    let source = Source::read(&path);
    let folder = tools::folder("shaka");
    for track in &source.tracks {
        let packaged = Packaged::new(&source, track);
        let (stream, name) = match track.info.kind() {
            TrackKind::Video => ("v:0", "video"),
            _ => ("a:0", "audio"),
        };
        let mut segmented = init_segment(&track.info, &packaged.index.facts, None);
        let mut single = SingleFile::new(&packaged.index).unwrap().head().to_vec();
        for index in 0..packaged.index.segments.len() {
            segmented.extend(packaged.segment(index, true));
            single.extend(packaged.segment(index, false));
        }
        for (form, bytes) in [("segmented", segmented), ("single", single)] {
            let ours = folder.join(format!("{name}_{form}.mp4"));
            let theirs = folder.join(format!("{name}_{form}_out.mp4"));
            write(&ours, &bytes);
            let descriptor = format!("in={},stream={name},output={}", text(&ours), text(&theirs));
            let (_, log) = tools::run_unchecked(&packager, &[&descriptor]);
            assert!(!log.contains("(exit"), "{log}");
            let (was, is) = (packets(&ours, stream, &[]), packets(&theirs, stream, &[]));
            assert_eq!(is.len(), was.len());
            for (was, is) in was.iter().zip(&is) {
                assert_eq!((is.pts, &is.payload_md5), (was.pts, &was.payload_md5));
            }
        }
    }
}
