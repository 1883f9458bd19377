//! A process is killed (SIGKILL) under load, and its acknowledgements, which went through a pipe to
//! this process, judge what is left: a journal, and a log of events with its consumer.
//!
//! The child is this program, started again. `STREAMVERSE_KILLS` raises the number of kills, 5 each
//! by default.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use platform::db::{Db, DbError, Migration, Schema, TenantId, params, statements};
use platform::events::{self, Consumer, Fact, Relay, RelayOptions, Topic};
use platform::journal::{BatchLimit, Journal, JournalOptions, Record};

const ROLE: &str = "STREAMVERSE_TEST_CHILD";
const PLACE: &str = "STREAMVERSE_TEST_PLACE";
const ROUND: &str = "STREAMVERSE_TEST_ROUND";
const WRITERS: usize = 8;

fn kills() -> u32 {
    let raised = std::env::var("STREAMVERSE_KILLS").ok();
    raised.map_or(5, |count| count.parse().expect("STREAMVERSE_KILLS counts"))
}

/// Says on standard output that something is durable.
fn acknowledge(text: &str) {
    let mut out = std::io::stdout().lock();
    // One write: a line is whole or not there.
    let _ = out.write_all(format!("ack {text}\n").as_bytes()).and_then(|()| out.flush());
}

/// Runs the child `role` on `place`, kills it after `after`, and gives what it acknowledged.
fn run_and_kill(role: &str, place: &str, round: u32, after: Duration) -> Vec<String> {
    let program = std::env::current_exe().expect("this program has a path");
    let mut child = Command::new(program)
        .args(["--exact", "child", "--nocapture", "--test-threads", "1"])
        .envs([(ROLE, role), (PLACE, place), (ROUND, &round.to_string())])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let out = child.stdout.take().expect("it is piped");
    let (first, has_begun) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || {
        let lines = BufReader::new(out).lines().map_while(Result::ok);
        let acks = lines.filter_map(|line| Some(line.split_once("ack ")?.1.to_owned()));
        acks.inspect(|_| drop(first.send(()))).collect::<Vec<_>>()
    });
    has_begun.recv_timeout(Duration::from_secs(60)).expect("the child acknowledges something");
    std::thread::sleep(after);
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    reading.join().expect("its lines are read")
}

/// Different each time, without chance: a failure comes again.
fn moment(round: u32) -> Duration {
    Duration::from_micros(u64::from(round.wrapping_mul(7_919) % 150_000))
}

/// What the child does. It has nothing to do when nobody has started it as one.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let place = std::env::var(PLACE).expect("the place is given");
    let round = std::env::var(ROUND).expect("the round is given");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match role.as_str() {
        "journal" => runtime.block_on(write_journal(&place, &round)),
        _ => runtime.block_on(write_events(&place, &round)),
    }
}

async fn write_journal(place: &str, round: &str) {
    let options = JournalOptions { segment_bytes: 20_000, ..JournalOptions::default() };
    let journal = Journal::open(Path::new(place), options).expect("it opens");
    let writers = (0..WRITERS).map(|writer| {
        let (journal, round) = (journal.clone(), round.to_owned());
        tokio::spawn(async move {
            for number in 0.. {
                let text = format!("{round}/{writer}/{number}");
                let record = Record { time_ms: 1, kind: 1, key: b"k", payload: text.as_bytes() };
                let sequence = journal.append(record).await.expect("it is stored");
                acknowledge(&format!("{sequence} {text}"));
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("it goes on");
    }
}

#[test]
fn what_a_killed_journal_acknowledged_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("journal");
    let place = path.to_str().expect("a plain path");
    let mut acknowledged: BTreeMap<u64, String> = BTreeMap::new();
    for round in 0..kills() {
        for line in run_and_kill("journal", place, round, moment(round)) {
            let (sequence, text) = line.split_once(' ').expect("a sequence and a text");
            let sequence = sequence.parse().expect("a number");
            assert_eq!(acknowledged.insert(sequence, text.to_owned()), None, "{sequence} twice");
        }
        let journal = Journal::open(&path, JournalOptions::default()).expect("it opens");
        let mut reader = journal.reader("judge").expect("a reader");
        let all = BatchLimit { records: usize::MAX, bytes: usize::MAX };
        let batch = reader.read(all).expect("it can be read");
        let mut found = BTreeMap::new();
        let mut texts = BTreeSet::new();
        for entry in batch.entries {
            let text = String::from_utf8(entry.payload).expect("a text");
            assert!(texts.insert(text.clone()), "{text} is there twice");
            found.insert(entry.sequence, text);
        }
        for (sequence, text) in &acknowledged {
            assert_eq!(found.get(sequence), Some(text), "round {round}: {sequence} is lost");
        }
        // At most what the writers had under way was not acknowledged.
        let unknown = found.len() - acknowledged.len();
        assert!(unknown <= WRITERS * (round as usize + 1), "{unknown}");
        assert_eq!(batch.skipped, 0);
    }
}

statements! {
    ADD_EFFECT: "INSERT INTO effect (tenant_id, event_id, writer, number) VALUES ($1, $2, $3, $4)";
    system EFFECTS: "SELECT event_id, writer, number FROM effect ORDER BY place"
        scans "a test's rows";
}

const EFFECT: Schema = Schema {
    name: "effect",
    migrations: &[Migration {
        version: 1,
        name: "effect",
        sql: "
-- only sqlite
CREATE TABLE effect (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
-- only postgres
CREATE TABLE effect (
    place BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
-- both
    tenant_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    writer TEXT NOT NULL,
    number BIGINT NOT NULL
);",
    }],
    statements: &[STATEMENTS],
};

const SCHEMAS: &[Schema] = &[events::SCHEMA, platform::audit::SCHEMA, EFFECT];

fn tenant() -> TenantId {
    TenantId::new("a").expect("a plain word")
}

fn consumer() -> Consumer {
    Consumer::new("effects", &[Topic::UserRegistered], |tx, event| {
        Box::pin(async move {
            let number = event.data.as_ref().and_then(|data| data["number"].as_i64());
            let number = number.unwrap_or(-1);
            tx.execute(&ADD_EFFECT, params![event.id, &event.key, number]).await?;
            Ok(())
        })
    })
}

/// A short lease: the next process must not wait for that of the one that was killed.
fn options() -> RelayOptions {
    RelayOptions { lease: Duration::from_millis(300), ..RelayOptions::default() }
}

async fn write_events(place: &str, round: &str) {
    let db = Db::open(place, SCHEMAS).await.expect("it opens");
    let relay = Relay::new(db.clone(), vec![consumer()], options());
    let (_stop, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(async move { relay.run(stopped).await });
    let writers = (0..WRITERS).map(|writer| {
        let (db, key) = (db.clone(), format!("{round}/{writer}"));
        tokio::spawn(async move {
            for number in 0_i64.. {
                let told = db.tenant(&tenant()).tx((key.clone(), number), |tx, (key, number)| {
                    Box::pin(async move { tell(tx, key, *number).await })
                });
                let id = told.await.expect("it is stored");
                acknowledge(&format!("{id} {key} {number}"));
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("it goes on");
    }
}

async fn tell(tx: &mut platform::db::Tx, key: &str, number: i64) -> Result<uuid::Uuid, DbError> {
    let fact = Fact {
        at_ms: 1_700_000_000_000,
        topic: Topic::UserRegistered,
        key: key.to_owned(),
        subject: format!("user/{key}"),
        schema_version: 1,
        data: serde_json::json!({ "number": number }),
        traceparent: None,
    };
    let record = platform::audit::Record {
        at_ms: 1_700_000_000_000,
        actor: "system".to_owned(),
        action: "user.register".to_owned(),
        resource: format!("user/{key}"),
        before: None,
        after: Some(serde_json::json!({ "number": number })),
        request_id: None,
    };
    let id = events::publish(tx, fact).await?;
    platform::audit::append(tx, record).await?;
    Ok(id)
}

async fn judge_events(engine: platform::db::testing::Engine) {
    let (name, place, db) = (engine.name, engine.url.clone(), engine.db.clone());
    let mut acknowledged = BTreeSet::new();
    for round in 0..kills() {
        let url = place.clone();
        let killed =
            tokio::task::spawn_blocking(move || run_and_kill("events", &url, round, moment(round)));
        for line in killed.await.expect("it was killed") {
            let (id, rest) = line.split_once(' ').expect("an id");
            assert!(acknowledged.insert(id.to_owned()), "{id} twice: {rest}");
        }
        // The lease of the process that is gone.
        tokio::time::sleep(Duration::from_millis(350)).await;
        let relay = Relay::new(db.clone(), vec![consumer()], options());
        relay.drain().await.expect("everything is carried");
        tokio::time::sleep(Duration::from_millis(350)).await;

        let rows = db.system().query(&EFFECTS, params![]).await.expect("they can be read");
        let (mut seen, mut last) = (BTreeSet::new(), BTreeMap::new());
        for row in rows {
            let (id, key, number) = row.decode::<(String, String, i64)>().expect("an effect");
            assert!(seen.insert(id.clone()), "{name}, round {round}: {id} has its effect twice");
            // Each writer's events are there without a gap, in order.
            let before = last.insert(key.clone(), number).unwrap_or(-1);
            assert_eq!(before + 1, number, "{name}, round {round}: {key}");
        }
        let lost: Vec<_> = acknowledged.difference(&seen).collect();
        assert!(lost.is_empty(), "{name}, round {round}: lost {lost:?}");
        let verified = platform::audit::verify(&db, &tenant(), None).await;
        let records = verified.expect("the chain is whole").records;
        assert_eq!(records, seen.len() as i64, "{name}, round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_told_on_sqlite_has_its_effect_once() {
    judge_events(platform::db::testing::sqlite(SCHEMAS).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_told_on_postgresql_has_its_effect_once() {
    judge_events(platform::db::testing::postgres(SCHEMAS).await).await;
}
