//! All codes, each with its status, its title and what it means.

use std::collections::BTreeMap;
use std::fmt::Write;

/// A code that a request may be refused with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CodeEntry {
    pub code: &'static str,
    pub status: u16,
    /// The code in a few words.
    pub title: &'static str,
    /// What it means and what a client can do.
    pub about: &'static str,
}

/// A code of one value, in `errors`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FieldCode {
    pub code: &'static str,
    pub about: &'static str,
}

const fn entry(
    code: &'static str,
    status: u16,
    title: &'static str,
    about: &'static str,
) -> CodeEntry {
    CodeEntry { code, status, title, about }
}

const fn field(code: &'static str, about: &'static str) -> FieldCode {
    FieldCode { code, about }
}

/// The codes of this crate.
pub const CODES: &[CodeEntry] = &[
    entry(
        "bad_request",
        400,
        "Bad request",
        "The request can't be understood. Read `detail`, mend it, send it again.",
    ),
    entry(
        "malformed_json",
        400,
        "Malformed JSON",
        "The body is no JSON, is nested too deeply, or names a key twice.",
    ),
    entry(
        "invalid_cursor",
        400,
        "Invalid cursor",
        "The cursor is not one of this list with these filters. Start without one.",
    ),
    entry(
        "idempotency_key_missing",
        400,
        "Idempotency-Key missing",
        "The operation takes effect once per `Idempotency-Key`. Send a fresh one, say a UUID, and the same one when you try again.",
    ),
    entry(
        "idempotency_key_invalid",
        400,
        "Idempotency-Key invalid",
        "Send 1 to 255 visible ASCII characters, once.",
    ),
    entry(
        "credentials_missing",
        401,
        "Sign in",
        "The operation is for callers who are signed in. Send `Authorization: Bearer TOKEN`.",
    ),
    entry(
        "credentials_malformed",
        401,
        "Credentials not readable",
        "Send exactly one `Authorization` header with the scheme `Bearer`.",
    ),
    entry(
        "invalid_token",
        401,
        "Credentials not known",
        "The token or key is not known here. Sign in again.",
    ),
    entry(
        "token_expired",
        401,
        "Token expired",
        "Exchange the refresh token for a new access token.",
    ),
    entry(
        "token_revoked",
        401,
        "Signed out",
        "The session was ended or the key withdrawn. Sign in again.",
    ),
    entry(
        "wrong_realm",
        401,
        "Credentials of another kind",
        "Viewers, staff and machines have credentials of their own; `WWW-Authenticate` names the realm that is asked for.",
    ),
    entry("forbidden", 403, "Not allowed", "The caller is known and may not do this."),
    entry(
        "permission_missing",
        403,
        "Permission missing",
        "A member of staff needs the permission that `detail` names; whoever edits roles can give it.",
    ),
    entry(
        "scope_missing",
        403,
        "Scope missing",
        "The API key lacks the scope that `detail` names. Make a key that has it.",
    ),
    entry(
        "not_found",
        404,
        "Not found",
        "There is no such thing, or it is not yours to see; both look the same.",
    ),
    entry(
        "no_such_route",
        404,
        "No such path",
        "No operation has this path. `/v1/openapi.json` lists all.",
    ),
    entry(
        "method_not_allowed",
        405,
        "Method not allowed",
        "The path takes the methods that `Allow` lists.",
    ),
    entry(
        "request_timeout",
        408,
        "Request took too long",
        "The request did not arrive in time. Send it again.",
    ),
    entry(
        "conflict",
        409,
        "Conflict",
        "The state of things forbids it. Read it again, then decide.",
    ),
    entry(
        "idempotency_in_progress",
        409,
        "Still running",
        "A request with this `Idempotency-Key` is under way. Ask again after `Retry-After`.",
    ),
    entry("length_required", 411, "Length required", "Send `Content-Length`."),
    entry(
        "version_mismatch",
        412,
        "Changed meanwhile",
        "`If-Match` names another version than the current one. Read the resource again and repeat the change on it.",
    ),
    entry("body_too_large", 413, "Body too large", "The body is longer than the operation takes."),
    entry("target_too_long", 414, "Path and query too long", "Shorten the path and the query."),
    entry(
        "unsupported_media_type",
        415,
        "Unsupported media type",
        "Send JSON as `application/json`.",
    ),
    entry(
        "validation_failed",
        422,
        "Values not acceptable",
        "`errors` names each value by a JSON pointer, with a code and a sentence.",
    ),
    entry(
        "idempotency_key_reused",
        422,
        "Idempotency-Key used for another request",
        "The key belongs to a request with another body. Use a fresh key for a new request.",
    ),
    entry(
        "precondition_required",
        428,
        "If-Match required",
        "Read the resource, and send its `ETag` as `If-Match` with the change.",
    ),
    entry(
        "rate_limited",
        429,
        "Too many requests",
        "Wait as `Retry-After` says; `RateLimit` tells what is left.",
    ),
    entry("headers_too_large", 431, "Headers too large", "Send shorter headers."),
    entry(
        "internal",
        500,
        "Internal error",
        "The fault is ours. Name the request id when you report it.",
    ),
    entry(
        "not_wired",
        500,
        "Internal error",
        "The server is put together wrongly. Name the request id when you report it.",
    ),
    entry("not_implemented", 501, "Not implemented", "The server doesn't do this."),
    entry("upstream_failed", 502, "A service behind this one failed", "Try again later."),
    entry("unavailable", 503, "Not available", "Try again after `Retry-After`."),
    entry(
        "busy",
        503,
        "Busy",
        "More work is waiting than can be done in time. Try again after `Retry-After`.",
    ),
    entry(
        "credentials_unchecked",
        503,
        "Credentials can't be checked",
        "What credentials are checked against is not available. Try again after `Retry-After`.",
    ),
    entry(
        "in_doubt",
        503,
        "Outcome not known",
        "The change may have happened. Read before you repeat it, or repeat it with the same `Idempotency-Key`.",
    ),
    entry(
        "timed_out",
        504,
        "Took too long",
        "The answer was not ready in time. It may still take effect: repeat with the same `Idempotency-Key`.",
    ),
];

/// The codes of single values of this crate.
pub const FIELD_CODES: &[FieldCode] = &[
    field("unknown_field", "The operation doesn't know this field. Check its spelling."),
    field("missing_field", "The field is needed."),
    field("duplicate_field", "The field is there twice."),
    field("invalid_type", "The value has another type or form than the field's."),
    field("invalid_value", "The value is not one that the field takes."),
    field("invalid_number", "The value is no number of the field's range."),
    field("empty", "The text is empty."),
    field("too_short", "The text is shorter than the field takes."),
    field("too_long", "The text is longer than the field takes."),
    field("invalid_characters", "The text has control or invisible characters."),
    field("invalid_email", "The text is no e-mail address that mail can be sent to."),
    field("invalid_locale", "The text is no BCP 47 language tag."),
    field("invalid_country", "The text is no ISO 3166-1 code of two letters."),
    field("invalid_id", "The text is no identifier of ours."),
];

/// The codes of all domains that a server runs.
#[derive(Clone, Debug)]
pub struct Registry {
    codes: BTreeMap<&'static str, CodeEntry>,
    fields: BTreeMap<&'static str, FieldCode>,
}

/// The codes of this crate alone.
impl Default for Registry {
    fn default() -> Self {
        Self::new(&[], &[])
    }
}

impl Registry {
    /// This crate's codes and those of domains.
    ///
    /// # Panics
    /// When two domains use one code: a fault of the program, found by the first test that starts it.
    pub fn new(codes: &[&[CodeEntry]], fields: &[&[FieldCode]]) -> Self {
        let mut all = Self { codes: BTreeMap::new(), fields: BTreeMap::new() };
        for entry in codes.iter().copied().chain([CODES]).flatten() {
            let earlier = all.codes.insert(entry.code, *entry);
            assert!(earlier.is_none(), "the code `{}` is registered twice", entry.code);
        }
        for field in fields.iter().copied().chain([FIELD_CODES]).flatten() {
            let earlier = all.fields.insert(field.code, *field);
            assert!(earlier.is_none(), "the field code `{}` is registered twice", field.code);
        }
        all
    }

    pub fn find(&self, code: &str) -> Option<&CodeEntry> {
        self.codes.get(code)
    }

    pub fn find_field(&self, code: &str) -> Option<&FieldCode> {
        self.fields.get(code)
    }

    /// All codes, sorted.
    pub fn codes(&self) -> impl Iterator<Item = &CodeEntry> {
        self.codes.values()
    }

    /// The text of `/problems/{code}`, as plain text.
    pub fn page(&self, code: &str) -> Option<String> {
        let entry = self.find(code)?;
        let (title, status, about) = (entry.title, entry.status, entry.about);
        Some(format!("{code} (HTTP {status})\n{title}\n\n{about}\n"))
    }

    /// `docs/problems.md`.
    pub fn markdown(&self) -> String {
        let mut text = String::from(MARKDOWN_HEAD);
        let mut codes: Vec<_> = self.codes.values().collect();
        codes.sort_by_key(|entry| (entry.status, entry.code));
        for CodeEntry { code, status, title, about } in codes {
            writeln!(text, "| {status} | `{code}` | {title} | {about} |").expect("memory");
        }
        text.push_str(MARKDOWN_FIELDS);
        for FieldCode { code, about } in self.fields.values() {
            writeln!(text, "| `{code}` | {about} |").expect("memory");
        }
        text
    }
}

const MARKDOWN_HEAD: &str = "# Problems

Every refused request is answered with `application/problem+json` (RFC 9457); docs/api.md tells its
members. Programs compare `code`, which never changes its meaning. The server explains each at
`/problems/{code}`. This page is written from the program: `UPDATE_GOLDEN=1 cargo test` renews it.

| status | code | title | what to do |
| --- | --- | --- | --- |
";

const MARKDOWN_FIELDS: &str = "
## Codes of single values

In `errors` of `validation_failed` and `malformed_json`, beside a JSON pointer.

| code | meaning |
| --- | --- |
";
