//! Embeds the player page, where `make web` has bundled it. Runs nothing and fetches nothing.

use std::fmt::Write;
use std::path::Path;

fn main() {
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let folder = Path::new(&root).join("web/dist");
    // By its whole path, so that clones which share a target folder don't take each other's page.
    println!("cargo:rerun-if-changed={}", folder.display());
    println!("cargo:rerun-if-env-changed=CARGO_MANIFEST_DIR");
    let mut files = Vec::new();
    collect(&folder, "", &mut files);
    files.sort();

    let mut table = String::from("&[\n");
    for path in &files {
        let file =
            format!("concat!(env!(\"CARGO_MANIFEST_DIR\"), {:?})", format!("/web/dist/{path}"));
        writeln!(table, "    ({path:?}, include_bytes!({file}).as_slice()),")
            .expect("writing to a string can't fail");
    }
    table.push_str("]\n");
    let out = std::env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    std::fs::write(Path::new(&out).join("page_files.rs"), table).expect("OUT_DIR is writable");
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files);
        } else {
            files.push(name);
        }
    }
}
