//! Upstreams over real sockets, with doubles that misbehave in every way.

mod double;
mod faults;
mod http2;
mod http3;
mod mutual;
mod policy;
mod requests;
mod tls;

use std::time::{Duration, Instant};

use edge::fetch::{Fetch, FetchError};
use edge::upstream::Upstreams;
use http::{Request, Response};
use http_body_util::BodyExt;
use platform::config;

/// Times short enough to test with, and long enough for a busy machine.
fn fast() -> config::Fetch {
    config::Fetch {
        name: Some("edge-under-test".to_owned()),
        connect_timeout_seconds: 1.0,
        first_byte_timeout_seconds: 0.6,
        idle_timeout_seconds: 0.6,
        total_timeout_seconds: 2.0,
        queue_timeout_seconds: 0.3,
        health_interval_seconds: 0.0,
        hedge: false,
        ..config::Fetch::default()
    }
}

fn upstream(url: &str) -> config::Upstream {
    config::Upstream {
        url: url.to_owned(),
        weight: 1,
        protocol: config::UpstreamProtocol::Auto,
        secret: None,
        ca: None,
        client_certificate: None,
        client_key: None,
    }
}

fn start(fetch: &config::Fetch, urls: &[String]) -> Upstreams {
    let upstreams: Vec<_> = urls.iter().map(|url| upstream(url)).collect();
    Upstreams::start(fetch, &upstreams).unwrap()
}

fn get(path: &str) -> Request<()> {
    Request::get(path).body(()).unwrap()
}

/// Fetches the whole of a path, in bounded time whatever happens.
async fn fetch(upstreams: &Upstreams, path: &str) -> Result<Response<Vec<u8>>, FetchError> {
    fetch_with(upstreams, get(path)).await
}

async fn fetch_with(
    upstreams: &Upstreams,
    request: Request<()>,
) -> Result<Response<Vec<u8>>, FetchError> {
    let began = Instant::now();
    let whole = async {
        let (parts, body) = upstreams.fetch(request).await?.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        Ok(Response::from_parts(parts, body))
    };
    let outcome = tokio::time::timeout(Duration::from_secs(8), whole).await;
    outcome.unwrap_or_else(|_| panic!("no end after {:?}", began.elapsed()))
}

/// The sum of a counter over all its labels that contain `label`.
fn counted(upstreams: &Upstreams, name: &str, label: &str) -> u64 {
    let mut registry = prometheus_client::registry::Registry::default();
    upstreams.register_metrics(&mut registry);
    let text = platform::telemetry::encode_metrics(&registry).unwrap();
    let is_wanted = |line: &&str| line.starts_with(name) && line.contains(label);
    let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64;
    text.lines().filter(is_wanted).map(value).sum()
}
