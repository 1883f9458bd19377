//! `[database]`: where what the control role knows is kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::secret::Secret;
use crate::db::Settings;

/// Connections or readers of one process.
const POOL_MAX: u32 = 1_000;
/// Longest that a call may wait.
const DEADLINE_SECONDS_MAX: f64 = 300.0;
const QUEUE_MAX: u32 = 1_000_000;

/// `[database]`: SQLite in the data directory, or PostgreSQL.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `sqlite:PATH` or `postgres://…`; unset, `control.db` in the data directory.
    pub url: Option<Secret>,
    /// Connections to PostgreSQL, or threads that read SQLite.
    pub pool_size: u32,
    /// Whether PostgreSQL keeps prepared statements.
    pub statement_cache: bool,
    /// Whether PostgreSQL on other machines may be spoken to without TLS.
    pub insecure: bool,
    /// PEM file of the authorities that vouch for PostgreSQL, instead of the public ones.
    pub ca: Option<PathBuf>,
    /// How long a call may take, waiting included.
    pub deadline_seconds: f64,
    /// Transactions that may wait for SQLite's writer.
    pub queue_max: u32,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: None,
            pool_size: 8,
            statement_cache: true,
            insecure: false,
            ca: None,
            deadline_seconds: 5.0,
            queue_max: 4096,
        }
    }
}

impl Database {
    /// Settings in which every key is set.
    pub(super) fn example() -> Self {
        Self {
            url: Some(Secret::reference("env:DATABASE_URL")),
            ca: Some(PathBuf::from("/etc/streamverse/postgres-ca.pem")),
            ..Self::default()
        }
    }

    /// What [`crate::db::Db::open_with`] takes.
    pub fn settings(&self, data_dir: &Path) -> Settings {
        let url = match &self.url {
            Some(url) => url.expose().to_owned(),
            None => format!("sqlite:{}", data_dir.join("control.db").display()),
        };
        Settings {
            pool_size: self.pool_size as usize,
            statement_cache: self.statement_cache,
            insecure: self.insecure,
            ca: self.ca.clone(),
            // What is no span of time is refused by the check.
            deadline: Duration::try_from_secs_f64(self.deadline_seconds).unwrap_or_default(),
            queue: self.queue_max as usize,
            ..Settings::new(url)
        }
    }
}

pub(super) fn check_database(database: &Database, fail: &mut impl FnMut(&str, String, &str)) {
    // An address that can't be looked up is told by whoever looks.
    if database.url.as_ref().is_some_and(|url| !url.expose().is_empty())
        && let Err(error) = database.settings(Path::new("")).check()
    {
        fail("database.url", error.to_string(), "see docs/database.md");
    }
    if !(1..=POOL_MAX).contains(&database.pool_size) {
        let cause = format!("{} connections", database.pool_size);
        fail("database.pool_size", cause, &format!("write 1 to {POOL_MAX}"));
    }
    if !(0.1..=DEADLINE_SECONDS_MAX).contains(&database.deadline_seconds) {
        let cause = format!("{} seconds", database.deadline_seconds);
        fail("database.deadline_seconds", cause, &format!("write 0.1 to {DEADLINE_SECONDS_MAX}"));
    }
    if !(1..=QUEUE_MAX).contains(&database.queue_max) {
        let cause = format!("{} transactions", database.queue_max);
        fail("database.queue_max", cause, &format!("write 1 to {QUEUE_MAX}"));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{Config, Sources};

    fn faults(url: &str, change: impl Fn(&mut Database)) -> Vec<String> {
        let mut secret = Secret::reference("env:URL");
        let known = |_: &str| Some(url.to_owned());
        secret.resolve(known, &BTreeMap::new()).unwrap();
        let mut database = Database { url: Some(secret), ..Database::default() };
        change(&mut database);
        let mut faults = Vec::new();
        check_database(&database, &mut |key, cause, _| faults.push(format!("{key}: {cause}")));
        faults
    }

    #[test]
    fn addresses_are_read_without_being_shown() {
        let good = [
            "sqlite:/var/lib/streamverse/control.db",
            "postgres://streamverse:secret@127.0.0.1/streamverse",
            "postgresql://streamverse@db.example.org:5433/streamverse?sslmode=require",
        ];
        for url in good {
            assert_eq!(faults(url, |_| ()), Vec::<String>::new(), "{url}");
        }
        let bad = [
            ("mysql://root:secret@localhost/x", "`mysql:` is no database"),
            ("sqlite:", "names no file"),
            ("sqlite::memory:", "names no file"),
            ("postgres://a:secret@h/x?sslmode=nonsense", "can't be read"),
            ("postgres://a:secret@db.example.org/x?sslmode=disable", "in the clear"),
        ];
        for (url, reason) in bad {
            let faults = faults(url, |_| ());
            assert!(faults.len() == 1 && faults[0].contains(reason), "{url}: {faults:?}");
            assert!(!faults[0].contains("secret"), "{faults:?}");
        }
        let clear = "postgres://a:secret@db.example.org/x?sslmode=disable";
        assert!(faults(clear, |database| database.insecure = true).is_empty());
    }

    #[test]
    fn numbers_have_bounds() {
        let url = "sqlite:x.db";
        assert_eq!(faults(url, |database| database.pool_size = 0).len(), 1);
        assert_eq!(faults(url, |database| database.deadline_seconds = f64::NAN).len(), 1);
        assert_eq!(faults(url, |database| database.queue_max = 0).len(), 1);
    }

    #[test]
    fn an_address_in_a_variable_is_found_and_not_printed() {
        let url = "postgres://a:secret@127.0.0.1/x";
        for written in ["env:DATABASE_URL", url] {
            let sources = Sources {
                variables: [("DATABASE_URL".to_owned(), url.to_owned())].into(),
                flags: vec![("database.url".to_owned(), written.to_owned())],
                ..Sources::default()
            };
            let loaded = Config::load(&sources).unwrap();
            assert_eq!(loaded.config.database.settings(Path::new("/data")).url, url);
            let shown = format!("{} {:?}", loaded.print(), loaded.config.database);
            assert!(!shown.contains("secret@"), "{shown}");
        }
    }

    #[test]
    fn without_an_address_it_lies_in_the_data_directory() {
        let settings = Database::default().settings(Path::new("/data"));
        assert_eq!(settings.url, "sqlite:/data/control.db");
    }
}
