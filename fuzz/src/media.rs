//! Containers and codecs.

use drm::SubsampleMap;
use packager::FourCc;
use packager::codec::SampleScanner;
use packager::demux::{MovieReader, Step, check_table, read_movie};

use crate::input::{Input, handler, track};

/// Whole files: tables keep what they promise, and pieces read one by one give the same movie.
pub fn demux(data: &[u8]) {
    let whole = read_movie(data);
    if let Ok(movie) = &whole {
        for track in &movie.tracks {
            assert_eq!(check_table(&track.table, data.len() as u64), Ok(()));
            for event in &track.events {
                assert!((event.first_sample as usize) < track.table.len());
            }
        }
    }
    let mut reader = MovieReader::new(data.len() as u64);
    let in_pieces = loop {
        match reader.poll() {
            Ok(Step::Done(movie)) => break Ok(movie),
            Err(error) => break Err(error),
            Ok(Step::Need(range)) => {
                let len = (range.end - range.start).div_ceil(2);
                let piece = &data[range.start as usize..(range.start + len) as usize];
                reader.handle_bytes(range.start, piece).expect("the bytes are those asked for");
            }
        }
    };
    match (whole, in_pieces) {
        (Ok(whole), Ok(in_pieces)) => {
            assert_eq!(whole.tracks.len(), in_pieces.tracks.len());
            assert_eq!(whole.time_origin, in_pieces.time_origin);
        }
        (whole, in_pieces) => assert_eq!(whole.err(), in_pieces.err()),
    }
}

/// Sample entries: a byte for the handler, then the box.
pub fn describe(data: &[u8]) {
    let mut input = Input::new(data);
    let handler = handler(input.u8());
    if let Ok(media) = packager::codec::describe(1, handler, input.rest(), 0) {
        let codecs = match &media {
            packager::track::MediaParams::Video(video) => &video.rfc6381,
            packager::track::MediaParams::Audio(audio) => &audio.rfc6381,
            packager::track::MediaParams::Text(text) => &text.rfc6381,
        };
        assert!(codecs.len() <= 256, "{codecs}");
    }
    let _ = packager::codec::describe(1, FourCc::new(b"meta"), input.rest(), 0);
}

/// Samples of one track: a byte for the handler, the sample entry, then the samples, each behind a
/// 16-bit length.
pub fn scanner(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.u8();
    let Some(info) = track(choice, input.short_bytes(), 90_000) else {
        return;
    };
    let mut scanner = SampleScanner::new(&info);
    let mut layout = SubsampleMap::default();
    let mut count = 0;
    while !input.is_empty() {
        let sample = input.short_bytes();
        let scanned = scanner.scan(sample, 0, &mut layout);
        count += 1;
        assert_eq!(layout.len(), count, "a sample has one entry");
        let subsamples = layout.sample(count - 1);
        let total: u64 = subsamples
            .iter()
            .map(|part| u64::from(part.clear_bytes) + u64::from(part.protected_bytes))
            .sum();
        if !subsamples.is_empty() {
            assert_eq!(total, sample.len() as u64, "the parts are the sample");
        }
        if scanned.is_err() {
            assert!(subsamples.iter().all(|part| part.protected_bytes == 0));
        }
    }
}
