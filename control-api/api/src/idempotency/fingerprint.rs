//! Whether two requests ask for the same.

use aws_lc_rs::digest;
use serde_json::Value;

/// SHA-256 of a request.
pub type Fingerprint = [u8; 32];

/// Of method, path, query and body. The order of keys and the space between tokens make no
/// difference, since a client may write its request anew when it tries again; any other change
/// does. `1` and `1.0` differ, as texts do.
///
/// Every part is written behind a letter for its kind and its length, so that no two requests give
/// the same bytes.
pub fn fingerprint(method: &str, path: &str, query: &str, body: &Value) -> Fingerprint {
    let mut hash = digest::Context::new(&digest::SHA256);
    for part in [method, path, query] {
        text(&mut hash, part);
    }
    value(&mut hash, body);
    *hash.finish().as_ref().first_chunk().expect("SHA-256 gives 32 bytes")
}

/// Bodies are bounded in depth by [`crate::input::DEPTH_MAX`].
fn value(hash: &mut digest::Context, of: &Value) {
    match of {
        Value::Null => hash.update(b"n"),
        Value::Bool(false) => hash.update(b"f"),
        Value::Bool(true) => hash.update(b"t"),
        Value::Number(number) => {
            hash.update(b"d");
            text(hash, &number.to_string());
        }
        Value::String(string) => text(hash, string),
        Value::Array(items) => {
            hash.update(b"a");
            hash.update(&(items.len() as u64).to_be_bytes());
            items.iter().for_each(|item| value(hash, item));
        }
        Value::Object(fields) => {
            hash.update(b"o");
            hash.update(&(fields.len() as u64).to_be_bytes());
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            for (name, field) in fields {
                text(hash, name);
                value(hash, field);
            }
        }
    }
}

fn text(hash: &mut digest::Context, of: &str) {
    hash.update(b"s");
    hash.update(&(of.len() as u64).to_be_bytes());
    hash.update(of.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of(body: &Value) -> Fingerprint {
        fingerprint("POST", "/v1/a", "", body)
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-c]{0,3}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-c]{1,2}", inner, 0..3)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// The same document with the fields of every object the other way round.
    fn reversed(body: &Value) -> String {
        match body {
            Value::Object(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .rev()
                    .map(|(name, field)| format!("{}: {}", json!(name), reversed(field)))
                    .collect();
                format!("{{ {} }}", fields.join(", "))
            }
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(reversed).collect();
                format!("[ {} ]", items.join(" , "))
            }
            leaf => leaf.to_string(),
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let body = json!({});
        let all = [
            fingerprint("POST", "/a", "b", &body),
            fingerprint("POST", "/ab", "", &body),
            fingerprint("POST", "/a", "", &body),
            fingerprint("PUT", "/a", "b", &body),
            of(&json!(["ab"])),
            of(&json!(["a", "b"])),
            of(&json!([["a"], "b"])),
            of(&json!({"a": "b"})),
            of(&json!(["1"])),
            of(&json!([1])),
            of(&json!([1.0])),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[index + 1..].contains(one), "{index}");
        }
    }

    proptest! {
        #[test]
        fn the_way_of_writing_makes_no_difference(body in any_json()) {
            let again: Value = serde_json::from_str(&reversed(&body)).unwrap();
            prop_assert_eq!(of(&again), of(&body));
        }

        #[test]
        fn different_documents_differ(one in any_json(), other in any_json()) {
            prop_assert_eq!(of(&one) == of(&other), one == other);
        }
    }
}
