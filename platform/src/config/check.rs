//! What the values must satisfy beyond their types.

use super::cdn::{check_cdn, check_deliveries};
use super::control_check::{check_control, check_telemetry, check_tenants};
use super::database::check_database;
use super::feed::{check_feed, check_ops};
use super::guard::{check_cmcd, check_cmsd, check_load, check_rate_limit};
use super::keyring::check_keys;
use super::mail::check_mail;
use super::model::{AcmeChallenge, Tls, TlsCertificate};
use super::model::{ClientAuth, Config, SigningKey};
use super::outbound::check_outbound;
use super::preset::{Addressing, Packaging, Preset, Protection};
use super::upstream::{check_fetch, check_shield, check_upstreams};
use super::vault::check_vault;
use crate::url_token::Keyring;

/// Names of presets that are built in, and of directories that lie beside those of presets.
pub(super) const BUILT_IN_PRESETS: [&str; 12] = [
    "cmaf",
    "cmaf-single",
    "ts",
    "cenc",
    "cbcs",
    "ts-aes128",
    "ts-sample-aes",
    "fmp4",
    "mpegts",
    "webvtt",
    "webvtt-ts",
    "image",
];

/// Longest name of a preset, in bytes.
const PRESET_NAME_BYTES_MAX: usize = 32;

/// Presets beside the built-in ones.
const PRESETS_MAX: usize = 64;

/// Names in one certificate that is ordered; authorities take as many.
const ACME_DOMAINS_MAX: usize = 100;

/// Addresses that an authority may write to.
const ACME_CONTACTS_MAX: usize = 10;

/// Certificates of one server.
const CERTIFICATES_MAX: usize = 256;

/// A check that failed.
pub(super) struct Failed {
    pub(super) key: String,
    pub(super) cause: String,
    pub(super) cure: String,
}

pub(super) fn check(config: &Config) -> Vec<Failed> {
    let mut failed = Vec::new();
    let mut fail = |key: &str, cause: String, cure: &str| {
        failed.push(Failed { key: key.to_owned(), cause, cure: cure.to_owned() });
    };

    if let Some(url) = &config.media.public_url
        && !is_http_url(url)
    {
        let cure = "write http:// or https://, a host and no query, without a final slash";
        fail("media.public_url", format!("`{url}` is no base address"), cure);
    }
    if config.data.dir.as_os_str().is_empty() {
        fail("data.dir", "is empty".to_owned(), "name a directory");
    }
    check_objects(config, &mut fail);
    check_numbers(config, &mut fail);
    check_certificates(&config.tls.certificate, &mut fail);
    check_clients(&config.tls, &mut fail);
    check_acme(config, &mut fail);
    check_log(config, &mut fail);
    check_presets(&config.preset, &mut fail);
    check_upstreams(&config.upstream, &mut fail);
    check_fetch(&config.fetch, &mut fail);
    check_shield(&config.shield, &mut fail);
    check_ops(&config.ops, &mut fail);
    check_database(&config.database, &mut fail);
    check_feed(&config.feed, &mut fail);
    check_control(&config.control, &mut fail);
    check_telemetry(&config.telemetry, &mut fail);
    check_tenants(&config.tenant, &mut fail);
    check_outbound(&config.outbound, &mut fail);
    check_keys(config, &mut fail);
    check_vault(config, &mut fail);
    check_mail(&config.mail, &mut fail);
    check_cdn(&config.cdn, &mut fail);
    check_deliveries(&config.delivery, &config.cdn, &mut fail);
    check_rate_limit(&config.rate_limit, &mut fail);
    check_load(&config.load, &mut fail);
    check_cmcd(&config.cmcd, &mut fail);
    check_cmsd(&config.cmsd, &mut fail);
    // A secret that was not found is reported as such.
    let is_found = |key: &SigningKey| key.secret.as_ref().is_none_or(|s| !s.expose().is_empty());
    if config.signing_key.iter().all(is_found)
        && let Err(error) = Keyring::from_config(&config.signing_key)
    {
        let cure = "see `[[signing_key]]` in config.default.toml";
        fail("signing_key", error.to_string(), cure);
    }
    failed
}

fn check_objects(config: &Config, fail: &mut impl FnMut(&str, String, &str)) {
    let s3 = &config.objects.s3;
    match config.objects.url.as_deref() {
        None => {}
        Some(url) if url.strip_prefix("file:").is_some_and(|path| !path.is_empty()) => {}
        Some(url) if url.starts_with("s3://") => {
            let bucket = url["s3://".len()..].split('/').next().unwrap_or_default();
            if !is_bucket_name(bucket) {
                let cause = format!("`{bucket}` is no bucket name");
                fail("objects.url", cause, "write s3://BUCKET or s3://BUCKET/PREFIX");
            }
            if s3.access_key.is_some() != s3.secret_key.is_some() {
                let cause = "one of access_key and secret_key is missing".to_owned();
                fail("objects.s3", cause, "set both, or neither for anonymous access");
            }
        }
        Some(url) => {
            let cause = format!("`{url}` names no kind of store");
            fail("objects.url", cause, "write file:PATH or s3://BUCKET/PREFIX");
        }
    }
    if let Some(endpoint) = &s3.endpoint
        && !is_http_url(endpoint)
    {
        let cause = format!("`{endpoint}` is no endpoint");
        fail("objects.s3.endpoint", cause, "write http:// or https:// and a host");
    }
}

fn check_numbers(config: &Config, fail: &mut impl FnMut(&str, String, &str)) {
    let limits = &config.limits;
    let s3 = &config.objects.s3;
    let cache = &config.cache;
    let seconds = [
        ("packager.target_duration_seconds", config.packager.target_duration_seconds, 0.5, 60.0),
        ("objects.s3.request_timeout_seconds", s3.request_timeout_seconds, 0.1, 600.0),
        ("limits.header_timeout_seconds", limits.header_timeout_seconds, 0.1, 600.0),
        ("limits.keep_alive_seconds", limits.keep_alive_seconds, 0.1, 86_400.0),
        ("limits.request_timeout_seconds", limits.request_timeout_seconds, 0.1, 86_400.0),
        ("limits.write_stall_seconds", limits.write_stall_seconds, 0.1, 86_400.0),
        ("limits.drain_seconds", limits.drain_seconds, 0.0, 86_400.0),
        ("cache.negative_seconds", cache.negative_seconds, 0.0, 60.0),
        ("cache.stale_if_error_seconds", cache.stale_if_error_seconds, 0.0, 604_800.0),
        ("log.access_slow_seconds", config.log.access_slow_seconds, 0.0, 86_400.0),
    ];
    for (key, value, min, max) in seconds {
        if !(min..=max).contains(&value) {
            let cure = format!("write a number from {min} to {max}");
            fail(key, format!("{value} seconds is out of range"), &cure);
        }
    }
    let counts = [
        ("limits.connections", u64::from(limits.connections), 1, 1_000_000),
        ("limits.streams_per_connection", u64::from(limits.streams_per_connection), 1, 10_000),
        ("limits.header_bytes", limits.header_bytes.get(), 1_024, 65_536),
        ("limits.content_bytes", limits.content_bytes.get(), 1_024, 1 << 20),
        ("cache.object_bytes", cache.object_bytes.get(), 1 << 20, 4 << 30),
        ("objects.s3.retries_max", u64::from(s3.retries_max), 0, 20),
        ("objects.s3.requests_max", u64::from(s3.requests_max), 1, 10_000),
    ];
    for (key, value, min, max) in counts {
        if !(min..=max).contains(&value) {
            let cure = format!("write a number from {min} to {max}");
            fail(key, format!("{value} is out of range"), &cure);
        }
    }
}

fn check_certificates(certificates: &[TlsCertificate], fail: &mut impl FnMut(&str, String, &str)) {
    if CERTIFICATES_MAX < certificates.len() {
        let cause = format!("{} certificates", certificates.len());
        fail("tls.certificate", cause, &format!("at most {CERTIFICATES_MAX} are taken"));
    }
    for (index, certificate) in certificates.iter().enumerate() {
        for (key, path) in [("chain", &certificate.chain), ("key", &certificate.key)] {
            if path.as_os_str().is_empty() {
                let key = format!("tls.certificate[{index}].{key}");
                fail(&key, "is empty".to_owned(), "name a PEM file");
            }
        }
    }
}

fn check_clients(tls: &Tls, fail: &mut impl FnMut(&str, String, &str)) {
    let is_required = tls.client_auth == ClientAuth::Require;
    let has_authority = tls.client_ca.as_ref().is_some_and(|path| !path.as_os_str().is_empty());
    if is_required && !has_authority {
        let cause = "clients need a certificate, and nobody vouches for any".to_owned();
        fail("tls.client_ca", cause, "name the PEM file of the authority, or set `client_auth`");
    }
    if is_required && tls.early_data {
        let cause = "early data comes before a client has shown its certificate".to_owned();
        fail("tls.early_data", cause, "write false, or client_auth = \"off\"");
    }
}

fn check_acme(config: &Config, fail: &mut impl FnMut(&str, String, &str)) {
    let acme = &config.tls.acme;
    let Some(directory_url) = &acme.directory_url else {
        if !acme.domains.is_empty() {
            let cause = "is not set, and `domains` are".to_owned();
            fail("tls.acme.directory_url", cause, "name the directory of the authority");
        }
        return;
    };
    let is_url = directory_url.parse::<http::Uri>().is_ok_and(|uri| {
        uri.scheme_str() == Some("https") && uri.host().is_some_and(|host| !host.is_empty())
    });
    if !is_url {
        let cause = format!("`{directory_url}` is no https address");
        fail("tls.acme.directory_url", cause, "write https://, a host and a path");
    }
    if acme.domains.is_empty() || ACME_DOMAINS_MAX < acme.domains.len() {
        let cause = format!("{} domains", acme.domains.len());
        fail("tls.acme.domains", cause, &format!("name 1 to {ACME_DOMAINS_MAX}"));
    }
    for domain in acme.domains.iter().filter(|domain| !is_domain(domain)) {
        let cure = "write names such as media.example.org; wildcards need another challenge";
        fail("tls.acme.domains", format!("`{domain}` is no host name"), cure);
    }
    let is_contact = |contact: &&String| !contact.starts_with("mailto:");
    for contact in acme.contacts.iter().filter(is_contact) {
        let cure = "write \"mailto:operator@example.org\"";
        fail("tls.acme.contacts", format!("`{contact}` is no address"), cure);
    }
    if ACME_CONTACTS_MAX < acme.contacts.len() {
        let cause = format!("{} contacts", acme.contacts.len());
        fail("tls.acme.contacts", cause, &format!("at most {ACME_CONTACTS_MAX} are taken"));
    }
    if !acme.terms_agreed {
        let cause = "authorities issue to those who agree to their terms".to_owned();
        fail("tls.acme.terms_agreed", cause, "read them, and write true");
    }
    let (listener, is_off) = match acme.challenge {
        AcmeChallenge::TlsAlpn01 => ("media.https", config.media.https.address().is_none()),
        AcmeChallenge::Http01 => ("media.http", config.media.http.address().is_none()),
    };
    if is_off {
        let cause = format!("the authority asks `{listener}`, which is off");
        fail("tls.acme.challenge", cause, "choose the other challenge, or an address");
    }
    if acme.challenge == AcmeChallenge::TlsAlpn01 && config.tls.client_auth == ClientAuth::Require {
        let cause = "the authority shows no client certificate".to_owned();
        fail("tls.acme.challenge", cause, "write \"http-01\"");
    }
}

/// A name of letters, digits and hyphens, with a dot in it (RFC 1123 2.1).
fn is_domain(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    name.len() <= 253 && name.contains('.') && !is_address && name.split('.').all(is_label)
}

fn check_log(config: &Config, fail: &mut impl FnMut(&str, String, &str)) {
    let sample = config.log.access_sample;
    if !(0.0..=1.0).contains(&sample) {
        fail("log.access_sample", format!("{sample} is no part"), "write a number from 0 to 1");
    }
    let level = &config.log.level;
    if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(level) {
        let cure = "write error, warn, info, debug or trace, or a list such as info,origin=debug";
        fail("log.level", format!("`{level}`: {error}"), cure);
    }
}

fn check_presets(presets: &[Preset], fail: &mut impl FnMut(&str, String, &str)) {
    if PRESETS_MAX < presets.len() {
        let cause = format!("{} presets", presets.len());
        fail("preset", cause, &format!("at most {PRESETS_MAX} are taken"));
    }
    for (index, preset) in presets.iter().enumerate() {
        let name = &preset.name;
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_name = (1..=PRESET_NAME_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|byte| is_plain(byte) || byte == b'-');
        if !is_name {
            let cure = "write 1 to 32 small letters, digits and hyphens";
            fail(&format!("preset[{index}].name"), format!("`{name}` is no name"), cure);
        }
        let is_built_in = BUILT_IN_PRESETS.contains(&name.as_str());
        if is_built_in || presets[..index].iter().any(|other| other.name == *name) {
            let cause = format!("`{name}` exists already");
            fail(&format!("preset[{index}].name"), cause, "choose another name");
        }
        if preset.addressing == Addressing::SingleFile && preset.packaging == Packaging::Ts {
            let cause = "MPEG-TS has no single-file form".to_owned();
            fail(&format!("preset[{index}].addressing"), cause, "write \"segments\"");
        }
        check_protection(preset, &format!("preset[{index}].protection"), fail);
    }
}

/// Protected presets belong to the configuration's language and come with content protection.
fn check_protection(preset: &Preset, key: &str, fail: &mut impl FnMut(&str, String, &str)) {
    let fits = match preset.protection {
        Protection::None => return,
        Protection::Cenc | Protection::Cbcs => preset.packaging == Packaging::Cmaf,
        Protection::Aes128 | Protection::SampleAes => preset.packaging == Packaging::Ts,
    };
    if fits {
        fail(key, "content protection is not built yet".to_owned(), "write \"none\"");
    } else {
        let cause = "the protection does not fit the packaging".to_owned();
        let cure = "cenc and cbcs protect cmaf, aes-128 and sample-aes protect ts";
        fail(key, cause, cure);
    }
}

/// A base address: scheme, host, perhaps a port and a path, and no final slash.
pub(super) fn is_http_url(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    is_http
        && uri.host().is_some_and(|host| !host.is_empty())
        && uri.query().is_none()
        && !url.ends_with('/')
        && !url.contains(['#', '@'])
}

/// Amazon S3's rule for bucket names, short of its reserved ones.
fn is_bucket_name(bucket: &str) -> bool {
    let is_inner = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
    };
    let ends_well = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = bucket.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| is_inner(*byte))
        && ends_well(bytes.first())
        && ends_well(bytes.last())
}
