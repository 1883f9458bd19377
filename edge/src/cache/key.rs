//! Under what an answer is stored: host, canonical path, allow-listed query, and what it varies by.

use std::sync::Arc;

use super::policy::SelectingValues;

/// Host and target in one: `cdn.example/vod/film/seg-1.m4s`. A host holds no slash, so no two pairs
/// share a key; it is always part of it (RUSTSEC-2026-0035 is a cache that left it out).
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct CacheKey {
    text: Arc<str>,
    host_bytes: usize,
}

/// Names an object: 128 bits of BLAKE3 over key and selecting values. Objects carry both in full,
/// and are compared on every hit.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub struct KeyHash(pub [u8; 16]);

impl CacheKey {
    /// Takes a canonical host and target, and drops each query parameter whose name isn't allowed.
    /// What is no part of the key never reaches the origin either, so no unkeyed parameter can
    /// change a stored answer.
    pub fn new(host: &str, target: &str, allowed: &[String]) -> Option<Self> {
        let is_host = !host.is_empty() && host.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
        if !is_host || !target.starts_with('/') {
            return None;
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut text = host.to_ascii_lowercase();
        let host_bytes = text.len();
        text.push_str(path);
        let mut kept: Vec<&str> = query
            .split('&')
            .filter(|pair| {
                let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
                !pair.is_empty() && allowed.iter().any(|allowed| allowed == name)
            })
            .collect();
        // Order among different names means nothing to our origins; among equal ones it is kept.
        kept.sort_by_key(|pair| pair.split_once('=').map_or(*pair, |(name, _)| name));
        for (index, pair) in kept.into_iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            text.push_str(pair);
        }
        Some(Self { text: text.into(), host_bytes })
    }

    /// Reads a key back as it was written down.
    pub(super) fn from_text(text: &str) -> Option<Self> {
        let host_bytes = text.find('/').filter(|bytes| *bytes > 0)?;
        Some(Self { text: text.into(), host_bytes })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn host(&self) -> &str {
        &self.text[..self.host_bytes]
    }

    /// Path and query, as the origin is asked for them.
    pub fn target(&self) -> &str {
        &self.text[self.host_bytes..]
    }

    /// Names what doesn't vary, and the purges of all variants.
    pub fn hash(&self) -> KeyHash {
        self.variant_hash(&Vec::new())
    }

    pub fn variant_hash(&self, selecting: &SelectingValues) -> KeyHash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.text.as_bytes());
        for (name, value) in selecting {
            hasher.update(b"\n");
            hasher.update(name.as_str().as_bytes());
            match value {
                // Lengths keep two lists apart that read alike when put together.
                Some(value) => hasher.update(&(value.len() as u64).to_le_bytes()).update(value),
                None => hasher.update(&u64::MAX.to_le_bytes()),
            };
        }
        KeyHash::of(&hasher)
    }
}

impl KeyHash {
    pub(super) fn of(hasher: &blake3::Hasher) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(bytes)
    }

    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 32
            || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        {
            return None;
        }
        let number = u128::from_str_radix(text, 16).ok()?;
        Some(Self(number.to_be_bytes()))
    }

    pub fn to_hex(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Half of it tells as much to a table as the whole.
impl std::hash::Hash for KeyHash {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write_u64(u128::from_be_bytes(self.0) as u64);
    }
}

impl std::fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(host: &str, target: &str) -> String {
        let allowed = ["max_height".to_owned(), "_HLS_msn".to_owned()];
        CacheKey::new(host, target, &allowed).unwrap().as_str().to_owned()
    }

    #[test]
    fn the_query_is_cut_to_what_is_allowed() {
        assert_eq!(key("A.example", "/a.m3u8?CMCD=bl&x=1"), "a.example/a.m3u8");
        assert_eq!(
            key("a.example:81", "/a?max_height=2&CMCD=%2C&_HLS_msn=4&&max_height=1"),
            "a.example:81/a?_HLS_msn=4&max_height=2&max_height=1"
        );
    }

    #[test]
    fn hosts_never_share() {
        assert_ne!(key("a", "/x"), key("b", "/x"));
        assert!(CacheKey::new("", "/x", &[]).is_none());
        assert!(CacheKey::new("a/b", "/x", &[]).is_none());
        assert!(CacheKey::new("a", "x", &[]).is_none());
    }

    #[test]
    fn hashes_read_back() {
        let hash = CacheKey::new("a", "/x", &[]).unwrap().hash();
        assert_eq!(KeyHash::from_hex(&hash.to_hex()), Some(hash));
        assert_eq!(KeyHash::from_hex("+0000000000000000000000000000000"), None);
    }
}
