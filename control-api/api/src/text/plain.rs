//! Names and sentences that people write.

use unicode_normalization::UnicodeNormalization;

use super::{check_length, is_hidden, text_type};
use crate::field::Invalid;

/// NFC grows a text of hostile characters threefold at most (TR 15, stream safety aside): what is
/// longer than that is refused before it is looked at.
const BYTES_PER_CHARACTER_MAX: usize = 12;

fn one_line(text: &str, max: usize) -> Result<String, Invalid> {
    let text = normal(text, max)?;
    if text.chars().any(is_hidden) {
        return Err(hidden());
    }
    // Runs of spaces of any kind become one, so that names that look alike are alike.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    check_length(&text, 1, max)?;
    Ok(text)
}

fn normal(text: &str, max: usize) -> Result<String, Invalid> {
    if max * BYTES_PER_CHARACTER_MAX < text.len() {
        return Err(Invalid::new("too_long", format!("At most {max} characters.")));
    }
    Ok(text.nfc().collect())
}

fn hidden() -> Invalid {
    Invalid::new("invalid_characters", "Leave out control and invisible characters.")
}

/// A name of a person, a profile, a device: one line of 1 to 60 characters.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DisplayName(String);

impl DisplayName {
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        one_line(text, 60).map(Self)
    }
}

text_type!(DisplayName, min 1, max 60, None, "A name, one line.", "Ada");

/// A title of something: one line of 1 to 200 characters.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Title(String);

impl Title {
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        one_line(text, 200).map(Self)
    }
}

text_type!(Title, min 1, max 200, None, "A title, one line.", "Big Buck Bunny");

/// A text of lines, up to 5,000 characters; may be empty.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LongText(String);

impl LongText {
    /// # Errors
    /// Says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = normal(&text.replace("\r\n", "\n"), 5_000)?;
        if text.chars().any(|character| is_hidden(character) && character != '\n') {
            return Err(hidden());
        }
        let text = text.trim();
        check_length(text, 0, 5_000)?;
        Ok(Self(text.to_owned()))
    }
}

text_type!(LongText, min 0, max 5_000, None, "A text of lines.", "I liked it.");

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let parsed = DisplayName::parse(text).map(DisplayName::into_string);
        let parsed = parsed.as_deref().map_err(|invalid| invalid.code);
        assert_eq!(parsed, expected, "{text:?}");
    }

    #[test]
    fn names_are_one_visible_line() {
        check("  Ada   Lovelace ", Ok("Ada Lovelace"));
        check("A\u{30a}ngstro\u{308}m", Ok("Ångström"));
        check("علی\u{200c}رضا", Ok("علی\u{200c}رضا"));
        check("👩\u{200d}🚀", Ok("👩\u{200d}🚀"));
        check("", Err("empty"));
        check(" \u{3000} ", Err("empty"));
        check("a\u{202e}b", Err("invalid_characters"));
        check("a\nb", Err("invalid_characters"));
        check("a\0", Err("invalid_characters"));
        check(&"é".repeat(61), Err("too_long"));
        check(&"x".repeat(100_000), Err("too_long"));
        assert!(DisplayName::parse(&"é".repeat(60)).is_ok());
    }

    #[test]
    fn long_texts_have_lines() {
        assert_eq!(LongText::parse("a\r\nb\n").unwrap().as_str(), "a\nb");
        assert_eq!(LongText::parse("").unwrap().as_str(), "");
        assert_eq!(LongText::parse("a\rb").unwrap_err().code, "invalid_characters");
    }

    proptest::proptest! {
        #[test]
        fn what_was_parsed_parses_to_itself(text in "\\PC{0,70}") {
            if let Ok(name) = DisplayName::parse(&text) {
                proptest::prop_assert_eq!(DisplayName::parse(name.as_str()), Ok(name));
            }
        }
    }
}
