//! `kill -9` of a process that writes: what it was told is durable is there afterwards.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::engines::{SCHEMA, tenant};
use crate::db::testing::{Server, ServerOptions};
use crate::db::{Db, DbError, Schema, params, statements};

statements! {
    ADD: "INSERT INTO item (tenant_id, id, name, amount, is_new) VALUES ($1, $2, $2, 0, TRUE)";
    PAIR: "INSERT INTO part (tenant_id, id, item_id) VALUES ($1, $2, $3)";
    FIND: "SELECT id FROM item WHERE tenant_id = $1 AND id = $2";
    ODD: "SELECT i.id FROM item AS i WHERE i.tenant_id = $1 AND NOT EXISTS
        (SELECT 1 FROM part AS p WHERE p.tenant_id = $1 AND p.item_id = i.id)" scans "a test";
}

const MORE: Schema = Schema { name: "more", migrations: &[], statements: &[STATEMENTS] };
const SCHEMAS: [Schema; 2] = [SCHEMA, MORE];

/// Tells the writing process which database to write to. Without it that test has nothing to do.
const WRITES_TO: &str = "STREAMVERSE_TEST_WRITES_TO";

/// The process that is killed: eight writers, a line on its output for each acknowledged row.
#[test]
fn writer() {
    let Ok(target) = std::env::var(WRITES_TO) else {
        return;
    };
    let (url, round) = target.split_once(' ').unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let db = Db::open(url, &SCHEMAS).await.unwrap();
        let writers = (0..8).map(|writer| {
            let (scope, round) = (db.tenant(&tenant("a")), round.to_owned());
            async move {
                for number in 0.. {
                    let id = format!("{round}-{writer}-{number}");
                    let added: Result<u64, DbError> = scope
                        .tx(id.clone(), |tx, id| {
                            Box::pin(async move {
                                tx.execute(&ADD, params![id]).await?;
                                tx.execute(&PAIR, params![id, id]).await
                            })
                        })
                        .await;
                    added.unwrap();
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "acknowledged {id}").and_then(|()| out.flush()).unwrap();
                }
            }
        });
        futures_util::future::join_all(writers).await;
    });
}

/// Runs a writer for a while, kills it, and answers what it was told.
fn killed(url: &str, round: u32) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "db::tests::crash::writer", "--nocapture"])
        .env(WRITES_TO, format!("{url} {round}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    let start = Instant::now();
    // A different moment in each round.
    let enough = 20 + round as usize * 37 % 100;
    while acknowledged.len() < enough {
        assert!(start.elapsed() < Duration::from_secs(60), "the writer is stuck");
        let line = lines.next().expect("a writer writes until it is killed").unwrap();
        acknowledged.extend(id_in(&line));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it wrote before it died. Its last line may be cut off.
    acknowledged.extend(lines.map_while(Result::ok).filter_map(|line| id_in(&line)));
    acknowledged
}

fn id_in(line: &str) -> Option<String> {
    line.split_once("acknowledged ").map(|(_, id)| id.to_owned())
}

async fn judge(url: &str, rounds: u32) {
    for round in 0..rounds {
        let writing = url.to_owned();
        let told = tokio::task::spawn_blocking(move || killed(&writing, round)).await.unwrap();
        let db = Db::open(url, &SCHEMAS).await.unwrap();
        let scope = db.tenant(&tenant("a"));
        for id in &told {
            let found = scope.query_opt(&FIND, params![id]).await.unwrap();
            assert!(found.is_some(), "{id} was acknowledged and is lost (round {round})");
        }
        let odd = scope.query(&ODD, params![]).await.unwrap();
        assert!(odd.is_empty(), "half a transaction was kept: {odd:?}");
        db.close().await;
    }
}

fn rounds() -> u32 {
    if std::env::var_os("STREAMVERSE_SOAK").is_some() { 100 } else { 5 }
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_keeps_what_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    judge(&format!("sqlite:{}", folder.path().join("crash.db").display()), rounds()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_keeps_what_it_acknowledged() {
    let options = ServerOptions { is_durable: true, ..ServerOptions::default() };
    let server = Server::start(&options).await.unwrap();
    let url = server.create("crash").await.unwrap();
    judge(&url, rounds()).await;
}
