//! SQLite's errors by cause.

use std::path::Path;

use rusqlite::ffi::{self, ErrorCode};

use super::constraints::Constraints;
use crate::db::error::{DbError, LOCKED, TOO_LATE};

pub(super) fn error(error: rusqlite::Error, statement: &str, constraints: &Constraints) -> DbError {
    let rusqlite::Error::SqliteFailure(failure, message) = &error else {
        return DbError::internal(format!("`{statement}`: {error}"));
    };
    let said = message.as_deref().unwrap_or_default();
    let behind = said.split_once("failed: ").map_or("", |(_, behind)| behind);
    match failure.extended_code {
        ffi::SQLITE_CONSTRAINT_UNIQUE
        | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
        | ffi::SQLITE_CONSTRAINT_ROWID => DbError::Unique { constraint: constraints.name(behind) },
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => DbError::ForeignKey,
        ffi::SQLITE_CONSTRAINT_CHECK => DbError::Check { constraint: behind.to_owned() },
        ffi::SQLITE_CONSTRAINT_NOTNULL => {
            let column = behind.rsplit('.').next().unwrap_or_default();
            DbError::NotNull { column: column.to_owned() }
        }
        _ => by_code(failure.code, format!("`{statement}`: {error}")),
    }
}

fn by_code(code: ErrorCode, reason: String) -> DbError {
    match code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => DbError::Busy { reason: LOCKED },
        ErrorCode::OperationInterrupted => DbError::Busy { reason: TOO_LATE },
        ErrorCode::DiskFull
        | ErrorCode::SystemIoFailure
        | ErrorCode::CannotOpen
        | ErrorCode::OutOfMemory => DbError::Unavailable { reason },
        _ => DbError::Internal { reason },
    }
}

/// What a COMMIT that failed means for the transactions in it.
pub(super) fn not_committed(error: &rusqlite::Error) -> DbError {
    let reason = error.to_string();
    match error.sqlite_error_code() {
        // The last write or the `fsync` failed: the commit may be on the disk or not.
        Some(ErrorCode::SystemIoFailure) => DbError::InDoubt { reason },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            DbError::Busy { reason: LOCKED }
        }
        _ => DbError::Unavailable { reason },
    }
}

pub(super) fn not_begun(error: &rusqlite::Error) -> DbError {
    match error.sqlite_error_code() {
        Some(code) => by_code(code, format!("BEGIN: {error}")),
        None => DbError::internal(format!("BEGIN: {error}")),
    }
}

pub(in crate::db) fn cannot_open(path: &Path, error: &rusqlite::Error) -> DbError {
    DbError::open(format!("cannot use {} as database: {error}", path.display()))
}

pub(super) fn cannot_read(error: rusqlite::Error) -> DbError {
    DbError::open(format!("cannot read the database's tables: {error}"))
}
