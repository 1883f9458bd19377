//! BCP 47 tags in the fifteen bits of `mdhd` (ISO/IEC 14496-12 8.4.2.3).
//!
//! `mdhd` takes an ISO 639-2/T code: three letters, five bits each. A tag that says more than that
//! goes into `elng` beside it, and `mdhd` keeps what it can.

use crate::language::to_iso639_2;

/// An ISO 639-2/T code as `mdhd` packs it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct PackedLanguage(u16);

impl PackedLanguage {
    const UNDETERMINED: Self = Self::pack(*b"und");

    /// The code of a tag's primary subtag, in any case; `und` when it has none of two or three
    /// letters. Bibliographic codes (`ger`) become terminological ones (`deu`), other codes of
    /// three letters pass as they are.
    pub(super) fn of_tag(tag: &str) -> Self {
        let code = to_iso639_2(tag);
        if code.iter().all(u8::is_ascii_lowercase) { Self::pack(code) } else { Self::UNDETERMINED }
    }

    pub(super) const fn bits(self) -> u16 {
        self.0
    }

    const fn pack(code: [u8; 3]) -> Self {
        let [a, b, c] = code;
        Self(((a - 0x60) as u16) << 10 | ((b - 0x60) as u16) << 5 | (c - 0x60) as u16)
    }
}

/// The tag that belongs into `elng`: one that `mdhd` can't carry in full, and that is a tag at all
/// (RFC 5646 2.1: letters, digits and hyphens).
pub(super) fn extended_tag(tag: &str) -> Option<&str> {
    let is_tag = tag.len() >= 2
        && tag.len() <= TAG_BYTES_MAX
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let fits_mdhd = tag.eq_ignore_ascii_case("und")
        || !tag.contains('-') && PackedLanguage::of_tag(tag) != PackedLanguage::UNDETERMINED;
    (is_tag && !fits_mdhd).then_some(tag)
}

/// RFC 5646 4.4.1 reckons with 35; the rest is room for extensions.
const TAG_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(tag: &str, code: &[u8; 3], extended: Option<&str>) {
        assert_eq!(PackedLanguage::of_tag(tag), PackedLanguage::pack(*code), "{tag}");
        assert_eq!(extended_tag(tag), extended, "{tag}");
    }

    #[test]
    fn tags_keep_what_fits() {
        check("en", b"eng", None);
        check("EN", b"eng", None);
        check("fra", b"fra", None);
        check("fre", b"fra", None);
        check("gsw", b"gsw", None);
        check("und", b"und", None);
        check("pt-BR", b"por", Some("pt-BR"));
        check("zh-Hant-TW", b"zho", Some("zh-Hant-TW"));
        check("xx", b"und", Some("xx"));
        check("x-klingon", b"und", Some("x-klingon"));
    }

    #[test]
    fn what_is_no_tag_is_undetermined() {
        for text in ["", "e", "deutsch!", "\u{e9}\u{e9}", "{}`"] {
            check(text, b"und", None);
        }
    }

    #[test]
    fn english_packs_as_in_the_standard() {
        // 8.4.2.3: each letter minus 0x60, so that e, n, g are 5, 14, 7.
        assert_eq!(PackedLanguage::of_tag("en").bits(), 5 << 10 | 14 << 5 | 7);
        assert_eq!(PackedLanguage::of_tag("").bits(), 0x55c4);
    }
}
