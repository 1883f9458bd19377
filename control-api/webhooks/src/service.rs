//! What staff do with endpoints and deliveries. Each change leaves a record in the audit log, in its
//! transaction.

use std::sync::Arc;
use std::time::Duration;

use platform::audit;
use platform::db::{Db, Scope, TenantId, params};
use platform::keyring::Keys;
use platform::outbound::Outbound;
use prometheus_client::registry::Registry;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::delivery::{self, Attempt, Delivery, DeliveryState};
use crate::endpoint::{self, DESCRIPTION_BYTES_MAX, ENDPOINTS_MAX, Endpoint, EndpointState};
use crate::error::WebhookError;
use crate::metrics::Metrics;
use crate::schema::NEVER_MS;
use crate::secret::{self, Secret};

/// Tries of one delivery that are shown.
const ATTEMPTS_MAX: i64 = 100;
/// Longest that an old secret goes on signing.
const OVERLAP_MAX: Duration = Duration::from_secs(7 * 86_400);

/// Endpoints and deliveries of all tenants. Clones share everything.
#[derive(Clone)]
pub struct Webhooks(Arc<Inner>);

struct Inner {
    db: Db,
    keys: Keys,
    outbound: Outbound,
    clock: fn() -> i64,
    metrics: Metrics,
}

/// Who changes something.
pub(crate) struct Actor {
    pub(crate) tenant: TenantId,
    /// `staff/…`.
    pub(crate) name: String,
    pub(crate) request_id: Option<String>,
}

/// An endpoint to be added.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEndpoint {
    /// An address on the public Internet.
    #[schema(max_length = 2048, example = "https://example.org/hooks/streamverse")]
    pub url: String,
    #[serde(default)]
    #[schema(max_length = 500)]
    pub description: String,
    /// Which facts are sent; all of them when none is named.
    #[serde(default)]
    #[schema(max_items = 16, example = json!(["user.registered"]))]
    pub topics: Vec<String>,
}

/// What changes; what is not there stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchEndpoint {
    #[serde(default)]
    #[schema(max_length = 2048)]
    pub url: Option<String>,
    #[serde(default)]
    #[schema(max_length = 500)]
    pub description: Option<String>,
    #[serde(default)]
    #[schema(max_items = 16)]
    pub topics: Option<Vec<String>>,
    /// Turns it on or off.
    #[serde(default)]
    pub enabled: Option<bool>,
}

impl Webhooks {
    /// `clock` tells the milliseconds since 1970.
    pub fn new(db: Db, keys: Keys, outbound: Outbound, clock: fn() -> i64) -> Self {
        let metrics = Metrics::default();
        Self(Arc::new(Inner { db, keys, outbound, clock, metrics }))
    }

    pub fn register_metrics(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
    }

    pub(crate) fn db(&self) -> &Db {
        &self.0.db
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub(crate) fn outbound(&self) -> &Outbound {
        &self.0.outbound
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn now_ms(&self) -> i64 {
        (self.0.clock)()
    }

    fn scope(&self, tenant: &TenantId) -> Scope {
        self.0.db.tenant(tenant)
    }

    pub(crate) async fn list(
        &self,
        tenant: &TenantId,
        after: &str,
        rows: i64,
    ) -> Result<Vec<Endpoint>, WebhookError> {
        let rows = self.scope(tenant).query(&endpoint::LIST, params![after, rows]).await?;
        Ok(rows.iter().map(Endpoint::of_row).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn find(&self, tenant: &TenantId, id: &str) -> Result<Endpoint, WebhookError> {
        let row = self.scope(tenant).query_opt(&endpoint::FIND, params![id]).await?;
        Ok(Endpoint::of_row(&row.ok_or(WebhookError::NotFound)?)?)
    }

    /// Adds an endpoint. Its secret is shown here and never again.
    pub(crate) async fn add(
        &self,
        actor: &Actor,
        new: NewEndpoint,
    ) -> Result<(Endpoint, Secret), WebhookError> {
        let now_ms = self.now_ms();
        let endpoint = Endpoint {
            id: uuid::Uuid::now_v7().to_string(),
            url: self.check_url(new.url)?,
            description: check_description(new.description)?,
            topics: check_topics(&new.topics)?,
            state: EndpointState::Enabled,
            version: 1,
            created_ms: now_ms,
            failures: 0,
            failing_since_ms: None,
        };
        let secret = Secret::generate()?;
        let sealed =
            secret::seal(self.keys(), actor.tenant.as_str(), &endpoint.id, &secret, now_ms)?;
        let record = actor.record("webhook.create", &endpoint.id, now_ms, None, shown(&endpoint));
        let input = (endpoint.clone(), sealed, record);
        let scope = self.scope(&actor.tenant).serializable();
        scope
            .tx(input, |tx, (endpoint, sealed, record)| {
                Box::pin(async move {
                    if !endpoint::add(tx, endpoint, sealed).await? {
                        return Err(WebhookError::TooMany { max: ENDPOINTS_MAX });
                    }
                    audit::append(tx, record.clone()).await?;
                    Ok(())
                })
            })
            .await?;
        Ok((endpoint, secret))
    }

    /// Changes an endpoint that has not changed since `version`.
    pub(crate) async fn change(
        &self,
        actor: &Actor,
        id: &str,
        version: i64,
        patch: PatchEndpoint,
    ) -> Result<Endpoint, WebhookError> {
        let before = self.find(&actor.tenant, id).await?;
        if before.version != version {
            return Err(WebhookError::Changed);
        }
        let mut after = before.clone();
        if let Some(url) = patch.url {
            after.url = self.check_url(url)?;
        }
        if let Some(description) = patch.description {
            after.description = check_description(description)?;
        }
        if let Some(topics) = patch.topics {
            after.topics = check_topics(&topics)?;
        }
        match patch.enabled {
            Some(true) => after.state = EndpointState::Enabled,
            Some(false) => after.state = EndpointState::Disabled,
            None => {}
        }
        let now_ms = self.now_ms();
        let (old, new) = (shown(&before), shown(&after));
        let record = actor.record("webhook.change", id, now_ms, old, new);
        let scope = self.scope(&actor.tenant);
        scope
            .tx((after, version, record), |tx, (after, version, record)| {
                Box::pin(async move {
                    let Endpoint { id, url, description, topics, state, .. } = after;
                    let (topics, state) = (topics.join(" "), state.as_str());
                    let values = params![id, version, url, description, topics, state, 0_i64];
                    if tx.execute(&endpoint::CHANGE, values).await? == 0 {
                        return Err(WebhookError::Changed);
                    }
                    audit::append(tx, record.clone()).await?;
                    Ok(())
                })
            })
            .await?;
        self.find(&actor.tenant, id).await
    }

    /// A new secret; the old one signs beside it for `overlap`.
    pub(crate) async fn rotate(
        &self,
        actor: &Actor,
        id: &str,
        overlap: Duration,
    ) -> Result<Secret, WebhookError> {
        if OVERLAP_MAX < overlap {
            let reason = format!("take {} seconds at most", OVERLAP_MAX.as_secs());
            let pointer = "/overlap_seconds";
            return Err(WebhookError::Invalid { pointer, code: "out_of_range", reason });
        }
        let now_ms = self.now_ms();
        let version = self.find(&actor.tenant, id).await?.version;
        let secret = Secret::generate()?;
        let sealed = secret::seal(self.keys(), actor.tenant.as_str(), id, &secret, now_ms)?;
        let until_ms = now_ms + i64::try_from(overlap.as_millis()).unwrap_or(0);
        let after = Some(json!({ "old_secret_until_ms": until_ms }));
        let record = actor.record("webhook.rotate_secret", id, now_ms, None, after);
        let scope = self.scope(&actor.tenant);
        scope
            .tx((id.to_owned(), version, until_ms, sealed, record), |tx, input| {
                Box::pin(async move {
                    let (id, version, until_ms, sealed, record) = input;
                    let values = params![id, version, until_ms, sealed.clone()];
                    if tx.execute(&endpoint::ROTATE, values).await? == 0 {
                        return Err(WebhookError::Changed);
                    }
                    audit::append(tx, record.clone()).await?;
                    Ok(())
                })
            })
            .await?;
        Ok(secret)
    }

    /// Removes an endpoint with its deliveries.
    pub(crate) async fn remove(&self, actor: &Actor, id: &str) -> Result<(), WebhookError> {
        let before = self.find(&actor.tenant, id).await?;
        let record = actor.record("webhook.remove", id, self.now_ms(), shown(&before), None);
        let scope = self.scope(&actor.tenant);
        scope
            .tx((id.to_owned(), record), |tx, (id, record)| {
                Box::pin(async move {
                    if tx.execute(&endpoint::REMOVE, params![id]).await? == 0 {
                        return Err(WebhookError::NotFound);
                    }
                    audit::append(tx, record.clone()).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Newest first, from the place `before` in the log.
    pub(crate) async fn deliveries(
        &self,
        tenant: &TenantId,
        id: &str,
        state: Option<DeliveryState>,
        before: Option<i64>,
        rows: i64,
    ) -> Result<Vec<Delivery>, WebhookError> {
        self.find(tenant, id).await?;
        let (before, state) = (before.unwrap_or(NEVER_MS), state.map(DeliveryState::as_str));
        let values = params![id, before, state, rows];
        let rows = self.scope(tenant).query(&delivery::LIST, values).await?;
        Ok(rows.iter().map(Delivery::of_row).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn delivery(
        &self,
        tenant: &TenantId,
        id: &str,
        event_id: &str,
    ) -> Result<(Delivery, Vec<Attempt>), WebhookError> {
        let scope = self.scope(tenant);
        let row = scope.query_opt(&delivery::FIND, params![id, event_id]).await?;
        let delivery = Delivery::of_row(&row.ok_or(WebhookError::NotFound)?)?;
        let rows = scope.query(&delivery::ATTEMPTS, params![id, event_id, ATTEMPTS_MAX]).await?;
        let attempts = rows.iter().map(Attempt::of_row).collect::<Result<_, _>>()?;
        Ok((delivery, attempts))
    }

    /// Sends one delivery again, under its old `webhook-id`.
    pub(crate) async fn replay(
        &self,
        actor: &Actor,
        id: &str,
        event_id: &str,
    ) -> Result<(), WebhookError> {
        let after = Some(json!({ "event": event_id }));
        let record = actor.record("webhook.replay", id, self.now_ms(), None, after);
        let scope = self.scope(&actor.tenant);
        scope
            .tx((id.to_owned(), event_id.to_owned(), record), |tx, (id, event_id, record)| {
                Box::pin(async move {
                    if tx.execute(&delivery::REPLAY, params![id, event_id]).await? == 0 {
                        return Err(WebhookError::NotFound);
                    }
                    tx.execute(&endpoint::WAKE_NOW, params![id]).await?;
                    audit::append(tx, record.clone()).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Sends all of a state again whose events happened from `from_ms` to before `to_ms`. How many.
    pub(crate) async fn replay_range(
        &self,
        actor: &Actor,
        id: &str,
        state: DeliveryState,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<u64, WebhookError> {
        self.find(&actor.tenant, id).await?;
        let state = state.as_str();
        let after = Some(json!({ "state": state, "from_ms": from_ms, "to_ms": to_ms }));
        let record = actor.record("webhook.replay", id, self.now_ms(), None, after);
        let scope = self.scope(&actor.tenant);
        scope
            .tx((id.to_owned(), state, from_ms, to_ms, record), |tx, input| {
                Box::pin(async move {
                    let (id, state, from_ms, to_ms, record) = input;
                    let values = params![id, *state, from_ms, to_ms];
                    let count = tx.execute(&delivery::REPLAY_RANGE, values).await?;
                    tx.execute(&endpoint::WAKE_NOW, params![id]).await?;
                    audit::append(tx, record.clone()).await?;
                    Ok(count)
                })
            })
            .await
    }

    fn check_url(&self, url: String) -> Result<String, WebhookError> {
        let checked = self.0.outbound.check_given(&url);
        checked.map_err(|error| WebhookError::Invalid {
            pointer: "/url",
            code: "invalid_url",
            reason: error.to_string(),
        })?;
        Ok(url)
    }
}

impl Actor {
    fn record(
        &self,
        action: &str,
        endpoint_id: &str,
        at_ms: i64,
        before: Option<Value>,
        after: Option<Value>,
    ) -> audit::Record {
        audit::Record {
            at_ms,
            actor: self.name.clone(),
            action: action.to_owned(),
            resource: format!("webhook/{endpoint_id}"),
            before,
            after,
            request_id: self.request_id.clone(),
        }
    }
}

/// What the audit log keeps of an endpoint. Descriptions are texts that people write.
fn shown(endpoint: &Endpoint) -> Option<Value> {
    let Endpoint { url, topics, state, .. } = endpoint;
    // A path may hold a secret of the receiver's; who is told is what counts.
    let authority =
        url.parse::<http::Uri>().ok().and_then(|uri| Some(uri.authority()?.to_string()));
    Some(json!({ "authority": authority, "topics": topics, "state": state }))
}

fn check_description(text: String) -> Result<String, WebhookError> {
    let is_plain = text.len() <= DESCRIPTION_BYTES_MAX && !text.chars().any(char::is_control);
    if is_plain {
        return Ok(text);
    }
    let reason = format!("take {DESCRIPTION_BYTES_MAX} bytes at most, on one line");
    Err(WebhookError::Invalid { pointer: "/description", code: "invalid_text", reason })
}

fn check_topics(names: &[String]) -> Result<Vec<String>, WebhookError> {
    let invalid =
        |reason| WebhookError::Invalid { pointer: "/topics", code: "unknown_topic", reason };
    endpoint::topics_of(names).map_err(invalid)
}
