//! PostgreSQL: a pool of connections.
//!
//! Whose rows a transaction sees is told to the server at its beginning: the setting
//! `streamverse.tenant` lasts until its end, and the policies of all tables compare it with
//! `tenant_id`. A read is sent as BEGIN, that setting, the statement and COMMIT at once, and so
//! costs one round trip.

mod connect;
mod errors;
mod run;
mod session;
mod values;

use std::time::{Duration, Instant};

use deadpool_postgres::{Object, Pool, PoolError, Timeouts};

pub(super) use connect::connect_alone;
pub(super) use session::Session;

use super::error::{DbError, POOL_IN_USE, TOO_LATE};
use super::metrics::Metrics;
use super::settings::Settings;
use super::statement::Statement;
use super::tx::Bounds;
use super::value::{Row, Value};
pub(super) use errors::full;
use errors::{error, is_lost};

/// The setting's value that lets a transaction see the rows of every tenant. No tenant has this id.
pub(super) const EVERY_TENANT: &str = "*";
/// The setting that the policies read.
pub(super) const TENANT_SETTING: &str = "streamverse.tenant";

const BEGIN_ALL: &str =
    "SELECT set_config('streamverse.tenant', $1, true), set_config('statement_timeout', $2, true)";

/// How often a read is tried whose connection is lost.
const READ_TRIES: u32 = 3;
const LOST_PAUSE: Duration = Duration::from_millis(20);

#[derive(Clone)]
pub(super) struct Postgres {
    pool: Pool,
    uses_cache: bool,
    metrics: Metrics,
}

impl Postgres {
    pub(super) fn start(settings: &Settings, metrics: &Metrics) -> Result<Self, DbError> {
        let pool = connect::pool(settings)?;
        Ok(Self { pool, uses_cache: settings.statement_cache, metrics: metrics.clone() })
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }

    async fn client(&self, deadline: Instant) -> Result<Object, DbError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.metrics.refused.inc();
            return Err(DbError::Busy { reason: TOO_LATE });
        }
        let limits = Timeouts { wait: Some(left), create: Some(left), recycle: Some(left) };
        self.metrics.waiting.inc();
        let client = self.pool.timeout_get(&limits).await;
        self.metrics.waiting.dec();
        client.map_err(|error| match error {
            PoolError::Timeout(deadpool_postgres::TimeoutType::Wait) => {
                self.metrics.refused.inc();
                DbError::Busy { reason: POOL_IN_USE }
            }
            PoolError::Backend(error) => errors::cannot_connect(&error),
            error => DbError::Unavailable { reason: error.to_string() },
        })
    }

    pub(super) async fn read(
        &self,
        bounds: &Bounds,
        statement: &'static Statement,
        params: &[Value],
        deadline: Instant,
    ) -> Result<Vec<Row>, DbError> {
        let mut tries = 1;
        loop {
            let client = self.client(deadline).await?;
            self.metrics.in_use.inc();
            let reading = run::read(&client, self.uses_cache, bounds, statement, params, deadline);
            let ended = tokio::time::timeout_at(deadline.into(), reading).await;
            self.metrics.in_use.dec();
            match ended {
                Ok(Ok(answer)) => return Ok(answer.rows()),
                Ok(Err(cause)) if is_lost(&cause) && tries < READ_TRIES => {
                    tries += 1;
                    self.metrics.retries.inc();
                    tokio::time::sleep(LOST_PAUSE).await;
                }
                Ok(Err(cause)) => return Err(error(&cause, statement.name())),
                Err(_) => {
                    self.metrics.refused.inc();
                    return Err(DbError::Busy { reason: TOO_LATE });
                }
            }
        }
    }
}

fn tenant_setting(bounds: &Bounds) -> Value {
    let tenant = bounds.tenant.as_ref().map_or(EVERY_TENANT, |tenant| tenant.as_str());
    Value::Text(tenant.to_owned())
}

/// What the server is told, so that it gives up when nobody waits any more.
fn timeout_setting(deadline: Instant) -> Value {
    let left = deadline.saturating_duration_since(Instant::now()).as_millis();
    Value::Text(left.max(1).to_string())
}
