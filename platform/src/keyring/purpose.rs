//! What there are rings for.

use std::fmt;
use std::str::FromStr;

use super::KeyError;
use crate::url_token;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;

/// Longest life of an access token. A token that would live longer is neither made nor taken.
pub const ACCESS_TOKEN_SECONDS_MAX: i64 = 60 * 60;
/// How long whoever verifies may keep a set of public keys.
pub const PUBLIC_SECONDS_MAX: i64 = 5 * 60;
/// `Cache-Control` of a set of public keys: [`PUBLIC_SECONDS_MAX`], and on through an outage. A key
/// is published for twice as long before it signs.
pub const PUBLIC_CACHE_CONTROL: &str = "public, max-age=300, stale-if-error=3600";
/// Keys of one ring that count. One that nothing expires of fills a page in eighty years of yearly
/// rotation.
pub const KEYS_MAX: usize = 80;
/// How far the clocks of machines may differ.
pub const LEEWAY_MS: i64 = 60 * SECOND_MS;

/// What the keys of a ring are for. Its name is part of commands, of files and of what is sealed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Purpose {
    /// Access tokens of the control API: RS256 (RFC 7518 3.3).
    AccessTokens,
    /// Tokens of signed URLs: HMAC-SHA256, or Ed25519.
    UrlTokens,
    /// What is handed to clients sealed and comes back: AES-256-GCM.
    Sessions,
    /// Secrets that lie in the database: AES-256-GCM.
    Records,
    /// Seeds that content keys are derived from: 256 random bits.
    ContentSeeds,
    /// Roots of the audit log: Ed25519 (RFC 8032).
    Audit,
}

/// What a key is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    Rs256,
    /// Verified, never made here.
    Es256,
    EdDsa,
    HmacSha256,
    Aes256Gcm,
    Seed256,
}

/// What an emergency does to the keys there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Emergency {
    /// They count no more: what they signed is made anew by whoever needs it.
    Revokes,
    /// They make nothing new, and still open or verify what lies in the database: to refuse that
    /// would destroy it.
    Replaces,
}

impl Purpose {
    pub const ALL: [Self; 6] = [
        Self::AccessTokens,
        Self::UrlTokens,
        Self::Sessions,
        Self::Records,
        Self::ContentSeeds,
        Self::Audit,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessTokens => "access-tokens",
            Self::UrlTokens => "url-tokens",
            Self::Sessions => "sessions",
            Self::Records => "records",
            Self::ContentSeeds => "content-seeds",
            Self::Audit => "audit",
        }
    }

    /// What new keys are.
    pub fn algorithm(self) -> Algorithm {
        match self {
            Self::AccessTokens => Algorithm::Rs256,
            Self::UrlTokens => Algorithm::HmacSha256,
            Self::Sessions | Self::Records => Algorithm::Aes256Gcm,
            Self::ContentSeeds => Algorithm::Seed256,
            Self::Audit => Algorithm::EdDsa,
        }
    }

    /// How long before its first use a key is published. Whoever verifies reads the folder every
    /// few seconds, or the public keys as often as their `Cache-Control` says.
    pub fn published_ms(self) -> i64 {
        match self {
            Self::AccessTokens | Self::Audit => 2 * PUBLIC_SECONDS_MAX * SECOND_MS,
            _ => MINUTE_MS,
        }
    }

    /// How long what a key made counts; none when it does for ever.
    pub fn life_ms(self) -> Option<i64> {
        match self {
            Self::AccessTokens => Some(ACCESS_TOKEN_SECONDS_MAX * SECOND_MS + LEEWAY_MS),
            Self::UrlTokens => {
                let life_ms = url_token::LIFE_SECONDS_MAX as i64 * SECOND_MS;
                Some(life_ms + LEEWAY_MS)
            }
            Self::Sessions => Some(SEALED_SESSION_MS_MAX + LEEWAY_MS),
            Self::Records | Self::ContentSeeds | Self::Audit => None,
        }
    }

    pub fn emergency(self) -> Emergency {
        match self {
            Self::AccessTokens | Self::UrlTokens | Self::Sessions => Emergency::Revokes,
            Self::Records | Self::ContentSeeds | Self::Audit => Emergency::Replaces,
        }
    }
}

/// What is sealed for a client has to come back within a day.
pub const SEALED_SESSION_MS_MAX: i64 = 24 * 60 * MINUTE_MS;

impl fmt::Display for Purpose {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A name that no purpose has.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is no purpose of keys; there are {names}", names = names())]
pub struct UnknownPurpose(pub String);

fn names() -> String {
    Purpose::ALL.map(Purpose::as_str).join(", ")
}

impl FromStr for Purpose {
    type Err = UnknownPurpose;

    fn from_str(name: &str) -> Result<Self, UnknownPurpose> {
        let mut all = Self::ALL.into_iter();
        all.find(|purpose| purpose.as_str() == name)
            .ok_or_else(|| UnknownPurpose(name.chars().take(64).collect()))
    }
}

impl Algorithm {
    /// As in JOSE (RFC 7518 3.1, RFC 8037 3.1) where it has a name there.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::HmacSha256 => "HS256",
            Self::Aes256Gcm => "A256GCM",
            Self::Seed256 => "seed-256",
        }
    }

    pub(super) fn parse(name: &str) -> Result<Self, KeyError> {
        [Self::Rs256, Self::Es256, Self::EdDsa, Self::HmacSha256, Self::Aes256Gcm, Self::Seed256]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
            .ok_or(KeyError::Crypto("its algorithm is unknown"))
    }
}
