use std::collections::{BTreeMap, BTreeSet};

use fluent_bundle::FluentResource;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use proptest::prelude::*;

use super::catalogue::{CORE, name_of, plural_rules};
use super::*;

/// Whole numbers of each plural category by CLDR 48.2 (`cldr-core`, supplemental/plurals.json, the
/// `@integer` samples without those in compact notation): locale, category, samples or `-`.
const SAMPLES: &str = include_str!("plural_samples.tsv");

/// Where `icu_plurals` 2.4.0, whose data say that they are of CLDR 49.0.0, differs: Galician has a
/// form for millions, Vietnamese one for 0 and 1. Neither locale has messages yet.
const CHANGED: [(&str, u64, &str); 3] =
    [("gl", 1_000_000, "many"), ("vi", 0, "one"), ("vi", 1, "one")];

fn samples() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    SAMPLES.lines().map(|line| {
        let mut parts = line.split('\t');
        let mut next = || parts.next().expect("three columns");
        (next(), next(), next())
    })
}

#[test]
fn plurals_are_those_of_cldr() {
    let mut seen = BTreeSet::new();
    let (mut checked, mut changed) = (0, Vec::new());
    for (locale, category, samples) in samples() {
        seen.insert(locale);
        let rules = plural_rules(locale).unwrap();
        for sample in samples.split(' ').filter(|sample| *sample != "-") {
            let (first, last) = sample.split_once('~').unwrap_or((sample, sample));
            for number in first.parse::<u64>().unwrap()..=last.parse().unwrap() {
                let chosen = name_of(rules.category_for(number));
                if chosen != category {
                    changed.push((locale, number, chosen));
                }
                checked += 1;
            }
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), LOCALES);
    assert_eq!(changed, CHANGED);
    assert!(1_500 < checked, "{checked}");
}

/// The plural forms that whole numbers need.
fn forms(locale: &str) -> BTreeSet<&'static str> {
    samples().filter(|(of, _, all)| *of == locale && *all != "-").map(|(_, form, _)| form).collect()
}

/// Names and text of the messages of a file.
fn messages(text: &str) -> BTreeMap<String, String> {
    let mut messages: BTreeMap<String, String> = BTreeMap::new();
    let mut name = String::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match line.split_once(" = ") {
            Some((id, rest)) if !line.starts_with([' ', '}']) => {
                name = id.to_owned();
                messages.insert(name.clone(), rest.to_owned());
            }
            _ => messages.entry(name.clone()).or_default().push_str(line),
        }
    }
    messages
}

fn variables(text: &str) -> BTreeSet<&str> {
    let names = text.split('$').skip(1);
    names.map(|rest| rest.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap()).collect()
}

#[test]
fn every_translation_is_complete() {
    let english = messages(CORE.iter().find(|(locale, _)| *locale == "en").unwrap().1);
    assert!(30 <= english.len());
    for (locale, text) in CORE {
        assert!(FluentResource::try_new((*text).to_owned()).is_ok(), "{locale}");
        let translated = messages(text);
        let names = |of: &BTreeMap<String, String>| of.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&translated), names(&english), "{locale}");
        for (name, text) in &translated {
            assert_eq!(variables(text), variables(&english[name]), "{name} in {locale}");
            let written: BTreeSet<_> =
                text.split('[').skip(1).filter_map(|rest| rest.split(']').next()).collect();
            if text.contains("PLURAL(") {
                assert!(forms(locale).is_subset(&written), "{name} in {locale}: {written:?}");
            }
            assert!(
                *locale == "en" || *text != english[name] || text.len() < 12,
                "{name} in {locale} is English"
            );
        }
    }
}

#[test]
fn plural_forms_are_chosen_by_the_locale() {
    let catalogue = Catalogue::new(&[]).unwrap();
    let valid = |locale, minutes: i64| {
        let text = catalogue.text(locale, "mail-valid", &[("minutes", minutes.into())]);
        text.replace(['\u{2068}', '\u{2069}'], "")
    };
    assert_eq!(valid("en", 1), "The link is valid for 1 minute.");
    assert_eq!(valid("en", 15), "The link is valid for 15 minutes.");
    assert_eq!(valid("pl", 1), "Link jest ważny 1 minutę.");
    assert_eq!(valid("pl", 2), "Link jest ważny 2 minuty.");
    assert_eq!(valid("pl", 5), "Link jest ważny 5 minut.");
    assert_eq!(valid("pl", 22), "Link jest ważny 22 minuty.");
    assert_eq!(valid("fr", 0), "Le lien est valable 0 minute.");
    assert_eq!(valid("fr", 1_000_000), "Le lien est valable 1000000 de minutes.");
    assert_eq!(valid("ar", 3), "الرابط صالح لمدة 3 دقائق.");
    assert_eq!(valid("ja", 1), "リンクの有効期間は 1 分です。");
}

#[test]
fn values_are_isolated_and_whole_messages_are_not() {
    let catalogue = Catalogue::new(&[]).unwrap();
    let text = catalogue.text("en", "mail-greeting", &[("name", "علي".into())]);
    assert_eq!(text, "Hello \u{2068}علي\u{2069},");
    assert_eq!(catalogue.text("en", "device-title", &[]), "Sign in on your TV");
    // A value is text: it can't bring a placeable of its own.
    let hostile = catalogue.text("en", "mail-greeting", &[("name", "{ $minutes }".into())]);
    assert_eq!(hostile, "Hello \u{2068}{ $minutes }\u{2069},");
}

#[test]
fn missing_messages_are_found_along_the_chain_and_counted() {
    const EXTRA: Domain = &[("en", "only-english = English"), ("es-419", "local = Local")];
    let catalogue = Catalogue::new(&[EXTRA]).unwrap();
    assert_eq!(catalogue.text("es-419", "only-english", &[]), "English");
    assert_eq!(
        (catalogue.missing("es-419"), catalogue.missing("es"), catalogue.missing("en")),
        (1, 1, 0)
    );
    // Danish is not translated, so nothing of it is missing.
    assert_eq!(catalogue.text("da", "only-english", &[]), "English");
    assert_eq!(catalogue.missing("da"), 0);
    assert_eq!(catalogue.text("en", "nowhere", &[]), "nowhere");
    let mut registry = Registry::default();
    catalogue.register(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    assert!(text.contains("streamverse_api_messages_missing_total{locale=\"en\"} 1"), "{text}");
}

#[test]
fn catalogues_with_mistakes_are_refused() {
    assert!(Catalogue::new(&[&[("xx", "a = b")]]).is_err());
    assert!(Catalogue::new(&[&[("en", "a = { $b")]]).is_err());
    assert!(Catalogue::new(&[&[("en", "device-title = Twice")]]).is_err());
}

#[test]
fn tags_lead_to_the_nearest_locale() {
    for (wanted, expected) in [
        ("de", "de"),
        ("de-AT", "de"),
        ("DE_ch", "de"),
        ("en-US", "en"),
        ("en-AU", "en-GB"),
        ("pt", "pt-BR"),
        ("pt-PT", "pt-PT"),
        ("pt-AO", "pt-PT"),
        ("zh", "zh-Hans"),
        ("zh-CN", "zh-Hans"),
        ("zh-TW", "zh-Hant"),
        ("zh-Hant-HK", "zh-Hant"),
        ("zh-Hans-CN", "zh-Hans"),
        ("no", "nb"),
        ("es-MX", "es-419"),
        ("es-ES", "es"),
        ("fr-CA", "fr-CA"),
        ("fr-BE", "fr"),
        ("iw", "he"),
        ("sr-Latn-RS", "sr"),
        ("de-x-private", "de"),
        ("tlh", "en"),
        ("", "en"),
        ("*", "en"),
    ] {
        assert_eq!(negotiate([wanted]), expected, "{wanted}");
    }
}

#[test]
fn accept_language_is_read_by_quality() {
    for (header, expected) in [
        ("", "en"),
        ("de", "de"),
        ("tlh, de;q=0.5, fr;q=0.8", "fr"),
        ("fr;q=0.8,de;q=0.8", "fr"),
        ("de;q=0, fr;q=0.1", "fr"),
        ("de;q=2, fr", "fr"),
        ("de;q=0.1234, fr;q=0.1", "fr"),
        ("*;q=0.5, it;q=0.4", "it"),
        ("ja-JP,ja;q=0.9,en;q=0.8", "ja"),
        ("\u{e9}, sv", "sv"),
    ] {
        assert_eq!(negotiate_header(header), expected, "{header}");
    }
    assert_eq!(negotiate_header(&"de,".repeat(400)), "en");
}

#[test]
fn chains_end_in_english() {
    assert_eq!(chain("pt-PT"), ["pt-PT", "pt-BR", "en"]);
    assert_eq!(chain("es-419"), ["es-419", "es", "en"]);
    assert_eq!(chain("zh-Hant"), ["zh-Hant", "en"]);
    assert_eq!(chain("en"), ["en"]);
    for locale in LOCALES {
        let chain = chain(locale);
        assert_eq!(chain.last(), Some(&"en"));
        assert!(chain.len() <= 3, "{chain:?}");
    }
}

proptest! {
    #[test]
    fn any_header_leads_to_a_locale(header in "[a-zA-Z0-9;=,.*_ -]{0,80}|\\PC{0,40}") {
        prop_assert!(LOCALES.contains(&negotiate_header(&header)));
    }

    #[test]
    fn a_locale_leads_to_itself_whatever_its_case(index in 0..LOCALES.len(), upper in any::<bool>()) {
        let locale = LOCALES[index];
        let wanted = if upper { locale.to_uppercase() } else { locale.to_lowercase() };
        prop_assert_eq!(negotiate([wanted.as_str()]), locale);
    }

    #[test]
    fn what_is_wanted_more_is_chosen(a in 0..LOCALES.len(), b in 0..LOCALES.len(), q in 1..999_u32) {
        let header = format!("{};q=0.{q:03}, {}", LOCALES[a], LOCALES[b]);
        prop_assert_eq!(negotiate_header(&header), LOCALES[b]);
    }
}
