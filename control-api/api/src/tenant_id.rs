//! Stands in until the database brings its own.

use std::fmt;
use std::sync::Arc;

/// A tenant's id: 1 to 64 letters, digits, `-` and `_`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TenantId(Arc<str>);

/// The text is no tenant's id.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no tenant's id: take 1 to 64 of A-Z, a-z, 0-9, `-` and `_`")]
pub struct TenantIdError;

impl TenantId {
    /// # Errors
    /// When the text is empty, too long, or has other characters.
    pub fn new(text: &str) -> Result<Self, TenantIdError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let is_id = !text.is_empty() && text.len() <= 64 && text.bytes().all(is_plain);
        if is_id { Ok(Self(text.into())) } else { Err(TenantIdError) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
