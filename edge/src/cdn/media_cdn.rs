//! Google Media CDN signed requests, by Ed25519.
//!
//! ```text
//! one URL   URL?Expires=…&KeyName=…                                 &Signature=…
//! prefix    URL?…&URLPrefix=base64&Expires=…&KeyName=…              &Signature=…
//! path      scheme://host/a/edge-cache-token=Expires=…&KeyName=…    &Signature=…/rest
//! cookie    Edge-Cache-Cookie=URLPrefix=base64:Expires=…:KeyName=…  :Signature=…
//! ```
//!
//! The signature goes over what stands before it: the whole URL in the first and third form, the
//! fields alone in the others. The path form opens everything below `/a/`, and relative URLs inherit
//! it. Signatures and prefixes may have their padding or not. A prefix names scheme and host in full;
//! as Media CDN has it, what follows is compared character by character, so it should end in a slash.

use http::Method;

use super::base64;
use super::grant::{Grant, Replay, UrlSpace, digest};
use super::keys::{Algorithm, KeySet};
use super::refusal::{Refusal, SignError};
use super::request::{CMCD, Circumstances, RequestParts, Target, check_length, parse_seconds};
use super::sign::{Carrier, SignRequest, Signed, SignedSpace};
use super::signing_key::SigningKey;

const PREFIX: &str = "URLPrefix";
const EXPIRES: &str = "Expires";
const KEY_NAME: &str = "KeyName";
const SIGNATURE: &str = "Signature";
pub(super) const NAMES: [&str; 4] = [PREFIX, EXPIRES, KEY_NAME, SIGNATURE];
const COOKIE: &str = "Edge-Cache-Cookie";
const COMPONENT: &str = "/edge-cache-token=";

/// How Media CDN's format is used.
#[derive(Clone, Debug, Default)]
pub struct MediaCdnOptions {}

/// A token, what its signature goes over, and what is left of the request.
struct Token<'a> {
    fields: Fields<'a>,
    message: String,
    /// What the path form opens.
    path_prefix: Option<String>,
    target: String,
    is_cookie: bool,
}

struct Fields<'a> {
    prefix: Option<&'a str>,
    expires: &'a str,
    key_name: &'a str,
    signature: &'a str,
    /// Fields in front of the signature, with their separators.
    signed: &'a str,
}

pub(super) fn verify(
    MediaCdnOptions {}: &MediaCdnOptions,
    request: &RequestParts<'_>,
    keys: &KeySet,
    circumstances: &Circumstances,
) -> Result<Grant, Refusal> {
    if ![Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method) {
        return Err(Refusal::OutOfScope("another method"));
    }
    let target = Target::parse(request.target)?;
    let token = match in_path(request, target)? {
        Some(token) => token,
        None => match in_query(request, target)? {
            Some(token) => token,
            None => in_cookie(request, target)?,
        },
    };
    let fields = &token.fields;
    let expires_at = parse_seconds(EXPIRES, fields.expires)?;
    check_length(SIGNATURE, fields.signature)?;
    let signature = base64::decode_url_any_padding(fields.signature)
        .ok_or_else(|| Refusal::malformed(SIGNATURE, "is no base64 for URLs"))?;
    let now = circumstances.now;
    keys.verify(fields.key_name, Algorithm::Ed25519, token.message.as_bytes(), &signature, now)?;

    circumstances.check_times(None, expires_at)?;
    let url = format!("{}{}", request.origin(), token.target);
    let space = match (fields.prefix, token.path_prefix) {
        (Some(encoded), _) => UrlSpace::Prefix(check_prefix(encoded, &url, request)?),
        (None, Some(prefix)) => UrlSpace::Prefix(prefix),
        (None, None) => UrlSpace::Url(url),
    };
    Ok(Grant {
        space,
        expires_at,
        signed: digest(fields.key_name, token.message.as_bytes()),
        key_id: fields.key_name.to_owned(),
        token_id: None,
        cookies: if token.is_cookie { vec![COOKIE.to_owned()] } else { Vec::new() },
        target: token.target,
        headers: Vec::new(),
        replay: Replay::Permitted,
        renewal: None,
    })
}

/// `[URLPrefix=]Expires=KeyName=Signature=` in this order, each once, nothing between.
fn parse_fields(text: &str, separator: char) -> Result<Fields<'_>, Refusal> {
    let wrong = || Refusal::malformed("the token", "has other fields, or in another order");
    check_length("the token", text)?;
    let (signed, signature) = text.rsplit_once(separator).ok_or_else(wrong)?;
    let mut rest = signed.split(separator).peekable();
    let mut take = |name: &str| {
        let piece = rest.peek().copied()?;
        let value = piece.strip_prefix(name)?.strip_prefix('=')?;
        rest.next();
        Some(value)
    };
    let prefix = take(PREFIX);
    let expires = take(EXPIRES).ok_or_else(wrong)?;
    let key_name = take(KEY_NAME).ok_or_else(wrong)?;
    let signature = signature.strip_prefix("Signature=").ok_or_else(wrong)?;
    if rest.next().is_some() {
        return Err(wrong());
    }
    Ok(Fields { prefix, expires, key_name, signature, signed })
}

fn in_path<'a>(
    request: &RequestParts<'a>,
    target: Target<'a>,
) -> Result<Option<Token<'a>>, Refusal> {
    let Some((before, after)) = target.path.split_once(COMPONENT) else {
        return Ok(None);
    };
    if after.contains(COMPONENT) {
        return Err(Refusal::Duplicate("edge-cache-token"));
    }
    let (component, rest) = after.split_once('/').unwrap_or((after, ""));
    let fields = parse_fields(component, '&')?;
    if fields.prefix.is_some() {
        return Err(Refusal::malformed(PREFIX, "stands in a path"));
    }
    let path_prefix = format!("{}{before}/", request.origin());
    let message = format!("{}{before}{COMPONENT}{}", request.origin(), fields.signed);
    let path = format!("{before}/{rest}");
    let target = Target { path: &path, query: target.query }.without(&[]);
    Ok(Some(Token { fields, message, path_prefix: Some(path_prefix), target, is_cookie: false }))
}

fn in_query<'a>(
    request: &RequestParts<'a>,
    target: Target<'a>,
) -> Result<Option<Token<'a>>, Refusal> {
    for name in NAMES {
        target.parameter(name)?;
    }
    if target.parameter(SIGNATURE)?.is_none() {
        return Ok(None);
    }
    let query = target.query.unwrap_or_default();
    let first = if target.parameter(PREFIX)?.is_some() { PREFIX } else { EXPIRES };
    let start =
        find_parameter(query, first).ok_or_else(|| Refusal::malformed(EXPIRES, "is missing"))?;
    let tail = &query[start..];
    let signature_at = find_parameter(tail, SIGNATURE)
        .ok_or_else(|| Refusal::malformed(SIGNATURE, "stands in front of other fields"))?;
    let end = tail[signature_at..].find('&').map_or(tail.len(), |len| signature_at + len);
    let fields = parse_fields(&tail[..end], '&')?;
    let clean = target.without(&NAMES);
    let message = if fields.prefix.is_some() {
        fields.signed.to_owned()
    } else {
        // Only what a player adds may follow: anything else would be a part of the URL that is not
        // signed.
        let is_cmcd = |piece: &str| piece.split('=').next() == Some(CMCD);
        if !tail[end..].split('&').filter(|piece| !piece.is_empty()).all(is_cmcd) {
            return Err(Refusal::malformed(SIGNATURE, "is not the last parameter"));
        }
        let separator = if clean.contains('?') { '&' } else { '?' };
        format!("{}{clean}{separator}{}", request.origin(), fields.signed)
    };
    Ok(Some(Token { fields, message, path_prefix: None, target: clean, is_cookie: false }))
}

/// Where a parameter begins.
fn find_parameter(query: &str, name: &str) -> Option<usize> {
    let mut at = 0;
    for piece in query.split('&') {
        if piece.split_once('=').is_some_and(|(known, _)| known == name) {
            return Some(at);
        }
        at += piece.len() + 1;
    }
    None
}

fn in_cookie<'a>(request: &RequestParts<'a>, target: Target<'a>) -> Result<Token<'a>, Refusal> {
    let cookie = request.cookie(COOKIE)?.ok_or(Refusal::Missing)?;
    let fields = parse_fields(cookie, ':')?;
    if fields.prefix.is_none() {
        return Err(Refusal::malformed(PREFIX, "is missing"));
    }
    let message = fields.signed.to_owned();
    Ok(Token { fields, message, path_prefix: None, target: target.without(&[]), is_cookie: true })
}

fn check_prefix(encoded: &str, url: &str, request: &RequestParts<'_>) -> Result<String, Refusal> {
    let prefix = base64::decode_url_any_padding(encoded);
    let prefix = prefix.and_then(|prefix| String::from_utf8(prefix).ok());
    let prefix = prefix.ok_or_else(|| Refusal::malformed(PREFIX, "is no base64 for URLs"))?;
    // `https://cdn.example` must not open `https://cdn.example.org`.
    let path = prefix.strip_prefix(&request.origin());
    let is_inside = path.is_some_and(|path| path.is_empty() || path.starts_with('/'));
    if is_inside && url.starts_with(&prefix) {
        return Ok(prefix);
    }
    Err(Refusal::OutOfScope("another URL"))
}

pub(super) fn sign(request: &SignRequest<'_>, key: &SigningKey) -> Result<Signed, SignError> {
    let refuse = |is_asked, what, cure| SignRequest::refuse("media-cdn", is_asked, what, cure);
    refuse(request.is_once, "tokens for one request", "use cat")?;
    refuse(request.starts_at.is_some(), "a start", "leave it out")?;
    refuse(request.client.is_some(), "client addresses", "leave them out")?;
    refuse(request.carrier == Carrier::Header, "headers", "use query, path or cookie")?;
    refuse(request.renewal.is_some(), "renewal", "sign anew before the end")?;
    refuse(request.sha1, "SHA-1", "leave it out")?;
    let is_named =
        request.token_id.is_some() || request.issuer.is_some() || request.audience.is_some();
    refuse(is_named, "ids, issuers and audiences", "leave them out")?;
    let is_pattern = matches!(request.space, SignedSpace::Pattern(_));
    refuse(is_pattern, "patterns", "sign a prefix")?;

    let url = request.absolute_url()?;
    let prefix = request.prefix()?.map(|prefix| prefix.text());
    if url.target.parameters().any(|(name, _)| NAMES.contains(&name)) {
        let problem = "has a parameter that Media CDN keeps for itself";
        return Err(SignError::Url { url: request.url.to_owned(), problem });
    }
    let signature = |message: &str| {
        key.sign(Algorithm::Ed25519, message.as_bytes()).map(|bytes| base64::encode_url(&bytes))
    };
    let fields = |separator: char| {
        format!("{EXPIRES}={}{separator}{KEY_NAME}={}", request.expires_at, key.id())
    };
    let with_prefix = |prefix: &str, separator: char| {
        let prefix = base64::encode_url(prefix.as_bytes());
        format!("{PREFIX}={prefix}{separator}{}", fields(separator))
    };
    let needs_prefix =
        |what| SignError::NotExpressible { scheme: "media-cdn", what, cure: "sign a prefix" };
    let mut signed = Signed { url: request.url.to_owned(), ..Signed::default() };
    match (request.carrier, prefix) {
        (Carrier::Cookie, Some(prefix)) => {
            let message = with_prefix(prefix, ':');
            let value = format!("{message}:{SIGNATURE}={}", signature(&message)?);
            signed.cookies.push((COOKIE.to_owned(), value));
        }
        (Carrier::Path, Some(prefix)) => {
            let message = format!("{}{COMPONENT}{}", prefix.trim_end_matches('/'), fields('&'));
            let rest = &request.url[prefix.len()..];
            signed.url = format!("{message}&{SIGNATURE}={}/{rest}", signature(&message)?);
        }
        (Carrier::Cookie | Carrier::Path, None) => {
            return Err(needs_prefix("one URL on its own here"));
        }
        (_, Some(prefix)) => {
            let message = with_prefix(prefix, '&');
            signed.url = url.with(&format!("{message}&{SIGNATURE}={}", signature(&message)?));
        }
        (_, None) => {
            let message = url.with(&fields('&'));
            signed.url = format!("{message}&{SIGNATURE}={}", signature(&message)?);
        }
    }
    Ok(signed)
}
