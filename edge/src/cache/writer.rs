//! The task behind a fill: looks on disk, asks the origin, stores what it may.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use http::header::{CONTENT_LENGTH, HeaderMap};
use http::{Method, Request, Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::fill::{Fill, FillHead, ObjectOrigin, Outcome};
use super::forward::KeepOffDisk;
use super::front::Shared;
use super::key::{CacheKey, KeyHash};
use super::memory::Pool;
use super::object::Object;
use super::policy::{
    Control, Decision, Freshened, Lookup, Refusal, RequestControl, StoredHead, Storing,
    add_validators, decide, freshen, may_serve_on_error, selecting_values, storing,
};
use super::shelf::OnDisk;
use super::slices::SliceJob;
use crate::fetch::{Fetch, FetchBody, FetchError};

/// Fills under way, by what they fill.
pub(super) type Fills = Mutex<HashMap<KeyHash, Arc<Fill>>>;

/// One fill to be done.
pub(super) struct Job {
    pub key: CacheKey,
    pub hash: KeyHash,
    pub request: Request<()>,
    /// Of whoever asked first.
    pub viewer: HeaderMap,
    /// What is stored already, to be validated.
    pub prior: Option<Arc<Object>>,
    pub clock: Clock,
    pub fill: Arc<Fill>,
    /// Only a part is wanted: a large object may come in slices instead.
    pub may_slice: bool,
    /// The part that is to be fetched.
    pub slice: Option<SliceJob>,
    /// A part of the prefetch budget.
    pub permit: Option<OwnedSemaphorePermit>,
}

/// When a request went out, and when its answer came.
pub(super) type Times = (SystemTime, SystemTime);

/// The time that came in with a request, and goes on from there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: SystemTime,
    instant: Instant,
}

impl Clock {
    pub(super) fn start(now: SystemTime) -> Self {
        Self { start: now, instant: Instant::now() }
    }

    pub(super) fn now(&self) -> SystemTime {
        self.start + self.instant.elapsed()
    }
}

/// Takes the fill out of the table and breaks it if its writer ended without a word, as on a panic
/// in an origin's code: nobody waits for ever.
pub(super) struct Guard<'a> {
    fills: &'a Fills,
    hashes: Vec<KeyHash>,
    fill: Arc<Fill>,
}

impl Guard<'_> {
    pub(super) fn release(&mut self) {
        let mut fills = self.fills.lock().expect("no holder panics");
        for hash in self.hashes.drain(..) {
            if fills.get(&hash).is_some_and(|fill| Arc::ptr_eq(fill, &self.fill)) {
                fills.remove(&hash);
            }
        }
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.release();
        if !self.fill.is_finished() {
            let error = FetchError::Unreachable {
                upstream: "origin".to_owned(),
                reason: "the fetch ended without an answer".to_owned(),
            };
            if self.fill.is_asking() {
                self.fill.resolve(Outcome::Failed(error.clone()));
            }
            self.fill.finish(Err(error));
        }
    }
}

impl<F: Fetch> Shared<F> {
    pub(super) async fn run(self: Arc<Self>, mut job: Job) {
        let fill = job.fill.clone();
        let _permit = job.permit.take();
        let mut guard = Guard { fills: &self.fills, hashes: vec![job.hash], fill: fill.clone() };
        if job.prior.is_none() && job.slice.is_none() {
            match self.open_disk(&job).await {
                Some(OnDisk::Large(reading)) => {
                    let result = self.stream_disk(&job, *reading).await;
                    guard.release();
                    fill.finish(result);
                    return;
                }
                Some(OnDisk::Whole(object)) => job.prior = Some(object),
                None => {}
            }
            if let Some(object) = self.usable_as_it_is(&job) {
                self.memory.insert(object.clone());
                guard.release();
                fill.resolve(Outcome::Object { object, origin: ObjectOrigin::Disk });
                fill.finish(Ok(()));
                return;
            }
        }
        let result = self.ask(&job, &mut guard).await;
        guard.release();
        fill.finish(result);
    }

    /// Asks the origin, and once more without condition when it validates something else than what
    /// is stored (RFC 9111 4.3.4).
    async fn ask(self: &Arc<Self>, job: &Job, guard: &mut Guard<'_>) -> Result<(), FetchError> {
        let mut validating = job.prior.as_ref().filter(|prior| prior.head.has_validator());
        loop {
            let stamp = self.purges.stamp();
            let request_time = job.clock.now();
            let mut request = job.request.clone();
            if let Some(prior) = validating {
                add_validators(request.headers_mut(), &prior.head);
            }
            let response = match self.fetch(request).await {
                Ok(response) => response,
                Err(error) => {
                    self.resolve_failed(job, guard, error);
                    return Ok(());
                }
            };
            let times = (request_time, job.clock.now());
            match (response.status(), validating.take()) {
                (StatusCode::NOT_MODIFIED, Some(prior)) => {
                    let headers = response.into_parts().0.headers;
                    let policy = &self.settings.policy;
                    match freshen(&prior.head, headers, times, stamp, policy) {
                        Freshened::Updated(head) => {
                            self.resolve_validated(job, guard, prior, *head);
                            return Ok(());
                        }
                        Freshened::Mismatch => continue,
                    }
                }
                (StatusCode::NOT_MODIFIED, None) => {
                    let reason = "304 to a request without a condition".to_owned();
                    let upstream = "origin".to_owned();
                    self.resolve_failed(job, guard, FetchError::Invalid { upstream, reason });
                    return Ok(());
                }
                (status, _) if is_failure(status) && self.serves_on_error(job) => {
                    self.resolve_stale(job, guard, Some(status.as_u16()));
                    return Ok(());
                }
                _ => {
                    return match &job.slice {
                        Some(slice) => {
                            self.take_slice(job, slice, guard, response, (times, stamp)).await
                        }
                        None => self.take(job, guard, response, times, stamp).await,
                    };
                }
            }
        }
    }

    pub(super) async fn fetch(
        &self,
        request: Request<()>,
    ) -> Result<Response<FetchBody>, FetchError> {
        let answer = tokio::time::timeout(self.settings.fetch_timeout, self.fetch.fetch(request));
        let result = answer
            .await
            .unwrap_or_else(|_| Err(FetchError::Timeout { upstream: "origin".to_owned() }));
        if result.is_err() {
            self.metrics.fetch_errors.inc();
        }
        result
    }

    /// Stores an answer while it comes in, or leaves it to the one who asked.
    async fn take(
        self: &Arc<Self>,
        job: &Job,
        guard: &mut Guard<'_>,
        response: Response<FetchBody>,
        times: Times,
        stamp: u64,
    ) -> Result<(), FetchError> {
        let announced = content_length(response.headers());
        let parts = (response.status(), response.headers());
        let head = self.storable_head(job, parts, announced, times, stamp);
        let hash = head.as_ref().map_or(job.hash, |head| job.key.variant_hash(&head.selecting));
        if matches!(head, Ok(_) | Err(Refusal::TooLarge)) && self.note_large(job, hash, &response) {
            guard.release();
            job.fill.resolve(Outcome::Reshaped);
            return Ok(());
        }
        let head = match head {
            Ok(head) => head,
            Err(refusal) => {
                self.metrics.uncacheable.inc();
                if refusal != Refusal::Loop {
                    self.remember_private(job.hash, job.clock.now());
                }
                guard.release();
                job.fill.resolve_private(refusal, response);
                return Ok(());
            }
        };
        if hash != job.hash {
            guard.hashes.push(hash);
            let mut fills = self.fills.lock().expect("no holder panics");
            fills.entry(hash).or_insert_with(|| job.fill.clone());
        }
        let keep_off_disk = response.extensions().get::<KeepOffDisk>().is_some();
        let is_shared = head.is_fresh(job.clock.now()) && !head.control.no_cache;
        let fill_head = FillHead {
            head: head.clone(),
            len_bytes: announced,
            is_shared,
            slice: None,
            is_from_disk: false,
        };
        job.fill.resolve(Outcome::Streaming(Arc::new(fill_head)));
        let result = self.pump(job, &head, response.into_body(), announced).await;
        match result {
            Ok(()) => self.store(job, head, keep_off_disk),
            Err(ref error) => {
                self.metrics.broken_fills.inc();
                tracing::warn!(key = job.key.as_str(), %error, "an answer broke off");
            }
        }
        result
    }

    pub(super) fn storable_head(
        &self,
        job: &Job,
        (status, headers): (StatusCode, &HeaderMap),
        announced: Option<u64>,
        times: Times,
        stamp: u64,
    ) -> Result<StoredHead, Refusal> {
        let policy = &self.settings.policy;
        let control = Control::of_response(headers, &policy.targeted);
        // RFC 9111 5.2.1.5.
        if policy.client_directives && RequestControl::of_request(&job.viewer).no_store {
            return Err(Refusal::NoStore);
        }
        let names = match storing(&Method::GET, &job.viewer, status, headers, &control) {
            Storing::Store(names) => names,
            Storing::Refuse(refusal) => return Err(refusal),
        };
        let filling = u64::try_from(self.metrics.filling_bytes.get()).unwrap_or(0);
        let expected = announced.unwrap_or(0);
        if expected > self.settings.object_bytes_max
            || filling.saturating_add(expected) > self.settings.filling_bytes_max
        {
            return Err(Refusal::TooLarge);
        }
        let selecting = selecting_values(&names, &job.viewer).ok_or(Refusal::Vary)?;
        let head = StoredHead::new(status, headers.clone(), times, selecting, stamp, policy);
        // Stale on arrival and without a validator it would only be thrown away.
        let grace = head.control.grace(head.control.stale_while_revalidate, Duration::ZERO);
        if !head.is_fresh(times.1) && !head.has_validator() && grace.is_zero() {
            return Err(Refusal::Silent);
        }
        for surplus in self.variants.note(&job.key, &names, &head.selecting) {
            self.memory.remove(&surplus);
            if let Some(disk) = self.disk.clone().filter(|disk| disk.contains(&surplus)) {
                tokio::task::spawn_blocking(move || disk.remove(&surplus));
            }
        }
        Ok(head)
    }

    pub(super) fn store(self: &Arc<Self>, job: &Job, head: StoredHead, keep_off_disk: bool) {
        let body = Arc::new(job.fill.whole().compact());
        let counters = self.tags.filled(&head.tags, body.len_bytes());
        let mut object = Object::new(job.key.clone(), head, body, counters);
        object.keep_off_disk = keep_off_disk;
        // Purged while it came in: nobody would be shown it.
        if !self.is_gone(&object) {
            self.insert(Arc::new(object));
        }
    }

    /// Into memory; to disk when it was asked for before, or lies there in an older form.
    pub(super) fn insert(self: &Arc<Self>, object: Arc<Object>) {
        let is_vod = self.memory.pool(&object) == Pool::Vod;
        let is_known = self.seen.get(&object.hash).is_some();
        self.seen.insert(object.hash, ());
        let is_on_disk = self.disk.as_ref().is_some_and(|disk| disk.contains(&object.hash));
        self.memory.insert(object.clone());
        if is_on_disk || (is_vod && is_known) {
            self.keep_on_disk(object);
        }
    }

    /// What came from disk and needs no origin.
    fn usable_as_it_is(&self, job: &Job) -> Option<Arc<Object>> {
        let object = job.prior.clone()?;
        let lookup = Lookup {
            stored: Some(&object.head),
            purged: self.purges.check(&job.key, &object.head),
            control: &RequestControl::of_request(&job.viewer),
            now: job.clock.now(),
        };
        let decision = decide(&lookup, &self.settings.policy);
        matches!(decision, Decision::Serve | Decision::ServeAndRevalidate).then_some(object)
    }

    fn serves_on_error(&self, job: &Job) -> bool {
        let Some(object) = &job.prior else {
            return false;
        };
        let lookup = Lookup {
            stored: Some(&object.head),
            purged: self.purges.check(&job.key, &object.head),
            control: &RequestControl::of_request(&job.viewer),
            now: job.clock.now(),
        };
        may_serve_on_error(&lookup, &self.settings.policy)
    }

    fn resolve_failed(&self, job: &Job, guard: &mut Guard<'_>, error: FetchError) {
        if self.serves_on_error(job) {
            self.resolve_stale(job, guard, None);
        } else {
            guard.release();
            job.fill.resolve(Outcome::Failed(error));
        }
    }

    fn resolve_stale(&self, job: &Job, guard: &mut Guard<'_>, status: Option<u16>) {
        if let Some(object) = job.prior.clone() {
            self.memory.insert(object.clone());
            self.remember_failing(job.hash, job.clock.now());
            guard.release();
            let origin = ObjectOrigin::OnError(status);
            job.fill.resolve(Outcome::Object { object, origin });
        }
    }

    fn resolve_validated(
        self: &Arc<Self>,
        job: &Job,
        guard: &mut Guard<'_>,
        prior: &Object,
        head: StoredHead,
    ) {
        self.metrics.validated.inc();
        let object = Arc::new(prior.with_head(head));
        self.insert(object.clone());
        guard.release();
        job.fill.resolve(Outcome::Object { object, origin: ObjectOrigin::Validated });
    }
}

/// Statuses that RFC 5861 4 lets a stale answer stand in for.
pub(super) fn is_failure(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
