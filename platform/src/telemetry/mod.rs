//! Logs, request ids, traces and metrics.

mod access_detail;
mod log;
mod log_fields;
mod log_writer;
mod metrics;
mod observe;
mod process;
mod request_id;
pub mod trace;

#[cfg(test)]
mod tests;

pub use access_detail::{AccessDetail, AccessNote, AccessSample};
pub use log::{LogError, LogHandle, init_log};
pub use log_writer::flush as flush_log;
pub use metrics::{HttpMetrics, METRICS_CONTENT_TYPE, encode_metrics};
pub use observe::{Observe, ObservedBody};
pub use process::ProcessMetrics;
pub use request_id::{REQUEST_ID, RequestId};
