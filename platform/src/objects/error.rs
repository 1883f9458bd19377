//! Why an object can't be had.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::ObjectKey;

/// Failures of a store, by cause. Cheap to clone, since readers that wait for one fetch share it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    #[error("`{text}` is no object key: {reason}")]
    InvalidKey { text: String, reason: &'static str },

    #[error("there is no object `{key}`")]
    NotFound { key: ObjectKey },

    #[error("the object `{key}` exists already")]
    Exists { key: ObjectKey },

    #[error("the object `{key}` is no longer what was recorded: {reason}")]
    Changed { key: ObjectKey, reason: String },

    #[error("the object `{key}` has {len_bytes} bytes, at most {max_bytes} are read at once")]
    TooLarge { key: ObjectKey, len_bytes: u64, max_bytes: u64 },

    #[error("the object `{key}` has {len_bytes} bytes, {range:?} lies outside")]
    OutOfRange { key: ObjectKey, len_bytes: u64, range: Range<u64> },

    #[error("more than {max_entries} objects lie in `{folder}`")]
    TooMany { folder: String, max_entries: usize },

    #[error("cannot {action} `{path}`: {source}")]
    Io { action: &'static str, path: String, source: Arc<io::Error> },

    #[error("the object store failed on `{key}`: {reason}")]
    Remote { key: String, reason: String },
}

impl ObjectError {
    pub(super) fn io(
        action: &'static str,
        path: &std::path::Path,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::Io { action, path: path.display().to_string(), source: Arc::new(source.into()) }
    }

    /// Whether the same call may succeed later without anybody's doing.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Remote { .. } | Self::Io { .. })
    }
}
