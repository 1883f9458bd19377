//! Folders in the order of names, so that two archives of one folder have one order.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

/// What lies in a folder.
///
/// # Errors
/// When it can't be listed.
pub fn names(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        names.push(entry?.file_name());
    }
    names.sort_unstable();
    Ok(names)
}

/// Calls `seen` with each file and folder below `folder`, folders first, by its path in it.
///
/// # Errors
/// Those of `seen`, and when something can't be read.
pub fn walk<E: From<io::Error>>(
    folder: &Path,
    seen: &mut dyn FnMut(&str, &Path, &Metadata) -> Result<(), E>,
) -> Result<(), E> {
    // What is still to be listed, the next one last.
    let mut waiting: Vec<(String, PathBuf)> = Vec::new();
    let push = |prefix: &str, folder: &Path, waiting: &mut Vec<_>| -> io::Result<()> {
        for name in names(folder)?.into_iter().rev() {
            let path = folder.join(&name);
            let name = name.into_string().map_err(|_| io::ErrorKind::InvalidFilename)?;
            let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            waiting.push((name, path));
        }
        Ok(())
    };
    push("", folder, &mut waiting)?;
    while let Some((name, path)) = waiting.pop() {
        let metadata = std::fs::symlink_metadata(&path)?;
        seen(&name, &path, &metadata)?;
        if metadata.is_dir() {
            push(&name, &path, &mut waiting)?;
        }
    }
    Ok(())
}
