//! Rows of profiles.
//!
//! A profile holds one of the user's slots, 1 to what the tier allows; the primary key is the
//! limit, however many are made at once.

use platform::db::{DbError, Row, Scope, Tx};
use platform::params;

#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) avatar: Option<String>,
    pub(crate) is_kids: bool,
    pub(crate) rating_max: Option<String>,
    pub(crate) language: Option<String>,
    pub(crate) pin_hash: Option<String>,
    pub(crate) preferences: String,
    pub(crate) version: i64,
}

platform::statements! {
    ADD: "INSERT INTO account_profile (tenant_id, user_id, slot, id, name, avatar, is_kids,
            rating_max, language, pin_hash, preferences, created_at_ms, updated_at_ms, version)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, 1)
        ON CONFLICT (tenant_id, user_id, slot) DO NOTHING RETURNING slot";
    LIST: "SELECT id, name, avatar, is_kids, rating_max, language, pin_hash, preferences, version
        FROM account_profile WHERE tenant_id = $1 AND user_id = $2 ORDER BY slot";
    GET: "SELECT id, name, avatar, is_kids, rating_max, language, pin_hash, preferences, version
        FROM account_profile WHERE tenant_id = $1 AND id = $2 AND user_id = $3";
    CHANGE: "UPDATE account_profile SET name = $4, avatar = $5, is_kids = $6, rating_max = $7,
            language = $8, pin_hash = $9, preferences = $10, updated_at_ms = $11,
            version = version + 1
        WHERE tenant_id = $1 AND id = $2 AND version = $3 RETURNING version";
    /// Never the last one: of two who remove two at once, the lower slot stays.
    REMOVE: "DELETE FROM account_profile
        WHERE tenant_id = $1 AND id = $2 AND user_id = $3 AND EXISTS (
            SELECT 1 FROM account_profile other
            WHERE other.tenant_id = $1 AND other.user_id = $3 AND other.id <> $2)";
}

impl Profile {
    fn read(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            avatar: row.get(2)?,
            is_kids: row.get(3)?,
            rating_max: row.get(4)?,
            language: row.get(5)?,
            pin_hash: row.get(6)?,
            preferences: row.get(7)?,
            version: row.get(8)?,
        })
    }
}

/// Adds a profile in a free slot; false when there is none.
pub(crate) async fn add(
    tx: &mut Tx,
    user_id: &str,
    profile: &Profile,
    profiles_max: i64,
    now_ms: i64,
) -> Result<bool, DbError> {
    for slot in 1..=profiles_max {
        let params = params![
            user_id,
            slot,
            &profile.id,
            &profile.name,
            &profile.avatar,
            profile.is_kids,
            &profile.rating_max,
            &profile.language,
            &profile.pin_hash,
            &profile.preferences,
            now_ms
        ];
        if tx.query_opt(&ADD, params).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(crate) async fn list(scope: &Scope, user_id: &str) -> Result<Vec<Profile>, DbError> {
    scope.query(&LIST, params![user_id]).await?.iter().map(Profile::read).collect()
}

pub(crate) async fn get(
    scope: &Scope,
    user_id: &str,
    id: &str,
) -> Result<Option<Profile>, DbError> {
    let row = scope.query_opt(&GET, params![id, user_id]).await?;
    row.as_ref().map(Profile::read).transpose()
}

/// The new version; none when the profile has moved on from the one it carries.
pub(crate) async fn change(
    tx: &mut Tx,
    profile: &Profile,
    now_ms: i64,
) -> Result<Option<i64>, DbError> {
    let params = params![
        &profile.id,
        profile.version,
        &profile.name,
        &profile.avatar,
        profile.is_kids,
        &profile.rating_max,
        &profile.language,
        &profile.pin_hash,
        &profile.preferences,
        now_ms
    ];
    tx.query_opt(&CHANGE, params).await?.map(|row| row.get(0)).transpose()
}

pub(crate) async fn remove(tx: &mut Tx, user_id: &str, id: &str) -> Result<bool, DbError> {
    Ok(tx.execute(&REMOVE, params![id, user_id]).await? == 1)
}
