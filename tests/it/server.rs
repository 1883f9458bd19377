//! The program under test: commands, and a server that is stopped with the test.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::tools;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_streamverse");

/// Runs the program to its end.
#[track_caller]
pub(crate) fn streamverse(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).stdin(Stdio::null()).output().expect("the program starts")
}

/// Runs a command that has to succeed; gives its standard output.
#[track_caller]
pub(crate) fn streamverse_ok(arguments: &[&str]) -> String {
    let output = streamverse(arguments);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {err}");
    String::from_utf8(output.stdout).expect("output is text")
}

/// Runs a command that has to fail with status 1; gives its message.
#[track_caller]
pub(crate) fn streamverse_fails(arguments: &[&str]) -> String {
    let output = streamverse(arguments);
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {err}");
    assert!(!err.contains("panicked"), "{arguments:?}: {err}");
    err
}

/// Makes a title and gives the report.
#[track_caller]
pub(crate) fn ingest(data: &Path, id: &str, files: &[PathBuf]) -> serde_json::Value {
    ingest_with(data, id, files, &[])
}

#[track_caller]
pub(crate) fn ingest_with(
    data: &Path,
    id: &str,
    files: &[PathBuf],
    extra: &[&str],
) -> serde_json::Value {
    let data = tools::text(data);
    let mut arguments = vec!["ingest", "--json", "--data", data, "--id", id];
    arguments.extend(extra);
    arguments.extend(files.iter().map(|file| tools::text(file)));
    let out = streamverse_ok(&arguments);
    let last = out.lines().last().expect("the report is the last line");
    let event: serde_json::Value = serde_json::from_str(last).expect("events are JSON");
    assert_eq!(event["event"], "done", "{event}");
    event["result"].clone()
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) media: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) ops: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Server {
    #[track_caller]
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[], &[])
    }

    #[track_caller]
    pub(crate) fn start_with(data: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::run(data, &[&["--open"], arguments].concat(), variables)
    }

    /// Without `--open`.
    #[track_caller]
    pub(crate) fn start_closed(data: &Path) -> Self {
        Self::start_closed_with(data, &[], &[])
    }

    #[track_caller]
    pub(crate) fn start_closed_with(
        data: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        Self::run(data, arguments, variables)
    }

    #[track_caller]
    fn run(data: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(BINARY)
            .args(["serve", "--data", tools::text(data)])
            .args(arguments)
            .env("STREAMVERSE__MEDIA__HTTP", "127.0.0.1:0")
            .env("STREAMVERSE__MEDIA__HTTPS", "127.0.0.1:0")
            .env("STREAMVERSE__OPS__HTTP", "127.0.0.1:0")
            .env("STREAMVERSE__CONTROL__HTTP", "127.0.0.1:0")
            .env("STREAMVERSE__CONTROL__HTTPS", "127.0.0.1:0")
            .env("STREAMVERSE__CONTROL__GRPC", "127.0.0.1:0")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = Arc::new(Mutex::new(String::new()));
        let err = BufReader::new(child.stderr.take().expect("it is piped"));
        let kept = log.clone();
        std::thread::spawn(move || {
            for line in err.lines().map_while(Result::ok) {
                kept.lock().expect("nobody panics with the log").push_str(&(line + "\n"));
            }
        });
        let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        out.read_line(&mut line).expect("standard output can be read");
        std::thread::spawn(move || out.read_to_end(&mut Vec::new()));
        let Some(json) = line.strip_prefix("ready ") else {
            let _ = child.wait();
            panic!("no ready line, but {line:?}: {}", log.lock().expect("the log"));
        };
        let addresses: serde_json::Value = serde_json::from_str(json).expect("addresses are JSON");
        let address =
            |name: &str| addresses[name].as_str().expect("it listens").parse().expect("an address");
        Self {
            child,
            media: address("media_http"),
            https: address("media_https"),
            ops: address("ops_http"),
            log,
        }
    }

    /// The value of the first metric whose line begins so; 0 for one that is not there.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = Client::new(self.ops).get("/metrics").text().to_owned();
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.media)
    }

    /// What the server logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("nobody panics with the log").clone()
    }

    /// Waits until the log has `text`.
    #[track_caller]
    pub(crate) fn wait_for_log(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "no `{text}` in the log: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal by its name: `TERM`, `KILL`, `HUP`.
    #[track_caller]
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// Waits for the end; gives the exit code, or none when a signal ended it.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            if let Some(status) = self.child.try_wait().expect("the process can be waited for") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the server does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it as a power cut would.
    #[track_caller]
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the process can be killed");
        self.child.wait().expect("the process can be waited for");
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("the process can be asked for").is_none()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = self.log.lock().map(|log| log.clone()).unwrap_or_default();
        if log.contains("panicked") && !std::thread::panicking() {
            panic!("the server panicked: {log}");
        }
    }
}

#[track_caller]
pub(crate) fn signal(process_id: u32, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), process_id.to_string()]).status();
    assert!(status.expect("`kill` can be run").success());
}
