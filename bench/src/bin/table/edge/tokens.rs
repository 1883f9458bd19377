//! What checking tokens costs: the same hits on an open edge, and with keys of both algorithms.

use anyhow::Result;
use bench::swarm::Version;

use super::ours::{Edge, Shape};
use super::{Bench, Contender};
use crate::report::{Report, Row, Target};

/// An Ed25519 key that signs and checks; its seed is the bytes 0 to 31.
const ED25519: &str = "[[signing_key]]\nid = \"bench\"\nalgorithm = \"ed25519\"\n\
                       secret = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"\n";

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    eprintln!("edge: tokens");
    let open = Shape { is_open: true, ..Shape::memory("edge-open") };
    let ed25519 = Shape { more: ED25519.to_owned(), ..Shape::memory("edge-ed25519") };
    let open = Edge::start(bench.settings, bench.upstream.address, &open)?;
    let ed25519 = Edge::start(bench.settings, bench.upstream.address, &ed25519)?;
    let contenders = [&open, &bench.edge, &ed25519].map(|edge| {
        let wanted = edge.signed(&bench.small);
        let contender = Contender::new(&edge.server, Version::Http1, wanted);
        Contender { connections: 32, ..contender }
    });
    for contender in &contenders {
        contender.compare(&bench.small)?;
    }
    let [open, hmac, ed25519] = &contenders;
    let costs = bench.beside(&[open, hmac, ed25519])?;
    for (name, cost) in [("HMAC-SHA256", costs[1]), ("Ed25519", costs[2])] {
        report.row(&Row {
            name: &format!("2 KiB hit, HTTP/1.1, token by {name}"),
            unit: "CPU µs a request",
            ours: cost.cpu_us_per_request,
            peer: Some(("open edge", costs[0].cpu_us_per_request)),
            target: Target::None,
        })?;
    }
    Ok(())
}
