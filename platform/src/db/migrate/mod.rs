//! Migrations: which are due, and how they are applied.
//!
//! All that are due are applied in one transaction, under a lock that one process at a time holds,
//! and so they happen as a whole or not at all. What was applied is kept in
//! `streamverse_migration` with the SHA-256 of its text, and is never changed.

mod plan;
mod postgres;
mod sqlite;

use super::error::DbError;
use super::schema::Schema;
use super::settings::{Settings, Target};
use plan::Due;

/// A migration that was applied, or would be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Migrated {
    pub schema: &'static str,
    pub version: u32,
    pub name: &'static str,
}

/// What keeps track. The text suits both engines.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS streamverse_migration (
    schema_name TEXT NOT NULL,
    version BIGINT NOT NULL,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_ms BIGINT NOT NULL,
    PRIMARY KEY (schema_name, version)
);";

const APPLIED: &str = "SELECT schema_name, version, name, checksum FROM streamverse_migration
    ORDER BY schema_name, version";

/// Applies what is due; with `is_dry`, only tries it.
///
/// # Errors
/// When the database can't be reached, an applied migration has changed, the database is newer than
/// this program, or a migration fails. Nothing is changed then.
pub async fn migrate(
    settings: &Settings,
    schemas: &[Schema],
    is_dry: bool,
) -> Result<Vec<Migrated>, DbError> {
    let schemas = schemas.to_vec();
    plan::check(&schemas)?;
    match settings.engine()? {
        Target::Sqlite(path) => {
            let work = move || sqlite::migrate(&path, &schemas, is_dry);
            tokio::task::spawn_blocking(work)
                .await
                .map_err(|error| DbError::open(format!("the migration has died: {error}")))?
        }
        Target::Postgres => postgres::migrate(settings, &schemas, is_dry).await,
    }
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

fn failed(due: &Due, cause: impl std::fmt::Display) -> DbError {
    DbError::open(format!(
        "migration {} `{}` of `{}` fails, and nothing was changed: {cause}",
        due.migration.version, due.migration.name, due.schema
    ))
}
