//! What keeps the media listener standing, in front of everything that costs something: rates of
//! addresses and sessions, and requests under way. The decisions are [`edge::limit`]'s; here lie
//! clocks, waiting, answers and counts.

mod gate;
mod refuse;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use edge::limit::{Rate, RateTable, Recent, Taken};
use http::header::{self, HeaderName, HeaderValue};
use http::{Request, Response};
use origin::body::MediaBody;
use platform::config::{self, Config, IpPrefix};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::access::TokenDigest;

pub use gate::Gate;
pub use refuse::Limited;

/// Carries a token of CTA-5007.
const COMMON_ACCESS_TOKEN: HeaderName = HeaderName::from_static("cta-common-access-token");

/// A token that was good is looked at for so long, however many bad ones its address shows.
const GOOD_TOKEN_LIFETIME: Duration = Duration::from_secs(600);

/// For so long after its last segment a session counts as one that plays: longer than the longest
/// buffer that players fill before they pause fetching.
const PLAYED_LIFETIME: Duration = Duration::from_secs(120);

/// Decides about requests for media. Clones share everything.
#[derive(Clone)]
pub struct Limits {
    shared: Arc<Shared>,
}

struct Shared {
    settings: RwLock<Arc<Settings>>,
    addresses: RateTable,
    sessions: RateTable,
    refused: RateTable,
    good_tokens: Recent,
    played: Recent,
    secret: RandomState,
    began: Instant,
    gate: Gate,
    limited: Family<LimitLabels, Counter>,
}

/// What changes when the configuration is read again.
struct Settings {
    address: Option<Rate>,
    session: Option<Rate>,
    refused: Option<Rate>,
    ipv4_bits: u8,
    ipv6_bits: u8,
    exempt: Vec<IpPrefix>,
    config: config::RateLimit,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct LimitLabels {
    limit: &'static str,
}

/// The network that a client's address counts as; `None` where no limit holds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Client(u128);

/// A token, by a keyed hash.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Token(u64);

/// What the requests of one playback have in common, as far as it is known.
#[derive(Clone, Copy, Debug, Hash)]
pub enum Playback<'a> {
    /// By its token: the session's id.
    Session(&'a str),
    /// By a token that names no session.
    Token(TokenDigest),
    /// As the player says, where there are no tokens.
    Said(&'a str),
    Client(Client),
}

impl Limits {
    pub fn new(config: &Config) -> Self {
        let keys = config.rate_limit.keys as usize;
        let shared = Shared {
            settings: RwLock::new(Arc::new(Settings::new(&config.rate_limit))),
            addresses: RateTable::new(keys),
            sessions: RateTable::new(keys),
            refused: RateTable::new(keys),
            good_tokens: Recent::new(keys, nanos(GOOD_TOKEN_LIFETIME)),
            played: Recent::new(keys, nanos(PLAYED_LIFETIME)),
            secret: RandomState::new(),
            began: Instant::now(),
            gate: Gate::new(&config.load),
            limited: Family::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Adopts another configuration; what was spent stays spent.
    pub fn reload(&self, config: &Config) {
        let settings = Arc::new(Settings::new(&config.rate_limit));
        *self.shared.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
        self.shared.gate.reload(&config.load);
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        let help = "Requests answered with 429, by the limit that was reached";
        registry.register("rate_limited", help, self.shared.limited.clone());
        self.shared.gate.register_metrics(registry);
    }

    pub fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    /// The limits as they are now, for one request.
    pub fn judge(&self) -> Judge {
        let settings = self.shared.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
        let now = nanos(self.shared.began.elapsed());
        Judge { shared: self.shared.clone(), settings, now }
    }
}

/// Decides about one request. It comes at one time, whatever it waits for.
pub struct Judge {
    shared: Arc<Shared>,
    settings: Arc<Settings>,
    now: u64,
}

impl Judge {
    /// What a client counts as.
    pub fn client(&self, address: Option<IpAddr>) -> Option<Client> {
        let settings = &self.settings;
        let address = address?.to_canonical();
        let is_exempt = settings.exempt.iter().any(|network| network.contains(address));
        (!is_exempt).then(|| Client(network(address, settings.ipv4_bits, settings.ipv6_bits)))
    }

    /// Counts a request of `client`.
    ///
    /// # Errors
    /// When it has asked for too much.
    pub fn take_address(&self, client: Option<Client>) -> Result<(), Limited> {
        let (settings, shared) = (&self.settings, &self.shared);
        let (Some(client), Some(rate)) = (client, settings.address) else { return Ok(()) };
        let taken = shared.addresses.take(&client, rate, self.now);
        let limit = ("address", settings.config.address_burst, settings.config.address_per_second);
        self.told(taken, limit)
    }

    /// Counts a request of a playback that a token vouches for; what a player says of itself could
    /// be different each time.
    ///
    /// # Errors
    /// When it has asked for too much.
    pub fn take_session(
        &self,
        client: Option<Client>,
        playback: Option<Playback<'_>>,
    ) -> Result<(), Limited> {
        let (settings, shared) = (&self.settings, &self.shared);
        let (Some(_), Some(rate)) = (client, settings.session) else { return Ok(()) };
        let Some(key @ (Playback::Session(_) | Playback::Token(_))) = playback else {
            return Ok(());
        };
        let taken = shared.sessions.take(&key, rate, self.now);
        let limit = ("session", settings.config.session_burst, settings.config.session_per_second);
        self.told(taken, limit)
    }

    /// Whether a token may be looked at: its verification costs the processor, whoever sends it.
    ///
    /// # Errors
    /// When `client` has shown too many that were nothing, and this one was not good of late.
    pub fn may_verify(&self, client: Option<Client>, token: Token) -> Result<(), Limited> {
        let (settings, shared) = (&self.settings, &self.shared);
        let (Some(client), Some(rate)) = (client, settings.refused) else { return Ok(()) };
        let now = self.now;
        let taken = shared.refused.look(&client, rate, now);
        if matches!(taken, Taken::Refused { .. }) && shared.good_tokens.contains(&token, now) {
            return Ok(());
        }
        let limit = ("refused", settings.config.refused_burst, settings.config.refused_per_second);
        self.told(taken, limit)
    }

    /// Notes what became of a token: it was good, or it was nothing at all. One that has expired or
    /// opens something else is neither.
    pub fn note_token(&self, client: Option<Client>, token: Token, is_good: bool) {
        let (settings, shared) = (&self.settings, &self.shared);
        let (Some(client), Some(rate)) = (client, settings.refused) else { return };
        if is_good {
            shared.good_tokens.note(&token, self.now);
        } else {
            shared.refused.take(&client, rate, self.now);
        }
    }

    /// The token of a request as it was sent, our own in front of the path or, with
    /// `takes_cdn_tokens`, whatever of the request may belong to one of a CDN: parts of the path with
    /// parameters, the query without CMCD, cookies, and the header of CTA-5007.
    pub fn token_in(&self, request: &Request<()>, takes_cdn_tokens: bool) -> Option<Token> {
        let path = request.uri().path();
        let first = path.strip_prefix('/')?.split('/').next()?;
        let is_token = first.starts_with('~')
            || first.get(..3).is_some_and(|mark| mark.eq_ignore_ascii_case("%7e"));
        if is_token {
            return Some(Token(self.shared.secret.hash_one(first)));
        }
        if !takes_cdn_tokens {
            return None;
        }
        let query = request.uri().query().unwrap_or_default().split('&');
        let of_query = query.filter(|pair| !pair.is_empty() && !pair.starts_with("CMCD="));
        let of_path = path.split('/').filter(|part| part.contains('='));
        let headers = [header::COOKIE, COMMON_ACCESS_TOKEN];
        let of_headers = headers.iter().flat_map(|name| request.headers().get_all(name));
        let parts = of_query.chain(of_path).map(str::as_bytes);
        let parts = parts.chain(of_headers.map(HeaderValue::as_bytes));
        let mut hasher = self.shared.secret.build_hasher();
        let mut is_any = false;
        for part in parts {
            part.hash(&mut hasher);
            is_any = true;
        }
        is_any.then(|| Token(hasher.finish()))
    }

    /// Whether segments of a playback were fetched of late.
    pub fn has_played(&self, playback: Option<Playback<'_>>) -> bool {
        playback.is_some_and(|playback| self.shared.played.contains(&playback, self.now))
    }

    /// Notes that a segment was answered.
    pub fn note_played(&self, playback: Option<Playback<'_>>) {
        if let Some(playback) = playback {
            self.shared.played.note(&playback, self.now);
        }
    }

    fn told(
        &self,
        taken: Taken,
        (limit, burst, per_second): (&'static str, u32, f64),
    ) -> Result<(), Limited> {
        let Taken::Refused { retry_after_nanos } = taken else { return Ok(()) };
        self.shared.limited.get_or_create(&LimitLabels { limit }).inc();
        Err(Limited { limit, burst, per_second, retry_after_nanos })
    }
}

impl Settings {
    fn new(config: &config::RateLimit) -> Self {
        Self {
            address: Rate::new(config.address_per_second, config.address_burst),
            session: Rate::new(config.session_per_second, config.session_burst),
            refused: Rate::new(config.refused_per_second, config.refused_burst),
            ipv4_bits: config.ipv4_bits,
            ipv6_bits: config.ipv6_bits,
            exempt: config.exempt.clone(),
            config: config.clone(),
        }
    }
}

/// The first bits of an address. Those of IPv4 lie where IPv6 maps them (RFC 4291 2.5.5.2).
fn network(address: IpAddr, ipv4_bits: u8, ipv6_bits: u8) -> u128 {
    let (address, bits): (Ipv6Addr, u8) = match address {
        IpAddr::V4(address) => (address.to_ipv6_mapped(), 96 + ipv4_bits),
        IpAddr::V6(address) => (address, ipv6_bits),
    };
    let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
    address.to_bits() & mask
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl From<Limited> for Response<MediaBody> {
    fn from(limited: Limited) -> Self {
        limited.answer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(keys: &[(&str, &str)]) -> Limits {
        let flags = keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let sources = config::Sources { flags: flags.collect(), ..config::Sources::default() };
        Limits::new(&Config::load(&sources).expect("the keys are right").config)
    }

    #[test]
    fn one_address_does_not_starve_another() {
        let limits =
            limits(&[("rate_limit.address_burst", "3"), ("rate_limit.address_per_second", "0.01")]);
        let client = |text: &str| limits.judge().client(Some(text.parse().expect("an address")));
        for _ in 0..3 {
            assert!(limits.judge().take_address(client("203.0.113.1")).is_ok());
        }
        assert!(limits.judge().take_address(client("203.0.113.1")).is_err());
        assert!(
            limits.judge().take_address(client("::ffff:203.0.113.1")).is_err(),
            "the same address"
        );
        assert!(limits.judge().take_address(client("203.0.113.2")).is_ok());
        // A /64 is one household.
        for host in 1..4 {
            assert!(limits.judge().take_address(client(&format!("2001:db8::{host}"))).is_ok());
        }
        assert!(limits.judge().take_address(client("2001:db8::ffff")).is_err());
        assert!(limits.judge().take_address(client("2001:db8:0:1::1")).is_ok());
        assert_eq!(
            (client("127.0.0.9"), client("::1"), limits.judge().client(None)),
            (None, None, None)
        );
    }

    fn asked(target: &str) -> Request<()> {
        Request::get(target).body(()).expect("a request")
    }

    #[test]
    fn a_cdn_token_is_the_same_on_every_file() {
        let limits = limits(&[]);
        let judge = limits.judge();
        let token = |target: &str| judge.token_in(&asked(target), true);
        let first = token("/vod/film/master.m3u8?hdnts=exp=1~hmac=ab");
        assert!(first.is_some());
        assert_eq!(first, token("/vod/film/v1/7.m4s?CMCD=bl%3D1&hdnts=exp=1~hmac=ab"));
        assert_ne!(first, token("/vod/film/v1/7.m4s?hdnts=exp=1~hmac=ac"));
        let of_path = token("/edge-cache-token=Expires=1&Signature=x/vod/film/v1/7.m4s");
        assert!(of_path.is_some());
        assert_eq!(of_path, token("/edge-cache-token=Expires=1&Signature=x/vod/film/master.m3u8"));
        let mut with_cookie = asked("/vod/film/master.m3u8");
        assert_eq!(judge.token_in(&with_cookie, true), None);
        let cookie = HeaderValue::from_static("CloudFront-Signature=x");
        with_cookie.headers_mut().insert(header::COOKIE, cookie);
        assert!(judge.token_in(&with_cookie, true).is_some());
        assert_eq!(judge.token_in(&with_cookie, false), None);
    }

    #[test]
    fn guesses_are_few_and_good_tokens_are_none() {
        let limits =
            limits(&[("rate_limit.refused_burst", "2"), ("rate_limit.refused_per_second", "0.01")]);
        let client = limits.judge().client(Some("203.0.113.1".parse().expect("an address")));
        let token = |target: &str| limits.judge().token_in(&asked(target), false).expect("a token");
        let (good, forged) = (token("/~good/vod/a"), token("/%7eforged/vod/a"));
        assert_eq!(limits.judge().token_in(&asked("/vod/~a"), false), None);
        limits.judge().note_token(client, good, true);
        for _ in 0..2 {
            assert!(limits.judge().may_verify(client, forged).is_ok());
            limits.judge().note_token(client, forged, false);
        }
        assert!(limits.judge().may_verify(client, forged).is_err());
        assert!(
            limits.judge().may_verify(client, good).is_ok(),
            "a neighbour behind the same address"
        );
        let other = limits.judge().client(Some("203.0.113.2".parse().expect("an address")));
        assert!(limits.judge().may_verify(other, forged).is_ok());
    }
}
