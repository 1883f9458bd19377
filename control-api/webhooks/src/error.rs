//! Why a use case of webhooks did not succeed, and what callers are told.

use api::{ApiError, FieldError};
use platform::db::DbError;
use platform::keyring::KeyError;

#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    #[error("there is no such endpoint or delivery")]
    NotFound,
    #[error("the endpoint has changed since it was read")]
    Changed,
    #[error("a tenant has {max} endpoints at most")]
    TooMany { max: i64 },
    #[error("{pointer}: {reason}")]
    Invalid { pointer: &'static str, code: &'static str, reason: String },
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("a secret can't be sealed or opened")]
    Keys(#[from] KeyError),
    #[error("{reason}")]
    Broken { reason: &'static str },
}

impl From<WebhookError> for ApiError {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::NotFound => {
                Self::not_found("not_found", "There is nothing with this identifier.")
            }
            WebhookError::Changed => {
                let detail = "It has changed since it was read; read it again.";
                Self::precondition("etag_mismatch", detail)
            }
            WebhookError::TooMany { max } => {
                let detail = format!("A tenant has {max} endpoints at most; remove one first.");
                Self::conflict("too_many_endpoints", detail)
            }
            WebhookError::Invalid { pointer, code, reason } => {
                Self::validation(vec![FieldError::new(pointer, code, reason)])
            }
            WebhookError::Db(error) => match error.retry_after() {
                Some(wait) => {
                    let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
                    let detail = "The database can't take it now; try again.";
                    Self::unavailable("busy", detail).retry_after(seconds).because(error)
                }
                None => Self::internal("internal", error),
            },
            WebhookError::Keys(error) => Self::internal("internal", error),
            WebhookError::Broken { reason } => Self::internal("internal", reason),
        }
    }
}
