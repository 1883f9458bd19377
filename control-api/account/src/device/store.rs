//! Rows of device codes.
//!
//! Each step is one statement: of many who approve, deny or fetch at the same moment one changes
//! the row, and the others find it changed.

use platform::db::{DbError, Scope, Tx};
use platform::params;

use crate::secret::SecretHash;

/// Seconds between two questions of a television, unless it is told otherwise.
pub(crate) const INTERVAL_SECONDS: i64 = 5;
/// Added for who asks faster (RFC 8628 3.5), up to the most.
const SLOWER_SECONDS: i64 = 5;
const INTERVAL_SECONDS_MAX: i64 = 60;
/// Clocks and networks shake: a question this much early is on time.
const EARLY_MS: i64 = 500;

/// A code about to be given out.
#[derive(Clone, Debug)]
pub(crate) struct NewCode {
    pub(crate) user_code: String,
    pub(crate) device_hash: SecretHash,
    pub(crate) device_name: String,
    pub(crate) network: String,
    pub(crate) expires_at_ms: i64,
}

/// What a television finds.
#[derive(Clone, Debug)]
pub(crate) struct Polled {
    pub(crate) state: String,
    pub(crate) is_too_fast: bool,
    pub(crate) expires_at_ms: i64,
    pub(crate) approved_by: Option<Approval>,
}

/// Who approved, and the epoch of the account then.
#[derive(Clone, Debug)]
pub(crate) struct Approval {
    pub(crate) user_id: String,
    pub(crate) auth_epoch: i64,
    pub(crate) device_name: String,
}

platform::statements! {
    /// No row where the user code is taken. The first question may come at once.
    PUT: "INSERT INTO account_device_code (tenant_id, user_code, device_hash, state, user_id,
            auth_epoch, device_name, address, interval_seconds, polled_at_ms, is_too_fast,
            created_at_ms, expires_at_ms)
        VALUES ($1, $2, $3, 'pending', NULL, NULL, $4, $5, $6, 0, FALSE, $7, $8)
        ON CONFLICT (tenant_id, user_code) DO NOTHING";
    LOOK: "SELECT device_name, address, created_at_ms, expires_at_ms FROM account_device_code
        WHERE tenant_id = $1 AND user_code = $2 AND state = 'pending' AND expires_at_ms > $3";
    /// One of those who decide at once changes the row; the epoch is that of the moment.
    DECIDE: "UPDATE account_device_code SET state = $3, user_id = $4,
            auth_epoch = (SELECT auth_epoch FROM account_user
                WHERE tenant_id = $1 AND id = $4)
        WHERE tenant_id = $1 AND user_code = $2 AND state = 'pending' AND expires_at_ms > $5
        RETURNING device_name, address";
    /// Judges the question by the one before and notes it.
    POLL: "UPDATE account_device_code SET
            is_too_fast = (polled_at_ms + interval_seconds * 1000 > $4),
            interval_seconds = CASE
                WHEN polled_at_ms + interval_seconds * 1000 <= $4 THEN interval_seconds
                WHEN interval_seconds + $5 > $6 THEN $6
                ELSE interval_seconds + $5 END,
            polled_at_ms = $3
        WHERE tenant_id = $1 AND device_hash = $2
        RETURNING state, is_too_fast, expires_at_ms, user_id, auth_epoch, device_name";
    /// An approved code is good once.
    TAKE: "DELETE FROM account_device_code
        WHERE tenant_id = $1 AND device_hash = $2 AND state = 'approved' AND expires_at_ms > $3";
    system SWEEP: "DELETE FROM account_device_code WHERE expires_at_ms <= $1";
}

/// Keeps a new code; false when its user code is taken.
pub(crate) async fn put(tx: &mut Tx, code: &NewCode, now_ms: i64) -> Result<bool, DbError> {
    let params = params![
        &code.user_code,
        code.device_hash.hex(),
        &code.device_name,
        &code.network,
        INTERVAL_SECONDS,
        now_ms,
        code.expires_at_ms
    ];
    Ok(tx.execute(&PUT, params).await? == 1)
}

/// Name, network, beginning and end of a code that waits.
pub(crate) async fn look(
    scope: &Scope,
    user_code: &str,
    now_ms: i64,
) -> Result<Option<(String, String, i64, i64)>, DbError> {
    let row = scope.query_opt(&LOOK, params![user_code, now_ms]).await?;
    row.map(|row| row.decode()).transpose()
}

/// Approves or denies a code that waits; name and network of its device.
pub(crate) async fn decide(
    tx: &mut Tx,
    user_code: &str,
    user_id: &str,
    is_approved: bool,
    now_ms: i64,
) -> Result<Option<(String, String)>, DbError> {
    let state = if is_approved { "approved" } else { "denied" };
    let row = tx.query_opt(&DECIDE, params![user_code, state, user_id, now_ms]).await?;
    row.map(|row| row.decode()).transpose()
}

/// What has become of a code; `None` when there is none such.
pub(crate) async fn poll(
    tx: &mut Tx,
    hash: &SecretHash,
    now_ms: i64,
) -> Result<Option<Polled>, DbError> {
    let params =
        params![hash.hex(), now_ms, now_ms + EARLY_MS, SLOWER_SECONDS, INTERVAL_SECONDS_MAX];
    let Some(row) = tx.query_opt(&POLL, params).await? else { return Ok(None) };
    let (state, is_too_fast, expires_at_ms, user_id, auth_epoch, device_name) =
        row.decode::<(String, bool, i64, Option<String>, Option<i64>, String)>()?;
    let approved_by = match (state.as_str(), user_id, auth_epoch) {
        ("approved", Some(user_id), Some(auth_epoch)) => {
            Some(Approval { user_id, auth_epoch, device_name })
        }
        _ => None,
    };
    Ok(Some(Polled { state, is_too_fast, expires_at_ms, approved_by }))
}

/// Uses an approved code up; false when another has.
pub(crate) async fn take(tx: &mut Tx, hash: &SecretHash, now_ms: i64) -> Result<bool, DbError> {
    Ok(tx.execute(&TAKE, params![hash.hex(), now_ms]).await? == 1)
}
