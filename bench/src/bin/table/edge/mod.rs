//! Rows of the edge: `serve --roles edge` in front of a test origin, beside nginx, Varnish and Caddy
//! on the same bodies in the same run.
//!
//! Every hit is a hit: the origin counts what it is asked, and a run in which it was asked anything
//! ends the benchmark.

mod hits;
mod memory;
mod misses;
mod ours;
mod peers;
mod tokens;
mod upstream;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use bench::load::{Outcome, Pace};
use bench::process;
use bench::swarm::{Swarm, Version, Wanted};

use crate::report::{Report, median};
use crate::spawn::Running;
use crate::{CLIENT_CORE, Settings};
use ours::{Edge, Shape};
use upstream::{Upstream, segments};

/// Objects of 4 MiB, of which 64 MiB are more than the processor's caches hold, and of 2 KiB.
const BIG_COUNT: usize = 16;
const SMALL_COUNT: usize = 64;

/// A server under test. Ends when this is dropped.
struct Server {
    name: &'static str,
    pid: u32,
    http: SocketAddr,
    https: Option<SocketAddr>,
    _process: Running,
}

impl Server {
    fn address(&self, version: Version) -> Result<SocketAddr> {
        match version {
            Version::Http1 | Version::H2c => Ok(self.http),
            _ => self.https.with_context(|| format!("{} has no TLS", self.name)),
        }
    }
}

/// The peers that this machine has.
struct Peers {
    nginx: Option<Server>,
    varnish: Option<Server>,
    caddy: Option<Server>,
    caddy_program: Option<PathBuf>,
    /// Root of the same bodies as files.
    files: PathBuf,
}

struct Bench<'a> {
    settings: &'a Settings,
    upstream: Upstream,
    edge: Edge,
    peers: Peers,
    big: Vec<Wanted>,
    small: Vec<Wanted>,
}

/// A server, spoken to in one way, and what is asked of it.
struct Contender<'a> {
    server: &'a Server,
    version: Version,
    wanted: Vec<Wanted>,
    connections: usize,
    streams: usize,
}

/// Medians of all rounds.
#[derive(Clone, Copy)]
struct Cost {
    cpu_seconds_per_gb: f64,
    cpu_us_per_request: f64,
    requests_per_second: f64,
}

pub(crate) fn measure(settings: &Settings, report: &mut Report) -> Result<()> {
    eprintln!("edge: starting servers, comparing every body");
    let upstream = Upstream::start()?;
    let edge = Edge::start(settings, upstream.address, &Shape::memory("edge"))?;
    let peers = Peers::start(settings, &upstream, &edge, report)?;
    let big = segments("big", BIG_COUNT);
    let small = segments("small", SMALL_COUNT);
    let bench = Bench { settings, upstream, edge, peers, big, small };
    bench.compare(report)?;
    hits::measure(&bench, report)?;
    tokens::measure(&bench, report)?;
    misses::measure(&bench, report)?;
    memory::measure(&bench, report)
}

impl Peers {
    fn start(
        settings: &Settings,
        upstream: &Upstream,
        edge: &Edge,
        report: &mut Report,
    ) -> Result<Self> {
        let tls = edge.data.join("tls");
        let files = settings.work.join("edge-files");
        for wanted in segments("big", BIG_COUNT).iter().chain(&segments("small", SMALL_COUNT)) {
            let file = files.join(wanted.target.trim_start_matches('/'));
            fs::create_dir_all(file.parent().context("a folder")?)?;
            fs::write(file, upstream::body(&wanted.target))?;
        }
        let mut find = |program, argument| {
            let found = peers::find(program);
            let line = match &found {
                Some(found) => peers::version(found, argument),
                None => format!("{program} is not installed: its rows are left out"),
            };
            report.note(&format!("Peer of the edge: {line}.")).map(|()| found)
        };
        let nginx = find("nginx", "-v")?;
        let varnish = find("varnishd", "-V")?;
        let caddy = find("caddy", "version")?;
        let address = upstream.address;
        Ok(Self {
            nginx: nginx.map(|at| peers::nginx(settings, &at, address, &tls)).transpose()?,
            varnish: varnish.map(|at| peers::varnish(settings, &at, address)).transpose()?,
            caddy: caddy.as_ref().map(|at| peers::caddy(settings, at, &files, &tls)).transpose()?,
            caddy_program: caddy,
            files,
        })
    }
}

impl Bench<'_> {
    fn ours(&self, version: Version, wanted: &[Wanted]) -> Contender<'_> {
        Contender::new(&self.edge.server, version, self.edge.signed(wanted))
    }

    /// A peer is asked with the same query, and without a token.
    fn peer<'a>(
        &self,
        server: &'a Option<Server>,
        version: Version,
        wanted: &[Wanted],
    ) -> Option<Contender<'a>> {
        let unsigned = wanted.iter().map(|wanted| Wanted {
            target: format!("{}{}", wanted.target, ours::CMCD),
            ..wanted.clone()
        });
        let server = server.as_ref()?;
        Some(Contender::new(server, version, unsigned.collect()))
    }

    /// Fetches every body over every version from every server and compares it with the origin's,
    /// which warms every cache.
    fn compare(&self, report: &mut Report) -> Result<()> {
        use Version::{H2, H3, Http1, Https1};
        let all: Vec<Wanted> = self.big.iter().chain(&self.small).cloned().collect();
        let Peers { nginx, varnish, caddy, .. } = &self.peers;
        let contenders = [Http1, Https1, H2, H3].map(|version| Some(self.ours(version, &all)));
        let peers = [
            self.peer(nginx, Http1, &all),
            self.peer(nginx, Https1, &all),
            self.peer(nginx, H2, &all),
            self.peer(varnish, Http1, &all),
            self.peer(caddy, Http1, &all),
            self.peer(caddy, H2, &all),
            self.peer(caddy, H3, &all),
        ];
        let mut bodies = 0;
        for contender in contenders.into_iter().chain(peers).flatten() {
            bodies += contender.compare(&all)?;
        }
        report.note(&format!("Edge: {bodies} bodies equal the origin's, byte by byte."))
    }

    /// Loads all in turns, so that what the machine does besides hits all alike. The origin must
    /// not be asked.
    fn beside(&self, contenders: &[&Contender]) -> Result<Vec<Cost>> {
        let before = self.upstream.total();
        let mut rounds = vec![Vec::new(); contenders.len()];
        for _ in 0..self.settings.rounds {
            for (contender, rounds) in contenders.iter().zip(&mut rounds) {
                rounds.push(contender.cost(self.settings)?);
            }
        }
        let asked = self.upstream.total() - before;
        if asked > 0 {
            let names: Vec<_> = contenders.iter().map(|contender| contender.server.name).collect();
            bail!("{names:?} asked the origin {asked} times while hits were measured");
        }
        Ok(rounds.into_iter().map(Cost::median).collect())
    }
}

impl<'a> Contender<'a> {
    fn new(server: &'a Server, version: Version, wanted: Vec<Wanted>) -> Self {
        let (connections, streams) = match version {
            Version::Http1 | Version::Https1 => (16, 1),
            _ => (4, 4),
        };
        Self { server, version, wanted, connections, streams }
    }

    fn swarm(&self, pace: Pace, settings: &Settings) -> Result<Swarm<'_>> {
        Ok(Swarm {
            address: self.server.address(self.version)?,
            version: self.version,
            wanted: &self.wanted,
            connections: self.connections,
            streams: self.streams,
            pace,
            duration: settings.duration,
            core: Some(CLIENT_CORE),
        })
    }

    fn compare(&self, all: &[Wanted]) -> Result<usize> {
        let address = self.server.address(self.version)?;
        let swarm = Swarm {
            address,
            version: self.version,
            wanted: &self.wanted,
            connections: 1,
            streams: 1,
            pace: Pace::Closed,
            duration: Default::default(),
            core: Some(CLIENT_CORE),
        };
        let mut bodies = 0;
        swarm
            .fetch(|_, body| {
                if body != upstream::body(&all[bodies].target) {
                    return Err(std::io::Error::other(format!("{} differs", all[bodies].target)));
                }
                bodies += 1;
                Ok(())
            })
            .with_context(|| format!("{} over {:?}", self.server.name, self.version))?;
        Ok(bodies)
    }

    /// One run. A wrong answer ends the benchmark.
    fn load(&self, pace: Pace, settings: &Settings) -> Result<Outcome> {
        self.checked(&self.swarm(pace, settings)?)
    }

    fn checked(&self, swarm: &Swarm) -> Result<Outcome> {
        let (name, version) = (self.server.name, self.version);
        let outcome = swarm.run().with_context(|| format!("{name} over {version:?}"))?;
        if outcome.bad > 0 || outcome.requests() == 0 {
            let (bad, good) = (outcome.bad, outcome.requests());
            let reason = outcome.bad_reason.unwrap_or_default();
            bail!("{name} over {version:?}: {bad} wrong answers, {good} right ones; {reason}");
        }
        Ok(outcome)
    }

    fn cost(&self, settings: &Settings) -> Result<Cost> {
        let before = process::cpu(self.server.pid)?;
        let outcome = self.load(Pace::Closed, settings)?;
        let cpu = process::cpu(self.server.pid)?.saturating_sub(before).as_secs_f64();
        let requests = outcome.requests() as f64;
        Ok(Cost {
            cpu_seconds_per_gb: cpu / (outcome.body_bytes as f64 / 1e9),
            cpu_us_per_request: cpu / requests * 1e6,
            requests_per_second: requests / outcome.wall.as_secs_f64(),
        })
    }
}

impl Cost {
    fn median(rounds: Vec<Self>) -> Self {
        let middle = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure).collect());
        Self {
            cpu_seconds_per_gb: middle(|cost| cost.cpu_seconds_per_gb),
            cpu_us_per_request: middle(|cost| cost.cpu_us_per_request),
            requests_per_second: middle(|cost| cost.requests_per_second),
        }
    }
}
