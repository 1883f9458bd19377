//! Requests through the router, without sockets.

use std::sync::Arc;

use api::{Authenticator, ClientAddress, Tenant};
use axum::Router;
use axum::body::{Body, to_bytes};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::testing::{PASSWORD, World, worlds};

/// The routes with what the gateway puts in front of them.
pub(super) struct App(Router);

impl App {
    pub(super) fn new(world: &World, tenant: &str) -> Self {
        let (router, _) = crate::routes(world.accounts.clone()).split_for_parts();
        let tenant = Tenant(platform::db::TenantId::new(tenant).unwrap());
        let authenticator: Arc<dyn Authenticator> = world.accounts.authenticator();
        let address = ClientAddress(Some("192.0.2.7".parse().unwrap()));
        let cursors = Arc::new(api::cursor::CursorKeys::new(&[1; 32], &[]));
        Self(
            router
                .layer(axum::Extension(tenant))
                .layer(axum::Extension(authenticator))
                .layer(axum::Extension(cursors))
                .layer(axum::Extension(address)),
        )
    }

    pub(super) async fn ask(
        &self,
        (method, path): (Method, &str),
        token: Option<&str>,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let response = self.0.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask((Method::POST, path), None, Some(body)).await
    }
}

#[tokio::test]
async fn register_verify_login_refresh_logout() {
    for world in worlds().await {
        let app = App::new(&world, "t1");
        let body = json!({"email": "ann@example.com", "password": PASSWORD, "country": "NL"});
        let (status, answer) = app.post("/v1/auth/register", body).await;
        assert_eq!((status, answer), (StatusCode::ACCEPTED, json!({"status": "check_mail"})));
        let token = world.token_mailed_to("ann@example.com");
        let (status, _) = app.post("/v1/auth/verify", json!({ "token": token })).await;
        assert_eq!(status, StatusCode::NO_CONTENT);

        let login = json!({"email": "ann@example.com", "password": PASSWORD, "device_name": "tv"});
        let (status, answer) = app.post("/v1/auth/login", login).await;
        assert_eq!((status, &answer["status"]), (StatusCode::OK, &json!("signed_in")));
        let refresh = json!({"refresh_token": answer["refresh_token"]});
        let (status, answer) = app.post("/v1/auth/refresh", refresh).await;
        assert_eq!(status, StatusCode::OK);
        let token = answer["access_token"].as_str();

        let (status, me) = app.ask((Method::GET, "/v1/me"), token, None).await;
        assert_eq!((status, &me["email"]), (StatusCode::OK, &json!("ann@example.com")));
        let (_, list) = app.ask((Method::GET, "/v1/auth/sessions"), token, None).await;
        assert_eq!(list["items"].as_array().unwrap().len(), 1);
        let (status, _) = app.ask((Method::POST, "/v1/auth/logout"), token, None).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        let (status, problem) = app.ask((Method::GET, "/v1/me"), token, None).await;
        assert_eq!((status, &problem["code"]), (StatusCode::UNAUTHORIZED, &json!("token_revoked")));
    }
}

#[tokio::test]
async fn a_token_is_worth_nothing_in_another_house() {
    for world in worlds().await {
        world.person("ann@example.com").await;
        let ann = world.signed_in("ann@example.com", "tv").await;
        let app = App::new(&world, "t2");
        let token = Some(ann.access_token.as_str());
        let (status, problem) = app.ask((Method::GET, "/v1/me"), token, None).await;
        assert_eq!((status, &problem["code"]), (StatusCode::UNAUTHORIZED, &json!("invalid_token")));
    }
}

/// Each operation that asks for a viewer says so in the document, and refuses others.
#[tokio::test]
async fn the_document_says_who_may_ask() {
    for world in worlds().await {
        let app = App::new(&world, "t1");
        let (_, document) = crate::routes(world.accounts.clone()).split_for_parts();
        let document = serde_json::to_value(document).unwrap();
        let mut asked = 0;
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                let place = path.replace(['{', '}'], "");
                let (status, _) = app.ask((method, &place), None, None).await;
                let is_open = operation["security"].as_array().is_some_and(Vec::is_empty);
                assert_eq!(status == StatusCode::UNAUTHORIZED, !is_open, "{path}: {status}");
                let declared = &operation["responses"];
                assert!(declared.get(status.as_str()).is_some(), "{path} answers {status}");
                asked += 1;
            }
        }
        assert!(asked >= 35, "{asked}");
    }
}

#[test]
fn codes_are_registered_once() {
    let registry = api::problem::Registry::new(&[crate::CODES], &[]);
    assert!(registry.find("refresh_token_reused").is_some());
}
