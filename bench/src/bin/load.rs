//! Loads a server by hand, or compares its bodies with files.
//!
//! Prints one JSON object. A path list is a file with one path a line; `-` is standard input.

use std::io::{Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bench::client::Protocol;
use bench::load::{Load, Outcome, Pace};
use bench::swarm::{Swarm, Version, Wanted};
use bench::verify::verify;

const USAGE: &str = "\
usage: load ADDRESS LIST [--connections 16] [--seconds 3] [--rate REQUESTS_PER_SECOND] [--core N]
       load ADDRESS LIST --version http1|https1|h2|h2c|h3 [--streams 8] [the same]
       load ADDRESS LIST --verify ROOT

  --rate    an open loop: requests are due at this rate, and latency counts from when one was due;
            without it each connection asks again as soon as it has its answer
  --core    hold the client to this core
  --version load over this version, all connections on one thread; every body is fetched once
            before, and must keep its length. Without it: HTTP/1.1, a thread a connection
  --verify  ask for each path once and compare its body with the file ROOT/PATH";

struct Arguments {
    address: SocketAddr,
    paths: Vec<String>,
    connections: usize,
    seconds: f64,
    rate: Option<f64>,
    core: Option<usize>,
    version: Option<Version>,
    streams: usize,
    verify: Option<String>,
}

fn main() -> Result<()> {
    let arguments = parse(std::env::args().skip(1))?;
    let report = match &arguments.verify {
        Some(root) => {
            let paths = &arguments.paths;
            let seen = verify(arguments.address, Protocol::Http1, paths, Path::new(root))?;
            serde_json::json!({ "bodies": seen.bodies, "bytes": seen.bytes })
        }
        None => describe(&run(&arguments)?),
    };
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Arguments> {
    let mut plain = Vec::new();
    let (mut connections, mut seconds) = (16, 3.0);
    let (mut rate, mut core, mut root) = (None, None, None);
    let (mut version, mut streams) = (None, 8);
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} wants a value"));
        match argument.as_str() {
            "--connections" => connections = value()?.parse().context("--connections")?,
            "--seconds" => seconds = value()?.parse().context("--seconds")?,
            "--rate" => rate = Some(value()?.parse().context("--rate")?),
            "--core" => core = Some(value()?.parse().context("--core")?),
            "--verify" => root = Some(value()?),
            "--version" => version = Some(version_of(&value()?)?),
            "--streams" => streams = value()?.parse().context("--streams")?,
            _ => plain.push(argument),
        }
    }
    let [address, list] = plain.as_slice() else { bail!("{USAGE}") };
    if rate.is_some_and(|rate: f64| !(rate.is_finite() && rate > 0.0)) {
        bail!("--rate is a number above 0");
    }
    let address = address.to_socket_addrs().context("ADDRESS")?.next().context("ADDRESS")?;
    let paths = read_list(list).with_context(|| format!("cannot read {list}"))?;
    let verify = root;
    Ok(Arguments { address, paths, connections, seconds, rate, core, version, streams, verify })
}

fn version_of(name: &str) -> Result<Version> {
    Ok(match name {
        "http1" => Version::Http1,
        "https1" => Version::Https1,
        "h2" => Version::H2,
        "h2c" => Version::H2c,
        "h3" => Version::H3,
        other => bail!("--version is http1, https1, h2, h2c or h3, not `{other}`"),
    })
}

fn read_list(list: &str) -> Result<Vec<String>> {
    let mut text = String::new();
    match list {
        "-" => std::io::stdin().read_to_string(&mut text).map(drop)?,
        file => text = std::fs::read_to_string(file)?,
    }
    Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

fn run(arguments: &Arguments) -> Result<Outcome> {
    let pace = match arguments.rate {
        Some(requests_per_second) => Pace::Open { requests_per_second },
        None => Pace::Closed,
    };
    let duration = Duration::try_from_secs_f64(arguments.seconds).context("--seconds")?;
    if let Some(version) = arguments.version {
        return swarm(arguments, version, pace, duration);
    }
    let load = Load {
        address: arguments.address,
        protocol: Protocol::Http1,
        paths: &arguments.paths,
        connections: arguments.connections,
        pace,
        duration,
        core: arguments.core,
    };
    Ok(load.run()?)
}

fn swarm(
    arguments: &Arguments,
    version: Version,
    pace: Pace,
    duration: Duration,
) -> Result<Outcome> {
    let wanted = arguments.paths.iter();
    let mut wanted: Vec<Wanted> =
        wanted.map(|path| Wanted { target: path.clone(), body_bytes: None }).collect();
    let load = Swarm {
        address: arguments.address,
        version,
        wanted: &[],
        connections: arguments.connections,
        streams: arguments.streams,
        pace,
        duration,
        core: arguments.core,
    };
    let mut lengths = Vec::new();
    Swarm { wanted: &wanted, ..load }.fetch(|_, body| {
        lengths.push(body.len() as u64);
        Ok(())
    })?;
    for (wanted, length) in wanted.iter_mut().zip(lengths) {
        wanted.body_bytes = Some(length);
    }
    Ok(Swarm { wanted: &wanted, ..load }.run()?)
}

fn describe(outcome: &Outcome) -> serde_json::Value {
    serde_json::json!({
        "requests": outcome.requests(),
        "bytes": outcome.body_bytes,
        "bad": outcome.bad,
        "bad_reason": outcome.bad_reason,
        "unsent": outcome.unsent,
        "wall_ms": outcome.wall.as_millis() as u64,
        "p50_us": outcome.latency_us(0.5),
        "p99_us": outcome.latency_us(0.99),
        "p999_us": outcome.latency_us(0.999),
        "first_byte_p50_us": outcome.first_byte_us(0.5),
    })
}
