//! Renewal (CTA-5007, `catr`): near its end a token is followed by one with the same claims and a
//! later end.

use super::super::grant::Renewal;
use super::super::keys::KeySet;
use super::super::refusal::{Refusal, SignError};
use super::super::request::Circumstances;
use super::super::signing_key::SigningKey;
use super::cbor::Cbor;
use super::{CATR, CatOptions, EXP, IAT, cose, seconds};

/// Renewal begins this long before the end if the token doesn't say.
const RENEWAL_SECONDS: u64 = 60;

/// Labels of `catr`.
pub(super) mod label {
    pub(in crate::cdn) const KIND: i64 = 0;
    pub(in crate::cdn) const SECONDS: i64 = 1;
    pub(in crate::cdn) const BEFORE_END: i64 = 2;
    pub(in crate::cdn) const COOKIE: i64 = 3;
    pub(in crate::cdn) const HEADER: i64 = 4;
    pub(in crate::cdn) const COOKIE_PARAMETERS: i64 = 5;
    pub(in crate::cdn) const HEADER_PARAMETERS: i64 = 6;
    pub(in crate::cdn) const CODE: i64 = 7;
    /// Kinds: the verifier's choice, a cookie, a header, a redirect.
    pub(in crate::cdn) const AUTOMATIC: i64 = 0;
    pub(in crate::cdn) const BY_COOKIE: i64 = 1;
    pub(in crate::cdn) const BY_HEADER: i64 = 2;
    pub(in crate::cdn) const BY_REDIRECT: i64 = 3;
}

/// `catr`: near its end a token is followed by one with the same claims and a later end.
pub(super) fn renew(
    options: &CatOptions,
    claims: &Cbor,
    expires_at: u64,
    keys: &KeySet,
    target: &str,
    circumstances: &Circumstances,
) -> Result<Option<Renewal>, Refusal> {
    let Some(catr) = claims.member(CATR) else {
        return Ok(None);
    };
    let wrong = |problem| Refusal::malformed("catr", problem);
    let members = catr.as_map().ok_or_else(|| wrong("is no map"))?;
    let is_known = |member: &Cbor| matches!(member.as_int(), Some(0..=label::CODE));
    if !members.iter().all(|(member, _)| is_known(member)) {
        return Err(Refusal::Unsupported("a member of catr".to_owned()));
    }
    let kind = catr.member(label::KIND).and_then(Cbor::as_int);
    let kind = kind.filter(|kind| (0..=label::BY_REDIRECT).contains(kind));
    let kind = kind.ok_or_else(|| wrong("has no kind that is known"))?;
    let seconds_of = |member| catr.member(member).map(|value| seconds("catr", value)).transpose();
    let lifetime = seconds_of(label::SECONDS)?.ok_or_else(|| wrong("has no lifetime"))?;
    let before_end = seconds_of(label::BEFORE_END)?.unwrap_or(RENEWAL_SECONDS);
    let Some(key) = keys.renewing(circumstances.now) else {
        return Ok(None);
    };
    if circumstances.now < expires_at.saturating_sub(before_end) {
        return Ok(None);
    }
    let token = next_token(claims, circumstances.now, lifetime, key);
    let token = token.map_err(|_| Refusal::Unsupported("renewal with this key".to_owned()))?;
    let name = |member, default: &str| match catr.member(member).map(Cbor::as_text) {
        None => Ok(default.to_owned()),
        Some(Some(name)) if is_token(name) => Ok(name.to_owned()),
        Some(_) => Err(wrong("has a name that is none")),
    };
    Ok(Some(match kind {
        label::AUTOMATIC | label::BY_COOKIE => {
            let name = name(label::COOKIE, options.cookie)?;
            let attributes = parameters(catr, label::COOKIE_PARAMETERS)?;
            Renewal::Cookie(format!("{name}={token}; {attributes}"))
        }
        label::BY_HEADER => {
            let name = name(label::HEADER, options.header)?;
            // Parameters of the header would have to be agreed upon; there are none to us.
            if catr.member(label::HEADER_PARAMETERS).is_some() {
                return Err(Refusal::Unsupported("header parameters of catr".to_owned()));
            }
            Renewal::Header { name, value: token }
        }
        _ => {
            let separator = if target.contains('?') { '&' } else { '?' };
            Renewal::Target(format!("{target}{separator}{}={token}", options.parameter))
        }
    }))
}

fn next_token(
    claims: &Cbor,
    now: u64,
    lifetime: u64,
    key: &SigningKey,
) -> Result<String, SignError> {
    let time = |seconds: u64| Cbor::Int(i64::try_from(seconds).unwrap_or(i64::MAX));
    let mut members = claims.as_map().unwrap_or_default().to_vec();
    for (claim, value) in &mut members {
        match claim.as_int() {
            Some(EXP) => *value = time(now.saturating_add(lifetime)),
            Some(IAT) => *value = time(now),
            _ => {}
        }
    }
    cose::sign(&Cbor::Map(members).encode(), key)
}

/// Attributes of the cookie: those of the token, or for the whole host.
fn parameters(catr: &Cbor, member: i64) -> Result<String, Refusal> {
    let Some(list) = catr.member(member) else {
        return Ok("Path=/; Secure; HttpOnly".to_owned());
    };
    let wrong = || Refusal::malformed("catr", "has parameters that are none");
    let mut attributes = Vec::new();
    for attribute in list.as_array().ok_or_else(wrong)? {
        let attribute = attribute.as_text().ok_or_else(wrong)?;
        let is_plain = |byte: u8| (byte.is_ascii_graphic() || byte == b' ') && byte != b';';
        if !attribute.bytes().all(is_plain) {
            return Err(wrong());
        }
        attributes.push(attribute);
    }
    Ok(attributes.join("; "))
}

/// RFC 9110 5.6.2.
fn is_token(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_part)
}
