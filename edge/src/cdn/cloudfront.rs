//! Amazon CloudFront signed URLs and signed cookies.
//!
//! ```text
//! canned   url[?query]  Expires  Key-Pair-Id  Signature  [Hash-Algorithm=SHA256]
//! custom   url[?query]  Policy   Key-Pair-Id  Signature  [Hash-Algorithm=SHA256]
//! cookies  the same names behind `CloudFront-`
//! ```
//!
//! Signed is a policy: of a canned one the text is known but for URL and time, so it isn't sent; a
//! custom one is sent in base64 with `+`, `=`, `/` as `-`, `_`, `~`. RSA signatures are PKCS #1 v1.5,
//! those of P-256 are DER; both over SHA-1, or over SHA-256 where `Hash-Algorithm` says so. The key
//! decides which of the two curves it is, never the request.
//!
//! Where we differ: CMCD is taken off before the URL is compared, since players add it afterwards; a
//! canned cookie opens the URL that is asked for, as CloudFront has it; a policy with a condition that
//! is not known is refused.

use serde::Deserialize;

use super::base64;
use super::grant::{Grant, Replay, UrlSpace, digest};
use super::keys::{Algorithm, KeySet};
use super::pattern::{IpPrefix, check_wildcard, wildcard_matches};
use super::refusal::{Refusal, SignError};
use super::request::{Circumstances, RequestParts, Target, check_length, parse_seconds};
use super::sign::{Carrier, SignRequest, Signed};
use super::signing_key::SigningKey;

const EXPIRES: &str = "Expires";
const POLICY: &str = "Policy";
const SIGNATURE: &str = "Signature";
const KEY_PAIR_ID: &str = "Key-Pair-Id";
const HASH_ALGORITHM: &str = "Hash-Algorithm";
pub(super) const NAMES: [&str; 5] = [EXPIRES, POLICY, SIGNATURE, KEY_PAIR_ID, HASH_ALGORITHM];
const COOKIES: [&str; 5] = [
    "CloudFront-Expires",
    "CloudFront-Policy",
    "CloudFront-Signature",
    "CloudFront-Key-Pair-Id",
    "CloudFront-Hash-Algorithm",
];

/// How CloudFront's format is used.
#[derive(Clone, Debug)]
pub struct CloudFrontOptions {
    /// SHA-1 is what CloudFront takes unless a URL says otherwise. Collisions can be made for it, so
    /// whoever lets others choose parts of a policy turns it off.
    pub sha1: bool,
}

impl Default for CloudFrontOptions {
    fn default() -> Self {
        Self { sha1: true }
    }
}

/// The fields of one token, from the query or from cookies.
struct Token<'a> {
    expires: Option<&'a str>,
    policy: Option<&'a str>,
    signature: &'a str,
    key_id: &'a str,
    hash: Option<&'a str>,
    is_cookie: bool,
}

pub(super) fn verify(
    options: &CloudFrontOptions,
    request: &RequestParts<'_>,
    keys: &KeySet,
    circumstances: &Circumstances,
) -> Result<Grant, Refusal> {
    let target = Target::parse(request.target)?;
    let token = find(request, target)?;
    let clean = if token.is_cookie { target.without(&[]) } else { target.without(&NAMES) };
    let url = format!("{}{clean}", request.origin());

    let (policy, canned_expiry) = match (token.policy, token.expires) {
        (Some(policy), None) => {
            check_length(POLICY, policy)?;
            let policy = base64::decode_cloudfront(policy);
            (policy.ok_or_else(|| Refusal::malformed(POLICY, "is no base64 of this kind"))?, None)
        }
        (None, Some(expires)) => {
            let expires_at = parse_seconds(EXPIRES, expires)?;
            // As written, so that one policy has one spelling.
            (canned_policy(&url, expires).into_bytes(), Some(expires_at))
        }
        (Some(_), Some(_)) => return Err(Refusal::malformed(POLICY, "stands beside Expires")),
        (None, None) => return Err(Refusal::malformed(POLICY, "and Expires are both missing")),
    };
    let algorithm = algorithm(options, &token, keys, circumstances.now)?;
    check_length(SIGNATURE, token.signature)?;
    let signature = base64::decode_cloudfront(token.signature)
        .ok_or_else(|| Refusal::malformed(SIGNATURE, "is no base64 of this kind"))?;
    keys.verify(token.key_id, algorithm, &policy, &signature, circumstances.now)?;

    let (space, expires_at) = match canned_expiry {
        Some(expires_at) => {
            circumstances.check_times(None, expires_at)?;
            (UrlSpace::Url(url), expires_at)
        }
        None => check_policy(&policy, &url, circumstances)?,
    };
    Ok(Grant {
        space,
        expires_at,
        signed: digest(token.key_id, &policy),
        key_id: token.key_id.to_owned(),
        token_id: None,
        target: clean,
        cookies: if token.is_cookie { COOKIES.map(str::to_owned).to_vec() } else { Vec::new() },
        headers: Vec::new(),
        replay: Replay::Permitted,
        renewal: None,
    })
}

/// A URL that has any of the names is a signed URL; cookies are not asked then.
fn find<'a>(request: &RequestParts<'a>, target: Target<'a>) -> Result<Token<'a>, Refusal> {
    let in_query = [POLICY, SIGNATURE, KEY_PAIR_ID];
    let is_cookie = !target.parameters().any(|(name, _)| in_query.contains(&name));
    let mut found = [None; NAMES.len()];
    for (index, value) in found.iter_mut().enumerate() {
        *value = if is_cookie {
            request.cookie(COOKIES[index])?
        } else {
            target.parameter(NAMES[index])?
        };
    }
    let [expires, policy, signature, key_id, hash] = found;
    if is_cookie && found.iter().all(Option::is_none) {
        return Err(Refusal::Missing);
    }
    let signature = signature.ok_or_else(|| Refusal::malformed(SIGNATURE, "is missing"))?;
    let key_id = key_id.ok_or_else(|| Refusal::malformed(KEY_PAIR_ID, "is missing"))?;
    Ok(Token { expires, policy, signature, key_id, hash, is_cookie })
}

fn algorithm(
    options: &CloudFrontOptions,
    token: &Token<'_>,
    keys: &KeySet,
    now: u64,
) -> Result<Algorithm, Refusal> {
    let is_sha256 = match token.hash {
        Some("SHA256") => true,
        None | Some("SHA1") if options.sha1 => false,
        None | Some("SHA1") => return Err(Refusal::malformed(HASH_ALGORITHM, "is SHA-1")),
        Some(_) => return Err(Refusal::malformed(HASH_ALGORITHM, "is neither SHA1 nor SHA256")),
    };
    Ok(match (keys.is_elliptic(token.key_id, now), is_sha256) {
        (false, false) => Algorithm::RsaSha1,
        (false, true) => Algorithm::RsaSha256,
        (true, false) => Algorithm::EcdsaP256Sha1Der,
        (true, true) => Algorithm::EcdsaP256Sha256Der,
    })
}

/// A URL here has neither `"` nor `\`, so nothing in it needs an escape.
fn canned_policy(url: &str, expires: &str) -> String {
    format!(
        r#"{{"Statement":[{{"Resource":"{url}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires}}}}}}}]}}"#
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyDocument {
    #[serde(rename = "Statement")]
    statement: [Statement; 1],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Resource")]
    resource: String,
    #[serde(rename = "Condition")]
    condition: Condition,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    #[serde(rename = "DateLessThan")]
    before: EpochTime,
    #[serde(rename = "DateGreaterThan")]
    after: Option<EpochTime>,
    #[serde(rename = "IpAddress")]
    address: Option<SourceIp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EpochTime {
    #[serde(rename = "AWS:EpochTime")]
    seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceIp {
    #[serde(rename = "AWS:SourceIp")]
    prefix: String,
}

fn check_policy(
    policy: &[u8],
    url: &str,
    circumstances: &Circumstances,
) -> Result<(UrlSpace, u64), Refusal> {
    let document: PolicyDocument = serde_json::from_slice(policy).map_err(|_| {
        Refusal::malformed(POLICY, "is no policy, or has conditions that are not known")
    })?;
    let [Statement { resource, condition }] = document.statement;
    circumstances
        .check_times(condition.after.map(|time| time.seconds), condition.before.seconds)?;
    if let Some(SourceIp { prefix }) = condition.address {
        let prefix: IpPrefix =
            prefix.parse().map_err(|problem| Refusal::malformed("AWS:SourceIp", problem))?;
        if !prefix.contains(circumstances.client_address) {
            return Err(Refusal::OutOfScope("another client address"));
        }
    }
    check_wildcard("Resource", &resource)?;
    if !wildcard_matches(&resource, url) {
        return Err(Refusal::OutOfScope("another URL"));
    }
    Ok((UrlSpace::Pattern(resource), condition.before.seconds))
}

pub(super) fn sign(request: &SignRequest<'_>, key: &SigningKey) -> Result<Signed, SignError> {
    let refuse = |is_asked, what, cure| SignRequest::refuse("cloudfront", is_asked, what, cure);
    refuse(request.is_once, "tokens for one request", "use cat")?;
    let is_header = matches!(request.carrier, Carrier::Header | Carrier::Path);
    refuse(is_header, "this carrier", "use the query or cookies")?;
    refuse(request.renewal.is_some(), "renewal", "sign anew before the end")?;
    let is_named =
        request.token_id.is_some() || request.issuer.is_some() || request.audience.is_some();
    refuse(is_named, "ids, issuers and audiences", "leave them out")?;

    let url = request.absolute_url()?;
    if url.target.parameters().any(|(name, _)| NAMES.contains(&name)) {
        let problem = "has a parameter that CloudFront keeps for itself";
        return Err(SignError::Url { url: request.url.to_owned(), problem });
    }
    let expires = request.expires_at.to_string();
    let pattern = request.pattern()?;
    let is_custom = pattern.is_some() || request.starts_at.is_some() || request.client.is_some();
    let policy = if is_custom {
        custom_policy(request, pattern.as_deref().unwrap_or(request.url))
    } else {
        canned_policy(request.url, &expires)
    };
    let algorithm = match (key.is_elliptic(), request.sha1) {
        (false, true) => Algorithm::RsaSha1,
        (false, false) => Algorithm::RsaSha256,
        (true, true) => Algorithm::EcdsaP256Sha1Der,
        (true, false) => Algorithm::EcdsaP256Sha256Der,
    };
    let signature = base64::encode_cloudfront(&key.sign(algorithm, policy.as_bytes())?);
    let first = if is_custom {
        (POLICY, base64::encode_cloudfront(policy.as_bytes()))
    } else {
        (EXPIRES, expires)
    };
    let mut fields = vec![first, (KEY_PAIR_ID, key.id().to_owned()), (SIGNATURE, signature)];
    if !request.sha1 {
        fields.push((HASH_ALGORITHM, "SHA256".to_owned()));
    }
    Ok(match request.carrier {
        Carrier::Cookie => Signed {
            url: request.url.to_owned(),
            cookies: fields
                .into_iter()
                .map(|(name, value)| (format!("CloudFront-{name}"), value))
                .collect(),
            headers: Vec::new(),
        },
        _ => {
            let fields: Vec<_> =
                fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
            Signed { url: url.with(&fields.join("&")), ..Signed::default() }
        }
    })
}

fn custom_policy(request: &SignRequest<'_>, resource: &str) -> String {
    let mut conditions =
        vec![format!(r#""DateLessThan":{{"AWS:EpochTime":{}}}"#, request.expires_at)];
    if let Some(starts_at) = request.starts_at {
        conditions.push(format!(r#""DateGreaterThan":{{"AWS:EpochTime":{starts_at}}}"#));
    }
    if let Some(client) = request.client {
        conditions.push(format!(r#""IpAddress":{{"AWS:SourceIp":"{client}"}}"#));
    }
    let conditions = conditions.join(",");
    let resource = serde_json::Value::from(resource);
    format!(r#"{{"Statement":[{{"Resource":{resource},"Condition":{{{conditions}}}}}]}}"#)
}
