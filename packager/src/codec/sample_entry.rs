//! Sample entries (ISO/IEC 14496-12 8.5.2): the door through which a codec is known.

use super::boxes::{Child, children};
use super::{audio, text, video};
use crate::track::MediaParams;
use crate::{FourCc, PackageError};

/// Describes the track that a sample entry box belongs to.
///
/// `handler` is the `hdlr` type (`vide`, `soun`, `text`, `subt`, `sbtl`), `entry` the whole box
/// with its header, `offset` its place in the source for error messages. A protected entry (`encv`,
/// `enca`, `enct`) is described by the format it protects. A codec that is not known is described
/// by its size or channels alone, so that it still passes.
///
/// # Errors
/// [`PackageError::Truncated`] or [`PackageError::InvalidBox`] when the box can't be read,
/// [`PackageError::MissingTrackBox`] when a known codec comes without its configuration, and
/// [`PackageError::UnsupportedTrack`] for what carries neither video, audio nor text.
pub fn describe(
    track: u32,
    handler: FourCc,
    entry: &[u8],
    offset: u64,
) -> Result<MediaParams, PackageError> {
    let entry = Entry::new(track, entry, offset)?;
    match &handler.0 {
        b"vide" => video::describe(entry).map(MediaParams::Video),
        b"soun" => audio::describe(entry).map(MediaParams::Audio),
        b"text" | b"subt" | b"sbtl" => text::describe(entry).map(MediaParams::Text),
        _ => Err(text::refusal(&entry, handler)),
    }
}

/// One sample entry and the boxes inside it.
#[derive(Clone)]
pub(super) struct Entry<'a> {
    pub(super) track: u32,
    /// The codec: the original format of a protected entry.
    pub(super) kind: FourCc,
    pub(super) offset: u64,
    /// The whole box.
    pub(super) bytes: &'a [u8],
    children: Vec<Child<'a>>,
}

/// Box header, reserved bytes and `data_reference_index`: what every sample entry begins with.
pub(super) const HEADER_SIZE: usize = 8 + 8;

impl<'a> Entry<'a> {
    pub(super) fn new(track: u32, bytes: &'a [u8], offset: u64) -> Result<Self, PackageError> {
        let kind = bytes.get(4..8).map_or(FourCc::new(b"stsd"), |code| {
            FourCc(code.try_into().expect("four bytes were taken"))
        });
        let entry = Self { track, kind, offset, bytes, children: Vec::new() };
        entry.array::<HEADER_SIZE>(0)?;
        Ok(entry)
    }

    /// Reads the boxes that begin `fixed_size` bytes into the entry, and looks behind a protection
    /// scheme for the format that it hides.
    pub(super) fn with_children(mut self, fixed_size: usize) -> Result<Self, PackageError> {
        let fixed_size = fixed_size.min(self.bytes.len());
        self.children =
            children(&self.bytes[fixed_size..], self.offset.saturating_add(fixed_size as u64))?;
        if matches!(&self.kind.0, b"encv" | b"enca" | b"enct" | b"encs") {
            self.kind = self.original_format()?;
        }
        Ok(self)
    }

    /// `frma` inside `sinf` (ISO/IEC 14496-12 8.12.2).
    fn original_format(&self) -> Result<FourCc, PackageError> {
        let frma = FourCc::new(b"frma");
        for sinf in self.children.iter().filter(|child| child.kind.0 == *b"sinf") {
            for child in children(sinf.body, sinf.body_offset())? {
                if child.kind == frma {
                    let format = child.body.first_chunk::<4>();
                    return format
                        .map(|code| FourCc(*code))
                        .ok_or_else(|| child.invalid("it ends inside the original format"));
                }
            }
        }
        Err(PackageError::MissingTrackBox { track: self.track, kind: frma })
    }

    /// The first box of one of these kinds.
    pub(super) fn find(&self, kinds: &[&[u8; 4]]) -> Option<Child<'a>> {
        self.children.iter().find(|child| kinds.contains(&&child.kind.0)).copied()
    }

    pub(super) fn children(&self) -> &[Child<'a>] {
        &self.children
    }

    pub(super) fn all(&self, kind: &[u8; 4]) -> impl Iterator<Item = &Child<'a>> {
        self.children.iter().filter(move |child| child.kind.0 == *kind)
    }

    /// The first box of this kind, which the codec can't do without.
    pub(super) fn require(&self, kind: &[u8; 4]) -> Result<Child<'a>, PackageError> {
        let missing = PackageError::MissingTrackBox { track: self.track, kind: FourCc(*kind) };
        self.find(&[kind]).ok_or(missing)
    }

    /// `N` bytes of the entry from `at`.
    pub(super) fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], PackageError> {
        let bytes = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
        bytes.copied().ok_or(PackageError::Truncated {
            kind: self.kind,
            offset: self.offset,
            wanted: (at + N) as u64,
            left: self.bytes.len() as u64,
        })
    }

    pub(super) fn u16(&self, at: usize) -> Result<u16, PackageError> {
        self.array(at).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&self, at: usize) -> Result<u32, PackageError> {
        self.array(at).map(u32::from_be_bytes)
    }
}
