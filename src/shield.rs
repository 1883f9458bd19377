//! `[shield]`: who may fetch media from this origin.
//!
//! An origin behind edges answers them alone, so that nobody walks around tokens and caches. An
//! edge shows the secret in a header that no client's request gets past it with.

use http::HeaderMap;
use platform::config::{Secret, Shield as ShieldConfig};

/// The header that bears the secret; the edge's upstream client sends it.
const SHIELD: &str = "streamverse-shield";

/// The secrets that are taken, as hashes: comparing those takes the same time wherever they differ.
#[derive(Clone, Debug)]
pub struct Shield {
    secrets: Vec<blake3::Hash>,
}

impl Shield {
    /// `None` when no secret is configured.
    pub fn new(config: &ShieldConfig) -> Option<Self> {
        let hash = |secret: &Secret| blake3::hash(secret.expose().as_bytes());
        let secrets = [&config.secret, &config.previous_secret];
        let secrets: Vec<_> = secrets.into_iter().flatten().map(hash).collect();
        (!secrets.is_empty()).then_some(Self { secrets })
    }

    /// Whether the headers bear one secret that is taken, and no second one.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let mut shown = headers.get_all(SHIELD).iter();
        let (Some(value), None) = (shown.next(), shown.next()) else { return false };
        let shown = blake3::hash(value.as_bytes());
        // Without a shortcut: which of the secrets it was is nobody's business either.
        self.secrets.iter().fold(false, |found, secret| found | (*secret == shown))
    }
}

#[cfg(test)]
mod tests {
    use platform::config::{Config, Sources};

    use super::*;

    fn shield(keys: &[(&str, &str)]) -> Option<Shield> {
        let flags = keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let sources = Sources { flags: flags.collect(), ..Sources::default() };
        Shield::new(&Config::load(&sources).expect("the keys are right").config.shield)
    }

    #[test]
    fn one_right_secret_is_needed() {
        let keys = [
            ("shield.secret", "the-present-secret"),
            ("shield.previous_secret", "the-former-secret"),
        ];
        let shield = shield(&keys).expect("secrets are set");
        let admits = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(SHIELD, value.parse().expect("a value"));
            }
            shield.admits(&headers)
        };
        assert!(admits(&["the-present-secret"]));
        assert!(admits(&["the-former-secret"]));
        for values in [
            &[][..],
            &[""],
            &["the-present-secre"],
            &["the-present-secret-"],
            &["The-Present-Secret"],
            &["a guess", "the-present-secret"],
            &["the-present-secret", "the-present-secret"],
        ] {
            assert!(!admits(values), "{values:?}");
        }
    }

    #[test]
    fn without_a_secret_there_is_no_shield() {
        assert!(shield(&[]).is_none());
    }
}
