//! Operations on things: translation only.

use api::etag::IfMatchParams;
use api::idempotency::{Claimed, IdempotencyParams, Idempotent, Recorded};
use api::page::PageParams;
use api::text::DisplayName;
use api::{
    ApiError, ETag, Guest, IfMatch, IfNoneMatch, Json, Machine, Page, Paged, Path, Query, Staff,
    Tagged, TenantId, Viewer,
};
use axum::extract::State;
use http::{StatusCode, header};
use platform::db::{Db, params};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::store::{self, EXPORT, FIND, LIST, REMOVE, RENAME};
use super::{ThingsExport, ThingsRead, ThingsWrite};

#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
pub struct Thing {
    pub id: String,
    pub owner_id: String,
    pub name: String,
    pub version: i64,
}

#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewThing {
    pub name: DisplayName,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Filters {
    /// Only those whose name begins so.
    #[param(max_length = 60)]
    prefix: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Pong {
    tenant: String,
    /// Who is signed in, if anybody.
    user_id: Option<String>,
}

pub fn routes(db: Db) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(ping))
        .routes(routes!(greet))
        .routes(routes!(list, create))
        .routes(routes!(show, remove))
        .routes(routes!(admin_show, admin_rename))
        .routes(routes!(export))
        .with_state(db)
}

fn missing() -> ApiError {
    ApiError::not_found("not_found", "There is no such thing.")
}

/// Answers anybody.
#[utoipa::path(get, path = "/v1/ping", operation_id = "things_ping", security(),
    responses((status = 200, body = Pong)))]
async fn ping(guest: Guest) -> Json<Pong> {
    Json(Pong { tenant: guest.tenant.to_string(), user_id: None })
}

/// Answers guests, and viewers by name.
#[utoipa::path(get, path = "/v1/greeting", operation_id = "things_greet",
    security((), ("viewer" = [])), responses((status = 200, body = Pong)))]
async fn greet(guest: Guest, viewer: Option<Viewer>) -> Json<Pong> {
    let user_id = viewer.map(|viewer| viewer.user_id);
    Json(Pong { tenant: guest.tenant.to_string(), user_id })
}

/// The caller's things.
#[utoipa::path(get, path = "/v1/things", operation_id = "things_list",
    security(("viewer" = [])), params(PageParams, Filters),
    responses((status = 200, body = Paged<Thing>)))]
async fn list(
    viewer: Viewer,
    State(db): State<Db>,
    page: Page,
    Query(filters): Query<Filters>,
) -> api::Result<Paged<Thing>> {
    let after: String = page.after()?.unwrap_or_default();
    let values = params![viewer.user_id.as_str(), after, page.rows()];
    let rows = db.tenant(&viewer.tenant).query(&LIST, values).await?;
    let things = rows.iter().map(store::thing).collect::<api::Result<Vec<_>>>()?;
    let prefix = filters.prefix.unwrap_or_default();
    let paged = page.answer(things, |thing| thing.id.clone())?;
    let items = paged.items.iter().filter(|thing| thing.name.starts_with(&prefix)).cloned();
    Ok(Paged { items: items.collect(), ..paged })
}

/// Makes a thing, once per key.
#[utoipa::path(post, path = "/v1/things", operation_id = "things_create",
    security(("viewer" = [])), params(IdempotencyParams), request_body = NewThing,
    responses((status = 201, body = Thing)))]
async fn create(
    viewer: Viewer,
    State(db): State<Db>,
    Idempotent { body, claim }: Idempotent<NewThing>,
) -> api::Result<Recorded> {
    let (tenant, owner, id) = (viewer.tenant.clone(), viewer.user_id, uuid::Uuid::now_v7());
    let input = (claim, body, owner, id.to_string());
    let scope = db.tenant(&tenant);
    let made = scope.tx(input, |tx, (claim, body, owner, id)| {
        Box::pin(async move {
            if let Claimed::Earlier(answer) = claim.claim(tx, now_ms()).await? {
                return Ok(answer);
            }
            let thing = store::insert(tx, id, owner, body).await?;
            let answer = Recorded::json(StatusCode::CREATED, &thing)?
                .header(&header::LOCATION, format!("/v1/things/{id}"));
            claim.complete(tx, now_ms(), answer).await
        })
    });
    made.await
}

async fn find(db: &Db, tenant: &TenantId, id: &str) -> api::Result<Thing> {
    let row = db.tenant(tenant).query_opt(&FIND, params![id]).await?;
    store::thing(&row.ok_or_else(missing)?)
}

/// One thing of the caller.
#[utoipa::path(get, path = "/v1/things/{id}", operation_id = "things_show",
    security(("viewer" = [])), params(("id" = String, Path)),
    responses((status = 200, body = Thing), (status = 304, description = "Not changed.")))]
async fn show(
    viewer: Viewer,
    State(db): State<Db>,
    Path(id): Path<String>,
    held: IfNoneMatch,
) -> api::Result<Tagged<Thing>> {
    let thing = find(&db, &viewer.tenant, &id).await?;
    if thing.owner_id != viewer.user_id {
        return Err(missing());
    }
    Ok(Tagged::new(ETag::of_version(thing.version), thing).unless(&held))
}

/// Removes a thing of the caller.
#[utoipa::path(delete, path = "/v1/things/{id}", operation_id = "things_remove",
    security(("viewer" = [])), params(("id" = String, Path)),
    responses((status = 204, description = "It is gone.")))]
async fn remove(
    viewer: Viewer,
    State(db): State<Db>,
    Path(id): Path<String>,
) -> api::Result<StatusCode> {
    let scope = db.tenant(&viewer.tenant);
    let removed = scope.tx((id, viewer.user_id), |tx, (id, owner)| {
        Box::pin(async move {
            Ok::<_, ApiError>(tx.execute(&REMOVE, params![id.as_str(), owner.as_str()]).await?)
        })
    });
    match removed.await? {
        0 => Err(missing()),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

/// Any thing.
#[utoipa::path(get, path = "/v1/admin/things/{id}", operation_id = "things_admin_show",
    security(("staff" = ["things:read"])), params(("id" = String, Path)),
    responses((status = 200, body = Thing), (status = 304, description = "Not changed.")))]
async fn admin_show(
    staff: Staff<ThingsRead>,
    State(db): State<Db>,
    Path(id): Path<String>,
    held: IfNoneMatch,
) -> api::Result<Tagged<Thing>> {
    let thing = find(&db, &staff.tenant, &id).await?;
    Ok(Tagged::new(ETag::of_version(thing.version), thing).unless(&held))
}

/// Renames any thing.
#[utoipa::path(put, path = "/v1/admin/things/{id}", operation_id = "things_admin_rename",
    security(("staff" = ["things:write"])), params(("id" = String, Path), IfMatchParams),
    request_body = NewThing, responses((status = 200, body = Thing)))]
async fn admin_rename(
    staff: Staff<ThingsWrite>,
    State(db): State<Db>,
    Path(id): Path<String>,
    on: IfMatch,
    Json(new): Json<NewThing>,
) -> api::Result<Tagged<Thing>> {
    let before = find(&db, &staff.tenant, &id).await?;
    let scope = db.tenant(&staff.tenant);
    let renamed = scope.tx((id.clone(), new, on.version()?), |tx, (id, new, on)| {
        Box::pin(async move {
            let values = params![id.as_str(), new.name.as_str(), *on];
            Ok::<_, ApiError>(tx.execute(&RENAME, values).await?)
        })
    });
    if renamed.await? == 0 {
        on.require(before.version)?;
        return Err(IfMatch::mismatch());
    }
    let thing = find(&db, &staff.tenant, &id).await?;
    Ok(Tagged::new(ETag::of_version(thing.version), thing))
}

/// All things.
#[utoipa::path(get, path = "/v1/export", operation_id = "things_export",
    security(("machine" = ["things:export"])), params(PageParams),
    responses((status = 200, body = Paged<Thing>)))]
async fn export(
    machine: Machine<ThingsExport>,
    State(db): State<Db>,
    page: Page,
) -> api::Result<Paged<Thing>> {
    let after: String = page.after()?.unwrap_or_default();
    let rows = db.tenant(&machine.tenant).query(&EXPORT, params![after, page.rows()]).await?;
    let things = rows.iter().map(store::thing).collect::<api::Result<Vec<_>>>()?;
    page.answer(things, |thing| thing.id.clone())
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
