//! Events that fail: attempts, dead letters and the order of keys; replay, retention, erasure.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::*;

#[tokio::test]
async fn a_dead_letter_keeps_its_key_in_order_and_no_other() {
    for Engine { db, name, .. } in engines(SCHEMAS).await {
        let broken = Arc::new(AtomicBool::new(true));
        let fails = {
            let broken = broken.clone();
            move |number| broken.load(Ordering::Relaxed) && number == 2
        };
        let relay = Relay::new(db.clone(), vec![noting("first", fails)], options());
        for number in 0..6 {
            tell(&db, &tenant("a"), fact("bad", number)).await.unwrap();
            tell(&db, &tenant("a"), fact("good", number + 20)).await.unwrap();
            tell(&db, &tenant("b"), fact("bad", number + 10)).await.unwrap();
        }
        relay.drain().await.unwrap();
        assert_eq!(numbers(&db, "good").await, [20, 21, 22, 23, 24, 25], "{name}");
        assert_eq!(numbers(&db, "bad").await.len(), 2 + 6, "{name}");
        let letters = dead_letters(&db, 0, 10).await.unwrap();
        assert_eq!(letters.len(), 1, "{name}");
        assert_eq!((letters[0].attempts, letters[0].parked), (5, 3));
        assert_eq!(letters[0].last_error.as_deref(), Some("2 fails"));
        assert_eq!(relay.metrics().dead.get(), 1);

        // What comes later waits behind it too.
        tell(&db, &tenant("a"), fact("bad", 6)).await.unwrap();
        relay.drain().await.unwrap();
        let id = &letters[0].event_id;
        assert!(!try_again(&db, &tenant("b"), "first", id).await.unwrap());
        assert!(try_again(&db, &tenant("a"), "first", id).await.unwrap());
        relay.drain().await.unwrap();
        assert_eq!(dead_letters(&db, 0, 10).await.unwrap()[0].parked, 4, "{name}");

        broken.store(false, Ordering::Relaxed);
        assert!(try_again(&db, &tenant("a"), "first", id).await.unwrap());
        relay.drain().await.unwrap();
        let of_a: Vec<i64> =
            numbers(&db, "bad").await.into_iter().filter(|number| *number < 10).collect();
        assert_eq!(of_a, [0, 1, 2, 3, 4, 5, 6], "{name}");
        assert!(dead_letters(&db, 0, 10).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_discarded_letter_lets_its_key_go_on() {
    for Engine { db, name, .. } in engines(SCHEMAS).await {
        let relay = Relay::new(db.clone(), vec![noting("first", |number| number == 0)], options());
        for number in 0..4 {
            tell(&db, &tenant("a"), fact("k", number)).await.unwrap();
        }
        relay.drain().await.unwrap();
        assert!(numbers(&db, "k").await.is_empty(), "{name}");
        let letter = dead_letters(&db, 0, 10).await.unwrap().remove(0);
        assert!(discard(&db, &tenant("a"), "first", &letter.event_id).await.unwrap());
        assert!(!discard(&db, &tenant("a"), "first", &letter.event_id).await.unwrap());
        relay.drain().await.unwrap();
        assert_eq!(numbers(&db, "k").await, [1, 2, 3], "{name}");
    }
}

#[tokio::test]
async fn attempts_wait_longer_each_time() {
    let clock = || NOW.load(Ordering::Relaxed);
    static NOW: AtomicI64 = AtomicI64::new(1_000_000);
    for Engine { db, name, .. } in engines(SCHEMAS).await {
        let options = RelayOptions {
            clock,
            backoff: Duration::from_secs(1),
            lease: Duration::from_secs(3_600),
            ..options()
        };
        let relay = Relay::new(db.clone(), vec![noting("first", |_| true)], options);
        tell(&db, &tenant("a"), fact("k", 0)).await.unwrap();
        relay.drain().await.unwrap();
        let mut waited = Vec::new();
        let mut failed = 1;
        for second in 1..=60 {
            NOW.fetch_add(1_000, Ordering::Relaxed);
            relay.drain().await.unwrap();
            if failed < relay.metrics().failed.get() {
                failed = relay.metrics().failed.get();
                waited.push(second);
            }
        }
        // 1, 2, 4 and 8 seconds, one after the other; then it is dead.
        assert_eq!(waited, [1, 3, 7, 15], "{name}");
        assert_eq!(dead_letters(&db, 0, 10).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn replay_does_everything_once_more() {
    for Engine { db, name, .. } in engines(SCHEMAS).await {
        let relay = Relay::new(db.clone(), vec![noting("first", |_| false)], options());
        let mut ids = Vec::new();
        for number in 0..5 {
            ids.push(tell(&db, &tenant("a"), fact("k", number)).await.unwrap());
        }
        relay.drain().await.unwrap();
        relay.drain().await.unwrap();
        assert_eq!(numbers(&db, "k").await, [0, 1, 2, 3, 4], "{name}");
        let from = From::Event { tenant: tenant("a"), id: ids[3] };
        assert!(replay(&db, "first", &from).await.unwrap().is_some());
        relay.drain().await.unwrap();
        assert_eq!(numbers(&db, "k").await, [0, 1, 2, 3, 4, 3, 4], "{name}");
        let from = From::Time(1_700_000_000_002);
        assert!(replay(&db, "first", &from).await.unwrap().is_some());
        relay.drain().await.unwrap();
        assert_eq!(numbers(&db, "k").await[7..], [2, 3, 4], "{name}");
        let elsewhere = From::Event { tenant: tenant("b"), id: ids[3] };
        assert_eq!(replay(&db, "first", &elsewhere).await.unwrap(), None);
        assert_eq!(replay(&db, "nobody", &from).await.unwrap(), None);
    }
}

#[tokio::test]
async fn old_events_go_when_everybody_has_them() {
    for Engine { db, name, .. } in engines(SCHEMAS).await {
        let relay = Relay::new(db.clone(), vec![noting("first", |number| number == 1)], options());
        for number in 0..6 {
            tell(&db, &tenant("a"), fact(&format!("k{}", number % 3), number)).await.unwrap();
        }
        let retention = Retention { age_ms: 1_000 };
        let now_ms = 1_700_000_001_004;
        relay::number_new(&db).await.unwrap();
        relay.drain().await.unwrap();
        // 0 to 3 are old; 1 is a dead letter and stays, and 4 is parked behind it and young.
        assert_eq!(retain(&db, retention, now_ms).await.unwrap(), 3, "{name}");
        let left = list(&db, 0, 10).await.unwrap();
        let left: Vec<_> = left.iter().map(|event| event.data.clone().unwrap()).collect();
        assert_eq!(left, [json!({"number": 1}), json!({"number": 4}), json!({"number": 5})]);
        // A consumer that has seen nothing keeps everything.
        let second = Relay::new(db.clone(), vec![noting("second", |_| false)], options());
        let letter = dead_letters(&db, 0, 10).await.unwrap().remove(0);
        assert!(discard(&db, &tenant("a"), "first", &letter.event_id).await.unwrap());
        relay.drain().await.unwrap();
        assert_eq!(retain(&db, retention, now_ms).await.unwrap(), 1, "{name}");
        second.drain().await.unwrap();
        let seen = effects(&db).await.into_iter().filter(|effect| effect.0 == "second").count();
        assert_eq!(seen, 2, "{name}");
        assert!(forget_consumer(&db, "second").await.unwrap());
        assert!(!forget_consumer(&db, "second").await.unwrap());
        // Numbers go on when all events have gone.
        assert_eq!(retain(&db, retention, now_ms + 10_000).await.unwrap(), 2, "{name}");
        tell(&db, &tenant("a"), fact("k", 9)).await.unwrap();
        relay.drain().await.unwrap();
        assert_eq!(numbers(&db, "k").await, [9], "{name}");
    }
}

#[tokio::test]
async fn what_is_erased_is_handled_by_nobody() {
    for Engine { db, name, .. } in engines(SCHEMAS).await {
        let relay = Relay::new(db.clone(), vec![noting("first", |_| false)], options());
        for number in 0..3 {
            tell(&db, &tenant("a"), fact("u1", number)).await.unwrap();
            tell(&db, &tenant("a"), fact("u2", number)).await.unwrap();
            tell(&db, &tenant("b"), fact("u1", number + 10)).await.unwrap();
        }
        let erased: Result<u64, DbError> = db
            .tenant(&tenant("a"))
            .tx((), |tx, ()| {
                Box::pin(async move {
                    let erased = erase(tx, "user/u1").await?;
                    Ok(erased + erase_key(tx, "u1").await?)
                })
            })
            .await;
        assert_eq!(erased.unwrap(), 3, "{name}");
        relay.drain().await.unwrap();
        assert_eq!(numbers(&db, "u2").await, [0, 1, 2], "{name}");
        assert_eq!(numbers(&db, "u1").await, [10, 11, 12], "{name}");
        let events = list(&db, 0, 20).await.unwrap();
        assert_eq!(events.len(), 9, "{name}");
        let places: BTreeSet<i64> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(places.len(), 9);
        let erased = events.iter().filter(|event| event.data.is_none());
        for event in erased {
            assert_eq!(event.to_cloud_event()["erased"], json!(true));
            assert!(event.to_cloud_event().get("data").is_none());
        }
    }
}
