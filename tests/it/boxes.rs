//! Reads ISO base media files with `mp4-atom`: every box is parsed, and samples get their times
//! (ISO/IEC 14496-12 8.8).

use mp4_atom::{Any, Decode, Ftyp, Moof, Moov};

/// A top-level box.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) kind: [u8; 4],
    pub(crate) whole: &'a [u8],
    pub(crate) body: &'a [u8],
    pub(crate) offset: usize,
}

/// The boxes of one level, which have to fill `bytes` exactly.
#[track_caller]
pub(crate) fn boxes(bytes: &[u8]) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    let mut offset = 0;
    while offset < bytes.len() {
        let u32_at = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four"));
        let (header, size) = match u32_at(offset) {
            1 => (16, u32_at(offset + 12) as usize),
            size => (8, size as usize),
        };
        assert!(size >= header && offset + size <= bytes.len(), "a box of {size} at {offset}");
        let whole = &bytes[offset..offset + size];
        let kind = whole[4..8].try_into().expect("four");
        found.push(Found { kind, whole, body: &whole[header..], offset });
        offset += size;
    }
    found
}

/// Has `mp4-atom` parse each box.
#[track_caller]
pub(crate) fn parse_all(bytes: &[u8]) {
    for found in boxes(bytes) {
        let name = String::from_utf8_lossy(&found.kind).into_owned();
        if found.kind == *b"mdat" {
            continue;
        }
        let parsed = Any::decode(&mut &*found.whole);
        let parsed = parsed.unwrap_or_else(|error| panic!("{name} at {}: {error}", found.offset));
        assert!(!matches!(parsed, Any::Unknown(..)), "{name} is unknown");
    }
}

/// What an init segment says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Init {
    pub(crate) timescale: u32,
}

#[track_caller]
pub(crate) fn init(bytes: &[u8]) -> Init {
    parse_all(bytes);
    let found = boxes(bytes);
    Ftyp::decode(&mut &*found[0].whole).expect("an init segment begins with ftyp");
    let moov = found.iter().find(|found| &found.kind == b"moov").expect("a moov");
    let moov = Moov::decode(&mut &*moov.whole).expect("the moov is read");
    assert_eq!(moov.trak.len(), 1, "CMAF has a track per file");
    assert!(moov.trak[0].edts.is_none(), "no edit list is written");
    assert!(moov.mvex.is_some(), "a fragmented file has mvex");
    Init { timescale: moov.trak[0].mdia.mdhd.timescale }
}

/// Kind of the one track: `vide`, `soun`.
#[track_caller]
pub(crate) fn handler(bytes: &[u8]) -> [u8; 4] {
    let found = boxes(bytes);
    let moov = found.iter().find(|found| &found.kind == b"moov").expect("a moov");
    let moov = Moov::decode(&mut &*moov.whole).expect("the moov is read");
    moov.trak[0].mdia.hdlr.handler.into()
}

/// One sample of a fragment, times in ticks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Sample {
    pub(crate) dts: i64,
    pub(crate) pts: i64,
    pub(crate) duration: i64,
    pub(crate) size: u64,
    pub(crate) is_sync: bool,
}

/// What the fragments of one media segment hold.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) tfdt: i64,
    pub(crate) samples: Vec<Sample>,
}

impl Segment {
    pub(crate) fn duration(&self) -> i64 {
        self.samples.iter().map(|sample| sample.duration).sum()
    }

    pub(crate) fn end(&self) -> i64 {
        self.tfdt + self.duration()
    }
}

/// Reads a media segment, whose samples have to fill its `mdat`.
#[track_caller]
pub(crate) fn segment(bytes: &[u8]) -> Segment {
    parse_all(bytes);
    let found = boxes(bytes);
    let moofs: Vec<_> = found.iter().filter(|found| &found.kind == b"moof").collect();
    assert_eq!(moofs.len(), 1, "a segment has one fragment");
    let moof = Moof::decode(&mut &*moofs[0].whole).expect("the moof is read");
    assert_eq!(moof.traf.len(), 1);
    let traf = &moof.traf[0];
    assert!(traf.tfhd.default_base_is_moof);
    let tfdt = traf.tfdt.as_ref().expect("a tfdt").base_media_decode_time as i64;
    let mut samples = Vec::new();
    let mut dts = tfdt;
    for entry in traf.trun.iter().flat_map(|trun| trun.samples.iter()) {
        let duration = entry.duration.or(traf.tfhd.default_sample_duration).unwrap_or(0);
        let size = entry.size.or(traf.tfhd.default_sample_size).expect("a size");
        let flags = entry.flags.or(traf.tfhd.default_sample_flags).unwrap_or(0);
        samples.push(Sample {
            dts,
            pts: dts + entry.cts.unwrap_or(0),
            duration: i64::from(duration),
            size: u64::from(size),
            is_sync: flags & 0x0001_0000 == 0,
        });
        dts += i64::from(duration);
    }
    let mdat = found.iter().find(|found| &found.kind == b"mdat").expect("an mdat");
    let bytes: u64 = samples.iter().map(|sample| sample.size).sum();
    assert_eq!(mdat.body.len() as u64, bytes, "samples fill the mdat");
    let data_offset = traf.trun[0].data_offset.expect("a data offset") as usize;
    let mdat_body = mdat.offset + (mdat.whole.len() - mdat.body.len());
    assert_eq!(moofs[0].offset + data_offset, mdat_body, "the first sample opens the mdat");
    Segment { tfdt, samples }
}
