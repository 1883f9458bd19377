//! Languages as `mdhd` packs them (ISO/IEC 14496-12 8.4.2.3), as BCP 47 tags.

use crate::language::from_iso639_2;

/// Three letters of five bits, each minus 0x60; values below 0x400 are Macintosh language codes in
/// QuickTime files and mean nothing in MP4.
///
/// BCP 47 wants the shortest code (RFC 5646 2.2.1), so `eng` becomes `en`.
pub(super) fn language_from_packed(packed: u16, is_quicktime: bool) -> String {
    if packed < FIRST_PACKED {
        let macintosh = MACINTOSH.get(usize::from(packed)).filter(|_| is_quicktime);
        return macintosh.map_or("und", |tag| tag).to_owned();
    }
    let letter = |shift: u16| (packed >> shift & 0x1f) as u8 + 0x60;
    let code = [letter(10), letter(5), letter(0)];
    if !code.iter().all(u8::is_ascii_lowercase) {
        return "und".to_owned();
    }
    let code = code.map(char::from).into_iter().collect::<String>();
    from_iso639_2(&code).map_or(code, str::to_owned)
}

/// Whether a string has the form of a BCP 47 tag: subtags of letters and digits (RFC 5646 2.1).
pub(super) fn is_language_tag(tag: &str) -> bool {
    let is_subtag = |subtag: &str| {
        (1..=8).contains(&subtag.len()) && subtag.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    tag.len() <= TAG_BYTES_MAX
        && tag.split('-').all(is_subtag)
        && tag.starts_with(|first: char| first.is_ascii_alphabetic())
}

const FIRST_PACKED: u16 = 0x400;
/// RFC 5646 4.4.1 advises 35 bytes for a tag without extensions.
const TAG_BYTES_MAX: usize = 64;

/// QuickTime File Format, "Language code values", from 0 on.
const MACINTOSH: [&str; 25] = [
    "en", "fr", "de", "it", "nl", "sv", "es", "da", "pt", "no", "he", "ja", "ar", "fi", "el", "is",
    "mt", "tr", "hr", "zh-Hant", "ur", "hi", "th", "ko", "lt",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &[u8; 3], expected: &str) {
        let packed = code.iter().fold(0, |packed, letter| packed << 5 | u16::from(letter - 0x60));
        assert_eq!(language_from_packed(packed, false), expected);
    }

    #[test]
    fn codes_take_their_shortest_form() {
        check(b"eng", "en");
        check(b"deu", "de");
        check(b"ger", "de");
        check(b"zho", "zh");
        check(b"und", "und");
        check(b"fil", "fil");
        check(b"mul", "mul");
    }

    #[test]
    fn values_that_are_no_code_are_undetermined() {
        assert_eq!(language_from_packed(0x7fff, false), "und");
        assert_eq!(language_from_packed(0, false), "und");
        assert_eq!(language_from_packed(0, true), "en");
        assert_eq!(language_from_packed(0x3ff, true), "und");
    }

    #[test]
    fn tags_have_the_form_of_bcp_47() {
        assert!(["en", "pt-BR", "zh-Hant-TW", "x-klingon"].into_iter().all(is_language_tag));
        assert!(!["", "en_US", "-en", "en-", "9en", "überlang"].into_iter().any(is_language_tag));
    }
}
