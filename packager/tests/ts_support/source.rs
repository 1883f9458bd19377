//! Reads MP4 files for tests: samples from ffprobe, configurations by their box type.

use std::path::Path;
use std::process::Command;

use packager::Timescale;
use packager::track::{
    AacConfig, AudioCodec, AudioParams, MediaParams, Sample, TrackInfo, VideoCodec, VideoParams,
    VideoRange,
};

pub(crate) fn video_info(
    codec: VideoCodec,
    timescale: u32,
    nal_length_size: u8,
    sets: Vec<Vec<u8>>,
) -> TrackInfo {
    info(
        timescale,
        MediaParams::Video(VideoParams {
            codec,
            rfc6381: String::new(),
            supplemental: None,
            width: 320,
            height: 180,
            pixel_aspect: (1, 1),
            range: VideoRange::Sdr,
            color: None,
            nal_length_size: Some(nal_length_size),
            parameter_sets: sets,
        }),
    )
}

pub(crate) fn audio_info(codec: AudioCodec, timescale: u32, aac: Option<AacConfig>) -> TrackInfo {
    info(
        timescale,
        MediaParams::Audio(AudioParams {
            codec,
            rfc6381: String::new(),
            channels: 2,
            sample_rate: timescale,
            aac,
            joc_complexity: None,
            channel_configuration: None,
        }),
    )
}

fn info(timescale: u32, media: MediaParams) -> TrackInfo {
    TrackInfo {
        source_track_id: 1,
        timescale: Timescale::new(timescale).unwrap(),
        language: "de".into(),
        name: String::new(),
        display_matrix: None,
        sample_entries: vec![Vec::new()],
        media,
    }
}

/// Rows of ffprobe's answer; those of side data, which hold less than `fields_min`, left out.
pub(crate) fn probe(
    path: &Path,
    stream: &str,
    entries: &str,
    fields_min: usize,
) -> Vec<Vec<String>> {
    let arguments = ["-select_streams", stream, "-show_entries", entries, "-of", "csv=p=0"];
    let text = run("ffprobe", &[&arguments[..], &[path.to_str().unwrap()]].concat());
    let text = String::from_utf8(text).unwrap();
    let rows = text.lines().map(|row| row.split(',').map(str::to_owned).collect::<Vec<_>>());
    rows.filter(|row| row.len() >= fields_min && !row[0].is_empty()).collect()
}

/// Runs ffmpeg or ffprobe; it may not say a word on standard error.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(["-hide_banner", "-loglevel", "warning"])
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program} can't be run: {error}"));
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && messages.is_empty(), "{program} {arguments:?}: {messages}");
    output.stdout
}

/// Like [`run`], for making sources: encoders may talk.
pub(crate) fn make(path: &Path, arguments: &[&str]) {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-nostdin", "-y"])
        .args(arguments)
        .arg(path)
        .output()
        .unwrap_or_else(|error| panic!("ffmpeg can't be run: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Samples of a stream (`v`, `a`) as the packager's table has them: times from 0, those before
/// the edit list's start gone for audio.
pub(crate) fn samples(path: &Path, stream: &str) -> Vec<Sample> {
    let rows = probe(path, stream, "packet=pts,dts,duration,size,pos,flags", 6);
    let rows = rows.into_iter().filter(|row| stream == "v" || !row[0].starts_with('-'));
    let rows = rows.collect::<Vec<_>>();
    let number = |text: &str| text.parse::<i64>().unwrap_or_else(|_| panic!("a number: {text}"));
    let start = rows.first().map_or(0, |row| number(&row[1]));
    // Decode times are continuous: a sample lasts until the next.
    let next = rows.iter().skip(1).map(|row| number(&row[1]));
    let last = rows.last().map(|row| number(&row[1]) + number(&row[2]));
    rows.iter()
        .zip(next.chain(last))
        .map(|(row, end)| Sample {
            offset_bytes: number(&row[4]) as u64,
            size_bytes: number(&row[3]) as u32,
            decode_time: (number(&row[1]) - start) as u64,
            duration_ticks: (end - number(&row[1])) as u32,
            composition_offset_ticks: (number(&row[0]) - (number(&row[1]) - start)) as i32,
            is_sync: row[5].starts_with('K'),
            description_index: 0,
        })
        .collect()
}

/// Describes the audio of an MP4 by ffprobe's codec name and its esds box; `None` without audio.
pub(crate) fn audio(path: &Path, file: &[u8]) -> Option<TrackInfo> {
    let codec = match probe(path, "a:0", "stream=codec_name", 1).first()?[0].as_str() {
        "aac" => AudioCodec::Aac,
        "ac3" => AudioCodec::Ac3,
        "eac3" => AudioCodec::Eac3,
        "mp3" => AudioCodec::Mp3,
        other => panic!("{other} has no place in a transport stream"),
    };
    let aac = (codec == AudioCodec::Aac).then(|| {
        let esds = box_body(file, b"esds").expect("an esds box");
        // DecoderSpecificInfo has tag 5 and a length of one byte, or of four that end in it.
        let tagged = |at: &usize| esds[*at] == 5 && matches!(esds[at + 1], 2..=20 | 0x80);
        let tag = (21..esds.len() - 1).find(tagged).expect("DecoderSpecificInfo");
        let at = if esds[tag + 1] == 0x80 { tag + 5 } else { tag + 2 };
        let bits = u16::from_be_bytes([esds[at], esds[at + 1]]);
        AacConfig {
            object_type: if bits >> 11 == 5 { 2 } else { (bits >> 11) as u8 },
            frequency_index: (bits >> 7 & 0xf) as u8,
            channel_configuration: (bits >> 3 & 0xf) as u8,
        }
    });
    Some(audio_info(codec, timescale(path, "a"), aac))
}

/// Timescale of a stream, as its time base says.
pub(crate) fn timescale(path: &Path, stream: &str) -> u32 {
    let rows = probe(path, stream, "stream=time_base", 1);
    rows[0][0].strip_prefix("1/").expect("a whole timescale").parse().unwrap()
}

/// Describes the video of an MP4 by its avcC or hvcC box.
pub(crate) fn video(path: &Path, file: &[u8]) -> TrackInfo {
    let scale = timescale(path, "v");
    if let Some(config) = box_body(file, b"avcC") {
        let mut sets = Vec::new();
        let mut at = 5;
        for mask in [0x1f, 0xff] {
            let count = config[at] & mask;
            at += 1;
            for _ in 0..count {
                at = take_set(config, at, &mut sets);
            }
        }
        return video_info(VideoCodec::Avc, scale, (config[4] & 3) + 1, sets);
    }
    let config = box_body(file, b"hvcC").expect("an avcC or hvcC box");
    let (mut sets, mut at) = (Vec::new(), 23);
    for _ in 0..config[22] {
        let count = u16::from_be_bytes([config[at + 1], config[at + 2]]);
        at += 3;
        for _ in 0..count {
            at = take_set(config, at, &mut sets);
        }
    }
    video_info(VideoCodec::Hevc, scale, (config[21] & 3) + 1, sets)
}

fn take_set(config: &[u8], at: usize, sets: &mut Vec<Vec<u8>>) -> usize {
    let end = at + 2 + usize::from(u16::from_be_bytes([config[at], config[at + 1]]));
    sets.push(config[at + 2..end].to_vec());
    end
}

fn box_body<'a>(file: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    let at = file.windows(4).position(|window| window == kind)?;
    let size = u32::from_be_bytes(file[at - 4..at].try_into().unwrap()) as usize;
    Some(&file[at + 4..at - 4 + size])
}
