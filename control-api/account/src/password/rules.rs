//! Which passwords are accepted (NIST SP 800-63B-4, 3.1.1.2): long enough, not on a list of those
//! that everybody tries first, not the person's own address. No rules about kinds of characters.

use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization as _;

/// Characters of a new password, after normalisation.
pub const CHARS_MIN: usize = 8;
pub const CHARS_MAX: usize = 128;
/// Bytes of what is read as a password at all: 128 characters of four bytes, as they were typed
/// (a composed letter may be typed as three characters).
pub const BYTES_MAX: usize = 1_536;

/// The list in `common.txt`, one password a line, lower case.
static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("common.txt").lines().filter(|line| !line.is_empty()).collect());

/// A password in Unicode's normal form NFC, so that two keyboards that write one letter in two
/// ways give one password. Never printed.
#[derive(Clone, Eq, PartialEq)]
pub struct Password(String);

/// Why a password isn't accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PasswordError {
    #[error("a password has at least {CHARS_MIN} characters")]
    TooShort,

    #[error("a password has at most {CHARS_MAX} characters")]
    TooLong,

    #[error("a password has no control characters")]
    Control,

    #[error("this password is among those that are tried first; choose another")]
    Common,

    #[error("a password must not be the address it protects")]
    IsAddress,
}

impl Password {
    /// Reads what somebody typed at a login: bounded and normalised, no rule applied, since an old
    /// password may break a newer rule.
    pub fn typed(text: &str) -> Result<Self, PasswordError> {
        if text.len() > BYTES_MAX {
            return Err(PasswordError::TooLong);
        }
        Ok(Self(text.nfc().collect()))
    }

    /// Reads a password that is to be set, by all rules. `email_norm` is whose it is to be.
    pub fn chosen(text: &str, email_norm: &str) -> Result<Self, PasswordError> {
        let password = Self::typed(text)?;
        let chars = password.0.chars().count();
        if chars < CHARS_MIN {
            return Err(PasswordError::TooShort);
        }
        if chars > CHARS_MAX {
            return Err(PasswordError::TooLong);
        }
        if password.0.chars().any(char::is_control) {
            return Err(PasswordError::Control);
        }
        let lower = password.0.to_lowercase();
        if is_common(&lower) {
            return Err(PasswordError::Common);
        }
        let local = email_norm.split('@').next().unwrap_or_default();
        if lower == email_norm || lower == local {
            return Err(PasswordError::IsAddress);
        }
        Ok(password)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// On the list, or one character over and over, or a plain run such as `12345678` and `hgfedcba`.
fn is_common(lower: &str) -> bool {
    if COMMON.contains(lower) {
        return true;
    }
    let codes: Vec<i64> = lower.chars().map(|c| i64::from(u32::from(c))).collect();
    let steps_by = |step: i64| codes.windows(2).all(|pair| pair[1] - pair[0] == step);
    steps_by(0) || steps_by(1) || steps_by(-1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(), PasswordError>) {
        assert_eq!(Password::chosen(text, "ann.lee@example.com").map(|_| ()), expected, "{text}");
    }

    #[test]
    fn long_is_enough_and_common_is_not() {
        check("correct horse battery", Ok(()));
        check("nur kleine buchstaben", Ok(()));
        check("пароль-из-букв", Ok(()));
        check("short", Err(PasswordError::TooShort));
        check("1234567", Err(PasswordError::TooShort));
        check("Password1", Err(PasswordError::Common));
        check("PASSWORD", Err(PasswordError::Common));
        check("qwertyuiop", Err(PasswordError::Common));
        check("aaaaaaaaaaaa", Err(PasswordError::Common));
        check("3456789:", Err(PasswordError::Common));
        check("hgfedcba", Err(PasswordError::Common));
        check("Ann.Lee@example.com", Err(PasswordError::IsAddress));
        check("tab\tinside it", Err(PasswordError::Control));
        check("nul\0inside it", Err(PasswordError::Control));
        check(&"ab".repeat(64), Ok(()));
        check(&"ab".repeat(65), Err(PasswordError::TooLong));
    }

    #[test]
    fn length_counts_characters_after_normalisation() {
        // Eight letters of two characters each as typed, eight when composed.
        check(&"u\u{308}o\u{308}".repeat(4), Ok(()));
        check(&"u\u{308}".repeat(4), Err(PasswordError::TooShort));
        assert_eq!(Password::typed("u\u{308}"), Password::typed("\u{fc}"));
    }

    #[test]
    fn what_is_read_is_bounded() {
        assert!(Password::typed(&"x".repeat(BYTES_MAX)).is_ok());
        assert_eq!(Password::typed(&"x".repeat(BYTES_MAX + 1)), Err(PasswordError::TooLong));
    }

    #[test]
    fn the_list_is_in_the_form_it_is_asked_in() {
        for line in COMMON.iter() {
            assert_eq!(*line, line.to_lowercase().nfc().collect::<String>());
            assert!(line.chars().count() >= CHARS_MIN, "`{line}` is refused as short anyway");
        }
        assert!(COMMON.len() >= 200);
    }

    proptest! {
        /// What is accepted when chosen is the same password when typed at the next login.
        #[test]
        fn chosen_and_typed_agree(text in "\\PC{0,140}") {
            if let Ok(chosen) = Password::chosen(&text, "a@example.com") {
                prop_assert_eq!(Password::typed(&text), Ok(chosen));
            }
        }
    }
}
