//! The key of a server that was given none: made at first start, kept in the data directory.
//!
//! `keys/url-token` holds a secret of HMAC-SHA256 in base64, and nothing else, so that a
//! configuration can name the file (`secret = "file:…/keys/url-token"`) when it takes over. The id
//! of the key follows from the secret. The first rotation takes it into a ring
//! ([`crate::keyring`]); the file stays as it is.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

use crate::secret_file::{self, SecretFileError};

/// Why there is no key.
pub type KeyFileError = SecretFileError;

/// Where the key lies in the folder of keys.
pub fn path_in(keys: &Path) -> PathBuf {
    keys.join("url-token")
}

/// The id and the secret in the folder of keys; none where there is no file.
///
/// # Errors
/// When the file can't be read, can be read by others, or holds no key.
pub(crate) fn read(keys: &Path) -> Result<Option<(String, [u8; 32])>, KeyFileError> {
    match std::fs::symlink_metadata(path_in(keys)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        _ => open_or_make(keys).map(Some),
    }
}

/// As [`read`], of a file that is made if there is none.
pub(crate) fn open_or_make(keys: &Path) -> Result<(String, [u8; 32]), KeyFileError> {
    let secret = secret_file::open_or_make(&path_in(keys))?;
    Ok((id_of(&secret), secret))
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
