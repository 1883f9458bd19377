//! Durable records and events a second: the journal beside an fdatasync for each record, the relay
//! beside an outbox whose consumer commits each event.
//!
//! `cargo bench -p bench --bench events` writes below `STREAMVERSE_BENCH_DIR`, or the temporary
//! folder; the figures are those of that disk.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use platform::db::{Db, DbError, Migration, Schema, TenantId, params, statements};
use platform::events::{self, Consumer, Fact, Relay, RelayOptions, Topic};
use platform::journal::{Journal, JournalOptions, Record};
use tokio::sync::watch;

/// About what a heartbeat or a CMCD event has.
const PAYLOAD: [u8; 200] = [7; 200];
const EVENTS: i64 = 8_000;
const WRITERS: i64 = 64;

statements! {
    ADD_EFFECT: "INSERT INTO effect (tenant_id, event_id) VALUES ($1, $2)";
    system NAIVE_NEXT: "SELECT sequence, tenant_id, id FROM event_outbox WHERE $1 < sequence
        ORDER BY sequence LIMIT 256";
    system NAIVE_EFFECT: "INSERT INTO effect (tenant_id, event_id) VALUES ($1, $2)";
    system NAIVE_CURSOR: "INSERT INTO event_consumer (name, cursor) VALUES ('naive', $1)
        ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor";
    system COUNT: "SELECT COUNT(*) FROM effect" scans "it counts";
}

const EFFECT: Schema = Schema {
    name: "effect",
    migrations: &[Migration {
        version: 1,
        name: "effect",
        sql: "CREATE TABLE effect (tenant_id TEXT NOT NULL, event_id TEXT NOT NULL,
            PRIMARY KEY (tenant_id, event_id));",
    }],
    statements: &[STATEMENTS],
};

fn main() {
    let base =
        std::env::var("STREAMVERSE_BENCH_DIR").map_or_else(|_| std::env::temp_dir(), Into::into);
    let folder = tempfile::tempdir_in(base).expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    println!("{:<58} {:>10} {:>12}", "durable, 200 bytes each", "count", "a second");
    let (count, taken) = sync_each(&folder.path().join("plain"), Duration::from_secs(2));
    row("append and fdatasync for each record", count, taken);
    for tasks in [1, 64, 1_024] {
        let path = folder.path().join(format!("journal-{tasks}"));
        let (count, taken) = runtime.block_on(append(&path, tasks, Duration::from_secs(2)));
        row(&format!("journal: append, {tasks} at once"), count, taken);
    }
    let (count, taken) = runtime.block_on(offer(&folder.path().join("offered"), 2_000_000));
    row("journal: offer, as fast as the queue takes them", count, taken);

    let (published, carried) = runtime.block_on(relay(&folder.path().join("relay.db"), true));
    row("SQLite: publish, 64 writers, a transaction each", EVENTS as u64, published);
    row("SQLite: relay to a consumer, inbox and effect", EVENTS as u64, carried);
    let (_, naive) = runtime.block_on(relay(&folder.path().join("naive.db"), false));
    row("SQLite: naive outbox, a commit for each event", EVENTS as u64, naive);
}

fn row(name: &str, count: u64, taken: Duration) {
    println!("{name:<58} {count:>10} {:>12.0}", count as f64 / taken.as_secs_f64());
}

fn sync_each(path: &Path, time: Duration) -> (u64, Duration) {
    let mut file: File =
        OpenOptions::new().create(true).append(true).open(path).expect("it can be made");
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < time {
        file.write_all(&PAYLOAD).and_then(|()| file.sync_data()).expect("it can be written");
        count += 1;
    }
    (count, start.elapsed())
}

fn record() -> Record<'static> {
    Record { time_ms: 1, kind: 1, key: b"0190a7b2-5c1e-7d3f", payload: &PAYLOAD }
}

async fn append(path: &Path, tasks: u64, time: Duration) -> (u64, Duration) {
    let journal = Journal::open(path, JournalOptions::default()).expect("it opens");
    let start = Instant::now();
    let tasks = (0..tasks).map(|_| {
        let journal = journal.clone();
        tokio::spawn(async move {
            let mut count = 0;
            while start.elapsed() < time {
                journal.append(record()).await.expect("it is stored");
                count += 1;
            }
            count
        })
    });
    let mut count = 0;
    for task in tasks.collect::<Vec<_>>() {
        count += task.await.expect("it ends");
    }
    (count, start.elapsed())
}

async fn offer(path: &Path, count: u64) -> (u64, Duration) {
    let journal = Journal::open(path, JournalOptions::default()).expect("it opens");
    let start = Instant::now();
    for _ in 0..count {
        while !journal.offer(&record()) {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }
    let metrics = journal.metrics().clone();
    // Until the last one is durable.
    journal.close().await;
    assert_eq!(metrics.records.get(), count);
    (count, start.elapsed())
}

async fn relay(path: &Path, is_ours: bool) -> (Duration, Duration) {
    let url = format!("sqlite:{}", path.display());
    let db = Db::open(&url, &[events::SCHEMA, EFFECT]).await.expect("it opens");
    let start = Instant::now();
    let writers = (0..WRITERS).map(|writer| {
        let db = db.clone();
        tokio::spawn(async move {
            for number in 0..EVENTS / WRITERS {
                tell(&db, writer, number).await;
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("it ends");
    }
    let published = start.elapsed();
    let start = Instant::now();
    if is_ours {
        carry(&db).await
    } else {
        carry_naively(&db).await
    }
    let count = db.system().query_one(&COUNT, params![]).await.expect("a count");
    assert_eq!(count.get::<i64>(0).expect("a number"), EVENTS);
    (published, start.elapsed())
}

async fn tell(db: &Db, writer: i64, number: i64) {
    let tenant = TenantId::new("a").expect("a plain word");
    let scope = db.tenant(&tenant);
    let told = scope.tx((writer, number), |tx, (writer, number)| {
        Box::pin(async move {
            let fact = Fact {
                at_ms: 1_700_000_000_000,
                topic: Topic::PlaybackEvents,
                key: format!("user-{writer}"),
                subject: format!("user/{writer}"),
                schema_version: 1,
                data: serde_json::json!({ "number": number, "what": "x".repeat(150) }),
                traceparent: None,
            };
            events::publish(tx, fact).await
        })
    });
    let told: Result<_, DbError> = told.await;
    told.expect("it is stored");
}

async fn carry(db: &Db) {
    let consumer = Consumer::new("effects", &[Topic::PlaybackEvents], |tx, event| {
        Box::pin(async move {
            tx.execute(&ADD_EFFECT, params![event.id]).await?;
            Ok(())
        })
    });
    let relay = Relay::new(db.clone(), vec![consumer], RelayOptions::default());
    let (_stop, stopped) = watch::channel(false);
    let relaying = tokio::spawn({
        let relay = relay.clone();
        async move { relay.run(stopped).await }
    });
    while relay.metrics().handled.get() < EVENTS as u64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    relaying.abort();
}

/// What is written first: read on from the last number, the effect and the number in a transaction.
async fn carry_naively(db: &Db) {
    let mut last = 0;
    loop {
        let rows = db.system().query(&NAIVE_NEXT, params![last]).await.expect("rows");
        if rows.is_empty() {
            return;
        }
        for row in rows {
            let (sequence, tenant, id) = row.decode::<(i64, String, String)>().expect("a row");
            last = sequence;
            let scope = db.system();
            let done = scope.tx((sequence, tenant, id), |tx, (sequence, tenant, id)| {
                Box::pin(async move {
                    tx.execute(&NAIVE_EFFECT, params![tenant, id]).await?;
                    tx.execute(&NAIVE_CURSOR, params![sequence]).await
                })
            });
            let done: Result<u64, DbError> = done.await;
            done.expect("it is stored");
        }
    }
}
