//! `/v1/auth/mfa`: second factors.

use api::problem::Problem;
use api::{Json, Result, Tenant, Viewer};
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Open, Signed, SignedBare};
use crate::accounts::{Accounts, Client};
use crate::mfa::{Enrolment, FactorView, SecondFactor};
use crate::session::SignedIn;

pub(super) fn routes() -> OpenApiRouter<Accounts> {
    OpenApiRouter::new()
        .routes(routes!(factors))
        .routes(routes!(verify))
        .routes(routes!(enrol))
        .routes(routes!(confirm))
        .routes(routes!(disable))
        .routes(routes!(renew_codes))
}

/// Tells which second factors are enrolled.
#[utoipa::path(get, path = "/v1/auth/mfa", operation_id = "mfa_factors", tag = "auth", security(("viewer" = [])),
    responses((status = 200, body = FactorView), SignedBare))]
async fn factors(State(accounts): State<Accounts>, viewer: Viewer) -> Result<Json<FactorView>> {
    accounts.factors(&viewer.tenant, &viewer.user_id).await.map(Json)
}

#[derive(Deserialize, ToSchema)]
struct VerifyBody {
    /// As `/v1/auth/login` gave it.
    #[schema(max_length = 64)]
    mfa_token: String,
    /// Six digits of the app, or a recovery code.
    #[schema(max_length = 32)]
    code: String,
}

/// The second half of a sign-in.
#[utoipa::path(post, path = "/v1/auth/mfa/verify", security(), operation_id = "mfa_verify", tag = "auth", request_body = VerifyBody,
    responses((status = 200, body = SignedIn),
        (status = 401, body = Problem<'_>, content_type = "application/problem+json",
            description = "The first half is too old; begin again."),
        (status = 403, body = Problem<'_>, content_type = "application/problem+json",
            description = "The code is wrong."),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "The account was deleted at this moment."), Open))]
async fn verify(
    State(accounts): State<Accounts>,
    tenant: Tenant,
    client: Client,
    Json(body): Json<VerifyBody>,
) -> Result<Json<SignedIn>> {
    let factor = SecondFactor { token: body.mfa_token, code: body.code };
    accounts.second_factor(tenant.id(), &client, &factor).await.map(Json)
}

#[derive(Deserialize, ToSchema)]
struct PasswordBody {
    #[schema(max_length = 128, format = Password)]
    password: String,
}

/// Begins to enrol an authenticator app. It counts once it is confirmed.
#[utoipa::path(post, path = "/v1/auth/mfa/totp", operation_id = "mfa_enrol", tag = "auth", security(("viewer" = [])),
    request_body = PasswordBody,
    responses((status = 200, body = Enrolment),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "The account was deleted at this moment."),
        (status = 409, body = Problem<'_>, content_type = "application/problem+json",
            description = "An app is enrolled."), Signed))]
async fn enrol(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    Json(body): Json<PasswordBody>,
) -> Result<Json<Enrolment>> {
    accounts.enrol_totp(&viewer.tenant, &viewer.user_id, &body.password).await.map(Json)
}

#[derive(Deserialize, ToSchema)]
struct CodeBody {
    #[schema(max_length = 32)]
    code: String,
}

/// Codes for the day the app is lost, each good once. They are shown this once.
#[derive(Serialize, ToSchema)]
struct RecoveryCodes {
    recovery_codes: Vec<String>,
}

/// Ends the enrolment with a code of the app.
#[utoipa::path(post, path = "/v1/auth/mfa/totp/confirm", operation_id = "mfa_confirm", tag = "auth", security(("viewer" = [])),
    request_body = CodeBody,
    responses((status = 200, body = RecoveryCodes),
        (status = 409, body = Problem<'_>, content_type = "application/problem+json",
            description = "No enrolment was begun."), Signed))]
async fn confirm(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    client: Client,
    Json(body): Json<CodeBody>,
) -> Result<Json<RecoveryCodes>> {
    let codes = accounts.confirm_totp(&viewer.tenant, &viewer.user_id, &body.code, &client).await?;
    Ok(Json(RecoveryCodes { recovery_codes: codes }))
}

#[derive(Deserialize, ToSchema)]
struct ProofBody {
    #[schema(max_length = 128, format = Password)]
    password: String,
    /// Six digits of the app, or a recovery code.
    #[schema(max_length = 32)]
    code: String,
}

/// Takes the app off.
#[utoipa::path(post, path = "/v1/auth/mfa/totp/disable", operation_id = "mfa_disable", tag = "auth", security(("viewer" = [])),
    request_body = ProofBody,
    responses((status = 204, description = "Signing in takes the password alone."),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "The account was deleted at this moment."), Signed))]
async fn disable(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    client: Client,
    Json(body): Json<ProofBody>,
) -> Result<StatusCode> {
    let proof = (body.password.as_str(), body.code.as_str());
    accounts.disable_totp(&viewer.tenant, &viewer.user_id, proof, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes ten new recovery codes; the old ones are worth nothing then.
#[utoipa::path(post, path = "/v1/auth/mfa/recovery-codes", operation_id = "mfa_renew_codes", tag = "auth",
    security(("viewer" = [])), request_body = ProofBody,
    responses((status = 200, body = RecoveryCodes),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "The account was deleted at this moment."), Signed))]
async fn renew_codes(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    client: Client,
    Json(body): Json<ProofBody>,
) -> Result<Json<RecoveryCodes>> {
    let proof = (body.password.as_str(), body.code.as_str());
    let codes =
        accounts.renew_recovery_codes(&viewer.tenant, &viewer.user_id, proof, &client).await?;
    Ok(Json(RecoveryCodes { recovery_codes: codes }))
}
