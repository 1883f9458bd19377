//! The builder that asks for bytes: walks the top level of a file (ISO/IEC 14496-12 6.3).
//!
//! Only box headers, `ftyp`, `moov`, `moof`, `emsg` and `prft` are read; media is stepped over.
//! Boxes come in any order. Fragments in front of `moov` wait: the walk goes back to them once
//! `moov` is known.

use std::ops::Range;

use super::box_reader::{BoxHeader, BoxReader};
use super::finish::finish_movie;
use super::fragment::{read_moof, reference_track};
use super::movie_box::{MovieBuild, read_moov};
use super::track_build::{Budget, MediaBuild};
use super::{EVENT_BYTES_MAX, MOOF_BYTES_MAX, MOOV_BYTES_MAX, SMALL_BOX_BYTES_MAX};
use super::{EventBox, Movie, TOP_LEVEL_BOXES_MAX};
use crate::{FourCc, PackageError};

/// What a [`MovieReader`] wants next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Fetch these bytes of the source, hand them to [`MovieReader::handle_bytes`], poll again.
    Need(Range<u64>),
    Done(Movie),
}

/// Reads a file by its box headers and metadata.
///
/// Sans-I/O: it says which bytes it needs, and whoever owns the file fetches them. The number of
/// steps is bounded by the boxes on the top level of the file.
pub struct MovieReader {
    budget: Budget,
    /// Of the box that comes next.
    position: u64,
    window: Window,
    boxes_seen: u64,
    brands: Vec<FourCc>,
    movie: Option<MovieBuild>,
    /// Where the first fragment, or event box, lies that came before `moov`.
    waiting_fragment: Option<u64>,
    /// `moov` once it was read, to step over it when the walk went back.
    moov_position: Option<u64>,
    has_fragments: bool,
    /// Event boxes waiting for their fragment.
    events: Vec<(FourCc, Vec<u8>)>,
    event_bytes: u64,
    /// An `mdat` that the file ends inside of.
    cut_mdat: Option<PackageError>,
}

/// Bytes of the source that are at hand.
#[derive(Default)]
struct Window {
    offset: u64,
    bytes: Vec<u8>,
    /// What was asked for; `bytes` grow up to its end.
    wanted: Range<u64>,
}

impl MovieReader {
    pub fn new(source_len_bytes: u64) -> Self {
        Self {
            budget: Budget::new(source_len_bytes),
            position: 0,
            window: Window::default(),
            boxes_seen: 0,
            brands: Vec::new(),
            movie: None,
            waiting_fragment: None,
            moov_position: None,
            has_fragments: false,
            events: Vec::new(),
            event_bytes: 0,
            cut_mdat: None,
        }
    }

    /// Goes on as far as the bytes at hand reach. After [`Step::Done`] the reader is spent.
    ///
    /// # Errors
    /// What is wrong with the file, and where; the reader can't go on after it.
    pub fn poll(&mut self) -> Result<Step, PackageError> {
        if let Some(missing) = self.window.missing() {
            return Ok(Step::Need(missing));
        }
        while self.position < self.source_len() {
            if let Some(range) = self.next_box()? {
                return Ok(Step::Need(range));
            }
        }
        self.finish().map(Step::Done)
    }

    /// Takes bytes of the range last asked for, from its start on; several calls may bring it.
    ///
    /// # Errors
    /// [`PackageError::UnexpectedBytes`] for other bytes, or for none at all.
    pub fn handle_bytes(&mut self, offset: u64, bytes: &[u8]) -> Result<(), PackageError> {
        self.window.push(offset, bytes)
    }

    fn source_len(&self) -> u64 {
        self.budget.source_len
    }

    /// Handles the box at `position`, or says which bytes that takes.
    fn next_box(&mut self) -> Result<Option<Range<u64>>, PackageError> {
        let start = self.position;
        let left = self.source_len() - start;
        let Some(bytes) = self.window.get(start, left.min(BoxHeader::BYTES_MAX)) else {
            return Ok(Some(self.want(left.min(READ_AHEAD_BYTES))));
        };
        let Some(header) = BoxHeader::parse(bytes, start)? else {
            return self.finish_with_padding(left);
        };
        if start == 0 && !is_first_box(header.kind) {
            return Err(PackageError::NotIsoBmff {
                reason: "it starts with no box of that format",
            });
        }
        let size = header.size_bytes.unwrap_or(left);
        if size > left {
            let error =
                PackageError::Truncated { kind: header.kind, offset: start, wanted: size, left };
            if &header.kind.0 != b"mdat" {
                return Err(error);
            }
            // Whether anything is missing, the samples tell: they are checked one by one.
            self.cut_mdat = Some(error);
        }
        let mut next = start + size.min(left);
        if let Some(bytes_max) = bytes_max(header.kind)
            && self.wants(header.kind)
        {
            if size > bytes_max {
                let invalid = PackageError::InvalidBox {
                    kind: header.kind,
                    offset: start,
                    reason: "it is larger than any real one",
                };
                return Err(invalid);
            }
            if self.window.get(start, size).is_none() {
                let ahead = size.max(READ_AHEAD_BYTES).min(left);
                return Ok(Some(self.want(ahead)));
            }
            self.handle_box(header, size)?;
            // With `moov` known, the walk goes back to the fragments that came before it.
            if self.moov_position == Some(start) {
                next = self.waiting_fragment.take().unwrap_or(next);
            }
        }
        self.boxes_seen += 1;
        if self.boxes_seen > TOP_LEVEL_BOXES_MAX {
            let max = TOP_LEVEL_BOXES_MAX;
            return Err(PackageError::LimitExceeded { what: "boxes on the top level", max });
        }
        self.position = next;
        Ok(None)
    }

    /// Asks for bytes from the current box on.
    fn want(&mut self, count: u64) -> Range<u64> {
        self.window.want(self.position..self.position + count)
    }

    /// Zeros too short for a box at the end are padding; anything else is a box cut short.
    fn finish_with_padding(&mut self, left: u64) -> Result<Option<Range<u64>>, PackageError> {
        let (offset, wanted) = (self.position, 8);
        let bytes = self.window.get(offset, left).unwrap_or_default();
        if bytes.iter().any(|&byte| byte != 0) {
            let kind = bytes.get(4..8).and_then(|kind| kind.try_into().ok());
            let kind = FourCc(kind.unwrap_or(*b"box?"));
            return Err(PackageError::Truncated { kind, offset, wanted, left });
        }
        self.position = self.source_len();
        Ok(None)
    }

    /// Whether a box that can be read is to be read now.
    fn wants(&mut self, kind: FourCc) -> bool {
        let is_fragment = matches!(&kind.0, b"moof" | b"emsg" | b"prft");
        if is_fragment && self.movie.is_none() {
            self.waiting_fragment.get_or_insert(self.position);
            return false;
        }
        // On the way from fragments in front of `moov`, it comes a second time.
        match self.moov_position {
            Some(moov) if &kind.0 == b"moov" => moov != self.position,
            _ => true,
        }
    }

    fn handle_box(&mut self, header: BoxHeader, size: u64) -> Result<(), PackageError> {
        let start = self.position;
        let Some(bytes) = self.window.get(start, size) else {
            return Ok(());
        };
        let body_at = header.header_bytes;
        let body = &bytes[body_at as usize..];
        let reader = BoxReader::new(header.kind, body, start, start + body_at);
        match &header.kind.0 {
            b"ftyp" if self.brands.is_empty() => self.brands = read_ftyp(reader)?,
            b"moov" if self.movie.is_some() => return Err(reader.invalid("there is a second one")),
            b"moov" => {
                let quicktime = FourCc::new(b"qt  ");
                let is_quicktime = self.brands.first().is_none_or(|&brand| brand == quicktime);
                self.movie = Some(read_moov(reader, is_quicktime, &mut self.budget)?);
                self.moov_position = Some(start);
            }
            b"moof" => {
                self.has_fragments = true;
                let movie = self.movie.as_mut().expect("`wants` saw the movie");
                read_fragment(reader, movie, &mut self.budget, &mut self.events)?;
            }
            b"emsg" | b"prft" => {
                self.event_bytes += size;
                if self.event_bytes > EVENT_BYTES_MAX {
                    let max = EVENT_BYTES_MAX;
                    return Err(PackageError::LimitExceeded { what: "bytes of events", max });
                }
                self.events.push((header.kind, bytes.to_vec()));
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Movie, PackageError> {
        let Some(mut movie) = self.movie.take() else {
            let missing = PackageError::MissingBox { kind: FourCc::new(b"moov") };
            return Err(self.cut_mdat.take().unwrap_or(missing));
        };
        movie.is_fragmented |= self.has_fragments;
        finish_movie(movie, std::mem::take(&mut self.brands), self.source_len())
    }
}

impl Window {
    /// `count` bytes at `offset`, if they are all here.
    fn get(&self, offset: u64, count: u64) -> Option<&[u8]> {
        let at = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        self.bytes.get(at..)?.get(..usize::try_from(count).ok()?)
    }

    /// Starts over with `range`, keeping what is already here of it. Returns what is missing.
    fn want(&mut self, range: Range<u64>) -> Range<u64> {
        let at = range.start.checked_sub(self.offset).and_then(|at| usize::try_from(at).ok());
        match at.filter(|&at| at <= self.bytes.len()) {
            Some(at) => drop(self.bytes.drain(..at)),
            None => self.bytes.clear(),
        }
        self.offset = range.start;
        self.wanted = range;
        self.missing().unwrap_or_else(|| self.wanted.clone())
    }

    fn missing(&self) -> Option<Range<u64>> {
        let next = self.offset + self.bytes.len() as u64;
        (next < self.wanted.end).then_some(next..self.wanted.end)
    }

    fn push(&mut self, offset: u64, bytes: &[u8]) -> Result<(), PackageError> {
        let expected = self.missing().map_or(self.wanted.end, |missing| missing.start);
        let fits =
            self.missing().is_some_and(|missing| bytes.len() as u64 <= missing.end - expected);
        if offset != expected || !fits || bytes.is_empty() {
            return Err(PackageError::UnexpectedBytes { offset, expected });
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

/// Kinds of boxes that are read, each with its largest size.
fn bytes_max(kind: FourCc) -> Option<u64> {
    match &kind.0 {
        b"moov" => Some(MOOV_BYTES_MAX),
        b"moof" => Some(MOOF_BYTES_MAX),
        b"ftyp" | b"emsg" | b"prft" => Some(SMALL_BOX_BYTES_MAX),
        _ => None,
    }
}

/// What a file of this format may start with; QuickTime files have no `ftyp`.
fn is_first_box(kind: FourCc) -> bool {
    const KINDS: [&[u8; 4]; 14] = [
        b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"sidx",
        b"emsg", b"prft", b"uuid", b"pdin",
    ];
    KINDS.contains(&&kind.0)
}

/// Major brand and compatible brands (4.3); the minor version between them is left out.
fn read_ftyp(mut ftyp: BoxReader<'_>) -> Result<Vec<FourCc>, PackageError> {
    let major = ftyp.fourcc()?;
    ftyp.skip(4)?;
    let compatible = ftyp.rest().as_chunks().0.iter().copied().map(FourCc);
    Ok(std::iter::once(major).chain(compatible.take(BRANDS_MAX)).collect())
}

/// Reads a fragment and hands the events in front of it to its tracks.
fn read_fragment(
    moof: BoxReader<'_>,
    movie: &mut MovieBuild,
    budget: &mut Budget,
    events: &mut Vec<(FourCc, Vec<u8>)>,
) -> Result<(), PackageError> {
    let counts = |movie: &MovieBuild| {
        let count = |media: &MediaBuild| media.samples.len() as u32;
        movie.tracks.iter().map(|track| track.media.as_ref().map_or(0, count)).collect::<Vec<_>>()
    };
    let first_samples = if events.is_empty() { Vec::new() } else { counts(movie) };
    let first_track = read_moof(moof, &mut movie.tracks, budget)?;
    let Some(first_track) = first_track else {
        return Ok(());
    };
    for (kind, bytes) in events.drain(..) {
        let named = (&kind.0 == b"prft").then(|| reference_track(&bytes)).flatten();
        let place = named.and_then(|id| movie.tracks.iter().position(|track| track.track_id == id));
        let place = place.unwrap_or(first_track);
        if let Ok(media) = &mut movie.tracks[place].media {
            media.events.push(EventBox { kind, first_sample: first_samples[place], bytes });
        }
    }
    Ok(())
}

/// Reads a movie that lies in memory.
///
/// # Errors
/// Those of [`MovieReader::poll`].
pub fn read_movie(bytes: &[u8]) -> Result<Movie, PackageError> {
    let mut reader = MovieReader::new(bytes.len() as u64);
    loop {
        match reader.poll()? {
            Step::Need(range) => {
                let piece = &bytes[range.start as usize..range.end as usize];
                reader.handle_bytes(range.start, piece)?;
            }
            Step::Done(movie) => return Ok(movie),
        }
    }
}

/// Headers and small fragments that lie close together come in one read.
const READ_AHEAD_BYTES: u64 = 64 << 10;
const BRANDS_MAX: usize = 64;

#[cfg(test)]
mod tests;
