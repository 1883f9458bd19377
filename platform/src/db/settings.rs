//! Which database, and how it is used.

use std::path::PathBuf;
use std::time::Duration;

use super::error::DbError;

/// What [`super::Db::open_with`] needs to know.
#[derive(Clone)]
pub struct Settings {
    /// `sqlite:PATH` or `postgres://…`. May hold a password: never printed.
    pub url: String,
    /// Connections to PostgreSQL, or threads that read SQLite.
    pub pool_size: usize,
    /// Whether PostgreSQL keeps prepared statements. Not behind PgBouncer in transaction mode.
    pub statement_cache: bool,
    /// Whether PostgreSQL beyond this machine may be spoken to without TLS.
    pub insecure: bool,
    /// PEM file of the authorities that vouch for PostgreSQL; the public ones when unset.
    pub ca: Option<PathBuf>,
    /// How long a call may take, waiting included.
    pub deadline: Duration,
    /// Transactions that may wait for SQLite's writer.
    pub queue: usize,
}

impl Settings {
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            pool_size: 4,
            statement_cache: true,
            insecure: false,
            ca: None,
            deadline: Duration::from_secs(5),
            queue: 4096,
        }
    }

    pub(super) fn engine(&self) -> Result<Target, DbError> {
        if let Some(path) = self.url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.starts_with(':') {
                let reason = "`sqlite:` names no file; write sqlite:PATH";
                return Err(DbError::open(reason));
            }
            return Ok(Target::Sqlite(path.into()));
        }
        if self.url.starts_with("postgres://") || self.url.starts_with("postgresql://") {
            return Ok(Target::Postgres);
        }
        let scheme: String = self.url.chars().take_while(char::is_ascii_alphanumeric).collect();
        Err(DbError::open(format!(
            "`{scheme}:` is no database that is known; write sqlite:PATH or postgres://…"
        )))
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("pool_size", &self.pool_size).finish_non_exhaustive()
    }
}

/// The engine that a URL names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Target {
    Sqlite(PathBuf),
    Postgres,
}
