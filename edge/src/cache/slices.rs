//! Large objects, slice by slice.
//!
//! A viewer who asks for a range far inside a large object must not wait for what lies before it, and
//! an object that is too large to be kept whole is still worth keeping where it is watched. So a
//! range of an object of more than `sliced_from_bytes` is answered from slices of `slice_bytes`,
//! aligned, each of them fetched once for all who want it, by `Range`, through the same fills as
//! whole objects. They lie in memory under names of their own: nothing that looks for a whole object
//! finds one. Slices are put together only under one strong tag and one length (RFC 9111 3.4); when
//! all of them are there, they are a whole object.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use http::header::{ACCEPT_RANGES, CONTENT_RANGE, HeaderValue, IF_RANGE, RANGE};
use http::{HeaderMap, Method, Response, StatusCode};

use super::answer::{Asking, Errand, Joined, matches_selecting};
use super::body::{CacheBody, SliceSource, Source};
use super::fill::{Fill, FillHead, Outcome};
use super::front::Shared;
use super::key::{CacheKey, KeyHash};
use super::object::Object;
use super::pieces::Pieces;
use super::policy::{
    CacheStatus, Decision, Forward, Lookup, Purged, Refusal, RequestControl, StoredHead,
    content_range, decide, one_range,
};
use super::resume::strong_etag;
use super::writer::{Clock, Guard, Job, Times, content_length};
use crate::fetch::{Fetch, FetchBody, FetchError};

/// How often a slice is looked for anew when what was waited for turned out to be something else.
const ATTEMPTS_MAX: usize = 4;

/// Slices of one object that are looked for when it goes; a terabyte in slices of a mebibyte.
const SLICES_MAX: u64 = 1 << 20;

/// Which bytes of which representation a slice holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Slice {
    pub index: u64,
    pub whole: Arc<Whole>,
}

/// A representation that is known to be large.
#[derive(Debug, Eq, PartialEq)]
pub struct Whole {
    pub len_bytes: u64,
    pub etag: HeaderValue,
}

/// What a job for a slice has to bring.
#[derive(Clone, Debug)]
pub(super) struct SliceJob {
    pub slice: Slice,
    /// Of the whole object.
    pub whole_hash: KeyHash,
}

/// Why there is no slice.
enum Missing {
    /// The representation is another one, or has no slices: look again.
    Reshaped,
    Private,
    Failed(FetchError),
}

/// A slice at hand, or on its way.
struct Found {
    head: StoredHead,
    source: Source,
    status: CacheStatus,
}

/// Names a slice. Hashes of whole objects are made of other texts.
fn slice_hash(whole: &KeyHash, index: u64, slice_bytes: u64) -> KeyHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"\0slice\0").update(&whole.0);
    hasher.update(&index.to_le_bytes()).update(&slice_bytes.to_le_bytes());
    KeyHash::of(&hasher)
}

/// The part of an object that a request asks for; `None` when it gets the whole or an error, with
/// another representation in mind, too (RFC 9110 13.1.5).
fn part_of(request: &HeaderMap, whole: &Whole) -> Option<Range<u64>> {
    let range = one_range(request, whole.len_bytes)?;
    let is_all = range.start == 0 && range.end == whole.len_bytes;
    let is_meant = request.get(IF_RANGE).is_none_or(|tag| *tag == whole.etag);
    (is_meant && !is_all).then_some(range)
}

/// One object's slices for one viewer.
struct Slices<F> {
    shared: Arc<Shared<F>>,
    key: CacheKey,
    whole_hash: KeyHash,
    whole: Arc<Whole>,
    headers: HeaderMap,
    clock: Clock,
}

impl<F: Fetch> Shared<F> {
    /// Whether a request may be answered with slices, once its object is known to be large.
    pub(super) fn may_slice(&self, method: &Method, headers: &HeaderMap, hash: &KeyHash) -> bool {
        method == Method::GET
            && headers.contains_key(RANGE)
            && one_range(headers, u64::MAX)
                .is_some_and(|range| range.start > 0 || range.end < u64::MAX)
            && self.no_ranges.get(hash).is_none()
    }

    /// Looks at an answer that was asked for as a whole: is it large, and can it be sliced?
    pub(super) fn note_large(
        &self,
        job: &Job,
        hash: KeyHash,
        response: &Response<FetchBody>,
    ) -> bool {
        let headers = response.headers();
        let (Some(etag), Some(len_bytes)) = (strong_etag(headers), content_length(headers)) else {
            return false;
        };
        let refuses = headers.get(ACCEPT_RANGES).is_some_and(|value| value == "none");
        let is_large = response.status() == StatusCode::OK
            && len_bytes > self.settings.sliced_from_bytes
            && !headers.contains_key(CONTENT_RANGE)
            && !refuses
            && self.no_ranges.get(&hash).is_none();
        let whole = Arc::new(Whole { len_bytes, etag: etag.clone() });
        let is_better = is_large && job.may_slice && part_of(&job.viewer, &whole).is_some();
        if is_large {
            self.large.insert(hash, whole);
        }
        is_better
    }

    /// The slices of an object that isn't kept whole, where they answer this request better than a
    /// fill of the whole.
    pub(super) fn sliced(&self, asking: &Asking<'_>, hash: &KeyHash) -> Option<Arc<Whole>> {
        let whole = self.large.get(hash)?;
        let range = part_of(asking.headers, &whole)?;
        if !self.may_slice(asking.method, asking.headers, hash) {
            return None;
        }
        let fills = self.fills.lock().expect("no holder panics");
        let reached = fills.get(hash).map(|fill| fill.len_bytes());
        let is_near = reached.is_some_and(|at| at + self.settings.slice_bytes >= range.start);
        (!is_near).then_some(whole)
    }

    /// `None`: the object isn't what it was thought to be; look again.
    pub(super) async fn answer_sliced(
        self: &Arc<Self>,
        asking: &Asking<'_>,
        hash: KeyHash,
        whole: Arc<Whole>,
        forward: Forward,
    ) -> Option<Response<CacheBody>> {
        let range = one_range(asking.headers, whole.len_bytes)?;
        let slices = Slices {
            shared: self.clone(),
            key: asking.key.clone(),
            whole_hash: hash,
            whole: whole.clone(),
            headers: asking.headers.clone(),
            clock: asking.clock,
        };
        match slices.find(range.start / self.settings.slice_bytes, forward).await {
            Ok(found) => {
                let source = Source::Sliced(Arc::new(slices));
                let len_bytes = Some(whole.len_bytes);
                Some(self.respond(asking, &found.head, source, len_bytes, found.status))
            }
            Err(Missing::Reshaped) => None,
            Err(Missing::Private) => Some(self.pass_alone(asking, forward).await),
            Err(Missing::Failed(error)) => {
                Some(self.fail(asking, &error, &CacheStatus::forwarded(forward)))
            }
        }
    }

    /// Stores the answer to a request for a slice while it comes in.
    pub(super) async fn take_slice(
        self: &Arc<Self>,
        job: &Job,
        wanted: &SliceJob,
        guard: &mut Guard<'_>,
        response: Response<FetchBody>,
        (times, stamp): (Times, u64),
    ) -> Result<(), FetchError> {
        let Some(whole) = self.whole_of(&response, wanted.slice.index) else {
            let is_understood = response.status().is_success();
            self.large.remove(&wanted.whole_hash);
            if is_understood {
                self.no_ranges.insert(wanted.whole_hash, ());
            }
            guard.release();
            match is_understood {
                true => job.fill.resolve(Outcome::Reshaped),
                false => job.fill.resolve_private(Refusal::Status, response),
            }
            return Ok(());
        };
        let (mut parts, body) = response.into_parts();
        parts.headers.remove(CONTENT_RANGE);
        let len_bytes = self.slice_len_bytes(&whole, wanted.slice.index);
        // The head of the whole: what may be done with a part is said of all of it (RFC 9111 3.3).
        let head = self.storable_head(
            job,
            (StatusCode::OK, &parts.headers),
            Some(len_bytes),
            times,
            stamp,
        );
        let is_same_variant =
            |head: &StoredHead| job.key.variant_hash(&head.selecting) == wanted.whole_hash;
        let head = match head {
            Ok(head) if is_same_variant(&head) => head,
            refused => {
                self.large.remove(&wanted.whole_hash);
                if refused.is_err() {
                    self.remember_private(wanted.whole_hash, job.clock.now());
                }
                guard.release();
                let refusal = refused.err().unwrap_or(Refusal::Vary);
                job.fill.resolve_private(refusal, Response::from_parts(parts, body));
                return Ok(());
            }
        };
        let slice = Slice { index: wanted.slice.index, whole: whole.clone() };
        if whole != wanted.slice.whole {
            self.large.insert(wanted.whole_hash, whole);
        }
        let is_shared = head.is_fresh(job.clock.now()) && !head.control.no_cache;
        let fill_head = FillHead {
            head: head.clone(),
            len_bytes: Some(len_bytes),
            is_shared,
            slice: Some(slice.clone()),
            is_from_disk: false,
        };
        job.fill.resolve(Outcome::Streaming(Arc::new(fill_head)));
        let result = self.pump(job, &head, body, Some(len_bytes)).await;
        if result.is_ok() {
            let body = Arc::new(job.fill.whole().compact());
            let counters = self.tags.filled(&head.tags, body.len_bytes());
            let object = Object::new(job.key.clone(), head, body, counters);
            self.insert(Arc::new(object.into_slice(job.hash, slice)));
        } else {
            self.metrics.broken_fills.inc();
        }
        result
    }

    /// What a 206 says of the whole, if it is the slice that was asked for.
    fn whole_of(&self, response: &Response<FetchBody>, index: u64) -> Option<Arc<Whole>> {
        let headers = response.headers();
        let part = content_range(headers.get(CONTENT_RANGE)?)?;
        let whole = Arc::new(Whole { len_bytes: part.total?, etag: strong_etag(headers)?.clone() });
        let start = index.checked_mul(self.settings.slice_bytes)?;
        let len_bytes = self.slice_len_bytes(&whole, index);
        let is_it = response.status() == StatusCode::PARTIAL_CONTENT
            && part.start == start
            && part.end - part.start == len_bytes
            && content_length(headers).is_none_or(|len| len == len_bytes);
        is_it.then_some(whole)
    }

    fn slice_len_bytes(&self, whole: &Whole, index: u64) -> u64 {
        let start = index.saturating_mul(self.settings.slice_bytes);
        whole.len_bytes.saturating_sub(start).min(self.settings.slice_bytes)
    }

    /// Names of the slices that there may be of an object.
    pub(super) fn slice_hashes(&self, whole_hash: &KeyHash) -> Vec<KeyHash> {
        let slice_bytes = self.settings.slice_bytes;
        let len_bytes = self.large.get(whole_hash).map_or(0, |whole| whole.len_bytes);
        let indices = 0..len_bytes.div_ceil(slice_bytes).min(SLICES_MAX);
        indices.map(|index| slice_hash(whole_hash, index, slice_bytes)).collect()
    }

    /// A whole object out of slices, when all of them are there and fresh.
    pub(super) fn assemble(&self, asking: &Asking<'_>, hash: &KeyHash) -> Option<Arc<Object>> {
        let whole = self.large.get(hash)?;
        if whole.len_bytes > self.settings.object_bytes_max {
            return None;
        }
        let mut oldest: Option<StoredHead> = None;
        let mut body = Pieces::default();
        let hashes = self.slice_hashes(hash);
        for (index, slice) in hashes.iter().enumerate() {
            let object = self.memory.get(slice)?;
            let wanted = Slice { index: index as u64, whole: whole.clone() };
            let head = &object.head;
            let is_good = object.slice.as_ref() == Some(&wanted)
                && object.key == asking.key
                && matches_selecting(&head.selecting, asking.headers)
                && self.purges.check(&object.key, head) == Purged::No
                && head.is_fresh(asking.clock.now())
                && object.body.len_bytes() == self.slice_len_bytes(&whole, index as u64);
            if !is_good {
                return None;
            }
            object.body.iter().for_each(|bytes| body.push(bytes.clone()));
            // The whole is as old as its oldest part.
            if oldest.as_ref().is_none_or(|oldest| head.response_time < oldest.response_time) {
                oldest = Some(head.clone());
            }
        }
        let counters = self.tags.counters(&oldest.as_ref()?.tags);
        let object = Arc::new(Object::new(asking.key.clone(), oldest?, Arc::new(body), counters));
        if object.body.len_bytes() != whole.len_bytes || object.hash != *hash {
            return None;
        }
        self.memory.insert(object.clone());
        hashes.iter().for_each(|hash| self.memory.remove(hash));
        Some(object)
    }
}

impl<F: Fetch> Slices<F> {
    async fn find(&self, index: u64, forward: Forward) -> Result<Found, Missing> {
        for _ in 0..ATTEMPTS_MAX {
            let (object, prior) = self.look(index);
            if let Some(object) = object {
                let head = object.head.clone();
                object.count_hit();
                let now = self.clock.now();
                let is_fresh = head.is_fresh(now);
                let metrics = &self.shared.metrics;
                if is_fresh { &metrics.memory_hits } else { &metrics.stale_hits }.inc();
                let status = CacheStatus::hit(head.ttl_seconds(now));
                return Ok(Found { head, source: Source::Whole(object.body.clone()), status });
            }
            match self.join(index, prior) {
                Joined::LookAgain => {}
                Joined::TooMany => {
                    let upstream = "origin".to_owned();
                    return Err(Missing::Failed(FetchError::Overloaded { upstream }));
                }
                Joined::Fill { fill, is_leader } => {
                    return self.follow(index, &fill, is_leader, forward).await;
                }
            }
        }
        Err(Missing::Reshaped)
    }

    /// What is stored of a slice, to be used as it is, or to be validated.
    fn look(&self, index: u64) -> (Option<Arc<Object>>, Option<Arc<Object>>) {
        let shared = &self.shared;
        let hash = slice_hash(&self.whole_hash, index, shared.settings.slice_bytes);
        let Some(object) = shared.memory.get(&hash) else {
            return (None, None);
        };
        if !self.is_mine(index, &object.key, &object.head, object.slice.as_ref()) {
            // Of an earlier representation.
            shared.memory.remove(&hash);
            return (None, None);
        }
        let lookup = Lookup {
            stored: Some(&object.head),
            purged: shared.purges.check(&object.key, &object.head),
            control: &RequestControl::default(),
            now: self.clock.now(),
        };
        match decide(&lookup, &shared.settings.policy) {
            Decision::Serve => (Some(object), None),
            Decision::ServeAndRevalidate => {
                self.join(index, Some(object.clone()));
                (Some(object), None)
            }
            _ if lookup.purged == Purged::Hard => (None, None),
            _ => (None, Some(object)),
        }
    }

    fn is_mine(
        &self,
        index: u64,
        key: &CacheKey,
        head: &StoredHead,
        slice: Option<&Slice>,
    ) -> bool {
        *key == self.key
            && matches_selecting(&head.selecting, &self.headers)
            && slice.is_some_and(|slice| slice.index == index && slice.whole == self.whole)
    }

    fn join(&self, index: u64, prior: Option<Arc<Object>>) -> Joined {
        let hash = slice_hash(&self.whole_hash, index, self.shared.settings.slice_bytes);
        let slice = Slice { index, whole: self.whole.clone() };
        let job = SliceJob { slice, whole_hash: self.whole_hash };
        self.shared.join(Errand {
            key: &self.key,
            hash,
            prior,
            headers: &self.headers,
            clock: self.clock,
            permit: None,
            slice: Some(job),
        })
    }

    async fn follow(
        &self,
        index: u64,
        fill: &Arc<Fill>,
        is_leader: bool,
        forward: Forward,
    ) -> Result<Found, Missing> {
        let mut status = CacheStatus::forwarded(forward);
        status.is_collapsed = !is_leader;
        status.is_stored = true;
        let metrics = &self.shared.metrics;
        let (head, source, slice, code) = match fill.outcome().await {
            Outcome::Streaming(filling) => {
                if !is_leader && !filling.is_shared {
                    return Err(Missing::Private);
                }
                let source = Source::Filling(fill.clone());
                (&filling.head, source, filling.slice.as_ref(), StatusCode::PARTIAL_CONTENT)
            }
            Outcome::Object { object, .. } => {
                let source = Source::Whole(object.body.clone());
                (&object.head, source, object.slice.as_ref(), StatusCode::NOT_MODIFIED)
            }
            Outcome::Private(_) => return Err(Missing::Private),
            Outcome::Reshaped => return Err(Missing::Reshaped),
            Outcome::Failed(error) => return Err(Missing::Failed(error.clone())),
        };
        let is_gone = !is_leader && self.shared.purges.check(&self.key, head) == Purged::Hard;
        if is_gone || !self.is_mine(index, &self.key, head, slice) {
            return Err(Missing::Reshaped);
        }
        if is_leader { &metrics.misses } else { &metrics.collapsed }.inc();
        status.forward_status = Some(code.as_u16());
        Ok(Found { head: head.clone(), source, status })
    }
}

impl<F: Fetch> SliceSource for Slices<F> {
    fn slice_bytes(&self) -> u64 {
        self.shared.settings.slice_bytes
    }

    fn open(
        &self,
        index: u64,
    ) -> Pin<Box<dyn Future<Output = Result<Source, FetchError>> + Send + '_>> {
        Box::pin(async move {
            match self.find(index, Forward::UriMiss).await {
                Ok(found) => Ok(found.source),
                Err(Missing::Failed(error)) => Err(error),
                Err(Missing::Reshaped | Missing::Private) => Err(FetchError::Invalid {
                    upstream: "origin".to_owned(),
                    reason: "the object changed while it was sent".to_owned(),
                }),
            }
        })
    }

    fn prepare(&self, index: u64) {
        if let (None, prior) = self.look(index) {
            self.join(index, prior);
        }
    }
}
