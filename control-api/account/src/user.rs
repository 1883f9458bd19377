//! A person's row, and the hash of their password.

use platform::db::{DbError, Row, Scope, Tx};
use platform::params;

use crate::email::Email;

/// Where an account stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UserState {
    /// The address is not confirmed yet.
    Pending,
    Active,
    /// By staff; nothing is lost.
    Suspended,
    /// Being erased.
    Deleting,
}

impl UserState {
    pub fn text(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleting => "deleting",
        }
    }

    fn read(text: &str) -> Result<Self, DbError> {
        Ok(match text {
            "pending" => Self::Pending,
            "active" => Self::Active,
            "suspended" => Self::Suspended,
            "deleting" => Self::Deleting,
            other => return Err(DbError::Decode { reason: format!("`{other}` is no state") }),
        })
    }
}

/// A person.
#[derive(Clone, Debug)]
pub struct User {
    pub id: String,
    pub email: String,
    pub email_norm: String,
    pub state: UserState,
    pub country: Option<String>,
    pub locale: Option<String>,
    /// Rises when all sessions end at once.
    pub auth_epoch: i64,
    pub created_at_ms: i64,
    pub verified_at_ms: Option<i64>,
    pub version: i64,
}

/// A person as they register.
#[derive(Clone, Debug)]
pub(crate) struct NewUser {
    pub(crate) id: String,
    pub(crate) email: Email,
    pub(crate) state: UserState,
    pub(crate) country: Option<String>,
    pub(crate) locale: Option<String>,
}

platform::statements! {
    /// No row when the address is taken.
    ADD: "INSERT INTO account_user (tenant_id, id, email, email_norm, state, country, locale,
            auth_epoch, created_at_ms, verified_at_ms, version)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, 1)
        ON CONFLICT (tenant_id, email_norm) DO NOTHING RETURNING id";
    BY_EMAIL: "SELECT id, email, email_norm, state, country, locale, auth_epoch, created_at_ms,
            verified_at_ms, version
        FROM account_user WHERE tenant_id = $1 AND email_norm = $2";
    BY_ID: "SELECT id, email, email_norm, state, country, locale, auth_epoch, created_at_ms,
            verified_at_ms, version
        FROM account_user WHERE tenant_id = $1 AND id = $2";
    CONFIRM: "UPDATE account_user
        SET state = 'active', verified_at_ms = $3, version = version + 1
        WHERE tenant_id = $1 AND id = $2 AND state = 'pending'";
    SET_STATE: "UPDATE account_user SET state = $3, version = version + 1
        WHERE tenant_id = $1 AND id = $2 AND state = $4";
    /// No row when the version has moved on; NULL keeps what is there.
    CHANGE: "UPDATE account_user
        SET country = $4, locale = $5, version = version + 1
        WHERE tenant_id = $1 AND id = $2 AND version = $3";
    SET_EMAIL: "UPDATE account_user
        SET email = $3, email_norm = $4, version = version + 1
        WHERE tenant_id = $1 AND id = $2 AND state = 'active'";
    BUMP_EPOCH: "UPDATE account_user SET auth_epoch = auth_epoch + 1
        WHERE tenant_id = $1 AND id = $2 RETURNING auth_epoch";
    REMOVE: "DELETE FROM account_user WHERE tenant_id = $1 AND id = $2 AND state = 'deleting'";
    system SWEEP_PENDING: "DELETE FROM account_user
        WHERE state = 'pending' AND created_at_ms < $1"
        scans "once an hour, by the task that tidies up";
    HASH_OF: "SELECT hash FROM account_credential WHERE tenant_id = $1 AND user_id = $2";
    PUT_HASH: "INSERT INTO account_credential (tenant_id, user_id, hash, changed_at_ms)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (tenant_id, user_id) DO UPDATE
            SET hash = excluded.hash, changed_at_ms = excluded.changed_at_ms";
    /// Only while nobody has set another password meanwhile.
    REPLACE_HASH: "UPDATE account_credential SET hash = $4
        WHERE tenant_id = $1 AND user_id = $2 AND hash = $3";
}

impl User {
    fn read(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            email: row.get(1)?,
            email_norm: row.get(2)?,
            state: UserState::read(&row.get::<String>(3)?)?,
            country: row.get(4)?,
            locale: row.get(5)?,
            auth_epoch: row.get(6)?,
            created_at_ms: row.get(7)?,
            verified_at_ms: row.get(8)?,
            version: row.get(9)?,
        })
    }
}

/// Adds a person; false when the address has one.
pub(crate) async fn add(tx: &mut Tx, user: &NewUser, now_ms: i64) -> Result<bool, DbError> {
    let verified_at_ms = (user.state == UserState::Active).then_some(now_ms);
    let params = params![
        &user.id,
        user.email.written(),
        user.email.norm(),
        user.state.text(),
        &user.country,
        &user.locale,
        now_ms,
        verified_at_ms
    ];
    Ok(tx.query_opt(&ADD, params).await?.is_some())
}

pub(crate) async fn by_email(tx: &mut Tx, email_norm: &str) -> Result<Option<User>, DbError> {
    let row = tx.query_opt(&BY_EMAIL, params![email_norm]).await?;
    row.as_ref().map(User::read).transpose()
}

pub(crate) async fn by_id(tx: &mut Tx, user_id: &str) -> Result<Option<User>, DbError> {
    let row = tx.query_opt(&BY_ID, params![user_id]).await?;
    row.as_ref().map(User::read).transpose()
}

pub(crate) async fn find_by_email(
    scope: &Scope,
    email_norm: &str,
) -> Result<Option<User>, DbError> {
    let row = scope.query_opt(&BY_EMAIL, params![email_norm]).await?;
    row.as_ref().map(User::read).transpose()
}

pub(crate) async fn find_by_id(scope: &Scope, user_id: &str) -> Result<Option<User>, DbError> {
    let row = scope.query_opt(&BY_ID, params![user_id]).await?;
    row.as_ref().map(User::read).transpose()
}

/// The kept hash of a person's password; none for who signs in elsewhere.
pub(crate) async fn hash_of(scope: &Scope, user_id: &str) -> Result<Option<String>, DbError> {
    let row = scope.query_opt(&HASH_OF, params![user_id]).await?;
    row.map(|row| row.get(0)).transpose()
}

/// Sets the hash of a person's password.
pub(crate) async fn put_hash(
    tx: &mut Tx,
    user_id: &str,
    hash: &str,
    now_ms: i64,
) -> Result<(), DbError> {
    tx.execute(&PUT_HASH, params![user_id, hash, now_ms]).await.map(|_| ())
}

/// Makes a pending account an active one; false when it was no longer pending.
pub(crate) async fn confirm(tx: &mut Tx, user_id: &str, now_ms: i64) -> Result<bool, DbError> {
    Ok(tx.execute(&CONFIRM, params![user_id, now_ms]).await? == 1)
}

/// Ends the validity of everything that was issued to a person so far; the new epoch.
pub(crate) async fn bump_epoch(tx: &mut Tx, user_id: &str) -> Result<Option<i64>, DbError> {
    let row = tx.query_opt(&BUMP_EPOCH, params![user_id]).await?;
    row.map(|row| row.get(0)).transpose()
}

/// Moves a person from one state to another; false when they were in neither.
pub(crate) async fn set_state(
    tx: &mut Tx,
    user_id: &str,
    to: UserState,
    from: UserState,
) -> Result<bool, DbError> {
    Ok(tx.execute(&SET_STATE, params![user_id, to.text(), from.text()]).await? == 1)
}

/// Replaces an outdated hash of the same password.
pub(crate) async fn replace_hash(
    tx: &mut Tx,
    user_id: &str,
    old: &str,
    new: &str,
) -> Result<(), DbError> {
    tx.execute(&REPLACE_HASH, params![user_id, old, new]).await.map(|_| ())
}

/// Gives a person another address.
pub(crate) async fn set_email(tx: &mut Tx, user_id: &str, email: &Email) -> Result<bool, DbError> {
    let params = params![user_id, email.written(), email.norm()];
    Ok(tx.execute(&SET_EMAIL, params).await? == 1)
}
