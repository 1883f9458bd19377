//! Opaque secrets: random bytes that a client holds and of which the database keeps a SHA-256.
//!
//! A secret of 256 random bits needs no slow hash: nobody tries them all. Short codes that people
//! type are bounded by counted attempts instead (see `code`).

use std::fmt;

use aws_lc_rs::{constant_time, digest, hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Bytes of a secret.
pub(crate) const SECRET_BYTES: usize = 32;

/// 256 random bits, or what was derived from such. Its text is what the client keeps.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret([u8; SECRET_BYTES]);

/// What the database keeps of a [`Secret`] or of a short code.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct SecretHash([u8; 32]);

impl Secret {
    pub fn random() -> Self {
        Self(random_bytes())
    }

    /// Reads the 43 characters of [`Secret::text`]; anything else is `None`.
    pub fn parse(text: &str) -> Option<Self> {
        // Checked before decoding, so that a long text costs nothing.
        if text.len() != 43 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// Base64url without padding: fits URLs, headers and JSON.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    pub fn hash(&self) -> SecretHash {
        SecretHash::of(&[&self.0])
    }

    /// Another secret that only who knows both this one and `salt` can compute.
    #[must_use]
    pub fn successor(&self, salt: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, salt);
        let tag = hmac::sign(&key, &self.0);
        let mut bytes = [0; SECRET_BYTES];
        bytes.copy_from_slice(tag.as_ref());
        Self(bytes)
    }
}

/// A secret never reaches a log.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl SecretHash {
    /// SHA-256 over the parts, each led by its length, so that no two lists of parts are alike.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }

    /// 64 hexadecimal digits, as kept in a TEXT column.
    pub fn hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }

    /// Whether a kept hash is this one; takes the same time wherever they differ.
    pub fn is(&self, kept_hex: &str) -> bool {
        constant_time::verify_slices_are_equal(self.hex().as_bytes(), kept_hex.as_bytes()).is_ok()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

/// Random bytes of the operating system's generator, which is there or the process can't go on.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system's random generator answers");
    bytes
}

/// A text of `length` characters, each drawn evenly from `alphabet` (at most 256 of them).
pub(crate) fn random_text(alphabet: &[u8], length: usize) -> String {
    // Bytes beyond the last whole multiple would favour the first characters: drawn again.
    let whole = 256 - 256 % alphabet.len();
    let mut text = String::with_capacity(length);
    while text.len() < length {
        for byte in random_bytes::<32>() {
            let value = usize::from(byte);
            if value < whole && text.len() < length {
                text.push(char::from(alphabet[value % alphabet.len()]));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_reads_back_and_nothing_else_does() {
        let secret = Secret::random();
        assert_eq!(Secret::parse(&secret.text()), Some(secret.clone()));
        for wrong in ["", "a", &secret.text()[1..], &format!("{}=", secret.text()), &"!".repeat(43)]
        {
            assert_eq!(Secret::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_successor_depends_on_both_parts() {
        let (first, second) = (Secret::random(), Secret::random());
        assert_eq!(first.successor(b"salt"), first.successor(b"salt"));
        assert_ne!(first.successor(b"salt"), first.successor(b"pepper"));
        assert_ne!(first.successor(b"salt"), second.successor(b"salt"));
        assert_ne!(first.successor(b"salt"), first);
    }

    #[test]
    fn parts_of_a_hash_do_not_run_together() {
        assert_ne!(SecretHash::of(&[b"ab", b"c"]), SecretHash::of(&[b"a", b"bc"]));
        let hash = SecretHash::of(&[b"x"]);
        assert!(hash.is(&hash.hex()));
        assert!(!hash.is("") && !hash.is(&SecretHash::of(&[b"y"]).hex()));
    }

    #[test]
    fn random_texts_use_the_whole_alphabet() {
        let text = random_text(b"BCD", 3_000);
        for letter in ['B', 'C', 'D'] {
            let count = text.chars().filter(|c| *c == letter).count();
            // Even odds give 1,000 with a deviation of 26; ten of those are never reached.
            assert!((740..=1_260).contains(&count), "{letter} came {count} times");
        }
    }
}
