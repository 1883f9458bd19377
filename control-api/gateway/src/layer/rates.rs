//! How often somebody may ask: per minute, by address without credentials and by principal with
//! them, and stricter where a secret is tried.
//!
//! Budgets are GCRA's, in the platform's tables of fixed size. They are kept by tenant, by whoever
//! asks, and by kind of budget; addresses count by prefix, since whoever has one address of IPv6 has
//! a network of them (RFC 6177). Answers say what is left as the draft of `RateLimit` fields writes
//! it (draft-ietf-httpapi-ratelimit-headers-10).

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use platform::config;
use platform::limit::{Rate, RateTable, Recent, Taken};

use crate::metrics::Metrics;
use crate::refusal::Refusal;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

const WINDOW_SECONDS: u64 = 60;
const NANOS: u64 = 1_000_000_000;
/// Credentials that were good are looked at for so long, however many bad ones their address shows.
const GOOD_LIFETIME_NANOS: u64 = 600 * NANOS;

/// A kind of budget.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Policy {
    Anonymous,
    SignedIn,
    Login,
    LoginAccount,
    /// Credentials that were nothing.
    Refused,
}

impl Policy {
    fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::SignedIn => "signed-in",
            Self::Login => "login",
            Self::LoginAccount => "login-account",
            Self::Refused => "refused",
        }
    }
}

#[derive(Debug)]
pub(crate) struct RateSettings {
    config: config::ControlRateLimit,
}

/// The network that an address counts as.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Network(u128);

impl RateSettings {
    pub(crate) fn new(config: &config::ControlRateLimit) -> Self {
        Self { config: config.clone() }
    }

    /// `None` where no limit holds: for exempt networks, and for requests from within.
    pub(crate) fn network(&self, address: Option<IpAddr>) -> Option<Network> {
        let address = address?.to_canonical();
        let is_exempt = self.config.exempt.iter().any(|network| network.contains(address));
        let (ipv4_bits, ipv6_bits) = (self.config.ipv4_bits, self.config.ipv6_bits);
        (!is_exempt).then(|| Network(network_bits(address, ipv4_bits, ipv6_bits)))
    }

    fn per_minute(&self, policy: Policy) -> u32 {
        match policy {
            Policy::Anonymous | Policy::Refused => self.config.anonymous_per_minute,
            Policy::SignedIn => self.config.signed_in_per_minute,
            Policy::Login => self.config.login_per_minute,
            Policy::LoginAccount => self.config.login_account_per_minute,
        }
    }
}

/// The first bits of an address. Those of IPv4 lie where IPv6 maps them (RFC 4291 2.5.5.2).
fn network_bits(address: IpAddr, ipv4_bits: u8, ipv6_bits: u8) -> u128 {
    let (address, bits): (Ipv6Addr, u8) = match address {
        IpAddr::V4(address) => (address.to_ipv6_mapped(), 96 + ipv4_bits),
        IpAddr::V6(address) => (address, ipv6_bits),
    };
    let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
    address.to_bits() & mask
}

/// All budgets of a process.
#[derive(Debug)]
pub(crate) struct Rates {
    table: RateTable,
    good: Recent,
    began: Instant,
}

/// What is left of a budget; among an answer's extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    policy: Policy,
    quota: u32,
    remaining: u64,
}

impl Rates {
    pub(crate) fn new(config: &config::ControlRateLimit) -> Self {
        let keys = config.keys as usize;
        Self {
            table: RateTable::new(keys),
            good: Recent::new(keys, GOOD_LIFETIME_NANOS),
            began: Instant::now(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Takes one from a budget. `None` where there is no limit.
    ///
    /// # Errors
    /// 429 when it is spent.
    pub(crate) fn take(
        &self,
        settings: &RateSettings,
        policy: Policy,
        key: impl Hash,
        metrics: &Metrics,
    ) -> Result<Option<Quota>, Refusal> {
        self.ask(settings, policy, &key, metrics, true)
    }

    /// As [`Self::take`], taking nothing.
    ///
    /// # Errors
    /// 429 when it is spent.
    pub(crate) fn look(
        &self,
        settings: &RateSettings,
        policy: Policy,
        key: impl Hash,
        metrics: &Metrics,
    ) -> Result<Option<Quota>, Refusal> {
        self.ask(settings, policy, &key, metrics, false)
    }

    fn ask(
        &self,
        settings: &RateSettings,
        policy: Policy,
        key: &impl Hash,
        metrics: &Metrics,
        takes: bool,
    ) -> Result<Option<Quota>, Refusal> {
        let quota = settings.per_minute(policy);
        let per_second = f64::from(quota) / WINDOW_SECONDS as f64;
        let Some(rate) = Rate::new(per_second, quota) else { return Ok(None) };
        let (key, now) = ((policy, key), self.now());
        let taken = match takes {
            true => self.table.take(&key, rate, now),
            false => self.table.look(&key, rate, now),
        };
        match taken {
            Taken::Allowed { remaining } => Ok(Some(Quota { policy, quota, remaining })),
            Taken::Refused { retry_after_nanos } => {
                metrics.refuse(policy.name());
                Err(refuse(policy, quota, retry_after_nanos))
            }
        }
    }

    pub(crate) fn note_good(&self, credentials: impl Hash) {
        self.good.note(&credentials, self.now());
    }

    pub(crate) fn was_good(&self, credentials: impl Hash) -> bool {
        self.good.contains(&credentials, self.now())
    }
}

fn refuse(policy: Policy, quota: u32, retry_after_nanos: u64) -> Refusal {
    let seconds = retry_after_nanos.div_ceil(NANOS).max(1);
    let detail = match policy {
        Policy::Login | Policy::LoginAccount => "Too many attempts. Wait before the next one.",
        Policy::Refused => "Too many credentials that are not good came from this address.",
        Policy::Anonymous => "Too many requests without credentials came from this address.",
        Policy::SignedIn => "Too many requests. Wait before the next one.",
    };
    let mut headers = HeaderMap::new();
    Quota { policy, quota, remaining: 0 }.tell(&mut headers);
    let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail);
    let told = headers.into_iter().filter_map(|(name, value)| Some((name?, value)));
    told.fold(refusal, |refusal, (name, value)| refusal.with(name, value)).retry_after(seconds)
}

impl Quota {
    /// The one with less left.
    pub(crate) fn tighter(first: Option<Self>, second: Option<Self>) -> Option<Self> {
        first.into_iter().chain(second).min_by_key(|quota| quota.remaining)
    }

    /// Writes both fields, whose items are structured (RFC 9651): the policy by name with quota and
    /// window, and what remains of it, with the time until all of it is there again.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        let (name, quota) = (self.policy.name(), self.quota);
        let spent = u64::from(quota).saturating_sub(self.remaining);
        let reset_seconds = (spent * WINDOW_SECONDS).div_ceil(u64::from(quota.max(1)));
        let policy = format!("\"{name}\";q={quota};w={WINDOW_SECONDS}");
        let state = format!("\"{name}\";r={};t={reset_seconds}", self.remaining);
        for (name, text) in [(RATE_LIMIT_POLICY, policy), (RATE_LIMIT, state)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(anonymous_per_minute: u32, exempt: &[&str]) -> RateSettings {
        let exempt = exempt.iter().map(|network| network.parse().unwrap()).collect();
        let config =
            config::ControlRateLimit { anonymous_per_minute, exempt, ..Default::default() };
        RateSettings::new(&config)
    }

    #[test]
    fn a_household_is_one() {
        let settings = settings(1, &["10.0.0.0/8"]);
        let network = |text: &str| settings.network(Some(text.parse().unwrap()));
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.1"));
        assert_eq!((network("10.1.2.3"), settings.network(None)), (None, None));
    }

    #[test]
    fn a_budget_is_told_and_ends() {
        let (settings, metrics) = (settings(3, &[]), Metrics::default());
        let rates = Rates::new(&settings.config);
        let take = |key: u8| rates.take(&settings, Policy::Anonymous, key, &metrics);
        for (remaining, state) in [
            (2, "\"anonymous\";r=2;t=20"),
            (1, "\"anonymous\";r=1;t=40"),
            (0, "\"anonymous\";r=0;t=60"),
        ] {
            let quota = take(1).unwrap().unwrap();
            assert_eq!(quota.remaining, remaining);
            let mut headers = HeaderMap::new();
            quota.tell(&mut headers);
            assert_eq!(headers[RATE_LIMIT], state);
            assert_eq!(headers[RATE_LIMIT_POLICY], "\"anonymous\";q=3;w=60");
        }
        assert!(take(1).is_err());
        assert!(take(2).is_ok(), "another's budget is its own");
        assert!(rates.take(&settings, Policy::SignedIn, 1, &metrics).is_ok());
    }
}
