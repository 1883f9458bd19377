//! What the gateway puts into the extensions of every request before a domain sees it.
//!
//! | type | what for |
//! | --- | --- |
//! | [`Tenant`](crate::Tenant) | whose host was asked |
//! | `Arc<dyn Authenticator>` | who the credentials belong to |
//! | [`RequestId`](crate::RequestId) | names the request in answers and logs |
//! | `Arc<CursorKeys>` | signs cursors |
//!
//! The same extensions reach gRPC services, since tonic hands them on. One that is missing is a
//! fault of the wiring: 500 `not_wired`, with the type in the log.

use http::Extensions;

use crate::ApiError;

/// What the gateway must have put there.
///
/// # Errors
/// 500 when it did not.
pub fn of<T: Clone + Send + Sync + 'static>(extensions: &Extensions) -> Result<&T, ApiError> {
    extensions.get::<T>().ok_or_else(|| {
        let missing = std::any::type_name::<T>();
        ApiError::internal("not_wired", format!("the request's extensions hold no {missing}"))
    })
}
