//! Secrets: written as `env:NAME`, `file:PATH`, `vault:PATH#FIELD` or in the clear, shown as none of
//! them.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::PermissionsExt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroize;

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

    /// Whether both are written alike, whatever they led to.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.written == other.written
    }

    /// `PATH#FIELD` of a secret that lies in a Vault.
    pub(super) fn in_vault(&self) -> Option<&str> {
        self.written.strip_prefix("vault:")
    }

    /// Looks up how we sign in to the Vault, which can't lie there itself.
    pub(super) fn resolve_without_vault(
        &mut self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(), String> {
        if self.in_vault().is_some() {
            return Err("how the Vault is asked can't lie in it; use env:NAME or file:PATH".into());
        }
        self.resolve(variable, &BTreeMap::new())
    }

    /// Looks the value up, with `variable` for `env:NAME`, and with what `vault:` led to.
    pub(super) fn resolve(
        &mut self,
        variable: impl Fn(&str) -> Option<String>,
        in_vault: &BTreeMap<String, Result<String, String>>,
    ) -> Result<(), String> {
        let value = if let Some(name) = self.written.strip_prefix("env:") {
            variable(name).ok_or_else(|| {
                format!("the environment variable {name} is not set; set it, or use file:PATH")
            })?
        } else if let Some(path) = self.written.strip_prefix("file:") {
            read_secret_file(path)?
        } else if let Some(reference) = self.in_vault() {
            match in_vault.get(reference) {
                Some(read) => read.clone()?,
                None => return Err("no Vault was asked; see `[vault]`".to_owned()),
            }
        } else {
            self.written.to_string()
        };
        if value.is_empty() {
            return Err("the secret is empty".to_owned());
        }
        self.value = Some(value.into());
        Ok(())
    }

    fn is_reference(&self) -> bool {
        ["env:", "file:", "vault:"].iter().any(|scheme| self.written.starts_with(scheme))
    }

    /// What may be shown: a reference as it is, a literal as stars.
    fn shown(&self) -> &str {
        if self.is_reference() { &self.written } else { "***" }
    }
}

/// Reads `path`, without the line end that editors leave.
///
/// Others may not write to it: whoever can replace a secret knows it. That they can read it is for
/// whoever mounts it to judge: orchestrators mount secrets readable by a group, or by all of a
/// container that holds one program.
fn read_secret_file(path: &str) -> Result<String, String> {
    let fail = |error: std::io::Error| {
        format!("cannot read the secret file {path}: {error}; check the path and its permissions")
    };
    let metadata = std::fs::metadata(path).map_err(fail)?;
    if !metadata.is_file() {
        return Err(format!("the secret file {path} is no file; name one"));
    }
    if metadata.permissions().mode() & 0o022 != 0 {
        return Err(format!(
            "the secret file {path} can be changed by others; run `chmod go-w` on it"
        ));
    }
    let size = metadata.len();
    if SECRET_BYTES_MAX < size {
        return Err(format!("the secret file {path} has {size} bytes, at most 64 KiB are read"));
    }
    let text = std::fs::read_to_string(path).map_err(fail)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// Wiped as well as memory allows that was copied around before.
impl Drop for Secret {
    fn drop(&mut self) {
        self.value.zeroize();
        if !self.is_reference() {
            self.written.zeroize();
        }
    }
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
        let in_vault = BTreeMap::from([("kv/s3#key".to_owned(), Ok("from-vault".to_owned()))]);
        for (written, value, shown) in [
            ("env:KEY", "from-variable", "env:KEY"),
            (&file, "from-file", &file),
            ("vault:kv/s3#key", "from-vault", "vault:kv/s3#key"),
            ("in-the-clear", "in-the-clear", "***"),
        ] {
            let mut secret = Secret::reference(written);
            let variable = |name: &str| (name == "KEY").then(|| "from-variable".to_owned());
            secret.resolve(variable, &in_vault).unwrap();
            assert_eq!(secret.expose(), value);
            assert_eq!(format!("{secret:?}"), format!("Secret({shown})"));
            assert_eq!(serde_json::to_value(&secret).unwrap(), shown);
        }
        std::fs::remove_file(&dir).unwrap();
    }

    #[test]
    fn what_cannot_be_looked_up_is_refused() {
        let none = BTreeMap::new();
        for (written, reason) in [
            ("env:ABSENT", "not set"),
            ("file:/nonexistent/secret", "cannot read"),
            ("vault:kv/s3#key", "no Vault was asked"),
            ("file:/dev", "no file"),
            ("", "empty"),
        ] {
            let error = Secret::reference(written).resolve(|_| None, &none).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        let path = std::env::temp_dir().join(format!("secret-shared-{}", std::process::id()));
        std::fs::write(&path, "known").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o664)).unwrap();
        let mut secret = Secret::reference(&format!("file:{}", path.display()));
        let error = secret.resolve(|_| None, &none).unwrap_err();
        assert!(error.contains("chmod go-w"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        secret.resolve(|_| None, &none).unwrap();
        std::fs::remove_file(&path).unwrap();
        let error = Secret::reference("vault:a#b").resolve_without_vault(|_| None).unwrap_err();
        assert!(error.contains("can't lie in it"), "{error}");
    }
}
