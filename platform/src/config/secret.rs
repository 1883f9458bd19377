//! Secrets: written as `env:NAME`, `file:PATH` or in the clear, shown as none of them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Largest file that `file:PATH` reads.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// A value that is never shown: neither `Debug` nor `Serialize` prints more than where it is from.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret {
    written: Box<str>,
    value: Option<Box<str>>,
}

impl Secret {
    /// A secret as it stands in the configuration, not looked up yet.
    pub fn reference(written: &str) -> Self {
        Self { written: written.into(), value: None }
    }

    /// The value. Empty until the configuration that holds it was loaded.
    pub fn expose(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }

    /// Looks the value up, with `variable` for `env:NAME`.
    pub(super) fn resolve(
        &mut self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(), String> {
        let value = if let Some(name) = self.written.strip_prefix("env:") {
            variable(name).ok_or_else(|| {
                format!("the environment variable {name} is not set; set it, or use file:PATH")
            })?
        } else if let Some(path) = self.written.strip_prefix("file:") {
            read_secret_file(path)?
        } else if self.written.starts_with("vault:") {
            return Err("vault: secrets are not built yet; use env:NAME or file:PATH".to_owned());
        } else {
            self.written.to_string()
        };
        if value.is_empty() {
            return Err("the secret is empty".to_owned());
        }
        self.value = Some(value.into());
        Ok(())
    }

    /// What may be shown: a reference as it is, a literal as stars.
    fn shown(&self) -> &str {
        let is_reference =
            ["env:", "file:", "vault:"].iter().any(|scheme| self.written.starts_with(scheme));
        if is_reference { &self.written } else { "***" }
    }
}

/// Reads `path`, without the line end that editors leave.
fn read_secret_file(path: &str) -> Result<String, String> {
    let fail = |error: std::io::Error| {
        format!("cannot read the secret file {path}: {error}; check the path and its permissions")
    };
    let size = std::fs::metadata(path).map_err(fail)?.len();
    if SECRET_BYTES_MAX < size {
        return Err(format!("the secret file {path} has {size} bytes, at most 64 KiB are read"));
    }
    let text = std::fs::read_to_string(path).map_err(fail)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secret({})", self.shown())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|written| Self::reference(&written))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_looked_up_and_never_shown() {
        let dir = std::env::temp_dir().join(format!("secret-{}", std::process::id()));
        std::fs::write(&dir, "from-file\n").unwrap();
        let file = format!("file:{}", dir.display());
        for (written, value, shown) in [
            ("env:KEY", "from-variable", "env:KEY"),
            (&file, "from-file", &file),
            ("in-the-clear", "in-the-clear", "***"),
        ] {
            let mut secret = Secret::reference(written);
            let variable = |name: &str| (name == "KEY").then(|| "from-variable".to_owned());
            secret.resolve(variable).unwrap();
            assert_eq!(secret.expose(), value);
            assert_eq!(format!("{secret:?}"), format!("Secret({shown})"));
            assert_eq!(serde_json::to_value(&secret).unwrap(), shown);
        }
        std::fs::remove_file(&dir).unwrap();
    }

    #[test]
    fn what_cannot_be_looked_up_is_refused() {
        for (written, reason) in [
            ("env:ABSENT", "not set"),
            ("file:/nonexistent/secret", "cannot read"),
            ("vault:kv/s3#key", "not built yet"),
            ("", "empty"),
        ] {
            let error = Secret::reference(written).resolve(|_| None).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
