//! `GET /feed`: what a follower is sent, for as long as it listens.
//!
//! Nothing is queued for a follower: each reads the log at its own pace, and one that falls behind
//! what is held one by one loses its connection and comes back for a snapshot.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use origin::body::{ChunkStream, MediaBody};
use origin::{Chunk, problem_with};
use platform::feed::wire::CONTENT_TYPE;
use platform::feed::{Cursor, Frame, Hello};
use tokio::time::{MissedTickBehavior, interval};

use super::{Feed, LOT};
use crate::clock;

/// Followers of one process.
const FOLLOWERS_MAX: i64 = 1_024;
/// How often a source speaks, so that followers tell silence from death.
const BEAT: Duration = Duration::from_secs(1);
/// Where a follower was (HTML Living Standard 9.2.4).
pub(super) const LAST_EVENT_ID: &str = "last-event-id";

impl Feed {
    /// Answers a follower, whose key was checked. Where it can't go on where it was, it needs to
    /// know no more than what came after `heard_ms`.
    pub fn answer(&self, headers: &HeaderMap, heard_ms: Option<u64>) -> Response<MediaBody> {
        let Some(following) = Following::begin(self) else {
            self.0.metrics.followers_refused.inc();
            let reason = format!("{FOLLOWERS_MAX} followers are connected already");
            return problem_with(StatusCode::SERVICE_UNAVAILABLE, "too_many_followers", &reason);
        };
        // One that can't be read is one that is not ours: a snapshot it is.
        let cursor = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok()?.parse().ok());
        let mut response =
            Response::new(MediaBody::open_ended(stream(following, cursor, heard_ms)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// Counts a follower for as long as it is there.
struct Following(Feed);

impl Following {
    fn begin(feed: &Feed) -> Option<Self> {
        let before = feed.0.metrics.followers.inc();
        let following = Self(feed.clone());
        (before < FOLLOWERS_MAX).then_some(following)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.0.0.metrics.followers.dec();
    }
}

fn stream(following: Following, cursor: Option<Cursor>, heard_ms: Option<u64>) -> ChunkStream {
    Box::pin(async_stream::stream! {
        let feed = following.0.clone();
        let mut head = feed.0.head.subscribe();
        let mut is_closed = feed.0.is_closed.subscribe();
        let hello = Hello::of(&mut feed.0.log(), cursor, clock::now_ms());
        yield Ok(chunk([Frame::Hello(hello)]));
        let mut at = cursor.map_or(0, |cursor| cursor.position);
        if hello.is_snapshot {
            feed.0.metrics.snapshots_sent.inc();
            let snapshot = feed.snapshot(heard_ms).await;
            for piece in &snapshot.pieces {
                yield Ok(Chunk::from(piece.clone()));
            }
            at = hello.head;
            let cursor = Cursor { epoch: hello.epoch, position: at };
            yield Ok(chunk([Frame::Live { cursor }]));
        }
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_beat = tokio::select! {
                biased;
                _ = is_closed.wait_for(|is_closed| *is_closed) => return,
                _ = head.wait_for(|head| at < *head) => false,
                _ = beat.tick() => true,
            };
            // Whoever fell behind learns it by the end of the connection.
            let Some((frames, reached)) = news(&feed, at, is_beat) else { return };
            at = reached;
            if !frames.is_empty() {
                yield Ok(chunk(frames));
            }
        }
    })
}

/// Facts behind a position, with a beat when they are the last; and the position reached.
fn news(feed: &Feed, at: u64, is_beat: bool) -> Option<(Vec<Frame>, u64)> {
    let mut log = feed.0.log();
    let epoch = log.epoch();
    let facts = log.after(at, LOT).ok()?;
    let reached = facts.last().map_or(at, |(position, _)| *position);
    let mut frames: Vec<_> = facts
        .into_iter()
        .map(|(position, event)| Frame::Fact {
            cursor: Some(Cursor { epoch, position }),
            event: Ok((*event).clone()),
        })
        .collect();
    if is_beat && reached == log.head() {
        let now_ms = log.now_ms(clock::now_ms());
        frames.push(Frame::Beat { cursor: Cursor { epoch, position: reached }, now_ms });
    }
    Some((frames, reached))
}

fn chunk(frames: impl IntoIterator<Item = Frame>) -> Chunk {
    let mut text = String::new();
    frames.into_iter().for_each(|frame| frame.write(&mut text));
    Chunk::from(Bytes::from(text))
}
