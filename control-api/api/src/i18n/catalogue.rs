//! The messages of all domains, by locale.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use icu_plurals::{PluralCategory, PluralRules};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{LOCALES, chain};

/// The messages of a domain: locale and text of an `.ftl` file.
pub type Domain = &'static [(&'static str, &'static str)];

macro_rules! embedded {
    ($($locale:literal),*) => {
        &[$(($locale, include_str!(concat!("../../locales/", $locale, "/core.ftl")))),*]
    };
}

/// The messages of this crate.
pub(super) const CORE: Domain = embedded![
    "ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "nl", "pl", "pt-BR", "sv", "tr",
    "zh-Hans"
];

/// What stands in a message.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    Text(Cow<'a, str>),
    Number(i64),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct MissingLabels {
    locale: &'static str,
}

/// All messages. Made once; threads share it.
pub struct Catalogue {
    bundles: BTreeMap<&'static str, FluentBundle<FluentResource>>,
    missing: Family<MissingLabels, Counter>,
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Catalogue").field(&self.bundles.keys()).finish()
    }
}

impl Catalogue {
    /// This crate's messages and those of domains.
    ///
    /// # Errors
    /// Names the file of a locale that isn't known, that can't be read, or that has a message of
    /// another domain: faults of the program, found by the first test that starts it.
    pub fn new(domains: &[Domain]) -> Result<Self, String> {
        let mut bundles = BTreeMap::new();
        for (locale, text) in [CORE].iter().chain(domains).copied().flatten() {
            let known = LOCALES.iter().find(|known| *known == locale);
            let known = known.ok_or_else(|| format!("`{locale}` is no locale of the list"))?;
            let bundle = match bundles.entry(*known) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => entry.insert(bundle(known)?),
            };
            let resource = FluentResource::try_new((*text).to_owned())
                .map_err(|(_, errors)| format!("{locale}: {errors:?}"))?;
            bundle.add_resource(resource).map_err(|errors| format!("{locale}: {errors:?}"))?;
        }
        Ok(Self { bundles, missing: Family::default() })
    }

    /// Counts messages that were looked for in vain, by the locale that lacks them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "streamverse_api_messages_missing",
            "Messages that a translated locale lacks when they were wanted",
            self.missing.clone(),
        );
    }

    /// A message in a locale or the next of its chain; its own name when nobody has it.
    pub fn text(
        &self,
        locale: &'static str,
        message: &str,
        values: &[(&str, Value<'_>)],
    ) -> String {
        let mut arguments = FluentArgs::new();
        for (name, value) in values {
            arguments.set(
                *name,
                match value {
                    Value::Text(text) => FluentValue::from(text.as_ref()),
                    Value::Number(number) => FluentValue::from(*number),
                },
            );
        }
        // A locale without any messages isn't translated: that its chain answers is how it is meant.
        for bundle_of in chain(locale) {
            let Some(bundle) = self.bundles.get(bundle_of) else { continue };
            if let Some(text) = format(bundle, message, &arguments) {
                return text;
            }
            self.missing.get_or_create(&MissingLabels { locale: bundle_of }).inc();
            tracing::warn!(locale = bundle_of, message, "a message is missing");
        }
        message.to_owned()
    }

    /// A message without values in the locale's own words: `None` when it isn't translated, which is
    /// not counted.
    pub fn find(&self, locale: &str, message: &str) -> Option<String> {
        format(self.bundles.get(locale)?, message, &FluentArgs::new())
    }

    /// How often a message was missing in a locale.
    pub fn missing(&self, locale: &'static str) -> u64 {
        self.missing.get_or_create(&MissingLabels { locale }).get()
    }
}

fn format(
    bundle: &FluentBundle<FluentResource>,
    message: &str,
    arguments: &FluentArgs<'_>,
) -> Option<String> {
    let pattern = bundle.get_message(message)?.value()?;
    let mut errors = Vec::new();
    let text = bundle.format_pattern(pattern, Some(arguments), &mut errors);
    if !errors.is_empty() {
        tracing::error!(message, ?errors, "a message lacks a value");
    }
    Some(text.into_owned())
}

fn bundle(locale: &'static str) -> Result<FluentBundle<FluentResource>, String> {
    let tag = locale.parse().map_err(|error| format!("{locale}: {error}"))?;
    let mut bundle = FluentBundle::new_concurrent(vec![tag]);
    bundle.set_use_isolating(true);
    plural_rules(locale)?;
    bundle
        .add_function("PLURAL", move |positional, _| match positional.first() {
            Some(FluentValue::Number(number)) => {
                // Counts are whole; a fraction would need its digits as they are shown. The rules
                // can't be shared between threads; making them borrows data of the program.
                let count = number.value.abs() as u64;
                let category = plural_rules(locale).map(|rules| rules.category_for(count));
                category.map_or(FluentValue::Error, |category| FluentValue::from(name_of(category)))
            }
            _ => FluentValue::Error,
        })
        .map_err(|error| format!("{locale}: {error:?}"))?;
    Ok(bundle)
}

pub(super) fn plural_rules(locale: &str) -> Result<PluralRules, String> {
    let tag: icu_locale_core::Locale =
        locale.parse().map_err(|error| format!("{locale}: {error:?}"))?;
    PluralRules::try_new_cardinal((&tag).into()).map_err(|error| format!("{locale}: {error}"))
}

pub(super) fn name_of(category: PluralCategory) -> &'static str {
    match category {
        PluralCategory::Zero => "zero",
        PluralCategory::One => "one",
        PluralCategory::Two => "two",
        PluralCategory::Few => "few",
        PluralCategory::Many => "many",
        PluralCategory::Other => "other",
    }
}
