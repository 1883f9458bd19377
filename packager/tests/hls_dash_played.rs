//! FFmpeg plays what the manifests describe: segments that it cut itself, laid out under our names,
//! are read through a multivariant playlist and an MPD of ours, whole and clipped.

mod manifest_support;

use std::path::{Path, PathBuf};
use std::process::Command;

use dash_mpd_core::SegmentTimeline;
use manifest_support::{audio, index, presented, track_info, video};
use packager::dash::{Addressing, MpdOptions, write_mpd};
use packager::hls::{MultivariantOptions, SegmentFormat, write_media_playlist, write_multivariant};
use packager::index::TrackIndex;
use packager::presentation::{Presentation, PresentedTrack};
use packager::track::{AudioCodec, MediaParams};
use packager::uri::Packaging;

const FRAMES: u64 = 240;
const PICTURE: &str = "testsrc2=size=320x180:rate=24000/1001";

#[test]
fn ffmpeg_reads_all_packets_through_our_manifests() {
    let title = Title::cut("played");
    let whole = title.write(0);
    assert_eq!(whole[0], FRAMES);
    title.check_played(whole);
}

#[test]
fn ffmpeg_reads_a_clip_from_its_first_segment() {
    let title = Title::cut("clipped");
    let whole = title.write(0);
    let clip = title.write(2);
    assert!(clip[0] < whole[0] && clip[1] < whole[1]);
    title.check_played(clip);
}

/// A picture and a sound that FFmpeg cut into fragments.
struct Title {
    root: PathBuf,
    video: TrackIndex,
    audio: TrackIndex,
    /// Packets that FFmpeg's DASH demuxer reads through its own manifest of all segments: some
    /// versions lose a few when they probe a stream.
    through_theirs: [u64; 2],
}

impl Title {
    /// Encodes ten seconds in segments of about 2 s and moves them to where our names point.
    fn cut(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&root);
        for folder in ["0", "1", "cmaf", "fmp4/sd", "fmp4/audio"] {
            std::fs::create_dir_all(root.join(folder)).expect("the folder can be made");
        }
        let status = Command::new("ffmpeg")
            .current_dir(&root)
            .args(["-v", "error", "-f", "lavfi", "-i", PICTURE])
            .args(["-f", "lavfi", "-i", "sine=frequency=441:sample_rate=48000"])
            .args(["-map", "0", "-map", "1", "-frames:v", &FRAMES.to_string(), "-t", "10.01"])
            .args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "48", "-keyint_min", "48"])
            .args(["-sc_threshold", "0", "-pix_fmt", "yuv420p", "-c:a", "aac", "-f", "dash"])
            .args(["-seg_duration", "2", "-use_template", "1", "-use_timeline", "1"])
            .args(["-init_seg_name", "$RepresentationID$/init.mp4"])
            .args(["-media_seg_name", "$RepresentationID$/$Number$.m4s", "theirs.mpd"])
            .status();
        assert!(status.expect("ffmpeg is installed").success());
        let theirs = std::fs::read_to_string(root.join("theirs.mpd")).expect("it was written");
        let [of_video, of_audio] = timelines(&theirs);
        let picture = MediaParams::Video(video("avc1.42c00d", 320, 180));
        let sound = MediaParams::Audio(audio(AudioCodec::Aac, "mp4a.40.2", 1));
        let through_theirs = count_packets(&root.join("theirs.mpd"));
        let title = Self {
            through_theirs,
            video: index(track_info(of_video.0, "und", picture), &of_video.1, 30_000),
            audio: index(track_info(of_audio.0, "en", sound), &of_audio.1, 16_000),
            root,
        };
        for (folder, track) in ["0", "1"].into_iter().zip(title.tracks(0)) {
            let dir = track.segment_dir(Packaging::Fmp4, None).to_string();
            std::fs::rename(title.root.join(folder), title.root.join(dir)).expect("it moves");
        }
        title
    }

    fn tracks(&self, first_segment: usize) -> Vec<PresentedTrack<'_>> {
        let all = [presented(&self.video, "v1"), presented(&self.audio, "a1")];
        let clip = |mut track: PresentedTrack<'_>| {
            track.segments.start = first_segment;
            track.segments
        };
        let ranges = all.clone().map(clip);
        let clipped = all.into_iter().zip(ranges);
        clipped.map(|(track, segments)| PresentedTrack { segments, ..track }).collect()
    }

    /// Writes our manifests from a segment (from 0) on; returns the packets of video and audio
    /// that their segments hold.
    fn write(&self, first_segment: usize) -> [u64; 2] {
        let tracks = self.tracks(first_segment);
        let presentation = Presentation { tracks, images: Vec::new() };
        let format = SegmentFormat::Fmp4;
        let multivariant =
            write_multivariant(&presentation, &MultivariantOptions { format, query: "" });
        let options = MpdOptions { addressing: Addressing::Numbered, trick_mode: false };
        self.write_file("master.m3u8", &multivariant);
        self.write_file("manifest.mpd", &write_mpd(&presentation, &options));
        for track in &presentation.tracks {
            let playlist = write_media_playlist(track, None, format);
            self.write_file(&format!("{}.m3u8", track.name), &playlist);
        }
        [0, 1].map(|track| self.packets(&presentation.tracks[track]))
    }

    /// `expected` packets come through our playlists, and as many through our MPD as FFmpeg
    /// itself would read.
    #[track_caller]
    fn check_played(&self, expected: [u64; 2]) {
        assert_eq!(count_packets(&self.root.join("cmaf/master.m3u8")), expected);
        let whole = self.tracks(0);
        let lost = [0, 1].map(|track| self.packets(&whole[track]) - self.through_theirs[track]);
        let kept = [0, 1].map(|track| expected[track] - lost[track]);
        assert_eq!(count_packets(&self.root.join("cmaf/manifest.mpd")), kept);
    }

    #[expect(clippy::disallowed_methods, reason = "a test may write its files")]
    fn write_file(&self, name: &str, text: &str) {
        std::fs::write(self.root.join("cmaf").join(name), text).expect("it can be written");
    }

    /// Packets in the files of a track: its header and the segments presented, joined.
    #[expect(clippy::disallowed_methods, reason = "a test may read and write its files")]
    fn packets(&self, track: &PresentedTrack<'_>) -> u64 {
        let dir = self.root.join(track.segment_dir(Packaging::Fmp4, None).to_string());
        let mut joined = std::fs::read(dir.join("init.mp4")).expect("a header");
        for number in track.segments.clone().map(|segment| segment + 1) {
            joined.extend(std::fs::read(dir.join(format!("{number}.m4s"))).expect("a segment"));
        }
        let file = self.root.join("joined.mp4");
        std::fs::write(&file, joined).expect("it can be written");
        count_packets(&file).iter().sum()
    }
}

/// Clock and durations of video and audio in an MPD that FFmpeg wrote.
fn timelines(mpd: &str) -> [(u32, Vec<u64>); 2] {
    let mpd = dash_mpd_core::parse(mpd).expect("theirs parses");
    let sets = &mpd.periods[0].adaptations;
    [0, 1].map(|set| {
        let template = sets[set].representations[0].SegmentTemplate.clone().expect("a template");
        let clock = u32::try_from(template.timescale.expect("a clock")).expect("32 bits");
        (clock, durations(&template.SegmentTimeline.expect("a timeline")))
    })
}

fn durations(timeline: &SegmentTimeline) -> Vec<u64> {
    let runs = timeline.segments.iter();
    runs.flat_map(|run| (0..=run.r.unwrap_or(0)).map(|_| run.d)).collect()
}

/// Packets of video and of audio that ffprobe reads; a stream that is not there has none.
fn count_packets(file: &Path) -> [u64; 2] {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-allowed_extensions", "ALL", "-count_packets"])
        .args(["-show_entries", "stream=codec_type,nb_read_packets", "-of", "csv=p=0"])
        .arg(file)
        .output()
        .expect("ffprobe is installed");
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "{errors}{report}");
    ["video", "audio"].map(|kind| {
        let lines = report.lines().filter_map(|line| line.split_once(','));
        let counts = lines
            .filter(|(of, _)| *of == kind)
            .map(|(_, count)| count.trim_end_matches(',').parse::<u64>().expect("a count"));
        // The HLS demuxer lists a stream once for the playlist and once for each program.
        counts.max().unwrap_or(0)
    })
}
