//! Requests that go past what is stored: other methods, what only one viewer may have.

use std::time::SystemTime;

use http::header::{self, HeaderName};
use http::{Method, Request, Response, StatusCode};

use super::answer::Asking;
use super::body::CacheBody;
use super::forward::{fill_request, passed_request};
use super::front::Shared;
use super::key::CacheKey;
use super::policy::{CacheStatus, Forward, strip_connection};
use super::purge::{Purge, Scope};
use super::writer::content_length;
use crate::fetch::{Fetch, FetchBody};

/// What a viewer's request has that changes only which part of the answer is sent.
const CONDITIONS: [HeaderName; 4] =
    [header::RANGE, header::IF_RANGE, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];

impl<F: Fetch> Shared<F> {
    /// A request of its own for what may not be shared; the origin sees the viewer's conditions.
    pub(super) async fn pass_alone(
        &self,
        asking: &Asking<'_>,
        forward: Forward,
    ) -> Response<CacheBody> {
        self.metrics.misses.inc();
        self.pass_request(asking, self.alone_request(asking), forward).await
    }

    /// What of a viewer's request may reach the origin, its conditions included.
    pub(super) fn alone_request(&self, asking: &Asking<'_>) -> Request<()> {
        let forwarded = &self.settings.forwarded_headers;
        let mut request =
            fill_request(&asking.key, asking.method.clone(), asking.headers, forwarded);
        for name in CONDITIONS {
            if let Some(value) = asking.headers.get(&name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        request
    }

    pub(super) async fn pass(&self, asking: &Asking<'_>, forward: Forward) -> Response<CacheBody> {
        let method = asking.method.clone();
        let request = passed_request(&asking.key, asking.target, method, asking.headers);
        self.pass_request(asking, request, forward).await
    }

    async fn pass_request(
        &self,
        asking: &Asking<'_>,
        request: Request<()>,
        forward: Forward,
    ) -> Response<CacheBody> {
        let mut status = CacheStatus::forwarded(forward);
        // On the heap: an upstream's future is some kilobytes, which every hit would carry along.
        match Box::pin(self.fetch(request)).await {
            Ok(response) => {
                status.forward_status = Some(response.status().as_u16());
                self.pass_response(asking, response, status)
            }
            Err(error) => self.fail(asking, &error, &status),
        }
    }

    /// Methods that fill nothing. An unsafe one that succeeded makes what is stored under its URL
    /// and under those that it names invalid (RFC 9111 4.4).
    pub(super) async fn pass_method(&self, asking: &Asking<'_>) -> Response<CacheBody> {
        self.metrics.bypassed.inc();
        let response = self.pass(asking, Forward::Method).await;
        let status = response.status();
        let is_done = status.is_success() || status.is_redirection();
        if !asking.method.is_safe() && is_done {
            let named = [header::LOCATION, header::CONTENT_LOCATION];
            let named = named.iter().filter_map(|name| response.headers().get(name)?.to_str().ok());
            let keys: Vec<_> = named.filter_map(|uri| self.same_host(&asking.key, uri)).collect();
            for key in keys.into_iter().chain([asking.key.clone()]) {
                self.invalidate(key, false, asking.clock.now());
            }
        }
        response
    }

    /// Other hosts' answers are none of this origin's business (RFC 9111 4.4).
    fn same_host(&self, key: &CacheKey, uri: &str) -> Option<CacheKey> {
        let uri: http::Uri = uri.parse().ok()?;
        let is_own =
            uri.authority().is_none_or(|host| host.as_str().eq_ignore_ascii_case(key.host()));
        let target = uri.path_and_query()?.as_str();
        CacheKey::new(key.host(), target, &self.settings.query_allowed).filter(|_| is_own)
    }

    /// Purges on behalf of what an origin said, not of an operator: nobody waits for the disk.
    pub(super) fn invalidate(&self, key: CacheKey, is_soft: bool, now: SystemTime) {
        let purge = Purge { scope: Scope::Url(key), is_soft };
        let stamp = self.purges.apply(&purge, now);
        if let Some(log) = self.purge_log.clone() {
            tokio::task::spawn_blocking(move || log.append(&purge, stamp, false));
        }
    }

    pub(super) fn pass_response(
        &self,
        asking: &Asking<'_>,
        response: Response<FetchBody>,
        mut status: CacheStatus,
    ) -> Response<CacheBody> {
        let (mut parts, body) = response.into_parts();
        status.forward_status = Some(parts.status.as_u16());
        strip_connection(&mut parts.headers);
        let is_empty = asking.method == Method::HEAD
            || matches!(parts.status, StatusCode::NOT_MODIFIED | StatusCode::NO_CONTENT);
        let len_bytes = content_length(&parts.headers).filter(|_| !is_empty);
        status.append_to(&mut parts.headers, &self.settings.policy.name);
        let body = CacheBody::passed(body, len_bytes, self.settings.idle_timeout);
        Response::from_parts(parts, body)
    }
}
