//! What a token says, checked once when it is made and again when it is read.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::{LEEWAY_SECONDS, LIFE_SECONDS_MAX, Refusal};
use crate::config::IpPrefix;

/// Prefixes of one token.
pub const PREFIXES_MAX: usize = 8;
/// Longest prefix.
pub const PREFIX_BYTES_MAX: usize = 200;
/// Longest session id: a UUID takes 36.
pub const SESSION_BYTES_MAX: usize = 64;
/// Claims of one token.
pub const CLAIMS_MAX: usize = 8;
/// Longest name of a claim.
pub const CLAIM_NAME_BYTES_MAX: usize = 24;
/// Longest value of a claim.
pub const CLAIM_VALUE_BYTES_MAX: usize = 64;

/// Claims that change an answer, and so become part of what is cached: the caps on manifests. All
/// others are told to whoever asks for the grant and change no bytes.
pub const ANSWER_CLAIMS: [&str; 2] = ["max_bitrate", "max_height"];

/// How long a renewed token lives, in seconds, and until when there may be any, in seconds since
/// 1970. Both are there, or neither is; a token without them ends at its expiry.
pub const RENEWAL_CLAIMS: [&str; 2] = ["renew", "renew_until"];

/// What one token opens. Made by [`Grant::new`] and by reading a token, so that it is well formed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grant {
    pub(super) parts: GrantParts,
}

/// The parts of a [`Grant`], before they are checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GrantParts {
    /// Seconds since 1970 at which the token stops to open anything.
    pub expires: u64,
    /// Seconds since 1970 before which it opens nothing; 0 where there is no such time.
    pub not_before: u64,
    /// Each begins and ends with `/`. Sorted, and none within another.
    pub prefixes: Vec<String>,
    pub classes: Classes,
    /// Where the client has to be.
    pub network: Option<IpPrefix>,
    /// By which the token can be revoked.
    pub session: Option<String>,
    /// Policy, by name: see [`ANSWER_CLAIMS`].
    pub claims: BTreeMap<String, String>,
}

/// A class of media that segment paths name (`/vod/film/fmp4/hd/…`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MediaClass {
    Audio,
    /// Up to 576 lines.
    Sd,
    /// Up to 1080 lines.
    Hd,
    Uhd,
    Text,
    Image,
}

impl MediaClass {
    pub const ALL: [Self; 6] =
        [Self::Audio, Self::Sd, Self::Hd, Self::Uhd, Self::Text, Self::Image];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Sd => "sd",
            Self::Hd => "hd",
            Self::Uhd => "uhd",
            Self::Text => "text",
            Self::Image => "image",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl FromStr for MediaClass {
    type Err = GrantError;

    fn from_str(name: &str) -> Result<Self, GrantError> {
        let found = Self::ALL.into_iter().find(|class| class.as_str() == name);
        found.ok_or_else(|| GrantError::Class { name: name.chars().take(32).collect() })
    }
}

/// A set of classes that is not empty.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Classes(u8);

impl Classes {
    pub const ALL: Self = Self(0b11_1111);

    /// The set of a bit field. `None` for the empty one and for unknown bits.
    pub(super) fn from_bits(bits: u8) -> Option<Self> {
        (bits != 0 && bits & !Self::ALL.0 == 0).then_some(Self(bits))
    }

    pub(super) fn bits(self) -> u8 {
        self.0
    }

    /// `None` when there are none.
    pub fn of(classes: impl IntoIterator<Item = MediaClass>) -> Option<Self> {
        Self::from_bits(classes.into_iter().fold(0, |bits, class| bits | class.bit()))
    }

    pub fn contains(self, class: MediaClass) -> bool {
        self.0 & class.bit() != 0
    }

    pub fn iter(self) -> impl Iterator<Item = MediaClass> {
        MediaClass::ALL.into_iter().filter(move |class| self.contains(*class))
    }
}

impl fmt::Display for Classes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(MediaClass::as_str).collect();
        formatter.write_str(&names.join(","))
    }
}

/// Why no token can say this.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum GrantError {
    #[error("`{name}` is no class; there are audio, sd, hd, uhd, text and image")]
    Class { name: String },

    #[error("a token needs 1 to {PREFIXES_MAX} prefixes, not {count}")]
    Prefixes { count: usize },

    #[error(
        "`{prefix}` is no prefix: write a plain path that begins and ends with `/`, of at most \
         {PREFIX_BYTES_MAX} characters"
    )]
    Prefix { prefix: String },

    #[error("the prefix `{inner}` lies within `{outer}`: name one of them")]
    Nested { inner: String, outer: String },

    #[error("the time of expiry is not after the time from which the token is valid, or past 2106")]
    Times,

    #[error(
        "`{session}` is no session id: write 1 to {SESSION_BYTES_MAX} letters, digits, `-` and `_`"
    )]
    Session { session: String },

    #[error("the network's address has bits beyond its length, is IPv4 in IPv6, or holds everyone")]
    Network,

    #[error(
        "the claim `{name}` can't be carried: at most {CLAIMS_MAX} claims, names of small letters \
         and `_`, values of plain characters; max_height, max_bitrate, renew and renew_until are \
         whole numbers"
    )]
    Claim { name: String },

    #[error(
        "renewal needs both claims: renew, from {RENEWAL_SECONDS_MIN} seconds to 30 days, and \
         renew_until, after the expiry"
    )]
    Renewal,
}

impl Grant {
    /// # Errors
    /// When a part is out of bounds, or written in another form than the one that is encoded.
    pub fn new(parts: GrantParts) -> Result<Self, GrantError> {
        check_times(parts.not_before, parts.expires)?;
        check_prefixes(&parts.prefixes)?;
        if let Some(session) = parts.session.as_ref().filter(|session| !is_session(session)) {
            return Err(GrantError::Session { session: session.clone() });
        }
        if let Some(network) = &parts.network
            && !is_canonical(network)
        {
            return Err(GrantError::Network);
        }
        let claims = &parts.claims;
        let bad = claims.iter().find(|(name, value)| !is_claim(name, value));
        let surplus = || claims.iter().nth(CLAIMS_MAX);
        if let Some((name, _)) = bad.or_else(surplus) {
            return Err(GrantError::Claim { name: name.clone() });
        }
        check_renewal(&parts)?;
        Ok(Self { parts })
    }

    /// The grant that follows this one at `now`, if it is time: from a quarter of a renewed token's
    /// life before the end, and until there may be none any more.
    ///
    /// Asked for manifests alone, which a player comes back to; an expired token still opens those
    /// by way of the new one, and nothing else.
    pub fn renewed(&self, now: u64) -> Option<Self> {
        let (seconds, until) = renewal_of(&self.parts)?;
        let is_due = self.parts.expires <= now.saturating_add(seconds / 4);
        // As for `expires`: it must not outlive the memory of a revocation.
        let is_near = until.saturating_sub(now) <= LIFE_SECONDS_MAX + LEEWAY_SECONDS;
        let expires = now.saturating_add(seconds).min(until);
        if !is_due || !is_near || expires <= now || expires <= self.parts.expires {
            return None;
        }
        let mut parts = self.parts.clone();
        parts.expires = expires;
        // The last one: nothing is left to be renewed.
        if expires == until {
            parts.claims.retain(|name, _| !RENEWAL_CLAIMS.contains(&name.as_str()));
        }
        Self::new(parts).ok()
    }

    pub fn parts(&self) -> &GrantParts {
        &self.parts
    }

    /// Whether the token is valid at `now`, in seconds since 1970.
    ///
    /// Asked when a request begins; a long answer goes on past the expiry.
    pub fn check_time(&self, now: u64) -> Result<(), Refusal> {
        let GrantParts { expires, not_before, .. } = self.parts;
        if expires <= now {
            return Err(Refusal::Expired);
        }
        // A token that outlives the memory of its revocation could come back, also one that is not
        // valid yet.
        if LIFE_SECONDS_MAX + LEEWAY_SECONDS < expires.saturating_sub(now) {
            return Err(Refusal::TooLong);
        }
        if now.saturating_add(LEEWAY_SECONDS) < not_before {
            return Err(Refusal::NotYet);
        }
        Ok(())
    }

    /// Whether `path`, which is canonical, lies under one of the prefixes, and `class`, where the
    /// path names one, is among the classes.
    pub fn check_path(&self, path: &str, class: Option<MediaClass>) -> Result<(), Refusal> {
        if !self.parts.prefixes.iter().any(|prefix| path.starts_with(prefix.as_str())) {
            return Err(Refusal::Prefix);
        }
        if class.is_some_and(|class| !self.parts.classes.contains(class)) {
            return Err(Refusal::Class);
        }
        Ok(())
    }

    /// Whether a client at `address` may use the token. An unknown address fits no network.
    pub fn check_address(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        match (&self.parts.network, address) {
            (None, _) => Ok(()),
            (Some(network), Some(address)) if network.contains(address) => Ok(()),
            (Some(_), _) => Err(Refusal::Address),
        }
    }
}

fn check_times(not_before: u64, expires: u64) -> Result<(), GrantError> {
    // Times are encoded in 32 bits.
    let is_encodable = u32::try_from(expires).is_ok();
    (is_encodable && not_before < expires).then_some(()).ok_or(GrantError::Times)
}

/// Shortest life of a renewed token: a redirect each few requests is no renewal.
pub const RENEWAL_SECONDS_MIN: u64 = 60;

fn renewal_of(parts: &GrantParts) -> Option<(u64, u64)> {
    let number = |name| parts.claims.get(name)?.parse::<u64>().ok();
    let [seconds, until] = RENEWAL_CLAIMS.map(number);
    Some((seconds?, until?))
}

fn check_renewal(parts: &GrantParts) -> Result<(), GrantError> {
    let count = RENEWAL_CLAIMS.iter().filter(|name| parts.claims.contains_key(**name)).count();
    match renewal_of(parts) {
        None if count == 0 => Ok(()),
        Some((seconds, until))
            if (RENEWAL_SECONDS_MIN..=LIFE_SECONDS_MAX).contains(&seconds)
                && parts.expires < until =>
        {
            Ok(())
        }
        _ => Err(GrantError::Renewal),
    }
}

fn check_prefixes(prefixes: &[String]) -> Result<(), GrantError> {
    if !(1..=PREFIXES_MAX).contains(&prefixes.len()) {
        return Err(GrantError::Prefixes { count: prefixes.len() });
    }
    if let Some(prefix) = prefixes.iter().find(|prefix| !is_prefix(prefix)) {
        return Err(GrantError::Prefix { prefix: prefix.clone() });
    }
    // In byte order a prefix stands right before what lies within it.
    for pair in prefixes.windows(2) {
        let [outer, inner] = pair else { continue };
        if inner <= outer || inner.starts_with(outer.as_str()) {
            return Err(GrantError::Nested { inner: inner.clone(), outer: outer.clone() });
        }
    }
    Ok(())
}

/// A prefix ends with `/`, so that `/live/one/` never opens `/live/one-more/`. Its characters are
/// those of canonical paths, so that it can be compared byte by byte.
fn is_prefix(prefix: &str) -> bool {
    let Some(inner) = prefix.strip_prefix('/') else { return false };
    let Some(inner) = inner.strip_suffix('/') else { return inner.is_empty() };
    let is_segment = |segment: &str| {
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte);
        !matches!(segment, "" | "." | "..")
            && !segment.starts_with(super::TOKEN_MARK)
            && segment.bytes().all(is_plain)
    };
    prefix.len() <= PREFIX_BYTES_MAX && inner.split('/').all(is_segment)
}

pub fn is_session(session: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=SESSION_BYTES_MAX).contains(&session.len()) && session.bytes().all(is_plain)
}

/// One network has one form: no bits beyond its length, IPv4 never mapped, and not everyone.
fn is_canonical(network: &IpPrefix) -> bool {
    let (address, length_bits) = (network.address(), network.length_bits());
    let is_masked = IpPrefix::new(address, length_bits).as_ref() == Some(network);
    length_bits != 0 && is_masked && address.to_canonical() == address
}

fn is_claim(name: &str, value: &str) -> bool {
    let is_name = (1..=CLAIM_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let is_value = (1..=CLAIM_VALUE_BYTES_MAX).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_graphic());
    let is_number = || value.parse::<u64>().is_ok_and(|number| number.to_string() == value);
    let takes_number = ANSWER_CLAIMS.contains(&name) || RENEWAL_CLAIMS.contains(&name);
    is_name && is_value && (!takes_number || is_number())
}
