//! Migrations of SQLite.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::plan::{Applied, Due, checksum, plan};
use super::{APPLIED, Migrated, TABLE, failed, now_ms};
use crate::db::error::DbError;
use crate::db::schema::Schema;
use crate::db::sql::{Dialect, ddl};
use crate::db::sqlite::open;

pub(super) fn migrate(
    path: &Path,
    schemas: &[Schema],
    is_dry: bool,
) -> Result<Vec<Migrated>, DbError> {
    // A dry run leaves no file behind.
    if is_dry && !path.exists() {
        return Ok(plan(schemas, &[])?.iter().map(Due::migrated).collect());
    }
    let connection = open(path, false)?.connection;
    if plan(schemas, &applied(&connection)?)?.is_empty() {
        return Ok(Vec::new());
    }
    let fail = |error: rusqlite::Error| {
        DbError::open(format!("cannot migrate {}: {error}", path.display()))
    };
    connection.execute_batch("BEGIN EXCLUSIVE").map_err(fail)?;
    connection.execute_batch(&ddl(TABLE, Dialect::Sqlite)).map_err(fail)?;
    // Again, as another process may have been at it before the lock was ours.
    let due = plan(schemas, &applied(&connection)?)?;
    for due in &due {
        apply(&connection, due).map_err(|error| failed(due, error))?;
    }
    // Without a COMMIT everything is undone when the connection is closed.
    connection.execute_batch(if is_dry { "ROLLBACK" } else { "COMMIT" }).map_err(fail)?;
    Ok(due.iter().map(Due::migrated).collect())
}

fn apply(connection: &Connection, due: &Due) -> rusqlite::Result<()> {
    const NOTE: &str = "INSERT INTO streamverse_migration VALUES (?1, ?2, ?3, ?4, ?5)";
    let migration = due.migration;
    connection.execute_batch(&ddl(migration.sql, Dialect::Sqlite))?;
    let checksum = checksum(migration);
    let row = (due.schema, migration.version, migration.name, checksum, now_ms());
    connection.execute(NOTE, row).map(drop)
}

fn applied(connection: &Connection) -> Result<Vec<Applied>, DbError> {
    const EXISTS: &str = "SELECT 1 FROM sqlite_schema WHERE name = 'streamverse_migration'";
    let read = || {
        if connection.query_row(EXISTS, [], |_| Ok(())).optional()?.is_none() {
            return Ok(Vec::new());
        }
        let mut statement = connection.prepare(APPLIED)?;
        let rows = statement.query_map([], |row| {
            Ok(Applied {
                schema: row.get(0)?,
                version: row.get(1)?,
                name: row.get(2)?,
                checksum: row.get(3)?,
            })
        })?;
        rows.collect()
    };
    read().map_err(|error: rusqlite::Error| {
        DbError::open(format!("cannot read which migrations were applied: {error}"))
    })
}
