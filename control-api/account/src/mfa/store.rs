//! Rows of factors and recovery codes.

use platform::db::{DbError, Tx};
use platform::params;

platform::statements! {
    /// A new secret, unless a confirmed one is there.
    PUT: "INSERT INTO account_totp (tenant_id, user_id, secret, confirmed_at_ms, last_step,
            created_at_ms)
        VALUES ($1, $2, $3, NULL, -1, $4)
        ON CONFLICT (tenant_id, user_id) DO UPDATE
            SET secret = excluded.secret, last_step = -1, created_at_ms = excluded.created_at_ms
            WHERE account_totp.confirmed_at_ms IS NULL
        RETURNING user_id";
    GET: "SELECT secret, confirmed_at_ms, last_step FROM account_totp
        WHERE tenant_id = $1 AND user_id = $2";
    CONFIRM: "UPDATE account_totp SET confirmed_at_ms = $4, last_step = $3
        WHERE tenant_id = $1 AND user_id = $2 AND confirmed_at_ms IS NULL AND secret = $5";
    /// Of two who bring one code at once, one moves the step on.
    ACCEPT: "UPDATE account_totp SET last_step = $3
        WHERE tenant_id = $1 AND user_id = $2 AND confirmed_at_ms IS NOT NULL AND last_step < $3";
    REMOVE: "DELETE FROM account_totp WHERE tenant_id = $1 AND user_id = $2";
    PUT_CODE: "INSERT INTO account_recovery_code (tenant_id, user_id, hash, created_at_ms)
        VALUES ($1, $2, $3, $4)";
    TAKE_CODE: "DELETE FROM account_recovery_code
        WHERE tenant_id = $1 AND user_id = $2 AND hash = $3";
    DROP_CODES: "DELETE FROM account_recovery_code WHERE tenant_id = $1 AND user_id = $2";
    COUNT_CODES: "SELECT COUNT(*) FROM account_recovery_code
        WHERE tenant_id = $1 AND user_id = $2";
}

/// A kept factor; its secret is sealed.
pub(crate) struct Factor {
    pub(crate) sealed: Vec<u8>,
    pub(crate) confirmed_at_ms: Option<i64>,
    pub(crate) last_step: i64,
}

/// False when a confirmed factor is there.
pub(crate) async fn put(
    tx: &mut Tx,
    user_id: &str,
    sealed: &[u8],
    now_ms: i64,
) -> Result<bool, DbError> {
    Ok(tx.query_opt(&PUT, params![user_id, sealed, now_ms]).await?.is_some())
}

pub(crate) async fn get(tx: &mut Tx, user_id: &str) -> Result<Option<Factor>, DbError> {
    let row = tx.query_opt(&GET, params![user_id]).await?;
    row.map(|row| {
        let (sealed, confirmed_at_ms, last_step) = row.decode()?;
        Ok(Factor { sealed, confirmed_at_ms, last_step })
    })
    .transpose()
}

/// Whether a second factor is asked for.
pub(crate) async fn is_enrolled(tx: &mut Tx, user_id: &str) -> Result<bool, DbError> {
    Ok(get(tx, user_id).await?.is_some_and(|factor| factor.confirmed_at_ms.is_some()))
}

pub(crate) async fn confirm(
    tx: &mut Tx,
    user_id: &str,
    factor: &Factor,
    step: i64,
    now_ms: i64,
) -> Result<bool, DbError> {
    let params = params![user_id, step, now_ms, &factor.sealed];
    Ok(tx.execute(&CONFIRM, params).await? == 1)
}

/// Accepts a step; false when it, or a later one, was accepted before.
pub(crate) async fn accept(tx: &mut Tx, user_id: &str, step: i64) -> Result<bool, DbError> {
    Ok(tx.execute(&ACCEPT, params![user_id, step]).await? == 1)
}

/// Removes the factor and its recovery codes.
pub(crate) async fn remove(tx: &mut Tx, user_id: &str) -> Result<(), DbError> {
    tx.execute(&REMOVE, params![user_id]).await?;
    tx.execute(&DROP_CODES, params![user_id]).await.map(|_| ())
}

/// Replaces the recovery codes.
pub(crate) async fn put_codes(
    tx: &mut Tx,
    user_id: &str,
    hashes: &[String],
    now_ms: i64,
) -> Result<(), DbError> {
    tx.execute(&DROP_CODES, params![user_id]).await?;
    for hash in hashes {
        tx.execute(&PUT_CODE, params![user_id, hash, now_ms]).await?;
    }
    Ok(())
}

/// Takes a recovery code; of two who bring it at once, one gets it.
pub(crate) async fn take_code(tx: &mut Tx, user_id: &str, hash: &str) -> Result<bool, DbError> {
    Ok(tx.execute(&TAKE_CODE, params![user_id, hash]).await? == 1)
}

pub(crate) async fn count_codes(tx: &mut Tx, user_id: &str) -> Result<i64, DbError> {
    tx.query_one(&COUNT_CODES, params![user_id]).await?.get(0)
}
