//! Hits: 4 MiB bodies and 2 KiB bodies from memory, bodies from disk, latencies at a fixed rate.

use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use bench::load::Pace;
use bench::swarm::{Version, Wanted};

use super::ours::{Edge, Shape};
use super::{Bench, Contender, Cost};
use crate::report::{Report, Row, Target, median};

use Version::{H2, H3, Http1, Https1};

/// Share of the slower server's closed-loop rate at which latencies are taken: busy, not behind.
const OPEN_LOOP_SHARE: f64 = 0.5;
/// Requests under way on 2 KiB bodies: enough to keep a server busy.
const SMALL_CONNECTIONS: usize = 32;

/// Passes over all objects until they all lie on disk.
const DISK_PASSES_MAX: usize = 20;

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    eprintln!("edge: 4 MiB bodies from memory");
    bench.big(report)?;
    eprintln!("edge: 2 KiB bodies from memory");
    bench.small(report)?;
    eprintln!("edge: bodies from disk");
    bench.disk(report)
}

/// A peer's figures with what of ours has to stay below.
type Peer<'a> = (Option<Contender<'a>>, Target);

impl Bench<'_> {
    fn big(&self, report: &mut Report) -> Result<()> {
        let peers = &self.peers;
        let rows: [(&str, Version, Vec<Peer>); 4] = [
            (
                "HTTP/1.1",
                Http1,
                vec![
                    (self.peer(&peers.nginx, Http1, &self.big), Target::Ratio(0.55)),
                    (self.peer(&peers.varnish, Http1, &self.big), Target::Ratio(1.05)),
                ],
            ),
            (
                "HTTP/1.1, TLS",
                Https1,
                vec![(self.peer(&peers.nginx, Https1, &self.big), Target::Ratio(0.6))],
            ),
            (
                "HTTP/2, TLS",
                H2,
                vec![
                    (self.peer(&peers.nginx, H2, &self.big), Target::Ratio(0.7)),
                    (self.peer(&peers.caddy, H2, &self.big), Target::None),
                ],
            ),
            (
                "HTTP/3",
                H3,
                vec![
                    (self.peer(&peers.caddy, H3, &self.big), Target::Ratio(0.2)),
                    (self.peer(&peers.nginx, H2, &self.big), Target::Ratio(1.0)),
                ],
            ),
        ];
        for (name, version, peers) in rows {
            let ours = self.ours(version, &self.big);
            let name = format!("4 MiB from memory, {name}");
            self.rows(report, &name, "CPU s/GB", &ours, &peers, |cost| cost.cpu_seconds_per_gb)?;
        }
        Ok(())
    }

    fn small(&self, report: &mut Report) -> Result<()> {
        let peers = &self.peers;
        let rows: [(&str, Version, Vec<Peer>); 4] = [
            (
                "HTTP/1.1",
                Http1,
                vec![
                    (self.peer(&peers.nginx, Http1, &self.small), Target::Ratio(0.85)),
                    (self.peer(&peers.varnish, Http1, &self.small), Target::None),
                    (self.peer(&peers.caddy, Http1, &self.small), Target::None),
                ],
            ),
            (
                "HTTP/1.1, TLS",
                Https1,
                vec![(self.peer(&peers.nginx, Https1, &self.small), Target::None)],
            ),
            (
                "HTTP/2, TLS",
                H2,
                vec![
                    (self.peer(&peers.nginx, H2, &self.small), Target::None),
                    (self.peer(&peers.caddy, H2, &self.small), Target::None),
                ],
            ),
            ("HTTP/3", H3, vec![(self.peer(&peers.caddy, H3, &self.small), Target::Most(5.0))]),
        ];
        for (name, version, peers) in rows {
            let crowd = |contender: &mut Contender| match version {
                Http1 | Https1 => contender.connections = SMALL_CONNECTIONS,
                _ => contender.streams = SMALL_CONNECTIONS / contender.connections,
            };
            let mut ours = self.ours(version, &self.small);
            crowd(&mut ours);
            let crowded = peers.into_iter().map(|(mut peer, target)| {
                peer.iter_mut().for_each(crowd);
                (peer, target)
            });
            let peers: Vec<Peer> = crowded.collect();
            let what = format!("2 KiB hit, {name}, token, CMCD, Cache-Status, log");
            let unit = "CPU µs a request";
            let costs =
                self.rows(report, &what, unit, &ours, &peers, |cost| cost.cpu_us_per_request)?;
            let peer = peers.first().and_then(|(peer, _)| peer.as_ref());
            let per_core = |cost: Cost| 1e6 / cost.cpu_us_per_request;
            report.row(&Row {
                name: &format!("the same, {name}"),
                unit: "requests/s a core",
                ours: per_core(costs[0]),
                peer: peer.map(|peer| (peer.server.name, per_core(costs[1]))),
                target: Target::None,
            })?;
            let Some(peer) = peer else { continue };
            let rate = costs[..2].iter().map(|cost| cost.requests_per_second);
            let rate = rate.fold(f64::INFINITY, f64::min) * OPEN_LOOP_SHARE;
            self.latencies(report, name, [&ours, peer], rate)?;
        }
        Ok(())
    }

    /// One row a peer; the costs of ours and of every peer that there is.
    fn rows(
        &self,
        report: &mut Report,
        name: &str,
        unit: &str,
        ours: &Contender,
        peers: &[Peer],
        figure: fn(Cost) -> f64,
    ) -> Result<Vec<Cost>> {
        let present: Vec<_> =
            peers.iter().filter_map(|(peer, target)| Some((peer.as_ref()?, *target))).collect();
        let all: Vec<&Contender> =
            std::iter::once(ours).chain(present.iter().map(|(peer, _)| *peer)).collect();
        let costs = self.beside(&all)?;
        if present.is_empty() {
            let (ours, target) = (figure(costs[0]), Target::None);
            report.row(&Row { name, unit, ours, peer: None, target })?;
        }
        for ((peer, target), cost) in present.iter().zip(&costs[1..]) {
            let other = if peer.version == ours.version { "" } else { " over HTTP/2" };
            let peer_name = format!("{}{other}", peer.server.name);
            report.row(&Row {
                name,
                unit,
                ours: figure(costs[0]),
                peer: Some((&peer_name, figure(*cost))),
                target: *target,
            })?;
        }
        Ok(costs)
    }

    /// Whole answers at a fixed rate, from the moment each was due.
    fn latencies(
        &self,
        report: &mut Report,
        version: &str,
        contenders: [&Contender; 2],
        rate: f64,
    ) -> Result<()> {
        let pace = Pace::Open { requests_per_second: rate };
        let mut seen = [Vec::new(), Vec::new()];
        for _ in 0..self.settings.rounds {
            for (contender, seen) in contenders.iter().zip(&mut seen) {
                let outcome = contender.load(pace, self.settings)?;
                seen.push([0.5, 0.99, 0.999].map(|share| outcome.latency_us(share) as f64 / 1e3));
            }
        }
        for (at, share) in ["p50", "p99", "p99.9"].into_iter().enumerate() {
            let middle = |seen: &[[f64; 3]]| median(seen.iter().map(|round| round[at]).collect());
            report.row(&Row {
                name: &format!("2 KiB hits, {version}, {rate:.0}/s in an open loop, {share}"),
                unit: "ms",
                ours: middle(&seen[0]),
                peer: Some((contenders[1].server.name, middle(&seen[1]))),
                target: Target::None,
            })?;
        }
        Ok(())
    }

    /// An edge whose memory holds none of the objects beside nginx, whose cache always is files.
    fn disk(&self, report: &mut Report) -> Result<()> {
        let shape = Shape {
            cache: "vod_bytes = \"8 MiB\"\ndisk_bytes = \"4 GiB\"\n".to_owned(),
            ..Shape::memory("edge-disk")
        };
        let edge = Edge::start(self.settings, self.upstream.address, &shape)?;
        let wanted: Vec<Wanted> = edge.signed(&self.big);
        let ours = Contender::new(&edge.server, Http1, wanted);
        self.fill_disk(&ours)?;
        let name = "4 MiB from disk (page cache), HTTP/1.1";
        let nginx = self.peer(&self.peers.nginx, Http1, &self.big);
        let peers = [(nginx, Target::None)];
        self.rows(report, name, "CPU s/GB", &ours, &peers, |cost| cost.cpu_seconds_per_gb)?;
        Ok(())
    }

    fn fill_disk(&self, ours: &Contender) -> Result<()> {
        for _ in 0..DISK_PASSES_MAX {
            let before = self.upstream.total();
            ours.compare(&self.big)?;
            if self.upstream.total() == before {
                return Ok(());
            }
            // Objects are written behind their answers.
            thread::sleep(Duration::from_millis(500));
        }
        bail!("objects never came to lie on disk")
    }
}
