//! Which locale to speak. Pure.

use super::LOCALES;
use super::locales::{ALIASES, LAST, LATIN_AMERICA, PARENTS};

/// Longest `Accept-Language` that is looked at, and most languages of one.
const HEADER_BYTES_MAX: usize = 1_024;
const LANGUAGES_MAX: usize = 16;

/// The first of the wanted tags, in their order, that leads to a locale; English if none does.
/// A tag is looked up (RFC 4647 3.4): as it is, then under its other names, then without its last
/// part.
pub fn negotiate<'a>(wanted: impl IntoIterator<Item = &'a str>) -> &'static str {
    wanted.into_iter().take(LANGUAGES_MAX).find_map(look_up).unwrap_or(LAST)
}

/// By `Accept-Language`: descending by quality, in the order of the header where that is equal.
/// What can't be read is left out.
pub fn negotiate_header(header: &str) -> &'static str {
    if HEADER_BYTES_MAX < header.len() {
        return LAST;
    }
    let mut ranges: Vec<_> = header.split(',').filter_map(range).take(LANGUAGES_MAX).collect();
    ranges.sort_by_key(|(_, thousandths)| std::cmp::Reverse(*thousandths));
    negotiate(ranges.into_iter().map(|(tag, _)| tag))
}

/// `de;q=0.8` as a tag and thousandths. Quality 0 says "not this one" (RFC 9110 12.4.2).
fn range(text: &str) -> Option<(&str, u16)> {
    let (tag, rest) = text.split_once(';').unwrap_or((text, ""));
    let tag = tag.trim();
    let quality = match rest.trim() {
        "" => 1000,
        rest => thousandths(rest.strip_prefix("q=").or_else(|| rest.strip_prefix("Q="))?)?,
    };
    let is_tag = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (!tag.is_empty() && tag.bytes().all(is_tag) && 0 < quality).then_some((tag, quality))
}

/// `0`, `0.8`, `0.123`, `1.000`.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if 3 < fraction.len() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let parts: u16 = format!("{fraction:0<3}").parse().ok()?;
    match (whole, parts) {
        ("0", parts) => Some(parts),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

fn look_up(wanted: &str) -> Option<&'static str> {
    let mut tag = canonical(wanted)?;
    loop {
        if let Some(locale) = known(&tag).or_else(|| alias(&tag)) {
            return Some(locale);
        }
        let parent = tag.rfind('-')?;
        tag.truncate(parent);
        // A part of one letter introduces what was left out (RFC 4647 3.4).
        if tag.rfind('-').is_some_and(|dash| tag.len() - dash == 2) {
            tag.truncate(tag.len() - 2);
        }
    }
}

fn known(tag: &str) -> Option<&'static str> {
    LOCALES.iter().copied().find(|locale| *locale == tag)
}

fn alias(tag: &str) -> Option<&'static str> {
    let mut parts = tag.split('-');
    if parts.next() == Some("es") && parts.any(|part| LATIN_AMERICA.split(' ').any(|r| r == part)) {
        return Some("es-419");
    }
    ALIASES.iter().find(|(name, _)| *name == tag).map(|(_, locale)| *locale)
}

/// The case of RFC 5646 2.1.1: `zh-Hant-TW`.
fn canonical(tag: &str) -> Option<String> {
    if tag.is_empty() || 35 < tag.len() || !tag.is_ascii() {
        return None;
    }
    let parts = tag.split(['-', '_']).enumerate().map(|(index, part)| match (index, part.len()) {
        (0, _) => part.to_ascii_lowercase(),
        (_, 2) => part.to_ascii_uppercase(),
        (_, 4) => part[..1].to_ascii_uppercase() + &part[1..].to_ascii_lowercase(),
        _ => part.to_ascii_lowercase(),
    });
    Some(parts.collect::<Vec<_>>().join("-"))
}

/// A locale and where its missing messages are looked for, ending in English.
pub fn chain(locale: &'static str) -> Vec<&'static str> {
    let mut chain = vec![locale];
    let mut last = locale;
    while last != LAST {
        let by_table = PARENTS.iter().find(|(child, _)| *child == last).map(|(_, parent)| *parent);
        let by_name = || last.rfind('-').and_then(|dash| known(&last[..dash]));
        last = by_table.or_else(by_name).unwrap_or(LAST);
        chain.push(last);
    }
    chain
}
