//! `/v1/auth/device`: signing in a television (RFC 8628), with bodies in JSON.

use api::problem::Problem;
use api::{Json, Query, Result, Tenant, Viewer};
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::read_device;
use super::{Open, Signed, SignedBare};
use crate::accounts::{Accounts, Client};
use crate::device::{DeviceCode, PendingDevice};
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Accounts> {
    OpenApiRouter::new()
        .routes(routes!(start_device))
        .routes(routes!(device_tokens))
        .routes(routes!(look_up_device, decide_device))
}

#[derive(Deserialize, ToSchema)]
struct DeviceCodeBody {
    /// Shown to who approves, and in the list of sessions.
    #[schema(max_length = 80, example = "Living room")]
    device_name: Option<String>,
}

/// Begins the sign-in of a television: codes to show and to keep.
#[utoipa::path(post, path = "/v1/auth/device/code", security(), operation_id = "auth_start_device", tag = "auth",
    request_body = DeviceCodeBody, responses((status = 200, body = DeviceCode), Open))]
async fn start_device(
    State(accounts): State<Accounts>,
    tenant: Tenant,
    client: Client,
    Json(body): Json<DeviceCodeBody>,
) -> Result<Json<DeviceCode>> {
    let device = read_device(None, body.device_name)?;
    accounts.start_device(tenant.id(), &client, &device.name).await.map(Json)
}

#[derive(Deserialize, ToSchema)]
struct DeviceTokenBody {
    #[schema(max_length = 64)]
    device_code: String,
}

/// The tokens of a television, once it is approved.
///
/// Until then 400 with the code `authorization_pending`, or `slow_down` for who asks before the
/// interval is over; afterwards `access_denied` or `expired_token`.
#[utoipa::path(post, path = "/v1/auth/device/token", security(), operation_id = "auth_device_tokens", tag = "auth",
    request_body = DeviceTokenBody, responses((status = 200, body = SignedIn), Open))]
async fn device_tokens(
    State(accounts): State<Accounts>,
    tenant: Tenant,
    client: Client,
    Json(body): Json<DeviceTokenBody>,
) -> Result<Json<SignedIn>> {
    accounts.device_tokens(tenant.id(), &client, &body.device_code).await.map(Json)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeviceQuery {
    /// As the television shows it; case, hyphens and blanks don't matter.
    #[param(max_length = 32)]
    user_code: String,
}

/// Tells which television a code belongs to.
#[utoipa::path(get, path = "/v1/auth/device", operation_id = "auth_look_up_device", tag = "auth",
    security(("viewer" = [])), params(DeviceQuery),
    responses((status = 200, body = PendingDevice),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "The code is wrong, was used or has expired."), SignedBare))]
async fn look_up_device(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    Query(query): Query<DeviceQuery>,
) -> Result<Json<PendingDevice>> {
    accounts.look_up_device(&viewer.tenant, &viewer.user_id, &query.user_code).await.map(Json)
}

#[derive(Deserialize, ToSchema)]
struct DeviceDecisionBody {
    #[schema(max_length = 32)]
    user_code: String,
    /// False refuses the television.
    approve: bool,
}

/// Approves or denies a television.
#[utoipa::path(post, path = "/v1/auth/device", operation_id = "auth_decide_device", tag = "auth",
    security(("viewer" = [])), request_body = DeviceDecisionBody,
    responses((status = 204, description = "Decided."),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "The code is wrong, was used or has expired."), Signed))]
async fn decide_device(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    client: Client,
    Json(body): Json<DeviceDecisionBody>,
) -> Result<StatusCode> {
    let decision = (body.user_code.as_str(), body.approve);
    accounts.decide_device(&viewer.tenant, &client, &viewer.user_id, decision).await?;
    Ok(StatusCode::NO_CONTENT)
}
