//! Sample entries (`stsd`, ISO/IEC 14496-12 8.5.2) and the protection around them (8.12).

use super::box_reader::BoxReader;
use super::{Encryption, SAMPLE_ENTRIES_MAX, SAMPLE_ENTRY_BYTES_MAX};
use crate::codec::{describe, iso_audio_entry};
use crate::track::MediaParams;
use crate::{FourCc, PackageError};

/// What `stsd` says.
pub(super) struct SampleEntries {
    /// Verbatim but for QuickTime sound descriptions, which become ISO entries; equal ones once.
    pub entries: Vec<Vec<u8>>,
    /// Place in `entries` of each entry of `stsd`.
    pub indexes: Vec<u16>,
    /// Of the first entry.
    pub media: MediaParams,
    /// Of the first entry that is encrypted.
    pub encryption: Option<Encryption>,
    /// `data_reference_index` of each entry, from 1.
    pub data_references: Vec<u16>,
}

/// Reads `stsd` of a track whose `hdlr` says `handler`.
///
/// # Errors
/// Those of [`describe`], and [`PackageError::InvalidBox`] when there is no entry.
pub(super) fn read_stsd(
    mut stsd: BoxReader<'_>,
    track: u32,
    handler: FourCc,
) -> Result<SampleEntries, PackageError> {
    stsd.full_box()?;
    let count = stsd.u32()?;
    if count > SAMPLE_ENTRIES_MAX {
        let max = SAMPLE_ENTRIES_MAX.into();
        return Err(PackageError::LimitExceeded { what: "sample entries in a track", max });
    }
    let mut entries = Vec::<Vec<u8>>::new();
    let mut indexes = Vec::new();
    let mut data_references = Vec::new();
    let mut media = None;
    let mut encryption = None;
    for _ in 0..count {
        let before = stsd.rest();
        let Some(entry) = stsd.next_box()? else {
            return Err(stsd.invalid("it holds fewer entries than it counts"));
        };
        let bytes = &before[..before.len() - stsd.rest().len()];
        let protection = read_protection(entry)?;
        if media.is_none() {
            let clear = clear_entry(bytes, protection);
            media = Some(describe(track, handler, &clear, entry.start())?);
        }
        encryption = encryption.or(protection);
        data_references.push(read_data_reference(entry)?);
        let rewritten = match &handler.0 {
            b"soun" => iso_audio_entry(track, bytes, entry.start())?,
            _ => None,
        };
        let kept = rewritten.as_deref().unwrap_or(bytes);
        let index = entries.iter().position(|known| known == kept).unwrap_or_else(|| {
            entries.push(kept.to_vec());
            entries.len() - 1
        });
        if entries.iter().map(Vec::len).sum::<usize>() > SAMPLE_ENTRY_BYTES_MAX {
            let max = SAMPLE_ENTRY_BYTES_MAX as u64;
            return Err(PackageError::LimitExceeded { what: "bytes of sample entries", max });
        }
        indexes.push(index as u16);
    }
    let Some(media) = media else {
        return Err(stsd.invalid("it has no sample entry"));
    };
    Ok(SampleEntries { entries, indexes, media, encryption, data_references })
}

/// The entry as it was before encryption renamed it: what `describe` knows.
fn clear_entry(bytes: &[u8], protection: Option<Encryption>) -> Vec<u8> {
    let mut clear = bytes.to_vec();
    if let (Some(protection), Some(kind)) = (protection, clear.get_mut(4..8)) {
        kind.copy_from_slice(&protection.original_format.0);
    }
    clear
}

/// Every sample entry starts with six reserved bytes and its data reference (8.5.2.2).
fn read_data_reference(mut entry: BoxReader<'_>) -> Result<u16, PackageError> {
    entry.skip(6)?;
    entry.u16()
}

/// Finds `sinf` in an entry that is marked as encrypted (8.12.1).
fn read_protection(entry: BoxReader<'_>) -> Result<Option<Encryption>, PackageError> {
    let fields_bytes = match &entry.kind.0 {
        b"encv" => VISUAL_FIELDS_BYTES,
        b"enca" => AUDIO_FIELDS_BYTES + audio_extension_bytes(entry.rest()),
        b"enct" | b"encs" | b"encm" | b"enc3" => ENTRY_FIELDS_BYTES,
        _ => return Ok(None),
    };
    let mut children = entry;
    children.skip(fields_bytes)?;
    let mut found = None;
    // Text entries have strings between fields and boxes (`stpp`), which no walk can step over.
    let walk = children.for_each_box(|child| {
        if &child.kind.0 == b"sinf" && found.is_none() {
            found = Some(child);
        }
        Ok(())
    });
    let found = match (found, walk) {
        (Some(sinf), _) => sinf,
        (None, Err(error)) => return Err(error),
        (None, Ok(())) => return Err(entry.invalid("it is encrypted but has no `sinf`")),
    };
    read_sinf(found).map(Some)
}

fn read_sinf(sinf: BoxReader<'_>) -> Result<Encryption, PackageError> {
    let mut original_format = None;
    let mut scheme = None;
    let mut default_key_id = None;
    sinf.for_each_box(|mut child| {
        match &child.kind.0 {
            b"frma" => original_format = Some(child.fourcc()?),
            b"schm" => {
                child.full_box()?;
                scheme = Some(child.fourcc()?);
            }
            b"schi" => child.for_each_box(|mut grandchild| {
                if &grandchild.kind.0 == b"tenc" {
                    // Version and flags, a reserved byte, the pattern, isProtected, IV size.
                    grandchild.skip(8)?;
                    default_key_id = Some(grandchild.array()?);
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    let original_format = original_format.ok_or_else(|| sinf.invalid("it has no `frma`"))?;
    Ok(Encryption { scheme, original_format, default_key_id })
}

/// Bytes that the QuickTime versions 1 and 2 of a sound description add to its fields.
fn audio_extension_bytes(body: &[u8]) -> usize {
    match body.get(8..10) {
        Some([0, 1]) => 16,
        Some([0, 2]) => 36,
        _ => 0,
    }
}

const ENTRY_FIELDS_BYTES: usize = 8;
const AUDIO_FIELDS_BYTES: usize = 28;
const VISUAL_FIELDS_BYTES: usize = 78;
