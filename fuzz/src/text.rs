//! Subtitles.

use packager::fmp4::wvtt_segment;
use packager::text::{
    CueTrack, MPEGTS_ORIGIN_FMP4, MPEGTS_ORIGIN_TS, SampleTextReader, TextSample, parse_srt,
    parse_text_file, parse_webvtt, read_stored, write_segment, write_stored,
};
use packager::{MediaTime, Timescale};

use crate::input::Input;

/// Side files of either kind.
pub fn text(data: &[u8]) {
    for parsed in [
        parse_text_file(data, MPEGTS_ORIGIN_TS),
        parse_webvtt(data, MPEGTS_ORIGIN_FMP4),
        parse_srt(data),
    ]
    .into_iter()
    .flatten()
    {
        check_track(&parsed.track);
    }
}

/// Samples of a text track: the timescale, the sample entry, then samples, each behind a 32-bit
/// duration and a 16-bit length.
pub fn text_samples(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(timescale) = Timescale::new(input.u32()) else {
        return;
    };
    let Ok(mut reader) = SampleTextReader::new(1, timescale, input.short_bytes()) else {
        return;
    };
    let mut start_ticks = 0_u64;
    let mut number = 0;
    while !input.is_empty() {
        let duration_ticks = u64::from(input.u32());
        number += 1;
        let sample = TextSample { number, start_ticks, duration_ticks, data: input.short_bytes() };
        if reader.handle_sample(sample).is_err() {
            return;
        }
        start_ticks += duration_ticks;
    }
    check_track(&reader.finish());
}

/// What is kept can be read again, and segments hold cues of their own time alone.
fn check_track(track: &CueTrack) {
    let starts: Vec<u64> = track.cues.iter().map(|cue| cue.start_ms).collect();
    assert!(starts.is_sorted());
    if let Ok(stored) = write_stored(track) {
        let again = read_stored(&stored).expect("what was stored can be read");
        assert_eq!(again, CueTrack::new(track.cues.clone(), track.header.clone()));
        assert_eq!(write_stored(&again).as_ref(), Ok(&stored), "the form is canonical");
    }
    let first_ms = track.cues.first().map_or(0, |cue| cue.start_ms);
    for start_ms in [0, first_ms] {
        let end_ms = start_ms + 6_000;
        let instant = |ms: u64| -> MediaTime { Timescale::MILLIS.ticks(ms) };
        let segment = write_segment(track, instant(start_ms), instant(end_ms), MPEGTS_ORIGIN_TS);
        assert!(segment.starts_with(b"WEBVTT\n"));
        let _ = wvtt_segment(1, start_ms, end_ms, &track.cues);
    }
}
