//! The token of a signed URL: what it opens, until when, and for whom.
//!
//! A signed URL is `/~{token}/vod/film/cmaf/master.m3u8`. The token is the first segment of the
//! path, so that the relative URIs of a manifest inherit it. Everything here is a function of
//! bytes, keys and a time that the caller brings; nothing reads a clock.
//!
//! | module | holds |
//! | --- | --- |
//! | [`grant`] | what a token says |
//! | `codec` | its bytes: one token has one encoding |
//! | [`keyring`] | keys, signing, verifying |
//! | [`key_file`] | the key that is made where none is configured |
//! | [`revocations`] | sessions that ended before their tokens |
//!
//! The format is decision 0016.

mod codec;
pub mod grant;
pub mod key_file;
pub mod keyring;
pub mod revocations;
mod verdicts;

#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub use codec::FormatError;
pub use grant::{Classes, Grant, GrantError, MediaClass};
pub use keyring::{Keyring, KeyringError, SignError, SigningKey};
pub use revocations::{Merged, Revocations, RevokeError};

/// What the path segment of a token begins with. It is unreserved (RFC 3986 2.3), and no other
/// path of ours begins with it.
pub const TOKEN_MARK: char = '~';

/// Longest token in base64url: eight long prefixes, eight claims and an Ed25519 signature fit.
pub const TOKEN_CHARS_MAX: usize = 4_096;

/// Longest life of a token. It also bounds how long a revocation has to be remembered.
pub const LIFE_SECONDS_MAX: u64 = 30 * 24 * 60 * 60;

/// How far the clocks of two machines may differ, for tokens that are not valid yet.
pub const LEEWAY_SECONDS: u64 = 30;

/// A session id that nobody guesses or has had: 128 random bits.
///
/// # Errors
/// When the system gives no random bytes.
pub fn new_session() -> Result<String, key_file::KeyFileError> {
    let mut bytes = [0; 16];
    loop {
        crate::secret_file::fill_random(&mut bytes)?;
        let session = URL_SAFE_NO_PAD.encode(bytes);
        // One that begins with a hyphen would be taken for an option by commands that it is given to.
        if !session.starts_with('-') {
            return Ok(session);
        }
    }
}

/// Why a token does not open a path. Goes to logs and metrics; a client learns less.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("the token can't be read: {0}")]
    Format(#[from] FormatError),

    #[error("the key is not known here, or is not valid now")]
    UnknownKey,

    #[error("the signature is not that of the key")]
    Signature,

    #[error("the token has expired")]
    Expired,

    #[error("the token is not valid yet")]
    NotYet,

    #[error("the token lives longer than any may")]
    TooLong,

    #[error("the session was revoked")]
    Revoked,

    #[error("no prefix of the token opens the path")]
    Prefix,

    #[error("the token does not open the class of the path")]
    Class,

    #[error("the client's address lies outside the token's network")]
    Address,
}

impl Refusal {
    /// One word, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Format(_) => "format",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::TooLong => "too_long",
            Self::Revoked => "revoked",
            Self::Prefix => "prefix",
            Self::Class => "class",
            Self::Address => "address",
        }
    }
}
