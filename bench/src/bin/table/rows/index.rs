//! Size of the index on disk and in memory, and what making it takes.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bench::client::{Body, Protocol};

use crate::Settings;
use crate::ours::Ours;
use crate::report::{Report, Row, Target};
use crate::title::{Title, Titles};

/// How long the cache's gauge may lag behind.
const GAUGE_MAX: Duration = Duration::from_secs(5);

pub(crate) fn measure(settings: &Settings, titles: &Titles, report: &mut Report) -> Result<()> {
    let both = [(&titles.ten_minutes, "10 minutes, 3 rungs"), (&titles.three_hours, "3 hours")];
    for (title, name) in both {
        for (kind, is_video, most) in [("picture", true, 8.0), ("sound frame", false, 2.5)] {
            report.row(&Row {
                name: &format!("index, {name}"),
                unit: &format!("bytes a {kind}"),
                ours: bytes_per_sample(title, is_video),
                peer: None,
                target: Target::Most(most),
            })?;
        }
    }
    report.row(&Row {
        name: "index in memory, 3 hours",
        unit: "bytes a sample",
        ours: resident(settings, titles)? / samples(&titles.three_hours),
        peer: None,
        target: Target::Most(0.5),
    })?;
    for (title, name) in both {
        report.row(&Row {
            name: &format!("ingest, copy and index, {name}"),
            unit: "s",
            ours: title.ingest.wall.as_secs_f64(),
            peer: None,
            target: Target::None,
        })?;
    }
    Ok(())
}

fn bytes_per_sample(title: &Title, is_video: bool) -> f64 {
    let tracks = title.ingest.tracks.iter().filter(|track| track.is_video == is_video);
    let (bytes, samples) =
        tracks.fold((0, 0), |sums, track| (sums.0 + track.bytes, sums.1 + track.samples));
    bytes as f64 / samples as f64
}

fn samples(title: &Title) -> f64 {
    title.ingest.tracks.iter().map(|track| track.samples).sum::<u64>() as f64
}

/// Bytes that the server says the index of the opened three-hour title takes.
fn resident(settings: &Settings, titles: &Titles) -> Result<f64> {
    let server = Ours::start(settings, &titles.data)?;
    let mut connection = Protocol::Http1.connect(server.media)?;
    let segments = titles.three_hours.segments("fmp4");
    connection.get(segments.first().context("the title has no segments")?, Body::Drop)?;
    let began = Instant::now();
    while began.elapsed() < GAUGE_MAX {
        let bytes = server.metric("streamverse_index_cache_bytes")?;
        if bytes > 0.0 {
            return Ok(bytes);
        }
        // The cache counts when it is used.
        connection.get(&segments[0], Body::Drop)?;
        thread::sleep(Duration::from_millis(100));
    }
    Ok(f64::NAN)
}
