//! Rows of sessions and of their refresh tokens.
//!
//! A session holds a slot of its user, and the primary key allows each slot once: two sign-ins at
//! the same moment can't both take the last one, whatever the isolation of the database.

use platform::db::{DbError, Row, Scope, Tx};
use platform::params;

use super::model::{Family, GENERATIONS_KEPT, REFRESH_LIFE_MS, SESSION_LIFE_MS};
use crate::secret::{Secret, SecretHash};

/// A session that is about to begin.
#[derive(Clone, Debug)]
pub(crate) struct NewSession {
    pub(crate) id: String,
    pub(crate) user_id: String,
    /// As it was when the credentials were checked; a session is refused when it has risen since.
    pub(crate) auth_epoch: i64,
    pub(crate) device_id: Option<String>,
    pub(crate) device_name: String,
    pub(crate) user_agent: String,
    pub(crate) address: String,
    pub(crate) salt: String,
    pub(crate) first: Secret,
}

/// A row, for lists and for refreshing.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) slot: i64,
    pub(crate) device_id: Option<String>,
    pub(crate) device_name: String,
    pub(crate) user_agent: String,
    pub(crate) address: String,
    pub(crate) auth_epoch: i64,
    pub(crate) authenticated_at_ms: i64,
    pub(crate) created_at_ms: i64,
    pub(crate) last_seen_ms: i64,
    pub(crate) expires_at_ms: i64,
    pub(crate) ends_at_ms: i64,
    pub(crate) family: Family,
    pub(crate) salt: String,
    pub(crate) profile_id: Option<String>,
}

platform::statements! {
    /// Takes the slot, if it is free and the credentials are still those that were checked.
    BEGIN: "INSERT INTO account_session (tenant_id, user_id, slot, id, device_id, device_name,
            user_agent, address, auth_epoch, authenticated_at_ms, created_at_ms, last_seen_ms,
            expires_at_ms, ends_at_ms, generation, rotated_at_ms, salt, profile_id)
        SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS TEXT),
            CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($7 AS TEXT), CAST($8 AS TEXT),
            account_user.auth_epoch, CAST($10 AS BIGINT), CAST($10 AS BIGINT),
            CAST($10 AS BIGINT), CAST($11 AS BIGINT), CAST($12 AS BIGINT), 0,
            CAST($10 AS BIGINT), CAST($13 AS TEXT), NULL
        FROM account_user
        WHERE account_user.tenant_id = $1 AND account_user.id = $2
            AND account_user.state = 'active' AND account_user.auth_epoch = $9
        ON CONFLICT (tenant_id, user_id, slot) DO NOTHING
        RETURNING slot";
    /// Whether a session may begin at all.
    MAY_BEGIN: "SELECT auth_epoch FROM account_user
        WHERE tenant_id = $1 AND id = $2 AND state = 'active' AND auth_epoch = $3";
    DROP_EXPIRED: "DELETE FROM account_session
        WHERE tenant_id = $1 AND user_id = $2
            AND (expires_at_ms <= $3 OR ends_at_ms <= $3
                OR auth_epoch < (SELECT auth_epoch FROM account_user
                    WHERE tenant_id = $1 AND id = $2))";
    DROP_DEVICE: "DELETE FROM account_session
        WHERE tenant_id = $1 AND user_id = $2 AND device_id = $3 RETURNING id";
    LEAST_RECENT: "SELECT id, slot FROM account_session
        WHERE tenant_id = $1 AND user_id = $2 AND slot <= $3
        ORDER BY last_seen_ms, slot LIMIT 1";
    END: "DELETE FROM account_session WHERE tenant_id = $1 AND id = $2 RETURNING user_id";
    END_OF_USER: "DELETE FROM account_session
        WHERE tenant_id = $1 AND id = $2 AND user_id = $3 RETURNING id";
    END_ALL: "DELETE FROM account_session WHERE tenant_id = $1 AND user_id = $2 RETURNING id";
    END_OTHERS: "DELETE FROM account_session
        WHERE tenant_id = $1 AND user_id = $2 AND id <> $3 RETURNING id";
    LIST: "SELECT id, user_id, slot, device_id, device_name, user_agent, address, auth_epoch,
            authenticated_at_ms, created_at_ms, last_seen_ms, expires_at_ms, ends_at_ms,
            generation, rotated_at_ms, salt, profile_id
        FROM account_session
        WHERE tenant_id = $1 AND user_id = $2 AND expires_at_ms > $3 AND ends_at_ms > $3
            AND auth_epoch >= (SELECT auth_epoch FROM account_user
                WHERE tenant_id = $1 AND id = $2)
        ORDER BY last_seen_ms DESC, slot";
    BY_ID: "SELECT id, user_id, slot, device_id, device_name, user_agent, address, auth_epoch,
            authenticated_at_ms, created_at_ms, last_seen_ms, expires_at_ms, ends_at_ms,
            generation, rotated_at_ms, salt, profile_id
        FROM account_session WHERE tenant_id = $1 AND id = $2";
    /// What a request's caller is judged by.
    STANDING: "SELECT s.user_id, s.authenticated_at_ms, s.profile_id
        FROM account_session s
        JOIN account_user u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
        WHERE s.tenant_id = $1 AND s.id = $2 AND s.ends_at_ms > $3
            AND u.state = 'active' AND u.auth_epoch = s.auth_epoch";
    /// One of many who bring the current token moves on; the others change no row.
    ROTATE: "UPDATE account_session
        SET generation = generation + 1, rotated_at_ms = $4, last_seen_ms = $4,
            expires_at_ms = CASE WHEN ends_at_ms < $5 THEN ends_at_ms ELSE $5 END,
            address = $6, user_agent = $7
        WHERE tenant_id = $1 AND id = $2 AND generation = $3";
    MOVE: "UPDATE account_session SET slot = $3
        WHERE tenant_id = $1 AND id = $2 AND NOT EXISTS (
            SELECT 1 FROM account_session other
            WHERE other.tenant_id = $1 AND other.user_id = account_session.user_id
                AND other.slot = $3)";
    SET_PROFILE: "UPDATE account_session SET profile_id = $3 WHERE tenant_id = $1 AND id = $2";
    LEAVE_PROFILE: "UPDATE account_session SET profile_id = NULL
        WHERE tenant_id = $1 AND user_id = $2 AND profile_id = $3 RETURNING id";
    REAUTHENTICATE: "UPDATE account_session SET authenticated_at_ms = $3
        WHERE tenant_id = $1 AND id = $2";
    CARRY_EPOCH: "UPDATE account_session SET auth_epoch = $3 WHERE tenant_id = $1 AND id = $2";
    REMEMBER: "INSERT INTO account_refresh (tenant_id, hash, session_id, generation,
            issued_at_ms, rotated_at_ms, expires_at_ms)
        VALUES ($1, $2, $3, $4, $5, NULL, $6)";
    MARK_ROTATED: "UPDATE account_refresh SET rotated_at_ms = $4
        WHERE tenant_id = $1 AND session_id = $2 AND generation = $3";
    FORGET_OLD: "DELETE FROM account_refresh
        WHERE tenant_id = $1 AND session_id = $2 AND generation <= $3";
    FAMILY_OF: "SELECT session_id, generation, expires_at_ms FROM account_refresh
        WHERE tenant_id = $1 AND hash = $2";
    system SWEEP: "DELETE FROM account_session WHERE expires_at_ms <= $1 OR ends_at_ms <= $1"
        scans "once an hour, by the task that tidies up";
}

impl Session {
    fn read(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            user_id: row.get(1)?,
            slot: row.get(2)?,
            device_id: row.get(3)?,
            device_name: row.get(4)?,
            user_agent: row.get(5)?,
            address: row.get(6)?,
            auth_epoch: row.get(7)?,
            authenticated_at_ms: row.get(8)?,
            created_at_ms: row.get(9)?,
            last_seen_ms: row.get(10)?,
            expires_at_ms: row.get(11)?,
            ends_at_ms: row.get(12)?,
            family: Family { generation: row.get(13)?, rotated_at_ms: row.get(14)? },
            salt: row.get(15)?,
            profile_id: row.get(16)?,
        })
    }
}

/// What came of an attempt to begin a session.
#[derive(Debug)]
pub(crate) enum Begun {
    /// Sessions that ended for it: of the same device, or the least recently used one.
    Yes { ended: Vec<String> },
    /// The account was locked, or all its sessions ended, since the credentials were checked.
    Stale,
}

/// Begins a session in a slot up to `sessions_max`. When all are taken, the session that was used
/// least recently ends.
pub(crate) async fn begin(
    tx: &mut Tx,
    new: &NewSession,
    sessions_max: i64,
    now_ms: i64,
) -> Result<Begun, DbError> {
    tx.execute(&DROP_EXPIRED, params![&new.user_id, now_ms]).await?;
    let mut ended = Vec::new();
    if let Some(device_id) = &new.device_id {
        for row in tx.query(&DROP_DEVICE, params![&new.user_id, device_id]).await? {
            ended.push(row.get::<String>(0)?);
        }
    }
    // Ends: each round either takes a slot, or has seen another sign-in take one; those are as
    // many as there are sign-ins at this moment, and this many are never let through.
    for _ in 0..ROUNDS_MAX {
        if take_free_slot(tx, new, sessions_max, now_ms).await? {
            put_refresh(tx, &new.id, &new.first, 0, now_ms).await?;
            return Ok(Begun::Yes { ended });
        }
        let params = params![&new.user_id, new.auth_epoch];
        if tx.query_opt(&MAY_BEGIN, params).await?.is_none() {
            return Ok(Begun::Stale);
        }
        let params = params![&new.user_id, sessions_max];
        if let Some(row) = tx.query_opt(&LEAST_RECENT, params).await? {
            let (victim, _) = row.decode::<(String, i64)>()?;
            if tx.query_opt(&END, params![&victim]).await?.is_some() {
                ended.push(victim);
            }
        }
    }
    Err(DbError::Busy { reason: "other sign-ins kept taking the same places" })
}

const ROUNDS_MAX: usize = 32;

async fn take_free_slot(
    tx: &mut Tx,
    new: &NewSession,
    sessions_max: i64,
    now_ms: i64,
) -> Result<bool, DbError> {
    for slot in 1..=sessions_max {
        let params = params![
            &new.user_id,
            slot,
            &new.id,
            &new.device_id,
            &new.device_name,
            &new.user_agent,
            &new.address,
            new.auth_epoch,
            now_ms,
            now_ms + REFRESH_LIFE_MS,
            now_ms + SESSION_LIFE_MS,
            &new.salt
        ];
        if tx.query_opt(&BEGIN, params).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Keeps the hash of a session's token.
pub(crate) async fn put_refresh(
    tx: &mut Tx,
    session_id: &str,
    token: &Secret,
    generation: i64,
    now_ms: i64,
) -> Result<(), DbError> {
    let expires_at_ms = now_ms + REFRESH_LIFE_MS;
    let params = params![token.hash().hex(), session_id, generation, now_ms, expires_at_ms];
    tx.execute(&REMEMBER, params).await.map(|_| ())
}

/// The session and the generation that a refresh token belongs to.
pub(crate) async fn family_of(
    tx: &mut Tx,
    hash: &SecretHash,
) -> Result<Option<(String, i64, i64)>, DbError> {
    let row = tx.query_opt(&FAMILY_OF, params![hash.hex()]).await?;
    row.map(|row| row.decode()).transpose()
}

pub(crate) async fn by_id(tx: &mut Tx, id: &str) -> Result<Option<Session>, DbError> {
    let row = tx.query_opt(&BY_ID, params![id]).await?;
    row.as_ref().map(Session::read).transpose()
}

/// Moves a family on from `generation`; false when another has.
pub(crate) async fn rotate(
    tx: &mut Tx,
    session: &Session,
    next: &Secret,
    (address, user_agent): (&str, &str),
    now_ms: i64,
) -> Result<bool, DbError> {
    let generation = session.family.generation;
    let expires_at_ms = now_ms + REFRESH_LIFE_MS;
    let params = params![&session.id, generation, now_ms, expires_at_ms, address, user_agent];
    if tx.execute(&ROTATE, params).await? == 0 {
        return Ok(false);
    }
    tx.execute(&MARK_ROTATED, params![&session.id, generation, now_ms]).await?;
    put_refresh(tx, &session.id, next, generation + 1, now_ms).await?;
    tx.execute(&FORGET_OLD, params![&session.id, generation - GENERATIONS_KEPT]).await?;
    Ok(true)
}

/// Brings a session into a slot that the tier allows; false when none is free.
pub(crate) async fn fit(
    tx: &mut Tx,
    session: &Session,
    sessions_max: i64,
) -> Result<bool, DbError> {
    for slot in 1..=sessions_max {
        if tx.execute(&MOVE, params![&session.id, slot]).await? == 1 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Ends a session; whose it was.
pub(crate) async fn end(tx: &mut Tx, id: &str) -> Result<Option<String>, DbError> {
    let row = tx.query_opt(&END, params![id]).await?;
    row.map(|row| row.get(0)).transpose()
}

/// Ends one session of a user.
pub(crate) async fn end_of_user(tx: &mut Tx, id: &str, user_id: &str) -> Result<bool, DbError> {
    Ok(tx.query_opt(&END_OF_USER, params![id, user_id]).await?.is_some())
}

/// Ends all sessions of a user; which they were.
pub(crate) async fn end_all(tx: &mut Tx, user_id: &str) -> Result<Vec<String>, DbError> {
    let rows = tx.query(&END_ALL, params![user_id]).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

/// Ends all sessions of a user but one.
pub(crate) async fn end_others(
    tx: &mut Tx,
    user_id: &str,
    kept: &str,
) -> Result<Vec<String>, DbError> {
    let rows = tx.query(&END_OTHERS, params![user_id, kept]).await?;
    rows.iter().map(|row| row.get(0)).collect()
}

pub(crate) async fn list(
    scope: &Scope,
    user_id: &str,
    now_ms: i64,
) -> Result<Vec<Session>, DbError> {
    let rows = scope.query(&LIST, params![user_id, now_ms]).await?;
    rows.iter().map(Session::read).collect()
}

/// Whose a live session is, when they proved it, and the profile it is in.
pub(crate) async fn standing(
    scope: &Scope,
    id: &str,
    now_ms: i64,
) -> Result<Option<(String, i64, Option<String>)>, DbError> {
    let row = scope.query_opt(&STANDING, params![id, now_ms]).await?;
    row.map(|row| row.decode()).transpose()
}

/// Lets a session outlive the end of all others.
pub(crate) async fn carry_epoch(tx: &mut Tx, id: &str, epoch: i64) -> Result<(), DbError> {
    tx.execute(&CARRY_EPOCH, params![id, epoch]).await.map(|_| ())
}

/// Puts a session into a profile.
pub(crate) async fn set_profile(tx: &mut Tx, id: &str, profile_id: &str) -> Result<(), DbError> {
    tx.execute(&SET_PROFILE, params![id, profile_id]).await.map(|_| ())
}

/// Takes all sessions out of a profile that is no more; which they were.
pub(crate) async fn leave_profile(
    tx: &mut Tx,
    user_id: &str,
    profile_id: &str,
) -> Result<Vec<String>, DbError> {
    let rows = tx.query(&LEAVE_PROFILE, params![user_id, profile_id]).await?;
    rows.iter().map(|row| row.get(0)).collect()
}
