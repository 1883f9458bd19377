//! `Cache-Status`: what this cache did, for whoever debugs (RFC 9211).

use std::fmt::Write as _;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use sfv::{ListSerializer, StringRef, TokenRef};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

const TTL_MAX: i64 = 999_999_999_999_999;

/// Why a request was forwarded (RFC 9211 2.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Forward {
    Bypass,
    Method,
    UriMiss,
    VaryMiss,
    Request,
    Stale,
}

impl Forward {
    fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Request => "request",
            Self::Stale => "stale",
        }
    }
}

/// One member of the list. A hit has no `forward`, and the other way round (RFC 9211 2.1).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CacheStatus {
    pub forward: Option<Forward>,
    /// Neither stored nor forwarded: this cache's own error.
    pub is_made_here: bool,
    pub forward_status: Option<u16>,
    pub ttl_seconds: Option<i64>,
    pub is_stored: bool,
    pub is_collapsed: bool,
    pub detail: Option<&'static str>,
}

impl CacheStatus {
    pub fn hit(ttl_seconds: i64) -> Self {
        Self { ttl_seconds: Some(ttl_seconds), ..Self::default() }
    }

    pub fn forwarded(forward: Forward) -> Self {
        Self { forward: Some(forward), ..Self::default() }
    }

    /// Adds itself behind what caches nearer to the origin said (RFC 9211 2).
    pub fn append_to(&self, headers: &mut HeaderMap, cache_name: &str) {
        if let Some(value) = self.write(cache_name)
            && let Ok(value) = HeaderValue::try_from(value)
        {
            headers.append(CACHE_STATUS, value);
        }
    }

    /// A structured field written by hand: every part but the cache's name is ours, a token or a
    /// small number. The general serialiser takes half a microsecond for it, on every hit.
    fn write(&self, cache_name: &str) -> Option<String> {
        let mut text = String::with_capacity(cache_name.len() + 64);
        // A name is a token where it can be one, else a string.
        if TokenRef::from_str(cache_name).is_ok() {
            text.push_str(cache_name);
        } else {
            let mut list = ListSerializer::new();
            let _ = list.bare_item(StringRef::from_str(cache_name).ok()?);
            text.push_str(&list.finish()?);
        }
        match self.forward {
            None if self.is_made_here => {}
            None => text.push_str(";hit"),
            Some(forward) => {
                text.push_str(";fwd=");
                text.push_str(forward.as_str());
            }
        }
        // Writing to a string can't fail.
        if let Some(status) = self.forward_status {
            let _ = write!(text, ";fwd-status={}", status.min(999));
        }
        if let Some(ttl) = self.ttl_seconds {
            // Of an integer's fifteen digits (RFC 9651 3.3.1).
            let _ = write!(text, ";ttl={}", ttl.clamp(-TTL_MAX, TTL_MAX));
        }
        if self.is_stored {
            text.push_str(";stored");
        }
        if self.is_collapsed {
            text.push_str(";collapsed");
        }
        if let Some(detail) = self.detail
            && TokenRef::from_str(detail).is_ok()
        {
            text.push_str(";detail=");
            text.push_str(detail);
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_written_as_structured_fields() {
        assert_eq!(CacheStatus::hit(-3).write("StreamVerse").unwrap(), "StreamVerse;hit;ttl=-3");
        let miss = CacheStatus {
            forward_status: Some(200),
            is_stored: true,
            is_collapsed: true,
            ..CacheStatus::forwarded(Forward::UriMiss)
        };
        assert_eq!(
            miss.write("edge of town").unwrap(),
            "\"edge of town\";fwd=uri-miss;fwd-status=200;stored;collapsed"
        );
    }

    /// What is written by hand reads as the general parser has it.
    #[test]
    fn every_member_parses() {
        for status in [
            CacheStatus::hit(i64::MAX),
            CacheStatus { detail: Some("disk"), ..CacheStatus::hit(i64::MIN) },
            CacheStatus { is_made_here: true, ..CacheStatus::default() },
            CacheStatus {
                forward_status: Some(u16::MAX),
                is_collapsed: true,
                ..CacheStatus::forwarded(Forward::Stale)
            },
        ] {
            let text = status.write("a \"name\"").unwrap();
            let list = sfv::Parser::new(&text).parse::<sfv::List>().unwrap();
            assert_eq!(list.len(), 1, "{text}");
        }
    }

    #[test]
    fn it_stands_behind_the_caches_nearer_to_the_origin() {
        let mut headers = HeaderMap::new();
        headers.append(CACHE_STATUS, HeaderValue::from_static("Shield; hit"));
        CacheStatus::hit(1).append_to(&mut headers, "Edge");
        let all: Vec<_> = headers.get_all(CACHE_STATUS).iter().collect();
        assert_eq!(all, ["Shield; hit", "Edge;hit;ttl=1"]);
    }
}
