//! The domain as one value: its database, its keys, and what it asks of others.

use std::net::IpAddr;
use std::sync::Arc;

use api::ApiError;
use futures_util::future::BoxFuture;
use platform::db::{Db, DbError, Scope, TenantId, Tx};

use crate::password::{HashPool, PoolError, RETRY_AFTER_SECONDS};
use crate::session::SessionCache;
use crate::throttle::Charge;

/// What a tier allows. Who pays for what is known elsewhere and never copied here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tier {
    pub name: String,
    /// Devices that are signed in at once.
    pub sessions_max: u32,
    pub profiles_max: u32,
}

/// Tells the tier of a person.
pub trait Tiers: Send + Sync + 'static {
    fn tier_of<'a>(
        &'a self,
        tenant: &'a TenantId,
        user_id: &'a str,
    ) -> BoxFuture<'a, Result<Tier, ApiError>>;
}

/// Everybody has the same tier: until something is sold.
#[derive(Clone, Debug)]
pub struct OneTier(pub Tier);

impl Default for OneTier {
    fn default() -> Self {
        Self(Tier { name: "free".to_owned(), sessions_max: 10, profiles_max: 5 })
    }
}

impl Tiers for OneTier {
    fn tier_of<'a>(&'a self, _: &'a TenantId, _: &'a str) -> BoxFuture<'a, Result<Tier, ApiError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// More than any tier allows: the loops over slots are bounded by it.
pub(crate) const SLOTS_MAX: u32 = 100;

impl Tier {
    pub(crate) fn sessions_max(&self) -> i64 {
        self.sessions_max.clamp(1, SLOTS_MAX).into()
    }

    pub(crate) fn profiles_max(&self) -> i64 {
        self.profiles_max.clamp(1, SLOTS_MAX).into()
    }
}

/// What an access token of a viewer says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AccessClaims {
    pub tenant: String,
    pub user_id: String,
    pub session_id: String,
    pub profile_id: Option<String>,
    pub tier: Option<String>,
    pub auth_epoch: i64,
}

/// Makes and checks access tokens, and seals what is kept or sent in secret.
pub trait AccountKeys: Send + Sync + 'static {
    /// A signed token, and how many seconds it lives.
    fn issue(&self, claims: &AccessClaims, now_ms: i64) -> Result<(String, i64), ApiError>;

    fn check(&self, token: &str, now_ms: i64) -> Result<AccessClaims, api::AuthError>;

    /// As [`Self::issue`], for a member of staff: a token of another audience.
    fn issue_staff(&self, claims: &AccessClaims, now_ms: i64) -> Result<(String, i64), ApiError>;

    /// As [`Self::check`]; takes no viewer's token, as that one takes none of staff.
    fn check_staff(&self, token: &str, now_ms: i64) -> Result<AccessClaims, api::AuthError>;

    /// Seals `plain`; it opens with the same `context` alone.
    fn seal(&self, context: &[u8], plain: &[u8], now_ms: i64) -> Result<Vec<u8>, ApiError>;

    fn open(&self, context: &[u8], sealed: &[u8], now_ms: i64) -> Result<Vec<u8>, ApiError>;
}

/// A fact for others, published in the transaction that makes it true.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AccountFact {
    /// The address is confirmed: the person is one of us.
    UserRegistered { user_id: String, country: Option<String>, locale: Option<String> },
    /// A message is to be sent.
    Notification { user_id: String, data: serde_json::Value },
}

/// Something that has to be provable later.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditEntry {
    pub action: &'static str,
    pub user_id: String,
    pub detail: serde_json::Value,
}

/// Where facts and records go, inside a transaction.
pub trait Outbox: Send + Sync + 'static {
    fn publish<'a>(
        &'a self,
        tx: &'a mut Tx,
        fact: AccountFact,
        now_ms: i64,
    ) -> BoxFuture<'a, Result<(), DbError>>;

    fn record<'a>(
        &'a self,
        tx: &'a mut Tx,
        entry: AuditEntry,
        caller: &'a Client,
        now_ms: i64,
    ) -> BoxFuture<'a, Result<(), DbError>>;
}

/// Who asks, as far as the connection tells.
#[derive(Clone, Debug, Default)]
pub struct Client {
    pub address: Option<IpAddr>,
    pub user_agent: String,
    pub request_id: String,
}

/// The present moment in UTC milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What an operator chooses.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Named in authenticator apps and in mails.
    pub product_name: String,
    /// Where people open pages, without a slash at the end; links of mails begin with it.
    pub public_url: String,
}

/// What the domain is made of.
pub struct Parts {
    pub db: Db,
    pub hashes: HashPool,
    pub tiers: Arc<dyn Tiers>,
    pub keys: Arc<dyn AccountKeys>,
    pub outbox: Arc<dyn Outbox>,
    pub clock: Clock,
    pub settings: Settings,
}

/// The account domain. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    pub(crate) parts: Arc<Parts>,
    pub(crate) sessions: Arc<SessionCache>,
}

impl Accounts {
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts), sessions: Arc::new(SessionCache::new()) }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        (self.parts.clock)()
    }

    pub(crate) fn scope(&self, tenant: &TenantId) -> Scope {
        self.parts.db.tenant(tenant)
    }

    pub(crate) async fn tier(&self, tenant: &TenantId, user_id: &str) -> api::Result<Tier> {
        self.parts.tiers.tier_of(tenant, user_id).await
    }
}

/// A new id: UUIDv7, so that rows of one time lie together.
pub(crate) fn new_id(now_ms: i64) -> String {
    let now_ms = u64::try_from(now_ms).unwrap_or_default();
    let now = uuid::Timestamp::from_unix(
        uuid::NoContext,
        now_ms / 1_000,
        u32::try_from(now_ms % 1_000).unwrap_or_default() * 1_000_000,
    );
    uuid::Uuid::new_v7(now).to_string()
}

pub(crate) fn pool_error(error: PoolError) -> ApiError {
    match error {
        PoolError::Full => {
            ApiError::unavailable("busy", "Too many people sign in at this moment; try again soon.")
                .retry_after(RETRY_AFTER_SECONDS)
        }
        PoolError::Lost => ApiError::internal("internal", error),
    }
}

/// 429 when an attempt was one too many.
pub(crate) fn allowed(charge: Charge) -> api::Result<()> {
    match charge {
        Charge::Allowed => Ok(()),
        Charge::Refused { retry_after_seconds } => {
            Err(ApiError::too_many("too_many_attempts", "Too many attempts; try again later.")
                .retry_after(retry_after_seconds))
        }
    }
}
