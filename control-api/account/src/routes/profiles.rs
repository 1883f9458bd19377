//! `/v1/profiles`: the people of a household, what they watch and keep.

use api::etag::{ETag, IfMatch, Tagged};
use api::page::PageParams;
use api::problem::Problem;
use api::{Json, Page, Paged, Path, Result, Viewer};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Signed, SignedBare};
use crate::accounts::Accounts;
use crate::profile::{Change, ProfileView, Wish};
use crate::watch::{Heartbeat, HistoryItem, ListItem};

pub(super) fn routes() -> OpenApiRouter<Accounts> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, change, remove))
        .routes(routes!(select))
        .routes(routes!(preferences, patch_preferences))
        .routes(routes!(history, forget_all))
        .routes(routes!(heartbeat, forget))
        .routes(routes!(continue_watching))
        .routes(routes!(watchlist))
        .routes(routes!(keep, drop_one))
}

/// The profiles of an account. The plan bounds them, so the list has one page.
#[derive(Serialize, ToSchema)]
struct Profiles {
    items: Vec<ProfileView>,
}

/// What a profile is to be. A member that is absent stays; null takes it away.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
struct ProfileBody {
    #[schema(min_length = 1, max_length = 40)]
    name: Option<String>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 32)]
    avatar: Option<Option<String>>,
    is_kids: Option<bool>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 32, example = "PG-13")]
    rating_max: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, example = "nl")]
    language: Option<Option<String>>,
    /// Four to eight digits.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 4, max_length = 8)]
    pin: Option<Option<String>>,
    /// The PIN it has now, where it has one and is changed.
    #[schema(max_length = 8)]
    current_pin: Option<String>,
}

/// Tells an absent member from null.
fn present<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

fn wish_of(body: ProfileBody) -> Result<(Wish, Option<String>)> {
    let change = |member: Option<Option<String>>| match member {
        None => Change::Keep,
        Some(None) => Change::Clear,
        Some(Some(value)) => Change::Set(value),
    };
    let language = match change(body.language) {
        Change::Set(tag) => {
            let mut fields = api::Fields::default();
            let locale = fields.parse("/language", api::text::Locale::parse(&tag));
            fields.finish()?;
            locale.map_or(Change::Keep, |locale| Change::Set(locale.into_string()))
        }
        other => other,
    };
    let wish = Wish {
        name: body.name,
        avatar: change(body.avatar),
        is_kids: body.is_kids,
        rating_max: change(body.rating_max),
        language,
        pin: change(body.pin),
    };
    Ok((wish, body.current_pin))
}

fn tagged(view: ProfileView) -> Tagged<ProfileView> {
    Tagged::new(ETag::of_version(view.version), view)
}

/// Lists the profiles of the account.
#[utoipa::path(get, path = "/v1/profiles", operation_id = "profiles_list", tag = "profiles", security(("viewer" = [])),
    responses((status = 200, body = Profiles), SignedBare))]
async fn list(State(accounts): State<Accounts>, viewer: Viewer) -> Result<Json<Profiles>> {
    let items = accounts.profiles(&viewer.tenant, &viewer.user_id).await?;
    Ok(Json(Profiles { items }))
}

/// Adds a profile.
#[utoipa::path(post, path = "/v1/profiles", operation_id = "profiles_add", tag = "profiles", security(("viewer" = [])),
    request_body = ProfileBody,
    responses((status = 201, body = ProfileView),
        (status = 409, body = Problem<'_>, content_type = "application/problem+json",
            description = "The plan allows no more profiles."), Signed))]
async fn add(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    Json(body): Json<ProfileBody>,
) -> Result<Response> {
    let (wish, _) = wish_of(body)?;
    let view = accounts.add_profile(&viewer.tenant, &viewer.user_id, wish).await?;
    Ok((StatusCode::CREATED, tagged(view)).into_response())
}

/// One profile.
#[utoipa::path(get, path = "/v1/profiles/{profile_id}", operation_id = "profiles_show", tag = "profiles",
    security(("viewer" = [])), params(("profile_id" = String, Path)),
    responses((status = 200, body = ProfileView),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "There is no such profile."), SignedBare))]
async fn show(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Tagged<ProfileView>> {
    accounts.profile(&viewer.tenant, &viewer.user_id, &id).await.map(tagged)
}

/// Changes a profile. One with a PIN is changed with `current_pin` alone.
#[utoipa::path(patch, path = "/v1/profiles/{profile_id}", operation_id = "profiles_change", tag = "profiles",
    security(("viewer" = [])), params(("profile_id" = String, Path)), request_body = ProfileBody,
    responses((status = 200, body = ProfileView),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "There is no such profile."),
        (status = 412, body = Problem<'_>, content_type = "application/problem+json",
            description = "It has changed since."), Signed))]
async fn change(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    held: Option<IfMatch>,
    Path(id): Path<String>,
    Json(body): Json<ProfileBody>,
) -> Result<Tagged<ProfileView>> {
    let (wish, pin) = wish_of(body)?;
    let which = (viewer.user_id.as_str(), id.as_str());
    let changed =
        accounts.change_profile(&viewer.tenant, which, wish, pin.as_deref(), held.as_ref());
    changed.await.map(tagged)
}

#[derive(Default, Deserialize, ToSchema)]
struct PinBody {
    #[schema(max_length = 8)]
    pin: Option<String>,
}

/// Removes a profile with its history and lists.
#[utoipa::path(delete, path = "/v1/profiles/{profile_id}", operation_id = "profiles_remove", tag = "profiles",
    security(("viewer" = [])), params(("profile_id" = String, Path)), request_body = PinBody,
    responses((status = 204, description = "Removed."),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "There is no such profile."),
        (status = 409, body = Problem<'_>, content_type = "application/problem+json",
            description = "It is the last one."), Signed))]
async fn remove(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    Path(id): Path<String>,
    Json(body): Json<PinBody>,
) -> Result<StatusCode> {
    accounts.remove_profile(&viewer.tenant, &viewer.user_id, &id, body.pin.as_deref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Goes on in this profile. The next access token says so; this one is good meanwhile.
#[utoipa::path(post, path = "/v1/profiles/{profile_id}/select", operation_id = "profiles_select", tag = "profiles",
    security(("viewer" = [])), params(("profile_id" = String, Path)), request_body = PinBody,
    responses((status = 200, body = ProfileView),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "There is no such profile."), Signed))]
async fn select(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    Path(id): Path<String>,
    Json(body): Json<PinBody>,
) -> Result<Tagged<ProfileView>> {
    let who = (viewer.user_id.as_str(), viewer.session_id.as_str());
    accounts.select_profile(&viewer.tenant, who, &id, body.pin.as_deref()).await.map(tagged)
}

/// What the client keeps with the profile: any object up to 4 KiB.
#[utoipa::path(get, path = "/v1/profiles/{profile_id}/preferences", operation_id = "profiles_preferences", tag = "profiles",
    security(("viewer" = [])), params(("profile_id" = String, Path)),
    responses((status = 200, body = Object),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "There is no such profile."), SignedBare))]
async fn preferences(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Tagged<serde_json::Value>> {
    let (value, version) = accounts.preferences(&viewer.tenant, &viewer.user_id, &id).await?;
    Ok(Tagged::new(ETag::of_version(version), value))
}

/// Any object.
#[derive(Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
struct Patch(serde_json::Value);

/// Changes preferences by a merge patch (RFC 7396).
#[utoipa::path(patch, path = "/v1/profiles/{profile_id}/preferences", operation_id = "profiles_patch_preferences", tag = "profiles",
    security(("viewer" = [])), params(("profile_id" = String, Path)), request_body = Patch,
    responses((status = 200, body = Object),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "There is no such profile."),
        (status = 412, body = Problem<'_>, content_type = "application/problem+json",
            description = "It has changed since."), Signed))]
async fn patch_preferences(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    held: Option<IfMatch>,
    Path(id): Path<String>,
    Json(Patch(patch)): Json<Patch>,
) -> Result<Tagged<serde_json::Value>> {
    let which = (viewer.user_id.as_str(), id.as_str());
    let patched = accounts.patch_preferences(&viewer.tenant, which, &patch, held.as_ref());
    let (value, version) = patched.await?;
    Ok(Tagged::new(ETag::of_version(version), value))
}

/// What was watched, latest first.
#[utoipa::path(get, path = "/v1/profiles/{profile_id}/history", operation_id = "profiles_history", tag = "profiles",
    security(("viewer" = [])), params(("profile_id" = String, Path), PageParams),
    responses((status = 200, body = Paged<HistoryItem>),
        (status = 400, body = Problem<'_>, content_type = "application/problem+json",
            description = "The cursor is not of this list."),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "There is no such profile."), SignedBare))]
async fn history(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    Path(id): Path<String>,
    page: Page,
) -> Result<Paged<HistoryItem>> {
    history_page(&accounts, &viewer, &id, false, &page).await
}

/// What was begun and not finished, latest first.
#[utoipa::path(get, path = "/v1/profiles/{profile_id}/continue-watching", operation_id = "profiles_continue_watching", tag = "profiles",
    security(("viewer" = [])), params(("profile_id" = String, Path), PageParams),
    responses((status = 200, body = Paged<HistoryItem>),
        (status = 400, body = Problem<'_>, content_type = "application/problem+json",
            description = "The cursor is not of this list."),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "There is no such profile."), SignedBare))]
async fn continue_watching(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    Path(id): Path<String>,
    page: Page,
) -> Result<Paged<HistoryItem>> {
    history_page(&accounts, &viewer, &id, true, &page).await
}

async fn history_page(
    accounts: &Accounts,
    viewer: &Viewer,
    id: &str,
    is_continue: bool,
    page: &Page,
) -> Result<Paged<HistoryItem>> {
    let whose = (viewer.user_id.as_str(), id);
    let after = page.after()?;
    let rows = accounts.history(&viewer.tenant, whose, is_continue, after, page.rows()).await?;
    page.answer(rows, |item| (item.updated_at_ms, item.content_id.clone()))
}

#[derive(Deserialize, ToSchema)]
struct HeartbeatBody {
    /// UUIDv7 of the playback.
    #[schema(format = Uuid)]
    playback_id: String,
    /// Counts up within the playback, so that a late heartbeat is known as one.
    #[schema(minimum = 0)]
    client_seq: i64,
    #[schema(minimum = 0)]
    position_ms: i64,
    #[schema(minimum = 1)]
    duration_ms: i64,
    /// Where the credits begin: from there the title counts as seen.
    #[schema(minimum = 0)]
    credits_ms: Option<i64>,
}

/// Tells where the player is. The answer is what is kept, which may be newer than what was sent.
#[utoipa::path(put, path = "/v1/profiles/{profile_id}/history/{content_id}", operation_id = "profiles_heartbeat", tag = "profiles",
    security(("viewer" = [])), params(("profile_id" = String, Path), ("content_id" = String, Path)),
    request_body = HeartbeatBody,
    responses((status = 200, body = HistoryItem),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "There is no such profile."), Signed))]
async fn heartbeat(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    Path((id, content_id)): Path<(String, String)>,
    Json(body): Json<HeartbeatBody>,
) -> Result<Json<HistoryItem>> {
    let beat = Heartbeat {
        playback_id: body.playback_id,
        client_seq: body.client_seq,
        position_ms: body.position_ms,
        duration_ms: body.duration_ms,
        credits_ms: body.credits_ms,
    };
    let whose = (viewer.user_id.as_str(), id.as_str());
    accounts.heartbeat(&viewer.tenant, whose, &content_id, beat).await.map(Json)
}

/// Forgets that a title was watched.
#[utoipa::path(delete, path = "/v1/profiles/{profile_id}/history/{content_id}", operation_id = "profiles_forget", tag = "profiles",
    security(("viewer" = [])), params(("profile_id" = String, Path), ("content_id" = String, Path)),
    responses((status = 204, description = "Forgotten."),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "It is not there."), SignedBare))]
async fn forget(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    Path((id, content_id)): Path<(String, String)>,
) -> Result<StatusCode> {
    let whose = (viewer.user_id.as_str(), id.as_str());
    accounts.forget_history(&viewer.tenant, whose, Some(&content_id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets everything that was watched.
#[utoipa::path(delete, path = "/v1/profiles/{profile_id}/history", operation_id = "profiles_forget_all", tag = "profiles",
    security(("viewer" = [])), params(("profile_id" = String, Path)),
    responses((status = 204, description = "Forgotten."),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "There is no such profile."), SignedBare))]
async fn forget_all(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    let whose = (viewer.user_id.as_str(), id.as_str());
    accounts.forget_history(&viewer.tenant, whose, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is kept for later, latest first.
#[utoipa::path(get, path = "/v1/profiles/{profile_id}/watchlist", operation_id = "profiles_watchlist", tag = "profiles",
    security(("viewer" = [])), params(("profile_id" = String, Path), PageParams),
    responses((status = 200, body = Paged<ListItem>),
        (status = 400, body = Problem<'_>, content_type = "application/problem+json",
            description = "The cursor is not of this list."),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "There is no such profile."), SignedBare))]
async fn watchlist(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    Path(id): Path<String>,
    page: Page,
) -> Result<Paged<ListItem>> {
    let whose = (viewer.user_id.as_str(), id.as_str());
    let rows = accounts.watchlist(&viewer.tenant, whose, page.after()?, page.rows()).await?;
    page.answer(rows, |item| (item.added_at_ms, item.content_id.clone()))
}

/// Keeps a title for later; again is no mistake.
#[utoipa::path(put, path = "/v1/profiles/{profile_id}/watchlist/{content_id}", operation_id = "profiles_keep", tag = "profiles",
    security(("viewer" = [])), params(("profile_id" = String, Path), ("content_id" = String, Path)),
    responses((status = 204, description = "Kept."),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "There is no such profile."),
        (status = 409, body = Problem<'_>, content_type = "application/problem+json",
            description = "The list is full."), SignedBare))]
async fn keep(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    Path((id, content_id)): Path<(String, String)>,
) -> Result<StatusCode> {
    let whose = (viewer.user_id.as_str(), id.as_str());
    accounts.keep_for_later(&viewer.tenant, whose, &content_id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a title off the list.
#[utoipa::path(delete, path = "/v1/profiles/{profile_id}/watchlist/{content_id}",
    operation_id = "profiles_drop_one", tag = "profiles", security(("viewer" = [])),
    params(("profile_id" = String, Path), ("content_id" = String, Path)),
    responses((status = 204, description = "Taken off."),
        (status = 404, body = Problem<'_>, content_type = "application/problem+json",
            description = "It is not there."), SignedBare))]
async fn drop_one(
    State(accounts): State<Accounts>,
    viewer: Viewer,
    Path((id, content_id)): Path<(String, String)>,
) -> Result<StatusCode> {
    let whose = (viewer.user_id.as_str(), id.as_str());
    accounts.drop_from_list(&viewer.tenant, whose, &content_id).await?;
    Ok(StatusCode::NO_CONTENT)
}
