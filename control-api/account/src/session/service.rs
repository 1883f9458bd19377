//! Beginning, refreshing, listing and ending sessions.

use api::{ApiError, Result};
use platform::db::{DbError, TenantId, Tx};
use serde::Serialize;
use utoipa::ToSchema;

use super::model::{self, REFRESH_LIFE_MS, Refresh};
use super::store::{self, Begun, NewSession, Session};
use super::{Fact, SessionCache};
use crate::accounts::{AccessClaims, Accounts, AuditEntry, Client, Tier, new_id};
use crate::secret::{Secret, random_bytes};
use crate::throttle::network_of;
use crate::user::{self, User, UserState};

/// A device as its owner names it.
#[derive(Clone, Debug, Default)]
pub struct Device {
    /// Made and kept by the app; signing in again on the device replaces its session.
    pub id: Option<String>,
    pub name: String,
}

/// Tokens of a session.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SignedIn {
    /// Sent as `Authorization: Bearer`.
    pub access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    pub token_type: &'static str,
    /// Seconds until the access token expires.
    pub expires_in: i64,
    /// Good for one refresh; the answer brings the next one.
    pub refresh_token: String,
    /// Seconds until the refresh token expires.
    pub refresh_expires_in: i64,
    pub session_id: String,
    pub user_id: String,
    /// The profile that the session is in.
    pub profile_id: Option<String>,
}

/// A session in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SessionView {
    pub id: String,
    pub device_id: Option<String>,
    pub device_name: String,
    pub user_agent: String,
    /// The network it was last used from: an IPv4 address, or the first 64 bits of an IPv6 one.
    pub network: String,
    pub created_at_ms: i64,
    pub last_seen_ms: i64,
    /// Whether it is the session that asks.
    pub is_current: bool,
}

/// How a refresh went, inside the transaction.
enum Refreshed {
    Tokens(Session, Secret),
    /// Not known, expired or withdrawn.
    Refused,
    /// A used token: the session was ended.
    Reused(Session),
    /// The tier allows fewer devices than it did.
    NoPlace(Session),
}

/// Everything a refresh needs, so that it can run again.
struct RefreshInput {
    accounts: Accounts,
    token: Secret,
    sessions_max: i64,
    client: Client,
    now_ms: i64,
}

impl Accounts {
    /// A session about to begin, for a person whose credentials were right.
    pub(crate) fn new_session(
        &self,
        user: &User,
        device: &Device,
        client: &Client,
        now_ms: i64,
    ) -> NewSession {
        NewSession {
            id: new_id(now_ms),
            user_id: user.id.clone(),
            auth_epoch: user.auth_epoch,
            device_id: device.id.clone(),
            device_name: device.name.clone(),
            user_agent: short(&client.user_agent),
            address: network_of(client.address),
            salt: data_encoding::HEXLOWER.encode(&random_bytes::<32>()),
            first: Secret::random(),
        }
    }

    /// The tokens of a session that has just begun.
    pub(crate) fn begun(
        &self,
        tenant: &TenantId,
        new: &NewSession,
        tier: &Tier,
        now_ms: i64,
    ) -> Result<SignedIn> {
        let claims = AccessClaims {
            tenant: tenant.as_str().to_owned(),
            user_id: new.user_id.clone(),
            session_id: new.id.clone(),
            profile_id: None,
            tier: Some(tier.name.clone()),
            auth_epoch: new.auth_epoch,
        };
        self.tokens(claims, &new.first, now_ms + REFRESH_LIFE_MS, now_ms)
    }

    fn tokens(
        &self,
        claims: AccessClaims,
        refresh: &Secret,
        refresh_expires_at_ms: i64,
        now_ms: i64,
    ) -> Result<SignedIn> {
        let (access_token, expires_in) = self.parts.keys.issue(&claims, now_ms)?;
        Ok(SignedIn {
            access_token,
            token_type: "Bearer",
            expires_in,
            refresh_token: refresh.text(),
            refresh_expires_in: (refresh_expires_at_ms - now_ms).div_euclid(1_000),
            session_id: claims.session_id,
            user_id: claims.user_id,
            profile_id: claims.profile_id,
        })
    }

    /// `POST /v1/auth/refresh`: the next tokens of a session.
    pub async fn refresh(
        &self,
        tenant: &TenantId,
        client: &Client,
        refresh_token: &str,
    ) -> Result<SignedIn> {
        let now_ms = self.now_ms();
        let token = Secret::parse(refresh_token).ok_or_else(refused)?;
        // The tier is asked for outside the transaction, which waits for nothing but itself.
        let owner = self.owner_of(tenant, &token).await?.ok_or_else(refused)?;
        let tier = self.tier(tenant, &owner).await?;
        let input = RefreshInput {
            accounts: self.clone(),
            token,
            sessions_max: tier.sessions_max(),
            client: client.clone(),
            now_ms,
        };
        let refreshed = self.scope(tenant).tx(input, |tx, input| Box::pin(input.refresh(tx))).await;
        match refreshed? {
            Refreshed::Tokens(session, refresh) => {
                let claims = AccessClaims {
                    tenant: tenant.as_str().to_owned(),
                    user_id: session.user_id.clone(),
                    session_id: session.id.clone(),
                    profile_id: session.profile_id.clone(),
                    tier: Some(tier.name),
                    auth_epoch: session.auth_epoch,
                };
                self.tokens(claims, &refresh, session.expires_at_ms, now_ms)
            }
            Refreshed::Refused => Err(refused()),
            Refreshed::Reused(session) => {
                self.sessions.forget(tenant.as_str(), &session.id);
                Err(ApiError::unauthorized(
                    "refresh_token_reused",
                    "This refresh token was used before, so the session was ended; sign in again.",
                ))
            }
            Refreshed::NoPlace(session) => {
                self.sessions.forget(tenant.as_str(), &session.id);
                Err(ApiError::unauthorized(
                    "too_many_sessions",
                    "The plan allows fewer devices than are signed in; sign in again to use this one.",
                ))
            }
        }
    }

    async fn owner_of(&self, tenant: &TenantId, token: &Secret) -> Result<Option<String>> {
        let scope = self.scope(tenant);
        let owner = scope
            .tx(token.clone(), |tx, token| {
                Box::pin(async move {
                    let Some((session_id, ..)) = store::family_of(tx, &token.hash()).await? else {
                        return Ok(None);
                    };
                    let session = store::by_id(tx, &session_id).await?;
                    Ok::<_, DbError>(session.map(|session| session.user_id))
                })
            })
            .await?;
        Ok(owner)
    }

    /// Whose session it is, if it is live: from memory, or from the database.
    pub(crate) async fn standing(
        &self,
        tenant: &TenantId,
        session_id: &str,
        now_ms: i64,
    ) -> Result<Option<std::sync::Arc<Fact>>, DbError> {
        let cache: &SessionCache = &self.sessions;
        if let Some(fact) = cache.get(tenant.as_str(), session_id, now_ms) {
            return Ok(Some(fact));
        }
        let mark = cache.mark();
        let found = store::standing(&self.scope(tenant), session_id, now_ms).await?;
        let Some((user_id, authenticated_at_ms, profile_id)) = found else { return Ok(None) };
        let fact = Fact { user_id, authenticated_at_ms, profile_id, read_at_ms: now_ms };
        let fact = std::sync::Arc::new(fact);
        cache.put(tenant.as_str(), session_id, fact.clone(), mark);
        Ok(Some(fact))
    }

    /// `GET /v1/auth/sessions`.
    pub async fn list_sessions(
        &self,
        tenant: &TenantId,
        user_id: &str,
        current: &str,
    ) -> Result<Vec<SessionView>> {
        let sessions = store::list(&self.scope(tenant), user_id, self.now_ms()).await?;
        Ok(sessions.into_iter().map(|session| session.view(current)).collect())
    }

    /// `POST /v1/auth/logout` and `DELETE /v1/auth/sessions/{id}`.
    pub async fn end_session(
        &self,
        tenant: &TenantId,
        user_id: &str,
        session_id: &str,
        client: &Client,
    ) -> Result<()> {
        let now_ms = self.now_ms();
        let input = (self.clone(), user_id.to_owned(), session_id.to_owned(), client.clone());
        let was_there = self
            .scope(tenant)
            .tx((input, now_ms), |tx, ((accounts, user_id, session_id, client), now_ms)| {
                Box::pin(async move {
                    let was_there = store::end_of_user(tx, session_id, user_id).await?;
                    if was_there {
                        let detail = serde_json::json!({ "session_id": session_id });
                        accounts
                            .record(tx, "session.end", user_id, detail, client, *now_ms)
                            .await?;
                    }
                    Ok::<_, DbError>(was_there)
                })
            })
            .await?;
        self.sessions.forget(tenant.as_str(), session_id);
        if was_there {
            Ok(())
        } else {
            Err(ApiError::not_found("session_not_found", "There is no such session."))
        }
    }

    /// `POST /v1/auth/logout-all`: no token that was made until now is good any longer.
    pub async fn end_all_sessions(
        &self,
        tenant: &TenantId,
        user_id: &str,
        client: &Client,
    ) -> Result<()> {
        let now_ms = self.now_ms();
        let input = (self.clone(), user_id.to_owned(), client.clone(), now_ms);
        let ended = self
            .scope(tenant)
            .tx(input, |tx, (accounts, user_id, client, now_ms)| {
                Box::pin(async move {
                    let ended = end_all(tx, user_id).await?;
                    let detail = serde_json::json!({ "sessions": ended.len() });
                    accounts
                        .record(tx, "session.end_all", user_id, detail, client, *now_ms)
                        .await?;
                    Ok::<_, DbError>(ended)
                })
            })
            .await?;
        self.forget_sessions(tenant, &ended);
        Ok(())
    }

    pub(crate) fn forget_sessions(&self, tenant: &TenantId, ended: &[String]) {
        for session_id in ended {
            self.sessions.forget(tenant.as_str(), session_id);
        }
    }

    /// Records what was done to an account.
    pub(crate) async fn record(
        &self,
        tx: &mut Tx,
        action: &'static str,
        user_id: &str,
        detail: serde_json::Value,
        client: &Client,
        now_ms: i64,
    ) -> Result<(), DbError> {
        let entry = AuditEntry { action, user_id: user_id.to_owned(), detail };
        self.parts.outbox.record(tx, entry, client, now_ms).await
    }
}

/// Raises the epoch and ends every session; which they were.
pub(crate) async fn end_all(tx: &mut Tx, user_id: &str) -> Result<Vec<String>, DbError> {
    user::bump_epoch(tx, user_id).await?;
    store::end_all(tx, user_id).await
}

/// Begins a session inside a transaction; the sessions that ended for it.
pub(crate) async fn begin(
    tx: &mut Tx,
    new: &NewSession,
    sessions_max: i64,
    now_ms: i64,
) -> Result<Vec<String>, ApiError> {
    match store::begin(tx, new, sessions_max, now_ms).await? {
        Begun::Yes { ended } => Ok(ended),
        Begun::Stale => Err(ApiError::unauthorized(
            "sign_in_again",
            "The account has changed while you signed in; sign in again.",
        )),
    }
}

impl RefreshInput {
    async fn refresh(&self, tx: &mut Tx) -> Result<Refreshed, DbError> {
        // Twice at most: a second look is needed when another request rotated in between.
        for _ in 0..2 {
            let Some((session, generation)) = self.find(tx).await? else {
                return Ok(Refreshed::Refused);
            };
            match model::judge(session.family, generation, self.now_ms) {
                Refresh::Rotate(_) => {
                    if let Some(refreshed) = self.rotate(tx, session).await? {
                        return Ok(refreshed);
                    }
                }
                Refresh::Repeat => {
                    let next = self.token.successor(session.salt.as_bytes());
                    return Ok(Refreshed::Tokens(session, next));
                }
                Refresh::Reused => return self.end_reused(tx, session).await,
            }
        }
        Ok(Refreshed::Refused)
    }

    /// The session of the token, when it and its owner are in order.
    async fn find(&self, tx: &mut Tx) -> Result<Option<(Session, i64)>, DbError> {
        let Some((session_id, generation, expires_at_ms)) =
            store::family_of(tx, &self.token.hash()).await?
        else {
            return Ok(None);
        };
        let Some(session) = store::by_id(tx, &session_id).await? else { return Ok(None) };
        let Some(user) = user::by_id(tx, &session.user_id).await? else { return Ok(None) };
        let is_live = self.now_ms < expires_at_ms
            && self.now_ms < session.ends_at_ms
            && user.state == UserState::Active
            && user.auth_epoch == session.auth_epoch;
        Ok(is_live.then_some((session, generation)))
    }

    /// `None` when another request has rotated this family since it was read.
    async fn rotate(&self, tx: &mut Tx, session: Session) -> Result<Option<Refreshed>, DbError> {
        let has_place = session.slot <= self.sessions_max
            || store::fit(tx, &session, self.sessions_max).await?;
        if !has_place {
            store::end(tx, &session.id).await?;
            return Ok(Some(Refreshed::NoPlace(session)));
        }
        let next = self.token.successor(session.salt.as_bytes());
        let address = network_of(self.client.address);
        let user_agent = short(&self.client.user_agent);
        let seen = (address.as_str(), user_agent.as_str());
        if !store::rotate(tx, &session, &next, seen, self.now_ms).await? {
            return Ok(None);
        }
        let expires_at_ms = (self.now_ms + REFRESH_LIFE_MS).min(session.ends_at_ms);
        Ok(Some(Refreshed::Tokens(Session { expires_at_ms, ..session }, next)))
    }

    async fn end_reused(&self, tx: &mut Tx, session: Session) -> Result<Refreshed, DbError> {
        store::end(tx, &session.id).await?;
        let detail = serde_json::json!({
            "session_id": session.id,
            "device_name": session.device_name,
            "network": network_of(self.client.address),
        });
        self.accounts
            .record(
                tx,
                "session.refresh_reused",
                &session.user_id,
                detail,
                &self.client,
                self.now_ms,
            )
            .await?;
        Ok(Refreshed::Reused(session))
    }
}

impl Session {
    fn view(self, current: &str) -> SessionView {
        SessionView {
            is_current: self.id == current,
            id: self.id,
            device_id: self.device_id,
            device_name: self.device_name,
            user_agent: self.user_agent,
            network: self.address,
            created_at_ms: self.created_at_ms,
            last_seen_ms: self.last_seen_ms,
        }
    }
}

fn refused() -> ApiError {
    ApiError::unauthorized("invalid_refresh_token", "The session has ended; sign in again.")
}

/// What is kept of a `User-Agent`.
fn short(user_agent: &str) -> String {
    user_agent.chars().filter(|c| !c.is_control()).take(160).collect()
}
