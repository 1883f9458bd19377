//! Signing in a television by a code that is typed elsewhere (RFC 8628).

pub mod service;
pub(crate) mod store;

pub use service::{DeviceCode, PendingDevice};
