//! Public keys of elsewhere: for a node that verifies and has no ring.
//!
//! What it takes is a JSON Web Key Set (RFC 7517 5), or the file `keys/public.json` of whoever has
//! the rings. Neither holds anything of a private key; one that does is refused.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use super::verifier::KeySource;
use crate::keyring::{Jwk, KeyError, PublicKey, Purpose};

/// Keys of one set.
const KEYS_MAX: usize = 64;
/// Longest set that is read.
const SET_BYTES_MAX: usize = 256 * 1_024;

/// Keys of access tokens, replaced as a whole.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: RwLock<HashMap<String, Arc<PublicKey>>>,
}

impl KeySet {
    /// Takes the keys of `text` in the place of those there were.
    ///
    /// # Errors
    /// When it is no set, or a key of it is private, weak, or not what its id says. Then nothing
    /// changes.
    pub fn replace(&self, text: &[u8]) -> Result<(), KeyError> {
        if SET_BYTES_MAX < text.len() {
            return Err(KeyError::Crypto("the set of keys is longer than any"));
        }
        let read: Value =
            serde_json::from_slice(text).map_err(|_| KeyError::Crypto("the set is no JSON"))?;
        // The file of all purposes has one set for each.
        let set = read.get(Purpose::AccessTokens.as_str()).unwrap_or(&read);
        let list = set["keys"].as_array().ok_or(KeyError::Crypto("the set has no `keys`"))?;
        if KEYS_MAX < list.len() {
            return Err(KeyError::Crypto("the set has too many keys"));
        }
        let mut keys = HashMap::new();
        for key in list {
            let members = key.as_object().ok_or(KeyError::Crypto("a key is no object"))?;
            let jwk = Jwk::from_json(members)?;
            let id = jwk.thumbprint();
            // Ours are called by their thumbprints, so that no two keys share a name.
            if members.get("kid").and_then(Value::as_str) != Some(&*id) {
                return Err(KeyError::Crypto("the id of a key is not its thumbprint"));
            }
            keys.insert(id.clone(), Arc::new(PublicKey::new(jwk, &id)?));
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }
}

impl KeySource for KeySet {
    /// Whoever publishes the set leaves out what counts no more.
    fn find(&self, id: &str, _now_ms: i64) -> Option<Arc<PublicKey>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }
}
