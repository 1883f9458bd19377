//! What a hit costs: processor time of an answer of 2 KiB from memory, without a socket.
//!
//! ```text
//! cargo run --release -p edge --example cache_hit [REQUESTS]
//! ```

use std::time::{Duration, Instant, SystemTime};

use edge::cache::{Cache, CacheMetrics, Settings};
use edge::fetch::{Fetch, FetchBody, FetchError};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};

#[derive(Clone)]
struct Origin;

impl Fetch for Origin {
    async fn fetch(&self, _: Request<()>) -> Result<Response<FetchBody>, FetchError> {
        let body = Full::new(bytes::Bytes::from(vec![7; 2_048]));
        let response = Response::builder()
            .header("cache-control", "public, max-age=3600")
            .header("content-type", "application/vnd.apple.mpegurl")
            .header("etag", "\"5f2a\"")
            .header("cache-tag", "film")
            .body(body.map_err(|never| match never {}).boxed_unsync());
        Ok(response.expect("good headers"))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let count = std::env::args().nth(1).map_or(200_000, |count| count.parse().expect("a count"));
    let cache = Cache::open(Origin, Settings::default(), CacheMetrics::default());
    let now = SystemTime::now();
    let ask = || async {
        let request = Request::get("/vod/film/media.m3u8").header("host", "cdn.example");
        let response = cache.answer(request.body(()).expect("a good request"), now).await;
        response.into_body().collect().await.expect("a body").to_bytes().len()
    };
    ask().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let start = Instant::now();
    for _ in 0..count {
        assert_eq!(ask().await, 2_048);
    }
    let each = start.elapsed().as_secs_f64() * 1e6 / f64::from(count);
    report(&format!(
        "{count} hits, {each:.2} µs each; from memory: {}",
        cache.metrics().memory_hits.get()
    ));
}

#[expect(clippy::print_stdout, reason = "the figures are what the program is for")]
fn report(line: &str) {
    println!("{line}");
}
