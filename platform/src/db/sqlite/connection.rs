//! One connection to the file, and how a statement runs on it.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::types::{ToSqlOutput, Value as Owned, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql};

use super::constraints::Constraints;
use super::errors::{cannot_open, error};
use crate::db::error::DbError;
use crate::db::statement::Statement;
use crate::db::tx::{Answer, Want};
use crate::db::value::{Row, Value};

/// How long another process may keep the file locked before a call gives up.
pub(super) const LOCKED_MAX: Duration = Duration::from_secs(5);
const LOCKED_PAUSE: Duration = Duration::from_millis(5);
/// Prepared statements that a connection keeps.
const STATEMENTS_MAX: usize = 512;
/// Steps of SQLite's machine between two looks at the clock: well below a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 20_000;

/// What every connection is told. `synchronous=FULL` makes each commit durable: in WAL mode NORMAL
/// would lose the last ones when the power fails.
const PRAGMAS: &str = "PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -16384;
    PRAGMA wal_autocheckpoint = 1000;
    PRAGMA journal_size_limit = 67108864;";

/// A connection and the clock that ends its statements.
pub(in crate::db) struct Opened {
    pub(in crate::db) connection: Connection,
    pub(super) alarm: Alarm,
}

/// Opens the file, making it, open to nobody but its owner, when it is missing.
pub(in crate::db) fn open(path: &Path, is_reader: bool) -> Result<Opened, DbError> {
    let fail = |error| cannot_open(path, &error);
    if !is_reader {
        let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        made.map_err(|error| {
            DbError::open(format!("cannot open {}: {error}; check its folder", path.display()))
        })?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(fail)?;
    connection.busy_timeout(LOCKED_MAX).map_err(fail)?;
    let mode = enter_wal(&connection).map_err(fail)?;
    if mode != "wal" {
        return Err(DbError::open(format!(
            "{} can't be kept in WAL mode; put it on a local disk",
            path.display()
        )));
    }
    connection.execute_batch(PRAGMAS).map_err(fail)?;
    if is_reader {
        connection.execute_batch("PRAGMA query_only = ON").map_err(fail)?;
    }
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    let alarm = Alarm::new();
    let ringing = alarm.clone();
    let handler = move || ringing.rings();
    connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(handler)).map_err(fail)?;
    Ok(Opened { connection, alarm })
}

/// Puts the file into WAL mode; answers the mode that it is in. SQLite doesn't wait for a lock here,
/// whatever the busy timeout is, and several may open a new file at once.
fn enter_wal(connection: &Connection) -> rusqlite::Result<String> {
    let start = Instant::now();
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)) {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && start.elapsed() < LOCKED_MAX =>
            {
                std::thread::sleep(LOCKED_PAUSE);
            }
            ended => return ended,
        }
    }
}

/// When the statement that runs has to end.
#[derive(Clone, Debug)]
pub(super) struct Alarm {
    start: Instant,
    /// Microseconds after `start`; `u64::MAX` for never.
    at: Arc<AtomicU64>,
}

impl Alarm {
    fn new() -> Self {
        Self { start: Instant::now(), at: Arc::new(AtomicU64::new(u64::MAX)) }
    }

    pub(super) fn set(&self, at: Instant) {
        let after = at.saturating_duration_since(self.start).as_micros();
        self.at.store(u64::try_from(after).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn clear(&self) {
        self.at.store(u64::MAX, Ordering::Relaxed);
    }

    fn rings(&self) -> bool {
        let at = self.at.load(Ordering::Relaxed);
        at != u64::MAX && u128::from(at) <= self.start.elapsed().as_micros()
    }
}

/// The connection while a transaction's closure has it. All of that runs on the writer's thread.
pub(in crate::db) struct Session {
    pub(super) connection: Connection,
    pub(super) constraints: Arc<Constraints>,
}

impl Session {
    pub(in crate::db) fn run(
        &mut self,
        statement: &'static Statement,
        params: &[Value],
        want: Want,
    ) -> Result<Answer, DbError> {
        run(&self.connection, &self.constraints, statement, params, want)
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(Owned::Null),
            Self::Boolean(flag) => ToSqlOutput::Owned(Owned::Integer((*flag).into())),
            Self::Integer(number) => ToSqlOutput::Owned(Owned::Integer(*number)),
            Self::Real(number) => ToSqlOutput::Owned(Owned::Real(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

/// Runs a statement to its end.
pub(super) fn run(
    connection: &Connection,
    constraints: &Constraints,
    statement: &'static Statement,
    params: &[Value],
    want: Want,
) -> Result<Answer, DbError> {
    let fail = |cause| error(cause, statement.name(), constraints);
    let mut prepared = connection.prepare_cached(statement.sqlite()).map_err(fail)?;
    for (index, value) in params.iter().enumerate() {
        prepared.raw_bind_parameter(index + 1, value).map_err(fail)?;
    }
    let width = prepared.column_count();
    if width == 0 {
        let changed = prepared.raw_execute().map_err(fail)?;
        return Ok(match want {
            Want::Rows => Answer::Rows(Vec::new()),
            Want::Count => Answer::Count(changed as u64),
        });
    }
    let mut out = Vec::new();
    let mut rows = prepared.raw_query();
    while let Some(row) = rows.next().map_err(fail)? {
        let values: Result<_, _> = (0..width).map(|index| value(row, index)).collect();
        out.push(Row::new(values.map_err(fail)?));
    }
    Ok(Answer::Rows(out))
}

pub(in crate::db) fn value(row: &rusqlite::Row<'_>, index: usize) -> rusqlite::Result<Value> {
    Ok(match row.get_ref(index)? {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(error) => return Err(rusqlite::Error::Utf8Error(index, error)),
        },
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    })
}
