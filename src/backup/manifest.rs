//! What an archive says of itself.

use std::path::PathBuf;

use anyhow::bail;
use serde::{Deserialize, Serialize};

/// Changes when an earlier version would restore something wrong.
const FORMAT: u32 = 1;

/// The first entry of an archive.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Manifest {
    /// `streamverse-backup`.
    pub kind: String,
    pub format: u32,
    /// Of the program that wrote it.
    pub version: String,
    /// RFC 3339.
    pub created: String,
    /// Files and folders.
    pub entries: u64,
    pub bytes: u64,
    /// What lies at the top of the data directory.
    pub parts: Vec<Part>,
    pub databases: Vec<Database>,
    pub left_out: Vec<LeftOut>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Part {
    pub name: String,
    pub files: u64,
    pub bytes: u64,
}

/// A database that lies in the archive as a file of SQLite.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Database {
    /// In the data directory.
    pub path: String,
    /// The newest migration of each schema.
    pub schemas: Vec<SchemaVersion>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SchemaVersion {
    pub name: String,
    pub version: i64,
}

/// What a restored server would miss.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LeftOut {
    pub what: String,
    pub why: String,
}

/// What staging answers.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Staged {
    /// The folder to [`join`](platform::Staging::join).
    pub folder: PathBuf,
    pub databases: Vec<Database>,
    pub left_out: Vec<LeftOut>,
    /// How long revocations and purges had to wait.
    pub paused_ms: u64,
}

impl Manifest {
    pub const KIND: &'static str = "streamverse-backup";

    pub fn new(staged: Staged, parts: Vec<Part>, entries: u64, bytes: u64) -> Self {
        Self {
            kind: Self::KIND.to_owned(),
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            created: jiff::Timestamp::now().to_string(),
            entries,
            bytes,
            parts,
            databases: staged.databases,
            left_out: staged.left_out,
        }
    }

    /// # Errors
    /// When it is another's, or of a format that this version doesn't know.
    pub fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            kind: String,
            format: u32,
            #[serde(default)]
            version: String,
        }
        let Ok(head) = serde_json::from_slice::<Head>(bytes) else {
            bail!("this is no backup of StreamVerse: its manifest can't be read");
        };
        if head.kind != Self::KIND {
            bail!("this is no backup of StreamVerse: its manifest is of the kind `{}`", head.kind);
        }
        if head.format != FORMAT {
            bail!(
                "the backup has format {}, this version reads format {FORMAT}: restore it with \
                 version {} of streamverse, or a later one",
                head.format,
                head.version
            );
        }
        Ok(serde_json::from_slice(bytes)?)
    }
}
