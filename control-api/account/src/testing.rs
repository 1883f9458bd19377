//! Accounts in tests: both engines, a clock that is set, keys and an outbox in memory.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use api::{ApiError, AuthError};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::BoxFuture;
use platform::db::testing::{Engine, engines};
use platform::db::{DbError, TenantId, Tx};

use crate::accounts::{
    AccessClaims, AccountFact, AccountKeys, Accounts, AuditEntry, Client, OneTier, Outbox, Parts,
    Settings, Tier,
};
use crate::login::{Credentials, Login};
use crate::mail::Mail;
use crate::password::HashPool;
use crate::register::{Confirmation, Registration};
use crate::session::SignedIn;
use crate::session::service::Device;

/// 2026-01-01T00:00:00Z.
pub(crate) const START_MS: i64 = 1_767_225_600_000;
pub(crate) const PASSWORD: &str = "correct horse battery";

/// One engine with the domain on it.
pub(crate) struct World {
    pub(crate) accounts: Accounts,
    pub(crate) tenant: TenantId,
    pub(crate) outbox: Arc<Kept>,
    pub(crate) now_ms: Arc<AtomicI64>,
    pub(crate) engine: Engine,
}

/// The domain on each engine, with two devices and three profiles for everybody.
pub(crate) async fn worlds() -> Vec<World> {
    let tier = Tier { name: "test".to_owned(), sessions_max: 2, profiles_max: 3 };
    let engines = engines(&[crate::SCHEMA]).await;
    engines.into_iter().map(|engine| World::new(engine, tier.clone())).collect()
}

/// The domain on one engine, with an outbox of the caller's.
pub(crate) fn world_with(engine: Engine, tier: Tier, outbox: Arc<dyn Outbox>) -> World {
    World::build(engine, tier, outbox, Arc::new(TestKeys))
}

/// The domain on each engine beside the real audit log, with keys of the caller's.
pub(crate) async fn worlds_with_keys(keys: Arc<dyn AccountKeys>) -> Vec<World> {
    let build = |engine| {
        let kept = Arc::new(Kept::default());
        let world = World::build(engine, OneTier::default().0, kept.clone(), keys.clone());
        World { outbox: kept, ..world }
    };
    let engines = engines(&[crate::SCHEMA, platform::audit::SCHEMA]).await;
    engines.into_iter().map(build).collect()
}

impl World {
    fn new(engine: Engine, tier: Tier) -> Self {
        let kept = Arc::new(Kept::default());
        Self { outbox: kept.clone(), ..world_with(engine, tier, kept) }
    }

    fn build(
        engine: Engine,
        tier: Tier,
        outbox: Arc<dyn Outbox>,
        keys: Arc<dyn AccountKeys>,
    ) -> Self {
        let now_ms = Arc::new(AtomicI64::new(START_MS));
        let clock = now_ms.clone();
        let accounts = Accounts::new(Parts {
            db: engine.db.clone(),
            hashes: HashPool::new(2, 1_000),
            tiers: Arc::new(OneTier(tier)),
            keys,
            outbox,
            clock: Arc::new(move || clock.load(Ordering::SeqCst)),
            settings: Settings {
                product_name: "StreamVerse".to_owned(),
                public_url: "https://tv.example".to_owned(),
            },
        });
        let tenant = TenantId::new("t1").expect("a plain word");
        Self { accounts, tenant, outbox: Arc::new(Kept::default()), now_ms, engine }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.engine.name
    }

    pub(crate) fn advance_ms(&self, ms: i64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Somebody with a confirmed address.
    pub(crate) async fn person(&self, email: &str) {
        let registration = Registration {
            email: email.to_owned(),
            password: PASSWORD.to_owned(),
            ..Registration::default()
        };
        self.accounts.register(&self.tenant, &client(), &registration).await.expect("registers");
        let token = self.token_mailed_to(email);
        let confirmation = Confirmation::Token(token);
        self.accounts.verify(&self.tenant, &confirmation).await.expect("confirms");
    }

    pub(crate) async fn login(&self, email: &str, device: &str) -> api::Result<Login> {
        let credentials = Credentials {
            email: email.to_owned(),
            password: PASSWORD.to_owned(),
            device: Device { id: Some(device.to_owned()), name: device.to_owned() },
        };
        self.accounts.login(&self.tenant, &client(), &credentials).await
    }

    pub(crate) async fn signed_in(&self, email: &str, device: &str) -> SignedIn {
        match self.login(email, device).await {
            Ok(Login::SignedIn(signed_in)) => signed_in,
            other => panic!("{}: {other:?}", self.name()),
        }
    }

    /// The messages to an address, opened.
    pub(crate) fn mails_to(&self, email: &str) -> Vec<Mail> {
        let facts = self.outbox.facts.lock().expect("no test panics with it");
        let mails = facts.values().flatten().filter_map(|fact| match fact {
            AccountFact::Notification { user_id, data } => {
                let sealed = data["sealed"].as_str().expect("it is sealed");
                self.accounts.open_mail(self.tenant.as_str(), user_id, sealed).ok()
            }
            AccountFact::UserRegistered { .. } => None,
        });
        mails.filter(|mail| mail.to == email).collect()
    }

    /// The token of the last link that was mailed to an address.
    pub(crate) fn token_mailed_to(&self, email: &str) -> String {
        let mail = self.mails_to(email).pop().expect("a mail was sent");
        let link = mail.link.expect("with a link");
        link.split_once("#token=").expect("with a token").1.to_owned()
    }

    pub(crate) fn registered(&self) -> usize {
        let facts = self.outbox.facts.lock().expect("no test panics with it");
        let is_registered =
            |fact: &&AccountFact| matches!(fact, AccountFact::UserRegistered { .. });
        facts.values().flatten().filter(is_registered).count()
    }

    pub(crate) fn actions(&self) -> Vec<&'static str> {
        let records = self.outbox.records.lock().expect("no test panics with it");
        records.iter().map(|entry| entry.action).collect()
    }
}

pub(crate) fn client() -> Client {
    Client {
        address: Some("192.0.2.7".parse().expect("an address")),
        user_agent: "test/1".to_owned(),
        request_id: "r1".to_owned(),
    }
}

/// What was published. It is told inside a transaction and kept even when that is rolled back or
/// run again, which tests that count have to bear in mind.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) facts: Mutex<std::collections::BTreeMap<usize, Vec<AccountFact>>>,
    pub(crate) records: Mutex<Vec<AuditEntry>>,
}

impl Outbox for Kept {
    fn publish<'a>(
        &'a self,
        _: &'a mut Tx,
        fact: AccountFact,
        _: i64,
    ) -> BoxFuture<'a, Result<(), DbError>> {
        let mut facts = self.facts.lock().expect("no test panics with it");
        let index = facts.len();
        facts.insert(index, vec![fact]);
        Box::pin(async { Ok(()) })
    }

    fn record<'a>(
        &'a self,
        _: &'a mut Tx,
        entry: AuditEntry,
        _: &'a Client,
        _: i64,
    ) -> BoxFuture<'a, Result<(), DbError>> {
        self.records.lock().expect("no test panics with it").push(entry);
        Box::pin(async { Ok(()) })
    }
}

/// Tokens under one HMAC key, and a seal that only checks. What they stand for is tested where the
/// real ones are made.
struct TestKeys;

const LIFE_SECONDS: i64 = 900;

fn tag(context: &[u8], bytes: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"a key for tests");
    let mut of = context.to_vec();
    of.push(0xff);
    of.extend_from_slice(bytes);
    hmac::sign(&key, &of).as_ref().to_vec()
}

impl TestKeys {
    fn issue_for(
        &self,
        audience: &[u8],
        claims: &AccessClaims,
        now_ms: i64,
    ) -> Result<(String, i64), ApiError> {
        let expires_s = now_ms / 1_000 + LIFE_SECONDS;
        let members = HashMap::from([
            ("tenant", Some(claims.tenant.clone())),
            ("user", Some(claims.user_id.clone())),
            ("session", Some(claims.session_id.clone())),
            ("profile", claims.profile_id.clone()),
            ("tier", claims.tier.clone()),
            ("epoch", Some(claims.auth_epoch.to_string())),
            ("expires", Some(expires_s.to_string())),
        ]);
        let body = serde_json::to_vec(&members).expect("texts");
        let signature = URL_SAFE_NO_PAD.encode(tag(audience, &body));
        Ok((format!("{}.{signature}", URL_SAFE_NO_PAD.encode(body)), LIFE_SECONDS))
    }

    fn check_for(
        &self,
        audience: &[u8],
        token: &str,
        now_ms: i64,
    ) -> Result<AccessClaims, AuthError> {
        let (body, signature) = token.split_once('.').ok_or(AuthError::Invalid)?;
        let body = URL_SAFE_NO_PAD.decode(body).map_err(|_| AuthError::Invalid)?;
        if URL_SAFE_NO_PAD.encode(tag(audience, &body)) != signature {
            return Err(AuthError::Invalid);
        }
        let members: HashMap<String, Option<String>> =
            serde_json::from_slice(&body).map_err(|_| AuthError::Invalid)?;
        let text = |name: &str| members.get(name).cloned().flatten();
        let number = |name: &str| text(name).and_then(|text| text.parse::<i64>().ok());
        if number("expires").unwrap_or_default() <= now_ms / 1_000 {
            return Err(AuthError::Expired);
        }
        Ok(AccessClaims {
            tenant: text("tenant").unwrap_or_default(),
            user_id: text("user").unwrap_or_default(),
            session_id: text("session").unwrap_or_default(),
            profile_id: text("profile"),
            tier: text("tier"),
            auth_epoch: number("epoch").unwrap_or_default(),
        })
    }
}

impl AccountKeys for TestKeys {
    fn issue(&self, claims: &AccessClaims, now_ms: i64) -> Result<(String, i64), ApiError> {
        self.issue_for(b"token", claims, now_ms)
    }

    fn check(&self, token: &str, now_ms: i64) -> Result<AccessClaims, AuthError> {
        self.check_for(b"token", token, now_ms)
    }

    fn issue_staff(&self, claims: &AccessClaims, now_ms: i64) -> Result<(String, i64), ApiError> {
        self.issue_for(b"staff token", claims, now_ms)
    }

    fn check_staff(&self, token: &str, now_ms: i64) -> Result<AccessClaims, AuthError> {
        self.check_for(b"staff token", token, now_ms)
    }

    fn seal(&self, context: &[u8], plain: &[u8], _: i64) -> Result<Vec<u8>, ApiError> {
        let mut sealed = tag(context, plain);
        sealed.extend_from_slice(plain);
        Ok(sealed)
    }

    fn open(&self, context: &[u8], sealed: &[u8], _: i64) -> Result<Vec<u8>, ApiError> {
        let (seal, plain) = sealed.split_at_checked(32).unwrap_or((&[], &[]));
        if tag(context, plain) != seal {
            return Err(ApiError::internal("internal", "not sealed for this"));
        }
        Ok(plain.to_vec())
    }
}
