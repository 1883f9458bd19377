//! What is true of every operation.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

use super::walk::{METHODS, operation_of};
use crate::FieldError;
use crate::problem::{CONTENT_TYPE, Problem};

pub(super) fn info(version: &str) -> Value {
    json!({
        "title": "StreamVerse control API",
        "version": version,
        "description": "Errors are `application/problem+json` (RFC 9457) with a stable `code`, \
            explained at `/problems/{code}`. Lists take `limit` and `cursor`. See docs/api.md.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    })
}

pub(super) fn schemas() -> Map<String, Value> {
    let mut schemas = Map::new();
    let mut add = |name: &str, schema| {
        schemas.insert(name.to_owned(), serde_json::to_value(schema).expect("a schema is JSON"));
    };
    add(&Problem::name(), Problem::schema());
    add(&FieldError::name(), FieldError::schema());
    schemas
}

/// One scheme for each realm. OpenAPI lets `http` schemes name roles in a requirement (3.1, Security
/// Requirement Object); `x-permissions` says what the names mean.
pub(super) fn security_schemes(permissions: &BTreeMap<&str, &str>) -> Value {
    let bearer = |about: &str, format: &str| json!({"type": "http", "scheme": "bearer", "bearerFormat": format, "description": about});
    let mut schemes = json!({
        "viewer": bearer("Access token of a person who watches.", "JWT"),
        "staff": bearer("Access token of a member of staff, audience `admin`.", "JWT"),
        "machine": bearer("API key, `svk_…`.", "API key"),
    });
    for realm in ["staff", "machine"] {
        schemes[realm]["x-permissions"] = json!(permissions);
    }
    schemes
}

pub(super) fn responses() -> Value {
    let schema = json!({"$ref": "#/components/schemas/Problem"});
    json!({
        "Problem": {
            "description": "What went wrong; compare `code`.",
            "content": {CONTENT_TYPE: {"schema": schema}},
            "headers": references(&["X-Request-Id"]),
        },
        "Unauthorized": {
            "description": "No credentials, or none that are good here.",
            "content": {CONTENT_TYPE: {"schema": schema}},
            "headers": references(&["X-Request-Id", "WWW-Authenticate"]),
        },
        "Later": {
            "description": "Not now; wait as `Retry-After` says.",
            "content": {CONTENT_TYPE: {"schema": schema}},
            "headers": references(&["X-Request-Id", "Retry-After"]),
        },
    })
}

pub(super) fn headers() -> Value {
    let header = |about: &str, schema: Value| json!({"description": about, "schema": schema});
    let text = || json!({"type": "string"});
    json!({
        "X-Request-Id": header("Names the request in our logs.", text()),
        "RateLimit": header("What is left of the limit (draft-ietf-httpapi-ratelimit-headers).", text()),
        "WWW-Authenticate": header("The realm that is asked for (RFC 6750).", text()),
        "Retry-After": header("Seconds to wait.", json!({"type": "integer", "minimum": 0})),
        "ETag": header("The version; send it as `If-Match` with a change.", text()),
        "Link": header("`rel=\"next\"`: the next page (RFC 8288).", text()),
    })
}

fn references(names: &[&str]) -> Value {
    let reference =
        |name: &&str| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")}));
    Value::Object(names.iter().map(reference).collect())
}

/// Adds to each operation the answers and headers that come with what it takes.
pub(super) fn complete(document: &mut Value) {
    let Some(paths) = document["paths"].as_object_mut() else { return };
    for (path, item) in paths {
        for method in METHODS {
            let Some(operation) = operation_of(item, method) else { continue };
            let statuses = refusals(path, operation);
            let Some(responses) = operation["responses"].as_object_mut() else { continue };
            for response in responses.values_mut() {
                if response.get("$ref").is_none() {
                    add_headers(response);
                }
            }
            for status in statuses {
                let name = match status {
                    "401" => "Unauthorized",
                    "429" | "503" => "Later",
                    _ => "Problem",
                };
                let reference = json!({"$ref": format!("#/components/responses/{name}")});
                responses.entry(status).or_insert(reference);
            }
        }
    }
}

/// The refusals that an operation can't do without.
fn refusals(path: &str, operation: &Value) -> Vec<&'static str> {
    let mut statuses = vec!["400", "429", "500", "503"];
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    let has = |place: &str| parameters.iter().any(|parameter| parameter["in"] == place);
    let requires = |name: &str| {
        let named = |parameter: &&Value| {
            parameter["name"].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name))
        };
        parameters.iter().find(named).map(|parameter| parameter["required"] == true)
    };
    let security = operation["security"].as_array().cloned().unwrap_or_default();
    let schemes: Vec<_> = security.iter().filter_map(Value::as_object).flatten().collect();
    if !schemes.is_empty() {
        statuses.push("401");
    }
    if schemes.iter().any(|(_, scopes)| scopes.as_array().is_some_and(|s| !s.is_empty())) {
        statuses.push("403");
    }
    if operation.get("requestBody").is_some() {
        statuses.extend(["413", "415", "422"]);
    }
    if has("query") {
        statuses.push("422");
    }
    if path.contains('{') {
        statuses.push("404");
    }
    if requires("Idempotency-Key").is_some() {
        statuses.extend(["409", "422"]);
    }
    if let Some(is_required) = requires("If-Match") {
        statuses.push("412");
        if is_required {
            statuses.push("428");
        }
    }
    statuses
}

fn add_headers(response: &mut Value) {
    let Some(response) = response.as_object_mut() else { return };
    let headers = response.entry("headers").or_insert_with(|| json!({}));
    let Some(headers) = headers.as_object_mut() else { return };
    for name in ["X-Request-Id", "RateLimit"] {
        let reference = json!({"$ref": format!("#/components/headers/{name}")});
        headers.entry(name).or_insert(reference);
    }
}
