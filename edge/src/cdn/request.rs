//! What a verifier sees of a request, and the few things every format does with it.
//!
//! Everything is read as it was sent. Paths that two readers could read differently are refused
//! before anything is matched against them: a prefix `/live/ch1/` must not open
//! `/live/ch1/..%2fch2/`.

use std::net::IpAddr;

use http::header::COOKIE;
use http::{HeaderMap, Method};

use super::refusal::Refusal;

/// Longest request target that is looked at.
pub const TARGET_BYTES_MAX: usize = 8 << 10;
/// Longest token, policy or signature in its text form.
pub const TOKEN_BYTES_MAX: usize = 4 << 10;
/// Most parameters of a query, and most cookies.
pub const PARAMETERS_MAX: usize = 128;
/// Most bytes of all `Cookie` lines together.
pub const COOKIE_BYTES_MAX: usize = 16 << 10;
/// Players put what they measure into this parameter (CTA-5004). It is never part of what is
/// signed, nor of a cache key.
pub const CMCD: &str = "CMCD";

/// A request as the edge received it.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'a> {
    pub method: &'a Method,
    /// `http` or `https`, as the viewer sees it.
    pub scheme: &'a str,
    /// Host and, where it is not the scheme's own, port, as the viewer wrote them.
    pub authority: &'a str,
    /// Path and query, as sent.
    pub target: &'a str,
    pub headers: &'a HeaderMap,
    /// What the TLS handshake agreed on, such as `h2`.
    pub alpn: Option<&'a [u8]>,
    /// ISO 3166 code of where the client is, if that is known.
    pub country: Option<&'a str>,
}

/// What else a verdict depends on.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// Seconds since 1970.
    pub now: u64,
    pub client_address: IpAddr,
    pub policy: Policy,
}

/// How exactly times are taken.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// By how many seconds clocks may differ: tokens open this much before their start. They
    /// never open after their end.
    pub start_leeway_seconds: u64,
    /// Tokens that live longer from now on are refused.
    pub lifetime_seconds_max: Option<u64>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { start_leeway_seconds: 30, lifetime_seconds_max: None }
    }
}

impl Circumstances {
    pub(super) fn check_times(
        &self,
        starts_at: Option<u64>,
        expires_at: u64,
    ) -> Result<(), Refusal> {
        if expires_at <= self.now {
            return Err(Refusal::Expired { expires_at });
        }
        if let Some(starts_at) = starts_at
            && self.now.saturating_add(self.policy.start_leeway_seconds) < starts_at
        {
            return Err(Refusal::NotYetValid { starts_at });
        }
        match self.policy.lifetime_seconds_max {
            Some(seconds_max) if expires_at - self.now > seconds_max => {
                Err(Refusal::LivesTooLong { expires_at, seconds_max })
            }
            _ => Ok(()),
        }
    }
}

/// Path and query of a target that has one reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub path: &'a str,
    pub query: Option<&'a str>,
}

impl<'a> Target<'a> {
    pub(super) fn parse(target: &'a str) -> Result<Self, Refusal> {
        if target.len() > TARGET_BYTES_MAX {
            return Err(Refusal::Target("is too long"));
        }
        if !target.starts_with('/') {
            return Err(Refusal::Target("does not begin with a slash"));
        }
        let is_forbidden = |byte: u8| !byte.is_ascii_graphic() || b"#\"<>\\^`{|}".contains(&byte);
        if target.bytes().any(is_forbidden) {
            return Err(Refusal::Target("has a character that no URL has"));
        }
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        check_path(path)?;
        if query.is_some_and(|query| query.split('&').count() > PARAMETERS_MAX) {
            return Err(Refusal::Target("has too many parameters"));
        }
        Ok(Self { path, query })
    }

    /// Parameters in order, undecoded. One without `=` has an empty value.
    pub(super) fn parameters(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pieces = self.query.into_iter().flat_map(|query| query.split('&'));
        pieces.map(|piece| piece.split_once('=').unwrap_or((piece, "")))
    }

    /// The one value of a parameter.
    pub(super) fn parameter(self, name: &'static str) -> Result<Option<&'a str>, Refusal> {
        let mut values = self.parameters().filter(|(known, _)| *known == name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Refusal::Duplicate(name));
        }
        Ok(first.map(|(_, value)| value))
    }

    /// The target without parameters of these names and without CMCD.
    pub(super) fn without(self, names: &[&str]) -> String {
        self.without_where(|name| names.contains(&name))
    }

    pub(super) fn without_where(self, is_stripped: impl Fn(&str) -> bool) -> String {
        let mut clean = self.path.to_owned();
        let mut separator = '?';
        for piece in self.query.into_iter().flat_map(|query| query.split('&')) {
            let name = piece.split_once('=').map_or(piece, |(name, _)| name);
            if name != CMCD && !is_stripped(name) {
                clean.push(separator);
                clean.push_str(piece);
                separator = '&';
            }
        }
        clean
    }
}

/// Refuses what could name another resource to another reader (RFC 3986 6.2.2).
fn check_path(path: &str) -> Result<(), Refusal> {
    let bytes = path.as_bytes();
    for (at, _) in path.match_indices('%') {
        let digits =
            bytes.get(at + 1..at + 3).filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        let Some(digits) = digits else {
            return Err(Refusal::Target("has a broken percent-encoding"));
        };
        match digits.to_ascii_lowercase().as_slice() {
            b"00" | b"2f" | b"5c" | b"2e" => {
                return Err(Refusal::Target("hides a slash, a dot or a zero"));
            }
            b"25" => return Err(Refusal::Target("is percent-encoded twice")),
            _ => {}
        }
    }
    if path.contains("//") {
        return Err(Refusal::Target("has an empty segment"));
    }
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err(Refusal::Target("has a dot segment"));
    }
    Ok(())
}

/// Whether a text is a host, maybe with a port, and nothing that could be read as more of a URL.
pub(super) fn is_authority(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

impl<'a> RequestParts<'a> {
    /// A URL is put together from these and compared as a text, so a slash in the host would move
    /// the request to another path.
    pub(super) fn check_origin(&self) -> Result<(), Refusal> {
        if matches!(self.scheme, "http" | "https") && is_authority(self.authority) {
            return Ok(());
        }
        Err(Refusal::Target("stands behind a scheme or a host that is none"))
    }

    /// `https://host`.
    pub(super) fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// The one cookie of a name; whole `Cookie` lines are read (RFC 6265 5.4).
    pub(super) fn cookie(&self, name: &'static str) -> Result<Option<&'a str>, Refusal> {
        self.cookie_named(name).map_err(|error| error.unwrap_or(Refusal::Duplicate(name)))
    }

    /// Like [`Self::cookie`]; `Err(None)` says that there are several.
    pub(super) fn cookie_named(&self, name: &str) -> Result<Option<&'a str>, Option<Refusal>> {
        let malformed = |problem| Some(Refusal::malformed("the Cookie line", problem));
        let (mut found, mut bytes, mut count) = (None, 0, 0);
        for line in self.headers.get_all(COOKIE) {
            bytes += line.len();
            if bytes > COOKIE_BYTES_MAX {
                return Err(malformed("is too long"));
            }
            let line = line.to_str().map_err(|_| malformed("is not ASCII"))?;
            for pair in line.split(';') {
                count += 1;
                if count > PARAMETERS_MAX {
                    return Err(malformed("has too many cookies"));
                }
                let Some((known, value)) = pair.trim().split_once('=') else {
                    continue;
                };
                if known == name && found.replace(value).is_some() {
                    return Err(None);
                }
            }
        }
        Ok(found)
    }

    /// The one value of a header.
    pub(super) fn header(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        let mut values = self.headers.get_all(name).iter();
        let Some(first) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(Refusal::Duplicate("the token header"));
        }
        let text = first.to_str();
        text.map(Some).map_err(|_| Refusal::malformed("the token header", "is not ASCII"))
    }
}

/// A decimal number of seconds since 1970: digits alone, in range.
pub(super) fn parse_seconds(field: &'static str, text: &str) -> Result<u64, Refusal> {
    const DIGITS_MAX: usize = 12;
    if text.is_empty() || text.len() > DIGITS_MAX || !text.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err(Refusal::malformed(field, "is no time in seconds"));
    }
    text.parse().map_err(|_| Refusal::malformed(field, "is no time in seconds"))
}

pub(super) fn check_length(field: &'static str, text: &str) -> Result<(), Refusal> {
    if text.len() > TOKEN_BYTES_MAX {
        return Err(Refusal::malformed(field, "is too long"));
    }
    Ok(())
}
