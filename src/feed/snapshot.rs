//! What a follower is sent that can't go on where it was.
//!
//! After a restart of the source it has missed little: it says up to when it heard everything, and
//! gets what came later. A follower that knows nothing gets everything, up to 20 MB; all who need
//! that at a time share one copy.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use platform::feed::log::LoggedPurge;
use platform::feed::{Event, Fact, FactId, Frame};

use super::Feed;
use crate::clock;

/// Facts in one piece of a snapshot.
const PIECE_FACTS: usize = 256;
/// Facts that are copied for one follower; with more it gets the copy that all share.
const OWN_FACTS_MAX: usize = 1_024;
/// How much further back than it says a follower is told: facts are noted here a moment before
/// they are told, and the clock may have been put right.
const LEEWAY_MS: u64 = 60_000;

/// Facts as they are sent.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    /// Position of the newest fact that is surely part of it.
    head: u64,
    pub(super) pieces: Vec<Bytes>,
}

impl Feed {
    /// Everything that holds and that a follower may not know, which heard all up to `heard_ms`.
    /// To be asked after the position that the follower will go on from was taken.
    pub(super) async fn snapshot(&self, heard_ms: Option<u64>) -> Arc<Snapshot> {
        if let Some(since_ms) = heard_ms.map(|heard_ms| heard_ms.saturating_sub(LEEWAY_MS))
            && let Some(snapshot) = self.missed(since_ms)
        {
            return Arc::new(snapshot);
        }
        let mut shared = self.0.snapshot.lock().await;
        let head = self.head();
        if let Some(known) = Weak::upgrade(&shared).filter(|known| known.head == head) {
            return known;
        }
        let feed = self.clone();
        let making = tokio::task::spawn_blocking(move || feed.everything(head));
        // A panic of the thread is reported by itself; whoever listens comes back.
        let snapshot = Arc::new(making.await.unwrap_or_default());
        *shared = Arc::downgrade(&snapshot);
        snapshot
    }

    /// What came since a time, where that is little.
    fn missed(&self, since_ms: u64) -> Option<Snapshot> {
        let purges = self.0.log().purges();
        let purges = purges.into_iter().filter(|purge| since_ms <= purge.logged_ms);
        let purges: Vec<_> = purges.take(OWN_FACTS_MAX + 1).collect();
        let revoked = self.0.revocations.list(since_ms / 1_000, clock::now_s());
        let is_little = purges.len() + revoked.len() <= OWN_FACTS_MAX;
        is_little.then(|| Snapshot::new(self.head(), revoked, purges))
    }

    fn everything(&self, head: u64) -> Snapshot {
        let purges = self.0.log().purges();
        Snapshot::new(head, self.0.revocations.list(0, clock::now_s()), purges)
    }
}

impl Snapshot {
    fn new(head: u64, revoked: Vec<(Box<str>, u64)>, purges: Vec<LoggedPurge>) -> Self {
        let at_ms = clock::now_ms();
        let revoked = revoked.into_iter().map(|(session, until)| Event {
            id: FactId(revocation_id(&session, until)),
            at_ms,
            fact: Fact::SessionRevoked { session: session.into(), until },
        });
        let mut facts = revoked.chain(purges.into_iter().map(|purge| (*purge.event).clone()));
        let mut pieces = Vec::new();
        loop {
            let mut text = String::new();
            for event in facts.by_ref().take(PIECE_FACTS) {
                Frame::Fact { cursor: None, event: Ok(event) }.write(&mut text);
            }
            if text.is_empty() {
                return Self { head, pieces };
            }
            pieces.push(text.into());
        }
    }
}

/// The list of revocations keeps no ids. These are the same on every node, so that a session that
/// several sources tell in snapshots is one fact.
fn revocation_id(session: &str, until: u64) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(session.as_bytes()).update(&until.to_le_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    u128::from_le_bytes(bytes)
}
