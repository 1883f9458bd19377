//! The front door: HTTP/3, signed URLs, the cache and what lies behind it. Knows no media.

pub mod fetch;
pub mod http3;
