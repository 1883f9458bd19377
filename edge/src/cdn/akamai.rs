//! Akamai Auth Token 2.0.
//!
//! ```text
//! ip=…~st=…~exp=…~acl=…~id=…~data=…~hmac=…     each but `exp` and `hmac` may be missing
//! ```
//!
//! The MAC goes over what stands before `~hmac=`, then `~url=` and the URL if there is no `acl`, then
//! `~salt=` and the salt if the deployment has one. The key is the secret's bytes, which Akamai writes
//! in hexadecimal. With `escape_early` values are percent-encoded before, with lower-case digits and
//! `+` for a space. An `acl` lists path patterns between `!`.
//!
//! `id` and `data` may hold `~` and `=`, so the MAC is the last `~hmac=`, and it is computed over the
//! bytes as sent. A URL token opens its path with any query, or its path with exactly the query that
//! was signed. MD5 tokens are refused, SHA-1 is off unless switched on.

use http::HeaderName;

use super::base64;
use super::grant::{Grant, Replay, UrlSpace, digest};
use super::keys::{Algorithm, KeySet};
use super::pattern::{IpPrefix, check_wildcard, wildcard_matches};
use super::refusal::{Refusal, SignError};
use super::request::{Circumstances, RequestParts, Target, check_length, parse_seconds};
use super::sign::{Carrier, SignRequest, Signed};
use super::signing_key::SigningKey;

/// Patterns in one `acl`.
const PATTERNS_MAX: usize = 32;
/// Fields in the order of the token.
const FIELDS: [&str; 6] = ["ip", "st", "exp", "acl", "id", "data"];

/// How a deployment uses the tokens.
#[derive(Clone, Debug)]
pub struct AkamaiOptions {
    /// Names of the query parameter. New tokens have the first.
    pub parameters: Vec<&'static str>,
    /// Names of the cookie, likewise.
    pub cookies: Vec<&'static str>,
    pub header: Option<HeaderName>,
    pub salt: Option<String>,
    pub escape_early: bool,
    /// Takes tokens with HMAC-SHA-1 besides.
    pub sha1: bool,
}

impl Default for AkamaiOptions {
    fn default() -> Self {
        Self {
            parameters: vec!["hdnts", "__token__"],
            cookies: vec!["hdntl", "__token__"],
            header: None,
            salt: None,
            escape_early: false,
            sha1: false,
        }
    }
}

pub(super) fn verify(
    options: &AkamaiOptions,
    request: &RequestParts<'_>,
    keys: &KeySet,
    circumstances: &Circumstances,
) -> Result<Grant, Refusal> {
    let target = Target::parse(request.target)?;
    let (token, carrier) = find(options, request, target)?;
    check_length("the token", token)?;
    let (signed, mac) = token
        .rsplit_once("~hmac=")
        .ok_or_else(|| Refusal::malformed("the token", "has no hmac"))?;
    let algorithm = match mac.len() {
        64 => Algorithm::HmacSha256,
        40 if options.sha1 => Algorithm::HmacSha1,
        40 => return Err(Refusal::malformed("hmac", "is SHA-1, which is off")),
        32 => return Err(Refusal::malformed("hmac", "is MD5")),
        _ => return Err(Refusal::malformed("hmac", "has a wrong length")),
    };
    // Lower case alone, so that one token has one spelling.
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let mac = Some(mac).filter(|mac| mac.bytes().all(is_hex)).and_then(base64::decode_hex);
    let mac = mac.ok_or_else(|| Refusal::malformed("hmac", "is not hexadecimal"))?;

    let fields = Fields::parse(signed)?;
    let clean = target.without(&options.parameters);
    let urls = if fields.acl.is_some() { vec![None] } else { signed_urls(&clean) };
    let mut key_id = Err(Refusal::Signature);
    for url in urls {
        let message = message(options, signed, url);
        key_id = keys.verify_any(algorithm, message.as_bytes(), &mac, circumstances.now);
        if key_id.is_ok() {
            break;
        }
    }
    let key_id = key_id?.to_owned();

    let (space, expires_at) = check(options, &fields, &clean, request, circumstances)?;
    Ok(Grant {
        space,
        expires_at,
        signed: digest(&key_id, signed.as_bytes()),
        key_id,
        token_id: fields.id.map(|id| options.plain(id)),
        target: clean,
        cookies: if carrier == Carrier::Cookie { owned(&options.cookies) } else { Vec::new() },
        headers: match &options.header {
            Some(header) if carrier == Carrier::Header => vec![header.as_str().to_owned()],
            _ => Vec::new(),
        },
        replay: Replay::Permitted,
        renewal: None,
    })
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn find<'a>(
    options: &AkamaiOptions,
    request: &RequestParts<'a>,
    target: Target<'a>,
) -> Result<(&'a str, Carrier), Refusal> {
    let mut found = None;
    for &name in &options.parameters {
        if let Some(value) = target.parameter(name)?
            && found.replace((value, Carrier::Query)).is_some()
        {
            return Err(Refusal::Duplicate("the token"));
        }
    }
    if found.is_none()
        && let Some(header) = &options.header
    {
        found = request.header(header.as_str())?.map(|value| (value, Carrier::Header));
    }
    for &name in &options.cookies {
        if found.is_none() {
            found = request.cookie(name)?.map(|value| (value, Carrier::Cookie));
        }
    }
    found.ok_or(Refusal::Missing)
}

#[derive(Default)]
struct Fields<'a> {
    ip: Option<&'a str>,
    st: Option<&'a str>,
    exp: Option<&'a str>,
    acl: Option<&'a str>,
    id: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// Fields stand in one order, each once. What follows `id` or `data` and is no later field
    /// belongs to that value.
    fn parse(signed: &'a str) -> Result<Self, Refusal> {
        let mut values: [Option<&str>; FIELDS.len()] = [None; FIELDS.len()];
        let mut open: Option<(usize, usize)> = None;
        let mut at = 0;
        for piece in signed.split('~') {
            let field = piece.split_once('=').and_then(|(name, _)| {
                let index = FIELDS.iter().position(|&field| field == name)?;
                open.is_none_or(|(last, _)| last < index).then_some(index)
            });
            match (field, open) {
                (Some(index), _) => {
                    let value_at = at + FIELDS[index].len() + 1;
                    open = Some((index, value_at));
                    values[index] = Some(&signed[value_at..at + piece.len()]);
                }
                (None, Some((index, value_at))) if index >= 4 => {
                    values[index] = Some(&signed[value_at..at + piece.len()]);
                }
                _ => return Err(Refusal::malformed("the token", "has fields out of order")),
            }
            at += piece.len() + 1;
        }
        let [ip, st, exp, acl, id, _] = values;
        Ok(Self { ip, st, exp, acl, id })
    }
}

/// What a URL token may have been made for: path and query, or the path alone.
fn signed_urls(clean: &str) -> Vec<Option<&str>> {
    match clean.split_once('?') {
        Some((path, _)) => vec![Some(clean), Some(path)],
        None => vec![Some(clean)],
    }
}

fn message(options: &AkamaiOptions, signed: &str, url: Option<&str>) -> String {
    let mut message = signed.to_owned();
    if let Some(url) = url {
        message.push_str("~url=");
        message.push_str(&options.escaped(url));
    }
    if let Some(salt) = &options.salt {
        message.push_str("~salt=");
        message.push_str(salt);
    }
    message
}

fn check(
    options: &AkamaiOptions,
    fields: &Fields<'_>,
    clean: &str,
    request: &RequestParts<'_>,
    circumstances: &Circumstances,
) -> Result<(UrlSpace, u64), Refusal> {
    let starts_at = fields.st.map(|text| parse_seconds("st", text)).transpose()?;
    let expires_at = fields.exp.ok_or_else(|| Refusal::malformed("exp", "is missing"))?;
    let expires_at = parse_seconds("exp", expires_at)?;
    circumstances.check_times(starts_at, expires_at)?;
    if let Some(ip) = fields.ip {
        let prefix = options.plain(ip).parse::<IpPrefix>().ok();
        let prefix = prefix.filter(|prefix| prefix.is_one_address());
        let prefix = prefix.ok_or_else(|| Refusal::malformed("ip", "is no address"))?;
        if !prefix.contains(circumstances.client_address) {
            return Err(Refusal::OutOfScope("another client address"));
        }
    }
    let Some(acl) = fields.acl else {
        return Ok((UrlSpace::Url(format!("{}{clean}", request.origin())), expires_at));
    };
    let acl = options.plain(acl);
    let patterns: Vec<String> = acl.split('!').map(str::to_owned).collect();
    if patterns.len() > PATTERNS_MAX {
        return Err(Refusal::malformed("acl", "has too many patterns"));
    }
    for pattern in &patterns {
        check_wildcard("acl", pattern)?;
    }
    let path = clean.split_once('?').map_or(clean, |(path, _)| path);
    if !patterns.iter().any(|pattern| wildcard_matches(pattern, path)) {
        return Err(Refusal::OutOfScope("another path"));
    }
    Ok((UrlSpace::PathPatterns(patterns), expires_at))
}

impl AkamaiOptions {
    fn escaped(&self, text: &str) -> String {
        if !self.escape_early {
            return text.to_owned();
        }
        let mut escaped = String::with_capacity(text.len());
        for byte in text.bytes() {
            match byte {
                b' ' => escaped.push('+'),
                _ if byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) => {
                    escaped.push(char::from(byte));
                }
                _ => {
                    escaped.push('%');
                    escaped.push_str(&base64::encode_hex(&[byte]));
                }
            }
        }
        escaped
    }

    /// The reverse. What is no escape stays as it is; that the token is ours has been checked.
    fn plain(&self, text: &str) -> String {
        if !self.escape_early {
            return text.to_owned();
        }
        let mut plain = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            let digits = after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
            let decoded = digits.filter(|_| byte == b'%').and_then(base64::decode_hex);
            rest = if decoded.is_some() { &after[2..] } else { after };
            plain.push(match (decoded, byte) {
                (Some(decoded), _) => decoded[0],
                (None, b'+') => b' ',
                (None, byte) => byte,
            });
        }
        String::from_utf8_lossy(&plain).into_owned()
    }

    /// A token of these fields, in their order. `url` is for tokens without `acl`.
    pub(super) fn token(
        &self,
        fields: &[(&str, &str)],
        url: Option<&str>,
        algorithm: Algorithm,
        key: &SigningKey,
    ) -> Result<String, SignError> {
        let written: Vec<_> = fields
            .iter()
            .map(|(name, value)| match *name {
                "st" | "exp" => format!("{name}={value}"),
                _ => format!("{name}={}", self.escaped(value)),
            })
            .collect();
        let signed = written.join("~");
        let mac = key.sign(algorithm, message(self, &signed, url).as_bytes())?;
        Ok(format!("{signed}~hmac={}", base64::encode_hex(&mac)))
    }
}

pub(super) fn sign(
    options: &AkamaiOptions,
    request: &SignRequest<'_>,
    key: &SigningKey,
) -> Result<Signed, SignError> {
    let refuse = |is_asked, what, cure| SignRequest::refuse("akamai", is_asked, what, cure);
    refuse(request.is_once, "tokens for one request", "use cat")?;
    refuse(request.carrier == Carrier::Path, "tokens in paths", "use query, cookie or header")?;
    refuse(request.renewal.is_some(), "renewal", "sign anew before the end")?;
    let is_named = request.issuer.is_some() || request.audience.is_some();
    refuse(is_named, "issuers and audiences", "leave them out")?;
    let is_network = request.client.is_some_and(|client| !client.is_one_address());
    refuse(is_network, "a network of clients", "give one address, or none")?;

    let url = request.absolute_url()?;
    let acl = acl(request, &url.origin())?;
    let (st, exp) = (request.starts_at.map(|st| st.to_string()), request.expires_at.to_string());
    let ip = request.client.map(|client| client.address().to_string());
    let fields: Vec<(&str, &str)> = [
        ("ip", ip.as_deref()),
        ("st", st.as_deref()),
        ("exp", Some(exp.as_str())),
        ("acl", acl.as_deref()),
        ("id", request.token_id),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    let is_writable = |byte: u8| byte.is_ascii_graphic() && !b"&;#\"".contains(&byte);
    let id = options.escaped(request.token_id.unwrap_or_default());
    refuse(!id.bytes().all(is_writable), "such an id", "use letters, digits, - and _")?;
    refuse(id.contains("~data=") || id.contains("~hmac="), "such an id", "leave out the ~")?;

    let path_and_query = url.target.without(&[]);
    let signed_url = acl.is_none().then_some(path_and_query.as_str());
    let algorithm = if request.sha1 { Algorithm::HmacSha1 } else { Algorithm::HmacSha256 };
    let token = options.token(&fields, signed_url, algorithm, key)?;
    let missing = |what, cure| SignError::NotExpressible { scheme: "akamai", what, cure };
    let mut signed = Signed { url: request.url.to_owned(), ..Signed::default() };
    match request.carrier {
        Carrier::Cookie => {
            let name = options.cookies.first();
            let name = name.ok_or_else(|| missing("cookies", "configure a cookie's name"))?;
            signed.cookies.push(((*name).to_owned(), token));
        }
        Carrier::Header => {
            let name = options.header.as_ref();
            let name = name.ok_or_else(|| missing("headers", "configure a header's name"))?;
            signed.headers.push((name.to_string(), token));
        }
        Carrier::Query | Carrier::Path => {
            let name = options.parameters.first();
            let name = name.ok_or_else(|| missing("queries", "configure a parameter's name"))?;
            signed.url = url.with(&format!("{name}={token}"));
        }
    }
    Ok(signed)
}

/// The path of a pattern that lies on the URL's own host.
fn acl(request: &SignRequest<'_>, origin: &str) -> Result<Option<String>, SignError> {
    let Some(pattern) = request.pattern()? else {
        return Ok(None);
    };
    let path = pattern.strip_prefix(origin).filter(|path| path.starts_with('/'));
    let path = path.filter(|path| !path.contains(['!', '~', '&', ';', '#']));
    match path {
        Some(path) => Ok(Some(path.to_owned())),
        None => Err(SignError::Url {
            url: pattern.clone(),
            problem: "is no pattern of paths on the URL's own host, or has one of ! ~ & ; #",
        }),
    }
}
