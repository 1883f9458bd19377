//! Deliveries and their tries: rows.

use platform::db::{DbError, Row, statements};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// To be tried, for the first time or again.
    Pending,
    Delivered,
    /// Tried to the end of the schedule; it can be replayed.
    Failed,
}

/// One event for one endpoint.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivery {
    /// Also the `webhook-id`.
    pub event_id: String,
    pub sequence: i64,
    pub topic: String,
    pub state: DeliveryState,
    pub created_ms: i64,
    pub due_ms: i64,
    pub attempts: i64,
    pub last_status: Option<i64>,
    pub last_outcome: Option<String>,
    pub finished_ms: Option<i64>,
    /// Its body is gone, as the person it was about is.
    pub is_erased: bool,
}

/// One try.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    pub number: i64,
    pub at_ms: i64,
    pub duration_ms: i64,
    /// None when there was no answer.
    pub status: Option<i64>,
    /// `ok`, `client_error`, `timeout`, …
    pub outcome: String,
    /// The beginning of the answer's body.
    pub answer: String,
}

impl DeliveryState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Failed].into_iter().find(|s| s.as_str() == name)
    }
}

statements! {
    /// The next to be tried: what is new in the order of the log, before what is tried again.
    NEXT: "SELECT event_id, body, attempts, failures FROM webhook_delivery
        WHERE tenant_id = $1 AND endpoint_id = $2 AND state = 'pending' AND due_ms <= $3
        ORDER BY due_ms, sequence LIMIT 1";
    NEXT_DUE: "SELECT due_ms FROM webhook_delivery
        WHERE tenant_id = $1 AND endpoint_id = $2 AND state = 'pending'
        ORDER BY due_ms, sequence LIMIT 1";
    /// Writes a try down, unless somebody did that before or it was replayed meanwhile.
    SETTLE: "UPDATE webhook_delivery SET state = $5, due_ms = $6, failures = $7,
            attempts = attempts + 1, last_status = $8, last_outcome = $9, finished_ms = $10
        WHERE tenant_id = $1 AND endpoint_id = $2 AND event_id = $3 AND attempts = $4
            AND state = 'pending'";
    ADD_ATTEMPT: "INSERT INTO webhook_attempt (tenant_id, endpoint_id, event_id, number, at_ms,
            duration_ms, status, outcome, answer)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    FIND: "SELECT event_id, sequence, topic, state, created_ms, due_ms, attempts, last_status,
            last_outcome, finished_ms, body IS NULL FROM webhook_delivery
        WHERE tenant_id = $1 AND endpoint_id = $2 AND event_id = $3";
    /// Newest first.
    LIST: "SELECT event_id, sequence, topic, state, created_ms, due_ms, attempts, last_status,
            last_outcome, finished_ms, body IS NULL FROM webhook_delivery
        WHERE tenant_id = $1 AND endpoint_id = $2 AND sequence <= $3
            AND (CAST($4 AS TEXT) IS NULL OR state = $4)
        ORDER BY sequence DESC, event_id DESC LIMIT $5";
    ATTEMPTS: "SELECT number, at_ms, duration_ms, status, outcome, answer FROM webhook_attempt
        WHERE tenant_id = $1 AND endpoint_id = $2 AND event_id = $3 ORDER BY number DESC LIMIT $4";
    /// To be tried now, from the beginning of the schedule.
    REPLAY: "UPDATE webhook_delivery SET state = 'pending', due_ms = 0, failures = 0,
            finished_ms = NULL
        WHERE tenant_id = $1 AND endpoint_id = $2 AND event_id = $3 AND body IS NOT NULL";
    REPLAY_RANGE: "UPDATE webhook_delivery SET state = 'pending', due_ms = 0, failures = 0,
            finished_ms = NULL
        WHERE tenant_id = $1 AND endpoint_id = $2 AND state = $3 AND body IS NOT NULL
            AND $4 <= created_ms AND created_ms < $5";
    system FORGET: "DELETE FROM webhook_delivery WHERE state IN ('delivered', 'failed')
        AND finished_ms < $1";
}

impl Delivery {
    pub(crate) fn of_row(row: &Row) -> Result<Self, DbError> {
        let (event_id, sequence, topic) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let state: String = row.get(3)?;
        let unknown = || DbError::Decode { reason: "a delivery has an unknown state".to_owned() };
        Ok(Self {
            event_id,
            sequence,
            topic,
            state: DeliveryState::of_name(&state).ok_or_else(unknown)?,
            created_ms: row.get(4)?,
            due_ms: row.get(5)?,
            attempts: row.get(6)?,
            last_status: row.get(7)?,
            last_outcome: row.get(8)?,
            finished_ms: row.get(9)?,
            is_erased: row.get(10)?,
        })
    }
}

impl Attempt {
    pub(crate) fn of_row(row: &Row) -> Result<Self, DbError> {
        let (number, at_ms, duration_ms, status, outcome, answer) = row.decode()?;
        Ok(Self { number, at_ms, duration_ms, status, outcome, answer })
    }
}
