//! One OpenAPI document (3.1) of all domains.
//!
//! A domain documents its operations with `#[utoipa::path]`; [`assemble`] joins the documents, adds
//! what is true of every operation (security schemes, problem answers, headers), and refuses a
//! document that says less than it must: see [`rules`]. The result is `control-api/openapi.json`,
//! a golden file, and is what the authorisation matrix and the API fuzzer read.

mod common;
mod rules;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::permission::PermissionEntry;

pub use rules::check;
pub use walk::{Operation, Realm, Requirement};

/// The version of the format.
const OPENAPI: &str = "3.1.1";

/// What a domain brings.
#[derive(Clone)]
pub struct Part {
    /// For messages: `account`.
    pub name: &'static str,
    /// Of `OpenApiRouter::get_openapi` or `split_for_parts`.
    pub document: utoipa::openapi::OpenApi,
    /// Permissions of staff and scopes of machines that its operations name.
    pub permissions: &'static [PermissionEntry],
}

/// The joined document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document(Value);

impl Document {
    pub fn as_value(&self) -> &Value {
        &self.0
    }

    /// As it is committed and served: keys sorted, so that a change of one operation is a change of
    /// its lines alone.
    ///
    /// # Panics
    /// Never: a value is JSON.
    pub fn to_text(&self) -> String {
        let mut text = serde_json::to_string_pretty(&sorted(&self.0)).expect("a value is JSON");
        text.push('\n');
        text
    }

    /// A document that was written down.
    ///
    /// # Errors
    /// When the text is no JSON.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }

    /// All operations, by path and method.
    pub fn operations(&self) -> Vec<Operation> {
        walk::operations(&self.0)
    }
}

/// serde_json keeps the order of insertion when any crate asks for that, so it isn't relied on.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<_, _> = fields.iter().collect();
            sorted.into_iter().map(|(name, field)| (name.clone(), self::sorted(field))).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        leaf => leaf.clone(),
    }
}

/// Joins the documents of domains.
///
/// # Errors
/// Every breach of a rule, one sentence each.
pub fn assemble(version: &str, parts: &[Part]) -> Result<Document, Vec<String>> {
    let mut faults = Vec::new();
    let mut paths = Map::new();
    let mut schemas = common::schemas();
    let mut permissions = BTreeMap::new();
    for part in parts {
        let document = serde_json::to_value(&part.document).expect("a document is JSON");
        join(part.name, "path", &mut paths, object(&document, "/paths"), &mut faults);
        let own = object(&document, "/components/schemas");
        join(part.name, "schema", &mut schemas, own, &mut faults);
        permissions.extend(part.permissions.iter().map(|entry| (entry.name, entry.about)));
    }
    let mut document = json!({
        "openapi": OPENAPI,
        "info": common::info(version),
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": common::security_schemes(&permissions),
            "responses": common::responses(),
            "headers": common::headers(),
        },
    });
    common::complete(&mut document);
    faults.extend(check(&document, &permissions));
    if faults.is_empty() { Ok(Document(document)) } else { Err(faults) }
}

fn object(document: &Value, pointer: &str) -> Map<String, Value> {
    document.pointer(pointer).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Two domains may share what is the same (a type of this crate), nothing else.
fn join(
    domain: &str,
    kind: &str,
    into: &mut Map<String, Value>,
    from: Map<String, Value>,
    faults: &mut Vec<String>,
) {
    for (name, value) in from {
        match into.get(&name) {
            Some(earlier) if *earlier != value => {
                faults.push(format!("{domain}: another domain has a different {kind} `{name}`"));
            }
            _ => {
                into.insert(name, value);
            }
        }
    }
}
