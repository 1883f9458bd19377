//! What is known of an object without reading it.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{ObjectError, ObjectKey};

/// Size and version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ObjectMeta {
    pub len_bytes: u64,
    pub version: SourceVersion,
}

/// What tells one state of an object from another. Recorded at ingest, compared at each opening.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum SourceVersion {
    /// A local file. The inode is left out of what outlives a restored backup.
    File {
        len_bytes: u64,
        modified_ns: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inode: Option<u64>,
    },
    /// An object with an entity tag (RFC 9110 8.8.3), quotes included.
    Etag { len_bytes: u64, etag: String },
}

/// An object in a listing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ObjectEntry {
    pub key: ObjectKey,
    pub len_bytes: u64,
}

/// What happens to an object that is there already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PutMode {
    Overwrite,
    /// [`ObjectError::Exists`]; of several writers exactly one succeeds.
    IfAbsent,
}

impl SourceVersion {
    pub fn len_bytes(&self) -> u64 {
        match self {
            Self::File { len_bytes, .. } | Self::Etag { len_bytes, .. } => *len_bytes,
        }
    }

    /// Without what a copy of the same file would not share.
    pub fn portable(self) -> Self {
        match self {
            Self::File { len_bytes, modified_ns, .. } => {
                Self::File { len_bytes, modified_ns, inode: None }
            }
            etag @ Self::Etag { .. } => etag,
        }
    }

    /// What differs in `found` from this recorded version, if anything.
    pub(super) fn difference(&self, found: &Self) -> Option<String> {
        let (recorded, now) = (self.len_bytes(), found.len_bytes());
        if recorded != now {
            return Some(format!("it had {recorded} bytes and has {now}"));
        }
        match (self, found) {
            (
                Self::File { modified_ns, inode, .. },
                Self::File { modified_ns: found_modified_ns, inode: found_inode, .. },
            ) => {
                if modified_ns != found_modified_ns {
                    return Some("it was modified".to_owned());
                }
                let is_other = inode.zip(*found_inode).is_some_and(|(one, other)| one != other);
                is_other.then(|| "another file is in its place".to_owned())
            }
            (Self::Etag { etag, .. }, Self::Etag { etag: found_etag, .. }) => {
                (etag != found_etag).then(|| format!("its tag was {etag} and is {found_etag}"))
            }
            _ => Some("it was recorded in another kind of store".to_owned()),
        }
    }
}

impl ObjectMeta {
    /// The length of `range` in memory, if it lies inside the object.
    pub(super) fn check_range(
        &self,
        key: &ObjectKey,
        range: &Range<u64>,
    ) -> Result<usize, ObjectError> {
        let len_bytes = self.len_bytes;
        let out_of_range =
            || ObjectError::OutOfRange { key: key.clone(), len_bytes, range: range.clone() };
        let len = range.end.checked_sub(range.start).ok_or_else(out_of_range)?;
        if len_bytes < range.end {
            return Err(out_of_range());
        }
        usize::try_from(len).map_err(|_| out_of_range())
    }
}
