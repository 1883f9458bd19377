//! Things that viewers own, staff edits and machines export.

#![allow(unreachable_pub, reason = "a domain is a crate of its own elsewhere")]

mod routes;
mod store;

use std::sync::Arc;

use api::openapi::{Document, Part, assemble};
use api::permission::PermissionEntry;
use api::problem::{self, Style};
use api::testing::{Signed, signed};
use axum::Router;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header;
use platform::db::Db;
use utoipa_axum::router::OpenApiRouter;

pub use store::SCHEMA;

api::permissions! {
    ThingsRead = "things:read", "See the things of all viewers.";
    ThingsWrite = "things:write", "Change the things of all viewers.";
    ThingsExport = "things:export", "Read all things.";
}

pub fn routes(db: Db) -> OpenApiRouter {
    routes::routes(db)
}

pub fn document(db: Db) -> Document {
    let permissions: &'static [PermissionEntry] = PERMISSIONS;
    let document = routes(db).get_openapi().clone();
    assemble("0.0.0", &[Part { name: "things", document, permissions }]).unwrap()
}

/// The router with what the gateway would put in front. The host is the tenant's name.
pub fn app(db: Db) -> Router {
    let router: Router = routes(db).into();
    let style = Arc::new(Style::default());
    router
        .layer(axum::middleware::from_fn_with_state(style, problem::finish))
        .layer(axum::middleware::from_fn(front))
}

/// Makes a thing and gives its id.
#[allow(dead_code, reason = "the example server makes none")]
pub async fn make(app: &Router, tenant: &str, token: &str) -> String {
    let request = Request::builder()
        .method("POST")
        .uri("/v1/things")
        .header(header::HOST, tenant)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", uuid::Uuid::now_v7().to_string())
        .body(axum::body::Body::from(r#"{"name":"Ball"}"#))
        .unwrap();
    let response = tower::ServiceExt::oneshot(app.clone(), request).await.unwrap();
    assert_eq!(response.status(), 201);
    let location = response.headers()[header::LOCATION].to_str().unwrap();
    location.rsplit('/').next().unwrap().to_owned()
}

async fn front(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let tenant = host.unwrap_or("a").split(':').next().unwrap_or("a").replace('.', "-");
    next.run(signed(request, &Signed::nobody(&tenant))).await
}
