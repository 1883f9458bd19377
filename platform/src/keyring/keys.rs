//! All rings of a process: read when it starts, read again when their files change.
//!
//! What makes or writes keys blocks (files, and the primes of RSA): call it from a thread that may.
//! Whatever is done with a ring that is in memory does not.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Map, Value};

use super::KeyError;
use super::file;
use super::folder::{Folder, FolderLock, Stamp};
use super::material::Material;
use super::purpose::Purpose;
use super::ring::{How, Key, KeyState, Ring};
use super::sealing::SealingKeys;
use crate::config::Config;
use crate::url_token::key_file;

/// The rings of a folder. Clones share everything.
#[derive(Clone)]
pub struct Keys(Arc<Inner>);

struct Inner {
    folder: Folder,
    seals: SealingKeys,
    held: RwLock<BTreeMap<Purpose, Held>>,
}

#[derive(Clone)]
struct Held {
    ring: Arc<Ring>,
    stamp: Stamp,
}

/// What was sealed.
#[derive(Eq, PartialEq)]
pub struct Opened {
    pub plaintext: Vec<u8>,
    /// Whether to seal it anew: its key no longer seals.
    pub is_stale: bool,
}

impl Keys {
    /// The rings in `DIR/keys`, as many as there are. Those that are not sealed by the first
    /// sealing key are written again. Blocks.
    ///
    /// # Errors
    /// When a ring can't be read, is open to others, or is sealed with another key.
    pub fn open(keys: &Path, seals: SealingKeys) -> Result<Self, KeyError> {
        let folder = Folder::new(keys);
        let inner = Inner { folder, seals, held: RwLock::default() };
        let all = Self(Arc::new(inner));
        for purpose in Purpose::ALL {
            if let Some((_, false)) = all.read(purpose)? {
                let lock = all.0.folder.lock()?;
                // Another process may have done it meanwhile.
                if let Some((held, false)) = all.read(purpose)? {
                    all.write(&lock, &held.ring)?;
                }
            }
        }
        Ok(all)
    }

    /// The rings that the configuration describes. Blocks.
    ///
    /// # Errors
    /// As [`Self::open`], and when a sealing key is none.
    pub fn from_config(config: &Config, data_dir: &Path) -> Result<Self, KeyError> {
        let dir = config.keys.dir.clone().unwrap_or_else(|| data_dir.join("keys"));
        Self::open(&dir, config.keys.sealing_keys()?)
    }

    /// The folder that keys lie in.
    pub fn folder(&self) -> &Path {
        self.0.folder.keys()
    }

    /// Makes the rings of `purposes` that are missing, each with a key that is active at once.
    /// Blocks; RSA takes a tenth of a second and more.
    ///
    /// # Errors
    /// When one can't be made or written.
    pub fn ensure(&self, purposes: &[Purpose], now_ms: i64) -> Result<(), KeyError> {
        for &purpose in purposes {
            if self.ring(purpose).is_ok() {
                continue;
            }
            let lock = self.0.folder.lock()?;
            if purpose == Purpose::UrlTokens && self.0.seals.first().is_none() {
                // In the open, so that a configuration can name the file.
                key_file::open_or_make(self.folder())?;
            }
            if self.read(purpose)?.is_none() {
                let algorithm = purpose.algorithm();
                let material = Material::generate(algorithm)?;
                let first = Key::new(purpose, algorithm, material, (now_ms, now_ms))?;
                self.write(&lock, &Arc::new(Ring::new(purpose, first)))?;
                self.publish(&lock, now_ms)?;
            }
        }
        Ok(())
    }

    /// The keys of `purpose` as they are now.
    ///
    /// # Errors
    /// When there are none.
    pub fn ring(&self, purpose: Purpose) -> Result<Arc<Ring>, KeyError> {
        let held = self.0.held.read().unwrap_or_else(PoisonError::into_inner);
        held.get(&purpose).map(|held| held.ring.clone()).ok_or(KeyError::Missing { purpose })
    }

    /// Every ring there is.
    pub fn rings(&self) -> Vec<Arc<Ring>> {
        let held = self.0.held.read().unwrap_or_else(PoisonError::into_inner);
        held.values().map(|held| held.ring.clone()).collect()
    }

    /// Adds a key that takes over; gives its id. Blocks, and makes the ring where there is none.
    ///
    /// # Errors
    /// When a rotation is under way, or the ring can't be written. Then nothing changes.
    pub fn rotate(&self, purpose: Purpose, how: How, now_ms: i64) -> Result<String, KeyError> {
        let lock = self.0.folder.lock()?;
        let Some((held, _)) = self.read(purpose)? else {
            drop(lock);
            self.ensure(&[purpose], now_ms)?;
            return Ok(self.ring(purpose)?.active(now_ms)?.id().to_owned());
        };
        let algorithm = held.ring.keys().last().map_or(purpose.algorithm(), Key::algorithm);
        let known: Vec<_> = held.ring.keys().iter().map(|key| key.id().to_owned()).collect();
        let next = held.ring.rotated(Material::generate(algorithm)?, how, now_ms)?;
        let is_new = |key: &&Key| !known.iter().any(|id| id == key.id());
        let id = next.keys().iter().find(is_new).map(|key| key.id().to_owned());
        self.write(&lock, &Arc::new(next))?;
        self.publish(&lock, now_ms)?;
        id.ok_or(KeyError::NoneActive { purpose })
    }

    /// Removes what is needed no more, and rotates what is due by `interval_ms`; gives the
    /// purposes that were rotated. Blocks.
    ///
    /// # Errors
    /// When a ring can't be written. The others are left for the next time.
    pub fn keep_up(
        &self,
        interval_ms: impl Fn(Purpose) -> Option<i64>,
        now_ms: i64,
    ) -> Result<Vec<Purpose>, KeyError> {
        let mut rotated = Vec::new();
        for ring in self.rings() {
            let purpose = ring.purpose();
            let is_due = |ring: &Ring| {
                interval_ms(purpose).is_some_and(|interval_ms| ring.is_due(interval_ms, now_ms))
            };
            if is_due(&ring) {
                // Of several processes that find it due, the first one rotates.
                self.refresh()?;
                if is_due(&*self.ring(purpose)?) {
                    match self.rotate(purpose, How::Overlap, now_ms) {
                        Ok(_) => rotated.push(purpose),
                        Err(KeyError::UnderWay { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
            } else if ring.tidied(now_ms).is_some() {
                let lock = self.0.folder.lock()?;
                let Some((held, _)) = self.read(purpose)? else { continue };
                if let Some(tidied) = held.ring.tidied(now_ms) {
                    self.write(&lock, &Arc::new(tidied))?;
                    self.publish(&lock, now_ms)?;
                }
            }
        }
        Ok(rotated)
    }

    /// Reads the files that other processes have replaced; tells whether there were any. Blocks.
    ///
    /// # Errors
    /// When one can't be read. What was known of it counts on.
    pub fn refresh(&self) -> Result<bool, KeyError> {
        let mut is_changed = false;
        for purpose in Purpose::ALL {
            let known = {
                let held = self.0.held.read().unwrap_or_else(PoisonError::into_inner);
                held.get(&purpose).map(|held| held.stamp)
            };
            let there = self.0.folder.stamp(purpose);
            if there.is_some() && there != known {
                self.read(purpose)?;
                is_changed = true;
            }
        }
        Ok(is_changed)
    }

    /// Public keys of every purpose that count, as JSON: a JSON Web Key Set for each. It holds
    /// nothing of a private key, and is all that a node needs that only verifies.
    pub fn public(&self, now_ms: i64) -> Value {
        let mut all = Map::new();
        for ring in self.rings() {
            if ring.keys().iter().any(|key| key.public().is_some()) {
                all.insert(ring.purpose().to_string(), ring.jwks(now_ms));
            }
        }
        Value::Object(all)
    }

    /// What `/.well-known/jwks.json` answers: the public keys of access tokens (RFC 7517 5).
    ///
    /// # Errors
    /// When there are no such keys.
    pub fn jwks(&self, now_ms: i64) -> Result<Value, KeyError> {
        Ok(self.ring(Purpose::AccessTokens)?.jwks(now_ms))
    }

    /// Seals a value: see [`Ring::seal`].
    ///
    /// # Errors
    /// When the purpose seals nothing.
    pub fn seal(
        &self,
        purpose: Purpose,
        context: &[u8],
        plaintext: &[u8],
        now_ms: i64,
    ) -> Result<Vec<u8>, KeyError> {
        self.ring(purpose)?.seal(context, plaintext, now_ms)
    }

    /// Opens a value: see [`Ring::open`].
    ///
    /// # Errors
    /// When it was not sealed for this purpose and context by a key that counts.
    pub fn open_sealed(
        &self,
        purpose: Purpose,
        context: &[u8],
        sealed: &[u8],
        now_ms: i64,
    ) -> Result<Opened, KeyError> {
        let (plaintext, is_stale) = self.ring(purpose)?.open(context, sealed, now_ms)?;
        Ok(Opened { plaintext, is_stale })
    }

    /// Signs `message` with the active key of `purpose`; gives that key, too.
    ///
    /// # Errors
    /// When no key of the purpose signs.
    pub fn sign(
        &self,
        purpose: Purpose,
        message: &[u8],
        now_ms: i64,
    ) -> Result<(Key, Vec<u8>), KeyError> {
        let ring = self.ring(purpose)?;
        let key = ring.active(now_ms)?;
        let signature = key.material().and_then(|material| material.sign(message));
        Ok((key.clone(), signature.ok_or(KeyError::WrongKind { purpose })?))
    }

    /// Whether the key of `purpose` called `id` signed `message`, and counts.
    pub fn verify(
        &self,
        purpose: Purpose,
        id: &str,
        message: &[u8],
        signature: &[u8],
        now_ms: i64,
    ) -> bool {
        let Ok(ring) = self.ring(purpose) else { return false };
        let key = ring.find(id, now_ms).and_then(Key::public).cloned();
        key.is_some_and(|key| key.verify(message, signature))
    }

    /// The secret of the key of `purpose` called `id`, for keys that others are derived from, and
    /// that of the active one when none is named.
    ///
    /// # Errors
    /// When there is none that counts.
    pub fn seed(
        &self,
        purpose: Purpose,
        id: Option<&str>,
        now_ms: i64,
    ) -> Result<(String, zeroize::Zeroizing<Vec<u8>>), KeyError> {
        let ring = self.ring(purpose)?;
        let key = match id {
            Some(id) => ring.find(id, now_ms).ok_or(KeyError::Missing { purpose })?,
            None => ring.active(now_ms)?,
        };
        let secret = key.material().and_then(Material::secret);
        let secret = secret.ok_or(KeyError::WrongKind { purpose })?;
        Ok((key.id().to_owned(), zeroize::Zeroizing::new(secret.to_vec())))
    }

    /// Reads the file of `purpose` and holds what is in it. Also tells whether it is sealed as it
    /// should be.
    fn read(&self, purpose: Purpose) -> Result<Option<(Held, bool)>, KeyError> {
        let Some((bytes, stamp)) = self.0.folder.read(purpose)? else {
            return self.read_key_file(purpose);
        };
        let path = self.0.folder.path_of(purpose);
        let (ring, is_current) = file::read(&path, purpose, &bytes, &self.0.seals)?;
        let held = Held { ring: Arc::new(ring), stamp };
        self.hold(held.clone());
        Ok(Some((held, is_current)))
    }

    /// The ring of the one key that signed URLs had before there were rings.
    fn read_key_file(&self, purpose: Purpose) -> Result<Option<(Held, bool)>, KeyError> {
        if purpose != Purpose::UrlTokens {
            return Ok(None);
        }
        let Some((id, secret)) = key_file::read(self.folder())? else { return Ok(None) };
        let ring = Ring::of_secret(purpose, id, &secret)?;
        let held = Held { ring: Arc::new(ring), stamp: Stamp::NONE };
        self.hold(held.clone());
        Ok(Some((held, self.0.seals.first().is_none())))
    }

    fn write(&self, lock: &FolderLock, ring: &Arc<Ring>) -> Result<(), KeyError> {
        let bytes = file::write(ring, &self.0.seals)?;
        let stamp = self.0.folder.replace(lock, ring.purpose(), &bytes)?;
        self.hold(Held { ring: ring.clone(), stamp });
        Ok(())
    }

    fn hold(&self, held: Held) {
        let purpose = held.ring.purpose();
        let mut all = self.0.held.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(purpose, held);
    }

    fn publish(&self, lock: &FolderLock, now_ms: i64) -> Result<(), KeyError> {
        let public = format!("{:#}\n", self.public(now_ms));
        self.0.folder.replace_public(lock, public.as_bytes())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Keys").field(&self.rings()).finish()
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Opened({} bytes, is_stale: {})", self.plaintext.len(), self.is_stale)
    }
}

/// What an operator is told of a key.
pub fn describe(key: &Key, state: KeyState, now_ms: i64) -> Value {
    let until_ms = match state {
        KeyState::Retiring { until_ms } => until_ms,
        _ => None,
    };
    serde_json::json!({
        "id": key.id(),
        "algorithm": key.algorithm().as_str(),
        "state": state.as_str(),
        "created_ms": key.created_ms(),
        "activates_ms": key.activates_ms(),
        "counts_until_ms": until_ms,
        "revoked_ms": key.revoked_ms(),
        "age_seconds": now_ms.saturating_sub(key.created_ms()) / 1_000,
    })
}
