//! What a source's own tables say of its samples, read with `mp4-atom`: the measure that needs
//! nobody's reading of an edit list, a negative offset or a packet (ISO/IEC 14496-12 8.5 to 8.8).

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use mp4_atom::{
    Atom, Co64, Ctts, Decode, Elst, Hdlr, Mdhd, Mvhd, Stco, Stsc, Stss, Stsz, StszSamples, Stts,
    Tfdt, Tfhd, Trex, Trun, TrunEntry,
};

/// A picture or sound track of a source.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    /// `vide` or `soun`.
    pub(crate) handler: [u8; 4],
    /// In decode order.
    pub(crate) samples: Vec<Sample>,
    pub(crate) tick_seconds: f64,
    /// What the edit list presents, on the clock of the movie; without end where it has none.
    pub(crate) presented: Range<f64>,
    /// How far rounding of the edit list can be off.
    pub(crate) edit_seconds: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// On the clock of the movie, edit list applied.
    pub(crate) shown_seconds: f64,
    pub(crate) duration_seconds: f64,
    pub(crate) is_sync: bool,
    /// Where it lies in the file.
    pub(crate) place: Range<usize>,
}

/// A source with its tables.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) bytes: Vec<u8>,
    pub(crate) tracks: Vec<Track>,
    pub(crate) is_fragmented: bool,
}

/// A sample in ticks, before the edit list.
struct Row {
    dts: i64,
    offset: i64,
    duration: i64,
    is_sync: bool,
    place: Range<usize>,
}

#[derive(Default)]
struct Build {
    track_id: u32,
    handler: [u8; 4],
    timescale: u32,
    edits: Vec<(u64, Option<u64>)>,
    rows: Vec<Row>,
    defaults: Option<Trex>,
}

#[track_caller]
pub(crate) fn read(file: &Path) -> Source {
    let bytes = std::fs::read(file).expect("the source can be read");
    let top = children(&bytes, 0..bytes.len());
    let moov = top.iter().find(|found| found.kind == *b"moov").expect("a moov");
    let inside = children(&bytes, moov.body.clone());
    let movie_scale = decode::<Mvhd>(&bytes, &inside).expect("an mvhd").timescale;
    let traks = inside.iter().filter(|found| found.kind == *b"trak");
    let mut builds: Vec<Build> = traks.filter_map(|trak| read_trak(&bytes, trak)).collect();
    for mvex in inside.iter().filter(|found| found.kind == *b"mvex") {
        for trex in decode_all::<Trex>(&bytes, &children(&bytes, mvex.body.clone())) {
            for build in builds.iter_mut().filter(|build| build.track_id == trex.track_id) {
                build.defaults = Some(trex.clone());
            }
        }
    }
    let is_fragmented = inside.iter().any(|found| found.kind == *b"mvex");
    for moof in top.iter().filter(|found| found.kind == *b"moof") {
        read_moof(&bytes, moof, &mut builds);
    }
    let tracks = builds.into_iter().map(|build| build.finish(movie_scale, is_fragmented)).collect();
    Source { bytes, tracks, is_fragmented }
}

impl Build {
    fn finish(self, movie_scale: u32, is_fragmented: bool) -> Track {
        let tick = 1.0 / f64::from(self.timescale);
        let movie_tick = 1.0 / f64::from(movie_scale);
        let is_empty = |edit: &&(u64, Option<u64>)| edit.1.is_none();
        let lead: u64 = self.edits.iter().take_while(is_empty).map(|edit| edit.0).sum();
        let media: Vec<_> = self.edits.iter().filter(|edit| edit.1.is_some()).collect();
        let media_time = media.first().and_then(|edit| edit.1).unwrap_or(0);
        let duration: u64 = media.iter().map(|edit| edit.0).sum();
        let is_unlimited = is_fragmented || media.last().is_none_or(|edit| edit.0 == 0);
        let start = lead as f64 * movie_tick;
        let end = if is_unlimited { f64::INFINITY } else { start + duration as f64 * movie_tick };
        let shown = |row: &Row| (row.dts + row.offset - media_time as i64) as f64 * tick + start;
        let samples = self.rows.iter().map(|row| Sample {
            shown_seconds: shown(row),
            duration_seconds: row.duration as f64 * tick,
            is_sync: row.is_sync,
            place: row.place.clone(),
        });
        Track {
            handler: self.handler,
            samples: samples.collect(),
            tick_seconds: tick,
            presented: start..end,
            edit_seconds: movie_tick + 2.0 * tick,
        }
    }
}

/// `None` for tracks that are neither picture nor sound.
fn read_trak(bytes: &[u8], trak: &Found) -> Option<Build> {
    let inside = children(bytes, trak.body.clone());
    let track_id = decode::<mp4_atom::Tkhd>(bytes, &inside)?.track_id;
    let mdia = children(bytes, inside.iter().find(|found| found.kind == *b"mdia")?.body.clone());
    let handler: [u8; 4] = decode::<Hdlr>(bytes, &mdia)?.handler.into();
    if !matches!(&handler, b"vide" | b"soun") {
        return None;
    }
    let timescale = decode::<Mdhd>(bytes, &mdia)?.timescale;
    let minf = children(bytes, mdia.iter().find(|found| found.kind == *b"minf")?.body.clone());
    let stbl = children(bytes, minf.iter().find(|found| found.kind == *b"stbl")?.body.clone());
    let edts = inside.iter().find(|found| found.kind == *b"edts");
    let edts = edts.map(|edts| children(bytes, edts.body.clone())).unwrap_or_default();
    let edits = decode::<Elst>(bytes, &edts).map(|elst| elst.entries).unwrap_or_default();
    let edits = edits.iter().map(|edit| (edit.segment_duration, edit.media_time)).collect();
    let rows = read_stbl(bytes, &stbl);
    Some(Build { track_id, handler, timescale, edits, rows, defaults: None })
}

fn read_stbl(bytes: &[u8], stbl: &[Found]) -> Vec<Row> {
    let sizes = match decode::<Stsz>(bytes, stbl).map(|stsz| stsz.samples) {
        Some(StszSamples::Identical { count, size }) => vec![size; count as usize],
        Some(StszSamples::Different { sizes }) => sizes,
        None => Vec::new(),
    };
    let stts = decode::<Stts>(bytes, stbl).map(|stts| stts.entries).unwrap_or_default();
    let mut durations = stts.iter().flat_map(|run| {
        std::iter::repeat_n(i64::from(run.sample_delta), run.sample_count as usize)
    });
    let ctts = decode::<Ctts>(bytes, stbl).map(|ctts| ctts.entries).unwrap_or_default();
    let mut offsets = ctts
        .iter()
        .flat_map(|run| std::iter::repeat_n(signed(run.sample_offset), run.sample_count as usize));
    let sync: Option<HashSet<u32>> =
        decode::<Stss>(bytes, stbl).map(|stss| stss.entries.into_iter().collect());
    let chunks: Vec<u64> = match decode::<Stco>(bytes, stbl) {
        Some(stco) => stco.entries.into_iter().map(u64::from).collect(),
        None => decode::<Co64>(bytes, stbl).map(|co64| co64.entries).unwrap_or_default(),
    };
    let runs = decode::<Stsc>(bytes, stbl).map(|stsc| stsc.entries).unwrap_or_default();
    let per_chunk = |number: u32| {
        let run = runs.iter().take_while(|run| run.first_chunk <= number).last();
        run.map_or(0, |run| run.samples_per_chunk)
    };
    let mut rows: Vec<Row> = Vec::new();
    let mut dts = 0;
    for (chunk, number) in chunks.iter().zip(1..) {
        let mut at = *chunk as usize;
        for _ in 0..per_chunk(number) {
            let Some(size) = sizes.get(rows.len()) else { break };
            let duration = durations.next().expect("stts tells of every sample");
            let place = at..at + *size as usize;
            at = place.end;
            let is_sync = sync.as_ref().is_none_or(|sync| sync.contains(&(rows.len() as u32 + 1)));
            rows.push(Row { dts, offset: offsets.next().unwrap_or(0), duration, is_sync, place });
            dts += duration;
        }
    }
    assert_eq!(rows.len(), sizes.len(), "chunks hold every sample");
    rows
}

fn read_moof(bytes: &[u8], moof: &Found, builds: &mut [Build]) {
    let mut at = moof.start;
    for traf in children(bytes, moof.body.clone()).iter().filter(|found| found.kind == *b"traf") {
        let traf = children(bytes, traf.body.clone());
        let tfhd = decode::<Tfhd>(bytes, &traf).expect("a tfhd");
        let base = match tfhd.base_data_offset {
            Some(base) => base as usize,
            None if tfhd.default_base_is_moof => moof.start,
            None => at,
        };
        at = base;
        // Tracks that nobody asks about have data all the same, which others may lie behind.
        let mut unasked = Build::default();
        let build = builds.iter_mut().find(|build| build.track_id == tfhd.track_id);
        let build = build.unwrap_or(&mut unasked);
        let mut dts = build.rows.last().map_or(0, |row| row.dts + row.duration);
        if let Some(tfdt) = decode::<Tfdt>(bytes, &traf) {
            dts = tfdt.base_media_decode_time as i64;
        }
        for trun in decode_all::<Trun>(bytes, &traf) {
            if let Some(offset) = trun.data_offset {
                at = (base as i64 + i64::from(offset)) as usize;
            }
            for entry in trun.samples.iter() {
                let row = row(&entry, &tfhd, build.defaults.as_ref(), (dts, at));
                dts += row.duration;
                at = row.place.end;
                build.rows.push(row);
            }
        }
    }
}

/// A sample of a fragment: what it doesn't say itself, `tfhd` says, and else `trex`.
fn row(entry: &TrunEntry, tfhd: &Tfhd, trex: Option<&Trex>, (dts, at): (i64, usize)) -> Row {
    let or = |own: Option<u32>, of_track: Option<u32>, of_movie: fn(&Trex) -> u32| {
        own.or(of_track).or_else(|| trex.map(of_movie)).unwrap_or(0)
    };
    let duration =
        or(entry.duration, tfhd.default_sample_duration, |trex| trex.default_sample_duration);
    let size = or(entry.size, tfhd.default_sample_size, |trex| trex.default_sample_size);
    let flags = or(entry.flags, tfhd.default_sample_flags, |trex| trex.default_sample_flags);
    Row {
        dts,
        offset: signed(entry.cts.unwrap_or(0)),
        duration: duration.into(),
        is_sync: flags & 0x0001_0000 == 0,
        place: at..at + size as usize,
    }
}

/// Version 0 has unsigned offsets, in which writers put negative ones all the same.
fn signed(offset: i64) -> i64 {
    i64::from(offset as i32)
}

struct Found {
    kind: [u8; 4],
    start: usize,
    body: Range<usize>,
}

/// The boxes inside `range`, as far as they lie in it.
fn children(bytes: &[u8], range: Range<usize>) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = range.start;
    while at + 8 <= range.end {
        let u32_at = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four"));
        let (header, size) = match u32_at(at) {
            0 => (8, range.end - at),
            1 if at + 16 <= range.end => (16, u32_at(at + 12) as usize),
            size => (8, size as usize),
        };
        let end = at.saturating_add(size);
        if size < header || end > range.end {
            break;
        }
        let kind = bytes[at + 4..at + 8].try_into().expect("four");
        found.push(Found { kind, start: at, body: at + header..end });
        at = end;
    }
    found
}

fn decode_all<T: Atom>(bytes: &[u8], boxes: &[Found]) -> Vec<T> {
    let of_kind = boxes.iter().filter(|found| found.kind == <[u8; 4]>::from(T::KIND));
    let whole = of_kind.map(|found| &bytes[found.start..found.body.end]);
    whole.map(|mut whole| T::decode(&mut whole).unwrap_or_else(|error| panic!("{error}"))).collect()
}

fn decode<T: Atom>(bytes: &[u8], boxes: &[Found]) -> Option<T> {
    decode_all(bytes, boxes).into_iter().next()
}
