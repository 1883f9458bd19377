//! Removes what has expired, in all tenants.

use platform::db::DbError;
use platform::params;

use crate::accounts::Accounts;
use crate::{device, once, session, throttle, user};

/// After this long an account that nobody has confirmed is none.
const PENDING_MS: i64 = 7 * 24 * 3_600 * 1_000;

impl Accounts {
    /// To be called once an hour by whoever runs jobs; how many rows it removed.
    ///
    /// # Errors
    /// By cause, see [`DbError`]. What was removed before stays removed.
    pub async fn sweep(&self) -> Result<u64, DbError> {
        let now_ms = self.now_ms();
        let scope = self.parts.db.system();
        let sweeps = [
            (&once::SWEEP, now_ms),
            (&device::store::SWEEP, now_ms),
            (&throttle::SWEEP, now_ms),
            (&session::store::SWEEP, now_ms),
            (&user::SWEEP_PENDING, now_ms - PENDING_MS),
        ];
        let mut removed = 0;
        for (statement, before_ms) in sweeps {
            // One transaction each, so that none holds the writer for long.
            removed += scope
                .tx((statement, before_ms), |tx, (statement, before_ms)| {
                    Box::pin(tx.execute(*statement, params![*before_ms]))
                })
                .await?;
        }
        Ok(removed)
    }
}
