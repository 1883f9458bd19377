//! Keys that the server makes for itself, and where their sealing key comes from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::model::Config;
use super::secret::Secret;
use crate::keyring::{KeyError, Purpose, SealingKey, SealingKeys};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// Longest interval of a rotation: ten years.
const DAYS_MAX: u32 = 3_653;

/// `[keys]`: rings of keys.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keys {
    /// Unset means `keys` inside the data directory. Servers may share it.
    pub dir: Option<PathBuf>,
    /// In base64, 32 bytes: seals the files of the rings.
    pub seal: Option<Secret>,
    /// Opens them, too, while one sealing key takes the place of another.
    pub previous_seal: Option<Secret>,
    pub rotate_days: RotateDays,
}

/// `[keys.rotate_days]`: how old the active key of each purpose gets; 0 is never.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RotateDays {
    pub access_tokens: u32,
    pub url_tokens: u32,
    pub sessions: u32,
    pub records: u32,
    pub content_seeds: u32,
    pub audit: u32,
}

impl Default for RotateDays {
    fn default() -> Self {
        Self {
            access_tokens: 90,
            url_tokens: 0,
            sessions: 90,
            records: 365,
            content_seeds: 0,
            audit: 365,
        }
    }
}

impl RotateDays {
    /// None where a purpose is rotated by hand.
    pub fn interval_ms(&self, purpose: Purpose) -> Option<i64> {
        let days = match purpose {
            Purpose::AccessTokens => self.access_tokens,
            Purpose::UrlTokens => self.url_tokens,
            Purpose::Sessions => self.sessions,
            Purpose::Records => self.records,
            Purpose::ContentSeeds => self.content_seeds,
            Purpose::Audit => self.audit,
        };
        (days != 0).then(|| i64::from(days) * DAY_MS)
    }
}

impl Keys {
    /// The sealing keys that are configured.
    ///
    /// # Errors
    /// When a text is no key.
    pub fn sealing_keys(&self) -> Result<SealingKeys, KeyError> {
        let read = |secret: &Secret| SealingKey::read(secret.expose());
        let previous = self.previous_seal.as_ref().map(read).transpose()?;
        match &self.seal {
            Some(seal) => Ok(SealingKeys::new(read(seal)?, previous)),
            None => Ok(SealingKeys::none()),
        }
    }
}

pub(super) fn check_keys(config: &Config, fail: &mut impl FnMut(&str, String, &str)) {
    let keys = &config.keys;
    for (key, secret) in [("keys.seal", &keys.seal), ("keys.previous_seal", &keys.previous_seal)] {
        // A secret that was not found is reported as such.
        let Some(secret) = secret.as_ref().filter(|secret| !secret.expose().is_empty()) else {
            continue;
        };
        if SealingKey::read(secret.expose()).is_err() {
            let cure = "make one with `openssl rand -base64 32`";
            fail(key, "is no 32 bytes in base64".to_owned(), cure);
        }
    }
    if keys.seal.is_none() && keys.previous_seal.is_some() {
        let cause = "is set, and `keys.seal` is not".to_owned();
        fail("keys.previous_seal", cause, "set keys.seal to what seals from now on");
    }
    if keys.dir.as_ref().is_some_and(|dir| dir.as_os_str().is_empty()) {
        fail("keys.dir", "is empty".to_owned(), "name a directory, or leave it out");
    }
    for purpose in Purpose::ALL {
        let days_max_ms = i64::from(DAYS_MAX) * DAY_MS;
        if keys.rotate_days.interval_ms(purpose).is_some_and(|interval| days_max_ms < interval) {
            let key = format!("keys.rotate_days.{}", purpose.as_str().replace('-', "_"));
            let cure = format!("write a number from 0 to {DAYS_MAX}");
            fail(&key, "is out of range".to_owned(), &cure);
        }
    }
}
