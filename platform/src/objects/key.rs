//! Names of objects.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::ObjectError;

/// Longest key, and longest part of one: what S3 and what file systems allow (255 for a name, of
/// which unfinished files need none).
const KEY_BYTES_MAX: usize = 900;
const PART_BYTES_MAX: usize = 255;

/// A name such as `assets/film/video.mp4`: parts joined by slashes.
///
/// No part is empty or begins with a dot, so that no key leaves its folder, names a hidden file or
/// meets the store's own. Control characters and backslashes are refused for the sake of logs and
/// other systems.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectKey(Arc<str>);

impl ObjectKey {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `self/part`.
    pub fn join(&self, part: &str) -> Result<Self, ObjectError> {
        format!("{self}/{part}").parse()
    }
}

impl FromStr for ObjectKey {
    type Err = ObjectError;

    fn from_str(text: &str) -> Result<Self, ObjectError> {
        let refuse = |reason| {
            let text = text.chars().take(200).collect();
            Err(ObjectError::InvalidKey { text, reason })
        };
        if text.is_empty() {
            return refuse("it is empty");
        }
        if KEY_BYTES_MAX < text.len() {
            return refuse("it is longer than 900 bytes");
        }
        if text.chars().any(|character| character.is_control() || character == '\\') {
            return refuse("it has a control character or a backslash");
        }
        for part in text.split('/') {
            if part.is_empty() {
                return refuse("a part between slashes is empty");
            }
            if part.starts_with('.') {
                return refuse("a part begins with a dot");
            }
            if PART_BYTES_MAX < part.len() {
                return refuse("a part is longer than 255 bytes");
            }
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ObjectKey({})", self.0)
    }
}

impl Serialize for ObjectKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ObjectKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_in_their_folder() {
        for good in ["a", "assets/film/video.mp4", "a..b/c.", "Größe/π"] {
            assert_eq!(good.parse::<ObjectKey>().unwrap().as_str(), good);
        }
        let long = "x".repeat(256);
        let deep = "x/".repeat(450) + "x";
        for bad in
            ["", "/a", "a/", "a//b", "..", "a/../b", ".hidden", "a\\b", "a\nb", "a\0", &long, &deep]
        {
            assert!(bad.parse::<ObjectKey>().is_err(), "{bad:?}");
        }
        let key: ObjectKey = "a".parse().unwrap();
        assert!(key.join("../b").is_err());
        assert_eq!(key.join("b/c").unwrap().as_str(), "a/b/c");
    }
}
