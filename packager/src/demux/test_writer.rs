//! Writes tiny files for tests: boxes by hand, and `moov` from lists of samples.

/// A box around its body.
pub(super) fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let size = (body.len() + 8) as u32;
    [&size.to_be_bytes(), &kind[..], body].concat()
}

/// A box with version and flags.
pub(super) fn full(kind: &[u8; 4], version: u8, flags: u32, body: &[u8]) -> Vec<u8> {
    let word = u32::from(version) << 24 | flags;
    boxed(kind, &[&word.to_be_bytes()[..], body].concat())
}

/// Big-endian words.
pub(super) fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

/// A sample as the tables say it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Row {
    pub size: u32,
    pub duration: u32,
    pub composition_offset: i32,
    pub is_sync: bool,
}

#[derive(Clone, Debug)]
pub(super) struct TestTrack {
    pub id: u32,
    pub handler: [u8; 4],
    pub timescale: u32,
    pub rows: Vec<Row>,
    /// Samples per chunk, over and over.
    pub chunks: Vec<u32>,
    /// (duration in milliseconds, media time).
    pub edits: Vec<(u32, i32)>,
    pub entries: Vec<Vec<u8>>,
    /// Sizes as `stz2` of this many bits.
    pub compact_bits: Option<u32>,
}

impl Default for TestTrack {
    fn default() -> Self {
        Self {
            id: 1,
            handler: *b"vide",
            timescale: 1000,
            rows: Vec::new(),
            chunks: vec![1],
            edits: Vec::new(),
            entries: vec![visual_entry(b"test", &[])],
            compact_bits: None,
        }
    }
}

pub(super) fn visual_entry(kind: &[u8; 4], children: &[u8]) -> Vec<u8> {
    let mut body = vec![0; 78];
    body[7] = 1;
    body[24..28].copy_from_slice(&[0, 64, 0, 48]);
    body.extend(children);
    boxed(kind, &body)
}

pub(super) fn audio_entry(kind: &[u8; 4], children: &[u8]) -> Vec<u8> {
    let mut body = vec![0; 28];
    body[7] = 1;
    body[17] = 2;
    body[24..26].copy_from_slice(&48_000_u16.to_be_bytes());
    body.extend(children);
    boxed(kind, &body)
}

/// How the parts of a file are laid out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Layout {
    pub moov_at_end: bool,
    pub wide_chunk_offsets: bool,
    /// `mdat` with a 64-bit size.
    pub wide_mdat: bool,
    /// `mdat` with a size of 0; goes with `moov` in front.
    pub endless_mdat: bool,
}

/// A progressive file and where each track's samples lie in it.
pub(super) fn progressive(tracks: &[TestTrack], layout: Layout) -> (Vec<u8>, Vec<Vec<u64>>) {
    let ftyp = boxed(b"ftyp", b"isom\0\0\x02\0isomiso2");
    let moov_bytes = moov(tracks, &vec![Vec::new(); tracks.len()], layout, &[]).len();
    let header_bytes = if layout.wide_mdat { 16 } else { 8 };
    let in_front = if layout.moov_at_end { 0 } else { moov_bytes };
    let mut at = (ftyp.len() + in_front + header_bytes) as u64;
    let start = at;
    let mut offsets = vec![Vec::new(); tracks.len()];
    // Chunks of the tracks take turns.
    let mut turns = tracks.iter().map(|track| track.chunks.iter().cycle()).collect::<Vec<_>>();
    while tracks.iter().zip(&offsets).any(|(track, done)| done.len() < track.rows.len()) {
        for ((track, done), turn) in tracks.iter().zip(&mut offsets).zip(&mut turns) {
            for _ in 0..*turn.next().unwrap() {
                if let Some(row) = track.rows.get(done.len()) {
                    done.push(at);
                    at += u64::from(row.size);
                }
            }
            // A gap between chunks, so that each offset counts.
            at += 3;
        }
    }
    let media = vec![0xaa; (at - start) as usize];
    let mdat = match layout {
        Layout { wide_mdat: true, .. } => {
            let size = media.len() as u64 + 16;
            [&words(&[1]), &b"mdat"[..], &size.to_be_bytes(), &media].concat()
        }
        Layout { endless_mdat: true, .. } => [&words(&[0]), &b"mdat"[..], &media].concat(),
        _ => boxed(b"mdat", &media),
    };
    let moov = moov(tracks, &offsets, layout, &[]);
    assert_eq!(moov.len(), moov_bytes);
    let parts = if layout.moov_at_end { [ftyp, mdat, moov] } else { [ftyp, moov, mdat] };
    (parts.concat(), offsets)
}

/// `moov` over tracks whose samples lie at `offsets`; `extra` boxes go to its end.
pub(super) fn moov(
    tracks: &[TestTrack],
    offsets: &[Vec<u64>],
    layout: Layout,
    extra: &[u8],
) -> Vec<u8> {
    let mvhd = full(b"mvhd", 0, 0, &[words(&[0, 0, 1000, 0]), vec![0; 80]].concat());
    let traks = tracks.iter().zip(offsets).flat_map(|(track, at)| trak(track, at, layout));
    boxed(b"moov", &[mvhd, traks.collect(), extra.to_vec()].concat())
}

fn trak(track: &TestTrack, offsets: &[u64], layout: Layout) -> Vec<u8> {
    let matrix = words(&[1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30]);
    let tkhd = [words(&[0, 0, track.id, 0, 0]), vec![0; 16], matrix, words(&[0, 0])].concat();
    let edits = track.edits.iter().flat_map(|&(duration, media_time)| {
        words(&[duration, media_time.cast_unsigned(), 1 << 16])
    });
    let elst = [words(&[track.edits.len() as u32]), edits.collect()].concat();
    let edts = boxed(b"edts", &full(b"elst", 0, 0, &elst));
    let mdhd = full(b"mdhd", 0, 0, &words(&[0, 0, track.timescale, 0, 0x15c7_0000]));
    let hdlr = [&[0; 4], &track.handler[..], &[0; 12], b"Name\0"].concat();
    let hdlr = full(b"hdlr", 0, 0, &hdlr);
    let minf = boxed(b"minf", &boxed(b"stbl", &stbl(track, offsets, layout)));
    let mdia = boxed(b"mdia", &[mdhd, hdlr, minf].concat());
    let edts = if track.edits.is_empty() { Vec::new() } else { edts };
    boxed(b"trak", &[full(b"tkhd", 0, 1, &tkhd), edts, mdia].concat())
}

/// Equal neighbours as runs of (count, value).
fn runs(values: impl Iterator<Item = u32>) -> Vec<u8> {
    let mut runs = Vec::<[u32; 2]>::new();
    for value in values {
        match runs.last_mut() {
            Some([count, last]) if *last == value => *count += 1,
            _ => runs.push([1, value]),
        }
    }
    words(&[&[runs.len() as u32], runs.as_flattened()].concat())
}

fn stbl(track: &TestTrack, offsets: &[u64], layout: Layout) -> Vec<u8> {
    let rows = &track.rows;
    let stsd = [words(&[track.entries.len() as u32]), track.entries.concat()].concat();
    let mut out = full(b"stsd", 0, 0, &stsd);
    out.extend(full(b"stts", 0, 0, &runs(rows.iter().map(|row| row.duration))));
    if rows.iter().any(|row| row.composition_offset != 0) {
        let offsets = rows.iter().map(|row| row.composition_offset.cast_unsigned());
        out.extend(full(b"ctts", 1, 0, &runs(offsets)));
    }
    if rows.iter().any(|row| !row.is_sync) {
        let numbers = (1..).zip(rows).filter(|(_, row)| row.is_sync).map(|(number, _)| number);
        let numbers = numbers.collect::<Vec<u32>>();
        let body = words(&[&[numbers.len() as u32], &numbers[..]].concat());
        out.extend(full(b"stss", 0, 0, &body));
    }
    out.extend(sizes(track));
    out.extend(chunk_tables(track, offsets, layout));
    out
}

fn sizes(track: &TestTrack) -> Vec<u8> {
    let count = track.rows.len() as u32;
    let sizes = track.rows.iter().map(|row| row.size).collect::<Vec<_>>();
    let Some(bits) = track.compact_bits else {
        return match sizes[..] {
            [first, ..] if first > 0 && sizes.iter().all(|&size| size == first) => {
                full(b"stsz", 0, 0, &words(&[first, count]))
            }
            _ => full(b"stsz", 0, 0, &words(&[&[0, count], &sizes[..]].concat())),
        };
    };
    let packed = match bits {
        4 => sizes
            .chunks(2)
            .map(|pair| (pair[0] << 4 | pair.get(1).unwrap_or(&0)) as u8)
            .collect::<Vec<_>>(),
        8 => sizes.iter().map(|&size| size as u8).collect(),
        _ => sizes.iter().flat_map(|&size| (size as u16).to_be_bytes()).collect(),
    };
    full(b"stz2", 0, 0, &[words(&[bits, count]), packed].concat())
}

fn chunk_tables(track: &TestTrack, offsets: &[u64], layout: Layout) -> Vec<u8> {
    let mut stsc = Vec::<[u32; 3]>::new();
    let mut chunks = Vec::new();
    let mut sample = 0;
    for &count in track.chunks.iter().cycle() {
        if sample >= track.rows.len() {
            break;
        }
        chunks.push(offsets.get(sample).copied().unwrap_or(0));
        let count = count.min((track.rows.len() - sample) as u32);
        if stsc.last().is_none_or(|&[_, last, _]| last != count) {
            stsc.push([chunks.len() as u32, count, 1]);
        }
        sample += count as usize;
    }
    let body = words(&[&[stsc.len() as u32], stsc.as_flattened()].concat());
    let mut out = full(b"stsc", 0, 0, &body);
    let count = words(&[chunks.len() as u32]);
    out.extend(if layout.wide_chunk_offsets {
        let chunks = chunks.iter().flat_map(|offset| offset.to_be_bytes()).collect();
        full(b"co64", 0, 0, &[count, chunks].concat())
    } else {
        let chunks = chunks.iter().flat_map(|&offset| (offset as u32).to_be_bytes()).collect();
        full(b"stco", 0, 0, &[count, chunks].concat())
    });
    out
}
