//! Endpoints: their rules, and their rows.

use platform::db::{DbError, Row, Tx, params, statements};
use platform::events::Topic;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::schema::NEVER_MS;

/// Endpoints of one tenant: each event looks at all of them.
pub(crate) const ENDPOINTS_MAX: i64 = 50;
/// Longest description, in bytes.
pub(crate) const DESCRIPTION_BYTES_MAX: usize = 500;

/// What endpoints may be told. Messages to people are not among it: they hold what opens accounts.
pub const TOPICS: [Topic; 5] = [
    Topic::ContentUploaded,
    Topic::ContentTranscoded,
    Topic::PlaybackEvents,
    Topic::SubscriptionActivated,
    Topic::UserRegistered,
];

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndpointState {
    Enabled,
    /// By staff: nothing is sent, and nothing is kept for it.
    Disabled,
    /// Turned off after failing for days.
    Failing,
}

/// Where facts of a tenant are sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    pub id: String,
    pub url: String,
    pub description: String,
    /// Names of topics, sorted.
    pub topics: Vec<String>,
    pub state: EndpointState,
    pub version: i64,
    pub created_ms: i64,
    /// Failed tries in a row, and since when.
    pub failures: i64,
    pub failing_since_ms: Option<i64>,
}

impl EndpointState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Failing => "failing",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        [Self::Enabled, Self::Disabled, Self::Failing].into_iter().find(|s| s.as_str() == name)
    }
}

statements! {
    COUNT: "SELECT COUNT(*) FROM webhook_endpoint WHERE tenant_id = $1";
    ADD: "INSERT INTO webhook_endpoint (tenant_id, id, url, description, topics, state, secret,
            old_secret, old_secret_until_ms, version, created_ms, failures, failing_since_ms, due_ms,
            wake, lease_owner, lease_until_ms)
        VALUES ($1, $2, $3, $4, $5, 'enabled', $6, NULL, 0, 1, $7, 0, NULL, $8, 0, NULL, 0)";
    FIND: "SELECT id, url, description, topics, state, version, created_ms, failures,
            failing_since_ms FROM webhook_endpoint WHERE tenant_id = $1 AND id = $2";
    LIST: "SELECT id, url, description, topics, state, version, created_ms, failures,
            failing_since_ms FROM webhook_endpoint WHERE tenant_id = $1 AND $2 < id
        ORDER BY id LIMIT $3";
    /// Turned on again, it starts without its past.
    CHANGE: "UPDATE webhook_endpoint SET url = $4, description = $5, topics = $6, state = $7,
            version = version + 1, due_ms = $8, wake = wake + 1,
            failures = CASE WHEN state = 'enabled' AND url = $4 THEN failures ELSE 0 END,
            failing_since_ms = CASE WHEN state = 'enabled' AND url = $4
                THEN failing_since_ms ELSE NULL END
        WHERE tenant_id = $1 AND id = $2 AND version = $3";
    SECRETS: "SELECT secret, version FROM webhook_endpoint WHERE tenant_id = $1 AND id = $2";
    ROTATE: "UPDATE webhook_endpoint SET old_secret = secret, old_secret_until_ms = $4, secret = $5,
            version = version + 1
        WHERE tenant_id = $1 AND id = $2 AND version = $3";
    REMOVE: "DELETE FROM webhook_endpoint WHERE tenant_id = $1 AND id = $2";
    /// There is something to send. An endpoint that rests does so to the end; `$3` stands for never.
    WAKE: "UPDATE webhook_endpoint SET due_ms = CASE WHEN failures < 3 OR due_ms = $3 THEN 0 ELSE due_ms END,
            wake = wake + 1
        WHERE tenant_id = $1 AND id = $2";
    /// Whatever it rests from.
    WAKE_NOW: "UPDATE webhook_endpoint SET due_ms = 0, wake = wake + 1
        WHERE tenant_id = $1 AND id = $2";

    /// The endpoint that is due longest and nobody serves, for one worker.
    system LEASE: "UPDATE webhook_endpoint SET lease_owner = $2, lease_until_ms = $3
        WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM webhook_endpoint
            WHERE state = 'enabled' AND due_ms <= $1 AND lease_until_ms <= $1
            ORDER BY due_ms LIMIT 1)
        AND lease_until_ms <= $1
        RETURNING tenant_id, id";
    /// What its worker needs, read anew before each delivery; no row when the lease was lost or the
    /// endpoint is off.
    KEEP: "UPDATE webhook_endpoint SET lease_until_ms = $4
        WHERE tenant_id = $1 AND id = $2 AND lease_owner = $3 AND state = 'enabled'
        RETURNING url, secret, old_secret, old_secret_until_ms, failures, failing_since_ms, wake";
    SUCCEEDED: "UPDATE webhook_endpoint SET failures = 0, failing_since_ms = NULL
        WHERE tenant_id = $1 AND id = $2 AND failures <> 0";
    FAILED: "UPDATE webhook_endpoint SET failures = failures + 1,
            failing_since_ms = COALESCE(failing_since_ms, $3)
        WHERE tenant_id = $1 AND id = $2
        RETURNING failures, failing_since_ms";
    GIVE_UP: "UPDATE webhook_endpoint SET state = 'failing', version = version + 1
        WHERE tenant_id = $1 AND id = $2 AND state = 'enabled'";
    /// Gives a lease back, and sleeps until `$4`; when something was added since `$5`, no
    /// longer than it rests, `$6`.
    RELEASE: "UPDATE webhook_endpoint SET lease_owner = NULL, lease_until_ms = 0,
            due_ms = CASE WHEN wake = $5 THEN CAST($4 AS BIGINT) ELSE CAST($6 AS BIGINT) END
        WHERE tenant_id = $1 AND id = $2 AND lease_owner = $3";
}

impl Endpoint {
    pub(crate) fn of_row(row: &Row) -> Result<Self, DbError> {
        type Fields = (String, String, String, String, String, i64, i64, i64, Option<i64>);
        let (id, url, description, topics, state, version, created_ms, failures, since) =
            row.decode::<Fields>()?;
        let fail = |reason: &str| DbError::Decode { reason: format!("endpoint {id}: {reason}") };
        Ok(Self {
            topics: topics.split(' ').map(str::to_owned).collect(),
            state: EndpointState::of_name(&state).ok_or_else(|| fail("an unknown state"))?,
            id,
            url,
            description,
            version,
            created_ms,
            failures,
            failing_since_ms: since,
        })
    }
}

/// Adds an endpoint to a tenant; false when it has too many. The tenant's endpoints are counted after
/// the insert, in a serialisable transaction, so that two can't take the last place.
pub(crate) async fn add(tx: &mut Tx, endpoint: &Endpoint, sealed: &[u8]) -> Result<bool, DbError> {
    let Endpoint { id, url, description, topics, created_ms, .. } = endpoint;
    let topics = topics.join(" ");
    tx.execute(&ADD, params![id, url, description, topics, sealed.to_vec(), created_ms, NEVER_MS])
        .await?;
    Ok(tx.query_one(&COUNT, params![]).await?.get::<i64>(0)? <= ENDPOINTS_MAX)
}

/// The topics of a request, sorted and known; all of them for an empty list.
pub(crate) fn topics_of(names: &[String]) -> Result<Vec<String>, String> {
    let known = || TOPICS.iter().map(|topic| topic.name());
    if names.is_empty() {
        return Ok(known().map(str::to_owned).collect());
    }
    let mut topics = Vec::new();
    for name in names {
        if !known().any(|known| known == name) {
            let all: Vec<_> = known().collect();
            return Err(format!("`{name}` is no topic of webhooks; take {}", all.join(", ")));
        }
        topics.push(name.clone());
    }
    topics.sort();
    topics.dedup();
    Ok(topics)
}
