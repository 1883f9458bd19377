//! The way of one request through the cache.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;

use super::body::{CacheBody, Source};
use super::fill::{Fill, ObjectOrigin, Outcome};
use super::forward::fill_request;
use super::front::Shared;
use super::key::{CacheKey, KeyHash};
use super::memory::Pool;
use super::object::Object;
use super::policy::{
    CacheStatus, Decision, Forward, Lookup, Purged, Refusal, RequestControl, SelectingValues,
    StoredHead, Why, decide, may_serve_on_error,
};
use super::respond::{Asked, Stored, failure, problem, respond};
use super::slices::SliceJob;
use super::writer::{Clock, Job};
use crate::fetch::{Fetch, FetchError};

/// Fills under way at a time; further misses are 503.
const FILLS_MAX: usize = 16_384;
/// How often a request looks again when what it waited for turned out to be for others.
const ATTEMPTS_MAX: usize = 4;

/// One request on its way.
pub(super) struct Asking<'a> {
    pub(super) key: CacheKey,
    /// Path and query as the viewer sent them.
    pub(super) target: &'a str,
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
    pub(super) control: RequestControl,
    pub(super) clock: Clock,
}

/// What is to be fetched, unless somebody does already.
pub(super) struct Errand<'a> {
    pub(super) key: &'a CacheKey,
    pub(super) hash: KeyHash,
    /// What is stored, to be validated.
    pub(super) prior: Option<Arc<Object>>,
    pub(super) headers: &'a HeaderMap,
    pub(super) clock: Clock,
    /// A part of the prefetch budget.
    pub(super) permit: Option<OwnedSemaphorePermit>,
    pub(super) slice: Option<SliceJob>,
}

impl<'a> Asking<'a> {
    fn errand(&'a self, hash: KeyHash, prior: Option<Arc<Object>>) -> Errand<'a> {
        let (key, headers, clock) = (&self.key, self.headers, self.clock);
        Errand { key, hash, prior, headers, clock, permit: None, slice: None }
    }
}

/// A fill to wait for, or the news that the store has changed since it was looked at.
pub(super) enum Joined {
    Fill { fill: Arc<Fill>, is_leader: bool },
    LookAgain,
    TooMany,
}

impl<F: Fetch> Shared<F> {
    pub(super) async fn answer(self: &Arc<Self>, asking: &Asking<'_>) -> Response<CacheBody> {
        let is_get = asking.method == Method::GET;
        if !is_get && asking.method != Method::HEAD {
            return self.pass_method(asking).await;
        }
        // These are for the origin to judge (RFC 9111 4.3.2).
        let is_conditional = asking.headers.contains_key(header::IF_MATCH)
            || asking.headers.contains_key(header::IF_UNMODIFIED_SINCE);
        if is_conditional {
            self.metrics.bypassed.inc();
            return self.pass(asking, Forward::Bypass).await;
        }
        for _ in 0..ATTEMPTS_MAX {
            if let Some(response) = self.attempt(asking).await {
                return response;
            }
        }
        self.pass_alone(asking, Forward::UriMiss).await
    }

    /// `None`: what it waited for is for others; look again.
    async fn attempt(self: &Arc<Self>, asking: &Asking<'_>) -> Option<Response<CacheBody>> {
        let Some(selected) = self.variants.select(&asking.key, asking.headers) else {
            self.metrics.bypassed.inc();
            return Some(self.pass_alone(asking, Forward::Bypass).await);
        };
        let hash = selected.hash;
        let found = self.memory.get(&hash);
        let stored =
            found.as_ref().filter(|o| o.slice.is_none() && is_for(asking, &o.key, &o.head));
        let purged = stored.map_or(Purged::No, |o| self.purges.check(&o.key, &o.head));
        let lookup = Lookup {
            stored: stored.map(|object| &object.head),
            purged,
            control: &asking.control,
            now: asking.clock.now(),
        };
        let is_on_disk =
            found.is_none() && self.disk.as_ref().is_some_and(|disk| disk.contains(&hash));
        let forward = match (decide(&lookup, &self.settings.policy), stored) {
            (Decision::Serve, Some(object)) => return Some(self.hit(asking, object)),
            (Decision::ServeAndRevalidate, Some(object)) => {
                self.revalidate(asking, object);
                return Some(self.hit(asking, object));
            }
            (Decision::OnlyIfCached, _) if !is_on_disk => {
                return Some(only_if_cached(&self.settings.policy.name));
            }
            (Decision::Revalidate(Why::Stale), Some(object))
                if self.is_failing(&hash, lookup.now)
                    && may_serve_on_error(&lookup, &self.settings.policy) =>
            {
                // Nobody waits for an origin that is known to be down; it is tried on the side.
                self.revalidate(asking, object);
                return Some(self.hit(asking, object));
            }
            (Decision::Revalidate(Why::Request), _) => Forward::Request,
            (Decision::Revalidate(_), _) => Forward::Stale,
            _ if selected.varies => Forward::VaryMiss,
            _ => Forward::UriMiss,
        };
        let prior = stored.filter(|_| purged != Purged::Hard).cloned();
        if prior.is_none() && !is_on_disk {
            if let Some(object) = self.assemble(asking, &hash) {
                return Some(self.hit(asking, &object));
            }
            if let Some(whole) = self.sliced(asking, &hash) {
                return self.answer_sliced(asking, hash, whole, forward).await;
            }
        }
        let is_private = self.is_private(&hash, asking.clock.now());
        let is_head = asking.method == Method::HEAD;
        if is_head && (is_private || !(is_on_disk || self.is_filling(&hash))) {
            return Some(self.pass_head(asking, forward, prior.as_ref()).await);
        }
        if is_private {
            return Some(self.pass_alone(asking, forward).await);
        }
        let known = found.as_ref().map(Arc::as_ptr);
        match self.join_known(asking, hash, prior, known) {
            Joined::LookAgain => None,
            Joined::TooMany => {
                let error = FetchError::Overloaded { upstream: "origin".to_owned() };
                Some(self.fail(asking, &error, &CacheStatus::forwarded(forward)))
            }
            Joined::Fill { fill, is_leader } => {
                self.follow(asking, hash, &fill, is_leader, forward).await
            }
        }
    }

    async fn follow(
        self: &Arc<Self>,
        asking: &Asking<'_>,
        hash: KeyHash,
        fill: &Arc<Fill>,
        is_leader: bool,
        forward: Forward,
    ) -> Option<Response<CacheBody>> {
        let mut status = CacheStatus::forwarded(forward);
        status.is_collapsed = !is_leader;
        match fill.outcome().await {
            Outcome::Streaming(filling) => {
                let head = &filling.head;
                if !is_for(asking, &asking.key, head) {
                    return None;
                }
                if !is_leader && self.purges.check(&asking.key, head) == Purged::Hard {
                    self.forget(hash, fill);
                    return None;
                }
                if !is_leader && !filling.is_shared {
                    return Some(self.pass_alone(asking, forward).await);
                }
                if filling.is_from_disk {
                    status = self.count_disk_hit(asking, head);
                } else {
                    if is_leader { &self.metrics.misses } else { &self.metrics.collapsed }.inc();
                    status.forward_status = Some(head.status.as_u16());
                    status.is_stored = true;
                }
                let source = Source::Filling(fill.clone());
                Some(self.respond(asking, head, source, filling.len_bytes, status))
            }
            Outcome::Object { object, origin } => {
                if !is_for(asking, &object.key, &object.head) {
                    return None;
                }
                Some(self.follow_object(asking, object, *origin, status))
            }
            Outcome::Private(refusal) => match is_leader.then(|| fill.take_private()).flatten() {
                Some(response) => {
                    self.metrics.misses.inc();
                    status.detail = Some(refusal.as_str());
                    Some(self.pass_response(asking, response, status))
                }
                // What the first one brought with it is no reason to go alone.
                None if *refusal == Refusal::Loop => None,
                None => Some(self.pass_alone(asking, forward).await),
            },
            Outcome::Reshaped => None,
            Outcome::Failed(error) => Some(self.fail(asking, error, &status)),
        }
    }

    /// Of an object that is still being read.
    fn count_disk_hit(&self, asking: &Asking<'_>, head: &StoredHead) -> CacheStatus {
        self.metrics.disk_hits.inc();
        for row in self.tags.counters(&head.tags) {
            row.hits.fetch_add(1, Ordering::Relaxed);
        }
        let ttl_seconds = head.ttl_seconds(asking.clock.now());
        CacheStatus { detail: Some("disk"), ..CacheStatus::hit(ttl_seconds) }
    }

    fn follow_object(
        self: &Arc<Self>,
        asking: &Asking<'_>,
        object: &Arc<Object>,
        origin: ObjectOrigin,
        mut status: CacheStatus,
    ) -> Response<CacheBody> {
        let now = asking.clock.now();
        match origin {
            ObjectOrigin::Disk => {
                self.metrics.disk_hits.inc();
                object.count_hit();
                if !object.head.is_fresh(now) {
                    self.revalidate(asking, object);
                }
                status = CacheStatus::hit(object.head.ttl_seconds(now));
                status.detail = Some("disk");
            }
            ObjectOrigin::Validated => {
                if status.is_collapsed { &self.metrics.collapsed } else { &self.metrics.misses }
                    .inc();
                status.forward_status = Some(StatusCode::NOT_MODIFIED.as_u16());
                status.is_stored = true;
                status.ttl_seconds = Some(object.head.ttl_seconds(now));
            }
            ObjectOrigin::OnError(code) => {
                self.metrics.stale_hits.inc();
                status.forward_status = code;
                status.ttl_seconds = Some(object.head.ttl_seconds(now));
                status.detail = Some("stale-if-error");
            }
        }
        self.respond_object(asking, object, status)
    }

    fn hit(self: &Arc<Self>, asking: &Asking<'_>, object: &Arc<Object>) -> Response<CacheBody> {
        let now = asking.clock.now();
        let earlier = object.count_hit();
        // The second request; and later ones, ever more rarely, where the disk was busy then.
        let is_time = earlier == 0 || earlier.is_power_of_two();
        if is_time && object.wants_disk() && self.memory.pool(object) == Pool::Vod {
            self.keep_on_disk(object.clone());
        }
        let is_fresh = object.head.is_fresh(now);
        if is_fresh { &self.metrics.memory_hits } else { &self.metrics.stale_hits }.inc();
        let status = CacheStatus::hit(object.head.ttl_seconds(now));
        self.respond_object(asking, object, status)
    }

    /// Asks the origin behind the viewer's back; one such request at a time.
    fn revalidate(self: &Arc<Self>, asking: &Asking<'_>, object: &Arc<Object>) {
        if self.is_private(&object.hash, asking.clock.now()) {
            return;
        }
        self.join(asking.errand(object.hash, Some(object.clone())));
    }

    fn join_known(
        self: &Arc<Self>,
        asking: &Asking<'_>,
        hash: KeyHash,
        prior: Option<Arc<Object>>,
        known: Option<*const Object>,
    ) -> Joined {
        // A fill that ended between look-up and now has put its object into memory.
        let is_current = self.memory.get(&hash).as_ref().map(Arc::as_ptr) == known;
        if !is_current && !self.fills.lock().expect("no holder panics").contains_key(&hash) {
            return Joined::LookAgain;
        }
        self.join(asking.errand(hash, prior))
    }

    pub(super) fn join(self: &Arc<Self>, errand: Errand<'_>) -> Joined {
        let Errand { key, hash, prior, headers, clock, permit, slice } = errand;
        let mut fills = self.fills.lock().expect("no holder panics");
        if let Some(fill) = fills.get(&hash) {
            return Joined::Fill { fill: fill.clone(), is_leader: false };
        }
        // Under the lock: fills leave the table after their object is in memory.
        let now_stored = self.memory.get(&hash);
        let is_changed = match (&now_stored, &prior) {
            (Some(new), Some(old)) => !Arc::ptr_eq(new, old),
            (Some(new), None) => self.purges.check(key, &new.head) != Purged::Hard,
            (None, _) => false,
        };
        if is_changed && now_stored.is_some_and(|new| new.head.is_fresh(clock.now())) {
            return Joined::LookAgain;
        }
        if fills.len() >= FILLS_MAX {
            return Joined::TooMany;
        }
        let fill = Arc::new(Fill::new(self.metrics.clone()));
        fills.insert(hash, fill.clone());
        drop(fills);
        let forwarded = &self.settings.forwarded_headers;
        let mut request = fill_request(key, Method::GET, headers, forwarded);
        if let Some(job) = &slice {
            let start = job.slice.index * self.settings.slice_bytes;
            let last = (start + self.settings.slice_bytes).min(job.slice.whole.len_bytes) - 1;
            let range = HeaderValue::try_from(format!("bytes={start}-{last}"));
            request.headers_mut().insert(header::RANGE, range.expect("digits make a value"));
        }
        let job = Job {
            key: key.clone(),
            hash,
            request,
            may_slice: slice.is_none() && self.may_slice(&Method::GET, headers, &hash),
            slice,
            viewer: headers.clone(),
            prior,
            clock,
            fill: fill.clone(),
            permit,
        };
        tokio::spawn(self.clone().run(job));
        Joined::Fill { fill, is_leader: true }
    }

    fn forget(&self, hash: KeyHash, fill: &Arc<Fill>) {
        let mut fills = self.fills.lock().expect("no holder panics");
        if fills.get(&hash).is_some_and(|known| Arc::ptr_eq(known, fill)) {
            fills.remove(&hash);
        }
    }

    pub(super) fn respond_object(
        &self,
        asking: &Asking<'_>,
        object: &Object,
        status: CacheStatus,
    ) -> Response<CacheBody> {
        let source = Source::Whole(object.body.clone());
        self.respond(asking, &object.head, source, Some(object.body.len_bytes()), status)
    }

    pub(super) fn respond(
        &self,
        asking: &Asking<'_>,
        head: &StoredHead,
        source: Source,
        len_bytes: Option<u64>,
        status: CacheStatus,
    ) -> Response<CacheBody> {
        let asked = Asked {
            method: asking.method,
            headers: asking.headers,
            now: asking.clock.now(),
            cache_name: &self.settings.policy.name,
        };
        respond(&asked, Stored { head, source, len_bytes }, &status)
    }

    pub(super) fn fail(
        &self,
        asking: &Asking<'_>,
        error: &FetchError,
        status: &CacheStatus,
    ) -> Response<CacheBody> {
        tracing::warn!(key = asking.key.as_str(), %error, "no answer from the origin");
        failure(error, status, &self.settings.policy.name)
    }

    pub(super) fn remember_private(&self, hash: KeyHash, now: SystemTime) {
        self.private.insert(hash, now + self.settings.private_memory);
    }

    /// For a moment, a failed origin isn't waited for where something stale may be sent.
    pub(super) fn remember_failing(&self, hash: KeyHash, now: SystemTime) {
        self.failing.insert(hash, now + self.settings.failure_memory);
    }

    fn is_failing(&self, hash: &KeyHash, now: SystemTime) -> bool {
        self.failing.get(hash).is_some_and(|until| now < until)
    }

    pub(super) fn is_private(&self, hash: &KeyHash, now: SystemTime) -> bool {
        self.private.get(hash).is_some_and(|until| now < until)
    }
}

/// Whether a stored answer is the one for a request: same key, same selecting values
/// (RFC 9111 4.1). Hashes found it; this makes sure.
fn is_for(asking: &Asking<'_>, key: &CacheKey, head: &StoredHead) -> bool {
    *key == asking.key && matches_selecting(&head.selecting, asking.headers)
}

pub(super) fn matches_selecting(stored: &SelectingValues, request: &HeaderMap) -> bool {
    let names = super::policy::VaryNames(stored.iter().map(|(name, _)| name.clone()).collect());
    stored.is_empty()
        || super::policy::selecting_values(&names, request).is_some_and(|found| found == *stored)
}

/// RFC 9111 5.2.1.7. Not forwarded and not from the cache either: no `hit` and no `fwd`, but a word
/// why.
fn only_if_cached(cache_name: &str) -> Response<CacheBody> {
    let mut response = problem(StatusCode::GATEWAY_TIMEOUT, "not_cached");
    let status = CacheStatus {
        is_made_here: true,
        detail: Some("only-if-cached"),
        ..CacheStatus::default()
    };
    status.append_to(response.headers_mut(), cache_name);
    response
}
