//! Copies from one engine to the other, and back.

use std::sync::Mutex;

use crate::db::testing::{Engine, postgres_url};
use crate::db::{
    CopyProgress, Db, DbError, Migration, Schema, Settings, TenantId, copy, params, statements,
    testing,
};

statements! {
    ADD: "INSERT INTO person (tenant_id, id, boss_id, is_new, photo, share)
        VALUES ($1, $2, $3, $4, $5, $6)";
    PEOPLE: "SELECT id, boss_id, is_new, photo, share FROM person WHERE tenant_id = $1 ORDER BY id"
        scans "a test's few rows";
    LOG: "INSERT INTO entry (tenant_id, text) VALUES ($1, $2) RETURNING number";
    FORGET: "DELETE FROM entry WHERE tenant_id = $1";
}

/// With a table that refers to itself, one that counts, and a row that a migration makes.
const SCHEMA: Schema = Schema {
    name: "people",
    migrations: &[Migration {
        version: 1,
        name: "people",
        sql: "CREATE TABLE person (
                tenant_id TEXT NOT NULL, id TEXT NOT NULL, boss_id TEXT, is_new BOOLEAN NOT NULL,
                photo BYTEA, share DOUBLE PRECISION, PRIMARY KEY (tenant_id, id),
                FOREIGN KEY (tenant_id, boss_id) REFERENCES person (tenant_id, id));
            CREATE TABLE entry (
                number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                tenant_id TEXT NOT NULL, text TEXT NOT NULL);
            INSERT INTO person (tenant_id, id, is_new) VALUES ('a', 'seed', FALSE);",
    }],
    statements: &[STATEMENTS],
};

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

async fn log(db: &Db) -> i64 {
    let logged: Result<i64, DbError> = db
        .tenant(&tenant("b"))
        .tx((), |tx, ()| Box::pin(async move { tx.query_one(&LOG, params!["x"]).await?.get(0) }))
        .await;
    logged.unwrap()
}

async fn fill(db: &Db) {
    for name in ["a", "b"] {
        let filled: Result<(), DbError> = db
            .tenant(&tenant(name))
            .tx((), |tx, ()| {
                Box::pin(async move {
                    for number in 0..1_200_i64 {
                        let id = format!("{number:04}");
                        let boss = (0 < number).then(|| "0000".to_owned());
                        let photo = (number % 3 == 0).then(|| vec![number as u8; 9]);
                        let share = (number % 5 == 0).then_some(number as f64 / 7.0);
                        tx.execute(&ADD, params![id, boss, number % 2 == 0, photo, share]).await?;
                    }
                    // Refers to one that sorts behind it.
                    tx.execute(&ADD, params!["zz", None::<String>, true, None::<Vec<u8>>, 0.0])
                        .await?;
                    tx.execute(&ADD, params!["-", "zz", true, None::<Vec<u8>>, -1.5])
                        .await
                        .map(drop)
                })
            })
            .await;
        filled.unwrap();
    }
    for _ in 0..4 {
        log(db).await;
    }
    // The numbers of rows that are gone aren't given again, in the copy neither.
    let forgotten: Result<u64, DbError> = db
        .tenant(&tenant("b"))
        .tx((), |tx, ()| Box::pin(async move { tx.execute(&FORGET, params![]).await }))
        .await;
    assert_eq!(forgotten.unwrap(), 4);
}

async fn copied(from: &str, to: &str) -> Result<u64, String> {
    let (from, to) = (Settings::new(from), Settings::new(to));
    let last: Mutex<Option<CopyProgress>> = Mutex::new(None);
    let told = |progress| *last.lock().unwrap() = Some(progress);
    let tables = copy(&from, &to, &[SCHEMA], told).await.map_err(|error| error.to_string())?;
    let rows = tables.iter().map(|table| table.rows).sum();
    let last = last.into_inner().unwrap().unwrap();
    assert_eq!((last.done_rows, last.total_rows), (rows, rows));
    Ok(rows)
}

async fn people(db: &Db) -> Vec<String> {
    let mut people = Vec::new();
    for name in ["a", "b"] {
        for row in db.tenant(&tenant(name)).query(&PEOPLE, params![]).await.unwrap() {
            type Person = (String, Option<String>, bool, Option<Vec<u8>>, Option<f64>);
            people.push(format!("{:?}", row.decode::<Person>().unwrap()));
        }
    }
    people
}

#[tokio::test]
async fn everything_goes_to_the_other_engine_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let source: Engine = testing::sqlite(&[SCHEMA]).await;
    fill(&source.db).await;
    let wanted = people(&source.db).await;
    assert_eq!(wanted.len(), 2_405);

    let (server, _keep) = postgres_url(&[]).await;
    assert_eq!(copied(&source.url, &server).await, Ok(2_405));
    let there = Db::open(&server, &[SCHEMA]).await.unwrap();
    assert_eq!(people(&there).await, wanted);

    let back = format!("sqlite:{}", folder.path().join("back.db").display());
    assert_eq!(copied(&server, &back).await, Ok(2_405));
    let here = Db::open(&back, &[SCHEMA]).await.unwrap();
    assert_eq!(people(&here).await, wanted);
    for db in [&source.db, &there, &here] {
        assert_eq!(log(db).await, 5, "{}", db.engine());
    }

    let again = copied(&source.url, &server).await.unwrap_err();
    assert!(again.contains("the target has rows"), "{again}");
    let itself = copied(&server, &server).await.unwrap_err();
    assert!(itself.contains("onto itself"), "{itself}");
    assert_eq!(people(&there).await, wanted, "a copy that was refused did something");
}

/// PostgreSQL's keys are as they were after the copy.
#[tokio::test]
async fn keys_hold_after_a_copy() {
    let source: Engine = testing::sqlite(&[SCHEMA]).await;
    let (server, _keep) = postgres_url(&[]).await;
    assert_eq!(copied(&source.url, &server).await, Ok(1));
    let there = Db::open(&server, &[SCHEMA]).await.unwrap();
    let orphan: Result<u64, DbError> = there
        .tenant(&tenant("a"))
        .tx((), |tx, ()| {
            Box::pin(async move {
                let none = None::<Vec<u8>>;
                let added = tx.execute(&ADD, params!["x", "nobody", true, none, 0.0]).await;
                assert!(matches!(added, Err(DbError::ForeignKey)), "checked too late: {added:?}");
                added
            })
        })
        .await;
    assert!(matches!(orphan, Err(DbError::ForeignKey)), "{orphan:?}");
}

#[tokio::test]
async fn a_source_of_an_older_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let old = format!("sqlite:{}", folder.path().join("old.db").display());
    Db::open(&old, &[]).await.unwrap();
    let target = format!("sqlite:{}", folder.path().join("new.db").display());
    let refused = copied(&old, &target).await.unwrap_err();
    assert!(refused.contains("db migrate"), "{refused}");
    assert!(!folder.path().join("new.db").exists(), "the target was touched");
}
