//! What is to be signed, for every format alike.

use super::key_file::signing_key_file;
use super::pattern::IpPrefix;
use super::refusal::SignError;
use super::request::{Target, is_authority};
use super::{Scheme, pattern};

/// What a token shall open, and how it travels.
#[derive(Clone, Copy, Debug)]
pub struct SignRequest<'a> {
    /// The absolute URL that the viewer opens first.
    pub url: &'a str,
    pub space: SignedSpace<'a>,
    /// Seconds since 1970.
    pub starts_at: Option<u64>,
    pub expires_at: u64,
    pub client: Option<IpPrefix>,
    pub carrier: Carrier,
    /// A session's or the token's id.
    pub token_id: Option<&'a str>,
    pub issuer: Option<&'a str>,
    pub audience: Option<&'a str>,
    /// SHA-1 where the format has it: what CloudFront takes by default, and old Akamai tokens.
    pub sha1: bool,
    pub renewal: Option<RenewalRequest>,
    /// The token opens one request. Needs an id.
    pub is_once: bool,
}

impl<'a> SignRequest<'a> {
    /// A URL on its own, in its query, by SHA-256.
    pub fn new(url: &'a str, expires_at: u64) -> Self {
        Self {
            url,
            space: SignedSpace::ThisUrl,
            starts_at: None,
            expires_at,
            client: None,
            carrier: Carrier::Query,
            token_id: None,
            issuer: None,
            audience: None,
            sha1: false,
            renewal: None,
            is_once: false,
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignedSpace<'a> {
    ThisUrl,
    /// An absolute URL that the opened ones begin with; it ends in a slash.
    Prefix(&'a str),
    /// An absolute URL with `*` and `?`.
    Pattern(&'a str),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Carrier {
    Query,
    /// Inside the path, so that relative URLs inherit the token.
    Path,
    Cookie,
    Header,
}

/// How a token renews itself.
#[derive(Clone, Copy, Debug)]
pub struct RenewalRequest {
    /// What a renewed token lives.
    pub seconds: u64,
    /// Renewal begins this long before the end. Formats without such a field renew each time.
    pub before_end_seconds: Option<u64>,
}

/// What the viewer sends.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Signed {
    /// The URL to open, with the token if that travels in it.
    pub url: String,
    pub cookies: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
}

/// Signs with a format by its name and a key as its file holds it: PEM, JSON Web Key, hexadecimal
/// or base64. This is all that a command line needs.
pub fn sign_with_key_file(
    scheme: &str,
    key_id: &str,
    key_file: &[u8],
    request: &SignRequest<'_>,
) -> Result<Signed, SignError> {
    let scheme = Scheme::from_name(scheme)?;
    let key = signing_key_file(key_id, key_file)?;
    scheme.sign(request, &key)
}

/// An absolute URL in three pieces.
#[derive(Clone, Copy, Debug)]
pub(super) struct AbsoluteUrl<'a> {
    pub scheme: &'a str,
    pub authority: &'a str,
    pub target: Target<'a>,
    text: &'a str,
}

impl<'a> AbsoluteUrl<'a> {
    pub(super) fn parse(url: &'a str) -> Result<Self, SignError> {
        let fail = |problem| SignError::Url { url: url.to_owned(), problem };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| fail("is not absolute"))?;
        if !matches!(scheme, "http" | "https") {
            return Err(fail("is neither http nor https"));
        }
        let slash = rest.find('/').ok_or_else(|| fail("has no path"))?;
        let (authority, target) = rest.split_at(slash);
        if !is_authority(authority) {
            return Err(fail("has no host that can be used"));
        }
        let target = Target::parse(target).map_err(|_| {
            fail("has a path that could be read in two ways, or a forbidden character")
        })?;
        Ok(Self { scheme, authority, target, text: url })
    }

    pub(super) fn origin(self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    pub(super) fn text(self) -> &'a str {
        self.text
    }

    /// The URL with more parameters.
    pub(super) fn with(self, parameters: &str) -> String {
        let separator = if self.target.query.is_some() { '&' } else { '?' };
        format!("{}{separator}{parameters}", self.text)
    }
}

impl SignRequest<'_> {
    pub(super) fn absolute_url(&self) -> Result<AbsoluteUrl<'_>, SignError> {
        AbsoluteUrl::parse(self.url)
    }

    /// The prefix, if one is to be signed, in pieces.
    pub(super) fn prefix(&self) -> Result<Option<AbsoluteUrl<'_>>, SignError> {
        let SignedSpace::Prefix(prefix) = self.space else {
            return Ok(None);
        };
        if !prefix.ends_with('/') || prefix.contains('?') {
            return Err(SignError::Url {
                url: prefix.to_owned(),
                problem: "is no prefix: it ends in a slash, so that /a/ does not open /ab",
            });
        }
        if !self.url.starts_with(prefix) {
            return Err(SignError::Url {
                url: self.url.to_owned(),
                problem: "does not begin with the prefix that is signed",
            });
        }
        AbsoluteUrl::parse(prefix).map(Some)
    }

    /// What the space is as a pattern with `*` and `?`, if it is no URL on its own.
    pub(super) fn pattern(&self) -> Result<Option<String>, SignError> {
        let pattern = match self.space {
            SignedSpace::ThisUrl => return Ok(None),
            SignedSpace::Prefix(prefix) => {
                self.prefix()?;
                format!("{prefix}*")
            }
            SignedSpace::Pattern(pattern) => pattern.to_owned(),
        };
        let is_printable = pattern.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        if !is_printable || pattern::check_wildcard("the pattern", &pattern).is_err() {
            return Err(SignError::Url { url: pattern, problem: "is no pattern that can be used" });
        }
        if !pattern::wildcard_matches(&pattern, self.url) {
            return Err(SignError::Url {
                url: self.url.to_owned(),
                problem: "does not match the pattern that is signed",
            });
        }
        Ok(Some(pattern))
    }

    /// Refuses what a format has no field for.
    pub(super) fn refuse(
        scheme: &'static str,
        is_asked: bool,
        what: &'static str,
        cure: &'static str,
    ) -> Result<(), SignError> {
        if is_asked { Err(SignError::NotExpressible { scheme, what, cure }) } else { Ok(()) }
    }
}
