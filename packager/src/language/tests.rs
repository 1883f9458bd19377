use super::*;
use proptest::prelude::*;

#[test]
fn the_table_is_sound() {
    for pair in LANGUAGES.windows(2) {
        assert!(pair[0].alpha2 < pair[1].alpha2, "{}", pair[1].alpha2);
    }
    let mut codes: Vec<&str> = LANGUAGES
        .iter()
        .flat_map(|language| [language.terminological, language.bibliographic])
        .filter(|code| !code.is_empty())
        .collect();
    assert!(codes.iter().all(|code| code.len() == 3 && is_alphabetic(code)));
    let count = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), count);
    assert_eq!(LANGUAGES.iter().filter(|language| !language.bibliographic.is_empty()).count(), 20);
    assert!(TAG_NAMES.is_sorted());
    assert!(TAG_NAMES.iter().all(|(tag, _)| canonical_tag(tag).as_deref() == Some(tag)));
}

#[test]
fn codes_go_there_and_back() {
    for language in LANGUAGES {
        assert_eq!(from_iso639_2(language.terminological), Some(language.alpha2));
        assert_eq!(to_iso639_2(language.alpha2), language.terminological.as_bytes());
        let bibliographic = std::str::from_utf8(&to_iso639_2b(language.alpha2)).unwrap().to_owned();
        assert_eq!(from_iso639_2(&bibliographic), Some(language.alpha2));
    }
    assert_eq!(&to_iso639_2("de-AT"), b"deu");
    assert_eq!(&to_iso639_2b("de-AT"), b"ger");
    assert_eq!(&to_iso639_2("ger"), b"deu");
    assert_eq!(&to_iso639_2("yue-Hant"), b"yue");
    assert_eq!(&to_iso639_2b("fil"), b"fil");
    assert_eq!(&to_iso639_2("x-klingon"), b"und");
    assert_eq!(&to_iso639_2(""), b"und");
    assert_eq!(&to_iso639_2("日"), b"und");
}

#[test]
fn tags_are_brought_into_form() {
    let check = |tag: &str, expected: Option<&str>| {
        assert_eq!(canonical_tag(tag).as_deref(), expected, "{tag}");
    };
    check("eng", Some("en"));
    check("FRE", Some("fr"));
    check("pt_br", Some("pt-BR"));
    check("zh-hans-cn", Some("zh-Hans-CN"));
    check("es-419", Some("es-419"));
    check("sl-rozaj-1994", Some("sl-rozaj-1994"));
    check("en-u-CA-gregory", Some("en-u-ca-gregory"));
    check("fil", Some("fil"));
    check("iw-IL", Some("he-IL"));
    check("und", Some("und"));
    check("", None);
    check("e", None);
    check("english", None);
    check("en-", None);
    check("en--US", None);
    check("en US", None);
    check("é1", None);
    check("日", None);
    check(&"en-a".repeat(40), None);
}

#[test]
fn menus_show_autonyms() {
    let check = |tag: &str, expected: &str| assert_eq!(display_name(tag), expected);
    check("de", "Deutsch");
    check("ger", "Deutsch");
    check("pt-BR", "Português (Brasil)");
    check("es-AR", "Español (AR)");
    check("yue-HK", "粵語 (HK)");
    check("zu", "isiZulu");
    check("tlh", "tlh");
    check("und", "");
    check("not a tag", "not a tag");
}

proptest! {
    /// Any text is a tag in form or none, and a tag in form stays as it is.
    #[test]
    fn tags_in_form_stay(
        tag in "[a-zA-Z]{2,3}([-_][a-zA-Z0-9]{1,8}){0,4}", any in ".{0,40}",
    ) {
        let canonical = canonical_tag(&tag).unwrap();
        prop_assert_eq!(canonical_tag(&canonical), Some(canonical.clone()));
        prop_assert_eq!(to_iso639_2(&canonical), to_iso639_2(&tag));
        if let Some(canonical) = canonical_tag(&any) {
            prop_assert_eq!(canonical_tag(&canonical), Some(canonical));
        }
        display_name(&any);
    }
}
