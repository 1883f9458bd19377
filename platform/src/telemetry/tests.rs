//! Requests through the observing layer, and the text of the metrics.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use prometheus_client::registry::Registry;
use tower::ServiceExt;

use super::*;

fn route_of(path: &str) -> &'static str {
    if path.starts_with("/vod/") { "vod" } else { "other" }
}

async fn answer(request: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    let id = request.extensions().get::<RequestId>().unwrap().to_string();
    let mut answer = Response::new(Full::from(id));
    if request.uri().path() == "/vod/absent" {
        *answer.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(answer)
}

#[tokio::test]
async fn requests_are_named_counted_and_timed() {
    let mut registry = Registry::default();
    let metrics = HttpMetrics::new();
    metrics.register(registry.sub_registry_with_prefix("streamverse"));
    ProcessMetrics::register(&mut registry);
    let service = Observe::new(tower::service_fn(answer), metrics, route_of);

    let get = |path: &str| Request::get(path).header("x-request-id", "me-1").body(()).unwrap();
    let answered = service.clone().oneshot(get("/vod/film")).await.unwrap();
    assert_eq!(answered.headers()["x-request-id"], "me-1");
    assert_eq!(answered.into_body().collect().await.unwrap().to_bytes(), "me-1");
    // This one is dropped before its body is taken.
    drop(service.clone().oneshot(get("/vod/absent")).await.unwrap());
    // And this one before it is answered.
    let pending = Observe::new(
        tower::service_fn(|_: Request<()>| {
            std::future::pending::<Result<Response<Empty<Bytes>>, Infallible>>()
        }),
        service_metrics(&service),
        route_of,
    );
    let call = pending.clone().oneshot(get("/"));
    let in_time = tokio::time::timeout(std::time::Duration::from_millis(10), call).await;
    assert!(in_time.is_err());

    let text = encode_metrics(&registry).unwrap();
    for line in [
        r#"streamverse_http_requests_total{route="vod",method="GET",protocol="http/1.1",status="2xx"} 1"#,
        r#"streamverse_http_requests_total{route="vod",method="GET",protocol="http/1.1",status="4xx"} 1"#,
        r#"streamverse_http_sent_bytes_total{route="vod"} 4"#,
        r#"streamverse_http_answer_seconds_count{route="vod"} 2"#,
        r#"streamverse_http_first_byte_seconds_bucket{le="30.0",route="vod"} 2"#,
        "streamverse_http_requests_in_flight 0",
        "streamverse_http_answers_cut_short_total 2",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
    let value = |name: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(name)).expect(name);
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    assert!(1e6 < value("process_resident_memory_bytes "));
    assert!(3.0 <= value("process_open_fds "));
    assert!(0.0 < value("process_cpu_seconds_total "));
    assert!(1.7e9 < value("process_start_time_seconds "));
}

fn service_metrics<S>(service: &Observe<S>) -> HttpMetrics {
    service.metrics.clone()
}
