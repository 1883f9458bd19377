//! The same errors and callers over gRPC.
//!
//! A status carries `google.rpc.ErrorInfo` (reason: the code in upper case as the API guide asks,
//! domain, and the code itself as metadata `code`), `google.rpc.RetryInfo` when another attempt may
//! succeed, and `google.rpc.BadRequest` with the fields, all in `grpc-status-details-bin`.

use std::collections::HashMap;
use std::time::Duration;

use http::StatusCode;
use tonic::{Code, Request, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use crate::caller::{Caller, Machine, Staff, Viewer};
use crate::permission::Permission;
use crate::{ApiError, caller};

/// Who names the reasons of `ErrorInfo`.
pub const ERROR_DOMAIN: &str = "api.streamverse";

/// The gRPC code of an HTTP status (google.rpc.Code names the pairs).
pub fn code_of(status: StatusCode) -> Code {
    match status.as_u16() {
        400 | 405 | 413 | 415 | 422 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 | 410 => Code::NotFound,
        409 => Code::Aborted,
        412 | 428 => Code::FailedPrecondition,
        429 => Code::ResourceExhausted,
        499 => Code::Cancelled,
        501 => Code::Unimplemented,
        503 => Code::Unavailable,
        504 => Code::DeadlineExceeded,
        _ => Code::Internal,
    }
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        if error.is_ours() {
            tracing::error!(code = error.code(), causes = error.causes(), "a call failed");
        }
        let reason = error.code().to_ascii_uppercase();
        let metadata = HashMap::from([("code".to_owned(), error.code().to_owned())]);
        let mut details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, metadata);
        if let Some(seconds) = error.retry_after_seconds() {
            details.set_retry_info(Some(Duration::from_secs(u64::from(seconds))));
        }
        if !error.fields().is_empty() {
            let violations = error.fields().iter().map(|field| FieldViolation {
                field: field_path(&field.pointer),
                description: field.detail.to_string(),
                reason: field.code.to_ascii_uppercase(),
                localized_message: None,
            });
            details.set_bad_request(violations.collect::<Vec<_>>());
        }
        Self::with_error_details(code_of(error.status()), error.detail(), details)
    }
}

/// `/a/0/b` as gRPC names fields: `a[0].b`.
fn field_path(pointer: &str) -> String {
    let mut path = String::new();
    for token in pointer.split('/').filter(|token| !token.is_empty()) {
        let token = token.replace("~1", "/").replace("~0", "~");
        if token.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push_str(&format!("[{token}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&token);
        }
    }
    path
}

/// The caller of an rpc, if it says who it is.
///
/// # Errors
/// As [`caller::identify`].
pub async fn caller<T>(request: &Request<T>) -> Result<Option<Caller>, Status>
where
    T: Sync,
{
    found(request, "api").await.map_err(Status::from)
}

/// # Errors
/// `UNAUTHENTICATED` for anybody else.
pub async fn viewer<T: Sync>(request: &Request<T>) -> Result<Viewer, Status> {
    match found(request, Viewer::REALM).await? {
        Some(Caller::Viewer(viewer)) => Ok(viewer),
        Some(_) => Err(caller::wrong_realm(Viewer::REALM).into()),
        None => Err(caller::missing(Viewer::REALM).into()),
    }
}

/// # Errors
/// `UNAUTHENTICATED` for anybody else, `PERMISSION_DENIED` without `P`.
pub async fn staff<P: Permission, T: Sync>(request: &Request<T>) -> Result<Staff<P>, Status> {
    match found(request, "admin").await? {
        Some(Caller::Staff(identity)) => Ok(Staff::new(identity)?),
        Some(_) => Err(caller::wrong_realm("admin").into()),
        None => Err(caller::missing("admin").into()),
    }
}

/// # Errors
/// `UNAUTHENTICATED` for anybody else, `PERMISSION_DENIED` without `P`.
pub async fn machine<P: Permission, T: Sync>(request: &Request<T>) -> Result<Machine<P>, Status> {
    match found(request, "machine").await? {
        Some(Caller::Machine(identity)) => Ok(Machine::new(identity)?),
        Some(_) => Err(caller::wrong_realm("machine").into()),
        None => Err(caller::missing("machine").into()),
    }
}

async fn found<T: Sync>(
    request: &Request<T>,
    realm: &'static str,
) -> Result<Option<Caller>, ApiError> {
    let headers = request.metadata().clone().into_headers();
    caller::identify_metadata(&headers, request.extensions(), realm).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FieldError;
    use crate::testing::{Signed, signed};

    #[test]
    fn a_status_carries_the_code_the_fields_and_the_pause() {
        let field = FieldError::new("/profiles/0/name", "too_long", "At most 40.");
        let error = ApiError::validation(vec![field]).retry_after(7);
        let status = Status::from(error);
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(info.reason, "VALIDATION_FAILED");
        assert_eq!(info.domain, ERROR_DOMAIN);
        assert_eq!(info.metadata["code"], "validation_failed");
        let violation = &details.bad_request().unwrap().field_violations[0];
        assert_eq!(violation.field, "profiles[0].name");
        assert_eq!(violation.reason, "TOO_LONG");
        let pause = details.retry_info().unwrap().retry_delay;
        assert_eq!(pause, Some(Duration::from_secs(7)));
    }

    fn call(tenant: &str, token: Option<&str>) -> Request<()> {
        let who = Signed { tenant: tenant.to_owned(), token: token.map(str::to_owned) };
        let (parts, ()) = signed(http::Request::new(()), &who).into_parts();
        let metadata = tonic::metadata::MetadataMap::from_headers(parts.headers);
        Request::from_parts(metadata, parts.extensions, ())
    }

    #[tokio::test]
    async fn callers_are_those_of_rest() {
        let user = viewer(&call("a", Some("v.a.ada"))).await.unwrap().user_id;
        assert_eq!(user, "ada");
        for (tenant, token, code) in [
            ("a", None, "credentials_missing"),
            ("b", Some("v.a.ada"), "invalid_token"),
            ("a", Some("expired"), "token_expired"),
            ("a", Some("svk_a.key"), "wrong_realm"),
        ] {
            let status = viewer(&call(tenant, token)).await.unwrap_err();
            assert_eq!(status.code(), Code::Unauthenticated);
            let details = status.get_error_details();
            assert_eq!(details.error_info().unwrap().metadata["code"], code, "{token:?}");
        }
        let poor = machine::<Export, _>(&call("a", Some("svk_a.key"))).await.unwrap_err();
        assert_eq!(poor.code(), Code::PermissionDenied);
        assert!(machine::<Export, _>(&call("a", Some("svk_a.key.things/export"))).await.is_ok());
        assert!(staff::<Export, _>(&call("a", Some("s.a.eve.things/export"))).await.is_ok());
        assert!(caller(&call("a", None)).await.unwrap().is_none());
    }

    struct Export;

    impl Permission for Export {
        const NAME: &'static str = "things:export";
        const ABOUT: &'static str = "Read all things.";
    }

    #[test]
    fn causes_do_not_travel() {
        let status = Status::from(ApiError::internal("internal", "secret of the house"));
        assert_eq!(status.code(), Code::Internal);
        assert!(!format!("{status:?}").contains("secret"));
    }
}
