//! Why a statement or a transaction failed, by cause.

use std::time::Duration;

/// Nothing of a transaction that ended in one of these is kept, except where
/// [`DbError::InDoubt`] says that nobody knows.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// `constraint` is the name that PostgreSQL gives: `account_user_pkey` for a primary key,
    /// `account_user_tenant_id_email_key` for `UNIQUE (…)` in a table, else the index's own.
    #[error("`{constraint}` allows one row only, and there is one")]
    Unique { constraint: String },

    #[error("a row that is referred to is missing, or is still referred to")]
    ForeignKey,

    #[error("a value is not allowed by `{constraint}`")]
    Check { constraint: String },

    #[error("`{column}` needs a value")]
    NotNull { column: String },

    /// To be tried again later, best after a second.
    #[error("the database is busy: {reason}")]
    Busy { reason: &'static str },

    #[error("the database can't be reached: {reason}")]
    Unavailable { reason: String },

    /// The answer to a COMMIT was lost: the transaction may have happened.
    #[error("the database did not say whether it has committed: {reason}")]
    InDoubt { reason: String },

    #[error("`{statement}` was to answer one row, and answered {rows}")]
    NotOneRow { statement: &'static str, rows: usize },

    #[error("a row can't be read: {reason}")]
    Decode { reason: String },

    /// A mistake of the program, or a database that is broken.
    #[error("{reason}")]
    Internal { reason: String },

    /// The database can't be opened as it is.
    #[error("{reason}")]
    Open { reason: String },
}

/// Reasons of [`DbError::Busy`].
pub(super) const QUEUE_FULL: &str = "its queue is full";
pub(super) const TOO_LATE: &str = "the deadline has passed";
pub(super) const ALWAYS_CHANGED: &str = "other transactions kept changing the same rows";
pub(super) const POOL_IN_USE: &str = "all connections are in use";
pub(super) const LOCKED: &str = "another process keeps it locked";

impl DbError {
    pub(super) fn internal(reason: impl Into<String>) -> Self {
        Self::Internal { reason: reason.into() }
    }

    pub(super) fn open(reason: impl Into<String>) -> Self {
        Self::Open { reason: reason.into() }
    }

    /// Whether the same may succeed later without a change, and after which pause.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { .. } => Some(Duration::from_secs(1)),
            Self::Unavailable { .. } => Some(Duration::from_secs(5)),
            _ => None,
        }
    }

    /// Whether it is the violation of this unique constraint.
    pub fn is_unique(&self, name: &str) -> bool {
        matches!(self, Self::Unique { constraint } if constraint == name)
    }
}
