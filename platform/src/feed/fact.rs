//! One fact, and the JSON that it travels and rests as.
//!
//! ```json
//! {"id":"0198…","at":1800000000000,"type":"session.revoked","session":"viewer-1","until":1802592060}
//! {"id":"0198…","at":1800000000000,"type":"cache.purged","tag":"film","soft":false}
//! ```
//!
//! `at` is milliseconds since 1970 by the clock of whoever was told first, `until` seconds. Names
//! that aren't known are skipped, so that a newer source may say more.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::url_token::grant::{SESSION_BYTES_MAX, is_session};

/// Longest event as JSON: a URL of 2 KiB may be escaped, and there is room to spare.
pub const EVENT_BYTES_MAX: usize = 16 * 1024;
/// Longest URL or prefix of a purge: the longest target that an edge takes, path and query.
pub const TARGET_BYTES_MAX: usize = 4_200;
/// Longest tag of a purge.
pub const TAG_BYTES_MAX: usize = 256;

/// What every node learns.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Fact {
    /// No token of the session opens anything any more. Remembered until a time, in seconds since
    /// 1970, when all its tokens have expired.
    SessionRevoked { session: String, until: u64 },
    /// Objects are not used any more as they are stored; after a soft purge they may be once the
    /// origin confirms them.
    CachePurged { scope: PurgeScope, is_soft: bool },
}

/// What a purge names. Hosts are not told apart: all titles are of one tenant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PurgeScope {
    /// A canonical path and query.
    Url(String),
    /// What canonical paths begin with.
    Prefix(String),
    /// A word of `Cache-Tag`: the identifier of a title.
    Tag(String),
}

/// A fact with its name, which it keeps wherever it goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    pub id: FactId,
    /// Milliseconds since 1970, by the clock of whoever was told first.
    pub at_ms: u64,
    pub fact: Fact,
}

/// Names a fact: 128 bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FactId(pub u128);

/// Why an event can't be taken.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EventError {
    #[error("has {len} bytes, at most {EVENT_BYTES_MAX} are read")]
    TooLong { len: usize },

    #[error("is no JSON of an event: {reason}")]
    Json { reason: String },

    #[error("is of a kind that this version does not know: `{kind}`")]
    UnknownKind { kind: String },

    #[error("`{session}` is no session id")]
    Session { session: String },

    #[error("names a session and no time until which to remember it")]
    Until,

    #[error("a purge takes one of `url`, `prefix` and `tag`")]
    Scope,

    #[error("a URL or prefix begins with `/` and has up to {TARGET_BYTES_MAX} visible characters")]
    Target,

    #[error("a tag has 1 to {TAG_BYTES_MAX} visible characters, no blank and no comma")]
    Tag,
}

/// The JSON of an event, before it is checked.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Written<'a> {
    id: Cow<'a, str>,
    at: u64,
    r#type: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    soft: Option<bool>,
}

const SESSION_REVOKED: &str = "session.revoked";
const CACHE_PURGED: &str = "cache.purged";
/// How much of an unknown kind is told.
const KIND_CHARS_MAX: usize = 40;

impl Fact {
    /// The kind, as it is written and counted.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SessionRevoked { .. } => SESSION_REVOKED,
            Self::CachePurged { .. } => CACHE_PURGED,
        }
    }

    /// Whether every part has the form that readers insist on.
    ///
    /// # Errors
    /// With the part that has not.
    pub fn check(&self) -> Result<(), EventError> {
        match self {
            Self::SessionRevoked { session, .. } if !is_session(session) => {
                let session = session.chars().take(SESSION_BYTES_MAX).collect();
                Err(EventError::Session { session })
            }
            Self::SessionRevoked { .. } => Ok(()),
            Self::CachePurged { scope, .. } => scope.check(),
        }
    }
}

impl PurgeScope {
    fn check(&self) -> Result<(), EventError> {
        match self {
            Self::Url(target) | Self::Prefix(target) => {
                let is_visible = target.bytes().all(|byte| byte.is_ascii_graphic());
                let is_target = target.starts_with('/') && target.len() <= TARGET_BYTES_MAX;
                if is_visible && is_target { Ok(()) } else { Err(EventError::Target) }
            }
            Self::Tag(tag) => {
                let is_word = tag.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
                let is_tag = (1..=TAG_BYTES_MAX).contains(&tag.len()) && is_word;
                if is_tag { Ok(()) } else { Err(EventError::Tag) }
            }
        }
    }
}

impl Event {
    /// # Errors
    /// When the text is no event, or one that this version does not know.
    pub fn parse(text: &str) -> Result<Self, EventError> {
        if EVENT_BYTES_MAX < text.len() {
            return Err(EventError::TooLong { len: text.len() });
        }
        let json = |error: serde_json::Error| EventError::Json { reason: error.to_string() };
        let written: Written<'_> = serde_json::from_str(text).map_err(json)?;
        let id = written
            .id
            .parse()
            .map_err(|reason: &str| EventError::Json { reason: format!("its id {reason}") })?;
        let fact = match &*written.r#type {
            SESSION_REVOKED => {
                let session = written.session.unwrap_or_default();
                Fact::SessionRevoked { session, until: written.until.ok_or(EventError::Until)? }
            }
            CACHE_PURGED => {
                let scope = match (written.url, written.prefix, written.tag) {
                    (Some(url), None, None) => PurgeScope::Url(url),
                    (None, Some(prefix), None) => PurgeScope::Prefix(prefix),
                    (None, None, Some(tag)) => PurgeScope::Tag(tag),
                    _ => return Err(EventError::Scope),
                };
                // Whoever leaves it out wants the stronger one.
                Fact::CachePurged { scope, is_soft: written.soft.unwrap_or(false) }
            }
            kind => {
                let kind = kind.chars().take(KIND_CHARS_MAX).collect();
                return Err(EventError::UnknownKind { kind });
            }
        };
        fact.check()?;
        Ok(Self { id, at_ms: written.at, fact })
    }

    /// The event as one line of JSON, without its end.
    pub fn to_json(&self) -> String {
        let id = self.id.to_string().into();
        let empty = Written { id, at: self.at_ms, ..Written::default() };
        let r#type = Cow::Borrowed(self.fact.kind());
        let written = match self.fact.clone() {
            Fact::SessionRevoked { session, until } => {
                Written { r#type, session: Some(session), until: Some(until), ..empty }
            }
            Fact::CachePurged { scope, is_soft } => {
                let written = Written { r#type, soft: Some(is_soft), ..empty };
                match scope {
                    PurgeScope::Url(url) => Written { url: Some(url), ..written },
                    PurgeScope::Prefix(prefix) => Written { prefix: Some(prefix), ..written },
                    PurgeScope::Tag(tag) => Written { tag: Some(tag), ..written },
                }
            }
        };
        serde_json::to_string(&written).expect("plain data with string keys")
    }
}

impl FactId {
    /// An id that nobody has had: the time in front (RFC 9562 5.7), random bits behind.
    pub fn new(now_ms: u64, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(now_ms, &random).into_uuid().as_u128())
    }
}

impl fmt::Display for FactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for FactId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 32 || !text.bytes().all(is_hex) {
            return Err("has to be 32 small hexadecimal digits");
        }
        u128::from_str_radix(text, 16).map(Self).map_err(|_| "is no number")
    }
}
