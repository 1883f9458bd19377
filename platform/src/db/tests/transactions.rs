//! Transactions beside each other, and what one that fails does to the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};

use super::engines::{SCHEMA, tenant};
use super::sample;
use crate::db::testing::engines;
use crate::db::{Db, DbError, Schema, Scope, Settings, params, statements};

statements! {
    ADD: "INSERT INTO item (tenant_id, id, name, amount, is_new) VALUES ($1, $2, $2, $3, TRUE)";
    INCREASE: "UPDATE item SET amount = amount + $3 WHERE tenant_id = $1 AND id = $2";
    AMOUNT: "SELECT amount FROM item WHERE tenant_id = $1 AND id = $2";
    SET: "UPDATE item SET amount = $3 WHERE tenant_id = $1 AND id = $2";
    IDS: "SELECT id FROM item WHERE tenant_id = $1 ORDER BY id" scans "a test's few rows";
    system SLOW: "WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT)
        UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) SELECT COUNT(*) FROM n";
    SLOW_ADD: "INSERT INTO item (tenant_id, id, name, amount, is_new)
        WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT)
            UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000)
        SELECT $1, CAST(i AS TEXT), CAST(i AS TEXT), i, TRUE FROM n";
}

const MORE: Schema = Schema { name: "more", migrations: &[], statements: &[STATEMENTS] };
const SCHEMAS: [Schema; 2] = [SCHEMA, MORE];

async fn add(scope: &Scope, id: impl Into<String>) -> Result<u64, DbError> {
    scope
        .tx(id.into(), |tx, id: &String| {
            Box::pin(async move { tx.execute(&ADD, params![id, 0_i64]).await })
        })
        .await
}

async fn ids(scope: &Scope) -> Vec<String> {
    let rows = scope.query(&IDS, params![]).await.unwrap();
    rows.iter().map(|row| row.get(0).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_all_kept() {
    for engine in engines(&SCHEMAS).await {
        let scope = engine.db.tenant(&tenant("a"));
        add(&scope, "sum").await.unwrap();
        let writers = (0..16).map(|_| {
            let scope = scope.clone();
            tokio::spawn(async move {
                for _ in 0..25 {
                    let increased: Result<u64, DbError> = scope
                        .tx((), |tx, ()| {
                            Box::pin(
                                async move { tx.execute(&INCREASE, params!["sum", 1_i64]).await },
                            )
                        })
                        .await;
                    assert_eq!(increased.unwrap(), 1);
                }
            })
        });
        for writer in join_all(writers).await {
            writer.unwrap();
        }
        let row = scope.query_one(&AMOUNT, params!["sum"]).await.unwrap();
        assert_eq!(row.get::<i64>(0).unwrap(), 400, "{}", engine.name);
        assert_eq!(sample(&engine.db, "streamverse_database_commits_total"), 401.0);
        if engine.name == "sqlite" {
            let groups = sample(&engine.db, "streamverse_database_group_size_count");
            assert!(groups < 300.0, "{groups} commits for 401 transactions");
        }
    }
}

/// In one group, some that fail in every way there is.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_harms_nobody_else() {
    for engine in engines(&SCHEMAS).await {
        let scope = engine.db.tenant(&tenant("a"));
        let calls = (0..40).map(|number| {
            let scope = scope.clone();
            async move {
                let ended: Result<(), DbError> = scope
                    .tx(number, |tx, &number| {
                        Box::pin(async move {
                            tx.execute(&ADD, params![format!("{number:02}"), 0_i64]).await?;
                            match number % 4 {
                                0 => Ok(()),
                                1 => Err(DbError::internal("a change of mind")),
                                2 => panic!("in the middle of a transaction"),
                                _ => {
                                    // An error that the closure hides is one all the same.
                                    let twice = params![format!("{number:02}"), 0_i64];
                                    drop(tx.execute(&ADD, twice).await);
                                    Ok(())
                                }
                            }
                        })
                    })
                    .await;
                assert_eq!(ended.is_ok(), number % 4 == 0, "{number}: {ended:?}");
            }
        });
        join_all(calls).await;
        let wanted: Vec<String> = (0..40).step_by(4).map(|number| format!("{number:02}")).collect();
        assert_eq!(ids(&scope).await, wanted, "{}", engine.name);
    }
}

/// SQLite rolls the whole group back when a write is interrupted; the others run again.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_interrupted_harms_nobody_else() {
    for engine in engines(&SCHEMAS).await {
        let scope = engine.db.tenant(&tenant("a"));
        let quick = |from: u32| {
            let scope = scope.clone();
            async move {
                let adding = (from..from + 10).map(|number| add(&scope, format!("quick-{number}")));
                join_all(adding).await
            }
        };
        let slow = async {
            let start = Instant::now();
            let slow: Result<u64, DbError> = scope
                .clone()
                .within(Duration::from_millis(300))
                .tx((), |tx, ()| Box::pin(async move { tx.execute(&SLOW_ADD, params![]).await }))
                .await;
            assert!(matches!(slow, Err(DbError::Busy { .. })), "{}: {slow:?}", engine.name);
            assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        };
        let ((before, ()), after) = join(join(quick(10), slow), quick(20)).await;
        for added in before.into_iter().chain(after) {
            assert_eq!(added.unwrap(), 1);
        }
        assert_eq!(ids(&scope).await.len(), 20, "{}", engine.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_ends_reads_and_what_waits() {
    for engine in engines(&SCHEMAS).await {
        let start = Instant::now();
        let hurried = engine.db.system().within(Duration::from_millis(200));
        let read = hurried.query(&SLOW, params![]).await;
        assert!(matches!(read, Err(DbError::Busy { .. })), "{}: {read:?}", engine.name);
        let written: Result<_, DbError> = hurried
            .tx((), |tx, ()| Box::pin(async move { tx.query(&SLOW, params![]).await }))
            .await;
        assert!(matches!(written, Err(DbError::Busy { .. })), "{}: {written:?}", engine.name);
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        // Neither has taken anything with it.
        assert!(ids(&engine.db.tenant(&tenant("a"))).await.is_empty());
    }
}

#[tokio::test]
async fn a_transaction_awaits_nothing_but_itself() {
    for engine in engines(&SCHEMAS).await {
        let scope = engine.db.tenant(&tenant("a")).within(Duration::from_millis(500));
        let waiting: Result<(), DbError> = scope
            .tx((), |tx, ()| {
                Box::pin(async move {
                    tx.execute(&ADD, params!["x", 0_i64]).await?;
                    std::future::pending().await
                })
            })
            .await;
        assert!(waiting.is_err(), "{}", engine.name);
        // Another transaction inside of this one would wait for itself.
        let inner = scope.clone();
        let nested: Result<u64, DbError> = scope
            .tx(inner, |tx, inner| {
                Box::pin(async move {
                    tx.execute(&ADD, params!["outer", 0_i64]).await?;
                    if inner.db.engine() == "sqlite" { add(inner, "inner").await } else { Ok(0) }
                })
            })
            .await;
        assert_eq!(nested.is_err(), engine.name == "sqlite");
        let left = ids(&scope).await;
        assert!(!left.contains(&"x".to_owned()) && !left.contains(&"inner".to_owned()), "{left:?}");
        assert_eq!(add(&scope, "after").await.unwrap(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("full.db").display());
    let db = Db::open_with(&Settings { queue: 4, ..Settings::new(url) }, &SCHEMAS).await.unwrap();
    let scope = db.tenant(&tenant("a"));
    let blocking = tokio::spawn({
        let system = db.system().within(Duration::from_secs(1));
        async move {
            let slow: Result<_, DbError> = system
                .tx((), |tx, ()| Box::pin(async move { tx.query(&SLOW, params![]).await }))
                .await;
            assert!(slow.is_err());
        }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let calls: Vec<_> = (0..20).map(|number| add(&scope, format!("{number:02}"))).collect();
    let ended = join_all(calls).await;
    let is_full = |ended: &&Result<u64, DbError>| {
        matches!(ended, Err(DbError::Busy { reason: "its queue is full" }))
    };
    assert_eq!(ended.iter().filter(is_full).count(), 16, "{ended:?}");
    assert_eq!(ended.iter().filter(|ended| ended.is_ok()).count(), 4, "{ended:?}");
    blocking.await.unwrap();
    assert_eq!(ids(&scope).await.len(), 4);
    assert_eq!(sample(&db, "streamverse_database_waiting"), 0.0);
}

/// Real deadlocks and real serialisation failures on PostgreSQL; SQLite has neither.
#[tokio::test(flavor = "multi_thread")]
async fn conflicts_are_tried_again() {
    for engine in engines(&SCHEMAS).await {
        let scope = engine.db.tenant(&tenant("a"));
        for id in ["left", "right", "read"] {
            add(&scope, id).await.unwrap();
        }
        let attempts = Arc::new(AtomicU32::new(0));
        let crossing = (0..8).map(|number: u32| {
            let (scope, attempts) = (scope.clone(), Arc::clone(&attempts));
            tokio::spawn(async move {
                for _ in 0..10 {
                    let order = if number.is_multiple_of(2) {
                        ["left", "right"]
                    } else {
                        ["right", "left"]
                    };
                    let ended: Result<(), DbError> = scope
                        .tx((order, Arc::clone(&attempts)), |tx, (order, attempts)| {
                            attempts.fetch_add(1, Ordering::Relaxed);
                            Box::pin(async move {
                                for id in order {
                                    tx.execute(&INCREASE, params![*id, 1_i64]).await?;
                                }
                                Ok(())
                            })
                        })
                        .await;
                    ended.unwrap();
                }
            })
        });
        let careful = scope.clone().serializable();
        let counting = (0..6).map(|_| {
            let careful = careful.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    let ended: Result<u64, DbError> = careful
                        .tx((), |tx, ()| {
                            Box::pin(async move {
                                let row = tx.query_one(&AMOUNT, params!["read"]).await?;
                                let amount: i64 = row.get(0)?;
                                tx.execute(&SET, params!["read", amount + 1]).await
                            })
                        })
                        .await;
                    ended.unwrap();
                }
            })
        });
        for ended in join_all(crossing.chain(counting).collect::<Vec<_>>()).await {
            ended.unwrap();
        }
        for (id, wanted) in [("left", 80), ("right", 80), ("read", 60)] {
            let row = scope.query_one(&AMOUNT, params![id]).await.unwrap();
            assert_eq!(row.get::<i64>(0).unwrap(), wanted, "{} {id}", engine.name);
        }
        if engine.name == "postgres" {
            let retries = sample(&engine.db, "streamverse_database_retries_total");
            assert!(0.0 < retries, "nothing was tried again, so nothing was shown");
        }
    }
}

/// Whoever leaves in the middle takes neither rows nor a connection along.
#[tokio::test(flavor = "multi_thread")]
async fn callers_may_leave() {
    for engine in engines(&SCHEMAS).await {
        let scope = engine.db.tenant(&tenant("a"));
        for number in 0..20 {
            let call: std::pin::Pin<Box<dyn Future<Output = Result<(), DbError>> + Send>> =
                Box::pin(scope.tx(number, |tx, number| {
                    Box::pin(async move {
                        tx.execute(&ADD, params![number.to_string(), 0_i64]).await?;
                        for _ in 0..50 {
                            tx.query(&AMOUNT, params![number.to_string()]).await?;
                        }
                        Ok(())
                    })
                }));
            drop(tokio::time::timeout(Duration::from_micros(number * 400), call).await);
        }
        // More calls than there are connections.
        for number in 100..110 {
            assert_eq!(add(&scope, number.to_string()).await.unwrap(), 1, "{}", engine.name);
        }
        let late = ids(&scope).await.iter().filter(|id| id.len() == 3).count();
        assert_eq!(late, 10);
    }
}
