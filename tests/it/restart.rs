//! Restarts that no viewer notices, and those that go wrong.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use platform::handover::{Go, ask, socket_in};

use crate::client::{self, Client};
use crate::same_bytes;
use crate::server::{BINARY, Server, signal, streamverse, streamverse_ok};
use crate::tools;
use crate::viewers::Target;

const DRAIN: (&str, &str) = ("STREAMVERSE__LIMITS__DRAIN_SECONDS", "8");

/// A server with the title `ladder`, and clients that know what it answers.
fn server(name: &str) -> (PathBuf, Server, Arc<Target>) {
    let data = tools::folder(name).join("data");
    same_bytes::ladder(&data);
    let server = Server::start_with(&data, &[], &[DRAIN]);
    let bodies = same_bytes::everything(&server, "ladder");
    let target = Target::new(server.media, server.https, &data, bodies);
    (data, server, target)
}

#[track_caller]
fn successor(data: &Path) -> Server {
    Server::start_with(data, &["--take-over"], &[DRAIN])
}

/// The process that owns a data directory.
fn owner(data: &Path) -> u32 {
    let text = std::fs::read_to_string(data.join("lock")).expect("the lock is there");
    text.trim().parse().expect("it names a process")
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("a runtime")
}

/// Waits until every kind of client has had `more` answers.
#[track_caller]
fn wait_for_answers(target: &Target, more: usize) {
    let before = target.counts.answered();
    let deadline = Instant::now() + Duration::from_secs(60);
    while target.counts.answered().iter().zip(before).any(|(now, before)| *now < before + more) {
        assert!(Instant::now() < deadline, "{:?} after {before:?}", target.counts);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Three restarts in a row, the second while the first process still drains, the third by a signal.
#[test]
fn three_restarts_under_load_fail_no_request() {
    let (data, first, target) = server("restart-load");
    let runtime = runtime();
    let clients = runtime.block_on(async {
        let mut clients = Vec::new();
        for _ in 0..2 {
            clients.extend(target.start(usize::MAX, Duration::ZERO));
        }
        // Some whose every request is the first of a connection, some that pause like players.
        clients.extend(target.start(1, Duration::from_millis(20)));
        clients.extend(target.start(usize::MAX, Duration::from_millis(1_500)));
        clients
    });
    wait_for_answers(&target, 20);
    let second = successor(&data);
    assert_eq!((second.media, second.https), (first.media, first.https));
    wait_for_answers(&target, 5);
    let third = successor(&data);
    wait_for_answers(&target, 20);
    assert_eq!((first.wait(), second.wait()), (Some(0), Some(0)));
    let before = owner(&data);
    third.signal("USR2");
    third.wait_for_log("another process has taken over");
    wait_for_answers(&target, 20);
    let log = third.log();
    assert_eq!(third.wait(), Some(0), "{log}");
    wait_for_answers(&target, 20);
    let failures = runtime.block_on(target.end(clients));
    signal(owner(&data), "TERM");
    eprintln!("{:?}", target.counts);
    assert_ne!(owner(&data), before);
    assert!(failures.is_empty(), "{} of {:?}: {failures:#?}", failures.len(), target.counts);
    assert!(!log.contains("dropped"), "{log}");
}

/// Without a successor: what was asked is answered, and clients are told before they are cut off.
#[test]
fn a_drain_under_load_fails_no_request() {
    let (_data, server, target) = server("drain-load");
    let runtime = runtime();
    let clients = runtime.block_on(async {
        let mut clients = target.start(usize::MAX, Duration::ZERO);
        clients.extend(target.start(usize::MAX, Duration::from_millis(500)));
        clients
    });
    wait_for_answers(&target, 20);
    target.may_close.store(true, Ordering::Relaxed);
    server.signal("TERM");
    let log = server.log();
    assert_eq!(server.wait(), Some(0), "{log}");
    let failures = runtime.block_on(target.end(clients));
    eprintln!("{:?}", target.counts);
    assert!(failures.is_empty(), "{} of {:?}: {failures:#?}", failures.len(), target.counts);
}

/// A process that can't come up leaves the other one as it was, whenever it fails.
#[test]
fn a_start_that_fails_changes_nothing() {
    let (data, mut server, target) = server("restart-failed");
    let folder = data.parent().expect("a folder").to_owned();
    let config = folder.join("bad.toml");
    tools::write(
        &config,
        b"[[tls.certificate]]\nchain = \"/nowhere.pem\"\nkey = \"/nowhere.key\"\n",
    );
    let runtime = runtime();
    let clients = runtime.block_on(async { target.start(usize::MAX, Duration::ZERO) });
    wait_for_answers(&target, 5);
    for _ in 0..2 {
        let arguments = ["serve", "--take-over", "--config", tools::text(&config), "--data"];
        let failed = streamverse(&[&arguments[..], &[tools::text(&data)]].concat());
        assert_eq!(failed.status.code(), Some(1));
        let error = String::from_utf8_lossy(&failed.stderr);
        assert!(error.contains("/nowhere.pem"), "{error}");
        wait_for_answers(&target, 5);
    }
    server.wait_for_log("nobody took over; this process goes on");
    let metrics = Client::new(server.ops).get("/metrics");
    assert!(metrics.text().contains("streamverse_handovers_failed_total 2\n"), "{metrics:?}");
    assert_eq!(owner(&data), server.process_id());

    // One that dies when everything is its own but the word.
    let mut claim = ask(&data, |_| {}).expect("it hands over");
    assert!(claim.take("lock").is_some() && claim.take("quic").is_some());
    drop(claim);
    wait_for_answers(&target, 5);
    // Work that writes is done as before, and a real successor is let in.
    streamverse_ok(&["sessions", "revoke", "--data", tools::text(&data), "gone"]);
    assert!(server.is_alive());
    let second = successor(&data);
    wait_for_answers(&target, 5);
    assert_eq!(server.wait(), Some(0));
    let failures = runtime.block_on(target.end(clients));
    assert!(failures.is_empty(), "{} of {:?}: {failures:#?}", failures.len(), target.counts);
    streamverse_ok(&["sessions", "revoke", "--data", tools::text(&data), "too"]);
    let revoked = std::fs::read_to_string(data.join("revoked-sessions")).expect("a list");
    assert!(revoked.contains("gone") && revoked.contains("too"), "{revoked}");
    drop(second);
}

/// When the old process dies while it hands over, the new one has its sockets and what waits there.
#[test]
fn the_old_process_may_die_in_the_middle() {
    let (data, server, _) = server("restart-died");
    let mut claim = ask(&data, |_| {}).expect("it hands over");
    let listener = claim.take("media_http").expect("the socket");
    let lock = claim.take("lock").expect("the lock");
    let address = server.media;
    server.kill();
    // Nobody accepts, and nobody is turned away.
    let waiting = client::connect(address);
    assert!(matches!(claim.ready(), Ok(Go::Alone)));
    let listener = std::net::TcpListener::from(listener);
    listener.set_nonblocking(false).expect("a mode");
    let (_, peer) = listener.accept().expect("it waited");
    assert_eq!(peer, waiting.local_addr().expect("an address"));
    // The directory is never free in between.
    let config = ["serve", "--open", "--data", tools::text(&data)];
    let refused = streamverse(&config);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is in use by"), "{refused:?}");
    drop((lock, listener));

    // With a process that is gone already, taking over is an ordinary start.
    let second = successor(&data);
    assert_eq!(second.client().get("/health").status, 200);
}

/// Only the server's own user may ask, and every other file of the directory stays closed, too.
#[test]
fn the_socket_is_for_its_user() {
    // Where others can come as far as the socket, wherever the tests lie.
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
    let data = folder.path().join("data");
    let server = Server::start_with(&data, &[], &[DRAIN]);
    let socket = socket_in(&data);
    let mode = std::fs::metadata(&socket).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Another user can only be made by root.
    if tools::run("id", &["-u"]).trim() == "0" {
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).expect("ours");
        let mut asking = Command::new("curl");
        asking.args(["-sS", "-m", "5", "--unix-socket", tools::text(&socket), "http://x/"]);
        let outcome = asking.uid(65_534).gid(65_534).output().expect("curl runs");
        assert!(!outcome.status.success());
        server.wait_for_log("user 65534 does not own this server");
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600)).expect("ours");
    }
    // Without the option the directory is in use, and says how to replace its owner.
    let refused = streamverse(&["serve", "--data", tools::text(&data)]);
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(error.contains("--take-over"), "{error}");
    assert_eq!(server.client().get("/health").status, 200);
}

/// An ingest that is under way is finished first; one that comes meanwhile is done by the new one.
#[test]
fn work_is_done_by_one_or_the_other() {
    let (data, server, _) = server("restart-work");
    let files = crate::media::title("ntsc").paths();
    let ingest = |id: &str| {
        let mut command = Command::new(BINARY);
        command.args(["ingest", "--json", "--data", tools::text(&data), "--id", id]);
        command.args(&files).stdout(std::process::Stdio::null()).spawn().expect("it starts")
    };
    let mut working: Vec<_> = ["one", "two", "three"].map(ingest).into();
    let second = successor(&data);
    working.push(ingest("four"));
    for mut work in working {
        assert!(work.wait().expect("it ends").success());
    }
    assert_eq!(server.wait(), Some(0));
    let mut client = Client::new(second.media);
    for id in ["ladder", "one", "two", "three", "four"] {
        client.get(&format!("/vod/{id}/cmaf/master.m3u8"));
    }
}

/// systemd learns who the service is.
#[test]
fn systemd_is_told() {
    let folder = tools::folder("restart-systemd");
    let socket = folder.join("notify");
    let listener = std::os::unix::net::UnixDatagram::bind(&socket).expect("a socket");
    listener.set_read_timeout(Some(Duration::from_secs(20))).expect("an option");
    let told = || {
        let mut buffer = [0; 256];
        let read = listener.recv(&mut buffer).expect("it is told");
        String::from_utf8_lossy(&buffer[..read]).into_owned()
    };
    let data = folder.join("data");
    let variables = [DRAIN, ("NOTIFY_SOCKET", tools::text(&socket))];
    let first = Server::start_with(&data, &[], &variables);
    assert_eq!(told(), "READY=1");
    let second = Server::start_with(&data, &["--take-over"], &variables);
    // Each says what it knows, in either order.
    let mut both = [told(), told()];
    both.sort();
    assert_eq!(both, [format!("MAINPID={}\nREADY=1", second.process_id()), "READY=1".to_owned()]);
    assert_eq!(first.wait(), Some(0));
    second.signal("TERM");
    assert_eq!(told(), "STOPPING=1");
    assert_eq!(second.wait(), Some(0));
}
