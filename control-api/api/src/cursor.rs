//! Cursors: where a list goes on, signed, so that nobody makes one up.
//!
//! ```text
//! cursor = base64url(tag ‖ json)      tag: first 16 bytes of HMAC-SHA256(key, scope ‖ json)
//! scope  = "cursor 1" ‖ tenant ‖ path ‖ filters, each behind its length (u32, big-endian)
//! ```
//!
//! `json` is the key of the last row shown (a JSON array of what the list is sorted by), so a list
//! goes on where it stood even if that row is gone. The scope is not sent: a cursor of another
//! tenant, list or filter has the wrong tag. Tags are 128 bits: guessing one takes the server's whole
//! life at any rate it serves.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Longest cursor that is looked at.
pub const CURSOR_BYTES_MAX: usize = 2_048;
const TAG_BYTES: usize = 16;
/// Most keys that are tried.
const KEYS_MAX: usize = 4;

/// Keys of cursors: one signs, earlier ones still verify.
pub struct CursorKeys(Vec<hmac::Key>);

impl std::fmt::Debug for CursorKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CursorKeys({})", self.0.len())
    }
}

/// What a cursor is good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CursorScope<'a> {
    pub tenant: &'a str,
    /// The path of the list, identifiers included.
    pub path: &'a str,
    /// All parameters of the query but `limit` and `cursor`, sorted.
    pub filters: &'a str,
}

impl CursorKeys {
    /// `current` signs; of `earlier` the first three verify, too.
    pub fn new(current: &[u8; 32], earlier: &[[u8; 32]]) -> Self {
        let keys = std::iter::once(current).chain(earlier).take(KEYS_MAX);
        Self(keys.map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)).collect())
    }

    /// A cursor that says `json`.
    pub fn seal(&self, scope: CursorScope<'_>, json: &[u8]) -> String {
        let mut bytes = tag(&self.0[0], scope, json).to_vec();
        bytes.extend_from_slice(json);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What a cursor says, if it was sealed for this scope.
    pub fn open(&self, scope: CursorScope<'_>, cursor: &str) -> Option<Vec<u8>> {
        if CURSOR_BYTES_MAX < cursor.len() {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (given, json) = bytes.split_first_chunk::<TAG_BYTES>()?;
        let is_ours =
            |key| constant_time::verify_slices_are_equal(given, &tag(key, scope, json)).is_ok();
        self.0.iter().any(is_ours).then(|| json.to_vec())
    }
}

fn tag(key: &hmac::Key, scope: CursorScope<'_>, json: &[u8]) -> [u8; TAG_BYTES] {
    let mut context = hmac::Context::with_key(key);
    for part in ["cursor 1", scope.tenant, scope.path, scope.filters] {
        // A query is bounded by the listener, far below 4 GiB.
        context.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        context.update(part.as_bytes());
    }
    context.update(json);
    let full = context.sign();
    *full.as_ref().first_chunk().expect("SHA-256 gives 32 bytes")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> CursorKeys {
        CursorKeys::new(&[1; 32], &[[2; 32]])
    }

    const SCOPE: CursorScope<'static> =
        CursorScope { tenant: "t", path: "/v1/things", filters: "state=open" };

    #[test]
    fn a_cursor_is_good_for_its_list_alone() {
        let cursor = keys().seal(SCOPE, b"[1]");
        assert_eq!(keys().open(SCOPE, &cursor).unwrap(), b"[1]");
        for other in [
            CursorScope { tenant: "u", ..SCOPE },
            CursorScope { path: "/v1/thing", ..SCOPE },
            CursorScope { filters: "", ..SCOPE },
            CursorScope { tenant: "t/v1", path: "/things", ..SCOPE },
        ] {
            assert_eq!(keys().open(other, &cursor), None, "{other:?}");
        }
    }

    #[test]
    fn earlier_keys_verify_and_do_not_sign() {
        let earlier = CursorKeys::new(&[2; 32], &[]).seal(SCOPE, b"[1]");
        assert!(keys().open(SCOPE, &earlier).is_some());
        let sealed = keys().seal(SCOPE, b"[1]");
        assert!(CursorKeys::new(&[2; 32], &[]).open(SCOPE, &sealed).is_none());
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens(json in any::<Vec<u8>>().prop_filter("short", |v| v.len() < 1_400)) {
            let cursor = keys().seal(SCOPE, &json);
            prop_assert_eq!(keys().open(SCOPE, &cursor), Some(json));
        }

        #[test]
        fn a_changed_character_closes(at in 0_usize..40, to in "[A-Za-z0-9_-]") {
            let cursor = keys().seal(SCOPE, b"[\"0198f0a2\",1234567890]");
            let mut changed = cursor.clone();
            let at = at % cursor.len();
            changed.replace_range(at..=at, &to);
            prop_assert_eq!(keys().open(SCOPE, &changed).is_some(), changed == cursor);
        }

        #[test]
        fn junk_opens_nothing(text in ".{0,200}") {
            prop_assert_eq!(keys().open(SCOPE, &text), None);
        }
    }
}
