//! Codes that people read and type: mail codes, recovery codes, the codes on a television.
//!
//! All are short, so each kind has a bound of attempts where it is checked; none is told from
//! another by its look.

use crate::secret::{SecretHash, random_text};

/// Consonants without vowels and lookalikes, so that no word comes out (RFC 8628 6.1).
const USER_CODE_LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Crockford's base 32: no I, L, O, U.
const RECOVERY_LETTERS: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

pub const MAIL_CODE_DIGITS: usize = 6;
pub const RECOVERY_CODES: usize = 10;
const USER_CODE_LENGTH: usize = 8;
/// 50 bits: with attempts counted, and hashed as they are kept, enough by far.
const RECOVERY_LENGTH: usize = 10;

/// Six digits to type from a mail.
pub fn mail_code() -> String {
    random_text(b"0123456789", MAIL_CODE_DIGITS)
}

/// A typed mail code without the blanks people add; `None` when it is none.
pub fn read_mail_code(typed: &str) -> Option<String> {
    read(typed, MAIL_CODE_DIGITS, |c| c.is_ascii_digit().then_some(c))
}

/// Ten codes, each `XXXXX-XXXXX`.
pub fn recovery_codes() -> Vec<String> {
    (0..RECOVERY_CODES).map(|_| in_two(&random_text(RECOVERY_LETTERS, RECOVERY_LENGTH))).collect()
}

/// The kept form of a typed recovery code: hashed with whose it is, so that equal codes of two
/// people have two hashes.
pub fn recovery_hash(user_id: &str, typed: &str) -> Option<SecretHash> {
    let code = read(typed, RECOVERY_LENGTH, |c| {
        let c = match c.to_ascii_uppercase() {
            // What Crockford's alphabet leaves out is read as what it looks like.
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        (c.is_ascii() && RECOVERY_LETTERS.contains(&(c as u8))).then_some(c)
    })?;
    Some(SecretHash::of(&[b"recovery", user_id.as_bytes(), code.as_bytes()]))
}

/// The kept form of a mail code.
pub fn mail_code_hash(user_id: &str, code: &str) -> SecretHash {
    SecretHash::of(&[b"mail", user_id.as_bytes(), code.as_bytes()])
}

/// A code to show on a television: eight letters, 34 bits.
pub fn user_code() -> String {
    random_text(USER_CODE_LETTERS, USER_CODE_LENGTH)
}

/// As it is shown: `XXXX-XXXX`.
pub fn show_user_code(code: &str) -> String {
    in_two(code)
}

/// A typed user code in the kept form; case, hyphens and blanks don't matter.
pub fn read_user_code(typed: &str) -> Option<String> {
    read(typed, USER_CODE_LENGTH, |c| {
        let c = c.to_ascii_uppercase();
        (c.is_ascii() && USER_CODE_LETTERS.contains(&(c as u8))).then_some(c)
    })
}

fn in_two(code: &str) -> String {
    let (left, right) = code.split_at(code.len() / 2);
    format!("{left}-{right}")
}

/// The letters of `typed` as `letter` reads them, when they are `length` and nothing else but
/// hyphens and blanks stands between them.
fn read(typed: &str, length: usize, letter: impl Fn(char) -> Option<char>) -> Option<String> {
    if typed.len() > 4 * length {
        return None;
    }
    let typed = typed.chars().filter(|c| !matches!(c, '-' | ' ' | '\u{a0}' | '\u{2013}'));
    let code = typed.map(letter).collect::<Option<String>>()?;
    (code.len() == length).then_some(code)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn recovery_codes_are_ten_different_ones() {
        let codes = recovery_codes();
        let hashes: HashSet<String> =
            codes.iter().map(|code| recovery_hash("u1", code).unwrap().hex()).collect();
        assert_eq!(hashes.len(), RECOVERY_CODES);
        assert_ne!(recovery_hash("u1", &codes[0]), recovery_hash("u2", &codes[0]));
    }

    #[test]
    fn typed_codes_are_read_kindly() {
        let exact = recovery_hash("u", "01ABC-DEFGH");
        assert!(exact.is_some());
        for typed in ["01abcdefgh", " O1abc defgh ", "olABC\u{2013}DEFGH", "0IABC-DEFGH"] {
            assert_eq!(recovery_hash("u", typed), exact, "{typed}");
        }
        for wrong in ["", "01ABC-DEFG", "01ABC-DEFGHJ", "01ABC_DEFGH", "U1ABC-DEFGH", "é1ABC-DEFGH"]
        {
            assert_eq!(recovery_hash("u", wrong), None, "{wrong}");
        }
        assert_eq!(read_mail_code(" 123 456"), Some("123456".to_owned()));
        assert_eq!(read_mail_code("12345"), None);
        assert_eq!(read_mail_code("١٢٣٤٥٦"), None);
        assert_eq!(read_user_code("bcdf-ghjk"), Some("BCDFGHJK".to_owned()));
        assert_eq!(read_user_code("ABCD-FGHJ"), None, "there is no A");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(_ in 0..64) {
            let code = user_code();
            prop_assert_eq!(read_user_code(&show_user_code(&code)), Some(code));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = (read_user_code(&text), read_mail_code(&text), recovery_hash("u", &text));
        }
    }
}
