//! The bytes of a token.
//!
//! Base64url without padding (RFC 4648 5) of:
//!
//! ```text
//! u8       version            1
//! u8, n    key id             1 to 16 letters, digits, `-`, `_`
//! u8       parts              1 not before · 2 network · 4 session · 8 claims
//! u32      expires            seconds since 1970
//! u8       classes            1 audio · 2 sd · 4 hd · 8 uhd · 16 text · 32 image
//! u8       prefixes           1 to 8, ascending, none within another; each
//!   u8, n    prefix           begins and ends with `/`
//! u32      not before         where the part is there: seconds since 1970, not 0
//! u8       network            where the part is there: bytes of the address, 4 or 16
//!   u8       length           1 to 32 or 128 bits; those beyond are 0
//!   n        address
//! u8, n    session            where the part is there
//! u8       claims             where the part is there: 1 to 8, ascending by name; each
//!   u8, n    name
//!   u8, n    value
//! n        signature          over all bytes before it: 32 of HMAC-SHA256, 64 of Ed25519
//! ```
//!
//! Numbers are big-endian. The reader accepts what the writer writes and nothing else: whoever can
//! spell one token in two ways has two names for one right, of which a list of revoked or cached
//! ones knows only one. The version is the first signed byte and is no printable character, so that
//! no signature over a text (a CDN's policy, a URL) can be taken for one of ours.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::grant::{CLAIMS_MAX, Classes, Grant, GrantParts, PREFIXES_MAX};
use crate::config::IpPrefix;

const VERSION: u8 = 1;
/// Longest key id.
pub(super) const KEY_ID_BYTES_MAX: usize = 16;

const HAS_NOT_BEFORE: u8 = 1;
const HAS_NETWORK: u8 = 2;
const HAS_SESSION: u8 = 4;
const HAS_CLAIMS: u8 = 8;

/// Why bytes are no token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FormatError {
    #[error("it is longer than any token")]
    TooLong,

    #[error("it is not base64url in its one form")]
    Base64,

    #[error("its version is not known")]
    Version,

    #[error("it ends too early")]
    Truncated,

    #[error("a part is not written as it has to be")]
    NotCanonical,
}

/// The bytes that are signed.
pub(super) fn write(key_id: &str, grant: &Grant) -> Vec<u8> {
    let GrantParts { expires, not_before, prefixes, classes, network, session, claims } =
        &grant.parts;
    let mut out = Vec::with_capacity(128);
    out.push(VERSION);
    put_short(&mut out, key_id.as_bytes());
    let part = |is_there: bool, bit: u8| if is_there { bit } else { 0 };
    out.push(
        part(*not_before != 0, HAS_NOT_BEFORE)
            | part(network.is_some(), HAS_NETWORK)
            | part(session.is_some(), HAS_SESSION)
            | part(!claims.is_empty(), HAS_CLAIMS),
    );
    put_time(&mut out, *expires);
    out.push(classes.bits());
    out.push(small(prefixes.len()));
    for prefix in prefixes {
        put_short(&mut out, prefix.as_bytes());
    }
    if *not_before != 0 {
        put_time(&mut out, *not_before);
    }
    if let Some(network) = network {
        match network.address() {
            IpAddr::V4(address) => {
                out.extend([&[4, network.length_bits()][..], &address.octets()].concat())
            }
            IpAddr::V6(address) => {
                out.extend([&[16, network.length_bits()][..], &address.octets()].concat())
            }
        }
    }
    if let Some(session) = session {
        put_short(&mut out, session.as_bytes());
    }
    if !claims.is_empty() {
        out.push(small(claims.len()));
        for (name, value) in claims {
            put_short(&mut out, name.as_bytes());
            put_short(&mut out, value.as_bytes());
        }
    }
    out
}

fn put_short(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(small(bytes.len()));
    out.extend_from_slice(bytes);
}

fn put_time(out: &mut Vec<u8>, seconds: u64) {
    let seconds = u32::try_from(seconds).expect("a grant's times fit 32 bits");
    out.extend_from_slice(&seconds.to_be_bytes());
}

fn small(len: usize) -> u8 {
    u8::try_from(len).expect("a grant's lengths and counts are below 256")
}

/// The key id, which says how the rest is to be verified. All else is read after that.
pub(super) fn read_key_id(token: &[u8]) -> Result<&str, FormatError> {
    let mut reader = Reader { rest: token };
    if reader.u8()? != VERSION {
        return Err(FormatError::Version);
    }
    let id = reader.short_text()?;
    if is_key_id(id) { Ok(id) } else { Err(FormatError::NotCanonical) }
}

pub(super) fn is_key_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=KEY_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(is_plain)
}

/// Reads the signed bytes, whose signature has been verified.
pub(super) fn read(signed: &[u8]) -> Result<Grant, FormatError> {
    let mut reader = Reader { rest: signed };
    if reader.u8()? != VERSION {
        return Err(FormatError::Version);
    }
    reader.short_text()?;
    let parts = reader.u8()?;
    if parts & !(HAS_NOT_BEFORE | HAS_NETWORK | HAS_SESSION | HAS_CLAIMS) != 0 {
        return Err(FormatError::NotCanonical);
    }
    let has = |part: u8| parts & part != 0;
    let expires = reader.u32()?;
    let classes = Classes::from_bits(reader.u8()?).ok_or(FormatError::NotCanonical)?;
    let count = reader.count(PREFIXES_MAX)?;
    let mut prefixes = Vec::with_capacity(count);
    for _ in 0..count {
        prefixes.push(reader.short_text()?.to_owned());
    }
    let not_before = if has(HAS_NOT_BEFORE) { reader.time()? } else { 0 };
    let network = if has(HAS_NETWORK) { Some(reader.network()?) } else { None };
    let session = if has(HAS_SESSION) { Some(reader.short_text()?.to_owned()) } else { None };
    let claims = if has(HAS_CLAIMS) { reader.claims()? } else { BTreeMap::new() };
    if !reader.rest.is_empty() {
        return Err(FormatError::NotCanonical);
    }
    let parts = GrantParts { expires, not_before, prefixes, classes, network, session, claims };
    Grant::new(parts).map_err(|_| FormatError::NotCanonical)
}

/// A cursor over bytes that may end anywhere.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], FormatError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(FormatError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(FormatError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, FormatError> {
        self.array().map(u8::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u64, FormatError> {
        self.array().map(u32::from_be_bytes).map(u64::from)
    }

    /// A time whose absence is written otherwise.
    fn time(&mut self) -> Result<u64, FormatError> {
        match self.u32()? {
            0 => Err(FormatError::NotCanonical),
            time => Ok(time),
        }
    }

    fn count(&mut self, max: usize) -> Result<usize, FormatError> {
        let count = usize::from(self.u8()?);
        if (1..=max).contains(&count) { Ok(count) } else { Err(FormatError::NotCanonical) }
    }

    fn short_text(&mut self) -> Result<&'a str, FormatError> {
        let len = self.u8()?;
        std::str::from_utf8(self.take(len.into())?).map_err(|_| FormatError::NotCanonical)
    }

    fn network(&mut self) -> Result<IpPrefix, FormatError> {
        let [family, length_bits] = self.array()?;
        let address = match family {
            4 => IpAddr::from(self.array::<4>()?),
            16 => IpAddr::from(self.array::<16>()?),
            _ => return Err(FormatError::NotCanonical),
        };
        // `new` clears the bits that have to be clear already.
        let network = IpPrefix::new(address, length_bits).ok_or(FormatError::NotCanonical)?;
        if network.address() == address { Ok(network) } else { Err(FormatError::NotCanonical) }
    }

    fn claims(&mut self) -> Result<BTreeMap<String, String>, FormatError> {
        let mut claims = BTreeMap::new();
        for _ in 0..self.count(CLAIMS_MAX)? {
            let (name, value) = (self.short_text()?, self.short_text()?);
            let is_ascending =
                claims.last_key_value().is_none_or(|(last, _): (&String, _)| last.as_str() < name);
            if !is_ascending {
                return Err(FormatError::NotCanonical);
            }
            claims.insert(name.to_owned(), value.to_owned());
        }
        Ok(claims)
    }
}
