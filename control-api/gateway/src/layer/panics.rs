//! A panic is one request's misfortune.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use axum::response::Response;
use futures_util::FutureExt;
use http::StatusCode;

use crate::metrics::Metrics;
use crate::refusal::Refusal;

/// Does the work of one request; where it panics, that request alone is answered with 500.
///
/// The state that the work held is dropped with it, and what several requests share is guarded by
/// locks that go on after a panic or by the database's transactions.
pub(crate) async fn contain(
    metrics: &Metrics,
    work: impl Future<Output = Response>,
) -> Result<Response, Refusal> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|panic| {
        metrics.panics.inc();
        tracing::error!(panic = message(panic.as_ref()), "a request's handler panicked");
        let detail = "Something went wrong on our side. The request id helps us to find it.";
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no message)")
}
