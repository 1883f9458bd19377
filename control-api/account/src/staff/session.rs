//! Sessions of staff: families of refresh tokens as viewers have them, shorter, and looked up in the
//! database for each request, so that what is ended counts at once in every process.

use api::caller::StaffIdentity;
use api::{ApiError, AuthError, Result, Tenant};
use platform::audit;
use platform::db::{DbError, Scope, TenantId, Tx};
use platform::params;

use super::service::{StaffSignedIn, record};
use super::store;
use crate::accounts::{AccessClaims, Accounts, Client, new_id};
use crate::authenticator::unchecked;
use crate::secret::{Secret, random_bytes};
use crate::session::model::{Family, Refresh, judge};

const MINUTE_MS: i64 = 60_000;
/// How long an unused refresh token lives.
pub(super) const IDLE_MS: i64 = 60 * MINUTE_MS;
/// After this long staff sign in anew, however often they refreshed.
pub(super) const LIFE_MS: i64 = 12 * 60 * MINUTE_MS;

/// A session about to begin.
#[derive(Clone, Debug)]
pub(super) struct NewSession {
    pub(super) id: String,
    salt: String,
    pub(super) first: Secret,
}

/// A live session.
struct Session {
    id: String,
    staff_id: String,
    auth_epoch: i64,
    ends_at_ms: i64,
    family: Family,
    salt: String,
}

enum Refreshed {
    Tokens(Session, Secret),
    Refused,
    Reused,
}

platform::statements! {
    /// Only while the member is as they were when the password was checked.
    BEGIN: "INSERT INTO account_staff_session (tenant_id, id, staff_id, auth_epoch,
            authenticated_at_ms, expires_at_ms, ends_at_ms, generation, rotated_at_ms, salt)
        SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), s.id, s.auth_epoch, CAST($5 AS BIGINT),
            CAST($6 AS BIGINT), CAST($7 AS BIGINT), 0, CAST($5 AS BIGINT), CAST($8 AS TEXT)
        FROM account_staff s
        WHERE s.tenant_id = $1 AND s.id = $3 AND s.state = 'active' AND s.auth_epoch = $4";
    FAMILY_OF: "SELECT session_id, generation FROM account_staff_refresh
        WHERE tenant_id = $1 AND hash = $2";
    LIVE: "SELECT e.id, e.staff_id, e.auth_epoch, e.ends_at_ms, e.generation, e.rotated_at_ms,
            e.salt
        FROM account_staff_session e
        JOIN account_staff s ON s.tenant_id = e.tenant_id AND s.id = e.staff_id
        WHERE e.tenant_id = $1 AND e.id = $2 AND e.expires_at_ms > $3 AND e.ends_at_ms > $3
            AND s.state = 'active' AND s.auth_epoch = e.auth_epoch";
    STANDING: "SELECT e.staff_id, e.authenticated_at_ms
        FROM account_staff_session e
        JOIN account_staff s ON s.tenant_id = e.tenant_id AND s.id = e.staff_id
        WHERE e.tenant_id = $1 AND e.id = $2 AND e.ends_at_ms > $3
            AND s.state = 'active' AND s.auth_epoch = e.auth_epoch";
    /// One of many who bring the current token moves on; the others change no row.
    ROTATE: "UPDATE account_staff_session
        SET generation = generation + 1, rotated_at_ms = $4, expires_at_ms = $5
        WHERE tenant_id = $1 AND id = $2 AND generation = $3";
    REMEMBER: "INSERT INTO account_staff_refresh (tenant_id, hash, session_id, generation)
        VALUES ($1, $2, $3, $4)";
    END: "DELETE FROM account_staff_session WHERE tenant_id = $1 AND id = $2";
    system SWEEP: "DELETE FROM account_staff_session WHERE expires_at_ms <= $1";
}

impl NewSession {
    pub(super) fn new(now_ms: i64) -> Self {
        let salt = data_encoding::HEXLOWER.encode(&random_bytes::<32>());
        Self { id: new_id(now_ms), salt, first: Secret::random() }
    }

    /// False when the member has changed since `auth_epoch`.
    pub(super) async fn begin(
        &self,
        tx: &mut Tx,
        (staff_id, auth_epoch): (&str, i64),
        now_ms: i64,
    ) -> Result<bool, DbError> {
        let (idle_ms, end_ms) = (now_ms + IDLE_MS, now_ms + LIFE_MS);
        let params = params![&self.id, staff_id, auth_epoch, now_ms, idle_ms, end_ms, &self.salt];
        if tx.execute(&BEGIN, params).await? == 0 {
            return Ok(false);
        }
        tx.execute(&REMEMBER, params![self.first.hash().hex(), &self.id, 0_i64]).await?;
        Ok(true)
    }
}

impl Accounts {
    /// `POST /v1/admin/auth/refresh`.
    pub async fn staff_refresh(
        &self,
        tenant: &TenantId,
        client: &Client,
        refresh_token: &str,
    ) -> Result<StaffSignedIn> {
        let now_ms = self.now_ms();
        let token = Secret::parse(refresh_token).ok_or_else(refused)?;
        let input = (token, client.clone(), now_ms);
        let refreshed = self
            .scope(tenant)
            .tx(input, |tx, (token, client, now_ms)| Box::pin(refresh(tx, token, client, *now_ms)))
            .await?;
        match refreshed {
            Refreshed::Tokens(session, next) => {
                let left_ms = IDLE_MS.min(session.ends_at_ms - now_ms);
                let ids = (session.staff_id.as_str(), session.id.as_str());
                self.staff_tokens(tenant, ids, session.auth_epoch, (&next, left_ms), now_ms)
            }
            Refreshed::Refused => Err(refused()),
            Refreshed::Reused => Err(ApiError::unauthorized(
                "refresh_token_reused",
                "This refresh token was used before, so the session was ended; sign in again.",
            )),
        }
    }

    pub(super) fn staff_tokens(
        &self,
        tenant: &TenantId,
        (staff_id, session_id): (&str, &str),
        auth_epoch: i64,
        (refresh, left_ms): (&Secret, i64),
        now_ms: i64,
    ) -> Result<StaffSignedIn> {
        let claims = AccessClaims {
            tenant: tenant.as_str().to_owned(),
            user_id: staff_id.to_owned(),
            session_id: session_id.to_owned(),
            profile_id: None,
            tier: None,
            auth_epoch,
        };
        let (access_token, expires_in) = self.parts.keys.issue_staff(&claims, now_ms)?;
        Ok(StaffSignedIn {
            access_token,
            token_type: "Bearer",
            expires_in,
            refresh_token: refresh.text(),
            refresh_expires_in: left_ms.div_euclid(1_000),
            session_id: claims.session_id,
            staff_id: claims.user_id,
            recovery_codes: None,
        })
    }

    /// `POST /v1/admin/auth/logout`. A session that has ended already stays ended.
    pub async fn staff_logout(&self, staff: &StaffIdentity, client: &Client) -> Result<()> {
        let input = (staff.staff_id.clone(), staff.session_id.clone(), client.clone());
        self.scope(&staff.tenant)
            .tx((input, self.now_ms()), |tx, ((staff_id, session_id, client), now_ms)| {
                Box::pin(async move {
                    if tx.execute(&END, params![session_id]).await? == 1 {
                        let detail = serde_json::json!({ "session_id": session_id });
                        let record = record("staff.session_end", staff_id, detail, client, *now_ms);
                        audit::append(tx, record).await?;
                    }
                    Ok::<_, ApiError>(())
                })
            })
            .await
    }

    /// Who a token of the audience `admin` belongs to.
    pub(crate) async fn staff(
        &self,
        tenant: &Tenant,
        token: &str,
    ) -> Result<StaffIdentity, AuthError> {
        let now_ms = self.now_ms();
        let claims = self.parts.keys.check_staff(token, now_ms)?;
        if claims.tenant != tenant.id().as_str() {
            return Err(AuthError::Invalid);
        }
        let scope = self.scope(tenant.id());
        let standing = standing(&scope, &claims.session_id, now_ms).await.map_err(unchecked)?;
        let (staff_id, authenticated_at_ms) = standing.ok_or(AuthError::Revoked)?;
        if staff_id != claims.user_id {
            return Err(AuthError::Invalid);
        }
        let permissions = store::permissions_of(&scope, &staff_id).await.map_err(unchecked)?;
        Ok(StaffIdentity {
            tenant: tenant.id().clone(),
            staff_id,
            session_id: claims.session_id,
            permissions,
            authenticated_at_ms,
        })
    }
}

async fn standing(
    scope: &Scope,
    session_id: &str,
    now_ms: i64,
) -> Result<Option<(String, i64)>, DbError> {
    let row = scope.query_opt(&STANDING, params![session_id, now_ms]).await?;
    row.map(|row| row.decode()).transpose()
}

async fn refresh(
    tx: &mut Tx,
    token: &Secret,
    client: &Client,
    now_ms: i64,
) -> Result<Refreshed, ApiError> {
    // Twice at most: a second look is needed when another request rotated in between.
    for _ in 0..2 {
        let row = tx.query_opt(&FAMILY_OF, params![token.hash().hex()]).await?;
        let Some(row) = row else { return Ok(Refreshed::Refused) };
        let (session_id, generation) = row.decode::<(String, i64)>()?;
        let Some(row) = tx.query_opt(&LIVE, params![&session_id, now_ms]).await? else {
            return Ok(Refreshed::Refused);
        };
        let (id, staff_id, auth_epoch, ends_at_ms, current, rotated_at_ms, salt) = row.decode()?;
        let family = Family { generation: current, rotated_at_ms };
        let session = Session { id, staff_id, auth_epoch, ends_at_ms, family, salt };
        let next = token.successor(session.salt.as_bytes());
        match judge(session.family, generation, now_ms) {
            Refresh::Repeat => return Ok(Refreshed::Tokens(session, next)),
            Refresh::Reused => {
                tx.execute(&END, params![&session.id]).await?;
                let detail = serde_json::json!({ "session_id": session.id });
                let action = "staff.refresh_reused";
                let record = record(action, &session.staff_id, detail, client, now_ms);
                audit::append(tx, record).await?;
                return Ok(Refreshed::Reused);
            }
            Refresh::Rotate(to) => {
                let idle_ms = (now_ms + IDLE_MS).min(session.ends_at_ms);
                let params = params![&session.id, generation, now_ms, idle_ms];
                if tx.execute(&ROTATE, params).await? == 1 {
                    let params = params![next.hash().hex(), &session.id, to];
                    tx.execute(&REMEMBER, params).await?;
                    return Ok(Refreshed::Tokens(session, next));
                }
            }
        }
    }
    Ok(Refreshed::Refused)
}

fn refused() -> ApiError {
    ApiError::unauthorized("invalid_refresh_token", "The session has ended; sign in again.")
}
