//! How urgent a request is: what has to be answered when not everything can be.
//!
//! Manifests go before segments: they are small, and without one a player stops at once. Who plays
//! goes before who starts: a viewer who waits to begin is lost more cheaply than one who is cut off.
//! Live goes before what is stored, and what nobody waits for goes last.

/// The rank of a request; 0 goes first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Priority(u8);

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asked {
    Manifest,
    /// Initialisation and media segments, text included.
    Segment,
    /// Thumbnails, downloads of single files, anything else.
    Other,
    /// Fetched ahead: by us, or by a client that says so.
    Ahead,
}

/// What is known of who asks.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Hints {
    /// Segments were fetched a moment ago.
    pub has_played: bool,
    /// The player says that it starts, seeks or recovers (CMCD `su`, or `sta` of `s` and `k`).
    pub is_starting: bool,
    /// The player says that its buffer ran dry (CMCD `bs`, or `sta` of `r`), or is about to (`bl`).
    pub is_starving: bool,
    /// CMCD `st=l`.
    pub is_live: bool,
}

impl Priority {
    pub const MANIFEST_PLAYING: Self = Self(0);
    pub const MANIFEST: Self = Self(1);
    pub const SEGMENT_STARVING: Self = Self(2);
    pub const SEGMENT_LIVE: Self = Self(3);
    pub const SEGMENT_PLAYING: Self = Self(4);
    pub const SEGMENT_STARTING: Self = Self(5);
    pub const OTHER: Self = Self(6);
    pub const AHEAD: Self = Self(7);
    /// How many ranks there are.
    pub const COUNT: usize = 8;

    pub fn of(asked: Asked, hints: Hints) -> Self {
        // What a player says of itself raises nothing for a session that was never seen: otherwise
        // saying so would be enough to be let in first.
        let plays = hints.has_played;
        match asked {
            Asked::Manifest if plays => Self::MANIFEST_PLAYING,
            Asked::Manifest => Self::MANIFEST,
            Asked::Segment if plays && hints.is_starving => Self::SEGMENT_STARVING,
            Asked::Segment if !plays || hints.is_starting => Self::SEGMENT_STARTING,
            Asked::Segment if hints.is_live => Self::SEGMENT_LIVE,
            Asked::Segment => Self::SEGMENT_PLAYING,
            Asked::Other => Self::OTHER,
            Asked::Ahead => Self::AHEAD,
        }
    }

    pub fn rank(self) -> usize {
        usize::from(self.0)
    }

    /// One word, for metrics.
    pub fn as_str(self) -> &'static str {
        super::load::LOAD_RANKS[self.rank()].0
    }

    /// The part of the limit that requests of this rank and less urgent ones may fill, in percent:
    /// what is left is for those that go first.
    pub(super) fn share_percent(self) -> usize {
        super::load::LOAD_RANKS[self.rank()].1
    }

    /// Seconds after which a client that was turned away may ask again.
    pub fn retry_after_seconds(self) -> u64 {
        match self.0 {
            0..=2 => 1,
            3..=4 => 2,
            _ => 5,
        }
    }
}
