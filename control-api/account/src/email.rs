//! Addresses of electronic mail: what is accepted, and the form in which two are the same.
//!
//! RFC 5321 4.1.2 without quoted local parts and address literals, which no viewer has; RFC 6531
//! for letters beyond ASCII. Case is ignored in both halves: the local part is case-sensitive by
//! the letter of RFC 5321 2.4, and no provider makes two people of it.

use unicode_normalization::UnicodeNormalization as _;

/// Bytes of a whole address (RFC 5321 4.5.3.1.3, without the angle brackets).
pub const ADDRESS_BYTES_MAX: usize = 254;
const LOCAL_BYTES_MAX: usize = 64;
const DOMAIN_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// An address that mail can be sent to, as the person wrote it and in its comparable form.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Email {
    written: String,
    norm: String,
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EmailError {
    #[error("an address has at most {ADDRESS_BYTES_MAX} bytes")]
    TooLong,

    #[error("an address has one `@` with something on both sides")]
    NoAt,

    #[error("the part in front of `@` has a character or a dot where none may be, or is too long")]
    Local,

    #[error("the part behind `@` is no domain name")]
    Domain,
}

impl Email {
    /// Reads an address; blanks around it are dropped, as they come from copying.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let text = text.trim();
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(EmailError::TooLong);
        }
        let written: String = text.nfc().collect();
        let (local, domain) = written.rsplit_once('@').ok_or(EmailError::NoAt)?;
        if local.is_empty() || domain.is_empty() {
            return Err(EmailError::NoAt);
        }
        check_local(local)?;
        check_domain(domain)?;
        // Lower case may leave the normal form, so it is brought back into it.
        let norm: String = written.to_lowercase().nfc().collect();
        if norm.len() > ADDRESS_BYTES_MAX || written.len() > ADDRESS_BYTES_MAX {
            return Err(EmailError::TooLong);
        }
        Ok(Self { written, norm })
    }

    /// As the person wrote it: what mail is sent to.
    pub fn written(&self) -> &str {
        &self.written
    }

    /// The form that is unique in a tenant.
    pub fn norm(&self) -> &str {
        &self.norm
    }
}

/// Dot-atom of RFC 5322 3.2.3, with any letter or digit of RFC 6531.
fn check_local(local: &str) -> Result<(), EmailError> {
    let is_atom =
        |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_combining_mark(c);
    let fits = local.len() <= LOCAL_BYTES_MAX
        && local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom));
    if fits { Ok(()) } else { Err(EmailError::Local) }
}

/// Labels of letters, digits and inner hyphens, at least two, the last not all digits.
fn check_domain(domain: &str) -> Result<(), EmailError> {
    let is_inner = |c: char| c.is_alphanumeric() || c == '-' || is_combining_mark(c);
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.chars().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let labels: Vec<&str> = domain.split('.').collect();
    let last_is_number = labels.last().is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
    let fits = domain.len() <= DOMAIN_BYTES_MAX
        && labels.len() >= 2
        && labels.iter().all(|label| is_label(label))
        && !last_is_number;
    if fits { Ok(()) } else { Err(EmailError::Domain) }
}

/// Marks that no composed letter takes up, as in Indic scripts.
fn is_combining_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, EmailError>) {
        assert_eq!(
            Email::parse(text).map(|email| email.norm).as_deref(),
            expected.as_ref().copied()
        );
    }

    #[test]
    fn addresses_and_what_is_none() {
        check("Ann@Example.COM", Ok("ann@example.com"));
        check("  ann+tag@example.com\n", Ok("ann+tag@example.com"));
        check("o'neil@sub.example.co.uk", Ok("o'neil@sub.example.co.uk"));
        // One letter and two combining characters are the same address.
        check("jo\u{308}rg@Ma\u{308}rz.de", Ok("j\u{f6}rg@m\u{e4}rz.de"));
        check("", Err(EmailError::NoAt));
        check("ann", Err(EmailError::NoAt));
        check("@example.com", Err(EmailError::NoAt));
        check("ann@", Err(EmailError::NoAt));
        check("a b@example.com", Err(EmailError::Local));
        check(".ann@example.com", Err(EmailError::Local));
        check("a..n@example.com", Err(EmailError::Local));
        check("a@b@example.com", Err(EmailError::Local));
        check("ann\r\nBcc:x@example.com", Err(EmailError::Local));
        check("ann\0@example.com", Err(EmailError::Local));
        check("ann@localhost", Err(EmailError::Domain));
        check("ann@127.0.0.1", Err(EmailError::Domain));
        check("ann@[127.0.0.1]", Err(EmailError::Domain));
        check("ann@-x.com", Err(EmailError::Domain));
        check("ann@x..com", Err(EmailError::Domain));
        check(&format!("{}@example.com", "a".repeat(65)), Err(EmailError::Local));
        check(&format!("a@{}.com", "b".repeat(64)), Err(EmailError::Domain));
        check(&"a".repeat(255), Err(EmailError::TooLong));
    }

    proptest! {
        /// Any text is judged without a panic, and the comparable form is its own.
        #[test]
        fn normal_forms_are_stable(text in "\\PC{0,40}@\\PC{0,40}") {
            if let Ok(email) = Email::parse(&text) {
                let again = Email::parse(email.norm()).map(|email| email.norm);
                prop_assert_eq!(again.as_deref(), Ok(email.norm()));
                prop_assert!(!email.written().chars().any(char::is_control));
            }
        }

        #[test]
        fn case_makes_no_second_person(local in "[a-zA-Z0-9]{1,20}", domain in "[a-zA-Z]{1,20}") {
            let address = format!("{local}@{domain}.example");
            let upper = Email::parse(&address.to_uppercase()).map(|email| email.norm);
            prop_assert_eq!(upper, Email::parse(&address).map(|email| email.norm));
        }
    }
}
