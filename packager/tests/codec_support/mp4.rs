//! Tracks and samples of an MP4, read the short way: files are trusted, and a lie panics the test.

use std::ops::Range;

#[derive(Clone, Debug, Default)]
pub struct Track {
    pub id: u32,
    pub handler: [u8; 4],
    pub timescale: u32,
    pub entries: Vec<Vec<u8>>,
    pub samples: Vec<Sample>,
    trex_description: u32,
    trex_size: u32,
}

#[derive(Clone, Debug, Default)]
pub struct Sample {
    pub offset: usize,
    pub size: usize,
    pub description_index: u16,
    pub is_sync: bool,
    /// `senc`: clear and protected bytes, runs longer than 65 535 clear bytes joined again.
    pub subsamples: Vec<(u32, u32)>,
}

type Boxed = ([u8; 4], Range<usize>, usize);

/// Boxes between `at` and `end`: kind, body, start of the header. Stops at the first lie.
fn boxes(file: &[u8], mut at: usize, end: usize) -> Vec<Boxed> {
    let mut list = Vec::new();
    while at + 8 <= end {
        let mut size = u32_at(file, at) as usize;
        let kind = file[at + 4..at + 8].try_into().unwrap();
        let mut header = 8;
        if size == 1 && at + 16 <= end {
            size = u64::from_be_bytes(file[at + 8..at + 16].try_into().unwrap()) as usize;
            header = 16;
        } else if size == 0 {
            size = end - at;
        }
        if size < header || size > end - at {
            break;
        }
        list.push((kind, at + header..at + size, at));
        at += size;
    }
    list
}

fn inside(file: &[u8], body: &Range<usize>) -> Vec<Boxed> {
    boxes(file, body.start, body.end)
}

fn find(file: &[u8], body: &Range<usize>, path: &[&[u8; 4]]) -> Option<Range<usize>> {
    path.iter().try_fold(body.clone(), |body, kind| {
        inside(file, &body).into_iter().find(|(found, ..)| found == *kind).map(|(_, body, _)| body)
    })
}

fn u16_at(file: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(file[at..at + 2].try_into().unwrap())
}

fn u32_at(file: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(file[at..at + 4].try_into().unwrap())
}

/// Every track of an MP4 or MOV file, with the samples of `moov` and of all fragments.
pub fn read_tracks(file: &[u8]) -> Vec<Track> {
    let top = boxes(file, 0, file.len());
    let mut tracks = Vec::new();
    for (kind, body, start) in &top {
        match kind {
            b"moov" if tracks.is_empty() => tracks = read_moov(file, body),
            b"moof" => read_moof(file, body, *start, &mut tracks),
            _ => {}
        }
    }
    tracks
}

fn read_moov(file: &[u8], moov: &Range<usize>) -> Vec<Track> {
    let mut tracks = Vec::new();
    for (kind, trak, _) in inside(file, moov) {
        if &kind != b"trak" {
            continue;
        }
        if let Some(track) = read_trak(file, &trak) {
            tracks.push(track);
        }
    }
    if let Some(mvex) = find(file, moov, &[b"mvex"]) {
        for (kind, trex, _) in inside(file, &mvex) {
            let id = u32_at(file, trex.start + 4);
            if let Some(track) = tracks.iter_mut().find(|track| &kind == b"trex" && track.id == id)
            {
                track.trex_description = u32_at(file, trex.start + 8);
                track.trex_size = u32_at(file, trex.start + 16);
            }
        }
    }
    tracks
}

fn read_trak(file: &[u8], trak: &Range<usize>) -> Option<Track> {
    let tkhd = find(file, trak, &[b"tkhd"])?;
    let id_at = if file[tkhd.start] == 1 { 20 } else { 12 };
    let hdlr = find(file, trak, &[b"mdia", b"hdlr"])?;
    let mdhd = find(file, trak, &[b"mdia", b"mdhd"])?;
    let scale_at = if file[mdhd.start] == 1 { 20 } else { 12 };
    let stbl = find(file, trak, &[b"mdia", b"minf", b"stbl"])?;
    let stsd = find(file, &stbl, &[b"stsd"])?;
    let entries = boxes(file, stsd.start + 8, stsd.end);
    let mut track = Track {
        id: u32_at(file, tkhd.start + id_at),
        handler: file[hdlr.start + 8..hdlr.start + 12].try_into().unwrap(),
        timescale: u32_at(file, mdhd.start + scale_at),
        entries: entries.iter().map(|(_, body, start)| file[*start..body.end].to_vec()).collect(),
        trex_description: 1,
        ..Track::default()
    };
    track.samples = read_stbl(file, &stbl).unwrap_or_default();
    Some(track)
}

fn read_stbl(file: &[u8], stbl: &Range<usize>) -> Option<Vec<Sample>> {
    let stsz = find(file, stbl, &[b"stsz"])?.start;
    let stsc = find(file, stbl, &[b"stsc"])?.start;
    let (chunks, wide) = match find(file, stbl, &[b"stco"]) {
        Some(stco) => (stco.start, false),
        None => (find(file, stbl, &[b"co64"])?.start, true),
    };
    let stss = find(file, stbl, &[b"stss"]);
    let syncs: Option<Vec<u32>> = stss.map(|stss| {
        (0..u32_at(file, stss.start + 4) as usize)
            .map(|index| u32_at(file, stss.start + 8 + 4 * index))
            .collect()
    });
    let (same_size, count) = (u32_at(file, stsz + 4), u32_at(file, stsz + 8) as usize);
    let runs = u32_at(file, stsc + 4) as usize;
    let mut samples = Vec::new();
    let mut run = 0;
    for chunk in 0..u32_at(file, chunks + 4) as usize {
        let row = |run: usize| stsc + 8 + 12 * run;
        while run + 1 < runs && u32_at(file, row(run + 1)) as usize <= chunk + 1 {
            run += 1;
        }
        let mut offset = if wide {
            u32_at(file, chunks + 12 + 8 * chunk) as usize
        } else {
            u32_at(file, chunks + 8 + 4 * chunk) as usize
        };
        for _ in 0..u32_at(file, row(run) + 4) {
            let index = samples.len();
            if index == count {
                return Some(samples);
            }
            let size = if same_size > 0 { same_size } else { u32_at(file, stsz + 12 + 4 * index) };
            samples.push(Sample {
                offset,
                size: size as usize,
                description_index: u32_at(file, row(run) + 8) as u16 - 1,
                is_sync: syncs.as_ref().is_none_or(|list| list.contains(&(index as u32 + 1))),
                subsamples: Vec::new(),
            });
            offset += size as usize;
        }
    }
    Some(samples)
}

fn read_moof(file: &[u8], moof: &Range<usize>, moof_start: usize, tracks: &mut [Track]) {
    for (kind, traf, _) in inside(file, moof) {
        let Some(tfhd) = (&kind == b"traf").then(|| find(file, &traf, &[b"tfhd"])).flatten() else {
            continue;
        };
        let id = u32_at(file, tfhd.start + 4);
        let Some(track) = tracks.iter_mut().find(|track| track.id == id) else { continue };
        let flags = u32_at(file, tfhd.start) & 0xff_ffff;
        let mut at = tfhd.start + 8;
        let mut base = moof_start;
        if flags & 1 != 0 {
            base = u32_at(file, at + 4) as usize;
            at += 8;
        }
        let mut description = track.trex_description;
        if flags & 2 != 0 {
            description = u32_at(file, at);
            at += 4;
        }
        at += if flags & 8 != 0 { 4 } else { 0 };
        let mut default_size = track.trex_size;
        if flags & 0x10 != 0 {
            default_size = u32_at(file, at);
        }
        let first = track.samples.len();
        for (kind, trun, _) in inside(file, &traf) {
            if &kind == b"trun" {
                read_trun(file, &trun, base, default_size, description, track);
            }
        }
        let senc = find(file, &traf, &[b"senc"]);
        if let Some(senc) = senc {
            read_senc(file, &senc, &mut track.samples[first..]);
        }
    }
}

fn read_trun(
    file: &[u8],
    trun: &Range<usize>,
    base: usize,
    default_size: u32,
    description: u32,
    track: &mut Track,
) {
    let flags = u32_at(file, trun.start) & 0xff_ffff;
    let count = u32_at(file, trun.start + 4);
    let mut at = trun.start + 8;
    let mut offset = base;
    if flags & 1 != 0 {
        offset = base.wrapping_add_signed(u32_at(file, at) as i32 as isize);
        at += 4;
    } else if let Some(last) = track.samples.last() {
        offset = last.offset + last.size;
    }
    at += if flags & 4 != 0 { 4 } else { 0 };
    for _ in 0..count {
        at += if flags & 0x100 != 0 { 4 } else { 0 };
        let mut size = default_size;
        if flags & 0x200 != 0 {
            size = u32_at(file, at);
            at += 4;
        }
        at += if flags & 0x400 != 0 { 4 } else { 0 } + if flags & 0x800 != 0 { 4 } else { 0 };
        track.samples.push(Sample {
            offset,
            size: size as usize,
            description_index: description.max(1) as u16 - 1,
            is_sync: false,
            subsamples: Vec::new(),
        });
        offset += size as usize;
    }
}

/// `senc` with 8-byte initialisation vectors (cenc) or none (cbcs), told apart by what adds up.
fn read_senc(file: &[u8], senc: &Range<usize>, samples: &mut [Sample]) {
    let flags = u32_at(file, senc.start) & 0xff_ffff;
    let count = u32_at(file, senc.start + 4) as usize;
    if flags & 2 == 0 || count != samples.len() {
        return;
    }
    for iv_size in [0, 8, 16] {
        if let Some(maps) = try_senc(file, senc, iv_size, samples) {
            for (sample, map) in samples.iter_mut().zip(maps) {
                sample.subsamples = map;
            }
            return;
        }
    }
    panic!("no IV size makes sense of senc");
}

fn try_senc(
    file: &[u8],
    senc: &Range<usize>,
    iv_size: usize,
    samples: &[Sample],
) -> Option<Vec<Vec<(u32, u32)>>> {
    let mut at = senc.start + 8;
    let mut maps = Vec::new();
    for sample in samples {
        at += iv_size;
        let rows = (at + 2 <= senc.end).then(|| u16_at(file, at))?;
        at += 2;
        let mut map: Vec<(u32, u32)> = Vec::new();
        let mut joins = false;
        for _ in 0..rows {
            let clear = (at + 6 <= senc.end).then(|| u32::from(u16_at(file, at)))?;
            let protected = u32_at(file, at + 2);
            at += 6;
            match map.last_mut() {
                Some(last) if joins => *last = (last.0 + clear, protected),
                _ => map.push((clear, protected)),
            }
            joins = protected == 0;
        }
        let sum: u64 = map.iter().map(|(a, b)| u64::from(*a) + u64::from(*b)).sum();
        if sum != sample.size as u64 {
            return None;
        }
        maps.push(map);
    }
    (at == senc.end).then_some(maps)
}
