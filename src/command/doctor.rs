//! `streamverse doctor`: what commonly goes wrong, looked at before it does.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, SystemTime};

use platform::DataDir;
use platform::DataDirError;
use platform::config::{Config, Listen};
use platform::http::{Listener, bind_udp};
use platform::keyring::{Keys, Purpose};
use platform::tls::Tls;
use serde::Serialize;

use super::load_config;
use crate::access::keyring;
use crate::cdn::CdnTokens;
use crate::cli::Doctor;
use crate::output;

/// Below this, a busy server runs out of descriptors: each viewer takes one, each title a few.
const OPEN_FILES_MIN: u64 = 4_096;

/// Certificates with less left are reported.
const CERTIFICATE_LEFT_MIN: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// What the listener of HTTP/3 asks the kernel for.
const UDP_BUFFER_BYTES_MIN: u64 = 4 << 20;

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Fault,
}

#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    found: String,
}

pub fn run(arguments: &Doctor) -> anyhow::Result<ExitCode> {
    let mut findings = Vec::new();
    match load_config(&arguments.config, Vec::new()) {
        Ok(loaded) => {
            findings.push(finding("configuration", Verdict::Ok, "valid"));
            crate::runtime()?.block_on(check_machine(&loaded.config, &mut findings));
        }
        Err(error) => {
            findings.push(finding("configuration", Verdict::Fault, format!("{error:#}")));
        }
    }
    if arguments.json {
        output::json(&findings);
    } else {
        for finding in &findings {
            let mark = match finding.verdict {
                Verdict::Ok => "ok     ",
                Verdict::Warning => "warning",
                Verdict::Fault => "FAULT  ",
            };
            output::line(&format!("{mark} {}: {}", finding.check, finding.found));
        }
    }
    let has_fault = findings.iter().any(|finding| finding.verdict == Verdict::Fault);
    Ok(if has_fault { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn finding(check: &'static str, verdict: Verdict, found: impl Into<String>) -> Finding {
    Finding { check, verdict, found: found.into() }
}

async fn check_machine(config: &Config, findings: &mut Vec<Finding>) {
    let owner = check_data_dir(config, findings).await;
    if !owner {
        for (check, listen) in [
            ("media.http", config.media.http),
            ("media.https", config.media.https),
            ("ops.http", config.ops.http),
        ] {
            findings.push(check_address(check, listen));
        }
        if let Some(address) = config.media.https.address() {
            findings.push(check_udp(address));
        }
    }
    if config.media.https.address().is_some() {
        check_certificates(config, findings);
        findings.push(check_udp_buffers());
    }
    findings.push(check_open_files());
    findings.push(check_processor());
    findings.push(check_worker());
}

/// Whether a server owns the directory.
async fn check_data_dir(config: &Config, findings: &mut Vec<Finding>) -> bool {
    const CHECK: &str = "data directory";
    match DataDir::open(&config.data.dir) {
        Ok(data) => {
            let found = format!("{} is writable", data.path().display());
            findings.push(finding(CHECK, Verdict::Ok, found));
            findings.push(check_titles(config, &data).await);
            findings.push(check_database(config, data.path()).await);
            findings.push(check_signing_keys(config, data.path()));
            findings.extend(check_cdn_keys(config));
            false
        }
        Err(DataDirError::Owned { path, owner }) => {
            let found = format!("{} is served by process {owner}", path.display());
            findings.push(finding(CHECK, Verdict::Ok, found));
            true
        }
        Err(error) => {
            findings.push(finding(CHECK, Verdict::Fault, error.to_string()));
            false
        }
    }
}

async fn check_titles(config: &Config, data: &DataDir) -> Finding {
    const CHECK: &str = "titles";
    let library = match super::open_library(config, data) {
        Ok(library) => library,
        Err(error) => return finding(CHECK, Verdict::Fault, format!("{error:#}")),
    };
    let documents = match library.documents().await {
        Ok(documents) => documents,
        Err(error) => return finding(CHECK, Verdict::Fault, error.to_string()),
    };
    for document in &documents {
        if let Err(error) = library.asset(&document.id).await {
            return finding(CHECK, Verdict::Fault, format!("{}: {error}", document.id));
        }
    }
    finding(CHECK, Verdict::Ok, format!("{} titles open", documents.len()))
}

/// Whether the database answers, and whose version its tables are of. Nothing is changed.
async fn check_database(config: &Config, data_dir: &Path) -> Finding {
    const CHECK: &str = "database";
    let settings = config.database.settings(data_dir);
    match platform::db::migrate(&settings, &crate::database::SCHEMAS, true).await {
        Ok(due) if due.is_empty() => finding(CHECK, Verdict::Ok, "is up to date"),
        Ok(due) => {
            let found = format!("the next start applies {} migrations", due.len());
            finding(CHECK, Verdict::Ok, found)
        }
        Err(error) => finding(CHECK, Verdict::Fault, error.to_string()),
    }
}

/// The keys of signed URLs. None is made here.
fn check_signing_keys(config: &Config, data_dir: &Path) -> Finding {
    const CHECK: &str = "signing keys";
    let own = match Keys::from_config(config, data_dir) {
        Ok(own) => own,
        Err(error) => return finding(CHECK, Verdict::Fault, error.to_string()),
    };
    if config.signing_key.is_empty() && own.ring(Purpose::UrlTokens).is_err() {
        return finding(CHECK, Verdict::Ok, "the first start makes one");
    }
    match keyring(config, &own) {
        Ok(keys) => {
            let signing = match keys.active() {
                Some(key) => format!("`{}` signs", key.id()),
                None => "none can sign".to_owned(),
            };
            finding(CHECK, Verdict::Ok, format!("{} known, {signing}", keys.keys().len()))
        }
        Err(error) => finding(CHECK, Verdict::Fault, error.to_string()),
    }
}

/// The keys of CDNs' tokens, where there are any.
fn check_cdn_keys(config: &Config) -> Option<Finding> {
    const CHECK: &str = "CDN keys";
    let count = config.cdn.key.len();
    if count == 0 {
        return None;
    }
    Some(match CdnTokens::from_config(config) {
        Ok(_) => finding(CHECK, Verdict::Ok, format!("{count} can be read")),
        Err(error) => finding(CHECK, Verdict::Fault, format!("{error:#}")),
    })
}

fn check_address(check: &'static str, listen: Listen) -> Finding {
    let Some(address) = listen.address() else {
        return finding(check, Verdict::Ok, "off");
    };
    match Listener::tcp(address) {
        Ok(_) => finding(check, Verdict::Ok, format!("{address} is free")),
        Err(error) => finding(check, Verdict::Fault, format!("{address}: {error}")),
    }
}

fn check_udp(address: SocketAddr) -> Finding {
    const CHECK: &str = "media.https over UDP";
    match bind_udp(address) {
        Ok(_) => finding(CHECK, Verdict::Ok, format!("{address} is free")),
        Err(error) => finding(CHECK, Verdict::Fault, error.to_string()),
    }
}

/// Whether the certificates fit their keys and last.
fn check_certificates(config: &Config, findings: &mut Vec<Finding>) {
    const CHECK: &str = "certificates";
    if config.tls.certificate.is_empty() {
        let found = "none is configured: a self-signed one for localhost is made at the start";
        return findings.push(finding(CHECK, Verdict::Ok, found));
    }
    let tls = match Tls::open(&config.tls, &config.data.dir) {
        Ok(tls) => tls,
        Err(error) => return findings.push(finding(CHECK, Verdict::Fault, error.to_string())),
    };
    for facts in tls.certificates() {
        let remaining = facts.remaining(SystemTime::now());
        let days = remaining.as_secs() / (24 * 60 * 60);
        let (chain, names) = (facts.chain.display(), facts.names.join(", "));
        let (verdict, found) = match remaining {
            Duration::ZERO => (Verdict::Fault, format!("{chain} ({names}) has expired; renew it")),
            remaining if remaining < CERTIFICATE_LEFT_MIN => {
                (Verdict::Warning, format!("{chain} ({names}) expires in {days} days; renew it"))
            }
            _ => (Verdict::Ok, format!("{chain} ({names}) is valid for {days} days")),
        };
        findings.push(finding(CHECK, verdict, found));
    }
}

/// QUIC loses packets, and speed, when the kernel's buffers are as small as they are by default.
fn check_udp_buffers() -> Finding {
    const CHECK: &str = "UDP buffers";
    let read = |key: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/net/core/{key}")).ok()?;
        text.trim().parse::<u64>().ok().filter(|bytes| *bytes < UDP_BUFFER_BYTES_MIN)
    };
    let small = ["rmem_max", "wmem_max"].into_iter().filter_map(|key| Some((key, read(key)?)));
    let small: Vec<_> = small.map(|(key, bytes)| format!("net.core.{key} is {bytes}")).collect();
    if small.is_empty() {
        return finding(CHECK, Verdict::Ok, "the kernel allows buffers of 4 MiB and more");
    }
    let cure = "HTTP/3 gets slow under load; set both to 4194304 with sysctl";
    finding(CHECK, Verdict::Warning, format!("{}: {cure}", small.join(", ")))
}

fn check_open_files() -> Finding {
    const CHECK: &str = "open files";
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    match soft {
        Some(soft) if soft < OPEN_FILES_MIN => finding(
            CHECK,
            Verdict::Warning,
            format!("the limit is {soft}; raise it with `ulimit -n 65536` or LimitNOFILE="),
        ),
        Some(soft) => finding(CHECK, Verdict::Ok, format!("the limit is {soft}")),
        None => finding(CHECK, Verdict::Ok, "unlimited"),
    }
}

fn check_processor() -> Finding {
    const CHECK: &str = "processor";
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    finding(CHECK, Verdict::Ok, format!("{cores} cores for this process"))
}

/// The executable that decodes media; everything but encoding runs without it.
fn check_worker() -> Finding {
    const CHECK: &str = "worker";
    let beside = std::env::current_exe().ok().map(|path| path.with_file_name("streamverse-worker"));
    match beside.filter(|path| Path::exists(path)) {
        Some(path) if Command::new(&path).arg("--version").output().is_ok() => {
            finding(CHECK, Verdict::Ok, path.display().to_string())
        }
        Some(path) => finding(CHECK, Verdict::Fault, format!("{} doesn't run", path.display())),
        None => finding(
            CHECK,
            Verdict::Ok,
            "no streamverse-worker beside this program: everything but encoding runs",
        ),
    }
}
