//! What is wrong with which value of a request, collected rather than told one at a time.

use std::borrow::Cow;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{ApiError, Result};

/// At most so many are told; the rest of a hostile body isn't worth an answer's bytes.
pub const FIELD_ERRORS_MAX: usize = 32;

/// One value that is not acceptable.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer into the body (RFC 6901), or `query/NAME`, `path/NAME`, `header/NAME`.
    #[schema(example = "/email")]
    pub pointer: Cow<'static, str>,
    /// A stable word for what is wrong.
    #[schema(example = "invalid_email", value_type = String)]
    pub code: Cow<'static, str>,
    /// A sentence for a person.
    pub detail: Cow<'static, str>,
}

impl FieldError {
    pub fn new(
        pointer: impl Into<Cow<'static, str>>,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { pointer: pointer.into(), code: code.into(), detail: detail.into() }
    }
}

/// Why a text is not what its type asks for: a stable code and a sentence.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("[{code}] {detail}")]
pub struct Invalid {
    pub code: &'static str,
    pub detail: Cow<'static, str>,
}

impl Invalid {
    pub fn new(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into() }
    }
}

/// Collects [`FieldError`]s; [`Fields::finish`] turns them into one answer.
///
/// ```
/// # use api::{Fields, text::{Email, DisplayName}};
/// # fn f(email: &str, name: &str) -> api::Result<()> {
/// let mut fields = Fields::default();
/// let email = fields.parse("/email", Email::parse(email));
/// let name = fields.parse("/display_name", DisplayName::parse(name));
/// fields.finish()?;
/// let (Some(email), Some(name)) = (email, name) else { unreachable!("finish has passed") };
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct Fields(Vec<FieldError>);

impl Fields {
    pub fn add(&mut self, field: FieldError) {
        if self.0.len() < FIELD_ERRORS_MAX {
            self.0.push(field);
        }
    }

    /// The value, or `None` and the reason kept.
    pub fn parse<T>(
        &mut self,
        pointer: impl Into<Cow<'static, str>>,
        parsed: std::result::Result<T, Invalid>,
    ) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(invalid) => {
                self.add(FieldError::new(pointer, invalid.code, invalid.detail));
                None
            }
        }
    }

    /// Keeps the reason unless `holds`.
    pub fn require(
        &mut self,
        holds: bool,
        pointer: impl Into<Cow<'static, str>>,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) {
        if !holds {
            self.add(FieldError::new(pointer, code, detail));
        }
    }

    /// # Errors
    /// 422 `validation_failed` when anything was collected.
    pub fn finish(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(ApiError::validation(self.0)) }
    }
}
