//! The CDNs' own tokens at the door: which are taken here, with which keys, and for which addresses.
//!
//! Verifying is `edge::cdn`'s. Here the configuration becomes schemes and keys, a request is shown
//! to each scheme, and what no verifier can know is added: whether the session was revoked, whether
//! the token was shown before, and what of a renewed token goes into the answer ([`after`]).

mod after;
mod carried;
mod keys;
mod replay;

use std::net::{IpAddr, Ipv4Addr};

use edge::cdn::{Circumstances, Grant, KeySet, Policy, Refusal, Replay, RequestParts, Scheme};
use http::{Request, Version, header};
use platform::config::{Carry, CdnScheme, Config, web_origin};
use platform::http::Connection;
use platform::url_token::Revocations;

pub use after::{Afterwards, Credentials};
pub use carried::CarriedBody;
pub use keys::{scheme_of, signing_key};
pub use replay::Replays;

/// What the configuration says of CDN tokens.
pub struct CdnTokens {
    schemes: Vec<Configured>,
    policy: Policy,
    addresses: Vec<Address>,
    cookie_origins: Vec<String>,
}

/// A scheme that has keys here.
struct Configured {
    name: CdnScheme,
    scheme: Scheme,
    keys: KeySet,
}

/// An address that viewers use: `https` and `cdn.example.org`.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Address {
    /// Both in one, as requests are compared.
    origin: String,
    scheme: String,
    authority: String,
    /// Whether tokens in a query go on into what a manifest leads to.
    is_carrying: bool,
}

/// A request with a token that opens it.
#[derive(Debug)]
pub struct Verified {
    pub scheme: CdnScheme,
    pub grant: Grant,
    /// `https://cdn.example.org`, as the grant's URLs begin.
    pub origin: String,
    /// The token as it stood in the query, for what a manifest leads to.
    pub token_query: Option<String>,
    /// The same, of the renewed token.
    pub renewed_query: Option<String>,
    /// Whether this token has been shown before, where that is counted and not refused.
    pub is_repeated: bool,
}

/// Where a request was sent to, as its viewer sees it.
struct Origin {
    scheme: String,
    authority: String,
    is_carrying: bool,
    /// Whether it is one of ours, where any are configured.
    is_known: bool,
}

/// What a verdict depends on beside request and keys.
pub struct Ledgers<'a> {
    pub revoked: &'a Revocations,
    pub replays: &'a Replays,
    /// The request came in early data, and may come again.
    pub came_early: bool,
}

impl CdnTokens {
    /// # Errors
    /// When a key can't be read, or is of a kind that its scheme doesn't take.
    pub fn from_config(config: &Config) -> anyhow::Result<Self> {
        let mut schemes = Vec::new();
        for name in CdnScheme::ALL {
            let keys = keys::key_set(config, name)?;
            if !keys.is_empty() {
                schemes.push(Configured { name, scheme: scheme_of(config, name)?, keys });
            }
        }
        let lifetime = config.cdn.lifetime_seconds_max;
        Ok(Self {
            schemes,
            policy: Policy { lifetime_seconds_max: Some(lifetime), ..Policy::default() },
            addresses: addresses(config),
            cookie_origins: config.cdn.cookie_origins.clone(),
        })
    }

    /// For a server that asks for no tokens.
    pub fn none() -> Self {
        Self {
            schemes: Vec::new(),
            policy: Policy::default(),
            addresses: Vec::new(),
            cookie_origins: Vec::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.schemes.is_empty()
    }

    /// Whether `target`, as it was sent, may be answered.
    ///
    /// # Errors
    /// What is wrong with the token that came nearest to opening it.
    pub fn verify(
        &self,
        request: &Request<()>,
        target: &str,
        client: Option<IpAddr>,
        ledgers: &Ledgers<'_>,
        now: u64,
    ) -> Result<Verified, Refusal> {
        let origin = self.origin_of(request);
        let mut nearest = Refusal::Missing;
        for configured in &self.schemes {
            let verdict = configured.verify(self.policy, request, target, &origin, client, now);
            let verdict = verdict.and_then(|verified| ledgers.check(configured, verified, now));
            match verdict {
                Ok(verified) => return Ok(verified),
                Err(refusal) if nearness(&nearest) < nearness(&refusal) => nearest = refusal,
                Err(_) => {}
            }
        }
        Err(nearest)
    }

    /// The page that sent the request, if it may send cookies along.
    pub fn credentials(&self, headers: &http::HeaderMap) -> Option<Credentials> {
        if self.cookie_origins.is_empty() {
            return None;
        }
        let origin = headers.get(header::ORIGIN)?;
        let is_known =
            self.cookie_origins.iter().any(|known| known.as_bytes() == origin.as_bytes());
        is_known.then(|| Credentials::new(origin.clone(), headers))
    }

    fn origin_of(&self, request: &Request<()>) -> Origin {
        let is_encrypted =
            request.extensions().get::<Connection>().is_some_and(|known| known.is_encrypted);
        let scheme = if is_encrypted { "https" } else { "http" };
        let authority = match request.uri().authority() {
            Some(authority) => authority.as_str(),
            None => {
                let host = request.headers().get(header::HOST);
                host.and_then(|host| host.to_str().ok()).unwrap_or_default()
            }
        };
        let named = ["http", "https"].map(|scheme| web_origin(&format!("{scheme}://{authority}")));
        let is_named = |address: &&Address| named.iter().flatten().any(|it| *it == address.origin);
        let mut known = self.addresses.iter().filter(is_named);
        let first = known.clone().next();
        // TLS may end in front of us, so that the address says what the connection can't.
        let known = known.find(|address| address.scheme == scheme).or(first);
        match known {
            Some(Address { scheme, authority, is_carrying, .. }) => Origin {
                scheme: scheme.clone(),
                authority: authority.clone(),
                is_carrying: *is_carrying,
                is_known: true,
            },
            None => Origin {
                scheme: scheme.to_owned(),
                authority: named[usize::from(is_encrypted)]
                    .as_ref()
                    .and_then(|origin| Some(origin.split_once("://")?.1.to_owned()))
                    .unwrap_or_default(),
                is_carrying: false,
                is_known: self.addresses.is_empty(),
            },
        }
    }
}

/// How near a refused token came: one that was signed rightly tells more than one that wasn't.
fn nearness(refusal: &Refusal) -> u8 {
    match refusal {
        Refusal::Missing => 0,
        Refusal::Expired { .. } => 3,
        Refusal::NotYetValid { .. } | Refusal::OutOfScope(_) => 2,
        Refusal::TooEarly => 4,
        _ => 1,
    }
}

/// The addresses of the configuration. A token names one; which of them are ours, a viewer doesn't
/// choose by a `Host` header.
fn addresses(config: &Config) -> Vec<Address> {
    let deliveries = config.delivery.iter().map(|delivery| (&delivery.base_url, delivery.carry));
    let public = config.media.public_url.iter().map(|url| (url, Carry::Path));
    let mut addresses: Vec<Address> = Vec::new();
    for (url, carry) in deliveries.chain(public) {
        // Of an address with a path, the host counts.
        let end = url.find("://").map_or(0, |at| at + 3);
        let end = url[end..].find('/').map_or(url.len(), |len| end + len);
        let Some(origin) = web_origin(&url[..end]) else { continue };
        let Some((scheme, authority)) = origin.split_once("://") else { continue };
        let (scheme, authority) = (scheme.to_owned(), authority.to_owned());
        if addresses.iter().any(|known| known.origin == origin) {
            continue;
        }
        addresses.push(Address { origin, scheme, authority, is_carrying: carry == Carry::Query });
    }
    addresses
}

impl Configured {
    fn verify(
        &self,
        policy: Policy,
        request: &Request<()>,
        target: &str,
        origin: &Origin,
        client: Option<IpAddr>,
        now: u64,
    ) -> Result<Verified, Refusal> {
        // Akamai's tokens name paths alone.
        if !origin.is_known && self.name != CdnScheme::Akamai {
            return match self.verify_at(policy, request, target, origin, client, now) {
                Err(Refusal::Missing) => Err(Refusal::Missing),
                _ => Err(Refusal::Target("is of a host that no [[delivery]] names")),
            };
        }
        self.verify_at(policy, request, target, origin, client, now)
    }

    fn verify_at(
        &self,
        policy: Policy,
        request: &Request<()>,
        target: &str,
        origin: &Origin,
        client: Option<IpAddr>,
        now: u64,
    ) -> Result<Verified, Refusal> {
        let alpn: &[u8] = match request.version() {
            Version::HTTP_2 => b"h2",
            Version::HTTP_3 => b"h3",
            _ => b"http/1.1",
        };
        let parts = RequestParts {
            method: request.method(),
            scheme: &origin.scheme,
            authority: &origin.authority,
            target,
            headers: request.headers(),
            alpn: Some(alpn),
            country: None,
        };
        let circumstances = Circumstances {
            now,
            // An unknown address lies in no network that anyone would name.
            client_address: client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            policy,
        };
        let grant = self.scheme.verify(&parts, &self.keys, &circumstances)?;
        let token_query = self.scheme.token_query(target).filter(|_| {
            // What a token for one URL would be carried to, it doesn't open.
            origin.is_carrying && !matches!(grant.space, edge::cdn::UrlSpace::Url(_))
        });
        let renewed_query = match &grant.renewal {
            Some(edge::cdn::Renewal::Target(target)) => self.scheme.token_query(target),
            _ => None,
        };
        Ok(Verified {
            scheme: self.name,
            grant,
            origin: format!("{}://{}", origin.scheme, origin.authority),
            token_query,
            renewed_query,
            is_repeated: false,
        })
    }
}

impl Ledgers<'_> {
    /// What was written down about sessions and tokens. The replay comes last: only a token that
    /// opens its target is used up, also when a limit turns the request away afterwards.
    fn check(
        &self,
        configured: &Configured,
        mut verified: Verified,
        now: u64,
    ) -> Result<Verified, Refusal> {
        let grant = &verified.grant;
        let Some(token_id) = &grant.token_id else {
            return Ok(verified);
        };
        let names = configured.scheme.session_names(token_id);
        if names.iter().any(|name| self.revoked.is_revoked(name, now)) {
            return Err(Refusal::Revoked);
        }
        if grant.replay == Replay::Permitted {
            return Ok(verified);
        }
        if self.came_early && grant.replay == Replay::Prohibited {
            return Err(Refusal::TooEarly);
        }
        let is_first = self.replays.is_first(&grant.key_id, token_id, grant.expires_at, now);
        match (grant.replay, is_first) {
            (Replay::Prohibited, Ok(true)) => {}
            // One that can't be remembered could be shown again.
            (Replay::Prohibited, _) => return Err(Refusal::Replayed),
            (_, is_first) => verified.is_repeated = is_first == Ok(false),
        }
        Ok(verified)
    }
}
