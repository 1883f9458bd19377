//! Taking a server out of rotation, and back in.
//!
//! A server that drains says at `/ready` that it wants no more requests; those that come are
//! answered all the same, since load balancers take a while to notice. When nothing is under way
//! it is `drained`, and may be stopped. Nothing ends by itself.

use http::Response;
use origin::body::MediaBody;
use serde_json::{Value, json};

use super::{Ops, json};
use crate::clock;

pub(super) fn value(ops: &Ops) -> Value {
    let in_flight = ops.http.requests_in_flight();
    let since_ms = ops.readiness.draining_since_ms();
    let state = match since_ms {
        Some(_) if in_flight == 0 => "drained",
        Some(_) => "draining",
        None if ops.readiness.get() => "serving",
        None => "stopping",
    };
    json!({
        "state": state,
        "since": since_ms.map(|since_ms| clock::rfc3339(since_ms / 1_000)),
        "requests_in_flight": in_flight,
    })
}

pub(super) fn state(ops: &Ops) -> Response<MediaBody> {
    json(&value(ops))
}

pub(super) fn begin(ops: &Ops, who: &str) -> Response<MediaBody> {
    ops.readiness.drain(clock::now_ms());
    tracing::info!(target: "audit", who, act = "drain", "done");
    state(ops)
}

pub(super) fn cancel(ops: &Ops, who: &str) -> Response<MediaBody> {
    ops.readiness.cancel_drain();
    tracing::info!(target: "audit", who, act = "cancel drain", "done");
    state(ops)
}
