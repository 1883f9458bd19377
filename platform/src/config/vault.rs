//! Where `vault:PATH#FIELD` is looked up.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::model::Config;
use super::secret::Secret;

/// `[vault]`: a HashiCorp Vault, or whoever speaks as it does, with a KV store.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vault {
    /// Scheme, host and port.
    pub address: Option<String>,
    pub namespace: Option<String>,
    /// PEM file of the authorities that vouch for it; unset means those of the web.
    pub ca: Option<PathBuf>,
    /// Either this, or `role_id` and `secret_id`.
    pub token: Option<Secret>,
    pub role_id: Option<Secret>,
    pub secret_id: Option<Secret>,
    /// Where AppRole is mounted below `auth/`.
    pub login_mount: String,
    pub timeout_seconds: f64,
    /// How long a start waits for a Vault that does not answer.
    pub wait_seconds: f64,
    /// How often a running server asks whether values have changed, and renews its login.
    pub refresh_seconds: f64,
}

impl Default for Vault {
    fn default() -> Self {
        Self {
            address: None,
            namespace: None,
            ca: None,
            token: None,
            role_id: None,
            secret_id: None,
            login_mount: "approle".to_owned(),
            timeout_seconds: 5.0,
            wait_seconds: 30.0,
            refresh_seconds: 300.0,
        }
    }
}

impl Vault {
    /// How we sign in, with the key of each secret.
    pub(super) fn secrets_mut(&mut self) -> [(&'static str, Option<&mut Secret>); 3] {
        [
            ("vault.token", self.token.as_mut()),
            ("vault.role_id", self.role_id.as_mut()),
            ("vault.secret_id", self.secret_id.as_mut()),
        ]
    }
}

pub(super) fn check_vault(config: &Config, fail: &mut impl FnMut(&str, String, &str)) {
    let vault = &config.vault;
    for (key, value, min, max) in [
        ("vault.timeout_seconds", vault.timeout_seconds, 0.1, 60.0),
        ("vault.wait_seconds", vault.wait_seconds, 0.0, 3_600.0),
        ("vault.refresh_seconds", vault.refresh_seconds, 1.0, 86_400.0),
    ] {
        if !(min..=max).contains(&value) {
            let cure = format!("write a number from {min} to {max}");
            fail(key, format!("{value} seconds is out of range"), &cure);
        }
    }
    let Some(address) = &vault.address else { return };
    let uri = address.parse::<http::Uri>().ok();
    let host = uri.as_ref().and_then(http::Uri::host);
    let scheme = uri.as_ref().and_then(http::Uri::scheme_str);
    let is_near = matches!(host, Some("127.0.0.1" | "localhost" | "[::1]"));
    let has_path = uri.as_ref().is_some_and(|uri| !matches!(uri.path(), "" | "/"));
    match scheme {
        Some("https") if !has_path => {}
        Some("http") if is_near && !has_path => {}
        _ => {
            let cure = "write https://HOST:PORT; http:// is for 127.0.0.1 alone";
            fail("vault.address", format!("`{address}` is no address of a Vault"), cure);
        }
    }
    let has_role = vault.role_id.is_some() && vault.secret_id.is_some();
    let is_partial = vault.role_id.is_some() != vault.secret_id.is_some();
    if is_partial || vault.token.is_some() == has_role {
        let cause = "it takes `token`, or `role_id` and `secret_id`".to_owned();
        fail("vault.token", cause, "set one of the two, as env:NAME or file:PATH");
    }
}
