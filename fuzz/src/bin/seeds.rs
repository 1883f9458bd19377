//! Fills a corpus for libFuzzer: `seeds FOLDER FILE…` puts every file, and the parts of it that
//! other targets take, below `FOLDER/{target}`.

use std::path::Path;
use std::process::ExitCode;

/// Larger files make slow inputs.
const FILE_BYTES_MAX: usize = 512 << 10;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(folder) = arguments.next() else {
        eprintln!("seeds FOLDER FILE…");
        return ExitCode::FAILURE;
    };
    for path in arguments {
        if let Err(error) = write_seeds(Path::new(&folder), Path::new(&path)) {
            eprintln!("{}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn write_seeds(folder: &Path, path: &Path) -> std::io::Result<()> {
    let bytes = std::fs::read(path)?;
    let mut seeds = fuzz::seeds::of_file(&bytes);
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension {
        "srt" | "vtt" => {
            seeds.push(("thumbnails", bytes.clone()));
            seeds.push(("text", bytes));
        }
        "jpg" | "jpeg" | "png" | "webp" => seeds.push(("picture", bytes)),
        _ if bytes.len() <= FILE_BYTES_MAX => {
            seeds.push(("demux", bytes.clone()));
            seeds.push(("pipeline", bytes));
        }
        _ => {}
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    for (number, (target, seed)) in seeds.into_iter().enumerate() {
        let folder = folder.join(target);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{stem}-{number}")), seed)?;
    }
    Ok(())
}
