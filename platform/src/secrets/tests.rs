//! References; the Vault itself is asked in `tests/it/vault.rs`, behind a double.

use super::reference::Reference;

#[test]
fn references_name_a_path_and_a_field() {
    let reference = Reference::parse("kv/streamverse/s3#secret key").unwrap();
    assert_eq!((&*reference.path, &*reference.field), ("kv/streamverse/s3", "secret key"));
    for text in [
        "",
        "#",
        "kv/a",
        "kv/a#",
        "#a",
        "kv#a",
        "kv/#a",
        "/kv/a#a",
        "kv//a#a",
        "kv/../sys#a",
        "kv/./a#a",
        "kv/a?x=1#a",
        "kv/a b#a",
        "kv/%2e%2e/a#a",
        "kv/a#a\nb",
    ] {
        assert!(Reference::parse(text).is_err(), "{text:?}");
    }
}
