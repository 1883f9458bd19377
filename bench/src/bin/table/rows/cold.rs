//! The first segment of a three-hour title that a server never opened.
//!
//! The server is started anew for each round; the files lie in the page cache. The time is the
//! server's own, from its metrics; what the client saw stands below.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bench::client::{Body, Connection, Protocol};

use crate::Settings;
use crate::ours::Ours;
use crate::report::{Report, Row, Target, median};
use crate::title::Titles;

const ROUTE: &str = "{route=\"fmp4_segment\"}";
/// How long an answer that the client has whole may take to reach the metrics.
const COUNTED_MAX: Duration = Duration::from_secs(2);

const SERVER: Target = Target::Most(5.0);

#[derive(Clone, Copy)]
struct Seen {
    server_ms: f64,
    first_byte_ms: f64,
    whole_ms: f64,
}

type Figure = fn(&Seen) -> f64;

pub(crate) fn measure(settings: &Settings, titles: &Titles, report: &mut Report) -> Result<()> {
    let segments = titles.three_hours.segments("fmp4");
    let video: Vec<&String> = segments.iter().filter(|path| !path.contains("/audio/")).collect();
    let path = video.get(video.len() / 2).context("the title has no video")?;

    let (mut first, mut second) = (Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        let server = Ours::start(settings, &titles.data)?;
        let mut connection = Protocol::Http1.connect(server.media)?;
        first.push(ask(&server, connection.as_mut(), path)?);
        second.push(ask(&server, connection.as_mut(), path)?);
    }

    let rows: [(&str, Figure, Target); 3] = [
        ("never-opened 3-hour title, a segment, server time", |seen| seen.server_ms, SERVER),
        ("the same at the client, first byte", |seen| seen.first_byte_ms, Target::None),
        ("the same at the client, whole", |seen| seen.whole_ms, Target::None),
    ];
    for (name, figure, target) in rows {
        let middle = |seen: &[Seen]| median(seen.iter().map(figure).collect());
        let (ours, opened) = (middle(&first), middle(&second));
        report.row(&Row { name, unit: "ms", ours, peer: Some(("asked again", opened)), target })?;
    }
    Ok(())
}

fn ask(server: &Ours, connection: &mut dyn Connection, path: &str) -> Result<Seen> {
    let [count_before, sum_before] = answers(server)?;
    let began = Instant::now();
    let answer = connection.get(path, Body::Drop)?;
    let whole = began.elapsed();
    loop {
        let [count, sum] = answers(server)?;
        if count > count_before {
            return Ok(Seen {
                server_ms: (sum - sum_before) * 1e3,
                first_byte_ms: answer.first_byte.as_secs_f64() * 1e3,
                whole_ms: whole.as_secs_f64() * 1e3,
            });
        }
        if began.elapsed() > COUNTED_MAX {
            bail!("the answer to {path} is not in the server's metrics");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// How many segments were answered, and the seconds that took in all.
fn answers(server: &Ours) -> Result<[f64; 2]> {
    let metrics = server.metrics()?;
    let metric = |part: &str| {
        let name = format!("streamverse_http_answer_seconds_{part}{ROUTE}");
        metrics.get(&name).copied().unwrap_or(0.0)
    };
    Ok([metric("count"), metric("sum")])
}
