//! What an ingest is told.

use std::path::PathBuf;

use packager::MediaTime;
use serde::{Deserialize, Serialize};

/// What to make a title of.
#[derive(Clone, Debug)]
pub struct IngestOptions {
    pub files: Vec<PathBuf>,
    /// Made from the title when absent.
    pub id: Option<String>,
    /// The name of the first file when absent.
    pub title: Option<String>,
    pub target: MediaTime,
    /// Replace a title that exists.
    pub replace: bool,
    pub layout: Layout,
    /// Milliseconds since 1970.
    pub now_ms: u64,
}

/// How a title's media lies in the store.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Each track in a file of its own, in the order in which it is sent: the segments of a muxed
    /// file take a tenth of the reads and less processor time.
    #[default]
    Packed,
    /// Files as they were given, copied or, where the file system can, sharing their blocks. Local
    /// stores only: on object storage each of the scattered reads would be a round trip.
    Source,
    /// As [`Self::Source`], by a second name for the same file where there can be one: for titles
    /// that live no longer than the command.
    Borrowed,
}
