//! Every file of the folder STREAMVERSE_MEDIA is read, or refused for a stated reason.
#![allow(clippy::disallowed_methods, reason = "tests read files")]

use std::path::{Path, PathBuf};

use packager::demux::{check_table, read_movie};

mod demux_ffprobe;
use demux_ffprobe::{compare, probe};

#[test]
fn explore() {
    let Some(root) = std::env::var_os("STREAMVERSE_MEDIA").map(PathBuf::from) else { return };
    for folder in ["good", "frag", "derived", "bad", "enc", "text"] {
        let mut files = std::fs::read_dir(root.join(folder))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect::<Vec<_>>();
        files.sort();
        for file in files {
            let bytes = std::fs::read(&file).unwrap();
            let name = Path::new(file.file_name().unwrap());
            match read_movie(&bytes) {
                Err(error) => println!("{folder}/{}: {error}", name.display()),
                Ok(movie) => {
                    println!(
                        "{folder}/{}: frag {} origin {:?}",
                        name.display(),
                        movie.is_fragmented,
                        movie.time_origin
                    );
                    for s in &movie.skipped {
                        println!("    skipped {s:?}")
                    }
                    let raw = probe(&file, false);
                    let edited = probe(&file, true);
                    for t in &movie.tracks {
                        check_table(&t.table, bytes.len() as u64).unwrap();
                        let id = t.info.source_track_id;
                        print!(
                            "    track {id} {} {} {} n={} ts={} start {} enc {:?} ev {}",
                            t.info.codecs(),
                            t.info.language,
                            t.info.name,
                            t.table.len(),
                            t.info.timescale.get(),
                            t.table.start_time(),
                            t.encryption,
                            t.events.len()
                        );
                        match (raw.get(&id), edited.get(&id)) {
                            (Some(r), Some(e)) => {
                                match std::panic::catch_unwind(|| compare(t, r, e)) {
                                    Ok(c) => println!(" raw {} {c:?}", r.packets.len()),
                                    Err(_) => println!(" FAILED"),
                                }
                            }
                            _ => println!(" no stream"),
                        }
                    }
                }
            }
        }
    }
}
