//! The front door: HTTP/3, signed URLs, the cache and what lies behind it. Knows no media.

pub mod cache;
pub mod carry;
pub mod cdn;
pub mod cmcd;
pub mod cmsd;
pub mod fetch;
pub mod gate;
pub mod http3;
pub mod limit;
pub mod target;
pub mod upstream;
