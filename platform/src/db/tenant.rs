//! Whose rows a statement may see.

use std::fmt;
use std::sync::Arc;

/// Longest id of a tenant, in bytes.
const LENGTH_MAX_BYTES: usize = 64;

/// A tenant's id: letters, digits, `-` and `_`, at most 64 of them. Clones share the text.
///
/// No other character is taken, so that an id can stand in a path, in a metric and in the setting
/// that PostgreSQL's policies read, where `*` means every tenant.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TenantId(Arc<str>);

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{given}` is no tenant's id: take 1 to {LENGTH_MAX_BYTES} of A-Z, a-z, 0-9, `-` and `_`")]
pub struct TenantIdError {
    given: String,
}

impl TenantId {
    /// # Errors
    /// When the text is empty, too long, or has other characters.
    pub fn new(text: &str) -> Result<Self, TenantIdError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if text.is_empty() || LENGTH_MAX_BYTES < text.len() || !text.bytes().all(is_plain) {
            let given = text.chars().take(LENGTH_MAX_BYTES).collect();
            return Err(TenantIdError { given });
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for TenantId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for TenantId {
    type Err = TenantIdError;

    fn from_str(text: &str) -> Result<Self, TenantIdError> {
        Self::new(text)
    }
}

impl serde::Serialize for TenantId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for TenantId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_words() {
        for good in ["default", "t-1", "A_b", &"x".repeat(64)] {
            assert_eq!(TenantId::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "*", "a b", "a/b", "a'b", "é", &"x".repeat(65)] {
            assert!(TenantId::new(bad).is_err(), "{bad}");
        }
    }
}
