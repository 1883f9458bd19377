//! The conventions as a client meets them, on both databases.

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request};
use platform::db::testing;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::things;

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

async fn ask(
    app: &Router,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Answer {
    let mut request = Request::builder().method(method).uri(target).header("host", "a");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = if body.is_null() {
        Body::empty()
    } else {
        request = request.header("content-type", "application/json");
        Body::from(body.to_string())
    };
    let response = app.clone().oneshot(request.body(body).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

const ADA: (&str, &str) = ("authorization", "Bearer v.a.ada");
const BOB: (&str, &str) = ("authorization", "Bearer v.a.bob");
const EVE: (&str, &str) = ("authorization", "Bearer s.a.eve.things:read+things:write");

#[tokio::test]
async fn a_thing_from_its_creation_to_its_end() {
    for engine in testing::engines(&[api::SCHEMA, things::SCHEMA]).await {
        let app = things::app(engine.db.clone());
        let key = ("idempotency-key", "k1");
        let body = json!({"name": " Ball "});
        let made = ask(&app, "POST", "/v1/things", &[ADA, key], &body).await;
        assert_eq!((made.status, &made.body["name"]), (201, &json!("Ball")), "{}", made.body);
        let again = ask(&app, "POST", "/v1/things", &[ADA, key], &body).await;
        assert_eq!((again.status, &again.body), (201, &made.body));
        assert_eq!(again.headers["idempotency-replayed"], "true");
        let target = made.headers["location"].to_str().unwrap();

        // Another's thing looks like one that never was.
        let others = ask(&app, "GET", target, &[BOB], &Value::Null).await;
        let never = ask(&app, "GET", "/v1/things/none", &[BOB], &Value::Null).await;
        assert_eq!((others.status, others.body["code"].as_str()), (404, Some("not_found")));
        assert_eq!(others.body["detail"], never.body["detail"]);

        let shown = ask(&app, "GET", target, &[ADA], &Value::Null).await;
        let tag = shown.headers["etag"].to_str().unwrap();
        let held = ask(&app, "GET", target, &[ADA, ("if-none-match", tag)], &Value::Null).await;
        assert_eq!((shown.status, held.status), (200, 304));

        let admin = target.replace("/v1/", "/v1/admin/");
        let name = json!({"name": "Cube"});
        let blind = ask(&app, "PUT", &admin, &[EVE], &name).await;
        assert_eq!(
            (blind.status, blind.body["code"].as_str()),
            (428, Some("precondition_required"))
        );
        let renamed = ask(&app, "PUT", &admin, &[EVE, ("if-match", tag)], &name).await;
        assert_eq!((renamed.status, renamed.headers["etag"].to_str().unwrap()), (200, "\"v2\""));
        let late = ask(&app, "PUT", &admin, &[EVE, ("if-match", tag)], &name).await;
        assert_eq!((late.status, late.body["code"].as_str()), (412, Some("version_mismatch")));

        assert_eq!(ask(&app, "DELETE", target, &[BOB], &Value::Null).await.status, 404);
        assert_eq!(ask(&app, "DELETE", target, &[ADA], &Value::Null).await.status, 204);
        assert_eq!(ask(&app, "DELETE", target, &[ADA], &Value::Null).await.status, 404);
    }
}

#[tokio::test]
async fn lists_go_on_by_their_link() {
    for engine in testing::engines(&[api::SCHEMA, things::SCHEMA]).await {
        let app = things::app(engine.db.clone());
        for number in 0..5 {
            let key = format!("k{number}");
            let body = json!({"name": format!("Thing {number}")});
            let headers = [ADA, ("idempotency-key", key.as_str())];
            assert_eq!(ask(&app, "POST", "/v1/things", &headers, &body).await.status, 201);
        }
        let mut target = "/v1/things?limit=2".to_owned();
        let mut names = Vec::new();
        loop {
            let page = ask(&app, "GET", &target, &[ADA], &Value::Null).await;
            assert_eq!(page.status, 200, "{}", page.body);
            names.extend(page.body["items"].as_array().unwrap().iter().map(|t| t["name"].clone()));
            let Some(link) = page.headers.get("link") else { break };
            let link = link.to_str().unwrap();
            target = link[1..link.find('>').unwrap()].to_owned();
        }
        let expected: Vec<_> = (0..5).map(|number| json!(format!("Thing {number}"))).collect();
        assert_eq!(names, expected, "{}", engine.name);
        let bad = ask(&app, "GET", "/v1/things?cursor=AAAA", &[ADA], &Value::Null).await;
        assert_eq!((bad.status, bad.body["code"].as_str()), (400, Some("invalid_cursor")));
    }
}

#[tokio::test]
async fn refusals_say_where() {
    let engine = testing::sqlite(&[api::SCHEMA, things::SCHEMA]).await;
    let app = things::app(engine.db.clone());
    let headers = [ADA, ("idempotency-key", "k")];
    let body = json!({"name": "a\u{202e}b", "colour": 1});
    let refused = ask(&app, "POST", "/v1/things", &headers, &body).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (422, Some("validation_failed")));
    assert_eq!(refused.body["instance"], "/v1/things");
    assert!(refused.body["request_id"].is_string());
    let codes: Vec<_> = refused.body["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (&e["pointer"], &e["code"]))
        .collect();
    assert!(codes.contains(&(&json!("/name"), &json!("invalid_characters"))), "{codes:?}");
    let keyless = ask(&app, "POST", "/v1/things", &[ADA], &json!({"name": "x"})).await;
    assert_eq!(keyless.body["code"], "idempotency_key_missing");
    let nobody = ask(&app, "POST", "/v1/things", &[], &json!({})).await;
    assert_eq!(
        (nobody.status, nobody.headers["www-authenticate"].to_str().unwrap()),
        (401, "Bearer realm=\"viewer\"")
    );
}
