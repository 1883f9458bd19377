//! Misses: their first byte beside the origin's own, and that of whoever asks while one is filled.

use std::time::Duration;

use anyhow::{Result, bail};
use bench::load::{Outcome, Pace};
use bench::swarm::{Swarm, Version, Wanted};

use super::upstream::{SLOW, wanted};
use super::{Bench, Contender, Server};
use crate::CLIENT_CORE;
use crate::report::{Report, Row, Target, median};

/// Misses a second: few enough that none waits for another.
const MISSES_PER_SECOND: f64 = 200.0;

const FOLLOWERS_PER_SECOND: f64 = 100.0;
/// Each waits as long as the fill takes.
const FOLLOWER_CONNECTIONS: usize = 220;
/// Followers come while the fill is under way.
const FOLLOWING: Duration = Duration::from_millis(1_800);

type Shares = [f64; 2];

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    eprintln!("edge: misses");
    bench.first_bytes(report)?;
    eprintln!("edge: followers of a miss");
    bench.followers(report)
}

/// Milliseconds to the first byte: the median and that of 99 in 100.
fn shares(outcome: &Outcome) -> Shares {
    [0.5, 0.99].map(|share| outcome.first_byte_us(share) as f64 / 1e3)
}

fn middle(rounds: &[Shares], at: usize) -> f64 {
    median(rounds.iter().map(|round| round[at]).collect())
}

impl Bench<'_> {
    /// Who may be asked for what nobody asked for yet.
    fn caches(&self) -> Vec<&Server> {
        let peers = [&self.peers.nginx, &self.peers.varnish];
        std::iter::once(&self.edge.server).chain(peers.into_iter().flatten()).collect()
    }

    fn first_bytes(&self, report: &mut Report) -> Result<()> {
        let caches = self.caches();
        let pace = Pace::Open { requests_per_second: MISSES_PER_SECOND };
        let count = (MISSES_PER_SECOND * self.settings.duration.as_secs_f64()) as usize + 1;
        let mut seen = vec![Vec::new(); caches.len() + 1];
        for round in 0..self.settings.rounds {
            for (at, seen) in seen.iter_mut().enumerate() {
                let title = format!("miss{round}");
                let plain = (0..count).map(|n| wanted(format!("/vod/{title}/fmp4/hd/{n}.m4s")));
                let plain: Vec<Wanted> = plain.collect();
                let is_ours = at == 0;
                let asked = if is_ours { self.edge.signed(&plain) } else { plain };
                let address = caches.get(at).map_or(self.upstream.address, |cache| cache.http);
                let swarm = Swarm {
                    address,
                    version: Version::Http1,
                    wanted: &asked,
                    connections: 8,
                    streams: 1,
                    pace,
                    duration: self.settings.duration,
                    core: Some(CLIENT_CORE),
                };
                let outcome = swarm.run()?;
                if let Some(reason) = outcome.bad_reason {
                    bail!("a miss went wrong: {reason}");
                }
                seen.push(shares(&outcome));
            }
        }
        for (at, share) in ["p50", "p99"].into_iter().enumerate() {
            let name = format!("miss of 64 KiB, first byte, {share}");
            let own = ("the origin itself", middle(&seen[caches.len()], at));
            let others = caches.iter().zip(&seen).skip(1);
            let others = others.map(|(cache, seen)| (cache.name, middle(seen, at)));
            for peer in std::iter::once(own).chain(others) {
                let (ours, peer) = (middle(&seen[0], at), Some(peer));
                report.row(&Row { name: &name, unit: "ms", ours, peer, target: Target::None })?;
            }
        }
        Ok(())
    }

    fn followers(&self, report: &mut Report) -> Result<()> {
        let caches = self.caches();
        let (mut seen, mut fetches_most) = (vec![Vec::new(); caches.len()], vec![0; caches.len()]);
        for round in 0..self.settings.rounds {
            for (at, cache) in caches.iter().enumerate() {
                let plain = wanted(format!("/vod/slow-{at}-{round}/fmp4/hd/0.m4s"));
                let path = plain.target.clone();
                let asked = if at == 0 { self.edge.signed(&[plain]) } else { vec![plain] };
                let contender = Contender {
                    connections: FOLLOWER_CONNECTIONS,
                    ..Contender::new(cache, Version::Http1, asked)
                };
                let pace = Pace::Open { requests_per_second: FOLLOWERS_PER_SECOND };
                let swarm = Swarm { duration: FOLLOWING, ..contender.swarm(pace, self.settings)? };
                let outcome = contender.checked(&swarm)?;
                seen[at].push(shares(&outcome));
                fetches_most[at] = self.upstream.fetches(&path).max(fetches_most[at]);
            }
        }
        let seconds = SLOW.as_secs();
        for (at, (share, most)) in [("p50", 2.0), ("p99", 10.0)].into_iter().enumerate() {
            let name = format!("follower of a miss that takes {seconds} s, first byte, {share}");
            self.beside_caches(report, &name, "ms", most, |cache| middle(&seen[cache], at))?;
        }
        let name = "upstream fetches of that miss";
        self.beside_caches(report, name, "at most", 1.0, |cache| fetches_most[cache] as f64)
    }

    /// A row for each of the other caches, or one alone.
    fn beside_caches(
        &self,
        report: &mut Report,
        name: &str,
        unit: &str,
        most: f64,
        figure: impl Fn(usize) -> f64,
    ) -> Result<()> {
        let caches = self.caches();
        let (ours, target) = (figure(0), Target::Most(most));
        if caches.len() == 1 {
            return report.row(&Row { name, unit, ours, peer: None, target });
        }
        for (at, cache) in caches.iter().enumerate().skip(1) {
            let peer = Some((cache.name, figure(at)));
            report.row(&Row { name, unit, ours, peer, target })?;
        }
        Ok(())
    }
}
