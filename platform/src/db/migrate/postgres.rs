//! Migrations of PostgreSQL, and the policies that keep tenants apart.

use tokio_postgres::{Client, Error};

use super::plan::{Applied, Due, checksum, plan};
use super::{APPLIED, Migrated, TABLE, failed, now_ms};
use crate::db::error::DbError;
use crate::db::postgres::{EVERY_TENANT, TENANT_SETTING, connect_alone, full};
use crate::db::schema::Schema;
use crate::db::settings::Settings;
use crate::db::sql::{Dialect, ddl};

/// Held by whoever migrates; any number that nobody else takes.
const LOCK: i64 = 0x5354_5245_414d_5653;

const ROLE: &str = "SELECT rolname, rolsuper OR rolbypassrls FROM pg_roles
    WHERE rolname = current_user";

/// Tables with tenants that have no policy yet.
const UNFENCED: &str = "SELECT quote_ident(c.relname) FROM pg_class AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = CAST(current_schema() AS regnamespace)
    AND NOT EXISTS (SELECT 1 FROM pg_policy AS p
        WHERE p.polrelid = c.oid AND p.polname = 'streamverse_tenant')";

pub(super) async fn migrate(
    settings: &Settings,
    schemas: &[Schema],
    is_dry: bool,
) -> Result<Vec<Migrated>, DbError> {
    let alone = connect_alone(settings).await?;
    let client = &alone.client;
    let fail = |error: Error| DbError::open(format!("cannot migrate PostgreSQL: {}", full(&error)));
    refuse_seers(client).await?;
    if plan(schemas, &applied(client).await?)?.is_empty() {
        return Ok(Vec::new());
    }
    // A lock of the transaction, as PgBouncer may give each transaction another connection.
    let begin = format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})");
    client.batch_execute(&begin).await.map_err(fail)?;
    let everyone = format!("SET LOCAL {TENANT_SETTING} = '{EVERY_TENANT}'");
    client.batch_execute(&everyone).await.map_err(fail)?;
    client.batch_execute(&ddl(TABLE, Dialect::Postgres)).await.map_err(fail)?;
    // Again, as another process may have been at it before the lock was ours.
    let due = plan(schemas, &applied(client).await?)?;
    for due in &due {
        apply(client, due).await.map_err(|error| failed(due, full(&error)))?;
    }
    fence(client).await.map_err(fail)?;
    // Without a COMMIT everything is undone when the connection is closed.
    client.batch_execute(if is_dry { "ROLLBACK" } else { "COMMIT" }).await.map_err(fail)?;
    Ok(due.iter().map(Due::migrated).collect())
}

/// A superuser, or a role with BYPASSRLS, sees past every policy: the second fence would be paint.
async fn refuse_seers(client: &Client) -> Result<(), DbError> {
    let fail = |error: Error| DbError::open(format!("cannot look up the role: {}", full(&error)));
    let rows = client.query_typed(ROLE, &[]).await.map_err(fail)?;
    let row = rows.first().ok_or_else(|| DbError::open("PostgreSQL doesn't know its own role"))?;
    let name: String = row.try_get(0).map_err(fail)?;
    if row.try_get(1).map_err(fail)? {
        return Err(DbError::open(format!(
            "the role `{name}` sees past row-level security, which keeps tenants apart. Make one \
             that doesn't, and its database: CREATE ROLE streamverse LOGIN NOSUPERUSER \
             NOBYPASSRLS PASSWORD '…'; CREATE DATABASE streamverse OWNER streamverse"
        )));
    }
    Ok(())
}

async fn apply(client: &Client, due: &Due) -> Result<(), Error> {
    use tokio_postgres::types::Type;
    const NOTE: &str = "INSERT INTO streamverse_migration VALUES ($1, $2, $3, $4, $5)";
    let migration = due.migration;
    client.batch_execute(&ddl(migration.sql, Dialect::Postgres)).await?;
    client
        .execute_typed(
            NOTE,
            &[
                (&due.schema, Type::TEXT),
                (&i64::from(migration.version), Type::INT8),
                (&migration.name, Type::TEXT),
                (&checksum(migration), Type::TEXT),
                (&now_ms(), Type::INT8),
            ],
        )
        .await
        .map(drop)
}

/// Nobody, the owner included, sees rows of a tenant that isn't the transaction's.
async fn fence(client: &Client) -> Result<(), Error> {
    for row in client.query_typed(UNFENCED, &[]).await? {
        let table: String = row.try_get(0)?;
        client
            .batch_execute(&format!(
                "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
                 ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
                 CREATE POLICY streamverse_tenant ON {table}
                     USING (current_setting('{TENANT_SETTING}', true) IN (tenant_id, '{EVERY_TENANT}'))"
            ))
            .await?;
    }
    Ok(())
}

async fn applied(client: &Client) -> Result<Vec<Applied>, DbError> {
    const EXISTS: &str = "SELECT 1 FROM pg_class WHERE relname = 'streamverse_migration'
        AND relnamespace = CAST(current_schema() AS regnamespace)";
    let read = async {
        if client.query_typed(EXISTS, &[]).await?.is_empty() {
            return Ok(Vec::new());
        }
        let applied = |row: &tokio_postgres::Row| {
            Ok(Applied {
                schema: row.try_get(0)?,
                version: row.try_get(1)?,
                name: row.try_get(2)?,
                checksum: row.try_get(3)?,
            })
        };
        client.query_typed(APPLIED, &[]).await?.iter().map(applied).collect()
    };
    read.await.map_err(|error: Error| {
        DbError::open(format!("cannot read which migrations were applied: {}", full(&error)))
    })
}
