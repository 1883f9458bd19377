//! The doors of the control API: bodies, cursors, languages.

use api::cursor::{CursorKeys, CursorScope};
use api::i18n::{LOCALES, negotiate_header};
use api::input::{DEPTH_MAX, check_shape, read_json};
use api::text::{DisplayName, Email};
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "what matters is that it is read")]
struct Body {
    email: Email,
    name: Option<DisplayName>,
    list: Option<Vec<Body>>,
    number: Option<u16>,
}

/// JSON bodies: what passes is JSON of bounded depth, and every refusal names a registered code.
pub fn api_json(data: &[u8]) {
    if check_shape(data).is_ok() {
        let value: Value = serde_json::from_slice(data).expect("what has a shape is JSON");
        assert!(depth(&value) <= DEPTH_MAX);
    }
    let registry = api::problem::Registry::default();
    match read_json::<Body>(data) {
        Ok(body) => assert_eq!(Email::parse(body.email.as_str()), Ok(body.email)),
        Err(error) => {
            assert!(registry.find(error.code()).is_some_and(|entry| entry.status < 500), "{error}");
            for field in error.fields() {
                assert!(registry.find_field(&field.code).is_some(), "{field:?}");
                assert!(field.pointer.is_empty() || field.pointer.starts_with('/'), "{field:?}");
            }
        }
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Cursors: what was sealed opens to itself, and nothing that was made up opens.
pub fn api_cursor(data: &[u8]) {
    let keys = CursorKeys::new(&[1; 32], &[[2; 32]]);
    let scope = CursorScope { tenant: "t", path: "/v1/things", filters: "" };
    if data.len() < 1_024 {
        let sealed = keys.seal(scope, data);
        assert_eq!(keys.open(scope, &sealed).as_deref(), Some(data));
        let elsewhere = CursorScope { tenant: "u", ..scope };
        assert_eq!(keys.open(elsewhere, &sealed), None);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Some(json) = keys.open(scope, text) {
            // Only a seed of the corpus has a tag that is right, and it is the only way to write it.
            let earlier = CursorKeys::new(&[2; 32], &[]);
            assert!(
                [keys.seal(scope, &json), earlier.seal(scope, &json)].contains(&text.to_owned())
            );
        }
    }
}

/// `Accept-Language`: any text leads to a locale that there is.
pub fn api_language(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(LOCALES.contains(&negotiate_header(text)));
    }
}
