//! Access tokens of the control API: JSON Web Tokens as RFC 9068 profiles them.
//!
//! ```text
//! base64url {"alg":"RS256","kid":"…","typ":"at+jwt"} . base64url {claims} . base64url signature
//! ```
//!
//! The key decides how a token is checked, never the token (RFC 8725 3.1): `alg` has to be that of
//! the key that `kid` names, and no other header member leads to a key. A token is refused by its
//! length and form before anything of it is decoded, and nothing of its claims is read before the
//! signature is verified. Time is an argument everywhere.
//!
//! | module | holds |
//! | --- | --- |
//! | [`claims`] | what a token says |
//! | `json` | JSON that can be read in one way only |
//! | `jws` | the compact form (RFC 7515 7.1) |
//! | [`issuer`] | makes tokens |
//! | [`verifier`] | checks them, and remembers those that it has checked |
//! | [`key_set`] | public keys alone, for a node that only verifies |
//! | [`standing`] | sessions and people whose tokens count no more |

pub mod claims;
pub mod issuer;
mod json;
pub mod jws;
pub mod key_set;
pub mod standing;
pub mod verifier;

#[cfg(test)]
mod tests;

pub use claims::{Claims, NewToken};
pub use issuer::{IssueError, Issuer};
pub use key_set::KeySet;
pub use standing::{Standing, Withdrawn};
pub use verifier::{KeySource, Verifier};

/// Longest token: one with every claim at its longest, and a signature of RSA with 4096 bits.
pub const TOKEN_BYTES_MAX: usize = 8 * 1_024;

/// Life of a token unless something else is asked for.
pub const LIFE_SECONDS: i64 = 15 * 60;

/// Longest life of a token.
pub use crate::keyring::purpose::ACCESS_TOKEN_SECONDS_MAX as LIFE_SECONDS_MAX;

/// How far the clocks of two machines may differ.
pub const LEEWAY_SECONDS: i64 = 30;

/// Why a token is not taken. Goes to logs and metrics; a client learns that it has to sign in.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("it is longer than any token")]
    TooLong,
    #[error("it has not the form of a token: {0}")]
    Form(&'static str),
    #[error("its header can't be read: {0}")]
    Header(&'static str),
    #[error("it is no access token by its `typ`")]
    Type,
    #[error("its header names extensions that have to be understood")]
    Critical,
    #[error("it names no key that counts here")]
    UnknownKey,
    #[error("its algorithm is not that of its key")]
    Algorithm,
    #[error("its signature is not that of its key")]
    Signature,
    #[error("its claims can't be read: {0}")]
    Claims(&'static str),
    #[error("another issuer made it")]
    Issuer,
    #[error("it is for another audience")]
    Audience,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    NotYet,
    #[error("it lives longer than any token may")]
    Life,
    #[error("it was withdrawn")]
    Withdrawn,
}

impl Refusal {
    /// One word, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Form(_) => "form",
            Self::Header(_) => "header",
            Self::Type => "type",
            Self::Critical => "critical",
            Self::UnknownKey => "unknown_key",
            Self::Algorithm => "algorithm",
            Self::Signature => "signature",
            Self::Claims(_) => "claims",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Life => "life",
            Self::Withdrawn => "withdrawn",
        }
    }
}
