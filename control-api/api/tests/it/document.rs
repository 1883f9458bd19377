//! The example's document.

use std::path::Path;

use api::problem::Registry;
use api::testing::{golden, sources};
use platform::db::testing;
use serde_json::Value;

use crate::things;

#[tokio::test]
async fn the_document_is_golden_and_complete() {
    let engine = testing::sqlite(&[api::SCHEMA, things::SCHEMA]).await;
    let document = things::document(engine.db.clone());
    golden(&folder().join("tests/it/things/openapi.json"), &document.to_text());
    let value = document.as_value();
    let operation = |pointer: &str| value.pointer(pointer).unwrap_or(&Value::Null).clone();
    let create = operation("/paths/~1v1~1things/post/responses");
    for status in ["201", "400", "401", "409", "413", "415", "422", "429", "500", "503"] {
        assert!(create.get(status).is_some(), "{status}");
    }
    let rename = operation("/paths/~1v1~1admin~1things~1{id}/put/responses");
    for status in ["200", "403", "404", "412", "428"] {
        assert!(rename.get(status).is_some(), "{status}");
    }
    let ping = operation("/paths/~1v1~1ping/get");
    assert!(ping["responses"].get("401").is_none(), "{ping}");
    assert!(ping["responses"]["200"]["headers"].get("X-Request-Id").is_some());
}

#[test]
fn every_code_is_registered_and_documented() {
    let registry = Registry::default();
    assert_eq!(sources::faults(&folder().join("src"), &registry), Vec::<String>::new());
    golden(&folder().join("../../docs/problems.md"), &registry.markdown());
    for entry in registry.codes() {
        let page = registry.page(entry.code).unwrap();
        assert!(page.contains(entry.title) && page.contains(entry.about));
    }
}

#[test]
fn codes_that_nobody_registered_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"
        fn f() {
            ApiError::conflict("no_such_code", "x");
            ApiError::conflict("not_found", "x");
            Invalid::new("no_such_field_code", "x");
            router.route("/x", get(y));
        }"#;
    std::fs::write(folder.path().join("a.rs"), text).unwrap();
    let faults = sources::faults(folder.path(), &Registry::default()).join("\n");
    for expected in ["no_such_code", "registered with 404", "no_such_field_code", "use `routes!`"] {
        assert!(faults.contains(expected), "{expected}: {faults}");
    }
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
