//! Sound whose frames lie elsewhere than the codec's clock would have them.

use crate::judge::{self, Judged};
use crate::manifests::{Fetcher, Form};
use crate::media;
use crate::server::{Server, ingest};
use crate::tools;

/// In MPEG-TS frames share PES packets, and readers count on within them.
#[test]
fn irregular_frames_keep_their_times() {
    let folder = tools::folder("odd-sound");
    let (data, file) = (folder.join("data"), folder.join("odd.mp4"));
    let source = media::title("ladder").paths().remove(0);
    // AAC frames last 1024 ticks of 48 kHz: these come every 1000, some of them later.
    let times = "setts=ts=N*1000+mod(N\\,5)*30";
    let input = ["-v", "error", "-nostdin", "-i", tools::text(&source), "-t", "6"];
    let output = ["-map", "0:v:0", "-map", "0:a:0", "-c", "copy", "-bsf:a", times];
    tools::run("ffmpeg", &[&input[..], &output, &[tools::text(&file)]].concat());

    ingest(&data, "odd", std::slice::from_ref(&file));
    let server = Server::start(&data);
    let mut client = server.client();
    let mut fetcher = Fetcher::new(&mut client);
    let sources = judge::source_streams(std::slice::from_ref(&file));
    let cmaf = fetcher.hls("odd", "cmaf");
    let path = folder.join("out.mp4");
    let judged: Vec<Judged> = cmaf
        .iter()
        .filter(|r| r.form == Form::Fmp4 && !r.is_iframes)
        .map(|r| judge::check_fmp4(r, &sources, &path))
        .collect();
    let sound = judged.iter().find(|judged| judged.kind == "audio").expect("sound");
    let steps: Vec<f64> =
        sound.samples.windows(2).map(|pair| (pair[1].0 - pair[0].0) * 48_000.0).collect();
    assert!(steps.iter().any(|step| *step < 900.0) && steps.iter().any(|step| *step > 1_020.0));
    let ts = fetcher.hls("odd", "ts");
    let media: Vec<_> = ts.iter().filter(|r| r.form == Form::Ts && !r.is_iframes).collect();
    assert_eq!(media.len(), 1);
    judge::check_ts(media[0], &judged, &folder.join("out.ts"));
}
