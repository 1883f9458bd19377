//! Files that are written by the program and committed.

use std::path::Path;

/// Compares, or with `UPDATE_GOLDEN=1` writes.
///
/// # Panics
/// When the file says something else, with the first line that differs.
pub fn golden(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, text).expect("the file can be written");
        return;
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    if committed == text {
        return;
    }
    let mut pairs = committed.lines().zip(text.lines()).enumerate();
    let difference = pairs.find(|(_, (old, new))| old != new).map_or_else(
        || "one is longer than the other".to_owned(),
        |(line, (old, new))| format!("line {}:\n  file    {old}\n  program {new}", line + 1),
    );
    panic!(
        "{} is not what the program says; {difference}\nIf the change is meant: UPDATE_GOLDEN=1 cargo test --workspace",
        path.display()
    );
}
