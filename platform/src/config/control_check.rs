//! What `[control]`, `[telemetry]` and `[[tenant]]` must satisfy.

use std::collections::BTreeSet;

use http::{HeaderName, HeaderValue, Method};

use super::cdn::web_origin;
use super::check::is_http_url;
use super::control::{Control, Telemetry, Tenant, Transform, TransformOn};
use super::value::Listen;

/// Entries of each list.
const ORIGINS_MAX: usize = 256;
const TRANSFORMS_MAX: usize = 64;
const CHANGES_MAX: usize = 32;
const TENANTS_MAX: usize = 10_000;
const HOSTS_MAX: usize = 64;

/// Longest id of a tenant, in bytes.
const TENANT_BYTES_MAX: usize = 64;
/// Parts of a JSON pointer.
const POINTER_PARTS_MAX: usize = 8;
const VALUE_BYTES_MAX: usize = 4_096;

/// Headers that frame messages, say who speaks, or belong to the gateway: no transformation
/// touches them (RFC 9110 7.6.1 and 7.2).
const FIXED_HEADERS: [&str; 21] = [
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "early-data",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-request-id",
];

type Fail<'a> = &'a mut dyn FnMut(&str, String, &str);

pub(super) fn check_control(control: &Control, fail: Fail<'_>) {
    check_listeners(control, fail);
    check_numbers(control, fail);
    if let Some(url) = &control.public_url
        && !is_http_url(url)
    {
        let cure = "write http:// or https://, a host and no query, without a final slash";
        fail("control.public_url", format!("`{url}` is no base address"), cure);
    }
    if ORIGINS_MAX < control.cors_origins.len() {
        let cause = format!("{} origins", control.cors_origins.len());
        fail("control.cors_origins", cause, &format!("at most {ORIGINS_MAX} are taken"));
    }
    for origin in control.cors_origins.iter().filter(|origin| web_origin(origin).is_none()) {
        let cure = "write scheme, host and port as browsers do: \"https://www.example.org\"";
        fail("control.cors_origins", format!("`{origin}` is no origin"), cure);
    }
    if TRANSFORMS_MAX < control.transform.len() {
        let cause = format!("{} transformations", control.transform.len());
        fail("control.transform", cause, &format!("at most {TRANSFORMS_MAX} are taken"));
    }
    for (index, transform) in control.transform.iter().enumerate() {
        check_transform(transform, &format!("control.transform[{index}]"), fail);
    }
}

/// What goes in the clear stays on this machine, unless the operator says otherwise.
fn check_listeners(control: &Control, fail: Fail<'_>) {
    let mut in_clear = vec![("control.http", control.http)];
    if !control.grpc_tls {
        in_clear.push(("control.grpc", control.grpc));
    }
    for (key, listen) in in_clear {
        if let Listen::Address(address) = listen
            && !address.ip().is_loopback()
            && !control.insecure
        {
            let cause = format!("{address} can be reached from other machines, without TLS");
            let cure = "listen on 127.0.0.1, set it to \"off\" and use TLS, or set \
                        `control.insecure = true` where a proxy in front speaks TLS";
            fail(key, cause, cure);
        }
    }
}

fn check_numbers(control: &Control, fail: Fail<'_>) {
    let (limits, rates) = (&control.limits, &control.rate_limit);
    let numbers = [
        ("limits.content_bytes", limits.content_bytes.get() as f64, 1_024.0, 1_048_576.0),
        ("limits.bulk_content_bytes", limits.bulk_content_bytes.get() as f64, 1_024.0, 1e9),
        ("limits.request_seconds", limits.request_seconds, 0.1, 3_600.0),
        ("limits.bulk_request_seconds", limits.bulk_request_seconds, 0.1, 3_600.0),
        ("limits.requests_max", limits.requests_max.into(), 1.0, 1e6),
        ("rate_limit.anonymous_per_minute", rates.anonymous_per_minute.into(), 0.0, 1e7),
        ("rate_limit.signed_in_per_minute", rates.signed_in_per_minute.into(), 0.0, 1e7),
        ("rate_limit.login_per_minute", rates.login_per_minute.into(), 0.0, 1e7),
        ("rate_limit.login_account_per_minute", rates.login_account_per_minute.into(), 0.0, 1e7),
        ("rate_limit.ipv4_bits", rates.ipv4_bits.into(), 8.0, 32.0),
        ("rate_limit.ipv6_bits", rates.ipv6_bits.into(), 16.0, 128.0),
        ("rate_limit.keys", rates.keys.into(), 1_024.0, 16_777_216.0),
    ];
    for (key, value, min, max) in numbers {
        if !(min..=max).contains(&value) {
            let cure = format!("write a number from {min} to {max}");
            fail(&format!("control.{key}"), format!("{value} is out of range"), &cure);
        }
    }
}

fn check_transform(transform: &Transform, key: &str, fail: Fail<'_>) {
    let mut fail_at = |name: &str, cause: String, cure: &str| {
        fail(&format!("{key}.{name}"), cause, cure);
    };
    if !is_path(&transform.path) {
        let cure = "write the beginning of a path, such as \"/v1/content\"";
        fail_at("path", format!("`{}` is no path", transform.path), cure);
    }
    if let Some(path) = &transform.rewrite_path {
        if !is_path(path) {
            fail_at("rewrite_path", format!("`{path}` is no path"), "write one such as \"/v1\"");
        }
        if transform.on == TransformOn::Response {
            let cause = "an answer has no path".to_owned();
            fail_at("rewrite_path", cause, "write on = \"request\"");
        }
    }
    for method in &transform.methods {
        let is_known = Method::from_bytes(method.as_bytes())
            .is_ok_and(|known| known.as_str().bytes().all(|byte| byte.is_ascii_uppercase()));
        if !is_known {
            fail_at("methods", format!("`{method}` is no method"), "write \"GET\", \"POST\" …");
        }
    }
    for (name, headers) in
        [("set_headers", &transform.set_headers), ("rename_headers", &transform.rename_headers)]
    {
        for header in headers {
            if let Err(cause) = check_header_pair(header, name == "rename_headers") {
                fail_at(name, cause, "write \"Name: value\", of a header that is not fixed");
            }
        }
    }
    for header in &transform.remove_headers {
        if let Err(cause) = check_header_name(header) {
            fail_at("remove_headers", cause, "write the name of a header that is not fixed");
        }
    }
    for member in &transform.set_members {
        if json_member(member).is_none() {
            let cure = "write a JSON pointer, \" = \" and a JSON value: \"/source = \\\"web\\\"\"";
            fail_at("set_members", format!("`{member}` sets no member"), cure);
        }
    }
    for pointer in transform.remove_members.iter().filter(|pointer| !is_pointer(pointer)) {
        fail_at("remove_members", format!("`{pointer}` is no JSON pointer"), "write \"/name\"");
    }
    let changes = transform.set_headers.len()
        + transform.remove_headers.len()
        + transform.rename_headers.len()
        + transform.set_members.len()
        + transform.remove_members.len();
    if CHANGES_MAX < changes {
        fail(key, format!("{changes} changes"), &format!("at most {CHANGES_MAX} are made"));
    } else if changes == 0 && transform.rewrite_path.is_none() {
        fail(key, "changes nothing".to_owned(), "say what to set, remove or rename");
    }
}

fn check_header_pair(pair: &str, is_rename: bool) -> Result<(), String> {
    let (name, value) = header_pair(pair).ok_or_else(|| format!("`{pair}` has no value"))?;
    check_header_name(name)?;
    match is_rename {
        true => check_header_name(value),
        false if HeaderValue::from_str(value).is_ok() && value.len() <= VALUE_BYTES_MAX => Ok(()),
        false => Err(format!("`{pair}` has a value that no header can have")),
    }
}

fn check_header_name(name: &str) -> Result<(), String> {
    let parsed = HeaderName::from_bytes(name.as_bytes());
    let parsed = parsed.map_err(|_| format!("`{name}` is no name of a header"))?;
    match FIXED_HEADERS.contains(&parsed.as_str()) {
        true => Err(format!("`{name}` is fixed")),
        false => Ok(()),
    }
}

/// `Name: value`, in its two parts.
pub fn header_pair(pair: &str) -> Option<(&str, &str)> {
    let (name, value) = pair.split_once(':')?;
    Some((name.trim(), value.trim()))
}

/// `/json/pointer = JSON`, in its two parts (RFC 6901).
pub fn json_member(member: &str) -> Option<(&str, serde_json::Value)> {
    let (pointer, value) = member.split_once(" = ")?;
    let is_short = value.len() <= VALUE_BYTES_MAX;
    (is_pointer(pointer) && is_short).then_some(())?;
    Some((pointer, serde_json::from_str(value).ok()?))
}

fn is_pointer(pointer: &str) -> bool {
    let parts = pointer.split('/').count() - 1;
    pointer.starts_with('/') && (1..=POINTER_PARTS_MAX).contains(&parts)
}

/// Whole parts of a path, none of which could be read in two ways.
fn is_path(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let is_part = |part: &str| !part.is_empty() && part != "." && part != "..";
    path == "/"
        || (path.len() <= 256
            && path.bytes().all(is_plain)
            && path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_part)))
}

pub(super) fn check_telemetry(telemetry: &Telemetry, fail: Fail<'_>) {
    if let Some(url) = &telemetry.otlp_endpoint
        && !is_http_url(url)
    {
        let cure = "write http:// or https://, a host and a port: \"http://127.0.0.1:4318\"";
        fail("telemetry.otlp_endpoint", format!("`{url}` is no base address"), cure);
    }
    if HeaderName::from_bytes(telemetry.otlp_header.as_bytes()).is_err() {
        let cause = format!("`{}` is no name of a header", telemetry.otlp_header);
        fail("telemetry.otlp_header", cause, "write \"authorization\"");
    }
    if !(0.0..=1.0).contains(&telemetry.trace_sample) {
        let cause = format!("{} is no part", telemetry.trace_sample);
        fail("telemetry.trace_sample", cause, "write a number from 0 to 1");
    }
    let name = &telemetry.service_name;
    if name.is_empty() || 128 < name.len() {
        let cure = "write 1 to 128 bytes";
        fail("telemetry.service_name", format!("`{name}` is no name"), cure);
    }
}

pub(super) fn check_tenants(tenants: &[Tenant], fail: Fail<'_>) {
    if TENANTS_MAX < tenants.len() {
        let cause = format!("{} tenants", tenants.len());
        fail("tenant", cause, &format!("at most {TENANTS_MAX} are taken"));
    }
    let (mut ids, mut hosts) = (BTreeSet::new(), BTreeSet::new());
    for (index, tenant) in tenants.iter().enumerate() {
        let id = &tenant.id;
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=TENANT_BYTES_MAX).contains(&id.len()) || !id.bytes().all(is_plain) {
            let cure = "write 1 to 64 small letters, digits and hyphens";
            fail(&format!("tenant[{index}].id"), format!("`{id}` is no id"), cure);
        }
        if !ids.insert(id) {
            let cause = format!("`{id}` exists already");
            fail(
                &format!("tenant[{index}].id"),
                cause,
                "name each tenant once, with all its hosts",
            );
        }
        let key = format!("tenant[{index}].hosts");
        if tenant.hosts.is_empty() || HOSTS_MAX < tenant.hosts.len() {
            let cause = format!("{} hosts", tenant.hosts.len());
            fail(&key, cause, &format!("name 1 to {HOSTS_MAX}, or \"*\" for any other"));
        }
        for host in &tenant.hosts {
            if !is_host(host) {
                let cure = "write a name in small letters, without a scheme and a port";
                fail(&key, format!("`{host}` is no host"), cure);
            }
            if !hosts.insert(host) {
                fail(&key, format!("`{host}` is listed twice"), "remove one of the two");
            }
        }
    }
}

fn is_host(host: &str) -> bool {
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:[]".contains(&byte);
    host == "*" || ((1..=253).contains(&host.len()) && host.bytes().all(is_plain))
}

#[cfg(test)]
mod tests {
    use super::super::{Config, SourceFile, Sources};

    fn check(text: &str) -> String {
        let file = SourceFile { path: "conf.toml".into(), text: text.to_owned() };
        let sources = Sources { file: Some(file), ..Sources::default() };
        Config::load(&sources).map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn what_goes_in_the_clear_stays_here() {
        for (text, expected) in [
            ("[control]\nhttp = \"0.0.0.0:8081\"", "control.http"),
            ("[control]\ngrpc = \"[::]:9081\"", "control.grpc"),
        ] {
            let message = check(text);
            assert!(message.contains(expected) && message.contains("insecure"), "{message}");
        }
        for text in [
            "[control]\nhttp = \"0.0.0.0:8081\"\ninsecure = true",
            "[control]\nhttps = \"0.0.0.0:8444\"",
            "[control]\ngrpc = \"0.0.0.0:9081\"\ngrpc_tls = true",
        ] {
            assert_eq!(check(text), "", "{text}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let transform = |rest: &str| format!("[[control.transform]]\npath = \"/v1\"\n{rest}");
        for (text, expected) in [
            ("[control]\ncors_origins = [\"*\"]".to_owned(), "no origin"),
            ("[control]\ncors_origins = [\"https://a/b\"]".to_owned(), "no origin"),
            ("[control.limits]\nrequests_max = 0".to_owned(), "out of range"),
            (transform(""), "changes nothing"),
            (transform("set_headers = [\"Host: a\"]"), "`Host` is fixed"),
            (transform("remove_headers = [\"Authorization\"]"), "is fixed"),
            (transform("rename_headers = [\"X-A: Content-Length\"]"), "is fixed"),
            (transform("set_headers = [\"X-A: a\\u0001\"]"), "no header can have"),
            (transform("set_members = [\"source = 1\"]"), "sets no member"),
            (transform("set_members = [\"/source = web\"]"), "sets no member"),
            (transform("on = \"response\"\nrewrite_path = \"/v2\""), "has no path"),
            (transform("rewrite_path = \"/v2/../x\""), "is no path"),
            ("[telemetry]\notlp_endpoint = \"127.0.0.1:4318\"".to_owned(), "no base address"),
            ("[[tenant]]\nid = \"A\"\nhosts = [\"a\"]".to_owned(), "is no id"),
            ("[[tenant]]\nid = \"a\"\nhosts = []".to_owned(), "0 hosts"),
            (
                "[[tenant]]\nid = \"a\"\nhosts = [\"x\"]\n[[tenant]]\nid = \"b\"\nhosts = [\"x\"]"
                    .to_owned(),
                "listed twice",
            ),
        ] {
            let message = check(&text);
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
