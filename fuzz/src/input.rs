//! Takes structured values from the front of a target's bytes.

use packager::FourCc;
use packager::Timescale;
use packager::codec::describe;
use packager::track::TrackInfo;

/// What is left of the input. Values past its end are zeros and empty strings.
pub(crate) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    pub(crate) fn u8(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    /// Bytes behind a 16-bit length.
    pub(crate) fn short_bytes(&mut self) -> &'a [u8] {
        let len = self.u16();
        self.take(len.into())
    }
}

/// Handlers by the first byte of an input.
const HANDLERS: [&[u8; 4]; 4] = [b"vide", b"soun", b"text", b"sbtl"];

pub(crate) fn handler(choice: u8) -> FourCc {
    FourCc::new(HANDLERS[usize::from(choice) % HANDLERS.len()])
}

/// The track that a sample entry describes; `None` when it is refused.
pub(crate) fn track(choice: u8, entry: &[u8], timescale: u32) -> Option<TrackInfo> {
    let media = describe(1, handler(choice), entry, 0).ok()?;
    Some(TrackInfo {
        source_track_id: 1,
        timescale: Timescale::new(timescale)?,
        language: "und".to_owned(),
        name: String::new(),
        display_matrix: None,
        sample_entries: vec![entry.to_vec()],
        media,
    })
}
