//! Common Access Token (CTA-5007): a CWT (RFC 8392) in a header, a cookie or the query.
//!
//! | label | claim | what is done with it |
//! |-------|-------|----------------------|
//! | 1–7   | iss, sub, aud, exp, nbf, iat, cti | checked; sub and iat are carried on |
//! | 308   | catreplay | handed to the caller, who counts; needs cti |
//! | 310   | catv | 1 |
//! | 311   | catnip | addresses and prefixes; AS numbers match nobody |
//! | 312   | catu | each named component, by each comparison |
//! | 313–315 | catm, catalpn, cath | compared |
//! | 316   | catgeoiso3166 | compared, where the country is known |
//! | 323   | catr | the next token, in a cookie, a header or a redirect |
//!
//! Every other claim is refused, unless the deployment lists it as ignored: what restricts must not be
//! passed over. Node's `@eyevinn/cat` writes hashes as hexadecimal text; the specification's type is
//! bytes, and that is what is read here.

mod cbor;
mod cose;
mod renewal;
mod rules;

use super::base64;
use super::grant::{Grant, Replay, UrlSpace, digest};
use super::keys::KeySet;
use super::refusal::{Refusal, SignError};
use super::request::{Circumstances, RequestParts, Target};
use super::sign::{AbsoluteUrl, Carrier, SignRequest, Signed, SignedSpace};
use super::signing_key::SigningKey;
use cbor::Cbor;

const ISS: i64 = 1;
const SUB: i64 = 2;
const AUD: i64 = 3;
const EXP: i64 = 4;
const NBF: i64 = 5;
const IAT: i64 = 6;
const CTI: i64 = 7;
const CATREPLAY: i64 = 308;
const CATV: i64 = 310;
const CATNIP: i64 = 311;
const CATU: i64 = 312;
const CATM: i64 = 313;
const CATALPN: i64 = 314;
const CATH: i64 = 315;
const CATGEOISO3166: i64 = 316;
const CATR: i64 = 323;

/// The header and the cookie that CTA-5007 names.
const HEADER: &str = "cta-common-access-token";

/// How a deployment uses the tokens.
#[derive(Clone, Debug)]
pub struct CatOptions {
    pub header: &'static str,
    pub cookie: &'static str,
    pub parameter: &'static str,
    /// Tokens have to come from this issuer.
    pub issuer: Option<String>,
    /// Who we are in `aud`. Without it, tokens that name an audience are refused.
    pub audience: Option<String>,
    /// Labels of claims that are passed over although nothing is done with them.
    pub ignored: Vec<i64>,
}

impl Default for CatOptions {
    fn default() -> Self {
        Self {
            header: HEADER,
            cookie: HEADER,
            parameter: "CAT",
            issuer: None,
            audience: None,
            ignored: Vec::new(),
        }
    }
}

/// Reads bytes as the CBOR of a token, and writes them in the preferred form: the door that fuzzing
/// knocks at.
pub fn rewrite_cbor(bytes: &[u8]) -> Option<Vec<u8>> {
    Cbor::parse(bytes).ok().map(|item| item.encode())
}

pub(super) fn verify(
    options: &CatOptions,
    request: &RequestParts<'_>,
    keys: &KeySet,
    circumstances: &Circumstances,
) -> Result<Grant, Refusal> {
    let target = Target::parse(request.target)?;
    let (token, carrier) = find(options, request, target)?;
    let verified = cose::verify(token, keys, circumstances.now)?;
    let claims = Cbor::parse(&verified.payload)
        .map_err(|_| Refusal::malformed("the token", "has claims that can't be read"))?;
    let clean = target.without(&[options.parameter]);
    let expires_at = check_claims(options, &claims, circumstances)?;
    check_rules(&claims, request, &clean, keys, circumstances)?;

    let token_id = claims.member(CTI).map(|id| {
        id.as_bytes()
            .map(base64::encode_hex)
            .ok_or_else(|| Refusal::malformed("cti", "is no bytes"))
    });
    let token_id = token_id.transpose()?;
    let replay = match claims.member(CATREPLAY).map(Cbor::as_int) {
        None | Some(Some(0)) => Replay::Permitted,
        // Without an id nobody could tell one token from another.
        Some(Some(1 | 2)) if token_id.is_none() => {
            return Err(Refusal::malformed("catreplay", "stands without cti"));
        }
        Some(Some(1)) => Replay::Prohibited,
        Some(Some(2)) => Replay::Detected,
        Some(_) => return Err(Refusal::Unsupported("this catreplay".to_owned())),
    };
    let renewal = renewal::renew(options, &claims, expires_at, keys, &clean, circumstances)?;
    let carried =
        |kind, name: &str| if carrier == kind { vec![name.to_owned()] } else { Vec::new() };
    Ok(Grant {
        space: UrlSpace::ThisRequest,
        expires_at,
        signed: digest(&verified.key_id, &verified.payload),
        key_id: verified.key_id,
        token_id,
        target: clean,
        cookies: carried(Carrier::Cookie, options.cookie),
        headers: carried(Carrier::Header, options.header),
        replay,
        renewal,
    })
}

fn find<'a>(
    options: &CatOptions,
    request: &RequestParts<'a>,
    target: Target<'a>,
) -> Result<(&'a str, Carrier), Refusal> {
    if let Some(token) = request.header(options.header)? {
        return Ok((token, Carrier::Header));
    }
    if let Some(token) = target.parameter(options.parameter)? {
        return Ok((token, Carrier::Query));
    }
    let token = request.cookie(options.cookie)?;
    token.map(|token| (token, Carrier::Cookie)).ok_or(Refusal::Missing)
}

/// Everything but the rules about the request. Returns the end.
fn check_claims(
    options: &CatOptions,
    claims: &Cbor,
    circumstances: &Circumstances,
) -> Result<u64, Refusal> {
    let understood = [
        ISS,
        SUB,
        AUD,
        EXP,
        NBF,
        IAT,
        CTI,
        CATREPLAY,
        CATV,
        CATNIP,
        CATU,
        CATM,
        CATALPN,
        CATH,
        CATGEOISO3166,
        CATR,
    ];
    let members = claims.as_map().ok_or_else(|| Refusal::malformed("the token", "has no map"))?;
    for (label, _) in members {
        match label {
            Cbor::Int(label) if understood.contains(label) || options.ignored.contains(label) => {}
            Cbor::Int(label) => return Err(Refusal::Unsupported(format!("claim {label}"))),
            _ => return Err(Refusal::Unsupported("a claim with a name".to_owned())),
        }
    }
    let expires_at = claims.member(EXP).ok_or_else(|| Refusal::malformed("exp", "is missing"))?;
    let expires_at = seconds("exp", expires_at)?;
    let starts_at = claims.member(NBF).map(|nbf| seconds("nbf", nbf)).transpose()?;
    circumstances.check_times(starts_at, expires_at)?;
    if claims.member(CATV).is_some_and(|version| *version != Cbor::Int(1)) {
        return Err(Refusal::Unsupported("this catv".to_owned()));
    }
    let issuer = claims.member(ISS).and_then(Cbor::as_text);
    if options.issuer.is_some() && issuer != options.issuer.as_deref() {
        return Err(Refusal::OutOfScope("another issuer"));
    }
    let is_us = |audience: &Cbor| {
        options.audience.is_some() && audience.as_text() == options.audience.as_deref()
    };
    let is_for_us = match claims.member(AUD) {
        None => true,
        Some(Cbor::Array(list)) => list.iter().any(is_us),
        Some(one) => is_us(one),
    };
    if is_for_us { Ok(expires_at) } else { Err(Refusal::OutOfScope("another audience")) }
}

/// A date: whole seconds, bare (RFC 8392 3.1.4) or, as some write it, in tag 1.
fn seconds(field: &'static str, value: &Cbor) -> Result<u64, Refusal> {
    const SECONDS_MAX: f64 = 1e12;
    let value = match value {
        Cbor::Tag(1, inner) => inner,
        value => value,
    };
    let number = match value {
        Cbor::Int(number) => u64::try_from(*number).ok(),
        Cbor::Float(number) => (0.0..=SECONDS_MAX).contains(number).then_some(*number as u64),
        _ => None,
    };
    let number = number.filter(|&number| number <= SECONDS_MAX as u64);
    number.ok_or_else(|| Refusal::malformed(field, "is no time in seconds"))
}

fn check_rules(
    claims: &Cbor,
    request: &RequestParts<'_>,
    target: &str,
    keys: &KeySet,
    circumstances: &Circumstances,
) -> Result<(), Refusal> {
    if let Some(claim) = claims.member(CATU) {
        rules::check_uri(claim, request, target, keys)?;
    }
    if let Some(claim) = claims.member(CATM) {
        rules::check_method(claim, request)?;
    }
    if let Some(claim) = claims.member(CATALPN) {
        rules::check_protocol(claim, request)?;
    }
    if let Some(claim) = claims.member(CATH) {
        rules::check_headers(claim, request, keys)?;
    }
    if let Some(claim) = claims.member(CATNIP) {
        rules::check_network(claim, circumstances.client_address)?;
    }
    if let Some(claim) = claims.member(CATGEOISO3166) {
        rules::check_country(claim, request.country)?;
    }
    Ok(())
}

pub(super) fn sign(
    options: &CatOptions,
    request: &SignRequest<'_>,
    key: &SigningKey,
) -> Result<Signed, SignError> {
    let refuse = |is_asked, what, cure| SignRequest::refuse("cat", is_asked, what, cure);
    refuse(request.sha1, "SHA-1", "leave it out")?;
    refuse(request.carrier == Carrier::Path, "tokens in paths", "use query, cookie or header")?;
    let is_nameless = request.is_once && request.token_id.is_none();
    refuse(is_nameless, "tokens for one request without an id", "give it one")?;
    let url = request.absolute_url()?;
    let token = cose::sign(&claims_of(request, url)?.encode(), key)?;
    let mut signed = Signed { url: request.url.to_owned(), ..Signed::default() };
    match request.carrier {
        Carrier::Cookie => signed.cookies.push((options.cookie.to_owned(), token)),
        Carrier::Header => signed.headers.push((options.header.to_owned(), token)),
        Carrier::Query | Carrier::Path => {
            signed.url = url.with(&format!("{}={token}", options.parameter));
        }
    }
    Ok(signed)
}

fn claims_of(request: &SignRequest<'_>, url: AbsoluteUrl<'_>) -> Result<Cbor, SignError> {
    let time = |seconds: u64| Cbor::Int(i64::try_from(seconds).unwrap_or(i64::MAX));
    let text = |text: &str| Cbor::Text(text.to_owned());
    let mut claims = Vec::new();
    let mut set = |label: i64, value: Option<Cbor>| {
        claims.extend(value.map(|value| (Cbor::Int(label), value)));
    };
    set(ISS, request.issuer.map(text));
    set(AUD, request.audience.map(text));
    set(EXP, Some(time(request.expires_at)));
    set(NBF, request.starts_at.map(time));
    set(CTI, request.token_id.map(|id| Cbor::Bytes(id.as_bytes().to_vec())));
    set(CATREPLAY, request.is_once.then_some(Cbor::Int(1)));
    set(CATV, Some(Cbor::Int(1)));
    set(CATNIP, request.client.map(|client| Cbor::Array(vec![rules::network(client)])));
    set(CATU, Some(uri_of(request, url)?));
    set(
        CATR,
        request.renewal.map(|renewal| {
            let by = match request.carrier {
                Carrier::Cookie => renewal::label::BY_COOKIE,
                Carrier::Header => renewal::label::BY_HEADER,
                Carrier::Query | Carrier::Path => renewal::label::BY_REDIRECT,
            };
            let mut members = vec![
                (Cbor::Int(renewal::label::KIND), Cbor::Int(by)),
                (Cbor::Int(renewal::label::SECONDS), time(renewal.seconds)),
            ];
            let before_end = renewal.before_end_seconds;
            members.extend(
                before_end.map(|seconds| (Cbor::Int(renewal::label::BEFORE_END), time(seconds))),
            );
            Cbor::Map(members)
        }),
    );
    Ok(Cbor::Map(claims))
}

/// Scheme and host exactly; the path exactly, by its beginning, or by an expression.
fn uri_of(request: &SignRequest<'_>, url: AbsoluteUrl<'_>) -> Result<Cbor, SignError> {
    let by =
        |kind: i64, value: &str| Cbor::Map(vec![(Cbor::Int(kind), Cbor::Text(value.to_owned()))]);
    let is_pattern = matches!(request.space, SignedSpace::Pattern(_));
    SignRequest::refuse("cat", is_pattern, "patterns", "sign a prefix")?;
    let (host, port) = match url.authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (url.authority, None),
    };
    let path = match request.prefix()? {
        Some(prefix) => by(1, prefix.target.path),
        None => by(0, url.target.path),
    };
    let mut components =
        vec![(Cbor::Int(0), by(0, url.scheme)), (Cbor::Int(1), by(0, &host.to_ascii_lowercase()))];
    components.extend(port.map(|port| (Cbor::Int(2), by(0, port))));
    components.push((Cbor::Int(3), path));
    if request.space == SignedSpace::ThisUrl {
        // Without CMCD, which players add.
        let clean = url.target.without(&[]);
        let query = clean.split_once('?').map_or("", |(_, query)| query);
        components.push((Cbor::Int(4), by(0, query)));
    }
    Ok(Cbor::Map(components))
}

/// A token with any payload, for tests.
#[cfg(test)]
pub(super) fn sign_payload(payload: &[u8], key: &SigningKey) -> String {
    cose::sign(payload, key).unwrap()
}

/// The same claims, read and signed again, for tests.
#[cfg(test)]
pub(super) fn reencode(token: &str, key: &SigningKey) -> String {
    let keys = KeySet::new(vec![key.verifying().unwrap()]);
    let payload = cose::verify(token, &keys, 0).unwrap().payload;
    cose::sign(&Cbor::parse(&payload).unwrap().encode(), key).unwrap()
}
