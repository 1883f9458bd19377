//! Language tags: BCP 47 (RFC 5646) from and to the codes of containers, from file names, and as
//! names for a menu.

mod table;

use table::{LANGUAGES, Language, TAG_NAMES, WITHDRAWN};

/// Longest tag that is read. RFC 5646 4.4.1 asks for 35.
const TAG_BYTES_MAX: usize = 64;

/// Brings a tag into the form BCP 47 recommends: the shortest language code, the script with a
/// capital, the region in capitals, `-` between them (RFC 5646 2.1.1, 4.5).
///
/// `eng` and `EN` become `en`, `pt_br` becomes `pt-BR`. `None` for what is no tag. Languages
/// without a two-letter code keep three letters; whether these exist is not checked.
pub fn canonical_tag(tag: &str) -> Option<String> {
    if tag.len() > TAG_BYTES_MAX {
        return None;
    }
    let mut subtags = tag.split(['-', '_']);
    let language = subtags.next()?.to_ascii_lowercase();
    let is_language = matches!(language.len(), 2..=3) && is_alphabetic(&language);
    if !is_language {
        return None;
    }
    let mut out = shortest(language);
    // Behind a single character (an extension or private use), subtags mean something else.
    let mut in_extension = false;
    for subtag in subtags {
        if !matches!(subtag.len(), 1..=8) || !subtag.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        in_extension |= subtag.len() == 1;
        out.push('-');
        match subtag.len() {
            2 if !in_extension && is_alphabetic(subtag) => {
                out.push_str(&subtag.to_ascii_uppercase())
            }
            4 if !in_extension && is_alphabetic(subtag) => {
                out.push_str(&subtag[..1].to_ascii_uppercase());
                out.push_str(&subtag[1..].to_ascii_lowercase());
            }
            _ => out.push_str(&subtag.to_ascii_lowercase()),
        }
    }
    Some(out)
}

/// Two-letter code for an ISO 639-2 code, terminological or bibliographic, in lower case.
pub fn from_iso639_2(code: &str) -> Option<&'static str> {
    if code.len() != 3 {
        return None;
    }
    let language = LANGUAGES
        .iter()
        .find(|language| language.terminological == code || language.bibliographic == code)?;
    Some(language.alpha2)
}

/// ISO 639-2/T code for the language of a tag, as `mdhd` packs it (ISO/IEC 14496-12 8.4.2); `und`
/// when the tag has no such code.
pub fn to_iso639_2(tag: &str) -> [u8; 3] {
    let primary = primary_subtag(tag);
    let code = match find(&primary) {
        Some(language) => language.terminological,
        None => &primary,
    };
    match <[u8; 3]>::try_from(code.as_bytes()) {
        Ok(code) if is_alphabetic(&primary) => code,
        _ => *b"und",
    }
}

/// ISO 639-2/B code, as the library world, Matroska and DVB use it; `und` without one.
pub fn to_iso639_2b(tag: &str) -> [u8; 3] {
    let bibliographic = find(&primary_subtag(tag)).map_or("", |language| language.bibliographic);
    <[u8; 3]>::try_from(bibliographic.as_bytes()).unwrap_or_else(|_| to_iso639_2(tag))
}

/// What a menu calls a language: its autonym, with script and region where the tag has them.
///
/// The tag itself when the language is not known, and the empty string for `und`.
pub fn display_name(tag: &str) -> String {
    let Some(tag) = canonical_tag(tag) else { return tag.to_owned() };
    if let Some((_, name)) = TAG_NAMES.iter().find(|(known, _)| *known == tag) {
        return (*name).to_owned();
    }
    match tag.split_once('-') {
        None if tag == "und" => String::new(),
        None => find(&tag).map_or_else(|| tag.clone(), |language| capitalized(language.autonym)),
        Some((primary, rest)) => {
            let known = TAG_NAMES.iter().find(|(known, _)| *known == primary);
            let name = known.map(|(_, name)| (*name).to_owned());
            let name = name.or_else(|| Some(capitalized(find(primary)?.autonym)));
            name.map_or_else(|| tag.clone(), |name| format!("{name} ({rest})"))
        }
    }
}

/// Code of a language that goes by its English name or its autonym, whatever the case.
pub(crate) fn from_name(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let is_named = |language: &&Language| {
        language.english.to_lowercase() == name || language.autonym.to_lowercase() == name
    };
    Some(LANGUAGES.iter().find(is_named)?.alpha2)
}

/// A language of the table by its two-letter code.
pub(crate) fn find(alpha2: &str) -> Option<&'static Language> {
    let index = LANGUAGES.binary_search_by(|language| language.alpha2.cmp(alpha2)).ok()?;
    LANGUAGES.get(index)
}

fn primary_subtag(tag: &str) -> String {
    let primary = tag.split(['-', '_']).next().unwrap_or("").to_ascii_lowercase();
    shortest(primary)
}

/// The code that BCP 47 prefers for a language.
fn shortest(code: String) -> String {
    let withdrawn = WITHDRAWN.iter().find(|(old, _)| *old == code).map(|(_, new)| *new);
    withdrawn.or_else(|| from_iso639_2(&code)).map_or(code, str::to_owned)
}

fn is_alphabetic(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// `isiZulu` stays: its capital lies inside.
fn capitalized(name: &str) -> String {
    if name.chars().any(char::is_uppercase) {
        return name.to_owned();
    }
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests;
