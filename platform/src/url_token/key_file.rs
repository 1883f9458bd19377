//! The key of a server that was given none: made at first start, kept in the data directory.
//!
//! `keys/url-token` holds a secret of HMAC-SHA256 in base64, and nothing else, so that a
//! configuration can name the file (`secret = "file:…/keys/url-token"`) when it takes over. The id
//! of the key follows from the secret.

use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::SigningKey;

const SECRET_BYTES: usize = 32;
/// A secret in base64, with room for a line end.
const FILE_BYTES_MAX: u64 = 128;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("cannot use the signing key {}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },

    #[error("{} can be read by others; run `chmod 600` on it, and replace the key", path.display())]
    Exposed { path: PathBuf },

    #[error(
        "{} holds no key: it has to be 32 bytes in base64; restore it from a backup, or remove it \
         and all signed URLs end", path.display()
    )]
    Unreadable { path: PathBuf },

    #[error("the system gives no random bytes")]
    Random,
}

/// Where the key of a data directory lies.
pub fn path_in(data_dir: &Path) -> PathBuf {
    data_dir.join("keys").join("url-token")
}

/// The key of a data directory, which is made if there is none.
///
/// Two processes that do this at once get one key: the file appears whole, and the first one
/// stays.
///
/// # Errors
/// When the file can't be made or read, can be read by others, or holds no key.
pub fn open_or_make(data_dir: &Path) -> Result<SigningKey, KeyFileError> {
    let path = path_in(data_dir);
    match std::fs::symlink_metadata(&path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(&path)?,
        Err(source) => return Err(KeyFileError::Io { path, source }),
    }
    read(&path)
}

fn make(path: &Path) -> Result<(), KeyFileError> {
    let mut secret = [0; SECRET_BYTES];
    aws_lc_rs::rand::fill(&mut secret).map_err(|_| KeyFileError::Random)?;
    // No two makers have one secret, and so no two write one file.
    let unfinished = path.with_extension(id_of(&secret));
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
    write().map_err(|source| KeyFileError::Io { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<SigningKey, KeyFileError> {
    let fail = |source| KeyFileError::Io { path: path.to_owned(), source };
    let unreadable = || KeyFileError::Unreadable { path: path.to_owned() };
    let metadata = std::fs::metadata(path).map_err(fail)?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(KeyFileError::Exposed { path: path.to_owned() });
    }
    if FILE_BYTES_MAX < metadata.len() {
        return Err(unreadable());
    }
    let text = std::fs::read_to_string(path).map_err(fail)?;
    let secret = STANDARD.decode(text.trim_end()).map_err(|_| unreadable())?;
    if secret.len() != SECRET_BYTES {
        return Err(unreadable());
    }
    SigningKey::hmac(&id_of(&secret), &secret).map_err(|_| unreadable())
}

/// `local-` and the first bytes of a digest, which tell keys apart and tell nothing of them.
fn id_of(secret: &[u8]) -> String {
    let digest = digest(&SHA256, &[b"streamverse url token key id\0", secret].concat());
    let mut id = "local-".to_owned();
    for byte in &digest.as_ref()[..4] {
        id.push_str(&format!("{byte:02x}"));
    }
    id
}
