//! Why a request is not let in.
//!
//! The client gets [`Refusal::told`], one of three words that say nothing about keys, claims or
//! patterns, the same as of native tokens. [`Refusal::code`] is for metrics. The message is for the
//! log: it names the cause, never a signature or a secret.

/// A refused request. Every one is answered by 403.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    #[error("the request carries no token")]
    Missing,

    #[error("the request target {0}")]
    Target(&'static str),

    #[error("{field} {problem}")]
    Malformed { field: &'static str, problem: &'static str },

    #[error("{0} occurs more than once")]
    Duplicate(&'static str),

    #[error("no key with the id `{0}` is valid now")]
    UnknownKey(String),

    #[error("key `{key}` is not for {algorithm}")]
    WrongAlgorithm { key: String, algorithm: &'static str },

    #[error("the signature is wrong")]
    Signature,

    #[error("{0} is not a supported claim or value")]
    Unsupported(String),

    #[error("valid until {expires_at}, which is more than {seconds_max} s away")]
    LivesTooLong { expires_at: u64, seconds_max: u64 },

    #[error("expired at {expires_at}")]
    Expired { expires_at: u64 },

    #[error("valid from {starts_at}")]
    NotYetValid { starts_at: u64 },

    #[error("the token does not open this request: {0}")]
    OutOfScope(&'static str),

    /// Told by whoever keeps the list of sessions that were ended.
    #[error("the session was revoked")]
    Revoked,

    /// Told by whoever counts (CTA-5007, `catreplay`).
    #[error("the token was shown before, or there is no room to remember it")]
    Replayed,

    /// Told by whoever counts: the request may be a replay of the network's (RFC 8470 5.2).
    #[error("the token may be shown once, and the request came in early data")]
    TooEarly,
}

impl Refusal {
    /// What the client is told.
    ///
    /// A player has to know that its token has run out, so that it gets another. That comes after
    /// the signature has been checked: whoever sees it holds a token that was made with the key.
    pub fn told(&self) -> &'static str {
        match self {
            Self::Missing => "signature_required",
            Self::Expired { .. } => "signature_expired",
            _ => "signature_invalid",
        }
    }

    /// One word, for metrics. Those behind `token_invalid` come after the signature has been checked.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "token_missing",
            Self::Target(_)
            | Self::Malformed { .. }
            | Self::Duplicate(_)
            | Self::UnknownKey(_)
            | Self::WrongAlgorithm { .. }
            | Self::Signature
            | Self::Unsupported(_)
            | Self::LivesTooLong { .. } => "token_invalid",
            Self::Expired { .. } => "token_expired",
            Self::NotYetValid { .. } => "token_not_yet_valid",
            Self::OutOfScope(_) => "token_out_of_scope",
            Self::Revoked => "token_revoked",
            Self::Replayed => "token_replayed",
            Self::TooEarly => "token_too_early",
        }
    }

    pub(super) fn malformed(field: &'static str, problem: &'static str) -> Self {
        Self::Malformed { field, problem }
    }
}

/// Why a URL could not be signed: the cause is in the options or in the key file.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignError {
    #[error(
        "there is no signing scheme `{0}`; there are cloudfront, akamai, media-cdn, uri-signing and cat"
    )]
    UnknownScheme(String),

    #[error("`{url}` can't be signed: it {problem}")]
    Url { url: String, problem: &'static str },

    #[error("{scheme} can't express {what}; {cure}")]
    NotExpressible { scheme: &'static str, what: &'static str, cure: &'static str },

    #[error("the key can't sign with {algorithm}; {cure}")]
    WrongKey { algorithm: &'static str, cure: &'static str },

    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Why a key file can't be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    #[error("the key file has {len} bytes; at most {max} are read")]
    TooLong { len: usize, max: usize },

    #[error("the key file is neither PEM, nor a JSON Web Key, nor hexadecimal, nor base64")]
    UnknownFormat,

    #[error("the key file holds {found}, but {wanted} is needed")]
    WrongKind { found: &'static str, wanted: &'static str },

    #[error("the key file is damaged: {0}")]
    Damaged(&'static str),

    #[error("a secret of {len} bytes is too short; use {min} bytes or more")]
    ShortSecret { len: usize, min: usize },
}
