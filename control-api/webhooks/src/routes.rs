//! `/v1/admin/webhooks`: translates, and nothing more.

use std::time::Duration;

use api::page::PageParams;
use api::{ApiError, Json, Page, Paged, Path, Query, RequestId, Staff};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use platform::db::TenantId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::delivery::{Attempt, Delivery, DeliveryState};
use crate::endpoint::{Endpoint, EndpointState};
use crate::service::{Actor, NewEndpoint, PatchEndpoint, Webhooks};

api::permissions! {
    /// See webhooks.
    WebhooksRead = "webhooks:read", "See endpoints of webhooks and what was delivered to them.";
    /// Change webhooks.
    WebhooksWrite = "webhooks:write", "Add, change and remove endpoints of webhooks; replay.";
}

/// An endpoint as staff see it.
#[derive(Serialize, ToSchema)]
pub(crate) struct EndpointView {
    id: String,
    url: String,
    description: String,
    topics: Vec<String>,
    state: EndpointState,
    created_ms: i64,
    /// Failed tries in a row.
    failures: i64,
    /// Since when every try failed.
    failing_since_ms: Option<i64>,
}

/// An endpoint with its secret, which is shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct EndpointCreated {
    #[serde(flatten)]
    endpoint: EndpointView,
    /// Checks the signatures, as Standard Webhooks has it.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SecretView {
    secret: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateSecret {
    /// How long the old secret goes on signing beside the new one.
    #[serde(default = "one_day")]
    #[schema(maximum = 604_800, default = 86_400)]
    overlap_seconds: u32,
}

fn one_day() -> u32 {
    86_400
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveryView {
    /// Of the event; also the `webhook-id`.
    event_id: String,
    topic: String,
    state: DeliveryState,
    created_ms: i64,
    /// When it is tried next.
    due_ms: Option<i64>,
    attempts: i64,
    last_status: Option<i64>,
    last_outcome: Option<String>,
    finished_ms: Option<i64>,
    is_erased: bool,
    #[serde(skip)]
    sequence: i64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DeliveryDetail {
    #[serde(flatten)]
    delivery: DeliveryView,
    /// Newest first.
    tries: Vec<AttemptView>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AttemptView {
    number: i64,
    at_ms: i64,
    duration_ms: i64,
    /// Absent when there was no answer.
    status: Option<i64>,
    outcome: String,
    /// The first kibibyte of the answer.
    answer: String,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveryFilter {
    state: Option<DeliveryState>,
    #[allow(dead_code, reason = "`Page` reads it")]
    #[param(ignore)]
    limit: Option<String>,
    #[allow(dead_code, reason = "`Page` reads it")]
    #[param(ignore)]
    cursor: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayRange {
    /// Which deliveries.
    #[serde(default = "failed")]
    state: DeliveryState,
    /// Of events that happened from then …
    #[schema(minimum = 0)]
    from_ms: i64,
    /// … to before then.
    #[schema(minimum = 0)]
    to_ms: i64,
}

fn failed() -> DeliveryState {
    DeliveryState::Failed
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Replayed {
    deliveries: u64,
}

/// The routes of webhooks, for staff.
pub fn routes(webhooks: Webhooks) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, change, remove))
        .routes(routes!(rotate_secret))
        .routes(routes!(list_deliveries))
        .routes(routes!(show_delivery))
        .routes(routes!(replay))
        .routes(routes!(replay_range))
        .with_state(webhooks)
}

/// Lists endpoints.
#[utoipa::path(get, path = "/v1/admin/webhooks", tag = "webhooks", params(PageParams),
    responses((status = 200, body = Paged<EndpointView>)), security(("staff" = ["webhooks:read"])))]
async fn list(
    State(webhooks): State<Webhooks>,
    staff: Staff<WebhooksRead>,
    page: Page,
) -> api::Result<Paged<EndpointView>> {
    let after: Option<String> = page.after()?;
    let tenant = tenant_of(&staff.tenant)?;
    let rows = webhooks.list(&tenant, after.as_deref().unwrap_or_default(), page.rows()).await?;
    page.answer(rows.into_iter().map(EndpointView::from).collect(), |view| view.id.clone())
}

/// Adds an endpoint. The answer holds its secret, which is shown this once.
#[utoipa::path(post, path = "/v1/admin/webhooks", tag = "webhooks", request_body = NewEndpoint,
    responses((status = 201, body = EndpointCreated)), security(("staff" = ["webhooks:write"])))]
async fn create(
    State(webhooks): State<Webhooks>,
    staff: Staff<WebhooksWrite>,
    request_id: RequestId,
    Json(new): Json<NewEndpoint>,
) -> api::Result<Response> {
    let actor = actor_of(&staff, &request_id)?;
    let (endpoint, secret) = webhooks.add(&actor, new).await?;
    let location = format!("/v1/admin/webhooks/{}", endpoint.id);
    let tag = etag(endpoint.version);
    let created = EndpointCreated { endpoint: endpoint.into(), secret: secret.reveal() };
    let mut response = (StatusCode::CREATED, Json(created)).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response.headers_mut().insert(header::ETAG, tag);
    Ok(response)
}

/// Shows an endpoint.
#[utoipa::path(get, path = "/v1/admin/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path)),
    responses((status = 200, body = EndpointView)), security(("staff" = ["webhooks:read"])))]
async fn show(
    State(webhooks): State<Webhooks>,
    staff: Staff<WebhooksRead>,
    Path(id): Path<String>,
) -> api::Result<Response> {
    let endpoint = webhooks.find(&tenant_of(&staff.tenant)?, &id).await?;
    Ok(tagged(endpoint))
}

/// Changes an endpoint. `If-Match` names the version that was read.
#[utoipa::path(patch, path = "/v1/admin/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path), ("If-Match" = String, Header)), request_body = PatchEndpoint,
    responses((status = 200, body = EndpointView)), security(("staff" = ["webhooks:write"])))]
async fn change(
    State(webhooks): State<Webhooks>,
    staff: Staff<WebhooksWrite>,
    request_id: RequestId,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(patch): Json<PatchEndpoint>,
) -> api::Result<Response> {
    let version = version_of(&headers)?;
    let actor = actor_of(&staff, &request_id)?;
    Ok(tagged(webhooks.change(&actor, &id, version, patch).await?))
}

/// Removes an endpoint with its deliveries.
#[utoipa::path(delete, path = "/v1/admin/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path)),
    responses((status = 204)), security(("staff" = ["webhooks:write"])))]
async fn remove(
    State(webhooks): State<Webhooks>,
    staff: Staff<WebhooksWrite>,
    request_id: RequestId,
    Path(id): Path<String>,
) -> api::Result<StatusCode> {
    webhooks.remove(&actor_of(&staff, &request_id)?, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a new secret, which is shown this once. The old one signs beside it for a while.
#[utoipa::path(post, path = "/v1/admin/webhooks/{id}/rotate-secret", tag = "webhooks",
    params(("id" = String, Path)), request_body = RotateSecret,
    responses((status = 200, body = SecretView)), security(("staff" = ["webhooks:write"])))]
async fn rotate_secret(
    State(webhooks): State<Webhooks>,
    staff: Staff<WebhooksWrite>,
    request_id: RequestId,
    Path(id): Path<String>,
    Json(request): Json<RotateSecret>,
) -> api::Result<Json<SecretView>> {
    let overlap = Duration::from_secs(request.overlap_seconds.into());
    let secret = webhooks.rotate(&actor_of(&staff, &request_id)?, &id, overlap).await?;
    Ok(Json(SecretView { secret: secret.reveal() }))
}

/// Lists deliveries of an endpoint, newest first.
#[utoipa::path(get, path = "/v1/admin/webhooks/{id}/deliveries", tag = "webhooks",
    params(("id" = String, Path), DeliveryFilter, PageParams),
    responses((status = 200, body = Paged<DeliveryView>)),
    security(("staff" = ["webhooks:read"])))]
async fn list_deliveries(
    State(webhooks): State<Webhooks>,
    staff: Staff<WebhooksRead>,
    Path(id): Path<String>,
    Query(filter): Query<DeliveryFilter>,
    page: Page,
) -> api::Result<Paged<DeliveryView>> {
    let before: Option<i64> = page.after()?;
    let tenant = tenant_of(&staff.tenant)?;
    // The cursor is the last that was shown; places in the log are given once.
    let before = before.map(|shown| shown - 1);
    let rows = webhooks.deliveries(&tenant, &id, filter.state, before, page.rows()).await?;
    page.answer(rows.into_iter().map(DeliveryView::from).collect(), |view| view.sequence)
}

/// Shows a delivery with its tries.
#[utoipa::path(get, path = "/v1/admin/webhooks/{id}/deliveries/{event_id}", tag = "webhooks",
    params(("id" = String, Path), ("event_id" = String, Path)),
    responses((status = 200, body = DeliveryDetail)), security(("staff" = ["webhooks:read"])))]
async fn show_delivery(
    State(webhooks): State<Webhooks>,
    staff: Staff<WebhooksRead>,
    Path((id, event_id)): Path<(String, String)>,
) -> api::Result<Json<DeliveryDetail>> {
    let tenant = tenant_of(&staff.tenant)?;
    let (delivery, attempts) = webhooks.delivery(&tenant, &id, &event_id).await?;
    let tries = attempts.into_iter().map(AttemptView::from).collect();
    Ok(Json(DeliveryDetail { delivery: delivery.into(), tries }))
}

/// Sends one delivery again, under the same `webhook-id`.
#[utoipa::path(post, path = "/v1/admin/webhooks/{id}/deliveries/{event_id}/replay",
    tag = "webhooks", params(("id" = String, Path), ("event_id" = String, Path)),
    responses((status = 202)), security(("staff" = ["webhooks:write"])))]
async fn replay(
    State(webhooks): State<Webhooks>,
    staff: Staff<WebhooksWrite>,
    request_id: RequestId,
    Path((id, event_id)): Path<(String, String)>,
) -> api::Result<StatusCode> {
    webhooks.replay(&actor_of(&staff, &request_id)?, &id, &event_id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Sends deliveries again whose events happened in a stretch of time.
#[utoipa::path(post, path = "/v1/admin/webhooks/{id}/replay", tag = "webhooks",
    params(("id" = String, Path)), request_body = ReplayRange,
    responses((status = 202, body = Replayed)), security(("staff" = ["webhooks:write"])))]
async fn replay_range(
    State(webhooks): State<Webhooks>,
    staff: Staff<WebhooksWrite>,
    request_id: RequestId,
    Path(id): Path<String>,
    Json(range): Json<ReplayRange>,
) -> api::Result<(StatusCode, Json<Replayed>)> {
    let actor = actor_of(&staff, &request_id)?;
    let ReplayRange { state, from_ms, to_ms } = range;
    let deliveries = webhooks.replay_range(&actor, &id, state, from_ms, to_ms).await?;
    Ok((StatusCode::ACCEPTED, Json(Replayed { deliveries })))
}

fn tenant_of(tenant: &api::TenantId) -> api::Result<TenantId> {
    TenantId::new(tenant.as_str()).map_err(|error| ApiError::internal("internal", error))
}

fn actor_of(staff: &Staff<WebhooksWrite>, request_id: &RequestId) -> api::Result<Actor> {
    Ok(Actor {
        tenant: tenant_of(&staff.tenant)?,
        name: format!("staff/{}", staff.staff_id),
        request_id: Some(request_id.to_string()),
    })
}

fn etag(version: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\""))
        .unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

fn tagged(endpoint: Endpoint) -> Response {
    let tag = etag(endpoint.version);
    let mut response = Json(EndpointView::from(endpoint)).into_response();
    response.headers_mut().insert(header::ETAG, tag);
    response
}

/// The version in `If-Match`, which staff have to name (RFC 6585 3).
fn version_of(headers: &HeaderMap) -> api::Result<i64> {
    let missing = || {
        let detail = "Send the `ETag` that was read as `If-Match`.";
        ApiError::precondition_required("if_match_required", detail)
    };
    let given = headers.get(header::IF_MATCH).ok_or_else(missing)?;
    let text = given.to_str().ok().and_then(|text| text.strip_prefix('"')?.strip_suffix('"'));
    // A tag that is none of ours names another version.
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or(0))
}

impl From<Endpoint> for EndpointView {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            id: endpoint.id,
            url: endpoint.url,
            description: endpoint.description,
            topics: endpoint.topics,
            state: endpoint.state,
            created_ms: endpoint.created_ms,
            failures: endpoint.failures,
            failing_since_ms: endpoint.failing_since_ms,
        }
    }
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        let is_pending = delivery.state == DeliveryState::Pending;
        Self {
            event_id: delivery.event_id,
            topic: delivery.topic,
            state: delivery.state,
            created_ms: delivery.created_ms,
            due_ms: is_pending.then_some(delivery.due_ms),
            attempts: delivery.attempts,
            last_status: delivery.last_status,
            last_outcome: delivery.last_outcome,
            finished_ms: delivery.finished_ms,
            is_erased: delivery.is_erased,
            sequence: delivery.sequence,
        }
    }
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        let Attempt { number, at_ms, duration_ms, status, outcome, answer } = attempt;
        Self { number, at_ms, duration_ms, status, outcome, answer }
    }
}
