//! What only PostgreSQL has: roles, policies, connections that break, TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::SimpleQueryMessage;

use super::engines::{SCHEMA, tenant};
use crate::db::postgres::connect_alone;
use crate::db::testing::{Server, ServerOptions, postgres_url};
use crate::db::{Db, DbError, Schema, Scope, Settings, params, statements};

statements! {
    ADD: "INSERT INTO item (tenant_id, id, name, amount, is_new, data, share)
        VALUES ($1, $2, $2, $3, $4, $5, $6)";
    IDS: "SELECT id FROM item WHERE tenant_id = $1 ORDER BY id LIMIT $2";
    system ENCRYPTED: "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
}

const MORE: Schema = Schema { name: "more", migrations: &[], statements: &[STATEMENTS] };
const SCHEMAS: [Schema; 2] = [SCHEMA, MORE];

async fn add(scope: &Scope, id: String) -> Result<u64, DbError> {
    scope
        .tx(id, |tx, id| {
            Box::pin(async move {
                tx.execute(&ADD, params![id, 7_i64, false, None::<Vec<u8>>, None::<f64>]).await
            })
        })
        .await
}

async fn ids(scope: &Scope) -> Vec<String> {
    let rows = scope.query(&IDS, params![i64::MAX]).await.unwrap();
    rows.iter().map(|row| row.get(0).unwrap()).collect()
}

#[tokio::test]
async fn it_works_without_prepared_statements() {
    let (url, _keep) = postgres_url(&SCHEMAS).await;
    let settings = Settings { statement_cache: false, ..Settings::new(url) };
    let db = Db::open_with(&settings, &SCHEMAS).await.unwrap();
    let scope = db.tenant(&tenant("a"));
    add(&scope, "one".into()).await.unwrap();
    assert!(add(&scope, "one".into()).await.unwrap_err().is_unique("item_pkey"));
    assert_eq!(ids(&scope).await, ["one"]);
    assert!(ids(&db.tenant(&tenant("b"))).await.is_empty());
}

/// Even SQL that forgets the tenant sees nothing of another one.
#[tokio::test]
async fn policies_hold_whoever_asks() {
    let (url, _keep) = postgres_url(&SCHEMAS).await;
    let db = Db::open(&url, &SCHEMAS).await.unwrap();
    for name in ["a", "b"] {
        add(&db.tenant(&tenant(name)), format!("of-{name}")).await.unwrap();
    }
    let alone = connect_alone(&Settings::new(url)).await.unwrap();
    let seen = async |before: &str| {
        let sql = format!("BEGIN; {before}; SELECT id FROM item ORDER BY id");
        let messages = alone.client.simple_query(&sql).await.unwrap();
        alone.client.batch_execute("ROLLBACK").await.unwrap();
        let row = |message: SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => row.try_get("id").ok()?.map(str::to_owned),
            _ => None,
        };
        messages.into_iter().filter_map(row).collect::<Vec<_>>()
    };
    assert!(seen("SELECT 1").await.is_empty(), "rows without a tenant");
    assert_eq!(seen("SET LOCAL streamverse.tenant = 'a'").await, ["of-a"]);
    assert_eq!(seen("SET LOCAL streamverse.tenant = '*'").await, ["of-a", "of-b"]);
    assert!(seen("SELECT 1").await.is_empty(), "the setting has outlived its transaction");
    let foreign = "BEGIN; SET LOCAL streamverse.tenant = 'a';
        INSERT INTO part (tenant_id, id, item_id) VALUES ('b', 'x', 'of-b')";
    let refused = alone.client.batch_execute(foreign).await.unwrap_err();
    assert!(crate::db::postgres::full(&refused).contains("row-level security"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_that_see_everything_are_refused() {
    let server = Server::start(&ServerOptions::default()).await.unwrap();
    server.create("db").await.unwrap();
    let refused = Db::open(&server.admin_url("db"), &SCHEMAS).await.unwrap_err().to_string();
    assert!(refused.contains("`admin` sees past row-level security"), "{refused}");
    assert!(refused.contains("CREATE ROLE"), "{refused}");
}

/// The server is killed and started again under load: no call hangs, no acknowledged row is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_is_found_again() {
    let options = ServerOptions { is_durable: true, ..ServerOptions::default() };
    let mut server = Server::start(&options).await.unwrap();
    let url = server.create("db").await.unwrap();
    let settings = Settings { deadline: Duration::from_secs(2), ..Settings::new(url) };
    let db = Db::open_with(&settings, &SCHEMAS).await.unwrap();
    let scope = db.tenant(&tenant("a"));
    let is_over = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = (0..6)
        .map(|writer| {
            let (scope, is_over, count) = (scope.clone(), Arc::clone(&is_over), Arc::clone(&count));
            tokio::spawn(async move {
                let (mut kept, mut failed) = (Vec::new(), 0);
                for number in 0.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let id = format!("{writer}-{number}");
                    let start = Instant::now();
                    match add(&scope, id.clone()).await {
                        Ok(_) => {
                            kept.push(id);
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(
                            DbError::Unavailable { .. }
                            | DbError::InDoubt { .. }
                            | DbError::Busy { .. },
                        ) => {
                            failed += 1;
                            tokio::time::sleep(Duration::from_millis(10)).await;
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
                }
                (kept, failed)
            })
        })
        .collect();
    let until = async |wanted: u64| {
        let start = Instant::now();
        while count.load(Ordering::Relaxed) < wanted {
            assert!(start.elapsed() < Duration::from_secs(60), "nothing is written any more");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    for _ in 0..2 {
        until(count.load(Ordering::Relaxed) + 50).await;
        server.kill();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let down = scope.query(&IDS, params![1_i64]).await;
        assert!(matches!(down, Err(DbError::Unavailable { .. })), "{down:?}");
        server.restart().await.unwrap();
    }
    until(count.load(Ordering::Relaxed) + 50).await;
    is_over.store(true, Ordering::Relaxed);
    let (mut kept, mut failed) = (Vec::new(), 0);
    for writer in writers {
        let (ids, failures) = writer.await.unwrap();
        kept.extend(ids);
        failed += failures;
    }
    let there = ids(&scope).await;
    for id in &kept {
        assert!(there.binary_search(id).is_ok(), "{id} was acknowledged and is lost");
    }
    assert!(0 < failed, "nobody noticed");
    assert!(150 <= kept.len() && kept.len() <= there.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_checked_when_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let options = ServerOptions {
        port: Some(port),
        tls: Some((certificate.clone(), key)),
        ..ServerOptions::default()
    };
    let server = Server::start(&options).await.unwrap();
    server.create("db").await.unwrap();
    let url = format!("postgres://tester:tester@localhost:{port}/db");
    let encrypted = async |settings: &Settings| {
        let db = Db::open_with(settings, &SCHEMAS).await?;
        let row = db.system().query_one(&ENCRYPTED, params![]).await?;
        row.get::<bool>(0)
    };
    let plain = Settings::new(url.clone());
    assert!(!encrypted(&plain).await.unwrap(), "on this machine nobody else listens");
    let required = Settings::new(format!("{url}?sslmode=require"));
    let unknown = encrypted(&required).await.unwrap_err();
    assert!(matches!(unknown, DbError::Unavailable { .. }), "{unknown:?}");
    let vouched = Settings { ca: Some(certificate), ..required };
    assert!(encrypted(&vouched).await.unwrap());
}
