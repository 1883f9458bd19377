//! The language table against ISO 639-2 as Debian's `iso-codes` has it. Runs where that is
//! installed.

// Tests bring the files that the crate itself never touches.
#![allow(clippy::disallowed_methods)]

use packager::language::{canonical_tag, from_iso639_2, to_iso639_2, to_iso639_2b};

#[test]
fn codes_are_those_of_iso_639() {
    let Ok(json) = std::fs::read("/usr/share/iso-codes/json/iso_639-2.json") else { return };
    let json = String::from_utf8(json).unwrap();
    let mut compared = 0;
    // Objects of strings, without nesting.
    for language in json.split('{') {
        let field = |name: &str| {
            let value = language.split(&format!("\"{name}\": \"")).nth(1)?;
            value.split('"').next()
        };
        let Some(terminological) = field("alpha_3") else { continue };
        let bibliographic = field("bibliographic").unwrap_or(terminological);
        assert_eq!(from_iso639_2(terminological), field("alpha_2"));
        assert_eq!(from_iso639_2(bibliographic), field("alpha_2"));
        let Some(alpha2) = field("alpha_2") else { continue };
        assert_eq!(canonical_tag(bibliographic).as_deref(), Some(alpha2));
        assert_eq!(to_iso639_2(alpha2), terminological.as_bytes());
        assert_eq!(to_iso639_2b(alpha2), bibliographic.as_bytes());
        compared += 1;
    }
    assert!(compared > 180, "{compared}");
}
