//! Databases for tests: a fresh one on each engine for every test.
//!
//! PostgreSQL's server is started once per test process, from Debian's `postgresql` package, and
//! ends with the process however that ends. It listens on a socket in a folder of its own, keeps
//! nothing durable, and its role has no right to see past row-level security. A test without
//! PostgreSQL fails and says how to get it.

mod order;
mod server;

use tempfile::TempDir;

use super::{Db, Schema, Settings};

pub use server::{Server, ServerOptions};

/// A database of a test; it is gone when this is dropped.
#[derive(Debug)]
pub struct Engine {
    /// `sqlite` or `postgres`.
    pub name: &'static str,
    pub db: Db,
    pub url: String,
    _keep: Keep,
}

/// What lasts as long as the database.
#[derive(Debug)]
pub(super) enum Keep {
    Folder { _folder: TempDir },
    Database(String),
}

impl Drop for Keep {
    fn drop(&mut self) {
        if let Self::Database(name) = self {
            order::drop_database(std::mem::take(name));
        }
    }
}

/// A database on each engine with the tables of `schemas`.
///
/// # Panics
/// When one can't be made.
pub async fn engines(schemas: &[Schema]) -> Vec<Engine> {
    vec![sqlite(schemas).await, postgres(schemas).await]
}

/// # Panics
/// When it can't be made.
pub async fn sqlite(schemas: &[Schema]) -> Engine {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite:{}", folder.path().join("test.db").display());
    let db = open(&url, schemas).await;
    Engine { name: "sqlite", db, url, _keep: Keep::Folder { _folder: folder } }
}

/// # Panics
/// When PostgreSQL can't be started.
pub async fn postgres(schemas: &[Schema]) -> Engine {
    let (url, keep) = postgres_url(schemas).await;
    let db = open(&url, schemas).await;
    Engine { name: "postgres", db, url, _keep: keep }
}

/// A database that nothing has opened yet.
pub(super) async fn postgres_url(schemas: &[Schema]) -> (String, Keep) {
    let (url, name) = order::make_database(schemas).await;
    (url, Keep::Database(name))
}

async fn open(url: &str, schemas: &[Schema]) -> Db {
    let settings = Settings { deadline: std::time::Duration::from_secs(30), ..Settings::new(url) };
    match Db::open_with(&settings, schemas).await {
        Ok(db) => db,
        Err(error) => panic!("cannot open a database for a test: {error}"),
    }
}
