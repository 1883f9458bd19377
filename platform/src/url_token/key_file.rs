//! The key of a server that was given none: made at first start, kept in the data directory.
//!
//! `keys/url-token` holds a secret of HMAC-SHA256 in base64, and nothing else, so that a
//! configuration can name the file (`secret = "file:…/keys/url-token"`) when it takes over. The id
//! of the key follows from the secret.

use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};

use super::SigningKey;
use crate::secret_file::{self, SecretFileError};

/// Why there is no key.
pub type KeyFileError = SecretFileError;

/// Where the key of a data directory lies.
pub fn path_in(data_dir: &Path) -> PathBuf {
    data_dir.join("keys").join("url-token")
}

/// The key of a data directory, which is made if there is none.
///
/// # Errors
/// When the file can't be made or read, can be read by others, or holds no key.
pub fn open_or_make(data_dir: &Path) -> Result<SigningKey, KeyFileError> {
    let path = path_in(data_dir);
    let secret = secret_file::open_or_make(&path)?;
    SigningKey::hmac(&id_of(&secret), &secret).map_err(|_| SecretFileError::Unreadable { path })
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
