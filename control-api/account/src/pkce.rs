//! Proof Key for Code Exchange (RFC 7636), the method `S256` alone.

use aws_lc_rs::{constant_time, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Whether `verifier` is what `challenge` was made of (RFC 7636 4.6). Both come from outside.
pub fn is_proof(verifier: &str, challenge: &str) -> bool {
    // RFC 7636 4.1: 43 to 128 unreserved characters.
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(is_unreserved) {
        return false;
    }
    let ours = challenge_of(verifier);
    constant_time::verify_slices_are_equal(ours.as_bytes(), challenge.as_bytes()).is_ok()
}

/// The challenge of a verifier (RFC 7636 4.2).
pub fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 appendix B.
    #[test]
    fn the_vector_of_the_rfc() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert_eq!(challenge_of(verifier), challenge);
        assert!(is_proof(verifier, challenge));
        assert!(!is_proof(verifier, &challenge[1..]));
        assert!(!is_proof(challenge, verifier));
        assert!(!is_proof("short", &challenge_of("short")));
        assert!(!is_proof(&"x".repeat(129), &challenge_of(&"x".repeat(129))));
        assert!(!is_proof(&"é".repeat(30), &challenge_of(&"é".repeat(30))));
    }
}
