//! The vocabulary that every domain of the control API shares.
//!
//! * [`ApiError`] and [`problem`]: what went wrong, as `application/problem+json` (RFC 9457) and as a
//!   gRPC status with the same code.
//! * [`Viewer`], [`Staff`], [`Machine`], [`Guest`]: who asks, as arguments of a handler.
//! * [`Json`], [`Query`], [`Path`]: input, bounded and documented; [`text`]: strings with rules.
//! * [`Page`] and [`Paged`]: lists by keyset.
//!
//! A domain depends on this crate and never on another domain or on the gateway. What a request
//! needs besides its own bytes (tenant, authenticator, cursor keys) lies in its extensions, where the
//! gateway puts it; [`context`] lists it.

pub mod caller;
mod client;
pub mod context;
pub mod cursor;
mod database;
mod error;
pub mod etag;
pub mod field;
pub mod i18n;
pub mod idempotency;
pub mod input;
pub mod openapi;
pub mod page;
pub mod permission;
pub mod problem;
mod request_id;
pub mod rpc;
mod tenant;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;

pub use caller::{AuthError, Authenticator, Caller, Credentials, Guest, Machine, Staff, Viewer};
pub use client::ClientAddress;
pub use error::{ApiError, Result};
pub use etag::{ETag, IfMatch, IfNoneMatch, Tagged};
pub use field::{FieldError, Fields};
pub use i18n::Language;
pub use idempotency::{Claimed, Idempotent, Recorded, SCHEMA};
pub use input::{Json, Path, Query};
pub use page::{Page, Paged};
pub use request_id::RequestId;
pub use tenant::{Tenant, TenantId};
