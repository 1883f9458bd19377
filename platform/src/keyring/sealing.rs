//! The key that seals the files of rings, which lies outside the data directory.
//!
//! It seals whole files, so that whoever can write to the folder can't make a revoked key count
//! again. That an old file is put back can't be told from the file alone.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::KeyError;

const KEY_BYTES: usize = 32;

/// One sealing key, ready for use.
pub struct SealingKey {
    id: String,
    cipher: LessSafeKey,
}

/// The sealing keys of a configuration: the first one seals, all of them open.
#[derive(Debug, Default)]
pub struct SealingKeys(Vec<SealingKey>);

impl SealingKey {
    /// A key from its configured text: 32 bytes in base64, either alphabet, padded or not.
    ///
    /// # Errors
    /// When it is no such text. The message does not repeat it.
    pub fn read(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let read = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
        let bytes = read.or_else(|_| URL_SAFE_NO_PAD.decode(text)).map(Zeroizing::new);
        let bytes = bytes.ok().filter(|bytes| bytes.len() == KEY_BYTES);
        let bytes = bytes.ok_or(KeyError::Crypto(
            "a sealing key is 32 bytes in base64: make one with `openssl rand -base64 32`",
        ))?;
        Self::new(&bytes)
    }

    fn new(bytes: &[u8]) -> Result<Self, KeyError> {
        let named = Zeroizing::new([b"streamverse sealing key id\0", bytes].concat());
        let id = data_encoding::HEXLOWER.encode(&digest(&SHA256, &named).as_ref()[..4]);
        let cipher = UnboundKey::new(&AES_256_GCM, bytes);
        let cipher = cipher.map_err(|_| KeyError::Crypto("a sealing key has 32 bytes"))?;
        Ok(Self { id, cipher: LessSafeKey::new(cipher) })
    }

    /// Tells sealing keys apart, and tells nothing of them.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A random nonce, ciphertext and tag. `head` is authenticated along.
    pub(super) fn seal(&self, head: &str, plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut nonce = [0; NONCE_LEN];
        crate::secret_file::fill_random(&mut nonce)?;
        let mut sealed = plaintext.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.cipher
            .seal_in_place_append_tag(unique, Aad::from(head), &mut sealed)
            .map_err(|_| KeyError::Crypto("the library sealed nothing"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    pub(super) fn open(&self, head: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        let length = self.cipher.open_in_place(nonce, Aad::from(head), &mut opened).ok()?.len();
        opened.truncate(length);
        Some(opened)
    }
}

impl SealingKeys {
    /// Files lie open, guarded by their mode alone.
    pub fn none() -> Self {
        Self::default()
    }

    /// `seal` seals; `previous` only opens, until every file was written again.
    pub fn new(seal: SealingKey, previous: Option<SealingKey>) -> Self {
        Self([Some(seal), previous].into_iter().flatten().collect())
    }

    pub(super) fn first(&self) -> Option<&SealingKey> {
        self.0.first()
    }

    pub(super) fn find(&self, id: &str) -> Option<&SealingKey> {
        self.0.iter().find(|key| key.id == id)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SealingKey({})", self.id)
    }
}
