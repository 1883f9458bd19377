//! URI Signing for CDN Interconnection (RFC 9246): a JSON Web Token in a URL or a cookie.
//!
//! The token stands in a parameter `URISigningPackage`, of the query or of a path segment, or in a
//! cookie of that name. `cdniuc` says what it opens: the hash of one URI or an expression that the
//! whole URI matches, in normal form and without the token (2.1.15). With `cdniets` each answer brings
//! a next token that differs in `exp`: in a cookie (`cdnistt` 1) or in the URL (2).
//!
//! Where we differ: claims are never ignored when they restrict, so a token with an audience needs one
//! configured, and an encrypted client address needs its key. Of `cdniip` the plain form is read too.
//! Expressions are those of Rust's `regex`, which run in linear time: POSIX ones mean the same unless
//! a bracket expression holds a backslash.

mod canonical;
mod claims;
mod jose;

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;

use super::base64;
use super::grant::{self, Grant, Renewal, Replay, UrlSpace};
use super::keys::KeySet;
use super::pattern::IpPrefix;
use super::refusal::{Refusal, SignError};
use super::request::{Circumstances, RequestParts, Target};
use super::sign::{AbsoluteUrl, Carrier, SignRequest, Signed, SignedSpace};
use super::signing_key::SigningKey;
use canonical::{extract, normalise};
use claims::Claims;

/// Name of parameter and cookie unless the interconnection agrees on another (RFC 9246 2.2).
pub(super) const PACKAGE: &str = "URISigningPackage";
/// Most path segments of a cookie's path.
const SEGMENTS_MAX: u64 = 64;

/// How RFC 9246 is used.
#[derive(Clone, Debug, Default)]
pub struct UriSigningOptions {
    /// Tokens have to come from this issuer.
    pub issuer: Option<String>,
    /// Who we are in `aud`. Without it, tokens that name an audience are refused.
    pub audience: Option<String>,
}

struct Found<'a> {
    token: &'a str,
    /// The target without token and CMCD.
    target: String,
    is_cookie: bool,
}

pub(super) fn verify(
    options: &UriSigningOptions,
    request: &RequestParts<'_>,
    keys: &KeySet,
    circumstances: &Circumstances,
) -> Result<Grant, Refusal> {
    let found = find(request)?;
    let verified = jose::verify(found.token, keys, circumstances.now)?;
    let claims = Claims::parse(&verified.payload)?;
    claims.check_version()?;
    // 2.1.4: a token without an end would be one for ever.
    let expires_at =
        claims.number("exp")?.ok_or_else(|| Refusal::malformed("exp", "is missing"))?;
    circumstances.check_times(claims.number("nbf")?, expires_at)?;
    if options.issuer.is_some() && claims.text("iss")? != options.issuer.as_deref() {
        return Err(Refusal::OutOfScope("another issuer"));
    }
    if !claims.is_for(options.audience.as_deref())? {
        return Err(Refusal::OutOfScope("another audience"));
    }
    check_address(&claims, keys, circumstances)?;
    let space = check_container(&claims, keys, &format!("{}{}", request.origin(), found.target))?;

    let renewal = renew(&claims, keys, &found, request, circumstances)?;
    Ok(Grant {
        space,
        expires_at,
        signed: grant::digest(&verified.key_id, &verified.payload),
        key_id: verified.key_id,
        token_id: claims.text("jti")?.map(str::to_owned),
        cookies: if found.is_cookie { vec![PACKAGE.to_owned()] } else { Vec::new() },
        target: found.target,
        headers: Vec::new(),
        replay: Replay::Permitted,
        renewal,
    })
}

fn find<'a>(request: &RequestParts<'a>) -> Result<Found<'a>, Refusal> {
    let target = Target::parse(request.target)?;
    let extracted = extract(request.target, PACKAGE).map_err(|()| Refusal::Duplicate(PACKAGE))?;
    match extracted {
        Some(extracted) => {
            let target = Target::parse(&extracted.rest)?.without(&[]);
            Ok(Found { token: extracted.token, target, is_cookie: false })
        }
        None => {
            let token = request.cookie(PACKAGE)?.ok_or(Refusal::Missing)?;
            Ok(Found { token, target: target.without(&[]), is_cookie: true })
        }
    }
}

/// `cdniip` (2.1.10): an address or a prefix, encrypted.
fn check_address(
    claims: &Claims,
    keys: &KeySet,
    circumstances: &Circumstances,
) -> Result<(), Refusal> {
    let Some(claim) = claims.text("cdniip")? else {
        return Ok(());
    };
    let plain = match claim.contains('.') && claim.split('.').count() == 5 {
        true => jose::decrypt("cdniip", claim, keys)?,
        false => claim.as_bytes().to_vec(),
    };
    let text = String::from_utf8(plain).unwrap_or_default();
    // `[2001:db8::1/32]`, as the examples of Appendix A.2 write it.
    let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(&text);
    let prefix: IpPrefix = text.parse().map_err(|problem| Refusal::malformed("cdniip", problem))?;
    if prefix.contains(circumstances.client_address) {
        return Ok(());
    }
    Err(Refusal::OutOfScope("another client address"))
}

/// `cdniuc` (2.1.11), the one claim that every token has.
fn check_container(claims: &Claims, keys: &KeySet, url: &str) -> Result<UrlSpace, Refusal> {
    const NAME: &str = "cdniuc";
    let container = claims.text(NAME)?.ok_or_else(|| Refusal::malformed(NAME, "is missing"))?;
    let uri = normalise(url).ok_or(Refusal::Target("has no normal form"))?;
    let other = Err(Refusal::OutOfScope("another URI"));
    if let Some(hash) = container.strip_prefix("hash:") {
        // RFC 6920 3, the segment form: algorithm, semicolon, base64url.
        let hash = hash.strip_prefix("sha-256;").and_then(base64::decode_url);
        let hash = hash.ok_or_else(|| Refusal::malformed(NAME, "has no hash by sha-256"))?;
        let is_ours = digest(&SHA256, uri.as_bytes()).as_ref() == hash;
        return if is_ours { Ok(UrlSpace::Url(url.to_owned())) } else { other };
    }
    if let Some(pattern) = container.strip_prefix("regex:") {
        let regex = keys.memo.whole_regex(NAME, pattern)?;
        return if regex.is_match(&uri) { Ok(UrlSpace::ThisRequest) } else { other };
    }
    Err(Refusal::Unsupported("this kind of cdniuc".to_owned()))
}

/// Section 3: the next token, if the claims ask for one and we can sign.
fn renew(
    claims: &Claims,
    keys: &KeySet,
    found: &Found<'_>,
    request: &RequestParts<'_>,
    circumstances: &Circumstances,
) -> Result<Option<Renewal>, Refusal> {
    let seconds = claims.number("cdniets")?;
    let transport = claims.number("cdnistt")?.unwrap_or(0);
    let depth = claims.number("cdnistd")?.unwrap_or(0);
    if transport > 2 || depth > SEGMENTS_MAX {
        return Err(Refusal::Unsupported("this cdnistt or cdnistd".to_owned()));
    }
    // 2.1.12: both or neither.
    let seconds = match (seconds, transport) {
        (None, 0) => return Ok(None),
        (Some(seconds), 1 | 2) => seconds,
        _ => return Err(Refusal::malformed("cdniets", "and cdnistt don't stand together")),
    };
    let Some(key) = keys.renewing(circumstances.now) else {
        return Ok(None);
    };
    let token = next_token(claims, circumstances.now.saturating_add(seconds), key);
    let token = token.map_err(|_| Refusal::Unsupported("renewal with this key".to_owned()))?;
    Ok(Some(if transport == 1 {
        let path = cookie_path(&found.target, depth);
        let secure = if request.scheme == "https" { "; Secure" } else { "" };
        Renewal::Cookie(format!(
            "{PACKAGE}={token}; Path={path}; Max-Age={seconds}; HttpOnly{secure}"
        ))
    } else {
        let separator = if found.target.contains('?') { '&' } else { '?' };
        Renewal::Target(format!("{}{separator}{PACKAGE}={token}", found.target))
    }))
}

/// The same claims with another end: a renewed token is renewable like the first one.
fn next_token(claims: &Claims, expires_at: u64, key: &SigningKey) -> Result<String, SignError> {
    let mut next = claims.clone();
    next.set("exp", Value::from(expires_at));
    jose::sign(next.to_json().as_bytes(), key)
}

/// `cdnistd` (2.1.14): that many segments of the path, or all hosts' paths at 0.
fn cookie_path(target: &str, segments: u64) -> String {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let segments = usize::try_from(segments).unwrap_or(usize::MAX);
    let path: Vec<_> = path.split('/').skip(1).take(segments).collect();
    // A semicolon or comma would end the attribute.
    let path: String = path.join("/").replace(';', "%3B").replace(',', "%2C");
    format!("/{path}")
}

pub(super) fn sign(
    UriSigningOptions { .. }: &UriSigningOptions,
    request: &SignRequest<'_>,
    key: &SigningKey,
) -> Result<Signed, SignError> {
    let refuse = |is_asked, what, cure| SignRequest::refuse("uri-signing", is_asked, what, cure);
    refuse(request.is_once, "tokens for one request", "use cat")?;
    refuse(request.sha1, "SHA-1", "leave it out")?;
    refuse(request.carrier == Carrier::Header, "headers", "use query, path or cookie")?;
    refuse(request.client.is_some(), "client addresses", "leave them out: they need encryption")?;
    let url = request.absolute_url()?;
    let token = jose::sign(claims_of(request, url)?.to_json().as_bytes(), key)?;
    let mut signed = Signed { url: request.url.to_owned(), ..Signed::default() };
    match request.carrier {
        Carrier::Cookie => signed.cookies.push((PACKAGE.to_owned(), token)),
        Carrier::Path => {
            // Behind the prefix, so that all relative URLs inherit it, also those that leave the
            // folder; else in front of the last segment.
            let prefix = request.prefix()?.map(|prefix| prefix.target.path.len());
            let path = url.target.path;
            let slash = prefix.map_or_else(|| path.rfind('/').unwrap_or(0), |len| len - 1);
            let query = url.target.query.map_or_else(String::new, |query| format!("?{query}"));
            let (folder, rest) = path.split_at(slash);
            signed.url = format!("{}{folder}/{PACKAGE}={token}{rest}{query}", url.origin());
        }
        Carrier::Query | Carrier::Header => signed.url = url.with(&format!("{PACKAGE}={token}")),
    }
    Ok(signed)
}

fn claims_of(request: &SignRequest<'_>, url: AbsoluteUrl<'_>) -> Result<Claims, SignError> {
    let mut claims = Claims::default();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            claims.set(name, value);
        }
    };
    if let Some(renewal) = request.renewal {
        let cure = "leave it out: every answer brings a token";
        let is_early = renewal.before_end_seconds.is_some();
        SignRequest::refuse("uri-signing", is_early, "a time before the end", cure)?;
        set("cdniets", Some(renewal.seconds.into()));
        set("cdnistt", Some(if request.carrier == Carrier::Cookie { 1 } else { 2 }.into()));
    }
    set("exp", Some(request.expires_at.into()));
    set("nbf", request.starts_at.map(Value::from));
    set("iss", request.issuer.map(Value::from));
    set("aud", request.audience.map(Value::from));
    set("jti", request.token_id.map(Value::from));
    set("cdniuc", Some(container(request, url)?.into()));
    Ok(claims)
}

fn container(request: &SignRequest<'_>, url: AbsoluteUrl<'_>) -> Result<String, SignError> {
    let fail = |problem| SignError::Url { url: request.url.to_owned(), problem };
    if request.space == SignedSpace::ThisUrl {
        let uri = format!("{}{}", url.origin(), url.target.without(&[]));
        let uri = normalise(&uri).ok_or_else(|| fail("has no normal form"))?;
        let hash = base64::encode_url(digest(&SHA256, uri.as_bytes()).as_ref());
        return Ok(format!("hash:sha-256;{hash}"));
    }
    let pattern = request.pattern()?.unwrap_or_default();
    Ok(format!("regex:{}", expression(&pattern)))
}

/// A pattern as an expression that POSIX and Rust read alike.
fn expression(pattern: &str) -> String {
    let mut expression = String::with_capacity(pattern.len() + 16);
    for character in pattern.chars() {
        match character {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            _ => {
                if r"\.+()[]{}|^$".contains(character) {
                    expression.push('\\');
                }
                expression.push(character);
            }
        }
    }
    expression
}
