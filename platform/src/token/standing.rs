//! Tokens that count no more although they have not expired.
//!
//! A token lives for minutes and is checked without asking the database, so what was withdrawn has
//! to be known to each process for as long as the longest token lives, and no longer.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use super::claims::Claims;
use super::{LEEWAY_SECONDS, LIFE_SECONDS_MAX};

/// Withdrawals that are remembered. Beyond that the oldest of what is remembered has to expire.
const WITHDRAWN_MAX: usize = 200_000;

/// Asked about every token whose signature and times are right, remembered ones included.
///
/// It runs on the path of each request: it looks at memory and waits for nothing.
pub trait Standing: Send + Sync {
    /// Whether the token still counts.
    fn counts(&self, claims: &Claims) -> bool;
}

/// Sessions that ended, and people whose tokens were withdrawn, in memory.
#[derive(Debug, Default)]
pub struct Withdrawn {
    held: RwLock<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// By tenant and session, until when it has to be remembered.
    sessions: HashMap<(String, String), i64>,
    /// By tenant and subject: the least epoch that counts, and until when it has to be remembered.
    epochs: HashMap<(String, String), (u64, i64)>,
}

/// More was withdrawn within an hour than is remembered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("more sessions were ended within an hour than are remembered ({WITHDRAWN_MAX})")]
pub struct TooMany;

impl Withdrawn {
    /// Tokens of the session count no more.
    ///
    /// # Errors
    /// When too many others are remembered.
    pub fn end_session(&self, tenant: &str, session: &str, now_ms: i64) -> Result<(), TooMany> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.make_room(now_ms)?;
        held.sessions.insert((tenant.to_owned(), session.to_owned()), until_s(now_ms));
        Ok(())
    }

    /// Tokens of the subject count from `epoch` on, those made before it no more. An epoch that was
    /// told before is not taken back.
    ///
    /// # Errors
    /// As [`Self::end_session`].
    pub fn raise_epoch(
        &self,
        tenant: &str,
        subject: &str,
        epoch: u64,
        now_ms: i64,
    ) -> Result<(), TooMany> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.make_room(now_ms)?;
        let least = held.epochs.entry((tenant.to_owned(), subject.to_owned())).or_default();
        *least = (least.0.max(epoch), until_s(now_ms));
        Ok(())
    }
}

/// When the last token that was made until now has expired.
fn until_s(now_ms: i64) -> i64 {
    now_ms.div_euclid(1_000) + LIFE_SECONDS_MAX + 2 * LEEWAY_SECONDS
}

impl Held {
    fn make_room(&mut self, now_ms: i64) -> Result<(), TooMany> {
        let is_full = |held: &Self| WITHDRAWN_MAX <= held.sessions.len() + held.epochs.len();
        if is_full(self) {
            let now_s = now_ms.div_euclid(1_000);
            self.sessions.retain(|_, until_s| now_s < *until_s);
            self.epochs.retain(|_, (_, until_s)| now_s < *until_s);
        }
        if is_full(self) { Err(TooMany) } else { Ok(()) }
    }
}

impl Standing for Withdrawn {
    fn counts(&self, claims: &Claims) -> bool {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let is_ended = |session: &String| {
            !held.sessions.is_empty()
                && held.sessions.contains_key(&(claims.tenant.clone(), session.clone()))
        };
        if claims.session.as_ref().is_some_and(is_ended) {
            return false;
        }
        if held.epochs.is_empty() {
            return true;
        }
        let subject = (claims.tenant.clone(), claims.subject.clone());
        held.epochs.get(&subject).is_none_or(|(least, _)| *least <= claims.epoch)
    }
}
