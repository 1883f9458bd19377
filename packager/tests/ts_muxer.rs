//! The muxer against a parser of its own and random samples.

mod ts_support;

use packager::track::{AacConfig, AudioCodec, Sample, TrackInfo, VideoCodec};
use packager::ts::{
    BatchLimits, MuxTrack, SegmentMuxer, TIME_OFFSET, TrackSize, TrackSizer, reorder_ticks,
    segment_len_bytes, write_iframe_segment,
};
use proptest::prelude::*;
use ts_support::parser::parse;
use ts_support::source::{audio_info, video_info};
use ts_support::{LIMITS, mux};

const LC_STEREO: AacConfig =
    AacConfig { object_type: 2, frequency_index: 3, channel_configuration: 2 };

/// A file in memory and the samples of one track in it.
#[derive(Clone, Debug)]
struct Source {
    info: TrackInfo,
    file: Vec<u8>,
    samples: Vec<Sample>,
}

impl Source {
    fn payload(&self, sample: &Sample) -> &[u8] {
        &self.file[sample.offset_bytes as usize..][..sample.size_bytes as usize]
    }

    fn size(&self, samples: &[Sample]) -> TrackSize {
        let mut sizer = TrackSizer::new(&self.info, reorder_ticks(&self.samples)).unwrap();
        for sample in samples {
            sizer.push(sample, self.payload(sample)).unwrap();
        }
        sizer.finish_segment()
    }

    fn track<'a>(
        &'a self,
        samples: &'a [Sample],
        source: u32,
        packets_before: u64,
    ) -> MuxTrack<'a> {
        let reorder_ticks = reorder_ticks(&self.samples);
        MuxTrack { info: &self.info, samples, source, packets_before, reorder_ticks }
    }

    fn push(
        &mut self,
        payload: &[u8],
        duration_ticks: u32,
        composition_offset_ticks: i32,
        is_sync: bool,
    ) {
        let decode_time = self.samples.last().map_or(0, Sample::end_time);
        // A byte between samples, so that nothing passes by being adjacent.
        self.file.push(0xee);
        self.samples.push(Sample {
            offset_bytes: self.file.len() as u64,
            size_bytes: payload.len() as u32,
            decode_time,
            duration_ticks,
            composition_offset_ticks,
            is_sync,
            description_index: 0,
        });
        self.file.extend(payload);
    }
}

/// Per picture: sizes of its NAL units, duration, composition offset, sync.
type PictureShape = (Vec<usize>, u32, i32, bool);

fn picture_shapes() -> impl Strategy<Value = Vec<PictureShape>> {
    let size = prop_oneof![8 => 0..600_usize, 1 => 0..3_usize, 1 => 60_000..140_000_usize];
    let duration = prop_oneof![9 => 1..200_u32, 1 => 0..100_000_u32];
    let shape = (proptest::collection::vec(size, 0..5), duration, -100..1000_i32, any::<bool>());
    proptest::collection::vec(shape, 1..12)
}

fn video_source(shapes: &[PictureShape], length_size: u8) -> Source {
    let sets = vec![vec![0x67; 20], vec![0x68; 5]];
    let info = video_info(VideoCodec::Avc, 1000, length_size, sets);
    let mut source = Source { info, file: Vec::new(), samples: Vec::new() };
    for (at, (units, duration, offset, is_sync)) in shapes.iter().enumerate() {
        let mut payload = Vec::new();
        for size in units {
            let size = (*size).min(u32::MAX as usize >> (32 - 8 * length_size));
            payload.extend(&(size as u32).to_be_bytes()[4 - usize::from(length_size)..]);
            // Types 1 to 12: slices, SEI, parameter sets, delimiters, filler.
            payload
                .extend((0..size).map(|n| if n == 0 { (at % 12) as u8 + 1 } else { n as u8 | 1 }));
        }
        source.push(&payload, *duration, *offset, *is_sync);
    }
    source
}

fn audio_source(sizes: &[(usize, u32)]) -> Source {
    let info = audio_info(AudioCodec::Aac, 48_000, Some(LC_STEREO));
    let mut source = Source { info, file: Vec::new(), samples: Vec::new() };
    for (size, duration) in sizes {
        source.push(&vec![0x21; *size], *duration, 0, true);
    }
    source
}

fn audio_shapes() -> impl Strategy<Value = Vec<(usize, u32)>> {
    let size = prop_oneof![9 => 1..800_usize, 1 => 0..8184_usize];
    let duration = prop_oneof![9 => Just(1024_u32), 1 => 0..50_000_u32];
    proptest::collection::vec((size, duration), 1..60)
}

/// Annex B or ADTS stream that PES packets of a PID carry.
fn elementary(parsed: &ts_support::parser::Parsed, pid: u16) -> Vec<u8> {
    parsed.pids[&pid].pes.iter().flat_map(|pes| pes.data.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn segments_take_what_was_announced_and_counters_go_on(
        shapes in picture_shapes(),
        audio in audio_shapes(),
        length_size in prop_oneof![Just(1_u8), Just(2), Just(4)],
        cut in 0..12_usize,
        budget in prop_oneof![Just(1_u32), 1..400_000_u32],
        gap_bytes in 0..3_u32,
    ) {
        let (video, audio) = (video_source(&shapes, length_size), audio_source(&audio));
        let files = [&video.file[..], &audio.file];
        let limits = BatchLimits { bytes: budget, gap_bytes };
        let (mut muxed, mut video_only, mut audio_only) = (Vec::new(), Vec::new(), Vec::new());
        let (mut video_before, mut audio_before) = (0, 0);
        let video_parts = video.samples.split_at(cut.min(video.samples.len()));
        let audio_parts = audio.samples.split_at(cut.min(audio.samples.len()));
        let parts = [(video_parts.0, audio_parts.0), (video_parts.1, audio_parts.1)];
        for (number, (v, a)) in (1..).zip(parts) {
            let (video_size, audio_size) = (video.size(v), audio.size(a));
            let v = Some(video.track(v, 0, video_before));
            let a = Some(audio.track(a, 1, audio_before));
            let combinations = [
                (&mut muxed, v, a, Some(video_size), Some(audio_size)),
                (&mut video_only, v, None, Some(video_size), None),
                (&mut audio_only, None, a, None, Some(audio_size)),
            ];
            for (stream, v, a, video_size, audio_size) in combinations {
                let segment = mux(&files, v, a, number, limits).unwrap();
                prop_assert_eq!(segment.len() as u64, segment_len_bytes(video_size, audio_size));
                prop_assert_eq!(&segment, &mux(&files, v, a, number, LIMITS).unwrap());
                stream.extend(segment);
            }
            video_before += u64::from(video_size.packets);
            audio_before += u64::from(audio_size.packets);
        }
        let [muxed, video_only, audio_only] = [muxed, video_only, audio_only].map(|s| parse(&s));
        for (alone, pid) in [(&video_only, 0x100), (&audio_only, 0x101)] {
            if let Some(found) = alone.pids.get(&pid) {
                prop_assert_eq!(found.packets_with_payload, muxed.pids[&pid].packets_with_payload);
                prop_assert_eq!(elementary(alone, pid), elementary(&muxed, pid));
            }
        }
    }

    #[test]
    fn bytes_that_break_their_promise_are_errors(
        shapes in picture_shapes(),
        noise in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut video = video_source(&shapes, 4);
        for (at, byte) in noise {
            let at = at.index(video.file.len());
            video.file[at] = byte;
        }
        let mut sizer = TrackSizer::new(&video.info, reorder_ticks(&video.samples)).unwrap();
        let fits = video.samples.iter().all(|s| sizer.push(s, video.payload(s)).is_ok());
        let track = video.track(&video.samples, 0, 0);
        let muxed = mux(&[&video.file], Some(track), None, 1, LIMITS);
        prop_assert_eq!(muxed.is_ok(), fits);
        if fits {
            let expected = segment_len_bytes(Some(sizer.finish_segment()), None);
            prop_assert_eq!(muxed.unwrap().len() as u64, expected);
        }
    }
}

#[test]
fn data_of_another_length_are_refused_and_end_the_segment() {
    let video = steady_video(3, 40);
    let track = Some(video.track(&video.samples, 0, 0));
    let mut muxer = SegmentMuxer::new(track, None, 1).unwrap();
    let batch = muxer.next_batch(LIMITS).unwrap();
    let [range] = batch.ranges() else { panic!("one range") };
    let data = &video.file[range.bytes.start as usize..range.bytes.end as usize];
    let mut out = Vec::new();
    assert!(muxer.write_batch(&batch, &[&data[1..]], &mut out).is_err());
    assert!(muxer.write_batch(&batch, &[data], &mut out).is_err(), "it has failed for good");

    let mut muxer = SegmentMuxer::new(track, None, 1).unwrap();
    assert!(muxer.next_batch(LIMITS).is_some_and(|own| own == batch));
    assert!(muxer.next_batch(LIMITS).is_none());
    muxer.write_batch(&batch, &[data], &mut out).unwrap();
    assert!(muxer.write_batch(&batch, &[data], &mut out).is_err(), "a batch is written once");
}

fn steady_video(count: usize, duration: u32) -> Source {
    video_source(&vec![(vec![50], duration, 0, true); count], 4)
}

#[test]
fn times_wrap_at_33_bits() {
    // 26.5 hours: 2^33 ticks of 90 kHz are 26 h 30 min 43.7 s.
    let mut video = steady_video(200, 40);
    let shift = (1_u64 << 33) * 1000 / 90_000 - 10_000 - 4_000;
    for sample in &mut video.samples {
        sample.decode_time += shift;
        sample.composition_offset_ticks = 80;
    }
    let stream =
        mux(&[&video.file], Some(video.track(&video.samples, 0, 0)), None, 7, LIMITS).unwrap();
    let parsed = parse(&stream);
    let pes = &parsed.pids[&0x100].pes;
    assert_eq!(pes.len(), 200);
    for (pes, sample) in pes.iter().zip(&video.samples) {
        let exact = |ticks: u64| (ticks * 90 + TIME_OFFSET as u64) % (1 << 33);
        assert_eq!(pes.dts, Some(exact(sample.decode_time)));
        assert_eq!(pes.pts, exact(sample.decode_time + 80));
    }
    assert!(pes.windows(2).any(|pair| pair[1].dts < pair[0].dts), "the wrap lies inside");
    let wrap = (1_u64 << 33) * 300;
    assert!(parsed.pcrs.windows(2).all(|pair| (pair[1] + wrap - pair[0]) % wrap == 3_600 * 300));
    assert!(parsed.pcrs.windows(2).any(|pair| pair[1] < pair[0]));
}

#[test]
fn pcrs_keep_their_interval_in_slow_tracks() {
    let video = steady_video(20, 1_700);
    let audio = audio_source(&[(300, 16_000); 30]);
    let files = [&video.file[..], &audio.file];
    let v = Some(video.track(&video.samples, 0, 0));
    let a = Some(audio.track(&audio.samples, 1, 0));
    for (v, a, pid) in [(v, None, 0x100), (v, a, 0x100), (None, a, 0x101)] {
        let parsed = parse(&mux(&files, v, a, 1, LIMITS).unwrap());
        assert_eq!(parsed.pcr_pid, pid);
        let steps = parsed.pcrs.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>();
        assert!(steps.iter().all(|step| *step > 0 && *step <= 2_700_000), "{steps:?}");
        assert!(parsed.pids[&pid].packets_without_payload > 0);
    }
}

#[test]
fn audio_carries_the_clock_after_the_last_picture() {
    let (video, audio) = (steady_video(1, 40), audio_source(&[(300, 1024); 30]));
    let v = Some(video.track(&[], 0, 5));
    let a = Some(audio.track(&audio.samples, 1, 0));
    let segment = mux(&[&video.file, &audio.file], v, a, 1, LIMITS).unwrap();
    let size = segment_len_bytes(Some(TrackSize::default()), Some(audio.size(&audio.samples)));
    assert_eq!(segment.len() as u64, size);
    let parsed = parse(&segment);
    assert_eq!((parsed.pcr_pid, parsed.pcrs.len()), (0x101, 8));
}

#[test]
fn streams_are_named_in_the_pmt() {
    let language = [0x0a, 4, b'd', b'e', b'u', 0];
    let registered = |format: &[u8; 4]| [&[5, 4], &format[..], &language].concat();
    for (codec, timescale, aac, expected) in [
        (AudioCodec::Aac, 48_000, Some(LC_STEREO), (0x0f, language.to_vec())),
        (AudioCodec::Ac3, 48_000, None, (0x81, registered(b"AC-3"))),
        (AudioCodec::Eac3, 48_000, None, (0x87, registered(b"EAC3"))),
        (AudioCodec::Mp3, 44_100, None, (0x03, language.to_vec())),
        (AudioCodec::Mp3, 22_050, None, (0x04, language.to_vec())),
    ] {
        let mut audio = audio_source(&[(300, 1024); 9]);
        audio.info = audio_info(codec, timescale, aac);
        let a = Some(audio.track(&audio.samples, 0, 0));
        let parsed = parse(&mux(&[&audio.file], None, a, 1, LIMITS).unwrap());
        assert_eq!(parsed.streams[&0x101], expected);
    }
    for codec in [AudioCodec::Opus, AudioCodec::Flac, AudioCodec::Aac] {
        assert!(TrackSizer::new(&audio_info(codec, 48_000, None), 0).is_none());
    }
    assert!(TrackSizer::new(&video_info(VideoCodec::Av1, 1000, 4, Vec::new()), 0).is_none());
}

#[test]
fn key_frames_are_random_access_points() {
    let video = video_source(&[(vec![50], 40, 0, true), (vec![50], 40, 0, false)], 4);
    let parsed = parse(
        &mux(&[&video.file], Some(video.track(&video.samples, 0, 0)), None, 1, LIMITS).unwrap(),
    );
    let marks = parsed.pids[&0x100].pes.iter().map(|pes| (pes.random_access, pes.has_pcr));
    assert_eq!(marks.collect::<Vec<_>>(), [(true, true), (false, true)]);
}

#[test]
fn iframe_segments_hold_one_picture() {
    let video = video_source(&vec![(vec![6, 200_000], 40, 0, true); 3], 4);
    let sample = &video.samples[1];
    let mut out = Vec::new();
    write_iframe_segment(&video.info, 0, sample, video.payload(sample), &mut out).unwrap();
    let size = video.size(std::slice::from_ref(sample));
    assert_eq!(out.len() as u64, segment_len_bytes(Some(size), None));
    let parsed = parse(&out);
    assert_eq!(parsed.pids[&0x100].pes.len(), 1);
    assert_eq!(parsed.pids[&0x100].pes[0].pts, 900_000 + 3_600);
    let cut = &video.payload(sample)[1..];
    assert!(write_iframe_segment(&video.info, 0, sample, cut, &mut out).is_err());
}
