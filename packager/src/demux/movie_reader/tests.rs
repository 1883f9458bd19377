//! Whole files written by hand: layouts, fragments, events, and what is refused.

use super::*;
use crate::Timescale;
use crate::demux::test_writer::{
    Layout, Row, TestTrack, audio_entry, boxed, full, moov, progressive, visual_entry, words,
};
use crate::demux::{Encryption, SourceTrack};

fn row(size: u32, duration: u32, composition_offset: i32, is_sync: bool) -> Row {
    Row { size, duration, composition_offset, is_sync }
}

fn video() -> TestTrack {
    let rows = vec![row(50, 40, 40, true), row(20, 40, 80, false), row(10, 40, 0, false)];
    TestTrack { rows, chunks: vec![2], edits: vec![(120, 40)], ..TestTrack::default() }
}

fn sound() -> TestTrack {
    TestTrack {
        id: 2,
        handler: *b"soun",
        timescale: 48_000,
        rows: vec![row(7, 1024, 0, true); 4],
        chunks: vec![3, 1],
        edits: vec![(64, 1024)],
        entries: vec![audio_entry(b"tsts", &[])],
        ..TestTrack::default()
    }
}

/// (offset, size, decode, duration, presentation) of each sample.
fn dump(track: &SourceTrack) -> Vec<(u64, u32, u64, u32, u64)> {
    let samples = track.table.samples.iter();
    samples
        .map(|s| {
            (s.offset_bytes, s.size_bytes, s.decode_time, s.duration_ticks, s.presentation_time())
        })
        .collect()
}

#[track_caller]
fn check_refused(file: &[u8], expected: &str) {
    let error = read_movie(file).expect_err("the file is refused").to_string();
    assert!(error.contains(expected), "`{error}` does not say `{expected}`");
}

#[test]
fn every_layout_gives_the_same_tracks() {
    let layouts = [
        Layout::default(),
        Layout { moov_at_end: true, ..Layout::default() },
        Layout { wide_mdat: true, wide_chunk_offsets: true, ..Layout::default() },
        Layout { endless_mdat: true, ..Layout::default() },
    ];
    for layout in layouts {
        let (file, offsets) = progressive(&[video(), sound()], layout);
        let movie = read_movie(&file).unwrap();
        assert_eq!((movie.is_fragmented, movie.time_origin), (false, None));
        assert_eq!(movie.brands, [*b"isom", *b"isom", *b"iso2"].map(FourCc));
        let [video, sound] = &movie.tracks[..] else { panic!("two tracks: {layout:?}") };
        let [first, second, third] = offsets[0][..] else { panic!("three samples") };
        let expected = [(first, 50, 0, 40, 0), (second, 20, 40, 40, 80), (third, 10, 80, 40, 40)];
        assert_eq!(dump(video), expected);
        assert!(video.info.display_matrix.is_none());
        assert_eq!((video.info.language.as_str(), video.info.name.as_str()), ("en", "Name"));
        let expected = (0..3).map(|at| (offsets[1][at + 1], 7, at as u64 * 1024, 1024));
        let expected = expected.map(|(at, size, time, ticks)| (at, size, time, ticks, time));
        assert_eq!(dump(sound), expected.collect::<Vec<_>>(), "{layout:?}");
    }
}

#[test]
fn a_file_takes_few_reads_and_any_piece_of_them() {
    let mut track = video();
    track.rows = vec![row(4000, 40, 0, true); 2000];
    let (file, _) = progressive(&[track], Layout { moov_at_end: true, ..Layout::default() });
    let whole = read_movie(&file).unwrap();
    let mut reader = MovieReader::new(file.len() as u64);
    let (mut reads, mut read_bytes) = (0, 0);
    let movie = loop {
        match reader.poll().unwrap() {
            Step::Need(range) => {
                // Half of what was asked for, at least a byte.
                let end = range.start + (range.end - range.start).div_ceil(2);
                let piece = &file[range.start as usize..end as usize];
                (reads, read_bytes) = (reads + 1, read_bytes + piece.len() as u64);
                reader.handle_bytes(range.start, piece).unwrap();
            }
            Step::Done(movie) => break movie,
        }
    };
    assert_eq!(movie, whole);
    // Two ranges, halved down to nothing.
    assert!(reads < 2 * 18 && read_bytes < 100_000, "{reads} reads of {read_bytes} bytes");
}

#[test]
fn files_beyond_four_gigabytes_are_walked_over() {
    const MEDIA_BYTES: u64 = 6 << 30;
    let track = TestTrack { rows: vec![row(1 << 20, 40, 0, true); 2], edits: vec![], ..video() };
    let layout = Layout { wide_chunk_offsets: true, ..Layout::default() };
    let last = MEDIA_BYTES - (1 << 21);
    let moov = moov(&[track], &[vec![last, last + (1 << 20)]], layout, &[]);
    let mut head = [words(&[1]), b"mdat".to_vec(), MEDIA_BYTES.to_be_bytes().to_vec()].concat();
    head.resize(1 << 16, 0);
    // A file with a hole: its start, and `moov` at its end.
    let mut reader = MovieReader::new(MEDIA_BYTES + moov.len() as u64);
    let movie = loop {
        match reader.poll().unwrap() {
            Step::Need(range) if range.start < 1 << 16 => {
                reader.handle_bytes(range.start, &head[range.start as usize..range.end as usize])
            }
            Step::Need(range) => {
                let at = |offset: u64| (offset - MEDIA_BYTES) as usize;
                reader.handle_bytes(range.start, &moov[at(range.start)..at(range.end)])
            }
            Step::Done(movie) => break movie,
        }
        .unwrap();
    };
    let offsets = movie.tracks[0].table.samples.iter().map(|sample| sample.offset_bytes);
    assert_eq!(offsets.collect::<Vec<_>>(), [last, last + (1 << 20)]);
}

#[test]
fn bytes_nobody_asked_for_are_refused() {
    let mut reader = MovieReader::new(100);
    assert_eq!(reader.poll(), Ok(Step::Need(0..100)));
    let unexpected = |offset| Err(PackageError::UnexpectedBytes { offset, expected: 0 });
    assert_eq!(reader.handle_bytes(1, &[0; 10]), unexpected(1));
    assert_eq!(reader.handle_bytes(0, &[0; 101]), unexpected(0));
    assert_eq!(reader.handle_bytes(0, &[]), unexpected(0));
}

/// `mvex` for tracks 1 and 2: entry 1, 100 ticks, 6 bytes, not a sync sample.
fn mvex() -> Vec<u8> {
    let trex = |id| full(b"trex", 0, 0, &words(&[id, 1, 100, 6, 0x1_0000]));
    boxed(b"mvex", &[trex(1), trex(2)].concat())
}

fn fragmented_header() -> Vec<u8> {
    let tracks = [video(), sound()].map(|track| TestTrack { rows: vec![], edits: vec![], ..track });
    let moov = moov(&tracks, &[vec![], vec![]], Layout::default(), &mvex());
    [boxed(b"ftyp", b"iso6\0\0\0\0"), moov].concat()
}

fn tfhd(flags: u32, track: u32, rest: &[u32]) -> Vec<u8> {
    full(b"tfhd", 0, flags, &[words(&[track]), words(rest)].concat())
}

fn tfdt(time: u32) -> Vec<u8> {
    full(b"tfdt", 0, 0, &words(&[time]))
}

fn moof(trafs: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let trafs = trafs.iter().flat_map(|boxes| boxed(b"traf", &boxes.concat()));
    let mfhd = full(b"mfhd", 0, 0, &words(&[1]));
    boxed(b"moof", &[mfhd, trafs.collect()].concat())
}

const SYNC_FIRST: u32 = 0x4;
const OFFSET: u32 = 0x1;
const DURATION: u32 = 0x100;
const SIZE: u32 = 0x200;
const COMPOSITION: u32 = 0x800;
const BASE_IS_MOOF: u32 = 0x2_0000;

/// A `moof` with one run of each track: two samples of 6 bytes of the first, three of the second.
fn simple_fragment(times: [u32; 2]) -> Vec<u8> {
    let trafs = |offset| {
        [
            vec![
                tfhd(BASE_IS_MOOF, 1, &[]),
                tfdt(times[0]),
                full(b"trun", 0, OFFSET | SYNC_FIRST, &words(&[2, offset, 0])),
            ],
            vec![
                tfhd(BASE_IS_MOOF | 0x20, 2, &[0]),
                tfdt(times[1]),
                full(b"trun", 0, OFFSET, &words(&[3, offset + 12])),
            ],
        ]
    };
    let size = moof(&trafs(0)).len() as u32;
    [moof(&trafs(size + 8)), boxed(b"mdat", &[0xbb; 30])].concat()
}

#[test]
fn fragments_follow_each_other() {
    let header = fragmented_header();
    let fragments = [simple_fragment([0, 0]), simple_fragment([200, 300])];
    let file = [&header[..], &fragments[0], &fragments[1]].concat();
    let movie = read_movie(&file).unwrap();
    assert!(movie.is_fragmented);
    let media = header.len() as u64 + fragments[0].len() as u64 - 30;
    let next = media + fragments[1].len() as u64;
    let video = [
        (media, 6, 0, 100, 0),
        (media + 6, 6, 100, 100, 100),
        (next, 6, 200, 100, 200),
        (next + 6, 6, 300, 100, 300),
    ];
    assert_eq!(dump(&movie.tracks[0]), video);
    let sync = movie.tracks[0].table.samples.iter().map(|sample| sample.is_sync);
    assert_eq!(sync.collect::<Vec<_>>(), [true, false, true, false]);
    assert_eq!(dump(&movie.tracks[1])[3], (next + 12, 6, 300, 100, 300));

    // The same fragments in front of `moov`: it moves to the end, and the media with it.
    let in_front = [&fragments[0][..], &fragments[1], &header].concat();
    let moved = read_movie(&in_front).unwrap();
    let at = header.len() as u64;
    assert_eq!(dump(&moved.tracks[0]), video.map(|(o, s, d, t, p)| (o - at, s, d, t, p)));
    // With `moov` in the middle nothing is read twice.
    let between = [&fragments[0][..], &header, &fragments[1]].concat();
    assert_eq!(read_movie(&between).unwrap().tracks[1].table.len(), 6);
}

#[test]
fn data_lies_where_the_base_rules_say() {
    let header = fragmented_header();
    let run = |count: u32| full(b"trun", 0, 0, &words(&[count]));
    let at = header.len() as u64;
    let offsets = |file: &[u8]| {
        let movie = read_movie(file).unwrap();
        let offsets = |track: &SourceTrack| {
            track.table.samples.iter().map(|s| s.offset_bytes - at).collect::<Vec<_>>()
        };
        movie.tracks.iter().map(offsets).collect::<Vec<_>>()
    };
    // Neither base: the first track starts at `moof`, further runs and tracks go on.
    let trafs = [vec![tfhd(0x20, 1, &[0]), run(1), run(2)], vec![tfhd(0x20, 2, &[0]), run(1)]];
    let file = [&header[..], &moof(&trafs), &[0; 40]].concat();
    assert_eq!(offsets(&file), [vec![0, 6, 12], vec![18]]);
    // The second `moof` base starts over.
    let trafs =
        [vec![tfhd(0x20, 1, &[0]), run(1)], vec![tfhd(BASE_IS_MOOF | 0x20, 2, &[0]), run(2)]];
    let file = [&header[..], &moof(&trafs), &[0; 40]].concat();
    assert_eq!(offsets(&file), [vec![0], vec![0, 6]]);
    // A base of 64 bits counts from the start of the file, and offsets from it.
    let base = [0, header.len() as u32 + 50, 0];
    let backwards = full(b"trun", 0, OFFSET, &words(&[1, (-10_i32).cast_unsigned()]));
    let trafs = [vec![tfhd(0x21, 1, &base), run(1), backwards], vec![tfhd(0x20, 2, &[0]), run(1)]];
    let file = [&header[..], &moof(&trafs), &[0; 80]].concat();
    assert_eq!(offsets(&file), [vec![50, 40], vec![46]]);
}

#[test]
fn runs_say_what_defaults_leave_open() {
    let header = fragmented_header();
    let fields = DURATION | SIZE | 0x400 | COMPOSITION;
    let minus = |value: i32| value.cast_unsigned();
    let rows = [30, 1, 0, 20, 30, 2, 0x1_0000, minus(-10), 30, 3, 0x1_0000, minus(-10)];
    let run = full(b"trun", 1, fields, &words(&[&[3], &rows[..]].concat()));
    let file = [&header[..], &moof(&[vec![tfhd(0, 1, &[]), run]])].concat();
    let movie = read_movie(&file).unwrap();
    let at = header.len() as u64;
    // Presented at 20, 20 and 50.
    let expected = [(at, 1, 0, 30, 0), (at + 1, 2, 30, 30, 0), (at + 3, 3, 60, 30, 30)];
    assert_eq!(dump(&movie.tracks[0]), expected);
    assert_eq!(movie.time_origin, Timescale::new(1000).map(|timescale| timescale.ticks(20)));
    let skipped = &movie.skipped[0];
    assert_eq!((skipped.track_id, skipped.reason.as_str()), (2, "it has no samples"));
}

#[test]
fn gaps_stretch_and_overlaps_shorten_the_sample_before() {
    let header = fragmented_header();
    let times = |second: u32| {
        let file = [&header[..], &simple_fragment([0, 0]), &simple_fragment([second, 300])];
        read_movie(&file.concat()).map(|movie| {
            let samples = &movie.tracks[0].table.samples;
            (samples[1].duration_ticks, samples[2].decode_time, samples[3].decode_time)
        })
    };
    assert_eq!(times(200), Ok((100, 200, 300)));
    assert_eq!(times(950), Ok((850, 950, 1050)));
    assert_eq!(times(150), Ok((50, 150, 250)));
    // The sample before starts at 100.
    let error = times(100).unwrap_err().to_string();
    assert!(error.starts_with("`tfdt` at byte"), "{error}");
    assert!(error.ends_with("it goes back before the fragment in front of it"), "{error}");
}

#[test]
fn a_title_that_starts_late_is_moved_to_zero_with_all_its_tracks() {
    // 4 000 000 ms of video, and sound that starts 10 ms later.
    let fragment = simple_fragment([4_000_000, 192_000_480]);
    let movie = read_movie(&[fragmented_header(), fragment].concat()).unwrap();
    assert_eq!(movie.time_origin, Timescale::new(1000).map(|ms| ms.ticks(4_000_000)));
    let starts = movie.tracks.iter().map(|track| track.table.start_time()).collect::<Vec<_>>();
    assert_eq!(starts, [0, 480]);
}

#[test]
fn samples_of_moov_and_fragments_are_one_track() {
    let tracks = [TestTrack { edits: vec![], ..video() }, sound()];
    let ftyp = boxed(b"ftyp", b"iso6\0\0\0\0");
    let build = |at: u64| {
        let offsets = [vec![at, at + 50, at + 70], vec![at + 80; 4]];
        moov(&tracks, &offsets, Layout { wide_chunk_offsets: true, ..Layout::default() }, &mvex())
    };
    let media_at = (ftyp.len() + build(0).len() + 8) as u64;
    let media = boxed(b"mdat", &[0; 200]);
    let no_time = [vec![tfhd(0, 1, &[]), full(b"trun", 0, SYNC_FIRST, &words(&[1, 0]))]];
    let file = [ftyp, build(media_at), media, moof(&no_time)].concat();
    let movie = read_movie(&file).unwrap();
    let video = dump(&movie.tracks[0]);
    // Decoding goes on where `moov` ended.
    assert_eq!(video.iter().map(|s| s.2).collect::<Vec<_>>(), [40, 80, 120, 160]);
    assert_eq!(movie.tracks[1].table.len(), 3);
}

#[test]
fn events_go_to_the_fragment_that_follows() {
    let emsg = full(b"emsg", 1, 0, b"an event");
    let prft = full(b"prft", 1, 0, &words(&[2, 0, 0, 0, 0]));
    let fragments = [simple_fragment([0, 0]), simple_fragment([200, 300])];
    let header = fragmented_header();
    let file = [&header[..], &emsg, &fragments[0], &prft, &emsg, &fragments[1]].concat();
    let movie = read_movie(&file).unwrap();
    let event = |kind: &[u8; 4], first_sample, bytes: &Vec<u8>| EventBox {
        kind: FourCc(*kind),
        first_sample,
        bytes: bytes.clone(),
    };
    let on_video = [event(b"emsg", 0, &emsg), event(b"emsg", 2, &emsg)];
    assert_eq!(movie.tracks[0].events, on_video);
    assert_eq!(movie.tracks[1].events, [event(b"prft", 3, &prft)]);
}

#[test]
fn tracks_without_output_are_skipped_with_a_reason() {
    let timecode = TestTrack { id: 5, handler: *b"tmcd", ..sound() };
    let text = TestTrack { id: 6, handler: *b"text", ..sound() };
    let empty = TestTrack { id: 7, rows: vec![], ..sound() };
    let behind = TestTrack { id: 8, edits: vec![(1000, 1 << 20)], ..sound() };
    let (file, _) = progressive(&[video(), timecode, text, empty, behind], Layout::default());
    let movie = read_movie(&file).unwrap();
    assert_eq!(movie.tracks.len(), 1);
    let [timecode, text, empty, behind] = &movie.skipped[..] else { panic!("four tracks") };
    assert_eq!([timecode, text, empty, behind].map(|skipped| skipped.track_id), [5, 6, 7, 8]);
    assert_eq!(timecode.reason, "handler `tmcd` is neither video, audio nor text");
    // What is wrong with text, its sample entry tells.
    assert!(text.reason.contains("tsts"), "{text:?}");
    assert_eq!(empty.reason, "it has no samples");
    assert_eq!(behind.reason, "its edit list presents none of its samples");
}

#[test]
fn protection_is_recognised_and_entries_are_kept_verbatim() {
    let key_id = [9; 16];
    let tenc = full(b"tenc", 1, 0, &[&[0, 0x19, 1, 0], &key_id[..]].concat());
    let frma = boxed(b"frma", b"test");
    let schm = full(b"schm", 0, 0, b"cbcs\0\x01\0\0");
    let sinf = boxed(b"sinf", &[frma, schm, boxed(b"schi", &tenc)].concat());
    let protected = visual_entry(b"encv", &sinf);
    let clear = visual_entry(b"test", &[]);
    let entries = vec![clear.clone(), protected.clone(), clear.clone()];
    let (file, _) = progressive(&[TestTrack { entries, ..video() }], Layout::default());
    let movie = read_movie(&file).unwrap();
    let [track] = &movie.tracks[..] else { panic!("one track") };
    let scheme = Some(FourCc(*b"cbcs"));
    let original_format = FourCc(*b"test");
    let default_key_id = Some(key_id);
    assert_eq!(track.encryption, Some(Encryption { scheme, original_format, default_key_id }));
    assert_eq!(track.info.sample_entries, [clear, protected]);
    assert_eq!(track.info.codecs(), "test");
}

#[test]
fn a_last_sample_without_duration_lasts_as_long_as_the_one_before() {
    let rows = vec![row(1, 40, 0, true), row(1, 0, 0, true), row(1, 0, 0, true)];
    let (file, _) = progressive(&[TestTrack { rows, edits: vec![], ..video() }], Layout::default());
    let movie = read_movie(&file).unwrap();
    let samples = &movie.tracks[0].table.samples;
    let durations = samples.iter().map(|sample| sample.duration_ticks).collect::<Vec<_>>();
    assert_eq!(durations, [40, 0, 40]);
}

#[test]
fn what_is_no_movie_is_refused() {
    check_refused(b"GIF89a, which is no movie", "not an MP4 or MOV file");
    check_refused(b"", "the file has no `moov` box");
    check_refused(&boxed(b"ftyp", b"isom\0\0\0\0"), "the file has no `moov` box");
    check_refused(&boxed(b"ftyp", b"iso"), "`ftyp` at byte 8 wants 4 bytes, 3 remain");
    let (file, _) = progressive(&[video()], Layout { moov_at_end: true, ..Layout::default() });
    // Cut in the media, in `moov`, and in the header of `moov`.
    check_refused(&file[..60], "`mdat` at byte 24 wants");
    check_refused(&file[..file.len() - 1], "`moov` at byte");
    let moov = file.windows(4).position(|kind| kind == b"moov").unwrap() - 4;
    check_refused(&file[..moov + 5], "wants 8 bytes, 5 remain");
}

#[test]
fn samples_outside_the_file_are_refused() {
    let (file, offsets) = progressive(&[video(), sound()], Layout::default());
    let last = offsets[1][3];
    let cut = &file[..last as usize + 6];
    let expected = format!("track 2, sample 4: 7 bytes at byte {last} lie outside the source of");
    check_refused(cut, &expected);
    // Media that nobody refers to may be missing.
    assert!(read_movie(&file[..last as usize + 7]).is_ok());

    let fragments = [fragmented_header(), simple_fragment([0, 0]), simple_fragment([200, 300])];
    let file = fragments.concat();
    check_refused(&file[..file.len() - 1], "track 2, sample 6: 6 bytes at byte");
    let cut_in_moof = file.len() - fragments[2].len() + 20;
    check_refused(&file[..cut_in_moof], "`moof` at byte");
}

#[test]
fn contradictions_are_refused() {
    let (file, _) = progressive(&[video(), TestTrack { id: 1, ..sound() }], Layout::default());
    check_refused(&file, "its track id is another track's");
    let (file, _) = progressive(&[TestTrack { id: 0, ..video() }], Layout::default());
    check_refused(&file, "its track id is 0");
    let header = fragmented_header();
    check_refused(&[&header[..], &header[16..]].concat(), "`moov` at byte");
    let unknown = moof(&[vec![tfhd(0, 9, &[]), tfdt(0)]]);
    check_refused(&[header.clone(), unknown].concat(), "`moov` has no such track");
    let entry = moof(&[vec![tfhd(0x2, 1, &[7]), full(b"trun", 0, 0, &words(&[1]))]]);
    check_refused(&[header.clone(), entry].concat(), "a sample entry that `stsd` does not have");
    let far = full(b"tfdt", 1, 0, &words(&[u32::MAX, 0]));
    check_refused(&[header, moof(&[vec![tfhd(0, 1, &[]), far]])].concat(), "beyond reason");
}

#[test]
fn counts_that_no_bytes_back_are_refused() {
    let header = fragmented_header();
    let refuse = |tfhd: Vec<u8>, count: u32, expected: &str| {
        let run = full(b"trun", 0, 0, &words(&[count]));
        check_refused(&[header.clone(), moof(&[vec![tfhd, run]])].concat(), expected);
    };
    // No sizes at all, sizes of 0, and sizes that add up to more than there is.
    refuse(tfhd(0x10, 1, &[0]), 1 << 20, "its samples would not fit into the file");
    refuse(tfhd(0x10, 1, &[1]), 1 << 20, "its samples would not fit into the file");
    refuse(tfhd(0, 1, &[]), u32::MAX, "its samples would not fit into the file");
    let run = full(b"trun", 0, 0xf00, &words(&[u32::MAX, 1, 2, 3, 4]));
    let file = [header.clone(), moof(&[vec![tfhd(0, 1, &[]), run]])].concat();
    check_refused(&file, "it counts too many samples");
    let run = full(b"trun", 0, SIZE, &words(&[1000, 1, 2, 3, 4]));
    let file = [header, moof(&[vec![tfhd(0, 1, &[]), run]])].concat();
    check_refused(&file, "wants 4000 bytes, 16 remain");
}

#[test]
fn edits_beyond_one_stretch_are_refused_by_name() {
    let edits = vec![(40, 0), (40, 80)];
    let (file, _) = progressive(&[TestTrack { edits, ..video() }], Layout::default());
    check_refused(&file, "track 1: its edit list presents several separate stretches of media");
}
