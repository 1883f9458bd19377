//! Records of requests. One statement decides who may go on.

use http::StatusCode;
use platform::db::{Db, DbError, Migration, Schema, Tx, params};

use super::{Fingerprint, IdempotencyKey, KEPT_MS, LEASE_MS, Recorded};
use crate::ApiError;

/// Records that one transaction of [`sweep`] removes.
const SWEPT_MAX: i64 = 1_000;

/// The tables of this crate.
pub const SCHEMA: Schema = Schema {
    name: "api",
    migrations: &[Migration { version: 1, name: "idempotency", sql: TABLES }],
    statements: &[STATEMENTS],
};

const TABLES: &str = "
CREATE TABLE api_idempotency (
    tenant_id TEXT NOT NULL,
    principal TEXT NOT NULL,
    method TEXT NOT NULL,
    route TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    -- Names the request that holds the claim.
    claim_id TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    -- Until when the work counts as under way; 0 once it is done.
    lease_until_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    status BIGINT,
    headers TEXT,
    body BYTEA,
    PRIMARY KEY (tenant_id, principal, method, route, idempotency_key)
);
CREATE INDEX api_idempotency_expires ON api_idempotency (expires_ms);
";

platform::statements! {
    /// Takes the key when it is free, when its record has expired, or when the same request left
    /// its work. A row back means that it was taken.
    CLAIM: "INSERT INTO api_idempotency (tenant_id, principal, method, route, idempotency_key,
            claim_id, fingerprint, lease_until_ms, expires_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (tenant_id, principal, method, route, idempotency_key) DO UPDATE
        SET claim_id = excluded.claim_id, fingerprint = excluded.fingerprint,
            lease_until_ms = excluded.lease_until_ms, expires_ms = excluded.expires_ms,
            status = NULL, headers = NULL, body = NULL
        WHERE api_idempotency.expires_ms <= $10
            OR (api_idempotency.status IS NULL AND api_idempotency.lease_until_ms <= $10
                AND api_idempotency.fingerprint = excluded.fingerprint)
        RETURNING claim_id";
    FIND: "SELECT fingerprint, lease_until_ms, status, headers, body FROM api_idempotency
        WHERE tenant_id = $1 AND principal = $2 AND method = $3 AND route = $4
            AND idempotency_key = $5";
    COMPLETE: "UPDATE api_idempotency
        SET lease_until_ms = 0, expires_ms = $7, status = $8, headers = $9, body = $10
        WHERE tenant_id = $1 AND principal = $2 AND method = $3 AND route = $4
            AND idempotency_key = $5 AND claim_id = $6 AND status IS NULL";
    RELEASE: "DELETE FROM api_idempotency
        WHERE tenant_id = $1 AND principal = $2 AND method = $3 AND route = $4
            AND idempotency_key = $5 AND claim_id = $6 AND status IS NULL";
    FORGET: "DELETE FROM api_idempotency WHERE tenant_id = $1 AND principal = $2";
    system SWEEP: "DELETE FROM api_idempotency
        WHERE (tenant_id, principal, method, route, idempotency_key) IN (
            SELECT tenant_id, principal, method, route, idempotency_key FROM api_idempotency
            WHERE expires_ms <= $1 ORDER BY expires_ms LIMIT $2)";
}

/// The right to a request's effect, of one attempt.
#[derive(Clone, Debug)]
pub struct Claim {
    principal: String,
    method: String,
    route: String,
    key: IdempotencyKey,
    fingerprint: Fingerprint,
    claim_id: String,
}

/// What came of a claim.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Claimed {
    /// Go on, then [`Claim::complete`].
    Mine,
    /// It was done before: the answer of then.
    Earlier(Recorded),
}

impl Claim {
    pub(super) fn new(
        principal: String,
        method: String,
        route: String,
        key: IdempotencyKey,
        fingerprint: Fingerprint,
    ) -> Self {
        let claim_id = uuid::Uuid::now_v7().to_string();
        Self { principal, method, route, key, fingerprint, claim_id }
    }

    /// Claims the effect for the transaction. Another one with the same key waits for its end.
    ///
    /// # Errors
    /// 422 `idempotency_key_reused` for another request, 409 `idempotency_in_progress` while one is
    /// under way that has left its first transaction.
    pub async fn claim(&self, tx: &mut Tx, now_ms: i64) -> Result<Claimed, ApiError> {
        let values = params![
            self.principal.as_str(),
            self.method.as_str(),
            self.route.as_str(),
            self.key.as_str(),
            self.claim_id.as_str(),
            self.fingerprint.to_vec(),
            now_ms + LEASE_MS,
            now_ms + KEPT_MS,
            now_ms
        ];
        if tx.query_opt(&CLAIM, values).await?.is_some() {
            return Ok(Claimed::Mine);
        }
        let values = params![
            self.principal.as_str(),
            self.method.as_str(),
            self.route.as_str(),
            self.key.as_str()
        ];
        // Between the two statements only this transaction's view counts: on PostgreSQL a record
        // that was committed meanwhile makes the first one fail, and the runner begins anew.
        let row = tx.query_one(&FIND, values).await?;
        let (fingerprint, lease_until_ms, status, headers, body) =
            row.decode::<(Vec<u8>, i64, Option<i64>, Option<String>, Option<Vec<u8>>)>()?;
        if fingerprint != self.fingerprint {
            let detail = "This `Idempotency-Key` belongs to another request; take a fresh one.";
            return Err(ApiError::unprocessable("idempotency_key_reused", detail));
        }
        match (status, headers, body) {
            (Some(status), Some(headers), Some(body)) => {
                earlier(status, &headers, body).map(Claimed::Earlier)
            }
            _ => Err(in_progress(lease_until_ms, now_ms)),
        }
    }

    /// Keeps the answer, and gives it back for the handler.
    ///
    /// # Errors
    /// 409 when another attempt took the work over meanwhile: its answer counts.
    pub async fn complete(
        &self,
        tx: &mut Tx,
        now_ms: i64,
        answer: Recorded,
    ) -> Result<Recorded, ApiError> {
        let headers = serde_json::to_string(&answer.headers)
            .map_err(|error| ApiError::internal("internal", error))?;
        let values = params![
            self.principal.as_str(),
            self.method.as_str(),
            self.route.as_str(),
            self.key.as_str(),
            self.claim_id.as_str(),
            now_ms + KEPT_MS,
            i64::from(answer.status.as_u16()),
            headers,
            answer.body.clone()
        ];
        match tx.execute(&COMPLETE, values).await? {
            1 => Ok(answer),
            _ => Err(in_progress(now_ms, now_ms)),
        }
    }

    /// Gives the key back, for work of two transactions that came to nothing.
    ///
    /// # Errors
    /// As the database has them.
    pub async fn release(&self, tx: &mut Tx) -> Result<(), ApiError> {
        let values = params![
            self.principal.as_str(),
            self.method.as_str(),
            self.route.as_str(),
            self.key.as_str(),
            self.claim_id.as_str()
        ];
        tx.execute(&RELEASE, values).await?;
        Ok(())
    }
}

fn in_progress(lease_until_ms: i64, now_ms: i64) -> ApiError {
    let left_ms = (lease_until_ms - now_ms).clamp(0, LEASE_MS);
    let seconds = u32::try_from(left_ms / 1000 + 1).unwrap_or(1);
    let detail = "A request with this `Idempotency-Key` is under way.";
    ApiError::conflict("idempotency_in_progress", detail).retry_after(seconds)
}

fn earlier(status: i64, headers: &str, body: Vec<u8>) -> Result<Recorded, ApiError> {
    let damaged = |what: String| ApiError::internal("internal", what);
    let status = u16::try_from(status).ok().and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or_else(|| damaged("a record has no status".to_owned()))?;
    let headers = serde_json::from_str(headers).map_err(|error| damaged(error.to_string()))?;
    Ok(Recorded { status, headers, body, is_earlier: true })
}

/// Removes every record of a principal, for the erasure of an account.
///
/// # Errors
/// As the database has them.
pub async fn forget(tx: &mut Tx, principal: &str) -> Result<(), DbError> {
    tx.execute(&FORGET, params![principal]).await.map(drop)
}

/// Removes what has expired, of all tenants; answers how many records. Meant for every few minutes.
///
/// # Errors
/// As the database has them.
pub async fn sweep(db: &Db, now_ms: i64) -> Result<u64, DbError> {
    let mut swept = 0;
    loop {
        let removed = db
            .system()
            .tx(now_ms, |tx, now_ms| {
                Box::pin(async move { tx.execute(&SWEEP, params![*now_ms, SWEPT_MAX]).await })
            })
            .await?;
        swept += removed;
        if i64::try_from(removed).is_ok_and(|removed| removed < SWEPT_MAX) {
            return Ok(swept);
        }
    }
}

/// For tests of whoever asks for a scope of this crate's tables.
#[cfg(test)]
pub(super) fn scope(db: &Db, tenant: &str) -> platform::db::Scope {
    db.tenant(&platform::db::TenantId::new(tenant).expect("a plain word"))
}
