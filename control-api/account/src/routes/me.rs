//! `/v1/me`: the account of who asks.

use api::problem::Problem;
use api::{Json, Result, Viewer};
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::{MailSent, mail_sent};
use super::{Signed, SignedBare};
use crate::accounts::{Accounts, Client};

pub(super) fn routes() -> OpenApiRouter<Accounts> {
    OpenApiRouter::new()
        .routes(routes!(me))
        .routes(routes!(change_password))
        .routes(routes!(change_email))
}

/// An account, as its owner sees it.
#[derive(Serialize, ToSchema)]
struct Me {
    id: String,
    email: String,
    country: Option<String>,
    locale: Option<String>,
    created_at_ms: i64,
    /// What was paid for.
    tier: String,
    sessions_max: u32,
    profiles_max: u32,
    /// The session that asks, and the profile it is in.
    session_id: String,
    profile_id: Option<String>,
}

/// Tells who asks.
#[utoipa::path(get, path = "/v1/me", operation_id = "me_me", tag = "me", security(("viewer" = [])),
    responses((status = 200, body = Me),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "The account was deleted at this moment."), SignedBare))]
async fn me(State(accounts): State<Accounts>, viewer: Viewer) -> Result<Json<Me>> {
    let user = accounts.user(&viewer.tenant, &viewer.user_id).await?;
    let tier = accounts.tier(&viewer.tenant, &viewer.user_id).await?;
    Ok(Json(Me {
        id: user.id,
        email: user.email,
        country: user.country,
        locale: user.locale,
        created_at_ms: user.created_at_ms,
        tier: tier.name,
        sessions_max: tier.sessions_max,
        profiles_max: tier.profiles_max,
        session_id: viewer.session_id,
        profile_id: viewer.profile_id,
    }))
}

#[derive(Deserialize, ToSchema)]
struct PasswordBody {
    #[schema(max_length = 128, format = Password)]
    old_password: String,
    #[schema(min_length = 8, max_length = 128, format = Password)]
    password: String,
}

/// Sets a new password. All other sessions end.
#[utoipa::path(put, path = "/v1/me/password", operation_id = "me_change_password", tag = "me", security(("viewer" = [])),
    request_body = PasswordBody,
    responses((status = 204, description = "Set."),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "The account was deleted at this moment."), Signed))]
async fn change_password(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    client: Client,
    Json(body): Json<PasswordBody>,
) -> Result<StatusCode> {
    let who = (viewer.user_id.as_str(), viewer.session_id.as_str());
    let passwords = (body.old_password.as_str(), body.password.as_str());
    accounts.change_password(&viewer.tenant, &client, who, passwords).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
struct EmailBody {
    #[schema(max_length = 128, format = Password)]
    password: String,
    #[schema(max_length = 254)]
    email: String,
}

/// Mails a link to a new address; the old one stays until the link is opened.
#[utoipa::path(post, path = "/v1/me/email", operation_id = "me_change_email", tag = "me", security(("viewer" = [])),
    request_body = EmailBody,
    responses((status = 202, body = MailSent),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "The account was deleted at this moment."), Signed))]
async fn change_email(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    Json(body): Json<EmailBody>,
) -> Result<Response> {
    let change = (body.password.as_str(), body.email.as_str());
    accounts.change_email(&viewer.tenant, &viewer.user_id, change).await?;
    Ok(mail_sent())
}
