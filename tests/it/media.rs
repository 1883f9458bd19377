//! Test titles and real files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde::Deserialize;

/// A title of `media.json`, as far as tests here use it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Title {
    pub(crate) id: String,
    pub(crate) files: Vec<String>,
    /// Pictures presented.
    pub(crate) frames: usize,
    pub(crate) duration_seconds: f64,
    pub(crate) video: Video,
    pub(crate) audio: Vec<Audio>,
    pub(crate) text: Vec<serde_json::Value>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Video {
    pub(crate) codec: String,
    pub(crate) sizes: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Audio {
    pub(crate) codec: String,
}

impl Title {
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| folder().join(file)).collect()
    }
}

/// Folder of the test titles; made by the script when no variable names one.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        if let Some(folder) = std::env::var_os("STREAMVERSE_TEST_MEDIA") {
            return folder.into();
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("test-media");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/test-media.sh");
        let status = Command::new(script).arg(&folder).status().expect("the script can be run");
        assert!(status.success(), "scripts/test-media.sh failed");
        folder
    })
}

pub(crate) fn titles() -> Vec<Title> {
    let text = std::fs::read(folder().join("media.json")).expect("media.json describes the titles");
    serde_json::from_slice(&text).expect("media.json is a list of titles")
}

#[track_caller]
pub(crate) fn title(id: &str) -> Title {
    titles().into_iter().find(|title| title.id == id).unwrap_or_else(|| panic!("no title {id}"))
}

/// The folder of real files, if there is one.
pub(crate) fn real_folder() -> Option<PathBuf> {
    std::env::var_os("STREAMVERSE_MEDIA").map(PathBuf::from)
}
