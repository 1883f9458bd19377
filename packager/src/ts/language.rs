//! BCP 47 tags as the three letters of the ISO 639 descriptor (ISO/IEC 13818-1 2.6.18).

use crate::language::to_iso639_2;

/// The ISO 639-2 code (its terminological form) of a tag's primary language; `None` when the tag
/// says nothing, or names a language that has no such code.
pub(super) fn iso_639_2(tag: &str) -> Option<[u8; 3]> {
    let code = to_iso639_2(tag);
    (code != *b"und").then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_reduced_to_three_letters() {
        for (tag, expected) in [
            ("en", Some(b"eng")),
            ("de-CH", Some(b"deu")),
            ("EN-us", Some(b"eng")),
            ("gsw", Some(b"gsw")),
        ] {
            assert_eq!(iso_639_2(tag), expected.copied(), "{tag}");
        }
        for tag in ["und", "", "xx", "e1g", "english", "-", "\u{e9}a"] {
            assert_eq!(iso_639_2(tag), None, "{tag}");
        }
    }
}
