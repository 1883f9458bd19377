//! Keys of a running server: replaced by command and by schedule, and heard of when others did it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use platform::config::RotateDays;
use platform::keyring::{How, KeyState, Keys, Purpose};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::access::Access;
use crate::clock;
use crate::ownership::Ownership;

/// How often the files are looked at, which other processes may have replaced.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What a rotation is asked for with, over `admin.sock`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    pub purpose: String,
    pub emergency: bool,
}

/// The rings and whoever has to hear of a change. Clones share everything.
#[derive(Clone)]
pub struct KeyRoom {
    keys: Keys,
    access: Access,
    ownership: Ownership,
    rotate_days: Arc<RwLock<RotateDays>>,
}

impl KeyRoom {
    pub fn new(keys: Keys, access: Access, ownership: Ownership, days: &RotateDays) -> Self {
        Self { keys, access, ownership, rotate_days: Arc::new(RwLock::new(days.clone())) }
    }

    /// Another schedule counts from now on.
    pub fn reschedule(&self, days: &RotateDays) {
        *self.rotate_days.write().unwrap_or_else(PoisonError::into_inner) = days.clone();
    }

    /// Rotates and lets it count here at once. None when another process owns the directory.
    ///
    /// # Errors
    /// Why nothing was rotated.
    pub async fn rotate(&self, request: Rotate, who: &str) -> anyhow::Result<Option<Value>> {
        let Some(_turn) = self.ownership.turn().await else { return Ok(None) };
        let (keys, who) = (self.keys.clone(), who.to_owned());
        // The primes of RSA are looked for on a thread that may take its time.
        let done = tokio::task::spawn_blocking(move || rotate(&keys, &request, &who));
        let answer = done.await.context("the rotation broke off")??;
        self.access.follow_keys()?;
        Ok(Some(answer))
    }

    /// Until another process owns the directory.
    pub async fn maintain(self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(_turn) = self.ownership.turn().await else { return };
            let keys = self.keys.clone();
            let days = self.rotate_days.read().unwrap_or_else(PoisonError::into_inner).clone();
            let kept = tokio::task::spawn_blocking(move || {
                keys.refresh()?;
                keys.keep_up(|purpose| days.interval_ms(purpose), clock::signed_ms())
            });
            match kept.await {
                Ok(Ok(rotated)) => {
                    for purpose in rotated {
                        tracing::info!(%purpose, "its key is old: another one takes over soon");
                    }
                }
                Ok(Err(error)) => tracing::error!(%error, "keys are not kept up"),
                Err(error) => tracing::error!(%error, "keys are not kept up"),
            }
            if let Err(error) = self.access.follow_keys() {
                tracing::error!(%error, "the signing keys were not changed");
            }
        }
    }
}

/// Rotates in a folder that this process may write to, and writes down who did.
///
/// # Errors
/// Why nothing was rotated.
pub fn rotate(keys: &Keys, request: &Rotate, who: &str) -> anyhow::Result<Value> {
    let purpose: Purpose = request.purpose.parse()?;
    let how = if request.emergency { How::Emergency } else { How::Overlap };
    let now_ms = clock::signed_ms();
    let id = keys.rotate(purpose, how, now_ms)?;
    record(
        keys,
        json!({
            "at": clock::now_xs_date_time(), "who": who, "act": "keys rotate",
            "purpose": purpose.as_str(), "emergency": request.emergency, "key": id,
        }),
    )?;
    tracing::info!(target: "audit", who, act = "rotate keys", %purpose, key = id, "done");
    let ring = keys.ring(purpose)?;
    let key = ring.keys().iter().find(|key| key.id() == id);
    let activates_ms = key.map_or(now_ms, |key| key.activates_ms());
    let revoked = ring.states(now_ms).filter(|(_, state)| *state == KeyState::Revoked).count();
    Ok(json!({
        "purpose": purpose.as_str(), "key": id, "activates_ms": activates_ms, "revoked": revoked,
    }))
}

/// Appends a line to `keys/audit.log` and waits until the disk has it.
///
/// # Errors
/// When it can't be written. Then what was to be recorded must not be shown.
pub fn record(keys: &Keys, line: Value) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = keys.folder().join("audit.log");
    let write = || {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.append(true).create(true).mode(0o600).open(&path)?;
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()
    };
    write().with_context(|| format!("cannot write to {}", path.display()))
}
