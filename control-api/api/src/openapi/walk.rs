//! The operations of a document.

use serde_json::Value;

/// Methods of a path item, as the document writes them.
pub(super) const METHODS: [&str; 8] =
    ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// Whose credentials are good.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Realm {
    Viewer,
    Staff,
    Machine,
}

impl Realm {
    /// By the name of its security scheme.
    pub fn of_scheme(name: &str) -> Option<Self> {
        match name {
            "viewer" => Some(Self::Viewer),
            "staff" => Some(Self::Staff),
            "machine" => Some(Self::Machine),
            _ => None,
        }
    }
}

/// One way to be let in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Requirement {
    pub realm: Realm,
    /// Permissions or scopes, all of which are needed.
    pub scopes: Vec<String>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// In capitals.
    pub method: String,
    /// With `{…}`.
    pub path: String,
    pub id: String,
    /// Any of them is enough; none at all: anybody may.
    pub security: Vec<Requirement>,
    /// Guests are answered, too, beside those of `security`.
    pub is_open: bool,
    pub has_body: bool,
    /// Statuses that are documented, `2XX` and `default` as written.
    pub statuses: Vec<String>,
}

impl Operation {
    /// Whether somebody without credentials is let in.
    pub fn is_public(&self) -> bool {
        self.is_open || self.security.is_empty()
    }

    /// The path with every `{name}` filled in.
    pub fn target(&self, value: impl Fn(&str) -> String) -> String {
        let mut target = String::new();
        let mut rest = self.path.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            target.push_str(before);
            target.push_str(&value(name));
            rest = after;
        }
        target + rest
    }
}

pub(super) fn operation_of<'a>(item: &'a mut Value, method: &str) -> Option<&'a mut Value> {
    item.get_mut(method).filter(|operation| operation.is_object())
}

pub(super) fn operations(document: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    let Some(paths) = document["paths"].as_object() else { return operations };
    for (path, item) in paths {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                operations.push(read(path, method, operation));
            }
        }
    }
    operations.sort_by(|a, b| (&a.path, &a.method).cmp(&(&b.path, &b.method)));
    operations
}

fn read(path: &str, method: &str, operation: &Value) -> Operation {
    let ways = operation["security"].as_array().cloned().unwrap_or_default();
    let security =
        ways.iter().filter_map(Value::as_object).flatten().filter_map(|(name, scopes)| {
            let scopes = scopes.as_array().into_iter().flatten();
            let scopes = scopes.filter_map(Value::as_str).map(str::to_owned).collect();
            Realm::of_scheme(name).map(|realm| Requirement { realm, scopes })
        });
    let is_empty = |way: &Value| way.as_object().is_some_and(serde_json::Map::is_empty);
    let statuses = operation["responses"].as_object();
    Operation {
        method: method.to_ascii_uppercase(),
        path: path.to_owned(),
        id: operation["operationId"].as_str().unwrap_or_default().to_owned(),
        security: security.collect(),
        is_open: ways.iter().any(is_empty),
        has_body: operation.get("requestBody").is_some(),
        statuses: statuses.into_iter().flat_map(|all| all.keys().cloned()).collect(),
    }
}
