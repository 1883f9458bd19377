//! What a failed statement means to the caller.

use platform::db::DbError;

use crate::ApiError;

/// Services catch what they expect (`DbError::is_unique`) before this; what is left is told without
/// naming a table.
impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        let pause = error.retry_after().map_or(1, |pause| pause.as_secs().clamp(1, 60) as u32);
        let answer = match &error {
            DbError::Unique { .. } => {
                Self::conflict("conflict", "There is one already, or another change was faster.")
            }
            DbError::ForeignKey => {
                Self::conflict("conflict", "What this refers to is gone, or is still in use.")
            }
            DbError::Busy { .. } => {
                Self::unavailable("busy", "Too much is waiting; try again.").retry_after(pause)
            }
            DbError::Unavailable { .. } => {
                Self::unavailable("unavailable", "Try again in a moment.").retry_after(pause)
            }
            DbError::InDoubt { .. } => {
                let detail = "The change may have happened; look before you repeat it.";
                Self::unavailable("in_doubt", detail).retry_after(pause)
            }
            _ => return Self::internal("internal", error),
        };
        answer.because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tables_stay_inside() {
        let error = ApiError::from(DbError::Unique { constraint: "account_user_pkey".into() });
        assert_eq!((error.status().as_u16(), error.code()), (409, "conflict"));
        assert!(
            !error.detail().contains("account_user") && error.causes().contains("account_user")
        );
        let busy = ApiError::from(DbError::Busy { reason: "full" });
        assert_eq!((busy.code(), busy.retry_after_seconds()), ("busy", Some(1)));
        let broken = ApiError::from(DbError::Internal { reason: "no such column: x".into() });
        assert_eq!((broken.code(), broken.detail().contains("column")), ("internal", false));
    }
}
