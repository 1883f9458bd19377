//! Rows of progress and of watchlists.
//!
//! Progress moves by one statement that compares `(playback_id, client_seq)`: playback ids are
//! UUIDv7, so a later playback is greater, and within a playback the client counts up. A heartbeat
//! that arrives late is smaller and changes nothing.

use platform::db::{DbError, Row, Scope, Tx};
use platform::params;

platform::statements! {
    MOVE: "INSERT INTO account_progress (tenant_id, profile_id, content_id, playback_id,
            client_seq, position_ms, duration_ms, is_completed, completed_at_ms, started_at_ms,
            updated_at_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
        ON CONFLICT (tenant_id, profile_id, content_id) DO UPDATE SET
            playback_id = excluded.playback_id, client_seq = excluded.client_seq,
            position_ms = excluded.position_ms, duration_ms = excluded.duration_ms,
            is_completed = excluded.is_completed,
            completed_at_ms = COALESCE(excluded.completed_at_ms, account_progress.completed_at_ms),
            updated_at_ms = excluded.updated_at_ms
            WHERE (excluded.playback_id, excluded.client_seq)
                > (account_progress.playback_id, account_progress.client_seq)
        RETURNING position_ms";
    GET: "SELECT content_id, position_ms, duration_ms, is_completed, completed_at_ms,
            updated_at_ms
        FROM account_progress WHERE tenant_id = $1 AND profile_id = $2 AND content_id = $3";
    HISTORY: "SELECT content_id, position_ms, duration_ms, is_completed, completed_at_ms,
            updated_at_ms
        FROM account_progress
        WHERE tenant_id = $1 AND profile_id = $2 AND (updated_at_ms, content_id) < ($3, $4)
        ORDER BY updated_at_ms DESC, content_id DESC LIMIT $5";
    /// Begun and not finished; what was left within half a minute was only looked at.
    CONTINUE: "SELECT content_id, position_ms, duration_ms, is_completed, completed_at_ms,
            updated_at_ms
        FROM account_progress
        WHERE tenant_id = $1 AND profile_id = $2 AND (updated_at_ms, content_id) < ($3, $4)
            AND is_completed = FALSE AND position_ms >= 30000
        ORDER BY updated_at_ms DESC, content_id DESC LIMIT $5";
    FORGET: "DELETE FROM account_progress
        WHERE tenant_id = $1 AND profile_id = $2 AND content_id = $3";
    FORGET_ALL: "DELETE FROM account_progress WHERE tenant_id = $1 AND profile_id = $2";
    ADD: "INSERT INTO account_watchlist (tenant_id, profile_id, content_id, added_at_ms)
        SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS BIGINT)
        WHERE (SELECT COUNT(*) FROM account_watchlist
            WHERE tenant_id = $1 AND profile_id = $2) < $5
        ON CONFLICT (tenant_id, profile_id, content_id) DO NOTHING";
    HAS: "SELECT content_id FROM account_watchlist
        WHERE tenant_id = $1 AND profile_id = $2 AND content_id = $3";
    LIST: "SELECT content_id, added_at_ms FROM account_watchlist
        WHERE tenant_id = $1 AND profile_id = $2 AND (added_at_ms, content_id) < ($3, $4)
        ORDER BY added_at_ms DESC, content_id DESC LIMIT $5";
    REMOVE: "DELETE FROM account_watchlist
        WHERE tenant_id = $1 AND profile_id = $2 AND content_id = $3";
}

/// A place in a title.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    pub(crate) content_id: String,
    pub(crate) position_ms: i64,
    pub(crate) duration_ms: i64,
    pub(crate) is_completed: bool,
    pub(crate) completed_at_ms: Option<i64>,
    pub(crate) updated_at_ms: i64,
}

impl Progress {
    fn read(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            content_id: row.get(0)?,
            position_ms: row.get(1)?,
            duration_ms: row.get(2)?,
            is_completed: row.get(3)?,
            completed_at_ms: row.get(4)?,
            updated_at_ms: row.get(5)?,
        })
    }
}

/// Behind the last row of the page before; the first page begins behind everything.
pub(crate) type After = (i64, String);

pub(crate) fn beginning() -> After {
    (i64::MAX, String::new())
}

/// Moves progress on; false when what is kept is newer.
pub(crate) async fn advance(
    tx: &mut Tx,
    profile_id: &str,
    (playback_id, client_seq): (&str, i64),
    to: &Progress,
) -> Result<bool, DbError> {
    let params = params![
        profile_id,
        &to.content_id,
        playback_id,
        client_seq,
        to.position_ms,
        to.duration_ms,
        to.is_completed,
        to.completed_at_ms,
        to.updated_at_ms
    ];
    Ok(tx.query_opt(&MOVE, params).await?.is_some())
}

pub(crate) async fn get(
    scope: &Scope,
    profile_id: &str,
    content_id: &str,
) -> Result<Option<Progress>, DbError> {
    let row = scope.query_opt(&GET, params![profile_id, content_id]).await?;
    row.as_ref().map(Progress::read).transpose()
}

pub(crate) async fn history(
    scope: &Scope,
    profile_id: &str,
    is_continue: bool,
    (at_ms, content_id): After,
    rows: i64,
) -> Result<Vec<Progress>, DbError> {
    let statement = if is_continue { &CONTINUE } else { &HISTORY };
    let rows = scope.query(statement, params![profile_id, at_ms, content_id, rows]).await?;
    rows.iter().map(Progress::read).collect()
}

pub(crate) async fn forget(
    tx: &mut Tx,
    profile_id: &str,
    content_id: Option<&str>,
) -> Result<u64, DbError> {
    match content_id {
        Some(content_id) => tx.execute(&FORGET, params![profile_id, content_id]).await,
        None => tx.execute(&FORGET_ALL, params![profile_id]).await,
    }
}

/// Keeps a title for later; false when the list is full.
pub(crate) async fn add(
    tx: &mut Tx,
    profile_id: &str,
    content_id: &str,
    items_max: i64,
    now_ms: i64,
) -> Result<bool, DbError> {
    let params = params![profile_id, content_id, now_ms, items_max];
    if tx.execute(&ADD, params).await? == 1 {
        return Ok(true);
    }
    Ok(tx.query_opt(&HAS, params![profile_id, content_id]).await?.is_some())
}

pub(crate) async fn list(
    scope: &Scope,
    profile_id: &str,
    (at_ms, content_id): After,
    rows: i64,
) -> Result<Vec<(String, i64)>, DbError> {
    let rows = scope.query(&LIST, params![profile_id, at_ms, content_id, rows]).await?;
    rows.iter().map(|row| row.decode()).collect()
}

pub(crate) async fn remove(
    tx: &mut Tx,
    profile_id: &str,
    content_id: &str,
) -> Result<u64, DbError> {
    tx.execute(&REMOVE, params![profile_id, content_id]).await
}
