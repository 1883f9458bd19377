//! Memory that a server holds for a client which asks for a segment and reads nothing.
//!
//! Each figure comes from a server of its own, which has answered every segment once before: heap
//! that earlier load left free would hide what the clients cost, and pages of the source that
//! nobody had mapped yet would be counted as theirs. A client whose whole answer fitted into the
//! buffers of its socket holds nothing of the server's, and is not counted.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use bench::client::{Body, Protocol};
use bench::process::{self, Memory};
use bench::stall::{StallProtocol, stalled_client};

use crate::Settings;
use crate::nginx::Nginx;
use crate::ours::Ours;
use crate::report::{Report, Row, Target};
use crate::title::Titles;

const CLIENTS: usize = 200;
/// With fewer answers under way a figure says too little.
const STALLED_MIN: f64 = 50.0;
/// Until every answer has come as far as it can; well below `limits.write_stall_seconds`.
const SETTLE: Duration = Duration::from_secs(2);
/// A receive buffer far below one segment.
const SMALL_BUFFER_BYTES: usize = 4 << 10;
/// Well above the send buffer that a connection starts with.
const SEGMENT_BYTES_MIN: u64 = 3 << 20;
const MB_MAX: f64 = 0.1;

pub(crate) fn measure(settings: &Settings, titles: &Titles, report: &mut Report) -> Result<()> {
    let segments = largest(&titles.ten_minutes.segments("fmp4"), &titles.files)?;
    for (protocol, version) in [(StallProtocol::Http1, "HTTP/1.1"), (StallProtocol::H2c, "h2c")] {
        for (buffer, size) in [(None, "default"), (Some(SMALL_BUFFER_BYTES), "4 KiB")] {
            let stall = Stall { protocol, buffer, segments: &segments };
            let (ours, nginx) = (stall.ours(settings, titles)?, stall.nginx(settings, titles)?);
            if ours.stalled < STALLED_MIN || nginx.stalled < STALLED_MIN {
                report.note(&format!(
                    "\n{version}, {size} receive buffer: of {CLIENTS} answers {:.0} of ours and {:.0} of \
                     nginx's were under way, too few for a figure; the others lay whole in the \
                     buffers of their sockets.\n",
                    ours.stalled, nginx.stalled
                ))?;
                continue;
            }
            let name =
                format!("{:.0} stalled clients, {version}, {size} receive buffer", ours.stalled);
            report.row(&Row {
                name: &name,
                unit: "MB each, resident",
                ours: ours.resident_mb,
                peer: Some(("nginx", nginx.resident_mb)),
                target: Target::Most(MB_MAX),
            })?;
            report.row(&Row {
                name: "the same without mapped files",
                unit: "MB each, heap and stacks",
                ours: ours.anonymous_mb,
                peer: Some(("nginx", nginx.anonymous_mb)),
                target: Target::None,
            })?;
        }
    }
    Ok(())
}

/// The largest segments, those of the highest rung: few sockets take one whole.
fn largest(segments: &[String], files: &Path) -> Result<Vec<String>> {
    let mut sized = Vec::new();
    for path in segments {
        let bytes = fs::metadata(files.join(path.trim_start_matches('/')))?.len();
        if bytes >= SEGMENT_BYTES_MIN {
            sized.push(path.clone());
        }
    }
    if sized.is_empty() {
        bail!("no segment has {SEGMENT_BYTES_MIN} bytes");
    }
    Ok(sized)
}

/// What a server holds for each client.
struct Held {
    resident_mb: f64,
    /// Of that, heap and stacks.
    anonymous_mb: f64,
    /// Clients whose answer was under way.
    stalled: f64,
}

struct Stall<'a> {
    protocol: StallProtocol,
    buffer: Option<usize>,
    segments: &'a [String],
}

impl Stall<'_> {
    fn ours(&self, settings: &Settings, titles: &Titles) -> Result<Held> {
        let server = Ours::start(settings, &titles.data)?;
        let under_way = || server.metric("streamverse_http_requests_in_flight");
        self.held(server.media, server.media, server.pid, under_way)
    }

    fn nginx(&self, settings: &Settings, titles: &Titles) -> Result<Held> {
        let server = Nginx::start(settings, &titles.files)?;
        let address = match self.protocol {
            StallProtocol::Http1 => server.http1,
            StallProtocol::H2c => server.h2c,
        };
        self.held(server.http1, address, server.pid, || server.answers_under_way())
    }

    fn held(
        &self,
        http1: SocketAddr,
        address: SocketAddr,
        pid: u32,
        under_way: impl Fn() -> Result<f64>,
    ) -> Result<Held> {
        let mut connection = Protocol::Http1.connect(http1)?;
        for path in self.segments {
            connection.get(path, Body::Drop)?;
        }
        let before = process::memory(pid)?;
        let paths = self.segments.iter().cycle().take(CLIENTS);
        let clients: Vec<_> = paths
            .map(|path| stalled_client(address, self.protocol, path, self.buffer))
            .collect::<std::io::Result<_>>()?;
        thread::sleep(SETTLE);
        let after = process::memory(pid)?;
        let stalled = under_way()?;
        drop(clients);

        let each = |figure: fn(&Memory) -> u64| {
            figure(&after).saturating_sub(figure(&before)) as f64 / 1e6 / stalled.max(1.0)
        };
        Ok(Held {
            resident_mb: each(|memory| memory.resident_bytes),
            anonymous_mb: each(|memory| memory.anonymous_bytes),
            stalled,
        })
    }
}
