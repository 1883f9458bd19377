//! The operator's listener: metrics, health, the effective configuration.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode};
use origin::body::MediaBody;
use origin::problem_with;
use platform::telemetry::{METRICS_CONTENT_TYPE, encode_metrics};
use prometheus_client::registry::Registry;
use tower_service::Service;

use crate::media::{Readiness, text};

const END_MARK: &str = "# EOF\n";

#[derive(Clone)]
pub struct OpsService {
    registries: Arc<[Registry]>,
    /// The configuration as JSON, secrets redacted.
    config: Arc<str>,
    readiness: Readiness,
}

impl OpsService {
    pub fn new(registries: Vec<Registry>, config: String, readiness: Readiness) -> Self {
        Self { registries: registries.into(), config: config.into(), readiness }
    }

    /// All registries as one text, which has one end mark (OpenMetrics 1.0, "Overall Structure").
    fn metrics(&self) -> Result<String, std::fmt::Error> {
        let mut metrics = String::new();
        for registry in self.registries.iter() {
            metrics.push_str(encode_metrics(registry)?.trim_end_matches(END_MARK));
        }
        metrics.push_str(END_MARK);
        Ok(metrics)
    }

    fn answer(&self, path: &str) -> Response<MediaBody> {
        if let Some(answer) = self.readiness.answer(path) {
            return answer;
        }
        match path {
            "/metrics" => match self.metrics() {
                Ok(metrics) => typed(METRICS_CONTENT_TYPE, metrics),
                Err(error) => {
                    tracing::error!(%error, "metrics can't be written");
                    text(StatusCode::INTERNAL_SERVER_ERROR, "metrics can't be written\n")
                }
            },
            "/config" => typed("application/json", self.config.to_string()),
            _ => problem_with(
                StatusCode::NOT_FOUND,
                "not_found",
                "this listener serves /metrics, /health, /ready and /config",
            ),
        }
    }
}

fn typed(content_type: &'static str, body: String) -> Response<MediaBody> {
    let mut response = text(StatusCode::OK, body);
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}

impl<B> Service<Request<B>> for OpsService {
    type Response = Response<MediaBody>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.answer(request.uri().path())))
    }
}
