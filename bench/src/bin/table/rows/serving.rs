//! Segments and manifests packaged just in time, beside nginx sending the same bytes.

use anyhow::{Context, Result};
use bench::client::Protocol;
use bench::load::Pace;
use bench::verify::verify;

use super::{Contender, beside, load};
use crate::Settings;
use crate::nginx::Nginx;
use crate::ours::Ours;
use crate::report::{Report, Row, Target, median};
use crate::title::Titles;

/// Share of the slower server's closed-loop rate at which latencies are taken: busy, not behind.
const OPEN_LOOP_SHARE: f64 = 0.5;

struct Pair<'a> {
    settings: &'a Settings,
    ours: Ours,
    nginx: Nginx,
}

pub(crate) fn measure(settings: &Settings, titles: &Titles, report: &mut Report) -> Result<()> {
    let ours = Ours::start(settings, &titles.data)?;
    let nginx = Nginx::start(settings, &titles.files)?;
    let pair = Pair { settings, ours, nginx };

    eprintln!("comparing every body with its file");
    let paths = titles.paths();
    verify(pair.nginx.http1, Protocol::Http1, &paths, &titles.files).context("nginx")?;
    let verified = verify(pair.ours.media, Protocol::Http1, &paths, &titles.files)?;
    let gb = verified.bytes as f64 / 1e9;
    report.note(&format!("{} bodies, {gb:.2} GB, equal their files.", verified.bodies))?;

    let fmp4 = titles.ten_minutes.segments("fmp4");
    let rate = pair.segments(report, "clear fMP4, audio and video", &fmp4, 0.9)?;
    pair.segments(report, "MPEG-TS", &titles.ten_minutes.segments("mpegts"), 1.35)?;
    let audio = titles.ten_minutes.segments("fmp4/audio");
    pair.segments(report, "audio out of a muxed file", &audio, 1.7)?;
    pair.latencies(report, &fmp4, rate * OPEN_LOOP_SHARE)?;
    pair.length(report, titles)?;

    let manifests = [
        ("media playlist, 10 minutes", titles.ten_minutes.manifest("cmaf/v1.m3u8")?, 30.0),
        ("MPD, 10 minutes", titles.ten_minutes.manifest("cmaf/manifest.mpd")?, 30.0),
        ("media playlist, 3 hours", titles.three_hours.manifest("cmaf/v1.m3u8")?, 200.0),
        ("MPD, 3 hours", titles.three_hours.manifest("cmaf/manifest.mpd")?, 200.0),
    ];
    for (name, path, most) in manifests {
        pair.manifest(report, name, path, most)?;
    }
    Ok(())
}

impl Pair<'_> {
    fn ours<'a>(&self, paths: &'a [String]) -> Contender<'a> {
        Contender { name: "ours", pid: self.ours.pid, address: self.ours.media, paths }
    }

    fn nginx<'a>(&self, paths: &'a [String]) -> Contender<'a> {
        Contender { name: "nginx", pid: self.nginx.pid, address: self.nginx.http1, paths }
    }

    /// Gives the rate in requests a second that both reach in a closed loop.
    fn segments(
        &self,
        report: &mut Report,
        name: &str,
        paths: &[String],
        most: f64,
    ) -> Result<f64> {
        let [nginx, ours] = beside(self.settings, [self.nginx(paths), self.ours(paths)])?;
        report.row(&Row {
            name,
            unit: "CPU s/GB",
            ours: ours.cpu_seconds_per_gb,
            peer: Some(("nginx", nginx.cpu_seconds_per_gb)),
            target: Target::Ratio(most),
        })?;
        Ok(ours.requests_per_second.min(nginx.requests_per_second))
    }

    /// Whole answers at a fixed rate, from the moment each was due.
    fn latencies(&self, report: &mut Report, paths: &[String], rate: f64) -> Result<()> {
        let pace = Pace::Open { requests_per_second: rate };
        let mut seen = [Vec::new(), Vec::new()];
        for _ in 0..self.settings.rounds {
            for (contender, seen) in [self.ours(paths), self.nginx(paths)].iter().zip(&mut seen) {
                let outcome = load(contender, pace, self.settings.duration)?;
                seen.push([0.5, 0.99, 0.999].map(|share| outcome.latency_us(share) as f64 / 1e3));
            }
        }
        for (at, share) in ["p50", "p99", "p99.9"].into_iter().enumerate() {
            let middle = |seen: &[[f64; 3]]| median(seen.iter().map(|round| round[at]).collect());
            report.row(&Row {
                name: &format!("clear fMP4 in an open loop of {rate:.0}/s, {share}"),
                unit: "ms",
                ours: middle(&seen[0]),
                peer: Some(("nginx", middle(&seen[1]))),
                target: Target::None,
            })?;
        }
        Ok(())
    }

    /// The last ten minutes of three hours beside ten minutes alone: the same samples.
    fn length(&self, report: &mut Report, titles: &Titles) -> Result<()> {
        let short = titles.one_rung.segments("fmp4");
        let long = titles.three_hours.segments("fmp4");
        let long = &long[long.len().saturating_sub(short.len())..];
        let [short, long] = beside(self.settings, [self.ours(&short), self.ours(long)])?;
        report.row(&Row {
            name: "3-hour title, last 10 minutes",
            unit: "CPU s/GB",
            ours: long.cpu_seconds_per_gb,
            peer: Some(("10-minute title", short.cpu_seconds_per_gb)),
            target: Target::Ratio(1.05),
        })
    }

    fn manifest(&self, report: &mut Report, name: &str, path: String, most: f64) -> Result<()> {
        let paths = [path];
        let [nginx, ours] = beside(self.settings, [self.nginx(&paths), self.ours(&paths)])?;
        report.row(&Row {
            name,
            unit: "CPU µs a request",
            ours: ours.cpu_us_per_request,
            peer: Some(("nginx", nginx.cpu_us_per_request)),
            target: Target::Most(most),
        })
    }
}
