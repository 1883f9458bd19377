//! `Cache-Status`: what this cache did, for whoever debugs (RFC 9211).

use http::header::{HeaderMap, HeaderName, HeaderValue};
use sfv::{KeyRef, ListSerializer, StringRef, TokenRef};

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

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
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            headers.append(CACHE_STATUS, value);
        }
    }

    fn write(&self, cache_name: &str) -> Option<String> {
        let key = |name: &'static str| KeyRef::from_str(name).expect("a constant key");
        let mut list = ListSerializer::new();
        // A name is a token where it can be one, else a string.
        let mut member = match TokenRef::from_str(cache_name) {
            Ok(token) => list.bare_item(token),
            Err(_) => list.bare_item(StringRef::from_str(cache_name).ok()?),
        };
        match self.forward {
            None if self.is_made_here => {}
            None => member = member.parameter(key("hit"), true),
            Some(forward) => {
                let token = TokenRef::from_str(forward.as_str()).expect("a constant token");
                member = member.parameter(key("fwd"), token);
            }
        }
        if let Some(status) = self.forward_status {
            member = member.parameter(key("fwd-status"), i64::from(status).min(999) as i16);
        }
        if let Some(ttl) = self.ttl_seconds
            && let Ok(ttl) = sfv::Integer::try_from(ttl)
        {
            member = member.parameter(key("ttl"), ttl);
        }
        if self.is_stored {
            member = member.parameter(key("stored"), true);
        }
        if self.is_collapsed {
            member = member.parameter(key("collapsed"), true);
        }
        if let Some(detail) = self.detail
            && let Ok(token) = TokenRef::from_str(detail)
        {
            member = member.parameter(key("detail"), token);
        }
        let _ = member;
        list.finish()
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

    #[test]
    fn it_stands_behind_the_caches_nearer_to_the_origin() {
        let mut headers = HeaderMap::new();
        headers.append(CACHE_STATUS, HeaderValue::from_static("Shield; hit"));
        CacheStatus::hit(1).append_to(&mut headers, "Edge");
        let all: Vec<_> = headers.get_all(CACHE_STATUS).iter().collect();
        assert_eq!(all, ["Shield; hit", "Edge;hit;ttl=1"]);
    }
}
