//! `/v1/admin/auth`: signing in as staff.

use api::problem::Problem;
use api::{Json, Result, Staff, Tenant};
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::service::{StaffLogin, StaffSignedIn};
use crate::accounts::{Accounts, Client};
use crate::mfa::Enrolment;
use crate::routes::{Open, SignedBare};

pub(crate) fn routes() -> OpenApiRouter<Accounts> {
    OpenApiRouter::new()
        .routes(routes!(setup))
        .routes(routes!(login))
        .routes(routes!(mfa))
        .routes(routes!(refresh))
        .routes(routes!(logout))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SetupBody {
    /// As it stands in `setup-token` of the data directory.
    #[schema(max_length = 64)]
    token: String,
    #[schema(max_length = 254)]
    email: String,
    /// 8 to 128 characters of any kind.
    #[schema(min_length = 8, max_length = 128, format = Password)]
    password: String,
}

#[derive(Serialize, ToSchema)]
struct StaffCreated {
    staff_id: String,
}

/// Makes the first administrator.
#[utoipa::path(post, path = "/v1/admin/auth/setup", security(), operation_id = "admin_setup", tag = "admin",
    request_body = SetupBody,
    responses((status = 201, body = StaffCreated),
        (status = 403, body = Problem<'_>, content_type = "application/problem+json",
            description = "The token is wrong, too old or was used."), Open))]
async fn setup(
    State(accounts): State<Accounts>,
    tenant: Tenant,
    client: Client,
    Json(body): Json<SetupBody>,
) -> Result<(StatusCode, Json<StaffCreated>)> {
    let credentials = (body.email.as_str(), body.password.as_str());
    let staff_id = accounts.set_up(tenant.id(), &client, &body.token, credentials).await?;
    Ok((StatusCode::CREATED, Json(StaffCreated { staff_id })))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StaffLoginBody {
    #[schema(max_length = 254)]
    email: String,
    #[schema(max_length = 128, format = Password)]
    password: String,
}

/// A password never signs staff in alone. Send a code with the token to `/v1/admin/auth/mfa` within
/// ten minutes.
#[derive(Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
enum StaffLoginAnswer {
    MfaRequired {
        mfa_token: String,
    },
    /// Enrol this app; its first code ends the enrolment and the sign-in.
    EnrolmentRequired {
        mfa_token: String,
        enrolment: Enrolment,
    },
}

/// Checks a password of staff.
#[utoipa::path(post, path = "/v1/admin/auth/login", security(), operation_id = "admin_login", tag = "admin",
    request_body = StaffLoginBody,
    responses((status = 200, body = StaffLoginAnswer),
        (status = 401, body = Problem<'_>, content_type = "application/problem+json",
            description = "Address or password is wrong."),
        (status = 403, body = Problem<'_>, content_type = "application/problem+json",
            description = "The account is suspended."), Open))]
async fn login(
    State(accounts): State<Accounts>,
    tenant: Tenant,
    client: Client,
    Json(body): Json<StaffLoginBody>,
) -> Result<Json<StaffLoginAnswer>> {
    let credentials = (body.email.as_str(), body.password.as_str());
    Ok(Json(match accounts.staff_login(tenant.id(), &client, credentials).await? {
        StaffLogin::Code { token } => StaffLoginAnswer::MfaRequired { mfa_token: token.text() },
        StaffLogin::Enrol { token, enrolment } => {
            StaffLoginAnswer::EnrolmentRequired { mfa_token: token.text(), enrolment }
        }
    }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StaffMfaBody {
    /// As `/v1/admin/auth/login` gave it.
    #[schema(max_length = 64)]
    mfa_token: String,
    /// Six digits of the app, or a recovery code.
    #[schema(max_length = 32)]
    code: String,
}

/// The second half of a sign-in; enrols the app where none was.
#[utoipa::path(post, path = "/v1/admin/auth/mfa", security(), operation_id = "admin_mfa", tag = "admin",
    request_body = StaffMfaBody,
    responses((status = 200, body = StaffSignedIn),
        (status = 401, body = Problem<'_>, content_type = "application/problem+json",
            description = "The first half is too old; begin again."),
        (status = 403, body = Problem<'_>, content_type = "application/problem+json",
            description = "The code is wrong."), Open))]
async fn mfa(
    State(accounts): State<Accounts>,
    tenant: Tenant,
    client: Client,
    Json(body): Json<StaffMfaBody>,
) -> Result<Json<StaffSignedIn>> {
    let factor = (body.mfa_token.as_str(), body.code.as_str());
    accounts.staff_mfa(tenant.id(), &client, factor).await.map(Json)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StaffRefreshBody {
    #[schema(max_length = 64)]
    refresh_token: String,
}

/// The next tokens of a session of staff.
#[utoipa::path(post, path = "/v1/admin/auth/refresh", security(), operation_id = "admin_refresh", tag = "admin",
    request_body = StaffRefreshBody,
    responses((status = 200, body = StaffSignedIn),
        (status = 401, body = Problem<'_>, content_type = "application/problem+json",
            description = "The session has ended."), Open))]
async fn refresh(
    State(accounts): State<Accounts>,
    tenant: Tenant,
    client: Client,
    Json(body): Json<StaffRefreshBody>,
) -> Result<Json<StaffSignedIn>> {
    accounts.staff_refresh(tenant.id(), &client, &body.refresh_token).await.map(Json)
}

/// Ends the session that asks.
#[utoipa::path(post, path = "/v1/admin/auth/logout", operation_id = "admin_logout", tag = "admin",
    security(("staff" = [])),
    responses((status = 204, description = "Signed out."), SignedBare))]
async fn logout(
    State(accounts): State<Accounts>,
    staff: Staff,
    client: Client,
) -> Result<StatusCode> {
    accounts.staff_logout(&staff, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}
