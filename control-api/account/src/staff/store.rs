//! Rows of staff, their roles, and what a sign-in owes.

use platform::db::{DbError, Row, Scope, Tx};
use platform::params;

use crate::email::Email;
use crate::secret::SecretHash;

/// How long a sign-in may wait for its code.
const STEP_LIFE_MS: i64 = 10 * 60_000;

/// A member of staff.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) hash: String,
    pub(crate) is_active: bool,
    /// Sealed; none until an app is enrolled.
    pub(crate) totp: Option<Vec<u8>>,
    pub(crate) totp_last_step: i64,
    pub(crate) auth_epoch: i64,
}

/// A member about to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewMember {
    pub(crate) id: String,
    pub(crate) email: Email,
    pub(crate) hash: String,
    pub(crate) role: String,
}

/// What a sign-in with the right password still owes.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) staff_id: String,
    pub(crate) auth_epoch: i64,
    /// The sealed secret that the code is to enrol.
    pub(crate) totp: Option<Vec<u8>>,
}

platform::statements! {
    ADD: "INSERT INTO account_staff (tenant_id, id, email, email_norm, hash, state, totp,
            totp_last_step, auth_epoch, created_at_ms, version)
        VALUES ($1, $2, $3, $4, $5, 'active', NULL, -1, 0, $6, 1)
        ON CONFLICT (tenant_id, email_norm) DO NOTHING
        RETURNING id";
    ANY: "SELECT id FROM account_staff WHERE tenant_id = $1 LIMIT 1";
    BY_EMAIL: "SELECT id, email, hash, state, totp, totp_last_step, auth_epoch
        FROM account_staff WHERE tenant_id = $1 AND email_norm = $2";
    BY_ID: "SELECT id, email, hash, state, totp, totp_last_step, auth_epoch
        FROM account_staff WHERE tenant_id = $1 AND id = $2";
    REPLACE_HASH: "UPDATE account_staff SET hash = $4
        WHERE tenant_id = $1 AND id = $2 AND hash = $3";
    /// Of two enrolments, the first counts.
    ENROL: "UPDATE account_staff SET totp = $3, totp_last_step = $4, version = version + 1
        WHERE tenant_id = $1 AND id = $2 AND totp IS NULL";
    /// Of two who bring one code at once, one moves the step on.
    ACCEPT: "UPDATE account_staff SET totp_last_step = $3
        WHERE tenant_id = $1 AND id = $2 AND totp IS NOT NULL AND totp_last_step < $3";
    PUT_RECOVERY: "INSERT INTO account_staff_recovery (tenant_id, staff_id, hash)
        VALUES ($1, $2, $3)";
    TAKE_RECOVERY: "DELETE FROM account_staff_recovery
        WHERE tenant_id = $1 AND staff_id = $2 AND hash = $3";
    PUT_STEP: "INSERT INTO account_staff_step (tenant_id, hash, staff_id, auth_epoch, totp,
            expires_at_ms)
        VALUES ($1, $2, $3, $4, $5, $6)";
    LOOK_STEP: "SELECT staff_id, auth_epoch, totp FROM account_staff_step
        WHERE tenant_id = $1 AND hash = $2 AND expires_at_ms > $3";
    TAKE_STEP: "DELETE FROM account_staff_step WHERE tenant_id = $1 AND hash = $2";
    system SWEEP_STEPS: "DELETE FROM account_staff_step WHERE expires_at_ms <= $1";
    PUT_ROLE: "INSERT INTO account_role (tenant_id, name, created_at_ms) VALUES ($1, $2, $3)
        ON CONFLICT (tenant_id, name) DO NOTHING";
    PUT_PERMISSION: "INSERT INTO account_role_permission (tenant_id, role, permission)
        VALUES ($1, $2, $3) ON CONFLICT (tenant_id, role, permission) DO NOTHING";
    GIVE_ROLE: "INSERT INTO account_staff_role (tenant_id, staff_id, role) VALUES ($1, $2, $3)
        ON CONFLICT (tenant_id, staff_id, role) DO NOTHING";
    PERMISSIONS_OF: "SELECT DISTINCT p.permission
        FROM account_staff_role r
        JOIN account_role_permission p ON p.tenant_id = r.tenant_id AND p.role = r.role
        WHERE r.tenant_id = $1 AND r.staff_id = $2 ORDER BY p.permission";
}

impl Member {
    fn read(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            email: row.get(1)?,
            hash: row.get(2)?,
            is_active: row.get::<String>(3)? == "active",
            totp: row.get(4)?,
            totp_last_step: row.get(5)?,
            auth_epoch: row.get(6)?,
        })
    }
}

/// Adds a member with a role; false when the address has one.
pub(crate) async fn add(tx: &mut Tx, new: &NewMember, now_ms: i64) -> Result<bool, DbError> {
    let params = params![&new.id, new.email.written(), new.email.norm(), &new.hash, now_ms];
    if tx.query_opt(&ADD, params).await?.is_none() {
        return Ok(false);
    }
    give_role(tx, &new.id, &new.role).await?;
    Ok(true)
}

/// Whether the tenant has staff at all.
pub(crate) async fn is_any(tx: &mut Tx) -> Result<bool, DbError> {
    Ok(tx.query_opt(&ANY, params![]).await?.is_some())
}

pub(crate) async fn find_by_email(
    scope: &Scope,
    email_norm: &str,
) -> Result<Option<Member>, DbError> {
    let row = scope.query_opt(&BY_EMAIL, params![email_norm]).await?;
    row.as_ref().map(Member::read).transpose()
}

pub(crate) async fn by_id(tx: &mut Tx, id: &str) -> Result<Option<Member>, DbError> {
    let row = tx.query_opt(&BY_ID, params![id]).await?;
    row.as_ref().map(Member::read).transpose()
}

pub(crate) async fn replace_hash(
    tx: &mut Tx,
    id: &str,
    (old, new): (&str, &str),
) -> Result<(), DbError> {
    tx.execute(&REPLACE_HASH, params![id, old, new]).await.map(|_| ())
}

/// False when an app was enrolled meanwhile.
pub(crate) async fn enrol(
    tx: &mut Tx,
    id: &str,
    sealed: &[u8],
    step: i64,
) -> Result<bool, DbError> {
    Ok(tx.execute(&ENROL, params![id, sealed, step]).await? == 1)
}

/// False when the step, or a later one, was accepted before.
pub(crate) async fn accept(tx: &mut Tx, id: &str, step: i64) -> Result<bool, DbError> {
    Ok(tx.execute(&ACCEPT, params![id, step]).await? == 1)
}

pub(crate) async fn put_recovery(tx: &mut Tx, id: &str, hashes: &[String]) -> Result<(), DbError> {
    for hash in hashes {
        tx.execute(&PUT_RECOVERY, params![id, hash]).await?;
    }
    Ok(())
}

/// Takes a recovery code; of two who bring it at once, one gets it.
pub(crate) async fn take_recovery(tx: &mut Tx, id: &str, hash: &str) -> Result<bool, DbError> {
    Ok(tx.execute(&TAKE_RECOVERY, params![id, hash]).await? == 1)
}

pub(crate) async fn put_step(
    tx: &mut Tx,
    hash: &SecretHash,
    step: &Step,
    now_ms: i64,
) -> Result<(), DbError> {
    let expires_at_ms = now_ms + STEP_LIFE_MS;
    let params = params![hash.hex(), &step.staff_id, step.auth_epoch, &step.totp, expires_at_ms];
    tx.execute(&PUT_STEP, params).await.map(|_| ())
}

pub(crate) async fn look_step(
    tx: &mut Tx,
    hash: &SecretHash,
    now_ms: i64,
) -> Result<Option<Step>, DbError> {
    let row = tx.query_opt(&LOOK_STEP, params![hash.hex(), now_ms]).await?;
    row.map(|row| {
        let (staff_id, auth_epoch, totp) = row.decode()?;
        Ok(Step { staff_id, auth_epoch, totp })
    })
    .transpose()
}

/// Of two who bring one token at once, one gets it.
pub(crate) async fn take_step(tx: &mut Tx, hash: &SecretHash) -> Result<bool, DbError> {
    Ok(tx.execute(&TAKE_STEP, params![hash.hex()]).await? == 1)
}

/// Makes sure that a role is there and grants at least these permissions.
pub(crate) async fn put_role(
    tx: &mut Tx,
    name: &str,
    permissions: &[String],
    now_ms: i64,
) -> Result<(), DbError> {
    tx.execute(&PUT_ROLE, params![name, now_ms]).await?;
    for permission in permissions {
        tx.execute(&PUT_PERMISSION, params![name, permission]).await?;
    }
    Ok(())
}

pub(crate) async fn give_role(tx: &mut Tx, id: &str, role: &str) -> Result<(), DbError> {
    tx.execute(&GIVE_ROLE, params![id, role]).await.map(|_| ())
}

/// Everything that the member's roles grant.
pub(crate) async fn permissions_of(scope: &Scope, id: &str) -> Result<Vec<String>, DbError> {
    let rows = scope.query(&PERMISSIONS_OF, params![id]).await?;
    rows.iter().map(|row| row.get(0)).collect()
}
