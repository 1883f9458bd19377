//! `streamverse serve` as it is measured: its own access log on, at level info, into /dev/null,
//! metrics on, any free ports.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bench::client::{self, Protocol};

use crate::spawn::{Running, on_core};
use crate::{SERVER_CORE, Settings};

/// A server that has said that it is ready.
pub(crate) struct Started {
    pub(crate) process: Running,
    pub(crate) time_to_ready: Duration,
    bound: serde_json::Value,
}

/// Starts `serve` and waits for its `ready` line. Its log goes nowhere.
pub(crate) fn start_command(command: &mut Command) -> Result<Started> {
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let began = Instant::now();
    let mut process = Running::start(command)?;
    let out = process.child().stdout.take().context("standard output is a pipe")?;
    let ready = BufReader::new(out)
        .lines()
        .map_while(Result::ok)
        .find_map(|line| Some((line.strip_prefix("ready ")?.to_owned(), began.elapsed())));
    let (bound, time_to_ready) = ready.with_context(|| format!("{command:?} is never ready"))?;
    Ok(Started { process, time_to_ready, bound: serde_json::from_str(&bound)? })
}

impl Started {
    /// What a listener is bound to.
    pub(crate) fn address(&self, name: &str) -> Result<SocketAddr> {
        let bound = &self.bound;
        let text = bound[name].as_str().with_context(|| format!("no {name} in {bound}"))?;
        Ok(text.parse()?)
    }
}

pub(crate) struct Ours {
    pub(crate) pid: u32,
    pub(crate) media: SocketAddr,
    ops: SocketAddr,
    /// From the start of the program to its `ready` line.
    pub(crate) time_to_ready: Duration,
    _process: Running,
}

impl Ours {
    /// With `--open`, since there are no signed URLs yet.
    pub(crate) fn start(settings: &Settings, data: &Path) -> Result<Self> {
        Self::start_with(settings, data, &["--open"])
    }

    pub(crate) fn start_with(settings: &Settings, data: &Path, flags: &[&str]) -> Result<Self> {
        let mut command = on_core(SERVER_CORE, &settings.streamverse);
        command.arg("serve").arg("--data").arg(data).args(flags);
        command.env("STREAMVERSE__MEDIA__HTTP", "127.0.0.1:0");
        command.env("STREAMVERSE__MEDIA__HTTPS", "off");
        command.env("STREAMVERSE__OPS__HTTP", "127.0.0.1:0");
        command.env("STREAMVERSE__CONTROL__HTTP", "off");
        command.env("STREAMVERSE__CONTROL__HTTPS", "off");
        command.env("STREAMVERSE__CONTROL__GRPC", "off");
        let started = start_command(&mut command)?;
        Ok(Self {
            pid: started.process.pid(),
            media: started.address("media_http")?,
            ops: started.address("ops_http")?,
            time_to_ready: started.time_to_ready,
            _process: started.process,
        })
    }

    /// Every sample of `/metrics` by its name with labels, as it stands there.
    pub(crate) fn metrics(&self) -> Result<HashMap<String, f64>> {
        let text = client::fetch(Protocol::Http1, self.ops, "/metrics")?;
        let text = String::from_utf8(text)?;
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let samples = samples.filter_map(|line| line.rsplit_once(' '));
        Ok(samples
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect())
    }

    pub(crate) fn metric(&self, name: &str) -> Result<f64> {
        self.metrics()?.get(name).copied().with_context(|| format!("no metric {name}"))
    }
}
