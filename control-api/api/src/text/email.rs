//! Addresses of mail (RFC 5321, with RFC 6531 for letters beyond ASCII).

use unicode_normalization::UnicodeNormalization;

use super::{is_hidden, text_type};
use crate::field::Invalid;

/// RFC 5321 4.5.3.1.3: a path is 256 octets with its brackets.
const ADDRESS_BYTES_MAX: usize = 254;
/// RFC 5321 4.5.3.1.1.
const LOCAL_BYTES_MAX: usize = 64;

/// An address that mail can be sent to: `local@domain`, without quotes, comments, and literal
/// addresses, which no provider gives to people. Kept as it was written, but for NFC; compare
/// [`Email::normalised`].
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Email(String);

impl Email {
    /// # Errors
    /// `invalid_email`, with the reason.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = |detail: &'static str| Err(Invalid::new("invalid_email", detail));
        if ADDRESS_BYTES_MAX * 3 < text.len() {
            return invalid("The address is too long.");
        }
        let text: String = text.trim().nfc().collect();
        if ADDRESS_BYTES_MAX < text.len() {
            return invalid("The address is too long.");
        }
        let Some((local, domain)) = text.split_once('@') else {
            return invalid("An address has an `@`.");
        };
        if local.len() > LOCAL_BYTES_MAX || !is_local(local) {
            return invalid("What stands before the `@` is no mailbox.");
        }
        if !is_domain(domain) {
            return invalid("What stands behind the `@` is no domain.");
        }
        Ok(Self(text))
    }

    /// The form that is unique per account: in lower case. RFC 5321 2.4 lets hosts tell `A` from
    /// `a` in a mailbox; none that people use does, and two accounts that differ in it alone would
    /// be one person's mistake or an attack.
    pub fn normalised(&self) -> String {
        self.0.to_lowercase().nfc().collect()
    }
}

/// A dot-string (RFC 5321 4.1.2), or letters beyond ASCII (RFC 6531 3.3).
fn is_local(local: &str) -> bool {
    let is_atom_character = |character: char| {
        character.is_ascii_alphanumeric()
            || "!#$%&'*+-/=?^_`{|}~".contains(character)
            || (!character.is_ascii() && !is_hidden(character) && !character.is_whitespace())
    };
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom_character))
}

/// Two labels or more of letters, digits and hyphens (RFC 1035 2.3.1), or of letters beyond ASCII.
fn is_domain(domain: &str) -> bool {
    let is_label_character = |character: char| {
        character.is_ascii_alphanumeric() || character == '-' || character.is_alphanumeric()
    };
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(is_label_character)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let labels: Vec<_> = domain.split('.').collect();
    let last = labels.last().copied().unwrap_or_default();
    2 <= labels.len()
        && labels.iter().all(|l| is_label(l))
        && !last.bytes().all(|b| b.is_ascii_digit())
}

text_type!(Email, min 3, max 254, Some("email"), "An address of mail.", "ada@example.org");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_people_pass() {
        for good in [
            "ada@example.org",
            "a.b+tag@mail.example.co.uk",
            "o'brien@example.org",
            "用户@例子.广告",
            " ada@example.org ",
            "ada@xn--bcher-kva.example",
        ] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn others_do_not() {
        let long = format!("{}@example.org", "a".repeat(65));
        for bad in [
            "",
            "@",
            "a",
            "a@",
            "@b.c",
            "a@b",
            "a@b.",
            "a@.b",
            "a..b@c.d",
            ".a@b.c",
            "a b@c.d",
            "a@b c.d",
            "a@b@c.d",
            "\"a\"@b.c",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a@-b.c",
            "a@b-.c",
            "a\r\nBcc: x@y.z",
            "a@b.c\n.d",
            "a,b@c.d",
            "a<b@c.d>",
            "a\u{202e}b@c.d",
            &long,
        ] {
            let error = Email::parse(bad).expect_err(bad);
            assert_eq!(error.code, "invalid_email");
        }
    }

    #[test]
    fn case_does_not_make_another_account() {
        let normalised = |text| Email::parse(text).unwrap().normalised();
        assert_eq!(normalised("Ada@Example.ORG"), normalised("ada@example.org"));
        assert_eq!(normalised("A\u{30a}sa@example.org"), normalised("åsa@example.org"));
    }
}
