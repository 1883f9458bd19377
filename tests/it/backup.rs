//! Backups of a server under load, what comes out of them, and what is refused.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::client::Client;
use crate::server::{
    BINARY, Server, ingest, ingest_with, streamverse, streamverse_fails, streamverse_ok,
};
use crate::{media, same_bytes, tools};

#[track_caller]
fn backup(data: &Path, file: &Path) -> String {
    streamverse_ok(&["backup", "--data", tools::text(data), tools::text(file)])
}

#[track_caller]
fn restore(file: &Path, data: &Path) -> String {
    streamverse_ok(&["restore", "--data", tools::text(data), tools::text(file)])
}

#[track_caller]
fn restore_fails(file: &Path, data: &Path) -> String {
    let error = streamverse_fails(&["restore", "--data", tools::text(data), tools::text(file)]);
    assert!(!data.exists(), "{error}");
    let parent = data.parent().expect("a folder");
    let hidden = format!(".{}.restoring", data.file_name().expect("a name").display());
    assert!(!parent.join(hidden).exists(), "{error}");
    error
}

/// Names below `staging/`.
fn staged(data: &Path) -> usize {
    std::fs::read_dir(data.join("staging")).map_or(0, Iterator::count)
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// All rows of all tables, in one order.
#[track_caller]
fn dump(database: &Path) -> String {
    let connection = Connection::open(database).expect("it opens");
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let mut tables = connection.prepare(tables).expect("SQL");
    let tables: Vec<String> =
        tables.query_map([], |row| row.get(0)).and_then(Iterator::collect).expect("names");
    let mut text = String::new();
    for table in tables {
        let mut rows = connection.prepare(&format!("SELECT * FROM {table}")).expect("SQL");
        let width = rows.column_count();
        let mut rows = rows.query([]).expect("rows");
        let mut lines = Vec::new();
        while let Some(row) = rows.next().expect("a row") {
            let values: Vec<rusqlite::types::Value> =
                (0..width).map(|column| row.get(column).expect("a value")).collect();
            lines.push(format!("{table} {values:?}\n"));
        }
        lines.sort();
        text.extend(lines);
    }
    text
}

const TABLES: &str = "PRAGMA journal_mode = WAL;
    CREATE TABLE streamverse_migration (schema_name TEXT NOT NULL, version BIGINT NOT NULL,
        name TEXT NOT NULL, checksum TEXT NOT NULL, applied_ms BIGINT NOT NULL,
        PRIMARY KEY (schema_name, version));
    INSERT INTO streamverse_migration VALUES ('test', 1, 'first', '', 0), ('test', 2, 'next', '', 0);
    CREATE TABLE debit (n INTEGER); CREATE TABLE credit (n INTEGER);";

#[track_caller]
fn database(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("it opens");
    connection.busy_timeout(Duration::from_secs(20)).expect("a timeout");
    connection
}

/// The sums of both tables, which are one.
#[track_caller]
fn balance(path: &Path) -> (i64, i64) {
    let sums = "SELECT (SELECT count(*) FROM debit), (SELECT count(*) FROM credit)";
    database(path).query_row(sums, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("sums")
}

/// Says that it is over when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Titles are ingested, replaced and watched, a database is written, sessions are revoked, and
/// three backups are taken meanwhile: each restores to titles that are whole and to one moment of
/// the database, and what was there before is there byte by byte.
#[test]
fn a_backup_under_load_is_one_moment() {
    let folder = tools::folder("backup-load");
    let data = folder.join("data");
    same_bytes::ladder(&data);
    let tx3g = media::title("tx3g").paths();
    ingest_with(&data, "source", &tx3g, &["--layout", "source"]);
    ingest(&data, "changing", &tx3g);
    let ledger = data.join("ledger.db");
    database(&ledger).execute_batch(TABLES).expect("tables");
    let server = Server::start(&data);
    let expected = ["ladder", "source"].map(|id| same_bytes::everything(&server, id));
    let is_over = AtomicBool::new(false);
    let mut files = Vec::new();
    std::thread::scope(|scope| {
        // Whatever fails here, the others end, and the failure is told.
        let _over = Over(&is_over);
        scope.spawn(|| {
            let connection = database(&ledger);
            while !is_over.load(Ordering::Relaxed) {
                let both = "BEGIN IMMEDIATE; INSERT INTO debit VALUES (1);
                    INSERT INTO credit VALUES (1); COMMIT";
                connection.execute_batch(both).expect("it is written");
            }
        });
        scope.spawn(|| {
            for round in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                ingest_with(&data, "changing", &tx3g, &["--replace"]);
                let session = format!("session-{round}");
                streamverse_ok(&["sessions", "revoke", "--data", tools::text(&data), &session]);
            }
        });
        scope.spawn(|| {
            let mut client = server.client();
            while !is_over.load(Ordering::Relaxed) {
                for (url, body) in &expected[0] {
                    assert!(client.get(url).body == *body, "{url}");
                }
            }
        });
        for round in 0..3 {
            let file = folder.join(format!("{round}.tar"));
            let least = balance(&ledger).0;
            let said = streamverse_ok(&[
                "backup",
                "--json",
                "--data",
                tools::text(&data),
                tools::text(&file),
            ]);
            let last = said.lines().last().expect("a report");
            let report: serde_json::Value = serde_json::from_str(last).expect("JSON");
            assert_eq!(report["event"], "done", "{report}");
            // Beside the control role's own.
            let databases = report["result"]["manifest"]["databases"].as_array().expect("a list");
            let told = databases.iter().find(|database| database["path"] == "ledger.db");
            let schemas = &told.expect("the ledger")["schemas"];
            assert_eq!(schemas, &serde_json::json!([{ "name": "test", "version": 2 }]));
            files.push((file, least, balance(&ledger).0));
        }
    });
    wait_until("staging is removed", || staged(&data) == 0);
    drop(server);
    for (round, (file, least, most)) in files.iter().enumerate() {
        let mode = std::fs::metadata(file).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let restored = folder.join(format!("restored-{round}"));
        restore(file, &restored);
        let (debit, credit) = balance(&restored.join("ledger.db"));
        assert_eq!(debit, credit);
        assert!(*least <= debit && debit <= *most, "{least} {debit} {most}");
        assert!(!restored.join("feed.log").exists());
        let server = Server::start(&restored);
        let found = ["ladder", "source"].map(|id| same_bytes::everything(&server, id));
        assert!(found == expected);
        drop(server);
        let verified = streamverse_ok(&["assets", "verify", "--data", tools::text(&restored)]);
        assert!(!verified.contains("DAMAGED"), "{verified}");
    }
}

/// A database that nobody writes is the same, row by row, after both ways; files keep their times.
#[test]
fn a_round_trip_changes_nothing() {
    let folder = tools::folder("backup-round-trip");
    let data = folder.join("data");
    ingest(&data, "tx3g", &media::title("tx3g").paths());
    let ledger = data.join("ledger.db");
    let connection = database(&ledger);
    connection.execute_batch(TABLES).expect("tables");
    connection.execute_batch("BEGIN").expect("a transaction");
    for number in 0..5_000 {
        connection.execute("INSERT INTO debit VALUES (?1)", [number]).expect("a row");
    }
    connection.execute_batch("COMMIT").expect("it is written");
    std::fs::create_dir_all(data.join("mail")).expect("a folder");
    tools::write(&data.join("mail/1.eml"), b"Subject: hello\r\n\r\n");
    // Nothing that points elsewhere, and nothing that belongs to a process.
    std::os::unix::fs::symlink("/etc/passwd", data.join("pointer")).expect("a link");
    let file = folder.join("backup.tar");
    let said = backup(&data, &file);
    assert!(said.contains("NOT in it: pointer"), "{said}");
    assert_eq!(staged(&data), 0);
    let restored = folder.join("restored");
    restore(&file, &restored);
    assert!(dump(&ledger) == dump(&restored.join("ledger.db")));
    assert!(4_999 < dump(&ledger).lines().count());
    assert!(!restored.join("pointer").exists());
    assert_eq!(files(&restored.join("objects")), files(&data.join("objects")));
    assert_eq!(files(&restored.join("mail")), files(&data.join("mail")));

    // By pipes, and once more.
    let piped = folder.join("piped");
    let mut taking = Command::new(BINARY)
        .args(["backup", "-", "--data", tools::text(&restored)])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let giving = Command::new(BINARY)
        .args(["restore", "-", "--data", tools::text(&piped)])
        .stdin(taking.stdout.take().expect("it is piped"))
        .output()
        .expect("it starts");
    assert!(giving.status.success() && taking.wait().expect("it ends").success(), "{giving:?}");
    assert!(dump(&ledger) == dump(&piped.join("ledger.db")));
    assert_eq!(files(&piped.join("objects")), files(&data.join("objects")));
    // A backup replaces a backup and nothing else; nothing is restored over anything.
    backup(&data, &file);
    let error = streamverse_fails(&["backup", "--data", tools::text(&data), tools::text(&ledger)]);
    assert!(error.contains("within the data directory"), "{error}");
    let text = folder.join("text");
    tools::write(&text, b"mine");
    let error = streamverse_fails(&["backup", "--data", tools::text(&data), tools::text(&text)]);
    assert!(error.contains("is no backup, so it is not replaced"), "{error}");
    let error = streamverse_fails(&["restore", "--data", tools::text(&data), tools::text(&file)]);
    assert!(error.contains("is not empty"), "{error}");
}

/// Length, time and mode of all files below a folder.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let list = ["-type", "f", "-printf", "%P %s %T@ %m\\n"];
    for line in tools::run("find", &[&[tools::text(folder)][..], &list].concat()).lines() {
        let (name, rest) = line.split_once(' ').expect("a name");
        found.insert(name.to_owned(), rest.to_owned());
    }
    found
}

/// URLs that were signed before open the restored server, and those that were ended don't.
#[test]
fn keys_and_revocations_survive() {
    let folder = tools::folder("backup-keys");
    let data = folder.join("data");
    ingest(&data, "tx3g", &media::title("tx3g").paths());
    let server = Server::start_closed(&data);
    let sign = |session: &str| {
        let at = tools::text(&data);
        let path = "/vod/tx3g/cmaf/master.m3u8";
        streamverse_ok(&["sign", "--data", at, "--session", session, path]).trim().to_owned()
    };
    let (good, ended) = (sign("good"), sign("ended"));
    streamverse_ok(&["sessions", "revoke", "--data", tools::text(&data), "ended"]);
    let check = |server: &Server| {
        let mut client = server.client();
        assert_eq!(client.get_with(&good, &[]).status, 200);
        assert_eq!(client.get_with(&ended, &[]).status, 403);
    };
    check(&server);
    let ops = std::fs::read(data.join("keys/ops")).expect("a key");
    let file = folder.join("backup.tar");
    backup(&data, &file);
    drop(server);
    std::fs::remove_dir_all(&data).expect("it is gone");
    restore(&file, &data);
    check(&Server::start_closed(&data));
    assert!(std::fs::read(data.join("keys/ops")).expect("a key") == ops);
}

fn start_backup(data: &Path, file: &Path) -> Child {
    Command::new(BINARY)
        .args(["backup", "--data", tools::text(data), tools::text(file)])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts")
}

/// A folder with a file that takes a while to write.
fn large(name: &str) -> (PathBuf, PathBuf) {
    let folder = tools::folder(name);
    let data = folder.join("data");
    ingest(&data, "tx3g", &media::title("tx3g").paths());
    let log = std::fs::File::create(data.join("large.log")).expect("a file");
    log.set_len(600 << 20).expect("a length");
    (folder, data)
}

/// Whoever is killed in the middle, no half a backup appears, and nothing stays behind for long.
#[test]
fn a_killed_backup_leaves_nothing_behind() {
    let (folder, data) = large("backup-killed");
    let server = Server::start(&data);
    let (file, unfinished) = (folder.join("a.tar"), folder.join("a.tar.unfinished"));
    let mut command = start_backup(&data, &file);
    wait_until("it is written", || unfinished.exists());
    assert_eq!(staged(&data), 1);
    command.kill().expect("it runs");
    command.wait().expect("it ends");
    assert!(!file.exists());
    let error = restore_fails(&unfinished, &folder.join("half"));
    assert!(error.contains("cut off") || error.contains("no backup"), "{error}");
    // The server sees that nobody uses it any more.
    wait_until("the server removes it", || staged(&data) == 0);

    std::fs::remove_file(&unfinished).expect("it is there");
    // The server dies: the command has what it needs, and the next server leaves it alone.
    let mut command = start_backup(&data, &file);
    wait_until("it is staged", || staged(&data) == 1);
    wait_until("it is written again", || {
        std::fs::metadata(&unfinished).is_ok_and(|metadata| 0 < metadata.len())
    });
    server.kill();
    let server = Server::start(&data);
    assert!(command.wait().expect("it ends").success());
    restore(&file, &folder.join("restored"));
    wait_until("the command removes it", || staged(&data) == 0);

    // Both die: the next start sweeps.
    let mut command = start_backup(&data, &folder.join("b.tar"));
    wait_until("it is staged", || staged(&data) == 1);
    server.kill();
    command.kill().expect("it can be killed");
    command.wait().expect("it ends");
    let _server = Server::start(&data);
    assert_eq!(staged(&data), 0);
    assert!(!folder.join("b.tar").exists());
}

/// A restore that is killed leaves no directory, and the next one removes what it left.
#[test]
fn a_killed_restore_leaves_no_directory() {
    let (folder, data) = large("restore-killed");
    let file = folder.join("a.tar");
    backup(&data, &file);
    let restored = folder.join("restored");
    let hidden = folder.join(".restored.restoring");
    for _ in 0..3 {
        let mut command = Command::new(BINARY)
            .args(["restore", "--data", tools::text(&restored), tools::text(&file)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        wait_until("files come", || hidden.join("data/large.log").exists());
        command.kill().expect("it runs");
        command.wait().expect("it ends");
        assert!(!restored.exists());
    }
    assert!(hidden.exists());
    // An empty folder is as good as none.
    std::fs::create_dir(&restored).expect("a folder");
    restore(&file, &restored);
    assert!(!hidden.exists());
    assert_eq!(files(&restored.join("objects")), files(&data.join("objects")));
}

/// Damage is found wherever it is; what the archive's checksums can't tell, the checks after do.
#[test]
fn what_is_damaged_is_refused() {
    let folder = tools::folder("backup-damaged");
    let data = folder.join("data");
    ingest(&data, "tx3g", &media::title("tx3g").paths());
    database(&data.join("ledger.db")).execute_batch(TABLES).expect("tables");
    let file = folder.join("a.tar");
    backup(&data, &file);
    let archive = std::fs::read(&file).expect("it is there");
    let (bad, restored) = (folder.join("bad.tar"), folder.join("restored"));
    for part in 1..8 {
        let end = archive.len() * part / 8;
        tools::write(&bad, &archive[..end]);
        restore_fails(&bad, &restored);
    }
    // Not in the padding, where nothing is to be damaged.
    let content = |from: usize| {
        let is_content = |at: &usize| !archive[*at..at + 8].contains(&0);
        (from..archive.len() - 8).find(is_content).expect("content")
    };
    let len = archive.len();
    for at in [520, content(len / 4), content(len / 2), content(len * 3 / 4), len - 1_600] {
        let mut damaged = archive.clone();
        for byte in &mut damaged[at..at + 8] {
            *byte ^= 0x21;
        }
        tools::write(&bad, &damaged);
        restore_fails(&bad, &restored);
    }
    tools::write(&bad, b"PK\x03\x04 something else altogether");
    let error = restore_fails(&bad, &restored);
    assert!(error.contains("no backup of StreamVerse"), "{error}");
    let mut newer = archive.clone();
    let at = archive.windows(11).position(|window| window == b"\"format\": 1").expect("a format");
    newer[at + 10] = b'9';
    tools::write(&bad, &newer);
    let error = restore_fails(&bad, &restored);
    assert!(error.contains("format 9"), "{error}");

    // A title that was damaged before is told of, and the rest is restored.
    let damaged = tools::run("find", &[tools::text(&data.join("objects")), "-name", "*.samples"]);
    let damaged = Path::new(damaged.lines().next().expect("a file"));
    std::fs::set_permissions(damaged, Permissions::from_mode(0o644)).expect("a mode");
    let mut bytes = std::fs::read(damaged).expect("it is there");
    bytes[100] ^= 1;
    tools::write(damaged, &bytes);
    backup(&data, &file);
    let output = streamverse(&["restore", "--data", tools::text(&restored), tools::text(&file)]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.code() == Some(1) && said.contains("DAMAGED"), "{output:?}");
    assert!(restored.join("ledger.db").exists());
}

/// A limit on the size of files stands in for a full disk: the message says so, and nothing is
/// left of either.
#[test]
fn a_full_disk_leaves_nothing() {
    let folder = tools::folder("backup-full");
    let data = folder.join("data");
    ingest(&data, "tx3g", &media::title("tx3g").paths());
    let log = std::fs::File::create(data.join("some.log")).expect("a file");
    log.set_len(8 << 20).expect("a length");
    let limited = |blocks: u32, arguments: &str| {
        // SIGXFSZ is ignored, so that writes fail as on a full disk.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec {BINARY} {arguments}");
        Command::new("bash").args(["-c", &script]).output().expect("bash")
    };
    let file = folder.join("a.tar");
    let (at, to) = (tools::text(&data), tools::text(&file));
    // The copy in the staging folder fits; the archive doesn't.
    let output = limited(8_200, &format!("backup --data {at} {to}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && error.contains("cannot write"), "{output:?}");
    assert!(!file.exists() && !folder.join("a.tar.unfinished").exists());
    assert_eq!(staged(&data), 0);
    let output = limited(1_000, &format!("backup --data {at} {to}"));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(staged(&data), 0);
    backup(&data, &file);
    let restored = folder.join("restored");
    let output = limited(1_000, &format!("restore --data {} {to}", tools::text(&restored)));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && error.contains("cannot write"), "{output:?}");
    assert!(!restored.exists() && !folder.join(".restored.restoring").exists());
    restore(&file, &restored);
    let server = Server::start(&restored);
    assert_eq!(Client::new(server.media).get("/vod/tx3g/cmaf/master.m3u8").status, 200);
}
