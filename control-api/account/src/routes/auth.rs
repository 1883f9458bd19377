//! `/v1/auth`: registering, signing in, sessions.

use api::problem::Problem;
use api::text::{Country, Locale};
use api::{ApiError, Fields, Json, Path, Result, Tenant, Viewer};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Open, SignedBare};
use crate::accounts::{Accounts, Client};
use crate::login::{Credentials, Login};
use crate::register::{Confirmation, Registration};
use crate::session::service::Device;
use crate::session::{SessionView, SignedIn};

pub(super) fn routes() -> OpenApiRouter<Accounts> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(verify))
        .routes(routes!(resend))
        .routes(routes!(login))
        .routes(routes!(refresh))
        .routes(routes!(logout))
        .routes(routes!(logout_all))
        .routes(routes!(list_sessions))
        .routes(routes!(end_session))
        .routes(routes!(forgot_password))
        .routes(routes!(reset_password))
        .routes(routes!(confirm_email))
}

/// Characters of what a device is called.
const DEVICE_NAME_CHARS_MAX: usize = 80;
const DEVICE_ID_BYTES_MAX: usize = 64;

#[derive(Deserialize, ToSchema)]
struct RegisterBody {
    #[schema(max_length = 254, example = "ann@example.com")]
    email: String,
    /// 8 to 128 characters of any kind.
    #[schema(min_length = 8, max_length = 128, format = Password)]
    password: String,
    /// ISO 3166-1 alpha-2.
    #[schema(example = "NL")]
    country: Option<String>,
    /// BCP 47.
    #[schema(example = "nl")]
    locale: Option<String>,
}

/// A mail is on its way, if the address takes one.
#[derive(Serialize, ToSchema)]
pub(super) struct MailSent {
    /// Always `check_mail`.
    #[schema(example = "check_mail")]
    status: &'static str,
}

/// Registers a person.
///
/// The answer is the same whether the address is known or not; the mail tells the rest.
#[utoipa::path(post, path = "/v1/auth/register", security(), operation_id = "auth_register", tag = "auth", request_body = RegisterBody,
    responses((status = 202, body = MailSent), (status = 400, body = Problem<'_>,
        content_type = "application/problem+json", description = "The body can't be read."), Open))]
async fn register(
    State(accounts): State<Accounts>,
    tenant: Tenant,
    client: Client,
    Json(body): Json<RegisterBody>,
) -> Result<Response> {
    let registration = read_registration((body.email, body.password), body.country, body.locale)?;
    accounts.register(tenant.id(), &client, &registration).await?;
    Ok(mail_sent())
}

pub(crate) fn read_registration(
    (email, password): (String, String),
    country: Option<String>,
    locale: Option<String>,
) -> Result<Registration> {
    let mut fields = Fields::default();
    let country = country.map(|text| fields.parse("/country", Country::parse(&text)));
    let locale = locale.map(|text| fields.parse("/locale", Locale::parse(&text)));
    fields.finish()?;
    Ok(Registration {
        email,
        password,
        country: country.flatten().map(Country::into_string),
        locale: locale.flatten().map(Locale::into_string),
    })
}

pub(super) fn mail_sent() -> Response {
    (StatusCode::ACCEPTED, axum::Json(MailSent { status: "check_mail" })).into_response()
}

/// Either the token of the link, or address and code.
#[derive(Deserialize, ToSchema)]
struct VerifyBody {
    token: Option<String>,
    #[schema(max_length = 254)]
    email: Option<String>,
    /// Six digits.
    #[schema(max_length = 12)]
    code: Option<String>,
}

/// Confirms the address of a registration.
#[utoipa::path(post, path = "/v1/auth/verify", security(), operation_id = "auth_verify", tag = "auth", request_body = VerifyBody,
    responses((status = 204, description = "Confirmed; sign in now."), Open))]
async fn verify(
    State(accounts): State<Accounts>,
    tenant: Tenant,
    Json(body): Json<VerifyBody>,
) -> Result<StatusCode> {
    let confirmation = match (body.token, body.email, body.code) {
        (Some(token), None, None) => Confirmation::Token(token),
        (None, Some(email), Some(code)) => Confirmation::Code { email, code },
        _ => {
            let detail = "Send either `token`, or `email` and `code`.";
            return Err(ApiError::bad_request("bad_request", detail));
        }
    };
    accounts.verify(tenant.id(), &confirmation).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
struct EmailBody {
    #[schema(max_length = 254)]
    email: String,
}

/// Sends the mail of a registration once more.
#[utoipa::path(post, path = "/v1/auth/verify/resend", security(), operation_id = "auth_resend", tag = "auth", request_body = EmailBody,
    responses((status = 202, body = MailSent), Open))]
async fn resend(
    State(accounts): State<Accounts>,
    tenant: Tenant,
    Json(body): Json<EmailBody>,
) -> Result<Response> {
    accounts.resend_verification(tenant.id(), &body.email).await?;
    Ok(mail_sent())
}

#[derive(Deserialize, ToSchema)]
struct LoginBody {
    #[schema(max_length = 254)]
    email: String,
    #[schema(max_length = 128, format = Password)]
    password: String,
    /// Made and kept by the app: a new sign-in on the device replaces its session.
    #[schema(max_length = 64)]
    device_id: Option<String>,
    /// For the list of sessions.
    #[schema(max_length = 80, example = "Living room")]
    device_name: Option<String>,
}

/// How far a sign-in has come.
#[derive(Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "snake_case")]
enum LoginAnswer {
    SignedIn(SignedIn),
    /// Send a code with this token to `/v1/auth/mfa/verify` within ten minutes.
    MfaRequired {
        mfa_token: String,
    },
}

/// Signs in with a password.
#[utoipa::path(post, path = "/v1/auth/login", security(), operation_id = "auth_login", tag = "auth", request_body = LoginBody,
    responses((status = 200, body = LoginAnswer),
        (status = 401, body = Problem<'_>, content_type = "application/problem+json",
            description = "Address or password is wrong."),
        (status = 403, body = Problem<'_>, content_type = "application/problem+json",
            description = "The account is not confirmed, suspended or being deleted."), Open))]
async fn login(
    State(accounts): State<Accounts>,
    tenant: Tenant,
    client: Client,
    Json(body): Json<LoginBody>,
) -> Result<Json<LoginAnswer>> {
    let device = read_device(body.device_id, body.device_name)?;
    let credentials = Credentials { email: body.email, password: body.password, device };
    Ok(Json(match accounts.login(tenant.id(), &client, &credentials).await? {
        Login::SignedIn(signed_in) => LoginAnswer::SignedIn(signed_in),
        Login::SecondFactor { token } => LoginAnswer::MfaRequired { mfa_token: token.text() },
    }))
}

pub(crate) fn read_device(id: Option<String>, name: Option<String>) -> Result<Device> {
    let mut fields = Fields::default();
    let is_id = |id: &String| {
        (1..=DEVICE_ID_BYTES_MAX).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
    };
    let detail = "Take 1 to 64 letters, digits and `-_.:`.";
    fields.require(id.as_ref().is_none_or(is_id), "/device_id", "invalid_text", detail);
    let is_name = |name: &String| {
        name.chars().count() <= DEVICE_NAME_CHARS_MAX && !name.chars().any(char::is_control)
    };
    let detail = "Take at most 80 characters, and no control characters.";
    fields.require(name.as_ref().is_none_or(is_name), "/device_name", "invalid_text", detail);
    fields.finish()?;
    Ok(Device { id, name: name.unwrap_or_default() })
}

#[derive(Deserialize, ToSchema)]
struct RefreshBody {
    #[schema(max_length = 64)]
    refresh_token: String,
}

/// The next tokens of a session.
///
/// A refresh token is good once. Sent again within half a minute it brings the same answer, for
/// clients whose answer was lost; sent again later it ends the session.
#[utoipa::path(post, path = "/v1/auth/refresh", security(), operation_id = "auth_refresh", tag = "auth", request_body = RefreshBody,
    responses((status = 200, body = SignedIn),
        (status = 401, body = Problem<'_>, content_type = "application/problem+json",
            description = "The session has ended."), Open))]
async fn refresh(
    State(accounts): State<Accounts>,
    tenant: Tenant,
    client: Client,
    Json(body): Json<RefreshBody>,
) -> Result<Json<SignedIn>> {
    accounts.refresh(tenant.id(), &client, &body.refresh_token).await.map(Json)
}

/// Ends the session that asks.
#[utoipa::path(post, path = "/v1/auth/logout", operation_id = "auth_logout", tag = "auth", security(("viewer" = [])),
    responses((status = 204, description = "Signed out."),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "It ended at the same moment."), SignedBare))]
async fn logout(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    client: Client,
) -> Result<StatusCode> {
    accounts.end_session(&viewer.tenant, &viewer.user_id, &viewer.session_id, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends all sessions, that of the caller included.
#[utoipa::path(post, path = "/v1/auth/logout-all", operation_id = "auth_logout_all", tag = "auth", security(("viewer" = [])),
    responses((status = 204, description = "Signed out everywhere."), SignedBare))]
async fn logout_all(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    client: Client,
) -> Result<StatusCode> {
    accounts.end_all_sessions(&viewer.tenant, &viewer.user_id, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The caller's sessions. There are never more than the plan allows, so the list has one page.
#[derive(Serialize, ToSchema)]
struct Sessions {
    items: Vec<SessionView>,
}

/// Lists where the caller is signed in, most recently used first.
#[utoipa::path(get, path = "/v1/auth/sessions", operation_id = "auth_list_sessions", tag = "auth", security(("viewer" = [])),
    responses((status = 200, body = Sessions), SignedBare))]
async fn list_sessions(State(accounts): State<Accounts>, viewer: Viewer) -> Result<Json<Sessions>> {
    let items = accounts.list_sessions(&viewer.tenant, &viewer.user_id, &viewer.session_id).await?;
    Ok(Json(Sessions { items }))
}

/// Signs a device out.
#[utoipa::path(delete, path = "/v1/auth/sessions/{session_id}", operation_id = "auth_end_session", tag = "auth",
    security(("viewer" = [])),
    params(("session_id" = String, Path, description = "A session of the caller.")),
    responses((status = 204, description = "Signed out."),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "There is no such session."), SignedBare))]
async fn end_session(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    client: Client,
    Path(session_id): Path<String>,
) -> Result<StatusCode> {
    accounts.end_session(&viewer.tenant, &viewer.user_id, &session_id, &client).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mails a link that sets a new password.
#[utoipa::path(post, path = "/v1/auth/password/forgot", security(), operation_id = "auth_forgot_password", tag = "auth", request_body = EmailBody,
    responses((status = 202, body = MailSent), Open))]
async fn forgot_password(
    State(accounts): State<Accounts>,
    tenant: Tenant,
    client: Client,
    Json(body): Json<EmailBody>,
) -> Result<Response> {
    accounts.forgot_password(tenant.id(), &client, &body.email).await?;
    Ok(mail_sent())
}

#[derive(Deserialize, ToSchema)]
struct ResetBody {
    #[schema(max_length = 64)]
    token: String,
    #[schema(min_length = 8, max_length = 128, format = Password)]
    password: String,
}

/// Sets a new password with a mailed token. All sessions end.
#[utoipa::path(post, path = "/v1/auth/password/reset", security(), operation_id = "auth_reset_password", tag = "auth", request_body = ResetBody,
    responses((status = 204, description = "Set; sign in with it."), Open))]
async fn reset_password(
    State(accounts): State<Accounts>,
    tenant: Tenant,
    client: Client,
    Json(body): Json<ResetBody>,
) -> Result<StatusCode> {
    accounts.reset_password(tenant.id(), &client, (&body.token, &body.password)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
struct TokenBody {
    #[schema(max_length = 64)]
    token: String,
}

/// Confirms a new address with the token that went to it.
#[utoipa::path(post, path = "/v1/auth/email/confirm", security(), operation_id = "auth_confirm_email", tag = "auth", request_body = TokenBody,
    responses((status = 204, description = "The account has the new address."),
        (status = 409, body = Problem<'_>, content_type = "application/problem+json",
            description = "The address has another account."), Open))]
async fn confirm_email(
    State(accounts): State<Accounts>,
    tenant: Tenant,
    client: Client,
    Json(body): Json<TokenBody>,
) -> Result<StatusCode> {
    accounts.confirm_email(tenant.id(), &client, &body.token).await?;
    Ok(StatusCode::NO_CONTENT)
}
