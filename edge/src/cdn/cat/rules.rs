//! The claims that restrict a request: URI, methods, headers, networks, protocols, countries.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, SHA512_256, digest};
use http::HeaderName;

use super::super::keys::KeySet;
use super::super::pattern::IpPrefix;
use super::super::refusal::Refusal;
use super::super::request::RequestParts;
use super::cbor::Cbor;

/// Tags of addresses and prefixes (RFC 9164 3).
const TAG_IPV4: u64 = 52;
const TAG_IPV6: u64 = 54;

/// `catu`: each component that it names matches.
pub(super) fn check_uri(
    claim: &Cbor,
    request: &RequestParts<'_>,
    target: &str,
    keys: &KeySet,
) -> Result<(), Refusal> {
    let components = claim.as_map().ok_or_else(|| Refusal::malformed("catu", "is no map"))?;
    for (component, matches) in components {
        let value = component_of(component, request, target)?;
        if !all_match("catu", matches, &value, keys)? {
            return Err(Refusal::OutOfScope("another URI"));
        }
    }
    Ok(())
}

/// A component of the URI by its label. The port is the one that is used, written or not; stem and
/// extension part at the last dot, and the extension has its dot.
fn component_of(
    component: &Cbor,
    request: &RequestParts<'_>,
    target: &str,
) -> Result<String, Refusal> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (parent, filename) = path.rsplit_once('/').unwrap_or(("", path));
    let dot = filename.rfind('.').unwrap_or(filename.len());
    // The colons of an IPv6 address stand in brackets.
    let (host, port) = match request.authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (request.authority, if request.scheme == "https" { "443" } else { "80" }),
    };
    Ok(match component.as_int() {
        Some(0) => request.scheme.to_owned(),
        Some(1) => host.to_ascii_lowercase(),
        Some(2) => port.to_owned(),
        Some(3) => path.to_owned(),
        Some(4) => query.to_owned(),
        Some(5) => parent.to_owned(),
        Some(6) => filename.to_owned(),
        Some(7) => filename[..dot].to_owned(),
        Some(8) => filename[dot..].to_owned(),
        _ => return Err(Refusal::Unsupported("a component of catu".to_owned())),
    })
}

/// A map of comparisons, which all hold.
fn all_match(
    field: &'static str,
    matches: &Cbor,
    value: &str,
    keys: &KeySet,
) -> Result<bool, Refusal> {
    let matches = matches.as_map().ok_or_else(|| Refusal::malformed(field, "has no map inside"))?;
    if matches.is_empty() {
        return Err(Refusal::malformed(field, "compares nothing"));
    }
    for (kind, wanted) in matches {
        if !one_matches(field, kind, wanted, value, keys)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn one_matches(
    field: &'static str,
    kind: &Cbor,
    wanted: &Cbor,
    value: &str,
    keys: &KeySet,
) -> Result<bool, Refusal> {
    let text =
        || wanted.as_text().ok_or_else(|| Refusal::malformed(field, "compares with no text"));
    let bytes =
        || wanted.as_bytes().ok_or_else(|| Refusal::malformed(field, "has no hash as bytes"));
    Ok(match kind.as_int() {
        Some(0) => value == text()?,
        Some(1) => value.starts_with(text()?),
        Some(2) => value.ends_with(text()?),
        Some(3) => value.contains(text()?),
        // The expression, alone or as the first of a list whose further members name groups.
        Some(4) => match wanted.as_array() {
            Some([Cbor::Text(pattern)]) => keys.memo.whole_regex(field, pattern)?.is_match(value),
            Some(_) => return Err(Refusal::Unsupported("groups of an expression".to_owned())),
            None => keys.memo.whole_regex(field, text()?)?.is_match(value),
        },
        Some(-1) => digest(&SHA256, value.as_bytes()).as_ref() == bytes()?,
        Some(-2) => digest(&SHA512_256, value.as_bytes()).as_ref() == bytes()?,
        _ => return Err(Refusal::Unsupported(format!("a comparison of {field}"))),
    })
}

/// `catm`: methods are case-sensitive (RFC 9110 9.1).
pub(super) fn check_method(claim: &Cbor, request: &RequestParts<'_>) -> Result<(), Refusal> {
    let methods = claim.as_array().ok_or_else(|| Refusal::malformed("catm", "is no list"))?;
    let is_ours = |method: &Cbor| method.as_text() == Some(request.method.as_str());
    if methods.iter().any(is_ours) { Ok(()) } else { Err(Refusal::OutOfScope("another method")) }
}

/// `catalpn`: what TLS agreed on, as bytes.
pub(super) fn check_protocol(claim: &Cbor, request: &RequestParts<'_>) -> Result<(), Refusal> {
    let protocols = claim.as_array().ok_or_else(|| Refusal::malformed("catalpn", "is no list"))?;
    let is_ours = |protocol: &Cbor| request.alpn.is_some() && protocol.as_bytes() == request.alpn;
    if protocols.iter().any(is_ours) {
        Ok(())
    } else {
        Err(Refusal::OutOfScope("another protocol"))
    }
}

/// `cath`: headers that have to be there, once each.
pub(super) fn check_headers(
    claim: &Cbor,
    request: &RequestParts<'_>,
    keys: &KeySet,
) -> Result<(), Refusal> {
    let headers = claim.as_map().ok_or_else(|| Refusal::malformed("cath", "is no map"))?;
    for (name, matches) in headers {
        let name = name.as_text().and_then(|name| HeaderName::try_from(name).ok());
        let name = name.ok_or_else(|| Refusal::malformed("cath", "has a name that is none"))?;
        let mut values = request.headers.get_all(name).iter();
        let value = values.next().and_then(|value| value.to_str().ok());
        let is_ours = match value {
            Some(value) if values.next().is_none() => all_match("cath", matches, value, keys)?,
            _ => false,
        };
        if !is_ours {
            return Err(Refusal::OutOfScope("another header"));
        }
    }
    Ok(())
}

/// `catnip`: addresses and prefixes. Numbers of autonomous systems are not looked up, so they match
/// nobody.
pub(super) fn check_network(claim: &Cbor, client: IpAddr) -> Result<(), Refusal> {
    let networks = claim.as_array().ok_or_else(|| Refusal::malformed("catnip", "is no list"))?;
    for network in networks {
        match network {
            Cbor::Int(0..=0xffff_ffff) => {}
            Cbor::Tag(tag, item) => {
                let prefix = prefix(*tag, item);
                let prefix = prefix.ok_or_else(|| Refusal::malformed("catnip", "has no prefix"))?;
                if prefix.contains(client) {
                    return Ok(());
                }
            }
            _ => return Err(Refusal::malformed("catnip", "has no prefix")),
        }
    }
    Err(Refusal::OutOfScope("another client address"))
}

/// RFC 9164 3: an address is bytes, a prefix is a length and bytes without zeros at the end.
fn prefix(tag: u64, item: &Cbor) -> Option<IpPrefix> {
    let (bits, bytes) = match item {
        Cbor::Bytes(bytes) => (None, bytes),
        Cbor::Array(parts) => match parts.as_slice() {
            [Cbor::Int(bits), Cbor::Bytes(bytes)] => (Some(u8::try_from(*bits).ok()?), bytes),
            _ => return None,
        },
        _ => return None,
    };
    let len = match tag {
        TAG_IPV4 => 4,
        TAG_IPV6 => 16,
        _ => return None,
    };
    // An address has all its bytes.
    if bytes.len() > len || (bits.is_none() && bytes.len() < len) {
        return None;
    }
    let mut whole = [0; 16];
    whole[..bytes.len()].copy_from_slice(bytes);
    let address = match whole.first_chunk::<4>() {
        Some(short) if tag == TAG_IPV4 => IpAddr::from(*short),
        _ => IpAddr::from(whole),
    };
    IpPrefix::new(address, bits.unwrap_or(len as u8 * 8))
}

/// A prefix as `catnip` writes it.
pub(super) fn network(prefix: IpPrefix) -> Cbor {
    let (tag, bytes) = match prefix.address() {
        IpAddr::V4(address) => (TAG_IPV4, address.octets().to_vec()),
        IpAddr::V6(address) => (TAG_IPV6, address.octets().to_vec()),
    };
    let item = if prefix.is_one_address() {
        Cbor::Bytes(bytes)
    } else {
        // Bits behind the prefix are zero, and zeros at the end are left out.
        let mut bytes = bytes;
        let bits = usize::from(prefix.bits());
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte &= !0xff_u8.checked_shr(bits.saturating_sub(index * 8) as u32).unwrap_or(0);
        }
        let len = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(len);
        Cbor::Array(vec![Cbor::Int(prefix.bits().into()), Cbor::Bytes(bytes)])
    };
    Cbor::Tag(tag, Box::new(item))
}

/// `catgeoiso3166`: countries or their parts. A client of an unknown country is in none.
pub(super) fn check_country(claim: &Cbor, country: Option<&str>) -> Result<(), Refusal> {
    let wrong = || Refusal::malformed("catgeoiso3166", "is no list of texts");
    for place in claim.as_array().ok_or_else(wrong)? {
        let place = place.as_text().ok_or_else(wrong)?;
        // `US` covers `US-NY`.
        let is_inside = |country: &str| {
            let rest = country.strip_prefix(place);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        if country.is_some_and(is_inside) {
            return Ok(());
        }
    }
    Err(Refusal::OutOfScope("another country"))
}
