//! The keys of one purpose: which one makes, which ones still count, and how they are replaced.
//!
//! Nothing here reads a clock. A key's state follows from three times:
//!
//! ```text
//! created ── next ── activates ── active ── successor activates ── retiring ── + life ── expired
//!                                 any of these ── revoked
//! ```
//!
//! A key verifies from its creation on, so that a process whose clock goes ahead is believed.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde_json::{Value, json};

use super::KeyError;
use super::jwk::PublicKey;
use super::material::Material;
use super::purpose::{Algorithm, Emergency, KEYS_MAX, Purpose};

/// How long a revoked key is still listed.
const REVOKED_LISTED_MS: i64 = 30 * 24 * 60 * 60 * 1_000;
/// First byte of what is sealed.
const SEALED_VERSION: u8 = 1;
const ID_BYTES: usize = 8;
const TAG_BYTES: usize = 16;
/// Longest value that is sealed: secrets and small records, no files.
const SEALED_BYTES_MAX: usize = 64 * 1024;

/// A key with its times, in milliseconds since 1970.
#[derive(Clone)]
pub struct Key {
    pub(super) id: String,
    pub(super) algorithm: Algorithm,
    pub(super) created_ms: i64,
    pub(super) activates_ms: i64,
    pub(super) revoked_ms: Option<i64>,
    /// None once the key makes nothing any more and is not needed to read.
    pub(super) material: Option<Arc<Material>>,
    /// None of a shared secret.
    pub(super) public: Option<Arc<PublicKey>>,
}

/// What a key does at some time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyState {
    /// Published; makes nothing yet.
    Next,
    /// Makes what is made now.
    Active,
    /// Counts until then; for ever without a time.
    Retiring {
        until_ms: Option<i64>,
    },
    Expired,
    Revoked,
}

/// Whether a rotation waits for everyone to know the new key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum How {
    /// The new key takes over when it has been published long enough.
    Overlap,
    /// A key has leaked: the new one takes over now.
    Emergency,
}

/// All keys of a purpose. Never changed: a rotation makes another one.
#[derive(Clone)]
pub struct Ring {
    pub(super) purpose: Purpose,
    /// Counts up with every change, so that of two writers one notices the other.
    pub(super) generation: u64,
    /// By the times at which they become active.
    pub(super) keys: Vec<Key>,
}

impl KeyState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring { .. } => "retiring",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// Whether what such a key made is believed.
    pub fn counts(self) -> bool {
        matches!(self, Self::Next | Self::Active | Self::Retiring { .. })
    }
}

impl Key {
    /// A key of new material. Its id is the thumbprint of the public half (RFC 7638), or random.
    ///
    /// # Errors
    /// When the material can't be used, or the system gives no random bytes.
    pub fn new(
        purpose: Purpose,
        algorithm: Algorithm,
        material: Material,
        (created_ms, activates_ms): (i64, i64),
    ) -> Result<Self, KeyError> {
        let (id, public) = match material.public()? {
            Some(jwk) => {
                let id = jwk.thumbprint();
                let public = Arc::new(PublicKey::new(jwk, &id)?);
                (id, Some(public))
            }
            None => (random_id(purpose)?, None),
        };
        let material = Some(Arc::new(material));
        let revoked_ms = None;
        Ok(Self { id, algorithm, created_ms, activates_ms, revoked_ms, material, public })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub fn created_ms(&self) -> i64 {
        self.created_ms
    }

    pub fn activates_ms(&self) -> i64 {
        self.activates_ms
    }

    pub fn revoked_ms(&self) -> Option<i64> {
        self.revoked_ms
    }

    pub fn public(&self) -> Option<&Arc<PublicKey>> {
        self.public.as_ref()
    }

    pub fn material(&self) -> Option<&Material> {
        self.material.as_deref()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key({} {})", self.algorithm.as_str(), self.id)
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Ring({} {:?})", self.purpose, self.keys)
    }
}

/// Ids of shared secrets: hexadecimal, short enough for the token of a signed URL.
fn random_id(purpose: Purpose) -> Result<String, KeyError> {
    let mut bytes = [0; ID_BYTES];
    crate::secret_file::fill_random(&mut bytes)?;
    let id = data_encoding::HEXLOWER.encode(&bytes);
    Ok(if purpose == Purpose::UrlTokens { format!("ring-{}", &id[..8]) } else { id })
}

impl Ring {
    /// A ring whose only key is active at once.
    pub fn new(purpose: Purpose, first: Key) -> Self {
        Self { purpose, generation: 1, keys: vec![first] }
    }

    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// When the key was, or will be, followed by another one.
    fn retires_ms(&self, index: usize) -> Option<i64> {
        let follows = |key: &&Key| key.revoked_ms.is_none_or(|revoked| key.activates_ms < revoked);
        self.keys[index + 1..].iter().find(follows).map(|key| key.activates_ms)
    }

    /// The state of the key at `index` at `now_ms`.
    fn state_at(&self, index: usize, now_ms: i64) -> KeyState {
        let key = &self.keys[index];
        if key.revoked_ms.is_some() {
            return KeyState::Revoked;
        }
        if now_ms < key.activates_ms {
            return KeyState::Next;
        }
        match self.retires_ms(index) {
            Some(retires_ms) if retires_ms <= now_ms => match self.purpose.life_ms() {
                Some(life_ms) if retires_ms.saturating_add(life_ms) <= now_ms => KeyState::Expired,
                life_ms => {
                    let until_ms = life_ms.map(|life_ms| retires_ms.saturating_add(life_ms));
                    KeyState::Retiring { until_ms }
                }
            },
            _ => KeyState::Active,
        }
    }

    /// Every key with its state at `now_ms`, the newest last.
    pub fn states(&self, now_ms: i64) -> impl Iterator<Item = (&Key, KeyState)> {
        let states = self.keys.iter().enumerate();
        states.map(move |(index, key)| (key, self.state_at(index, now_ms)))
    }

    /// The key that makes what is made at `now_ms`.
    ///
    /// # Errors
    /// When there is none, which needs a clock that went back to before the first key.
    pub fn active(&self, now_ms: i64) -> Result<&Key, KeyError> {
        let mut states = self.states(now_ms);
        let active = states.find(|(_, state)| *state == KeyState::Active).map(|(key, _)| key);
        active.ok_or(KeyError::NoneActive { purpose: self.purpose })
    }

    /// The key called `id`, if what it made counts at `now_ms`.
    pub fn find(&self, id: &str, now_ms: i64) -> Option<&Key> {
        let mut states = self.states(now_ms);
        states.find(|(key, state)| key.id == id && state.counts()).map(|(key, _)| key)
    }

    /// Public keys that count at `now_ms`, as a JSON Web Key Set (RFC 7517 5).
    pub fn jwks(&self, now_ms: i64) -> Value {
        let counting = self.states(now_ms).filter(|(_, state)| state.counts());
        let keys: Vec<_> = counting
            .filter_map(|(key, _)| key.public.as_ref())
            .map(|public| public.jwk().to_json(public.id()))
            .collect();
        json!({ "keys": keys })
    }

    /// Whether the schedule asks for another key.
    pub fn is_due(&self, interval_ms: i64, now_ms: i64) -> bool {
        let is_under_way = self.states(now_ms).any(|(_, state)| state == KeyState::Next);
        let age = |key: &Key| now_ms.saturating_sub(key.activates_ms);
        !is_under_way && self.active(now_ms).is_ok_and(|key| interval_ms <= age(key))
    }

    /// The ring with a key more, which is or becomes the active one.
    ///
    /// # Errors
    /// When another rotation is under way, or all places are taken.
    pub fn rotated(&self, material: Material, how: How, now_ms: i64) -> Result<Self, KeyError> {
        let algorithm = self.keys.last().map_or(self.purpose.algorithm(), |key| key.algorithm);
        let mut next = self.tidied(now_ms).unwrap_or_else(|| self.clone());
        let under_way = next.states(now_ms).find(|(_, state)| *state == KeyState::Next);
        match (how, under_way) {
            (How::Overlap, Some((key, _))) => {
                return Err(KeyError::UnderWay { purpose: self.purpose, id: key.id.clone() });
            }
            (How::Overlap, None) => {}
            (How::Emergency, _) => next.drop_trust(now_ms),
        }
        if KEYS_MAX <= next.keys.len() {
            let count = next.keys.len();
            return Err(KeyError::TooMany { purpose: self.purpose, count });
        }
        let activates_ms = match how {
            How::Overlap => now_ms.saturating_add(self.purpose.published_ms()),
            How::Emergency => now_ms,
        };
        next.keys.push(Key::new(self.purpose, algorithm, material, (now_ms, activates_ms))?);
        // Stable: of two keys with one time, the one that came later wins.
        next.keys.sort_by_key(|key| key.activates_ms);
        next.generation = self.generation + 1;
        Ok(next)
    }

    /// What an emergency does to the keys there are.
    fn drop_trust(&mut self, now_ms: i64) {
        for key in &mut self.keys {
            // One that has made nothing is no loss.
            let is_next = now_ms < key.activates_ms;
            if key.revoked_ms.is_none()
                && (is_next || self.purpose.emergency() == Emergency::Revokes)
            {
                key.revoked_ms = Some(now_ms);
                key.material = None;
            }
        }
    }

    /// The ring without what is needed no more; none when nothing changes.
    ///
    /// A private key goes when its key retires: what it signed is verified by the public half.
    pub fn tidied(&self, now_ms: i64) -> Option<Self> {
        let mut keys = Vec::with_capacity(self.keys.len());
        let mut is_changed = false;
        for (key, state) in self.states(now_ms) {
            let is_over = match state {
                KeyState::Expired => true,
                KeyState::Revoked => key
                    .revoked_ms
                    .is_some_and(|revoked| revoked.saturating_add(REVOKED_LISTED_MS) <= now_ms),
                _ => false,
            };
            is_changed |= is_over;
            if is_over {
                continue;
            }
            let mut key = key.clone();
            let signs_no_more = matches!(state, KeyState::Retiring { .. }) && key.public.is_some();
            if signs_no_more && key.material.take().is_some() {
                is_changed = true;
            }
            keys.push(key);
        }
        let generation = self.generation + 1;
        is_changed.then_some(Self { purpose: self.purpose, generation, keys })
    }

    /// Seals `plaintext` with the active key. `context` is not stored, and has to be the same to
    /// open: name the table and the row, so that a sealed value can't be moved to another one.
    ///
    /// ```text
    /// u8       1
    /// 8 bytes  key id
    /// 12 bytes nonce, random
    /// n bytes  ciphertext, and a tag of 16 bytes
    /// ```
    ///
    /// Random nonces of 96 bits serve 2^32 values a key (NIST SP 800-38D 8.3).
    ///
    /// # Errors
    /// When no key of the ring seals.
    pub fn seal(&self, context: &[u8], plaintext: &[u8], now_ms: i64) -> Result<Vec<u8>, KeyError> {
        let key = self.active(now_ms)?;
        if SEALED_BYTES_MAX < plaintext.len() {
            return Err(KeyError::Crypto("a sealed value has 64 KiB at most"));
        }
        let (cipher, id) = self.cipher(key)?;
        let mut nonce = [0; NONCE_LEN];
        crate::secret_file::fill_random(&mut nonce)?;
        let mut sealed = plaintext.to_vec();
        cipher
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(self.authenticated(&id, context)),
                &mut sealed,
            )
            .map_err(|_| KeyError::Crypto("the library sealed nothing"))?;
        Ok([&[SEALED_VERSION], &id[..], &nonce, &sealed].concat())
    }

    /// What was sealed, and whether it should be sealed anew because its key retires.
    ///
    /// # Errors
    /// When it was not sealed by a key that counts, for this context.
    pub fn open(
        &self,
        context: &[u8],
        sealed: &[u8],
        now_ms: i64,
    ) -> Result<(Vec<u8>, bool), KeyError> {
        let fail = |reason| KeyError::NotOpened { purpose: self.purpose, reason };
        let shortest = 1 + ID_BYTES + NONCE_LEN + TAG_BYTES;
        if !(shortest..=shortest + SEALED_BYTES_MAX).contains(&sealed.len()) {
            return Err(fail("it has another length"));
        }
        let (version, rest) = sealed.split_at(1);
        let (id, rest) = rest.split_at(ID_BYTES);
        let (nonce, ciphertext) = rest.split_at(NONCE_LEN);
        if version != [SEALED_VERSION] {
            return Err(fail("its version is unknown"));
        }
        let name = data_encoding::HEXLOWER.encode(id);
        let key = self.find(&name, now_ms).ok_or_else(|| fail("its key does not count"))?;
        let (cipher, id) = self.cipher(key)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| fail("no nonce"))?;
        let mut opened = ciphertext.to_vec();
        let context = Aad::from(self.authenticated(&id, context));
        let length = cipher
            .open_in_place(nonce, context, &mut opened)
            .map_err(|_| fail("it was changed, or sealed for something else"))?
            .len();
        opened.truncate(length);
        let is_stale = self.active(now_ms).is_ok_and(|active| active.id != name);
        Ok((opened, is_stale))
    }

    fn cipher(&self, key: &Key) -> Result<(LessSafeKey, [u8; ID_BYTES]), KeyError> {
        let wrong = || KeyError::WrongKind { purpose: self.purpose };
        let secret = key.material().and_then(Material::secret).ok_or_else(wrong)?;
        if key.algorithm != Algorithm::Aes256Gcm {
            return Err(wrong());
        }
        let cipher = UnboundKey::new(&AES_256_GCM, secret).map_err(|_| wrong())?;
        let id = data_encoding::HEXLOWER.decode(key.id.as_bytes()).ok();
        let id = id.and_then(|id| id.try_into().ok()).ok_or_else(wrong)?;
        Ok((LessSafeKey::new(cipher), id))
    }

    /// Purposes and contexts differ in bytes, since the purpose has no zero byte.
    fn authenticated(&self, id: &[u8], context: &[u8]) -> Vec<u8> {
        [self.purpose.as_str().as_bytes(), &[0, SEALED_VERSION], id, context].concat()
    }
}
