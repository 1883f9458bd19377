//! Secrets that a server makes for itself: 32 random bytes in base64, in a file of the data
//! directory that nobody else can read.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const SECRET_BYTES: usize = 32;
/// A secret in base64, with room for a line end.
const FILE_BYTES_MAX: u64 = 128;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    #[error("cannot use the key {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },

    #[error("{} can be read by others; run `chmod 600` on it, and replace the key", path.display())]
    Exposed { path: PathBuf },

    #[error(
        "{} holds no key: it has to be 32 bytes in base64; restore it from a backup, or remove it \
         and a new one is made", path.display()
    )]
    Unreadable { path: PathBuf },

    #[error("the system gives no random bytes")]
    Random,
}

/// The secret in the file at `path`, which is made if there is none.
///
/// Two processes that do this at once get one secret: the file appears whole, and the first one
/// stays.
///
/// # Errors
/// When the file can't be made or read, can be read by others, or holds no secret.
pub fn open_or_make(path: &Path) -> Result<[u8; SECRET_BYTES], SecretFileError> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path)?,
        Err(source) => return Err(SecretFileError::Io { path: path.to_owned(), source }),
    }
    read(path)
}

/// Bytes that nobody can guess.
///
/// # Errors
/// When the system gives none.
pub fn fill_random(bytes: &mut [u8]) -> Result<(), SecretFileError> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| SecretFileError::Random)
}

fn make(path: &Path) -> Result<(), SecretFileError> {
    let (mut secret, mut name) = ([0; SECRET_BYTES], [0; 8]);
    fill_random(&mut secret)?;
    fill_random(&mut name)?;
    // No two makers write one file.
    let unfinished = path.with_extension(format!("{:016x}", u64::from_ne_bytes(name)));
    let write = || {
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        // The mode above counts only for a file that is new.
        file.set_permissions(Permissions::from_mode(0o600))?;
        writeln!(file, "{}", STANDARD.encode(secret))?;
        file.sync_all()?;
        let linked = std::fs::hard_link(&unfinished, path);
        std::fs::remove_file(&unfinished)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => std::fs::File::open(folder)?.sync_all(),
        }
    };
    write().map_err(|source| SecretFileError::Io { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<[u8; SECRET_BYTES], SecretFileError> {
    let fail = |source| SecretFileError::Io { path: path.to_owned(), source };
    let unreadable = || SecretFileError::Unreadable { path: path.to_owned() };
    let metadata = std::fs::metadata(path).map_err(fail)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(SecretFileError::Exposed { path: path.to_owned() });
    }
    if FILE_BYTES_MAX < metadata.len() {
        return Err(unreadable());
    }
    let text = std::fs::read_to_string(path).map_err(fail)?;
    let secret = STANDARD.decode(text.trim_end()).map_err(|_| unreadable())?;
    secret.try_into().map_err(|_| unreadable())
}
