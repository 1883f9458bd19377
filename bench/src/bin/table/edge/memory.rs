//! Memory: of HTTP/3 connections, of answers that nobody reads, and of a million objects.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use bench::process;
use bench::swarm::{Wanted, hold_http3};
use edge::cache::KeyHash;
use edge::cache::disk::DiskIndex;

use super::ours::{Edge, Shape};
use super::{Bench, Server, peers};
use crate::CLIENT_CORE;
use crate::report::{Report, Row, Target, median};

const CONNECTIONS: usize = 400;
const STALLED: usize = 200;
const OBJECTS: usize = 1_000_000;

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    eprintln!("edge: memory");
    bench.connections(report)?;
    bench.million(report)
}

/// What a server's resident memory grows by for each of `count` connections.
fn grown_kib(server: &Server, wanted: &Wanted, count: usize, stalls: bool) -> Result<f64> {
    let address = server.address(bench::swarm::Version::H3)?;
    // The first connection makes what all share, and the object is in memory from then on.
    hold_http3(address, wanted, 1, false, Some(CLIENT_CORE), || ())?;
    let before = process::memory(server.pid)?.resident_bytes;
    let after = hold_http3(address, wanted, count, stalls, Some(CLIENT_CORE), || {
        process::memory(server.pid)
    })??;
    Ok(after.resident_bytes.saturating_sub(before) as f64 / 1024.0 / count as f64)
}

impl Bench<'_> {
    /// Each figure from a new server: heap that earlier load left free would hide the cost.
    fn connections(&self, report: &mut Report) -> Result<()> {
        let cases = [
            (
                "HTTP/3 connection after an answer of 2 KiB",
                &self.small[0],
                CONNECTIONS,
                false,
                150.0,
            ),
            ("HTTP/3 connection that reads nothing of 4 MiB", &self.big[0], STALLED, true, 150.0),
        ];
        for (name, wanted, count, stalls, most) in cases {
            let edge =
                Edge::start(self.settings, self.upstream.address, &Shape::memory("edge-memory"))?;
            let signed = edge.signed(std::slice::from_ref(wanted));
            let ours = grown_kib(&edge.server, &signed[0], count, stalls)?;
            let peer = match &self.peers.caddy_program {
                Some(program) => {
                    let tls = edge.data.join("tls");
                    let caddy = peers::caddy(self.settings, program, &self.peers.files, &tls)?;
                    Some(("Caddy", grown_kib(&caddy, wanted, count, stalls)?))
                }
                None => None,
            };
            let target = Target::Most(most);
            report.row(&Row { name, unit: "KiB each, resident", ours, peer, target })?;
        }
        Ok(())
    }

    /// A disk tier that knows a million objects, as its snapshot tells it at a start, beside one
    /// that knows none. The objects' files are not there: nothing looks at them until they are
    /// asked for.
    fn million(&self, report: &mut Report) -> Result<()> {
        let shape =
            |name| Shape { cache: "disk_bytes = \"8 TiB\"\n".to_owned(), ..Shape::memory(name) };
        let mut index = DiskIndex::default();
        for number in 0..OBJECTS {
            let hash = blake3::hash(&number.to_le_bytes());
            let mut short = [0; 16];
            short.copy_from_slice(&hash.as_bytes()[..16]);
            index.insert(KeyHash(short), 2_000_000);
        }
        let snapshot = index.encode();
        let (mut bytes, mut ready_ms) = (Vec::new(), Vec::new());
        for _ in 0..self.settings.rounds {
            let full = shape("edge-million");
            let folder = self.settings.work.join(full.name).join("cache");
            fs::create_dir_all(&folder)?;
            fs::write(folder.join("index.snapshot"), &snapshot)?;
            let resident = |shape: &Shape| {
                let edge = Edge::start(self.settings, self.upstream.address, shape)?;
                thread::sleep(Duration::from_secs(1));
                let resident = process::memory(edge.server.pid)?.resident_bytes as f64;
                Ok::<_, anyhow::Error>((resident, edge.time_to_ready))
            };
            let (with, ready) = resident(&full)?;
            let (without, _) = resident(&shape("edge-none"))?;
            bytes.push((with - without) / OBJECTS as f64);
            ready_ms.push(ready.as_secs_f64() * 1e3);
        }
        let rows = [
            ("a million objects on disk", "bytes each, resident", bytes, 150.0),
            ("restart with them, to ready", "ms", ready_ms, 1_000.0),
        ];
        for (name, unit, figures, most) in rows {
            let (ours, target) = (median(figures), Target::Most(most));
            report.row(&Row { name, unit, ours, peer: None, target })?;
        }
        Ok(())
    }
}
