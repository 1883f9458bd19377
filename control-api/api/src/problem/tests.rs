use axum::Router;
use axum::body::to_bytes;
use axum::routing::get;
use http::Request;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::RequestId;

fn app() -> Router {
    let style = Arc::new(Style::default());
    Router::new()
        .route("/fails", get(|| async { ApiError::internal("internal", "the secret cause") }))
        .route(
            "/taken",
            get(|| async {
                let challenge = Challenge { realm: "viewer", error: None, scope: Some("a:b") };
                ApiError::unauthorized("credentials_missing", "No.").challenge(challenge)
            }),
        )
        .route("/later", get(|| async { ApiError::unavailable("busy", "No.").retry_after(3) }))
        .route("/bare", get(|| async { StatusCode::PAYLOAD_TOO_LARGE }))
        .layer(axum::middleware::from_fn_with_state(style, finish))
        .layer(axum::Extension(RequestId::parse("r-1").unwrap()))
}

async fn ask(method: &str, path: &str) -> (HeaderMap, StatusCode, Vec<u8>) {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = Request::builder().method(method).uri(path).header("traceparent", parent);
    let response = app().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    (parts.headers, parts.status, to_bytes(body, 1 << 16).await.unwrap().to_vec())
}

async fn problem(method: &str, path: &str) -> (HeaderMap, Value) {
    let (headers, status, body) = ask(method, path).await;
    assert_eq!(headers[header::CONTENT_TYPE], CONTENT_TYPE);
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["status"], status.as_u16());
    assert_eq!(problem["type"], format!("/problems/{}", problem["code"].as_str().unwrap()));
    (headers, problem)
}

#[tokio::test]
async fn problems_know_where_they_happened_and_hide_why() {
    let (_, problem) = problem("GET", "/fails?q=1").await;
    assert_eq!(problem["instance"], "/fails");
    assert_eq!(problem["request_id"], "r-1");
    assert_eq!(problem["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(problem["title"], "Internal error");
    assert!(!problem.to_string().contains("secret"));
}

#[tokio::test]
async fn headers_say_what_to_do() {
    let (headers, _) = problem("GET", "/taken").await;
    assert_eq!(headers[header::WWW_AUTHENTICATE], "Bearer realm=\"viewer\", scope=\"a:b\"");
    let (headers, _) = problem("GET", "/later").await;
    assert_eq!(headers[header::RETRY_AFTER], "3");
}

#[tokio::test]
async fn what_no_handler_wrote_is_a_problem_too() {
    let (_, none) = problem("GET", "/none").await;
    assert_eq!(none["code"], "no_such_route");
    let (headers, wrong) = problem("DELETE", "/fails").await;
    assert_eq!(wrong["code"], "method_not_allowed");
    assert_eq!(headers[header::ALLOW], "GET,HEAD");
    let (_, bare) = problem("GET", "/bare").await;
    assert_eq!(bare["code"], "body_too_large");
}

#[tokio::test]
async fn head_has_the_headers_alone() {
    let (headers, status, body) = ask("HEAD", "/none").await;
    assert_eq!((status, body.len()), (StatusCode::NOT_FOUND, 0));
    assert_eq!(headers[header::CONTENT_TYPE], CONTENT_TYPE);
    let (_, _, full) = ask("GET", "/none").await;
    assert_eq!(headers[header::CONTENT_LENGTH], full.len().to_string().as_str());
}

#[test]
fn bare_statuses_have_registered_codes() {
    let registry = Registry::default();
    for status in 400..600 {
        let Ok(status) = StatusCode::from_u16(status) else { continue };
        let error = finish::of_status(status);
        assert!(registry.find(error.code()).is_some(), "{}", error.code());
    }
}
