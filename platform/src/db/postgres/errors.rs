//! PostgreSQL's errors by cause (appendix A of its manual).

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::db::error::{DbError, LOCKED, TOO_LATE};

pub(super) fn error(error: &Error, statement: &str) -> DbError {
    if is_lost(error) {
        return DbError::Unavailable { reason: full(error) };
    }
    let Some(answer) = error.as_db_error() else {
        return DbError::internal(format!("`{statement}`: {}", full(error)));
    };
    let constraint = || answer.constraint().unwrap_or_default().to_owned();
    match *answer.code() {
        SqlState::UNIQUE_VIOLATION => DbError::Unique { constraint: constraint() },
        SqlState::FOREIGN_KEY_VIOLATION => DbError::ForeignKey,
        SqlState::CHECK_VIOLATION => DbError::Check { constraint: constraint() },
        SqlState::NOT_NULL_VIOLATION => {
            DbError::NotNull { column: answer.column().unwrap_or_default().to_owned() }
        }
        SqlState::QUERY_CANCELED => DbError::Busy { reason: TOO_LATE },
        SqlState::LOCK_NOT_AVAILABLE => DbError::Busy { reason: LOCKED },
        SqlState::DISK_FULL | SqlState::OUT_OF_MEMORY | SqlState::READ_ONLY_SQL_TRANSACTION => {
            DbError::Unavailable { reason: format!("`{statement}`: {}", full(error)) }
        }
        _ => DbError::internal(format!("`{statement}`: {}", full(error))),
    }
}

/// With the server's words, which `Display` leaves out.
pub(in crate::db) fn full(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Whether the transaction would have succeeded alone.
pub(super) fn is_conflict(error: &Error) -> bool {
    error.code().is_some_and(|code| {
        *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED
    })
}

/// Whether the connection is of no more use.
pub(super) fn is_lost(error: &Error) -> bool {
    let has_io = || {
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            if cause.is::<std::io::Error>() {
                return true;
            }
            source = cause.source();
        }
        false
    };
    match error.code() {
        Some(code) => {
            // Class 08: connection exceptions.
            code.code().starts_with("08")
                || *code == SqlState::ADMIN_SHUTDOWN
                || *code == SqlState::CRASH_SHUTDOWN
                || *code == SqlState::CANNOT_CONNECT_NOW
                || *code == SqlState::TOO_MANY_CONNECTIONS
        }
        None => error.is_closed() || has_io(),
    }
}

pub(super) fn cannot_connect(error: &Error) -> DbError {
    DbError::Unavailable { reason: full(error) }
}

pub(super) fn lost_commit(reason: &str) -> DbError {
    DbError::InDoubt { reason: reason.to_owned() }
}
