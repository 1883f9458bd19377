//! The rows, a module a group; and how two servers are loaded in turns.

pub(crate) mod cold;
pub(crate) mod index;
pub(crate) mod offline;
pub(crate) mod serving;
pub(crate) mod stalled;
pub(crate) mod start;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use bench::client::Protocol;
use bench::load::{Load, Outcome, Pace};
use bench::process;

use crate::report::median;
use crate::{CLIENT_CORE, Settings};

/// Keep-alive connections of the packaging rows.
const CONNECTIONS: usize = 16;

/// A server, and what is asked of it.
#[derive(Clone, Copy)]
struct Contender<'a> {
    name: &'a str,
    pid: u32,
    address: SocketAddr,
    paths: &'a [String],
}

/// What serving costs the server: medians of all rounds.
#[derive(Clone, Copy)]
struct Cost {
    cpu_seconds_per_gb: f64,
    cpu_us_per_request: f64,
    requests_per_second: f64,
}

/// Loads both in turns, so that what the machine does besides hits both alike.
fn beside(settings: &Settings, contenders: [Contender; 2]) -> Result<[Cost; 2]> {
    let mut rounds = [Vec::new(), Vec::new()];
    for _ in 0..settings.rounds {
        for (contender, rounds) in contenders.iter().zip(&mut rounds) {
            rounds.push(cost(contender, settings.duration)?);
        }
    }
    Ok(rounds.map(|rounds| {
        let middle = |figure: fn(&Cost) -> f64| median(rounds.iter().map(figure).collect());
        Cost {
            cpu_seconds_per_gb: middle(|cost| cost.cpu_seconds_per_gb),
            cpu_us_per_request: middle(|cost| cost.cpu_us_per_request),
            requests_per_second: middle(|cost| cost.requests_per_second),
        }
    }))
}

fn cost(contender: &Contender, duration: Duration) -> Result<Cost> {
    let before = process::cpu(contender.pid)?;
    let outcome = load(contender, Pace::Closed, duration)?;
    let cpu = process::cpu(contender.pid)?.saturating_sub(before).as_secs_f64();
    let requests = outcome.requests() as f64;
    Ok(Cost {
        cpu_seconds_per_gb: cpu / (outcome.body_bytes as f64 / 1e9),
        cpu_us_per_request: cpu / requests * 1e6,
        requests_per_second: requests / outcome.wall.as_secs_f64(),
    })
}

/// One run. A wrong answer ends the benchmark: its figures would be those of something else.
fn load(contender: &Contender, pace: Pace, duration: Duration) -> Result<Outcome> {
    let load = Load {
        address: contender.address,
        protocol: Protocol::Http1,
        paths: contender.paths,
        connections: CONNECTIONS,
        pace,
        duration,
        core: Some(CLIENT_CORE),
    };
    let outcome = load.run()?;
    if outcome.bad > 0 || outcome.requests() == 0 {
        let (name, bad, good) = (contender.name, outcome.bad, outcome.requests());
        let reason = outcome.bad_reason.unwrap_or_default();
        bail!("{name}: {bad} wrong answers, {good} right ones; {reason}");
    }
    Ok(outcome)
}
