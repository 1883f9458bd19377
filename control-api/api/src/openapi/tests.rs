use serde_json::json;

use super::*;

/// Faults of a document with one operation.
fn faults(method: &str, path: &str, operation: Value) -> Vec<String> {
    let document = json!({"paths": {path: {method: operation}}});
    check(&document, &BTreeMap::from([("a:b", "About.")]))
}

fn good() -> Value {
    json!({"operationId": "list", "security": [], "responses": {"200": {}}})
}

fn check_fault(method: &str, path: &str, change: impl FnOnce(&mut Value), expected: &str) {
    let mut operation = good();
    change(&mut operation);
    let faults = faults(method, path, operation);
    assert!(faults.iter().any(|fault| fault.contains(expected)), "{faults:?}");
}

#[test]
fn a_document_that_says_enough_passes() {
    assert_eq!(faults("get", "/v1/a", good()), Vec::<String>::new());
    let mut staff = good();
    staff["security"] = json!([{"staff": ["a:b"]}]);
    assert_eq!(faults("get", "/v1/admin/a", staff), Vec::<String>::new());
}

#[test]
fn one_that_says_less_is_refused() {
    check_fault("get", "/a", |o| o["security"] = Value::Null, "declares no security");
    check_fault("get", "/a", |o| o["operationId"] = json!("List"), "snake_case");
    check_fault("get", "/a", |o| o["responses"] = json!({"404": {}}), "no error");
    check_fault("get", "/a/{id}", |_| (), "`id` of the path");
    check_fault("get", "/a", |o| o["security"] = json!([{"staff": []}]), "belong together");
    check_fault(
        "get",
        "/v1/admin/a",
        |o| o["security"] = json!([{"viewer": []}]),
        "belong together",
    );
    check_fault("get", "/a", |o| o["security"] = json!([{"machine": ["c:d"]}]), "`c:d`");
    check_fault("get", "/a", |o| o["security"] = json!([{"basic": []}]), "no security scheme");
    let both = json!([{"viewer": [], "machine": []}]);
    check_fault("get", "/a", |o| o["security"] = both, "two credentials");
    check_fault("put", "/v1/admin/a", |o| o["security"] = json!([{"staff": []}]), "If-Match");
    let open = json!({"content": {"application/json": {"schema": {"properties": {}}}}});
    check_fault("post", "/a", |o| o["requestBody"] = open, "deny_unknown_fields");
    let nowhere = json!({"content": {"application/json": {"schema": {"$ref": "#/x"}}}});
    check_fault("post", "/a", |o| o["requestBody"] = nowhere, "leads nowhere");
}

#[test]
fn targets_are_filled_in() {
    let document = json!({"paths": {"/a/{x}/b/{y}": {"get": good()}}});
    let operation = &Document(document).operations()[0];
    assert_eq!(operation.target(|name| name.to_uppercase()), "/a/X/b/Y");
    assert!(operation.is_public());
}
