//! Follows the feeds of other nodes: one long connection each, for as long as the process runs.
//!
//! A source that can't be reached is asked again within two seconds, each time after a pause that
//! is random, so that a thousand edges don't come back at once. A source that says nothing for
//! [`SILENCE`] counts as gone. Both together leave room for the five seconds within which a
//! revocation has to arrive.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use http::header::HeaderName;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use platform::config;
use platform::feed::{Event, Fact, Follower, Frame, FrameReader, PurgeScope, Step, WireError};
use platform::resilience::{Backoff, Jitter, random};
use serde::Serialize;
use tokio::time::{sleep, timeout};

use super::heard::Heard;
use super::metrics::SourceLabels;
use super::source::LAST_EVENT_ID;
use super::{Feed, LOT};
use crate::clock;
use crate::ops_client::OpsClient;

/// Longest silence of a source, which speaks every second; also to the head of its answer.
const SILENCE: Duration = Duration::from_millis(2_500);
/// Pauses between connections.
const PAUSES: Backoff = Backoff {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(2),
    jitter: Jitter::Half,
};
/// How often what was heard is written down.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// A source as operators see it.
#[derive(Clone, Debug, Serialize)]
pub struct SourceState {
    pub url: String,
    /// Connected, and everything it knows is known here.
    pub is_up: bool,
    /// When it was heard last, by this node's clock; when it was first tried, if never.
    pub last_word_ms: u64,
    /// Up to which time of its own clock it was heard to the end.
    pub heard_ms: Option<u64>,
    /// Why the last connection ended.
    pub error: Option<String>,
}

/// Follows every source of the configuration until dropped.
///
/// # Errors
/// When an address, the key or the authorities can't be used.
pub fn follow(
    feed: &Feed,
    config: &config::Feed,
    data_dir: &Path,
) -> anyhow::Result<impl Future<Output = ()> + Send + use<>> {
    let heard = Arc::new(Heard::open(data_dir, &config.follow));
    let ownership = feed.0.ownership.clone();
    let key = config.key.as_ref().map_or("", |key| key.expose());
    let mut sources = Vec::new();
    for (index, url) in config.follow.iter().enumerate() {
        let client = OpsClient::remote(url, key, config.ca.clone())
            .with_context(|| format!("feed.follow: `{url}`"))?;
        let heard_ms = heard.get(url);
        feed.0.sources.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(
            SourceState {
                url: url.clone(),
                is_up: false,
                last_word_ms: clock::now_ms(),
                heard_ms,
                error: None,
            },
        );
        sources.push(Source {
            feed: feed.clone(),
            client,
            labels: SourceLabels { source: url.clone() },
            index,
            heard: heard.clone(),
            follower: Follower::new(heard_ms),
            lot: Vec::new(),
            is_forgetful: false,
        });
    }
    Ok(async move {
        // Dropped together with this future.
        let mut following = tokio::task::JoinSet::new();
        for source in sources {
            following.spawn(source.run());
        }
        loop {
            sleep(SAVE_EVERY).await;
            let Some(_turn) = ownership.turn().await else { return };
            let heard = heard.clone();
            // A panic of the thread would be the file's loss alone.
            let _ = tokio::task::spawn_blocking(move || heard.save()).await;
        }
    })
}

struct Source {
    feed: Feed,
    client: OpsClient,
    labels: SourceLabels,
    index: usize,
    heard: Arc<Heard>,
    follower: Follower,
    /// Facts that were heard and not acted upon yet.
    lot: Vec<Event>,
    /// The disk did not take everything: a restart has to ask for it again.
    is_forgetful: bool,
}

impl Source {
    async fn run(mut self) {
        let mut failures = 0_u32;
        loop {
            let mut was_up = false;
            let error = match self.listen(&mut was_up).await {
                Ok(()) => "the source ended the connection".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            self.feed.0.metrics.failures.get_or_create(&self.labels).inc();
            self.tell(was_up, error);
            failures = if was_up { 1 } else { failures.saturating_add(1) };
            sleep(PAUSES.pause(failures, random())).await;
        }
    }

    /// Says why a connection ended: each reason once, until there is another or it went well.
    fn tell(&self, was_up: bool, error: String) {
        let mut is_news = false;
        self.note(|state| {
            is_news = was_up || state.error.as_ref() != Some(&error);
            state.is_up = false;
            state.error = Some(error.clone());
        });
        if is_news {
            let source = &*self.labels.source;
            tracing::warn!(source, error, "not following this source; trying again");
        }
    }

    fn note(&self, change: impl FnOnce(&mut SourceState)) {
        let sources = &self.feed.0.sources;
        let mut sources = sources.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(state) = sources.get_mut(self.index) {
            change(state);
        }
    }

    /// One connection, until it ends or is given up.
    async fn listen(&mut self, was_up: &mut bool) -> anyhow::Result<()> {
        let cursor = self.follower.connect();
        // Of a snapshot that broke off; it comes anew.
        self.lot.clear();
        let position = HeaderName::from_static(LAST_EVENT_ID);
        let headers: Vec<_> =
            cursor.into_iter().map(|cursor| (position.clone(), cursor.to_string())).collect();
        let path = match self.follower.heard_ms() {
            Some(heard_ms) => format!("/feed?heard={heard_ms}"),
            None => "/feed".to_owned(),
        };
        let asking = self.client.send(Method::GET, &path, &headers, None);
        let answer = timeout(SILENCE, asking).await.context("no answer in time")??;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => bail!("it does not take the key; set `[feed] key`"),
            status => bail!("it answers {status}"),
        }
        let mut body = answer.into_body();
        let mut reader = FrameReader::default();
        let mut frames = VecDeque::new();
        loop {
            let next = timeout(SILENCE, body.frame()).await.context("it fell silent")?;
            let Some(frame) = next else { return Ok(()) };
            let Ok(data) = frame.context("the connection broke")?.into_data() else { continue };
            reader.read(&data, |frame| {
                frames.push_back(frame);
                Ok::<_, WireError>(())
            })?;
            self.handle(&mut frames, was_up).await?;
        }
    }

    /// Acts upon frames in order. Facts are taken in lots, and before anything that counts them as
    /// heard.
    async fn handle(
        &mut self,
        frames: &mut VecDeque<Frame>,
        was_up: &mut bool,
    ) -> anyhow::Result<()> {
        while let Some(frame) = frames.pop_front() {
            let is_fact = matches!(frame, Frame::Fact { .. });
            if !is_fact || LOT <= self.lot.len() {
                self.take().await;
            }
            match self.follower.handle(frame)? {
                Step::Apply(event) => self.lot.push(event),
                Step::Refused(error) => {
                    self.feed.0.metrics.refused.inc();
                    tracing::warn!(source = self.labels.source, %error, "a fact was passed over");
                }
                Step::HistoryLost => self.look_anew().await?,
                Step::CaughtUp => {
                    tracing::info!(source = self.labels.source, "following this source");
                }
                Step::Nothing => {}
            }
        }
        // A snapshot comes in many pieces, and is worth few writes to the disk.
        if self.follower.is_live() {
            self.take().await;
        }
        *was_up |= self.follower.is_live();
        let (is_up, heard_ms) = (self.follower.is_live(), self.follower.heard_ms());
        if let Some(heard_ms) = heard_ms.filter(|_| !self.is_forgetful) {
            self.heard.set(&self.labels.source, heard_ms);
        }
        self.note(|state| {
            state.is_up = is_up;
            state.heard_ms = heard_ms;
            state.last_word_ms = clock::now_ms();
            if is_up {
                state.error = None;
            }
        });
        Ok(())
    }

    async fn take(&mut self) {
        if self.lot.is_empty() {
            return;
        }
        let events = std::mem::take(&mut self.lot);
        let told_ms: Vec<_> = events.iter().map(|event| event.at_ms).collect();
        let taken = self.feed.take(events).await;
        self.is_forgetful |= taken.is_forgetful;
        let metrics = &self.feed.0.metrics;
        metrics.facts_heard.get_or_create(&self.labels).inc_by(taken.news as u64);
        for error in taken.refused {
            tracing::warn!(source = self.labels.source, %error, "a fact was refused");
        }
        if self.follower.is_live() {
            let now_ms = clock::now_ms();
            for told_ms in told_ms {
                metrics.delay.observe(now_ms.saturating_sub(told_ms) as f64 / 1_000.0);
            }
        }
    }

    /// The source may have told purges that nobody can tell us any more. Everything kept is
    /// confirmed before it is used again, here and at whoever follows this node.
    async fn look_anew(&mut self) -> anyhow::Result<()> {
        let is_first = self.heard.get(&self.labels.source).is_none();
        self.feed.0.metrics.history_lost.get_or_create(&self.labels).inc();
        let source = &*self.labels.source;
        if is_first {
            tracing::info!(source, "followed for the first time: what is kept is looked at anew");
        } else {
            tracing::warn!(source, "has forgotten purges: everything kept is looked at anew");
        }
        let scope = PurgeScope::Prefix("/".to_owned());
        let taken = self.feed.publish(vec![Fact::CachePurged { scope, is_soft: true }]).await?;
        self.is_forgetful |= taken.is_forgetful;
        Ok(())
    }
}
