//! One-time passwords: HOTP (RFC 4226) and TOTP (RFC 6238).

use aws_lc_rs::{constant_time, hmac};

use crate::secret::random_bytes;

/// Seconds of one step (RFC 6238 5.2).
pub const STEP_SECONDS: i64 = 30;
/// Steps before and after the present one that are accepted: clocks of phones differ.
const STEPS_AROUND: i64 = 1;
/// What authenticator apps show.
const DIGITS: u32 = 6;
/// Bytes of a shared secret: those of the hash (RFC 4226 4, R6).
pub const KEY_BYTES: usize = 20;

/// The hash functions of RFC 6238 1.2. Apps agree on the first alone, so it is what is enrolled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OtpHash {
    Sha1,
    Sha256,
    Sha512,
}

/// A secret shared with an authenticator app.
#[derive(Clone, Eq, PartialEq)]
pub struct TotpKey([u8; KEY_BYTES]);

impl TotpKey {
    pub fn random() -> Self {
        Self(random_bytes())
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Base32 without padding, as people type it.
    pub fn base32(&self) -> String {
        data_encoding::BASE32_NOPAD.encode(&self.0)
    }

    /// The `otpauth:` URI that apps read from a picture.
    pub fn uri(&self, issuer: &str, account: &str) -> String {
        let (issuer, account) = (percent_encode(issuer), percent_encode(account));
        format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}",
            self.base32()
        )
    }

    /// The step that `code` belongs to, when it is one of those around `now_ms` and later than the
    /// last one that was accepted: a code is good once (RFC 6238 5.2).
    pub fn accept(&self, code: &str, now_ms: i64, last_step: Option<i64>) -> Option<i64> {
        let code = code.trim();
        if code.len() != DIGITS as usize || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let now_step = now_ms.div_euclid(1_000 * STEP_SECONDS);
        let mut accepted = None;
        for step in now_step - STEPS_AROUND..=now_step + STEPS_AROUND {
            let Ok(counter) = u64::try_from(step) else { continue };
            let ours = hotp(OtpHash::Sha1, &self.0, counter, DIGITS);
            let is_same =
                constant_time::verify_slices_are_equal(ours.as_bytes(), code.as_bytes()).is_ok();
            if is_same && last_step.is_none_or(|last| step > last) && accepted.is_none() {
                accepted = Some(step);
            }
        }
        accepted
    }

    /// The code of a moment: what an app would show.
    #[cfg(test)]
    pub(crate) fn code_at(&self, now_ms: i64) -> String {
        let step = now_ms.div_euclid(1_000 * STEP_SECONDS);
        hotp(OtpHash::Sha1, &self.0, u64::try_from(step).expect("after 1970"), DIGITS)
    }
}

/// A secret never reaches a log.
impl std::fmt::Debug for TotpKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpKey(…)")
    }
}

/// The code of one counter value, `digits` (6 to 8) long (RFC 4226 5.3).
pub fn hotp(hash: OtpHash, key: &[u8], counter: u64, digits: u32) -> String {
    let algorithm = match hash {
        OtpHash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        OtpHash::Sha256 => hmac::HMAC_SHA256,
        OtpHash::Sha512 => hmac::HMAC_SHA512,
    };
    let tag = hmac::sign(&hmac::Key::new(algorithm, key), &counter.to_be_bytes());
    let tag = tag.as_ref();
    // Dynamic truncation: the low four bits of the last byte say where four bytes are taken.
    let offset = usize::from(tag[tag.len() - 1] & 0x0f);
    let word = u32::from_be_bytes([tag[offset], tag[offset + 1], tag[offset + 2], tag[offset + 3]]);
    let code = (word & 0x7fff_ffff) % 10_u32.pow(digits);
    format!("{code:0width$}", width = digits as usize)
}

/// Everything but the unreserved characters of RFC 3986 2.3.
fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 4226 appendix D.
    #[test]
    fn hotp_vectors() {
        let expected = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
            "399871", "520489",
        ];
        for (counter, code) in (0..).zip(expected) {
            assert_eq!(hotp(OtpHash::Sha1, b"12345678901234567890", counter, 6), code);
        }
    }

    /// RFC 6238 appendix B, with the keys of its errata: the seed repeated to the hash's length.
    #[test]
    fn totp_vectors() {
        let seed = b"1234567890".repeat(7);
        let table: [(i64, [&str; 3]); 6] = [
            (59, ["94287082", "46119246", "90693936"]),
            (1_111_111_109, ["07081804", "68084774", "25091201"]),
            (1_111_111_111, ["14050471", "67062674", "99943326"]),
            (1_234_567_890, ["89005924", "91819424", "93441116"]),
            (2_000_000_000, ["69279037", "90698825", "38618901"]),
            (20_000_000_000, ["65353130", "77737706", "47863826"]),
        ];
        let hashes = [(OtpHash::Sha1, 20), (OtpHash::Sha256, 32), (OtpHash::Sha512, 64)];
        for (seconds, codes) in table {
            let counter = (seconds / STEP_SECONDS) as u64;
            for ((hash, key_bytes), code) in hashes.into_iter().zip(codes) {
                assert_eq!(hotp(hash, &seed[..key_bytes], counter, 8), code, "{hash:?} {seconds}");
            }
        }
    }

    #[test]
    fn a_code_is_good_once_and_one_step_around() {
        let key = TotpKey::from_bytes(b"12345678901234567890").unwrap();
        let now_ms = 1_111_111_111_000;
        let step = 1_111_111_111 / 30;
        let code = key.code_at(now_ms);
        assert_eq!(key.accept(&code, now_ms, None), Some(step));
        assert_eq!(key.accept(&format!(" {code} "), now_ms, Some(step - 1)), Some(step));
        assert_eq!(key.accept(&code, now_ms, Some(step)), None, "replayed");
        assert_eq!(key.accept(&code, now_ms + 30_000, None), Some(step));
        assert_eq!(key.accept(&code, now_ms - 30_000, None), Some(step));
        assert_eq!(key.accept(&code, now_ms + 90_000, None), None);
        assert_eq!(key.accept(&code, now_ms - 90_000, None), None);
        for wrong in ["", "12345", "1234567", "12345a", "١٢٣٤٥٦"] {
            assert_eq!(key.accept(wrong, now_ms, None), None, "{wrong}");
        }
    }

    #[test]
    fn the_uri_escapes_what_it_carries() {
        let key = TotpKey::from_bytes(b"12345678901234567890").unwrap();
        assert_eq!(
            key.uri("Café & Co", "a+b@example.com"),
            "otpauth://totp/Caf%C3%A9%20%26%20Co:a%2Bb%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Caf%C3%A9%20%26%20Co&algorithm=SHA1&digits=6&period=30"
        );
    }

    proptest! {
        /// Whatever is accepted moves the last step forward, so no code is accepted twice.
        #[test]
        fn steps_only_rise(now_ms in 0_i64..4_000_000_000_000, back in -2_i64..=2, last in any::<i64>()) {
            let key = TotpKey::from_bytes(b"abcdefghijklmnopqrst").unwrap();
            let code = key.code_at((now_ms + back * 30_000).max(0));
            if let Some(step) = key.accept(&code, now_ms, Some(last)) {
                prop_assert!(step > last);
                prop_assert!((step - now_ms / 30_000).abs() <= 1);
                prop_assert_eq!(key.accept(&code, now_ms, Some(step)), None);
            }
        }
    }
}
