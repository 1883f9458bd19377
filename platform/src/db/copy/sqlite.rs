//! SQLite as the source or the target of a copy.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rusqlite::{Connection, params_from_iter};

use super::{Batch, Column, Table};
use crate::db::error::DbError;
use crate::db::sqlite::{open, value};
use crate::db::value::Value;

pub(super) struct Side {
    /// None while another thread works with it.
    connection: Option<Connection>,
}

impl Side {
    pub(super) async fn begin(path: PathBuf, is_source: bool) -> Result<Self, DbError> {
        let mut side = Self { connection: None };
        let connect = move || {
            let connection = open(&path, is_source)?.connection;
            let begin = if is_source {
                // The first read takes the snapshot.
                "BEGIN; SELECT 1 FROM sqlite_schema"
            } else {
                // Keys are checked as a whole, before the commit: rows may refer to each other.
                "PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE"
            };
            connection.execute_batch(begin).map_err(fail)?;
            Ok(connection)
        };
        side.connection = Some(tokio::task::spawn_blocking(connect).await.map_err(ended)??);
        Ok(side)
    }

    /// Has `work` done where blocking is no harm.
    async fn with<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DbError> {
        let connection = self.connection.take().ok_or_else(|| DbError::internal("a copy broke"))?;
        let run = move || {
            let done = work(&connection);
            (connection, done)
        };
        let (connection, done) = tokio::task::spawn_blocking(run).await.map_err(ended)?;
        self.connection = Some(connection);
        done.map_err(fail)
    }

    pub(super) async fn tables(&mut self) -> Result<Vec<Table>, DbError> {
        const COLUMNS: &str = "SELECT t.name, c.name FROM sqlite_schema AS t,
            pragma_table_info(t.name) AS c WHERE t.type = 'table'
            AND t.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND t.name <> 'streamverse_migration'
            ORDER BY t.name, c.cid";
        self.with(|connection| {
            let mut tables: Vec<Table> = Vec::new();
            let mut statement = connection.prepare(COLUMNS)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let name: String = row.get(0)?;
                let column = Column { name: row.get(1)?, is_boolean: false };
                match tables.last_mut() {
                    Some(table) if table.name == name => table.columns.push(column),
                    _ => tables.push(Table { name, columns: vec![column] }),
                }
            }
            Ok(tables)
        })
        .await
    }

    pub(super) async fn count(&mut self, table: &Table) -> Result<u64, DbError> {
        let sql = format!("SELECT COUNT(*) FROM \"{}\"", table.name);
        let count: i64 =
            self.with(move |connection| connection.query_row(&sql, [], |row| row.get(0))).await?;
        Ok(count.unsigned_abs())
    }

    /// In the order of SQLite's own row numbers, the last of which is where the next batch begins.
    pub(super) async fn read(&mut self, table: &Table, from: i64) -> Result<Batch, DbError> {
        let (width, limit) = (table.columns.len(), table.batch_rows());
        let sql = format!(
            "SELECT {}, rowid FROM \"{}\" WHERE ?1 < rowid ORDER BY rowid LIMIT {limit}",
            table.column_list(),
            table.name
        );
        self.with(move |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            // Row numbers may be negative: 0 stands for the beginning.
            let mut rows = statement.query([if from == 0 { i64::MIN } else { from }])?;
            let mut batch = Batch { rows: Vec::new(), next: None };
            while let Some(row) = rows.next()? {
                let values: Result<_, _> = (0..width).map(|index| value(row, index)).collect();
                batch.rows.push(values?);
                batch.next = Some(row.get(width)?);
            }
            if batch.rows.len() < limit {
                batch.next = None;
            }
            Ok(batch)
        })
        .await
    }

    pub(super) async fn clear(&mut self, table: &Table) -> Result<(), DbError> {
        let sql = format!("DELETE FROM \"{}\"", table.name);
        self.with(move |connection| connection.execute(&sql, []).map(drop)).await
    }

    pub(super) async fn write(
        &mut self,
        table: &Table,
        rows: Vec<Vec<Value>>,
    ) -> Result<(), DbError> {
        let sql = format!(
            "INSERT INTO \"{}\" ({}) VALUES {}",
            table.name,
            table.column_list(),
            table.places(rows.len(), '?')
        );
        self.with(move |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            statement.execute(params_from_iter(rows.into_iter().flatten())).map(drop)
        })
        .await
    }

    pub(super) async fn counters(&mut self) -> Result<BTreeMap<String, i64>, DbError> {
        self.with(|connection| {
            if !has_counters(connection)? {
                return Ok(BTreeMap::new());
            }
            let mut statement = connection.prepare("SELECT name, seq FROM sqlite_sequence")?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
        .await
    }

    pub(super) async fn set_counters(
        &mut self,
        counters: BTreeMap<String, i64>,
    ) -> Result<(), DbError> {
        self.with(move |connection| {
            if !has_counters(connection)? {
                return Ok(());
            }
            for (table, last) in counters {
                connection.execute("DELETE FROM sqlite_sequence WHERE name = ?1", [&table])?;
                connection.execute("INSERT INTO sqlite_sequence VALUES (?1, ?2)", (table, last))?;
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn commit(mut self) -> Result<(), DbError> {
        let broken: Option<String> = self
            .with(|connection| {
                let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
                let mut rows = statement.query([])?;
                rows.next()?.map(|row| row.get(0)).transpose()
            })
            .await?;
        if let Some(table) = broken {
            return Err(DbError::open(format!(
                "rows of `{table}` refer to others that the source hasn't; nothing is kept"
            )));
        }
        self.with(|connection| connection.execute_batch("COMMIT")).await
    }
}

/// SQLite makes this table with the first one that counts.
fn has_counters(connection: &Connection) -> rusqlite::Result<bool> {
    connection.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'")?.exists([])
}

fn fail(error: rusqlite::Error) -> DbError {
    DbError::open(format!("the copy fails on SQLite: {error}"))
}

fn ended(error: tokio::task::JoinError) -> DbError {
    DbError::internal(format!("the copy has died: {error}"))
}
