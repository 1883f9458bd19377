//! The layers, one file each. [`crate::app`] has their order.

pub(crate) mod caller;
pub(crate) mod content;
pub(crate) mod cors;
pub(crate) mod deadline;
pub(crate) mod headers;
pub(crate) mod panics;
pub(crate) mod places;
pub(crate) mod rates;
pub(crate) mod transform;

use http::StatusCode;

use crate::refusal::Refusal;

/// Content that broke off.
pub(crate) fn unreadable() -> Refusal {
    let detail = "The content broke off or is malformed.";
    Refusal::new(StatusCode::BAD_REQUEST, "bad_request", detail)
}
