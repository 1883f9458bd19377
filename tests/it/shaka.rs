//! Shaka Packager makes the same of the same input: samples, payloads and times. Runs where
//! `STREAMVERSE_SHAKA_PACKAGER` names it.

use crate::judge;
use crate::manifests::{Fetcher, Form};
use crate::media;
use crate::server::{Server, ingest};
use crate::tools;

/// Times that differ by less are the same tick of either timescale.
const SAME_SECONDS: f64 = 1e-6;

#[track_caller]
fn check(id: &str) {
    let Ok(packager) = std::env::var("STREAMVERSE_SHAKA_PACKAGER") else { return };
    let folder = tools::folder(&format!("shaka-{id}"));
    let data = folder.join("data");
    let files = media::title(id).paths();
    ingest(&data, id, &files);
    let server = Server::start(&data);
    let mut client = server.client();
    let renditions = Fetcher::new(&mut client).hls(id, "cmaf");
    let mut compared = 0;
    for kind in ["video", "audio"] {
        let theirs = folder.join(format!("{kind}-theirs.mp4"));
        let descriptor =
            format!("in={},stream={kind},output={}", tools::text(&files[0]), tools::text(&theirs));
        let said = tools::run_unchecked(&packager, &[&descriptor]);
        assert_eq!(said.code, Some(0), "{said:?}");
        let theirs = tools::streams(&theirs).expect("ffprobe reads it").remove(0);
        for rendition in renditions.iter().filter(|r| r.form == Form::Fmp4 && !r.is_iframes) {
            let ours = folder.join("ours.mp4");
            tools::write(&ours, &rendition.concatenated());
            let ours = tools::streams(&ours).expect("ffprobe reads it").remove(0);
            if ours.kind != kind {
                continue;
            }
            compared += 1;
            let (samples, timescale) = judge::check_segments(rendition);
            let times: Vec<f64> =
                samples.iter().map(|s| s.pts as f64 / f64::from(timescale)).collect();
            // Shaka Packager keeps the edit list and the sound before the start: samples are
            // matched from the end, where neither drops any.
            assert!(ours.packets.len() <= theirs.packets.len(), "{id} {kind}");
            assert!(theirs.packets.len() - ours.packets.len() <= 1, "{id} {kind}");
            let matched = &theirs.packets[theirs.packets.len() - ours.packets.len()..];
            let last = ours.packets.len() - 1;
            for (at, ((mine, time), other)) in
                ours.packets.iter().zip(&times).zip(matched).enumerate()
            {
                assert_eq!(mine.payload_md5, other.payload_md5, "{id} {kind} sample {at}");
                let apart = (time - times[last]) - (other.pts - matched[last].pts);
                // A frame of sound that begins before the title is shortened by us.
                let is_shortened = kind == "audio" && at == 0 && (0.0..0.03).contains(&apart);
                let is_same = apart.abs() < SAME_SECONDS || is_shortened;
                assert!(is_same, "{id} {kind} sample {at}: {apart} s apart");
            }
        }
    }
    assert_eq!(compared, 2, "{id}: a picture and a sound track");
}

#[test]
fn h264_with_b_frames_at_29_97() {
    check("ntsc");
}

#[test]
fn h264_at_60() {
    check("sixty");
}

#[test]
fn hevc() {
    check("hevc-hvc1");
}

#[test]
fn av1_and_opus() {
    check("av1-opus");
}
