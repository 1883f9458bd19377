//! Reads the structure of a movie file: the shell around the packager's movie reader.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use packager::demux::{Movie, MovieReader, Step};

use crate::OriginError;

/// Largest piece of a file that is read at once; a reader that wants more gets it in pieces.
const READ_BYTES_MAX: u64 = 4 << 20;

/// Reads headers and tables of `path`, not its media.
///
/// # Errors
/// [`OriginError::Unreadable`] says which box at which byte is wrong.
pub fn read_movie_file(path: &Path) -> Result<Movie, OriginError> {
    let name = path.display().to_string();
    let io = |source| OriginError::Io { path: name.clone(), source };
    let unreadable = |source| OriginError::Unreadable { file: name.clone(), source };
    let file = File::open(path).map_err(io)?;
    let len = file.metadata().map_err(io)?.len();
    let mut reader = MovieReader::new(len);
    let mut buffer = Vec::new();
    loop {
        match reader.poll().map_err(unreadable)? {
            Step::Done(movie) => return Ok(movie),
            Step::Need(range) => {
                let mut at = range.start;
                while at < range.end {
                    let wanted = (range.end - at).min(READ_BYTES_MAX);
                    buffer.resize(wanted as usize, 0);
                    file.read_exact_at(&mut buffer, at).map_err(io)?;
                    reader.handle_bytes(at, &buffer).map_err(unreadable)?;
                    at += wanted;
                }
            }
        }
    }
}
