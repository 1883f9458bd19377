//! PostgreSQL as the source or the target of a copy.

use std::collections::BTreeMap;

use tokio_postgres::Error;
use tokio_postgres::types::ToSql;

use super::{Batch, Column, Table};
use crate::db::error::DbError;
use crate::db::postgres::{Alone, EVERY_TENANT, TENANT_SETTING, connect_alone, full};
use crate::db::settings::Settings;
use crate::db::value::Value;

pub(super) struct Side {
    alone: Alone,
    /// Foreign keys that are checked at the end of the copy, as `ALTER TABLE` names them.
    deferred: Vec<(String, String)>,
}

const TABLES: &str = "SELECT c.relname::text, a.attname::text, a.atttypid = 'boolean'::regtype
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = CAST(current_schema() AS regnamespace)
    AND 0 < a.attnum AND NOT a.attisdropped AND c.relname <> 'streamverse_migration'
    ORDER BY c.relname COLLATE \"C\", a.attnum";

const KEYS: &str = "SELECT quote_ident(t.relname), quote_ident(k.conname) FROM pg_constraint AS k
    JOIN pg_class AS t ON t.oid = k.conrelid
    WHERE k.contype = 'f' AND NOT k.condeferrable
    AND t.relnamespace = CAST(current_schema() AS regnamespace)";

/// Columns that count by themselves, and the sequences that do it.
const SEQUENCES: &str = "SELECT c.relname::text, a.attname::text,
        pg_get_serial_sequence(quote_ident(c.relname), a.attname)
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relkind = 'r' AND c.relnamespace = CAST(current_schema() AS regnamespace)
    AND 0 < a.attnum AND a.attidentity <> ''";

impl Side {
    pub(super) async fn begin(settings: &Settings, is_source: bool) -> Result<Self, DbError> {
        let alone = connect_alone(settings).await?;
        let begin =
            if is_source { "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" } else { "BEGIN" };
        let everyone = format!("{begin}; SET LOCAL {TENANT_SETTING} = '{EVERY_TENANT}'");
        alone.client.batch_execute(&everyone).await.map_err(fail)?;
        let mut side = Self { alone, deferred: Vec::new() };
        if !is_source {
            side.defer().await.map_err(fail)?;
        }
        Ok(side)
    }

    /// Rows may refer to others that come later. Undone before the commit.
    async fn defer(&mut self) -> Result<(), Error> {
        for row in self.alone.client.query_typed(KEYS, &[]).await? {
            let (table, key): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let sql = format!("ALTER TABLE {table} ALTER CONSTRAINT {key} DEFERRABLE");
            self.alone.client.batch_execute(&sql).await?;
            self.deferred.push((table, key));
        }
        self.alone.client.batch_execute("SET CONSTRAINTS ALL DEFERRED").await
    }

    pub(super) async fn tables(&mut self) -> Result<Vec<Table>, DbError> {
        let mut tables: Vec<Table> = Vec::new();
        for row in self.alone.client.query_typed(TABLES, &[]).await.map_err(fail)? {
            let name: String = row.try_get(0).map_err(fail)?;
            let column = Column {
                name: row.try_get(1).map_err(fail)?,
                is_boolean: row.try_get(2).map_err(fail)?,
            };
            match tables.last_mut() {
                Some(table) if table.name == name => table.columns.push(column),
                _ => tables.push(Table { name, columns: vec![column] }),
            }
        }
        Ok(tables)
    }

    pub(super) async fn count(&mut self, table: &Table) -> Result<u64, DbError> {
        let sql = format!("SELECT COUNT(*) FROM \"{}\"", table.name);
        let rows = self.alone.client.query_typed(&sql, &[]).await.map_err(fail)?;
        let count: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0)).map_err(fail)?;
        Ok(count.unsigned_abs())
    }

    /// From a cursor, which knows by itself where it is; it is made anew when `from` is 0.
    pub(super) async fn read(&mut self, table: &Table, from: i64) -> Result<Batch, DbError> {
        let client = &self.alone.client;
        if from == 0 {
            let declare = format!(
                "DECLARE copied NO SCROLL CURSOR FOR SELECT {} FROM \"{}\"",
                table.column_list(),
                table.name
            );
            client.batch_execute(&declare).await.map_err(fail)?;
        }
        let limit = table.batch_rows();
        let fetch = format!("FETCH {limit} FROM copied");
        let mut rows = Vec::new();
        for row in client.query_typed(&fetch, &[]).await.map_err(fail)? {
            let values: Result<Vec<Value>, _> =
                (0..row.len()).map(|index| row.try_get(index)).collect();
            rows.push(values.map_err(fail)?);
        }
        let is_last = rows.len() < limit;
        if is_last {
            client.batch_execute("CLOSE copied").await.map_err(fail)?;
        }
        Ok(Batch { rows, next: (!is_last).then_some(from + 1) })
    }

    pub(super) async fn clear(&mut self, table: &Table) -> Result<(), DbError> {
        let sql = format!("DELETE FROM \"{}\"", table.name);
        self.alone.client.batch_execute(&sql).await.map_err(fail)
    }

    pub(super) async fn write(
        &mut self,
        table: &Table,
        mut rows: Vec<Vec<Value>>,
    ) -> Result<(), DbError> {
        for row in &mut rows {
            for (value, column) in row.iter_mut().zip(&table.columns) {
                if let (Value::Integer(number), true) = (&*value, column.is_boolean) {
                    *value = Value::Boolean(*number != 0);
                }
            }
        }
        // What counts by itself keeps the numbers that it has.
        let sql = format!(
            "INSERT INTO \"{}\" ({}) OVERRIDING SYSTEM VALUE VALUES {}",
            table.name,
            table.column_list(),
            table.places(rows.len(), '$')
        );
        let prepared = self.alone.client.prepare(&sql).await.map_err(fail)?;
        let values: Vec<&(dyn ToSql + Sync)> =
            rows.iter().flatten().map(|value| value as _).collect();
        self.alone.client.execute(&prepared, &values).await.map(drop).map_err(fail)
    }

    pub(super) async fn counters(&mut self) -> Result<BTreeMap<String, i64>, DbError> {
        let mut counters = BTreeMap::new();
        for (table, _, sequence) in self.sequences().await? {
            let sql = format!("SELECT last_value, is_called FROM {sequence}");
            let rows = self.alone.client.query_typed(&sql, &[]).await.map_err(fail)?;
            let Some(row) = rows.first() else { continue };
            let last: i64 = row.try_get(0).map_err(fail)?;
            if row.try_get(1).map_err(fail)? {
                counters.insert(table, last);
            }
        }
        Ok(counters)
    }

    pub(super) async fn set_counters(
        &mut self,
        counters: BTreeMap<String, i64>,
    ) -> Result<(), DbError> {
        for (table, _, sequence) in self.sequences().await? {
            if let Some(last) = counters.get(&table) {
                // The name comes from PostgreSQL, quoted where it has to be.
                let sql = format!("SELECT setval('{}', {last})", sequence.replace('\'', "''"));
                self.alone.client.batch_execute(&sql).await.map_err(fail)?;
            }
        }
        Ok(())
    }

    async fn sequences(&mut self) -> Result<Vec<(String, String, String)>, DbError> {
        let rows = self.alone.client.query_typed(SEQUENCES, &[]).await.map_err(fail)?;
        let names =
            |row: &tokio_postgres::Row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        rows.iter().map(names).collect::<Result<_, _>>().map_err(fail)
    }

    pub(super) async fn commit(self) -> Result<(), DbError> {
        let client = &self.alone.client;
        client.batch_execute("SET CONSTRAINTS ALL IMMEDIATE").await.map_err(fail)?;
        for (table, key) in &self.deferred {
            let sql = format!("ALTER TABLE {table} ALTER CONSTRAINT {key} NOT DEFERRABLE");
            client.batch_execute(&sql).await.map_err(fail)?;
        }
        client.batch_execute("COMMIT").await.map_err(fail)
    }
}

fn fail(error: Error) -> DbError {
    DbError::open(format!("the copy fails on PostgreSQL: {}", full(&error)))
}
