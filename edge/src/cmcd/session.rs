//! Playback sessions, made of what requests and reports say with one `sid`.
//!
//! A table of bounded size in shards. A session ends when nothing was heard of it for a while, when
//! its player says so (`sta` of `e`, `f` and `q`), or when the table is full and it is the one of a
//! few that was silent for longest.

use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::quality::RandomState;
use indexmap::IndexMap;

use super::event::SessionSummary;
use super::key::{Cmcd, ObjectType, PlayerState, StreamFormat};

const SHARDS: usize = 16;
/// Of so many sessions the longest silent one goes when a shard is full.
const EVICTION_SAMPLE: usize = 8;
/// Requests for pictures and sound that say `bs` within this time tell of one and the same stall.
const SAME_STALL_MS: u64 = 1_000;

/// What a request or report told that was not known before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Noted {
    pub is_new: bool,
    /// From the first request to the first one that was not needed at once, or as the player says.
    pub startup_ms: Option<u64>,
    pub has_stalled: bool,
    pub starved_ms: Option<u32>,
    /// A session that had to go, or that has ended by this.
    pub ended: Option<SessionSummary>,
}

/// Sessions by id.
type Shard = IndexMap<Box<str>, Session, RandomState>;

#[derive(Debug)]
pub struct Sessions {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    shard_max: usize,
    idle_ms: u64,
}

#[derive(Clone, Debug, Default)]
struct Session {
    content: Option<Box<str>>,
    format: Option<StreamFormat>,
    first_ms: u64,
    last_ms: u64,
    requests: u64,
    startup_ms: Option<u64>,
    stalls: u64,
    starved_ms: u64,
    last_stall_ms: Option<u64>,
    bit_rate: Mean,
    throughput: Mean,
    buffer_ms_min: Option<u32>,
    state: Option<PlayerState>,
}

/// A mean of whole numbers.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: u64,
    count: u64,
}

impl Mean {
    fn add(&mut self, value: Option<u32>) {
        if let Some(value) = value {
            self.sum += u64::from(value);
            self.count += 1;
        }
    }

    fn get(self) -> Option<u64> {
        self.sum.checked_div(self.count)
    }
}

impl Sessions {
    pub fn new(sessions_max: usize, idle_ms: u64) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        let shard_max = sessions_max.div_ceil(SHARDS).max(1);
        Self { shards, hasher: RandomState::default(), shard_max, idle_ms }
    }

    /// Takes in what a request (`is_request`) or a report says. `None` without a session id.
    pub fn note(&self, cmcd: &Cmcd, is_request: bool, now_ms: u64) -> Option<Noted> {
        let id = cmcd.session.as_deref()?;
        let mut shard = self.shard(id);
        let mut noted = Noted::default();
        if !shard.contains_key(id) {
            noted.is_new = true;
            if self.shard_max <= shard.len() {
                noted.ended = evict(&mut shard);
            }
            let session = Session { first_ms: now_ms, last_ms: now_ms, ..Session::default() };
            shard.insert(id.into(), session);
        }
        let session = shard.get_mut(id)?;
        session.take_in(cmcd, is_request, now_ms, &mut noted);
        if matches!(
            session.state,
            Some(PlayerState::Ended | PlayerState::Failed | PlayerState::Quit)
        ) && !is_request
        {
            let (id, session) = shard.swap_remove_entry(id)?;
            noted.ended = Some(session.summary(id));
        }
        Some(noted)
    }

    /// Ends the sessions that were silent for long enough.
    pub fn expire(&self, now_ms: u64, mut ended: impl FnMut(SessionSummary)) {
        for shard in &self.shards {
            let over = |session: &Session| self.idle_ms <= now_ms.saturating_sub(session.last_ms);
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let mut index = 0;
            while let Some((_, session)) = shard.get_index(index) {
                if !over(session) {
                    index += 1;
                } else if let Some((id, session)) = shard.swap_remove_index(index) {
                    ended(session.summary(id));
                }
            }
        }
    }

    pub fn len(&self) -> usize {
        let lens = self
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len());
        lens.sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, id: &str) -> MutexGuard<'_, IndexMap<Box<str>, Session, RandomState>> {
        let index = self.hasher.hash_one(id) as usize % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the longest silent of the first few; taking it out brings another to its place.
fn evict(shard: &mut IndexMap<Box<str>, Session, RandomState>) -> Option<SessionSummary> {
    let sample = shard.values().take(EVICTION_SAMPLE).enumerate();
    let (index, _) = sample.min_by_key(|(_, session)| session.last_ms)?;
    let (id, session) = shard.swap_remove_index(index)?;
    Some(session.summary(id))
}

impl Session {
    fn take_in(&mut self, cmcd: &Cmcd, is_request: bool, now_ms: u64, noted: &mut Noted) {
        self.last_ms = now_ms;
        self.requests += u64::from(is_request);
        if cmcd.content.is_some() && cmcd.content != self.content {
            self.content.clone_from(&cmcd.content);
        }
        self.format = cmcd.format.or(self.format);
        self.state = cmcd.state.or(self.state);
        self.note_startup(cmcd, is_request, now_ms, noted);
        if cmcd.is_starved {
            let is_same =
                self.last_stall_ms.is_some_and(|last| now_ms.saturating_sub(last) < SAME_STALL_MS);
            self.last_stall_ms = Some(now_ms);
            // A player that starts has nothing in its buffer, which is no stall.
            if !is_same && self.startup_ms.is_some() {
                self.stalls += 1;
                noted.has_stalled = true;
            }
        }
        if let Some(starved_ms) = cmcd.starved_ms {
            self.starved_ms += u64::from(starved_ms);
            noted.starved_ms = Some(starved_ms);
        }
        let is_sound = matches!(cmcd.object, Some(ObjectType::Audio));
        if !is_sound {
            self.bit_rate.add(cmcd.bit_rate_kbps);
        }
        self.throughput.add(cmcd.throughput_kbps);
        if let Some(buffer_ms) = cmcd.buffer_ms
            && self.startup_ms.is_some()
        {
            self.buffer_ms_min = Some(self.buffer_ms_min.map_or(buffer_ms, |b| b.min(buffer_ms)));
        }
    }

    fn note_startup(&mut self, cmcd: &Cmcd, is_request: bool, now_ms: u64, noted: &mut Noted) {
        if self.startup_ms.is_some() {
            return;
        }
        let is_media = !matches!(
            cmcd.object,
            Some(ObjectType::Manifest | ObjectType::Initialisation | ObjectType::Key)
        );
        let has_begun = is_request && is_media && !cmcd.is_startup && self.requests > 1;
        let startup_ms = match cmcd.start_delay_ms {
            Some(told) => Some(u64::from(told)),
            None => has_begun.then(|| now_ms.saturating_sub(self.first_ms)),
        };
        self.startup_ms = startup_ms;
        noted.startup_ms = startup_ms;
    }

    fn summary(self, id: Box<str>) -> SessionSummary {
        SessionSummary {
            session: id,
            content: self.content,
            format: self.format,
            first_ms: self.first_ms,
            last_ms: self.last_ms,
            requests: self.requests,
            startup_ms: self.startup_ms,
            stalls: self.stalls,
            starved_ms: self.starved_ms,
            bit_rate_kbps: self.bit_rate.get(),
            throughput_kbps: self.throughput.get(),
            buffer_ms_min: self.buffer_ms_min,
            state: self.state,
        }
    }
}
