//! What players tell of themselves (CMCD) on its way into metrics, the access log, a file and
//! [`edge::limit`]'s priorities; and the next object, fetched before it is asked for.

mod ahead;
mod file_sink;
mod metrics;
mod reports;

use std::sync::Arc;

use edge::cmcd::event::{CmcdSink, Event, What};
use edge::cmcd::session::{Noted, Sessions};
use edge::cmcd::{Cmcd, ObjectType, PlayerState, SessionSummary};
use edge::limit::{Asked, Hints};
use http::Request;
use platform::config;
use platform::telemetry::{AccessDetail, AccessNote};
use prometheus_client::registry::Registry;

use crate::clock;

pub use ahead::{Ahead, Planned};
use file_sink::FileSink;
use metrics::PlayerMetrics;
pub use reports::REPORTS_PATH;

/// A buffer of so much is about to run dry.
const STARVING_MS: u32 = 1_000;
/// How often sessions that are over are looked for.
const EXPIRE_EVERY: std::time::Duration = std::time::Duration::from_secs(2);

/// Listens to players. Clones share everything.
#[derive(Clone)]
pub struct Players {
    shared: Arc<Shared>,
}

struct Shared {
    is_enabled: bool,
    sessions: Sessions,
    metrics: PlayerMetrics,
    sinks: Vec<Box<dyn CmcdSink>>,
}

impl Players {
    /// # Errors
    /// When the file for events can't be opened.
    pub fn new(config: &config::Cmcd) -> anyhow::Result<Self> {
        let metrics = PlayerMetrics::default();
        let mut sinks: Vec<Box<dyn CmcdSink>> = Vec::new();
        if let Some(path) = config.events_file.as_ref().filter(|_| config.enabled) {
            let sink =
                FileSink::open(path, config.events_bytes.get(), config.events_files, &metrics)?;
            sinks.push(Box::new(sink));
        }
        let idle_ms = (config.session_idle_seconds * 1e3) as u64;
        let sessions = Sessions::new(config.sessions as usize, idle_ms);
        let shared = Shared { is_enabled: config.enabled, sessions, metrics, sinks };
        Ok(Self { shared: Arc::new(shared) })
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        self.shared.metrics.register(registry.sub_registry_with_prefix("cmcd"));
    }

    pub fn is_enabled(&self) -> bool {
        self.shared.is_enabled
    }

    /// What a request says.
    pub fn read(&self, request: &Request<()>) -> Option<Cmcd> {
        if !self.shared.is_enabled {
            return None;
        }
        edge::cmcd::of_request(request.uri(), request.headers())
    }

    /// Takes in what was said with a request for `path`, which was let in.
    pub fn note(&self, cmcd: &Cmcd, path: &str) {
        let now_ms = clock::now_ms();
        self.shared.metrics.count_request(cmcd);
        self.tell(&Event { time_ms: now_ms, what: What::Request { path, cmcd } });
        if let Some(noted) = self.shared.sessions.note(cmcd, true, now_ms) {
            self.note_session(noted, now_ms);
        }
    }

    /// Takes in a line of a report.
    fn note_report(&self, cmcd: &Cmcd) {
        let now_ms = clock::now_ms();
        self.shared.metrics.count_report(cmcd);
        self.tell(&Event { time_ms: now_ms, what: What::Report { cmcd } });
        if let Some(noted) = self.shared.sessions.note(cmcd, false, now_ms) {
            self.note_session(noted, now_ms);
        }
    }

    fn note_session(&self, noted: Noted, now_ms: u64) {
        self.shared.metrics.count_session(&noted);
        if let Some(ended) = noted.ended {
            self.end(&ended, now_ms);
        }
    }

    fn end(&self, summary: &SessionSummary, now_ms: u64) {
        self.shared.metrics.sessions_ended.inc();
        self.tell(&Event { time_ms: now_ms, what: What::Session(summary) });
    }

    fn tell(&self, event: &Event<'_>) {
        for sink in &self.shared.sinks {
            sink.take(event);
        }
    }

    /// Ends sessions that nothing was heard of. Never ends itself.
    pub async fn maintain(&self) {
        loop {
            tokio::time::sleep(EXPIRE_EVERY).await;
            let now_ms = clock::now_ms();
            self.shared.sessions.expire(now_ms, |summary| self.end(&summary, now_ms));
            let count = i64::try_from(self.shared.sessions.len()).unwrap_or(i64::MAX);
            self.shared.metrics.sessions.set(count);
        }
    }
}

/// What a request's line in the access log says of its player. The session of a token goes before
/// the player's own, since every request of a playback has it.
pub fn note_access(request: &Request<()>, cmcd: Option<&Cmcd>, session: Option<&str>) {
    let Some(note) = request.extensions().get::<AccessNote>() else { return };
    if cmcd.is_none() && session.is_none() {
        return;
    }
    let said = cmcd.and_then(|cmcd| cmcd.session.as_deref());
    let mut detail =
        AccessDetail { sample_key: session.or(said).map(Into::into), ..AccessDetail::default() };
    if let Some(cmcd) = cmcd {
        detail.session.clone_from(&cmcd.session);
        detail.content.clone_from(&cmcd.content);
        detail.object = cmcd.object.map(ObjectType::as_str);
        detail.bit_rate_kbps = cmcd.bit_rate_kbps;
        detail.buffer_ms = cmcd.buffer_ms;
        detail.is_starved = cmcd.is_starved;
        detail.is_startup = cmcd.is_startup;
    }
    note.tell(detail);
}

/// What a player says of its haste.
pub fn hints(cmcd: Option<&Cmcd>, has_played: bool) -> Hints {
    let Some(cmcd) = cmcd else { return Hints { has_played, ..Hints::default() } };
    let state = |wanted: &[PlayerState]| cmcd.state.is_some_and(|state| wanted.contains(&state));
    let is_dry = cmcd.buffer_ms.is_some_and(|buffer_ms| buffer_ms < STARVING_MS);
    Hints {
        has_played,
        is_starving: cmcd.is_starved
            || state(&[PlayerState::Rebuffering])
            || (is_dry && !cmcd.is_startup),
        is_starting: cmcd.is_startup && !cmcd.is_starved
            || state(&[PlayerState::Starting, PlayerState::Seeking, PlayerState::Preloading]),
        is_live: cmcd.is_live == Some(true),
    }
}

/// What a canonical path leads to.
pub fn asked(path: &str) -> Asked {
    let file = path.rsplit('/').next().unwrap_or_default();
    match file.rsplit_once('.') {
        Some((_, "m3u8" | "mpd")) => Asked::Manifest,
        Some((_, "m4s" | "ts" | "vtt") | ("init", "mp4")) => Asked::Segment,
        _ => Asked::Other,
    }
}
