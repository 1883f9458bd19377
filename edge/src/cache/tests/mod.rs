//! The cache over an origin that does as it is told.

mod collapse;
mod disk;
mod heads;
mod origin;
mod parts;
mod poison;
mod purges;
mod reuse;
mod tiers;
mod trouble;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;

use self::origin::Origin;
use super::*;
use crate::fetch::FetchError;

/// When tests begin.
fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn later(seconds: u64) -> SystemTime {
    start() + Duration::from_secs(seconds)
}

fn cache(origin: &Origin) -> Cache<Origin> {
    cache_with(origin, Settings::default())
}

fn cache_with(origin: &Origin, settings: Settings) -> Cache<Origin> {
    Cache::open(origin.clone(), settings, CacheMetrics::default())
}

fn request(target: &str, lines: &[(&str, &str)]) -> Request<()> {
    let mut builder = Request::get(target).header("host", "cdn.example");
    for (name, value) in lines {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap()
}

/// A whole answer.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Result<Bytes, FetchError>,
}

impl Answer {
    async fn of(response: Response<CacheBody>) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes);
        Self { status: parts.status, headers: parts.headers, body }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn cache_status(&self) -> &str {
        self.header("cache-status")
    }

    fn text(&self) -> &str {
        std::str::from_utf8(self.body.as_ref().unwrap()).unwrap()
    }
}

async fn get(cache: &Cache<Origin>, target: &str, now: SystemTime) -> Answer {
    get_with(cache, target, &[], now).await
}

async fn get_with(
    cache: &Cache<Origin>,
    target: &str,
    lines: &[(&str, &str)],
    now: SystemTime,
) -> Answer {
    Answer::of(cache.answer(request(target, lines), now).await).await
}

async fn call(cache: &Cache<Origin>, method: Method, target: &str, now: SystemTime) -> Answer {
    let mut request = request(target, &[]);
    *request.method_mut() = method;
    Answer::of(cache.answer(request, now).await).await
}

/// Lets tasks that were started come to rest.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Bytes that differ from place to place.
fn noise(count: usize) -> Bytes {
    (0..count).map(|i| (i * 31 + i / 251) as u8).collect()
}
