//! Copies everything from one database to another, of whichever engines.
//!
//! The source is read within one snapshot, the target written within one transaction, which is
//! read back and compared before it is committed: a copy is there as a whole, or not at all.

mod digest;
mod postgres;
mod sqlite;

use std::collections::BTreeMap;

use super::error::DbError;
use super::migrate::migrate;
use super::schema::Schema;
use super::settings::{Settings, Target};
use super::value::Value;
use digest::Digest;

/// Rows that are read and written at a time.
const BATCH_ROWS: usize = 500;
/// Values of one INSERT. SQLite takes 32,766 of them, PostgreSQL twice as many.
const BATCH_VALUES_MAX: usize = 16_000;

/// How far a copy has come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CopyProgress {
    pub phase: CopyPhase,
    pub table: String,
    pub done_rows: u64,
    pub total_rows: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CopyPhase {
    Copying,
    Comparing,
}

/// A table that was copied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Copied {
    pub table: String,
    pub rows: u64,
    /// Of all rows, in no particular order.
    pub digest: String,
}

/// A table as a copy sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Table {
    name: String,
    columns: Vec<Column>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Column {
    name: String,
    /// Known of PostgreSQL's columns only: SQLite keeps numbers.
    is_boolean: bool,
}

impl Table {
    fn column_names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.name.as_str()).collect()
    }

    /// `"a", "b"`.
    fn column_list(&self) -> String {
        let quoted: Vec<String> =
            self.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        quoted.join(", ")
    }

    /// `($1, $2), ($3, $4)`, with the engine's mark.
    fn places(&self, rows: usize, mark: char) -> String {
        let width = self.columns.len();
        let row = |row: usize| {
            let places: Vec<String> =
                (1..=width).map(|column| format!("{mark}{}", row * width + column)).collect();
            format!("({})", places.join(", "))
        };
        (0..rows).map(row).collect::<Vec<_>>().join(", ")
    }

    fn batch_rows(&self) -> usize {
        (BATCH_VALUES_MAX / self.columns.len().max(1)).clamp(1, BATCH_ROWS)
    }
}

/// The rows of a batch, and where the next one begins; none at the end.
struct Batch {
    rows: Vec<Vec<Value>>,
    next: Option<i64>,
}

/// One of the two databases.
enum Side {
    Sqlite(sqlite::Side),
    Postgres(postgres::Side),
}

impl Side {
    /// Begins a snapshot, or a transaction that checks foreign keys at its end.
    async fn begin(settings: &Settings, is_source: bool) -> Result<Self, DbError> {
        Ok(match settings.engine()? {
            Target::Sqlite(path) => Self::Sqlite(sqlite::Side::begin(path, is_source).await?),
            Target::Postgres => Self::Postgres(postgres::Side::begin(settings, is_source).await?),
        })
    }

    async fn tables(&mut self) -> Result<Vec<Table>, DbError> {
        match self {
            Self::Sqlite(side) => side.tables().await,
            Self::Postgres(side) => side.tables().await,
        }
    }

    async fn count(&mut self, table: &Table) -> Result<u64, DbError> {
        match self {
            Self::Sqlite(side) => side.count(table).await,
            Self::Postgres(side) => side.count(table).await,
        }
    }

    /// A batch of rows; `from` is 0 at first, then what the last batch named.
    async fn read(&mut self, table: &Table, from: i64) -> Result<Batch, DbError> {
        match self {
            Self::Sqlite(side) => side.read(table, from).await,
            Self::Postgres(side) => side.read(table, from).await,
        }
    }

    async fn clear(&mut self, table: &Table) -> Result<(), DbError> {
        match self {
            Self::Sqlite(side) => side.clear(table).await,
            Self::Postgres(side) => side.clear(table).await,
        }
    }

    async fn write(&mut self, table: &Table, rows: Vec<Vec<Value>>) -> Result<(), DbError> {
        match self {
            Self::Sqlite(side) => side.write(table, rows).await,
            Self::Postgres(side) => side.write(table, rows).await,
        }
    }

    /// The last number of each table that counts its rows by itself.
    async fn counters(&mut self) -> Result<BTreeMap<String, i64>, DbError> {
        match self {
            Self::Sqlite(side) => side.counters().await,
            Self::Postgres(side) => side.counters().await,
        }
    }

    async fn set_counters(&mut self, counters: BTreeMap<String, i64>) -> Result<(), DbError> {
        match self {
            Self::Sqlite(side) => side.set_counters(counters).await,
            Self::Postgres(side) => side.set_counters(counters).await,
        }
    }

    async fn commit(self) -> Result<(), DbError> {
        match self {
            Self::Sqlite(side) => side.commit().await,
            Self::Postgres(side) => side.commit().await,
        }
    }
}

/// Copies all rows of `source` to `target`, which has no rows yet and gets its tables here.
///
/// # Errors
/// When one can't be reached, the source's tables are of another version, the target has rows, or
/// what was written reads back differently. The target has no rows then.
pub async fn copy(
    source: &Settings,
    target: &Settings,
    schemas: &[Schema],
    progress: impl Fn(CopyProgress),
) -> Result<Vec<Copied>, DbError> {
    if source.engine()? == target.engine()? && source.url == target.url {
        return Err(DbError::open("the database can't be copied onto itself; name another one"));
    }
    let due = migrate(source, schemas, true).await?;
    if !due.is_empty() {
        let reason = "the source is of an older version; run `streamverse db migrate` first";
        return Err(DbError::open(reason));
    }
    let mut from = Side::begin(source, true).await?;
    let tables = from.tables().await?;
    // Rows that are there after this come from migrations, and make way for those of the source.
    let is_new = refuse_full(target).await?;
    migrate(target, schemas, false).await?;
    let mut to = Side::begin(target, false).await?;
    let there = to.tables().await?;
    let pairs = pair(&tables, &there)?;
    for (_, table) in &pairs {
        if is_new {
            to.clear(table).await?;
        } else if to.count(table).await? != 0 {
            return Err(not_empty(table));
        }
    }
    let mut total = 0;
    for table in &tables {
        total += from.count(table).await?;
    }
    let told = |phase, table: &Table, done_rows| {
        progress(CopyProgress { phase, table: table.name.clone(), done_rows, total_rows: total });
    };
    let mut done = 0;
    let mut digests = Vec::new();
    for (table, into) in &pairs {
        let mut digest = Digest::default();
        let mut next = Some(0);
        while let Some(at) = next {
            let batch = from.read(table, at).await?;
            batch.rows.iter().for_each(|row| digest.add(row));
            done += batch.rows.len() as u64;
            next = batch.next;
            if !batch.rows.is_empty() {
                to.write(into, batch.rows).await?;
            }
            told(CopyPhase::Copying, table, done);
        }
        digests.push(digest);
    }
    let counters = from.counters().await?;
    to.set_counters(counters).await?;
    let mut done = 0;
    let mut copied = Vec::new();
    for ((table, into), wanted) in pairs.iter().zip(digests) {
        let mut digest = Digest::default();
        let mut next = Some(0);
        while let Some(at) = next {
            let batch = to.read(into, at).await?;
            batch.rows.iter().for_each(|row| digest.add(row));
            done += batch.rows.len() as u64;
            next = batch.next;
            told(CopyPhase::Comparing, table, done);
        }
        if digest != wanted {
            return Err(DbError::open(format!(
                "table `{}` reads back differently ({} rows, {} were copied); nothing is kept",
                table.name, digest.rows, wanted.rows
            )));
        }
        copied.push(Copied { table: table.name.clone(), rows: digest.rows, digest: digest.text() });
    }
    to.commit().await?;
    Ok(copied)
}

/// Whether the target has no tables at all. Refuses one with rows, before anything is changed.
async fn refuse_full(target: &Settings) -> Result<bool, DbError> {
    if let Target::Sqlite(path) = target.engine()?
        && !path.exists()
    {
        return Ok(true);
    }
    let mut side = Side::begin(target, true).await?;
    let tables = side.tables().await?;
    for table in &tables {
        if side.count(table).await? != 0 {
            return Err(not_empty(table));
        }
    }
    Ok(tables.is_empty())
}

fn not_empty(table: &Table) -> DbError {
    DbError::open(format!(
        "the target has rows in `{}`; name a database that is empty, or drop that one",
        table.name
    ))
}

/// Each table of the source with its like in the target.
fn pair<'a>(here: &'a [Table], there: &'a [Table]) -> Result<Vec<(&'a Table, &'a Table)>, DbError> {
    let names = |table: &Table| {
        let mut names: Vec<String> = table.columns.iter().map(|it| it.name.clone()).collect();
        names.sort();
        names
    };
    let like = |table: &'a Table| {
        let like = there.iter().find(|other| other.name == table.name);
        match like {
            Some(like) if like.column_names() == table.column_names() => Ok((table, like)),
            Some(like) if names(like) == names(table) => Err(DbError::open(format!(
                "the columns of `{}` are in another order in the target; let this program make \
                 its tables",
                table.name
            ))),
            _ => Err(DbError::open(format!(
                "the source's table `{}` is none that this version makes; use the version that \
                 the database is of",
                table.name
            ))),
        }
    };
    here.iter().map(like).collect()
}
