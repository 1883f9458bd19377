//! Nothing is lost, nothing is done twice, whoever writes and whatever stops.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::*;

#[tokio::test]
async fn an_event_is_a_cloud_event() {
    for Engine { db, name, .. } in engines(SCHEMAS).await {
        let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let fact = Fact { traceparent: Some(traceparent.to_owned()), ..fact("u1", 7) };
        let id = tell(&db, &tenant("a"), fact).await.unwrap();
        relay::number_new(&db).await.unwrap();
        let events = list(&db, 0, 10).await.unwrap();
        assert_eq!(events.len(), 1, "{name}");
        assert_eq!(id.get_version_num(), 7);
        let wanted = json!({
            "specversion": "1.0",
            "id": id.to_string(),
            "source": "/tenant/a/user",
            "type": "user.registered",
            "subject": "user/u1",
            "time": "2023-11-14T22:13:20.007Z",
            "datacontenttype": "application/json",
            "dataschema": "urn:streamverse:event:user.registered:1",
            "partitionkey": "u1",
            "traceparent": traceparent,
            "data": { "number": 7 },
        });
        assert_eq!(events[0].to_cloud_event(), wanted);
    }
}

#[tokio::test]
async fn facts_that_cannot_be_are_refused() {
    for Engine { db, .. } in engines(SCHEMAS).await {
        for fact in [
            Fact { schema_version: 0, ..fact("u", 1) },
            Fact { schema_version: 2, ..fact("u", 1) },
            Fact { key: String::new(), ..fact("u", 1) },
            Fact { subject: "x".repeat(257), ..fact("u", 1) },
            Fact { data: json!("x".repeat(300_000)), ..fact("u", 1) },
        ] {
            assert!(tell(&db, &tenant("a"), fact).await.is_err());
        }
        relay::number_new(&db).await.unwrap();
        assert!(list(&db, 0, 10).await.unwrap().is_empty());
    }
}

/// 8 writers with transactions that overlap and partly roll back, two relays that compete.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_and_two_relays_lose_and_repeat_nothing() {
    const WRITERS: i64 = 8;
    const EACH: i64 = 160;
    for Engine { db, name, .. } in engines(SCHEMAS).await {
        let (stop, stopped) = watch::channel(false);
        let options = RelayOptions { lease: Duration::from_millis(600), ..options() };
        let relays: Vec<_> = (0..2)
            .map(|_| {
                let consumers = vec![noting("first", |_| false), noting("second", |_| false)];
                let relay = Relay::new(db.clone(), consumers, options);
                let stopped = stopped.clone();
                tokio::spawn(async move { relay.run(stopped).await })
            })
            .collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let db = db.clone();
                tokio::spawn(async move {
                    let (tenant, key) =
                        (tenant(["a", "b"][writer as usize % 2]), format!("k{writer}"));
                    let mut told = 0;
                    for number in 0..EACH {
                        // Every fifth is rolled back after it was written.
                        let input = (fact(&key, number), number % 5 == 4);
                        let scope = db.tenant(&tenant);
                        let outcome = scope.tx(input, |tx, (fact, fails)| {
                            Box::pin(async move {
                                publish(tx, fact.clone()).await?;
                                if *fails {
                                    return Err(DbError::Busy { reason: "rolled back" });
                                }
                                Ok(())
                            })
                        });
                        told += i64::from(outcome.await.is_ok());
                    }
                    assert_eq!(told, EACH / 5 * 4);
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        let wanted = (WRITERS * EACH / 5 * 4 * 2) as usize;
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while effects(&db).await.len() < wanted && std::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stop.send(true).unwrap();
        for relay in relays {
            relay.await.unwrap();
        }
        let mut found: BTreeMap<(String, String), Vec<i64>> = BTreeMap::new();
        for (consumer, _, key, number) in effects(&db).await {
            found.entry((consumer, key)).or_default().push(number);
        }
        assert_eq!(found.len(), 2 * WRITERS as usize, "{name}");
        let in_order: Vec<i64> = (0..EACH).filter(|number| number % 5 != 4).collect();
        for (who, numbers) in found {
            assert_eq!(numbers, in_order, "{name} {who:?}");
        }
    }
}

/// The trap of identity columns: a transaction that inserted first commits last.
#[tokio::test]
async fn a_transaction_that_commits_late_is_not_passed_over() {
    let engine = crate::db::testing::postgres(SCHEMAS).await;
    let db = engine.db.clone();
    let (inserted, mut has_inserted) = watch::channel(false);
    let (release, released) = watch::channel(false);
    let (release, inserted) = (Arc::new(release), Arc::new(inserted));
    let late = {
        let db = db.clone();
        tokio::spawn(async move {
            let input = (inserted, released);
            let scope = db.tenant(&tenant("a"));
            let told = scope.tx(input, |tx, (inserted, released)| {
                Box::pin(async move {
                    let id = publish(tx, fact("late", 1)).await?;
                    inserted.send_replace(true);
                    let mut released = released.clone();
                    let _ = released.wait_for(|released| *released).await;
                    Ok::<_, DbError>(id)
                })
            });
            told.await.unwrap()
        })
    };
    has_inserted.wait_for(|inserted| *inserted).await.unwrap();
    let relay = Relay::new(db.clone(), vec![noting("first", |_| false)], options());
    for number in 2..10 {
        tell(&db, &tenant("a"), fact("early", number)).await.unwrap();
        relay.drain().await.unwrap();
    }
    assert_eq!(effects(&db).await.len(), 8);
    release.send_replace(true);
    late.await.unwrap();
    relay.drain().await.unwrap();
    assert_eq!(numbers(&db, "late").await, [1]);
    assert_eq!(effects(&db).await.len(), 9);
}

#[tokio::test]
async fn a_commit_wakes_the_relay() {
    let engine = crate::db::testing::sqlite(SCHEMAS).await;
    let db = engine.db.clone();
    let (stop, stopped) = watch::channel(false);
    let options = RelayOptions { poll: Duration::from_secs(600), ..options() };
    let relay = Relay::new(db.clone(), vec![noting("first", |_| false)], options);
    let relaying = tokio::spawn(async move { relay.run(stopped).await });
    for number in 0..20 {
        tell(&db, &tenant("a"), fact("k", number)).await.unwrap();
        let wanted = number as usize + 1;
        let waiting = async {
            while effects(&db).await.len() < wanted {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
    }
    stop.send(true).unwrap();
    relaying.await.unwrap();
}

#[tokio::test]
async fn a_dead_process_is_followed_when_its_lease_ends() {
    for Engine { db, name, .. } in engines(SCHEMAS).await {
        let clock = || NOW_MS.load(Ordering::Relaxed);
        let options = RelayOptions { clock, ..options() };
        let relay = || Relay::new(db.clone(), vec![noting("first", |_| false)], options);
        let (dead, heir) = (relay(), relay());
        tell(&db, &tenant("a"), fact("k", 1)).await.unwrap();
        dead.drain().await.unwrap();
        tell(&db, &tenant("a"), fact("k", 2)).await.unwrap();
        assert!(matches!(heir.drain().await, Err(DbError::Busy { .. })), "{name}");
        NOW_MS.fetch_add(15_001, Ordering::Relaxed);
        heir.drain().await.unwrap();
        assert_eq!(numbers(&db, "k").await, [1, 2], "{name}");
        // The one that only slept is told so.
        assert!(matches!(dead.drain().await, Err(DbError::Busy { .. })), "{name}");
    }
}
