//! A fill that broke off goes on where it stopped.
//!
//! Everyone who follows a fill would otherwise see their transfer break, long after their answer
//! began. The rest is asked for with `Range` and `If-Range` against the strong tag of the first
//! answer (RFC 9110 13.1.5, 14.2): parts with the same strong validator may be put together
//! (RFC 9111 3.4), others never are. Each answer gets a few tries, each in bounded time.

use http::header::{CONTENT_ENCODING, CONTENT_RANGE, ETAG, HeaderValue, IF_RANGE, RANGE};
use http::{HeaderMap, StatusCode};

use super::body::{next_data, wrong_length};
use super::front::Shared;
use super::policy::{ContentRange, StoredHead, content_range};
use super::writer::{Job, content_length};
use crate::fetch::{Fetch, FetchBody, FetchError};

/// Further requests for one answer.
const RESUMES_MAX: u32 = 3;

/// Why bytes stopped coming.
enum Stopped {
    /// The rest may still be had.
    Cut(FetchError),
    /// What came was wrong, or too much.
    Wrong(FetchError),
}

/// An answer on its way in.
struct Inflow {
    body: FetchBody,
    /// Bytes of the object that are in the fill.
    count: u64,
    /// Of the whole object.
    announced: Option<u64>,
    /// Where this answer ends by its own word: at the object's end, or earlier.
    end: Option<u64>,
    /// Bytes that come once more, from an origin that has no ranges.
    skip: u64,
}

impl<F: Fetch> Shared<F> {
    /// Moves a body into its fill, whole or with an error.
    pub(super) async fn pump(
        &self,
        job: &Job,
        head: &StoredHead,
        body: FetchBody,
        announced: Option<u64>,
    ) -> Result<(), FetchError> {
        let inflow = Inflow { body, count: 0, announced, end: announced, skip: 0 };
        self.pump_on(job, head, inflow).await
    }

    /// Gets the rest of an answer whose source failed.
    pub(super) async fn go_on(
        &self,
        job: &Job,
        head: &StoredHead,
        count: u64,
        announced: u64,
        error: FetchError,
    ) -> Result<(), FetchError> {
        match self.resume(job, head, count, Some(announced)).await {
            Some(inflow) => self.pump_on(job, head, inflow).await,
            None => Err(error),
        }
    }

    async fn pump_on(
        &self,
        job: &Job,
        head: &StoredHead,
        mut inflow: Inflow,
    ) -> Result<(), FetchError> {
        for _ in 0..RESUMES_MAX {
            match self.pump_once(job, &mut inflow).await {
                Ok(()) => return Ok(()),
                Err(Stopped::Wrong(error)) => return Err(error),
                Err(Stopped::Cut(error)) => {
                    let Some(next) = self.resume(job, head, inflow.count, inflow.announced).await
                    else {
                        return Err(error);
                    };
                    self.metrics.resumed_fills.inc();
                    let key = job.key.as_str();
                    tracing::info!(key, from = inflow.count, %error, "an answer goes on after a break");
                    inflow = next;
                }
            }
        }
        self.pump_once(job, &mut inflow).await.map_err(|(Stopped::Cut(e) | Stopped::Wrong(e))| e)
    }

    async fn pump_once(&self, job: &Job, inflow: &mut Inflow) -> Result<(), Stopped> {
        let idle = self.settings.idle_timeout;
        while let Some(mut bytes) = next_data(&mut inflow.body, idle).await.map_err(Stopped::Cut)? {
            let known = inflow.skip.min(bytes.len() as u64);
            inflow.skip -= known;
            let bytes = bytes.split_off(known as usize);
            inflow.count += bytes.len() as u64;
            if inflow.end.is_some_and(|end| inflow.count > end) {
                return Err(Stopped::Wrong(wrong_length(inflow.end, inflow.count)));
            }
            if inflow.count > self.settings.object_bytes_max {
                // Next time it is passed on, without a bound and without being kept.
                self.remember_private(job.hash, job.clock.now());
                let reason = format!("more than {} bytes", self.settings.object_bytes_max);
                let error = FetchError::Invalid { upstream: "origin".to_owned(), reason };
                return Err(Stopped::Wrong(error));
            }
            if !bytes.is_empty() {
                job.fill.push(bytes);
            }
        }
        let is_short = inflow.announced.is_some_and(|announced| announced != inflow.count);
        if is_short || inflow.skip > 0 {
            return Err(Stopped::Cut(wrong_length(inflow.announced, inflow.count)));
        }
        Ok(())
    }

    /// Asks for what is missing. `None` when it can't be had for certain.
    async fn resume(
        &self,
        job: &Job,
        head: &StoredHead,
        count: u64,
        announced: Option<u64>,
    ) -> Option<Inflow> {
        let etag = strong_etag(&head.headers).filter(|_| head.status == StatusCode::OK)?;
        if job.slice.is_some() || announced == Some(count) {
            return None;
        }
        let mut request = job.request.clone();
        let headers = request.headers_mut();
        headers.insert(RANGE, HeaderValue::try_from(format!("bytes={count}-")).ok()?);
        headers.insert(IF_RANGE, etag.clone());
        let response = self.fetch(request).await.ok()?;
        let headers = response.headers();
        let is_same = strong_etag(headers) == Some(etag)
            && headers.get(CONTENT_ENCODING) == head.headers.get(CONTENT_ENCODING);
        let (total, end, skip) = match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let part = content_range(headers.get(CONTENT_RANGE)?)?;
                let ContentRange { start, end, total } = part;
                let is_whole = content_length(headers).is_none_or(|len| len == end - start);
                (total?, end, (start == count && is_whole).then_some(0)?)
            }
            // An origin without ranges sends all of it again: what is there is passed over.
            StatusCode::OK if headers.get(CONTENT_RANGE).is_none() => {
                let total = content_length(headers)?;
                (total, total, count)
            }
            _ => return None,
        };
        let is_one_length = announced.is_none_or(|announced| announced == total);
        (is_same && is_one_length).then(|| Inflow {
            body: response.into_body(),
            count,
            announced: Some(total),
            end: Some(end),
            skip,
        })
    }
}

/// A validator that stands for every byte (RFC 9110 8.8.1).
pub(super) fn strong_etag(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut all = headers.get_all(ETAG).iter();
    let etag = all.next()?;
    let is_strong = etag.as_bytes().starts_with(b"\"") && etag.len() > 2;
    (is_strong && all.next().is_none()).then_some(etag)
}
