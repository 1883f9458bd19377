//! `streamverse serve --roles edge` as it is measured: signed URLs, access log at level info into
//! /dev/null, metrics and `Cache-Status` on, HTTP and HTTPS with HTTP/3 on free ports.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use bench::swarm::Wanted;

use super::Server;
use crate::ours::start_command;
use crate::spawn::{on_core, run};
use crate::{SERVER_CORE, Settings};

/// What differs between the edges of the rows.
pub(super) struct Shape {
    /// Its folder's name.
    pub(super) name: &'static str,
    /// Of `[cache]`.
    pub(super) cache: String,
    /// `[[signing_key]]` and what else there is.
    pub(super) more: String,
    pub(super) is_open: bool,
}

impl Shape {
    pub(super) fn memory(name: &'static str) -> Self {
        let cache = "vod_bytes = \"1 GiB\"\n".to_owned();
        Self { name, cache, more: String::new(), is_open: false }
    }
}

pub(super) struct Edge {
    pub(super) server: Server,
    pub(super) time_to_ready: Duration,
    /// `/~TOKEN`, or nothing where the edge is open.
    prefix: String,
    pub(super) data: PathBuf,
}

/// CMCD as a player sends it (CTA-5004), in the query.
pub(super) const CMCD: &str = "?CMCD=bl%3D21300%2Cbr%3D3200%2Ccid%3D%22faec5fc2-ac30-11ea-bb37-0242ac130002%22%2C\
d%3D4004%2Cdl%3D18500%2Cmtp%3D48100%2Cot%3Dv%2Cpr%3D1.08%2Crtp%3D12000%2Csf%3Dd%2C\
sid%3D%226e2fb550-c457-11e9-bb97-0800200c9a66%22%2Cst%3Dv%2Ctb%3D6000";

impl Edge {
    pub(super) fn start(
        settings: &Settings,
        upstream: std::net::SocketAddr,
        shape: &Shape,
    ) -> Result<Self> {
        let data = settings.work.join(shape.name);
        fs::create_dir_all(&data)?;
        let configuration = data.join("edge.toml");
        let text = format!(
            "[data]\ndir = \"{}\"\n[media]\nhttp = \"127.0.0.1:0\"\nhttps = \"127.0.0.1:0\"\n\
             [ops]\nhttp = \"127.0.0.1:0\"\n[cache]\n{}[[upstream]]\nurl = \"http://{upstream}\"\n{}",
            data.display(),
            shape.cache,
            shape.more,
        );
        fs::write(&configuration, text)?;
        let prefix = if shape.is_open { String::new() } else { sign(settings, &configuration)? };

        let mut command = on_core(SERVER_CORE, &settings.streamverse);
        command.args(["serve", "--roles", "edge", "--config"]).arg(&configuration);
        if shape.is_open {
            command.arg("--open");
        }
        let started = start_command(&mut command)?;
        let https = started.address("media_https")?;
        let server = Server {
            name: "ours",
            pid: started.process.pid(),
            http: started.address("media_http")?,
            https: Some(https),
            _process: started.process,
        };
        Ok(Self { server, time_to_ready: started.time_to_ready, prefix, data })
    }

    /// The same targets with the token in front and CMCD behind.
    pub(super) fn signed(&self, wanted: &[Wanted]) -> Vec<Wanted> {
        let signed = wanted.iter().map(|wanted| Wanted {
            target: format!("{}{}{CMCD}", self.prefix, wanted.target),
            ..wanted.clone()
        });
        signed.collect()
    }
}

/// The token of everything under `/vod/`, as a path.
fn sign(settings: &Settings, configuration: &std::path::Path) -> Result<String> {
    const PATH: &str = "/vod/big/fmp4/hd/0.m4s";
    let mut command = Command::new(&settings.streamverse);
    command.args(["sign", "--prefix", "/vod/", "--ttl", "12h", "--config"]).arg(configuration);
    let url = run(command.arg(PATH))?;
    let prefix = url.trim().strip_suffix(PATH).context("`sign` printed no URL")?;
    Ok(prefix.to_owned())
}
