//! The one form of a request's target: what a token is checked against, what is cached by, and
//! what is asked of an upstream.
//!
//! Where those three read a target each in its own way, a request can be let in as one thing and
//! answered as another. So it is read once, here, into the form of RFC 3986 6.2.2: percent-encoded
//! unreserved characters decoded, hexadecimal digits in capitals. What a careless reader could take
//! for another path is refused, not repaired: dot segments, empty segments, backslashes, encoded
//! separators, double encoding, control characters. Paths are case-sensitive and never folded.
//!
//! The query keeps the parameters that change an answer ([`MANIFEST_PARAMETERS`] of manifests,
//! `sidx=1` of segments), sorted by name; the values of one name stay in order, since the origin
//! takes the last. Others, CMCD's and a CDN's among them, go no further: what is not in the key
//! must not reach the upstream, or one viewer could choose the answer of all.

mod path;
mod query;

#[cfg(test)]
mod tests;

use http::uri::Authority;
use platform::url_token::{MediaClass, TOKEN_MARK};

pub use query::MANIFEST_PARAMETERS;

/// Longest target that is read, its token and all parameters included.
pub const TARGET_BYTES_MAX: usize = 8_192;
/// Longest path without its token, as canonical text.
pub const PATH_BYTES_MAX: usize = 2_048;
/// Parameters of one query that are looked at.
pub const PARAMETERS_MAX: usize = 64;
/// Longest canonical query.
pub const QUERY_BYTES_MAX: usize = 2_048;

/// Why a target is refused: with 414 where it is too long, else with 400.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TargetError {
    #[error("the request target is too long")]
    TooLong,

    #[error("the request target is neither a path nor an http address")]
    Form,

    #[error("the path has a character that has to be percent-encoded, or must not occur")]
    Character,

    #[error("the path has a `%` that two hexadecimal digits of valid text do not follow")]
    Encoding,

    #[error("the path is encoded twice")]
    DoubleEncoding,

    #[error("the path encodes a separator")]
    Separator,

    #[error("the path has an empty or a dot segment")]
    Segment,

    #[error("the query has too many parameters, or a control character")]
    Query,
}

/// A canonical path with its query. Two spellings of one target are equal, and so are their keys.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Target {
    path: String,
    /// Decoded names and values, sorted by name.
    parameters: Vec<(String, String)>,
}

/// A target with the token that stood in front of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedTarget<'a> {
    /// Of an absolute form (RFC 9112 3.2.2). The caller compares it with `Host`
    /// ([`same_authority`]).
    pub authority: Option<&'a str>,
    pub token: Option<String>,
    pub target: Target,
}

impl<'a> SignedTarget<'a> {
    /// Reads the origin form or the absolute form of a target.
    ///
    /// # Errors
    /// When there is no one way to read it.
    pub fn parse(raw: &'a str) -> Result<Self, TargetError> {
        if TARGET_BYTES_MAX < raw.len() {
            return Err(TargetError::TooLong);
        }
        let (authority, rest) = split_authority(raw)?;
        let (raw_path, raw_query) = match rest.split_once('?') {
            Some((path, query)) => (path, query),
            None => (rest, ""),
        };
        let path = path::canonical(raw_path)?;
        let (token, path) = split_token(path)?;
        if PATH_BYTES_MAX < path.len() {
            return Err(TargetError::TooLong);
        }
        let parameters = query::canonical(raw_query, query::Kind::of(&path))?;
        Ok(Self { authority, token, target: Target { path, parameters } })
    }
}

/// An absolute form's authority, and its path and query.
fn split_authority(raw: &str) -> Result<(Option<&str>, &str), TargetError> {
    if raw.starts_with('/') {
        return Ok((None, raw));
    }
    let (scheme, rest) = raw.split_once("://").ok_or(TargetError::Form)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(TargetError::Form);
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    // User information is deprecated and only ever deceives (RFC 9110 4.2.4).
    if authority.is_empty() || authority.contains('@') {
        return Err(TargetError::Form);
    }
    // An empty path is the root (RFC 9110 4.2.3).
    match rest.starts_with('/') {
        true => Ok((Some(authority), rest)),
        false if rest.is_empty() => Ok((Some(authority), "/")),
        false => Err(TargetError::Form),
    }
}

/// The token in front of a canonical path, and what follows it.
fn split_token(path: String) -> Result<(Option<String>, String), TargetError> {
    let Some(rest) = path.strip_prefix('/').and_then(|rest| rest.strip_prefix(TOKEN_MARK)) else {
        return Ok((None, path));
    };
    let Some(end) = rest.find('/') else {
        return Ok((Some(rest.to_owned()), "/".to_owned()));
    };
    let (token, path) = (rest[..end].to_owned(), rest[end..].to_owned());
    // A second one would be taken for part of the path here and for a token elsewhere.
    if path[1..].starts_with(TOKEN_MARK) {
        return Err(TargetError::Segment);
    }
    Ok((Some(token), path))
}

/// Whether an absolute form's authority is the `Host` of its request: hosts without regard to case,
/// ports alike, the scheme's own port like none.
pub fn same_authority(one: &str, other: &str) -> bool {
    fn parts(authority: &str) -> Option<(String, Option<u16>)> {
        let authority: Authority = authority.parse().ok()?;
        let host = authority.host().to_ascii_lowercase();
        // A port that is there and can't be read must not count as absent.
        let port = match authority.as_str().rsplit_once(':') {
            Some((_, port)) if !port.contains(']') => Some(port.parse().ok()?),
            _ => None,
        };
        (!host.is_empty() && !authority.as_str().contains('@'))
            .then_some((host, port.filter(|port| !matches!(port, 80 | 443))))
    }
    parts(one).is_some_and(|one| parts(other) == Some(one))
}

impl Target {
    /// Reads a target that has no token.
    ///
    /// # Errors
    /// As [`SignedTarget::parse`]; a token and an authority are errors, too.
    pub fn parse(raw: &str) -> Result<Self, TargetError> {
        match SignedTarget::parse(raw)? {
            SignedTarget { authority: None, token: None, target } => Ok(target),
            _ => Err(TargetError::Form),
        }
    }

    /// The canonical path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Path and query: the key of a cache, and the target that an upstream is asked for.
    pub fn key(&self) -> String {
        let mut key = self.path.clone();
        query::write(&self.parameters, &mut key);
        key
    }

    /// What `name` is set to; the last, as the origin reads it.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether the path is that of an HLS playlist or an MPD.
    pub fn is_manifest(&self) -> bool {
        query::Kind::of(&self.path) == query::Kind::Manifest
    }

    /// The class directory of a segment's path: `/vod/{asset}/{packaging}/{class}/…`.
    ///
    /// # Errors
    /// A path as deep as a segment's without a class is one that no class can open.
    pub fn class(&self) -> Result<Option<MediaClass>, UnknownClass> {
        // The first part is empty, since the path begins with a slash.
        let mut parts = self.path.split('/').skip(4);
        match (parts.next(), parts.next()) {
            (Some(class), Some(_)) => class.parse().map(Some).map_err(|_| UnknownClass),
            _ => Ok(None),
        }
    }

    /// Sets a manifest's parameter to at most `cap`, whether it was there or not. A value that is
    /// no number stays, for the origin to refuse.
    pub fn cap(&mut self, name: &str, cap: u64) {
        let mut is_there = false;
        for (_, value) in self.parameters.iter_mut().filter(|(known, _)| known == name) {
            is_there = true;
            if let Ok(number) = value.parse::<u64>() {
                *value = number.min(cap).to_string();
            }
        }
        if !is_there {
            self.insert(name, cap.to_string());
        }
    }

    /// Sets a manifest's parameter, whatever it was.
    pub fn set(&mut self, name: &str, value: &str) {
        self.parameters.retain(|(known, _)| known != name);
        self.insert(name, value.to_owned());
    }

    fn insert(&mut self, name: &str, value: String) {
        let at = self.parameters.partition_point(|(known, _)| known.as_str() <= name);
        self.parameters.insert(at, (name.to_owned(), value));
    }
}

/// The path of a segment in no class that there is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the path names no class of media")]
pub struct UnknownClass;
