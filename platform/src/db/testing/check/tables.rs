//! The tables of both engines, side by side.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use tokio_postgres::Client;

use crate::db::postgres::full;
use crate::db::sqlite::Constraints;

/// A column: its name, its type as SQLite has it, whether it needs a value.
type Column = (String, &'static str, bool);

/// SQLite's tables.
pub(super) struct Tables {
    columns: BTreeMap<String, Vec<Column>>,
    /// Columns of each index and primary key.
    indexes: BTreeMap<String, Vec<Vec<String>>>,
    /// The statements that made the tables.
    texts: BTreeMap<String, String>,
}

impl Tables {
    pub(super) fn read(lite: &Connection) -> rusqlite::Result<Self> {
        const TABLES: &str = "SELECT name, sql FROM sqlite_schema WHERE type = 'table'
            AND name NOT LIKE 'sqlite_%' AND name <> 'streamverse_migration'";
        const COLUMNS: &str = "SELECT name, type, \"notnull\", pk FROM pragma_table_info(?1)";
        const INDEXES: &str = "SELECT i.name, c.name FROM pragma_index_list(?1) AS i,
            pragma_index_info(i.name) AS c ORDER BY i.name, c.seqno";
        let mut tables =
            Self { columns: BTreeMap::new(), indexes: BTreeMap::new(), texts: BTreeMap::new() };
        let mut statement = lite.prepare(TABLES)?;
        let names: Vec<(String, String)> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (table, text) in names {
            let mut statement = lite.prepare(COLUMNS)?;
            let columns = statement.query_map([&table], |row| {
                let (name, kind): (String, String) = (row.get(0)?, row.get(1)?);
                // PostgreSQL says so of keys; SQLite's own rowid can't be without one either.
                let is_needed = row.get::<_, bool>(2)? || row.get::<_, i64>(3)? != 0;
                Ok((name, known(&kind), is_needed))
            })?;
            tables.columns.insert(table.clone(), columns.collect::<Result<_, _>>()?);
            let mut statement = lite.prepare(INDEXES)?;
            let mut rows = statement.query([&table])?;
            let mut indexes: BTreeMap<String, Vec<String>> = BTreeMap::new();
            while let Some(row) = rows.next()? {
                // An expression has no name.
                let column: Option<String> = row.get(1)?;
                indexes.entry(row.get(0)?).or_default().push(column.unwrap_or_default());
            }
            tables.indexes.insert(table.clone(), indexes.into_values().collect());
            tables.texts.insert(table, text);
        }
        Ok(tables)
    }

    pub(super) fn name(&self, name: &str) -> Option<&str> {
        self.columns.get_key_value(name).map(|(name, _)| name.as_str())
    }

    /// Whether a tenant has one row.
    pub(super) fn is_unique_by_tenant(&self, table: &str) -> bool {
        self.indexes
            .get(table)
            .is_some_and(|indexes| indexes.iter().any(|columns| columns == &["tenant_id"]))
    }
}

fn known(kind: &str) -> &'static str {
    match kind {
        "INTEGER" | "bigint" | "boolean" => "an integer",
        "REAL" | "double precision" => "a real number",
        "TEXT" | "text" => "text",
        "BLOB" | "bytea" => "bytes",
        _ => "of a type that migrations don't take",
    }
}

/// What one engine's tables have that the other's don't.
pub(super) async fn differences(
    tables: &Tables,
    lite: &Connection,
    client: &Client,
) -> Vec<String> {
    let mut faults = Vec::new();
    match columns(client).await {
        Ok(there) => compare(&tables.columns, &there, &mut faults),
        Err(error) => faults.push(format!("PostgreSQL's tables can't be read: {}", full(&error))),
    }
    match constraints(client).await {
        Ok((unique, checks)) => {
            let here = Constraints::read(lite).expect("SQLite's constraints");
            let here: BTreeSet<&String> =
                here.names().filter(|name| !name.starts_with("streamverse_migration")).collect();
            for name in here.symmetric_difference(&unique.iter().collect()) {
                faults.push(format!(
                    "the unique constraint `{name}` is not called so on both engines; make it by \
                     CREATE UNIQUE INDEX"
                ));
            }
            for (table, name) in checks {
                let text = tables.texts.get(&table).map_or("", String::as_str);
                if !text.contains(&format!("CONSTRAINT {name} ")) {
                    faults.push(format!(
                        "a CHECK of `{table}` has no name; write CONSTRAINT {name} CHECK (…)"
                    ));
                }
            }
        }
        Err(error) => faults.push(format!("PostgreSQL's constraints: {}", full(&error))),
    }
    faults.extend(unindexed(tables, lite).expect("SQLite's foreign keys"));
    faults
}

fn compare(
    here: &BTreeMap<String, Vec<Column>>,
    there: &BTreeMap<String, Vec<Column>>,
    faults: &mut Vec<String>,
) {
    let names: BTreeSet<&String> = here.keys().chain(there.keys()).collect();
    for name in names {
        if here.get(name) != there.get(name) {
            faults.push(format!(
                "table `{name}` is {:?} on SQLite, {:?} on PostgreSQL",
                here.get(name),
                there.get(name)
            ));
        }
    }
}

async fn columns(client: &Client) -> Result<BTreeMap<String, Vec<Column>>, tokio_postgres::Error> {
    const COLUMNS: &str = "SELECT c.relname::text, a.attname::text,
            format_type(a.atttypid, NULL), a.attnotnull
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace
        AND 0 < a.attnum AND NOT a.attisdropped AND c.relname <> 'streamverse_migration'
        ORDER BY c.relname, a.attnum";
    let mut tables: BTreeMap<String, Vec<Column>> = BTreeMap::new();
    for row in client.query(COLUMNS, &[]).await? {
        let kind: String = row.try_get(2)?;
        let column = (row.try_get(1)?, known(&kind), row.try_get(3)?);
        tables.entry(row.try_get(0)?).or_default().push(column);
    }
    Ok(tables)
}

/// Names of unique constraints, and tables and names of checks.
async fn constraints(
    client: &Client,
) -> Result<(BTreeSet<String>, Vec<(String, String)>), tokio_postgres::Error> {
    const UNIQUE: &str = "SELECT i.relname::text FROM pg_index AS x
        JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_class AS t ON t.oid = x.indrelid
        WHERE x.indisunique AND t.relnamespace = 'public'::regnamespace
        AND t.relname <> 'streamverse_migration'";
    const CHECKS: &str = "SELECT t.relname::text, k.conname::text FROM pg_constraint AS k
        JOIN pg_class AS t ON t.oid = k.conrelid
        WHERE k.contype = 'c' AND t.relnamespace = 'public'::regnamespace";
    let unique = client.query(UNIQUE, &[]).await?;
    let unique = unique.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let checks = client.query(CHECKS, &[]).await?;
    let checks = checks.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    Ok((unique, checks.collect::<Result<_, tokio_postgres::Error>>()?))
}

/// Foreign keys whose columns begin no index.
fn unindexed(tables: &Tables, lite: &Connection) -> rusqlite::Result<Vec<String>> {
    const KEYS: &str = "SELECT id, \"from\" FROM pragma_foreign_key_list(?1) ORDER BY id, seq";
    let mut faults = Vec::new();
    for table in tables.columns.keys() {
        let mut statement = lite.prepare(KEYS)?;
        let mut rows = statement.query([table])?;
        let mut keys: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            keys.entry(row.get(0)?).or_default().insert(row.get(1)?);
        }
        for columns in keys.values() {
            let is_indexed = tables.indexes[table].iter().any(|index| {
                columns.len() <= index.len()
                    && index[..columns.len()].iter().all(|column| columns.contains(column))
            });
            if !is_indexed {
                faults.push(format!(
                    "the foreign key of `{table}` over {columns:?} has no index; whoever deletes \
                     a parent reads all of `{table}`"
                ));
            }
        }
    }
    Ok(faults)
}
