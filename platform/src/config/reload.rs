//! What a changed configuration can change in a running process.

use serde_json::{Map, Value};

use super::model::Config;
use super::tree::dotted;

/// Sections and keys that take effect without a restart.
///
/// Limits reach connections that are accepted afterwards. The target duration is not here: it
/// decides the segments of titles, whose URLs promise that their bytes never change.
pub(super) const AT_RUN_TIME: &[&str] = &[
    "cdn.akamai.escape_early",
    "cdn.akamai.header",
    "cdn.akamai.salt",
    "cdn.akamai.sha1",
    "cdn.cat.audience",
    "cdn.cat.ignored_claims",
    "cdn.cat.issuer",
    "cdn.cloudfront.sha1",
    "cdn.cookie_origins",
    "cdn.key",
    "cdn.lifetime_seconds_max",
    "cdn.uri_signing.audience",
    "cdn.uri_signing.decryption_key",
    "cdn.uri_signing.issuer",
    "control.cors_origins",
    "control.limits.bulk_content_bytes",
    "control.limits.bulk_request_seconds",
    "control.limits.content_bytes",
    "control.limits.request_seconds",
    "control.limits.requests_max",
    "control.rate_limit.anonymous_per_minute",
    "control.rate_limit.exempt",
    "control.rate_limit.ipv4_bits",
    "control.rate_limit.ipv6_bits",
    "control.rate_limit.login_account_per_minute",
    "control.rate_limit.login_per_minute",
    "control.rate_limit.signed_in_per_minute",
    "control.transform",
    "delivery",
    "keys.rotate_days.access_tokens",
    "keys.rotate_days.audit",
    "keys.rotate_days.content_seeds",
    "keys.rotate_days.records",
    "keys.rotate_days.sessions",
    "keys.rotate_days.url_tokens",
    "limits.content_bytes",
    "limits.header_bytes",
    "limits.header_timeout_seconds",
    "limits.keep_alive_seconds",
    "limits.request_timeout_seconds",
    "limits.write_stall_seconds",
    "limits.streams_per_connection",
    "load.delay_target_seconds",
    "load.requests_max",
    "load.requests_min",
    "load.wait_seconds",
    "load.waiting_max",
    "log.access_sample",
    "log.access_slow_seconds",
    "log.level",
    "net.trusted_proxies",
    "preset",
    "rate_limit.address_burst",
    "rate_limit.address_per_second",
    "rate_limit.exempt",
    "rate_limit.ipv4_bits",
    "rate_limit.ipv6_bits",
    "rate_limit.refused_burst",
    "rate_limit.refused_per_second",
    "rate_limit.session_burst",
    "rate_limit.session_per_second",
    "signing_key",
    "tenant",
    "tls.certificate",
    "tls.client_ca",
];

/// The keys in which two configurations differ.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Changes {
    /// Keys that a running process adopts.
    pub at_run_time: Vec<String>,
    /// Keys that wait for a restart.
    pub at_restart: Vec<String>,
}

impl Config {
    /// What differs in `new`. A secret differs when its value or its reference does.
    pub fn changes(&self, new: &Self) -> Changes {
        let mut keys = Vec::new();
        collect(&object(self), &object(new), "", &mut keys);
        // Serialised secrets are redacted, so that they are compared by value.
        let (mut old, mut replaced) = (self.clone(), new.clone());
        let secrets = |config: &mut Self| -> Vec<_> {
            config.secrets_mut().into_iter().map(|(key, secret)| (key, secret.clone())).collect()
        };
        let new_secrets = secrets(&mut replaced);
        for (key, secret) in secrets(&mut old) {
            let differs = new_secrets.iter().any(|(name, new)| *name == key && *new != secret);
            if differs && !keys.contains(&key) {
                keys.push(key);
            }
        }

        let (at_run_time, at_restart) =
            keys.into_iter().partition(|key| AT_RUN_TIME.contains(&list_of(key)));
        Changes { at_run_time, at_restart }
    }
}

impl Config {
    /// What differs in `new`, a line a key: `limits.connections: 100 -> 200`. Of a secret no more is
    /// told than that it differs.
    pub fn difference(&self, new: &Self) -> Vec<String> {
        let (old_values, new_values) = (object(self), object(new));
        let mut keys = Vec::new();
        collect(&old_values, &new_values, "", &mut keys);
        let changes = self.changes(new);
        let all = changes.at_run_time.iter().chain(&changes.at_restart);
        all.map(|key| {
            if !keys.contains(key) {
                return format!("{key}: another secret");
            }
            // Secrets are redacted in what is serialised, as references or stars.
            let text =
                |values: &Map<String, Value>| at(values, key).map_or_else(String::new, short);
            format!("{key}: {} -> {}", text(&old_values), text(&new_values))
        })
        .collect()
    }
}

/// The value of a dotted key.
fn at<'a>(values: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let mut parts = key.split('.');
    let mut value = values.get(parts.next()?)?;
    for part in parts {
        value = value.get(part)?;
    }
    Some(value)
}

/// A value on one line of a log.
fn short(value: &Value) -> String {
    const CHARS_MAX: usize = 200;
    let text = value.to_string();
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The key of the list that a key inside an entry belongs to: `signing_key[0].secret`.
fn list_of(key: &str) -> &str {
    key.split('[').next().unwrap_or(key)
}

fn object(config: &Config) -> Map<String, Value> {
    match serde_json::to_value(config) {
        Ok(Value::Object(values)) => values,
        other => unreachable!("a configuration serialises to an object, not {other:?}"),
    }
}

/// Both sides have the same keys, since every key is serialised.
fn collect(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    prefix: &str,
    keys: &mut Vec<String>,
) {
    for (key, old) in old {
        let path = dotted(prefix, key);
        match (old, new.get(key)) {
            (Value::Object(old), Some(Value::Object(new))) => collect(old, new, &path, keys),
            (old, new) if new != Some(old) => keys.push(path),
            _ => {}
        }
    }
}
