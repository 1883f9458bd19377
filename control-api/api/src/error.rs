//! What a use case answers instead of its result.
//!
//! An error has a public side (status, code, detail, fields) and a private one (the cause). The
//! public side is written for the caller; the cause goes to the log, once, where the request ends.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use http::StatusCode;

use crate::field::FieldError;

/// What handlers and services return.
pub type Result<T, E = ApiError> = std::result::Result<T, E>;

type Cause = Box<dyn Error + Send + Sync>;

/// Detail of every error whose cause is ours; the cause itself stays in the log.
const INTERNAL_DETAIL: &str =
    "Something went wrong on our side. The request id helps us to find it.";

/// An error with a stable code. Boxed, so that results stay small.
pub struct ApiError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    fields: Vec<FieldError>,
    retry_after_seconds: Option<u32>,
    challenge: Option<Challenge>,
    cause: Option<Cause>,
}

/// What `WWW-Authenticate` says (RFC 6750 3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Challenge {
    /// Whose realm: `viewer`, `admin` or `machine`.
    pub realm: &'static str,
    /// `invalid_token` or `insufficient_scope`; none when no token was sent.
    pub error: Option<&'static str>,
    /// The permission or scope that was missing.
    pub scope: Option<&'static str>,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $status:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
            Self::new(StatusCode::$status, code, detail)
        }
    )*};
}

impl ApiError {
    /// Any status of 400 and above; prefer the functions that name one.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        debug_assert!(400 <= status.as_u16(), "{status} is no error");
        Self(Box::new(Inner {
            status,
            code,
            detail: detail.into(),
            fields: Vec::new(),
            retry_after_seconds: None,
            challenge: None,
            cause: None,
        }))
    }

    kinds! {
        /// 400: the request can't be understood.
        bad_request = BAD_REQUEST;
        /// 401: nobody is signed in, or the credentials are not good. Add [`ApiError::challenge`].
        unauthorized = UNAUTHORIZED;
        /// 403: the caller is known and may not.
        forbidden = FORBIDDEN;
        /// 404: there is no such thing, or not for this caller.
        not_found = NOT_FOUND;
        /// 409: the state of things forbids it.
        conflict = CONFLICT;
        /// 410: it was there, and won't be again.
        gone = GONE;
        /// 412: `If-Match` names another version.
        precondition = PRECONDITION_FAILED;
        /// 413: the body is longer than the operation takes.
        too_large = PAYLOAD_TOO_LARGE;
        /// 415: the body's media type is none that the operation reads.
        unsupported_media_type = UNSUPPORTED_MEDIA_TYPE;
        /// 422: the request is well-formed and its values are not acceptable.
        unprocessable = UNPROCESSABLE_ENTITY;
        /// 428: the operation wants `If-Match`.
        precondition_required = PRECONDITION_REQUIRED;
        /// 429: too often. Add [`ApiError::retry_after`].
        too_many = TOO_MANY_REQUESTS;
        /// 503: not now. Add [`ApiError::retry_after`].
        unavailable = SERVICE_UNAVAILABLE;
    }

    /// 500. The cause, an error or a sentence, is logged; the caller learns the code alone.
    pub fn internal(code: &'static str, cause: impl Into<Cause>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, INTERNAL_DETAIL).because(cause)
    }

    /// 422 `validation_failed`, with what is wrong with which field.
    pub fn validation(fields: Vec<FieldError>) -> Self {
        let detail = match fields.as_slice() {
            [only] => format!("`{}`: {}", only.pointer, only.detail),
            several => format!("{} values are not acceptable; see `errors`.", several.len()),
        };
        let mut error = Self::unprocessable("validation_failed", detail);
        error.0.fields = fields;
        error
    }

    /// Keeps a cause for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Says when another attempt may succeed: `Retry-After`, and `RetryInfo` over gRPC.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_seconds = Some(seconds);
        self
    }

    #[must_use]
    pub fn challenge(mut self, challenge: Challenge) -> Self {
        self.0.challenge = Some(challenge);
        self
    }

    /// Adds what is wrong with one field. `pointer` is a JSON pointer (RFC 6901) into the body.
    #[must_use]
    pub fn field(mut self, field: FieldError) -> Self {
        self.0.fields.push(field);
        self
    }

    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    pub fn code(&self) -> &'static str {
        self.0.code
    }

    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    pub fn retry_after_seconds(&self) -> Option<u32> {
        self.0.retry_after_seconds
    }

    pub fn challenge_of(&self) -> Option<Challenge> {
        self.0.challenge
    }

    /// Whether the fault is ours: such errors are logged as errors, others as a matter of course.
    pub fn is_ours(&self) -> bool {
        self.0.status.is_server_error()
    }

    /// The cause and its causes, for the log.
    pub fn causes(&self) -> String {
        let mut text = String::new();
        let mut next = self.source();
        while let Some(cause) = next {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.code(), self.status().as_u16(), self.detail())
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_for_the_log_alone() {
        let error = ApiError::internal("internal", std::io::Error::other("disk on fire"));
        assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!error.to_string().contains("fire") && !error.detail().contains("fire"));
        assert_eq!(error.causes(), "disk on fire");
    }

    #[test]
    fn one_wrong_field_is_named_in_the_detail() {
        let error =
            ApiError::validation(vec![FieldError::new("/email", "invalid_email", "No `@`.")]);
        assert_eq!(error.detail(), "`/email`: No `@`.");
        assert_eq!((error.code(), error.status().as_u16()), ("validation_failed", 422));
    }
}
