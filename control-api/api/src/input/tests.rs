use axum::body::Body;
use axum::extract::FromRequest;
use http::{Request, header};
use serde::Deserialize;
use utoipa::ToSchema;

use super::*;
use crate::text::Email;

#[derive(Debug, Deserialize, Eq, PartialEq, ToSchema)]
struct Sent {
    name: String,
    #[serde(default)]
    age: Option<u8>,
    #[serde(default)]
    list: Vec<Inner>,
}

#[derive(Debug, Deserialize, Eq, PartialEq, ToSchema)]
struct Inner {
    email: Email,
}

/// The code, or the pointer and code of the only field.
fn check(body: &str, expected: &str) {
    let error = read_json::<Sent>(body.as_bytes()).expect_err(body);
    let told = match error.fields() {
        [] => error.code().to_owned(),
        fields => fields
            .iter()
            .map(|field| format!("{} {}", field.pointer, field.code))
            .collect::<Vec<_>>()
            .join(", "),
    };
    assert_eq!(told, expected, "{body}");
}

#[test]
fn wrong_values_are_named_by_pointer() {
    check("{}", "/name missing_field");
    check(r#"{"name":1}"#, "/name invalid_type");
    check(r#"{"name":"a","age":300}"#, "/age invalid_value");
    check(
        r#"{"name":"a","list":[{"email":"a@b.c"},{"email":"x"}]}"#,
        "/list/1/email invalid_email",
    );
    check(r#"{"name":"a","list":[{}]}"#, "/list/0/email missing_field");
    check(
        r#"{"name":"a","nam/e":1,"list":[{"email":"a@b.c","x~":2}]}"#,
        "/nam~1e unknown_field, /list/0/x~0 unknown_field",
    );
    check("[1]", " invalid_type");
}

#[test]
fn malformed_bodies_are_told_apart_from_wrong_values() {
    for bad in ["", "{", "{\"name\":\"a\"}x", "nul", "{\"name\":\"a\",}", "\u{feff}{}"] {
        check(bad, "malformed_json");
    }
    check(r#"{"name":"a","name":"b"}"#, "malformed_json");
    check(r#"{"name":"a","list":[{"email":"a@b.c","\u0065mail":"a@b.d"}]}"#, "malformed_json");
    let deep = format!("{}{}", "[".repeat(DEPTH_MAX + 1), "]".repeat(DEPTH_MAX + 1));
    check(&deep, "malformed_json");
    check(&"[".repeat(100_000), "malformed_json");
    let many = format!("[{}1]", "1,".repeat(VALUES_MAX));
    check(&many, "malformed_json");
}

#[test]
fn the_deepest_shape_passes() {
    let deepest = format!("{}{}", "[".repeat(DEPTH_MAX), "]".repeat(DEPTH_MAX));
    assert!(check_shape(deepest.as_bytes()).is_ok());
}

async fn extract(content_type: &[&str], body: impl Into<Body>) -> Result<Sent, &'static str> {
    let mut request = Request::builder().method("POST").uri("/");
    for value in content_type {
        request = request.header(header::CONTENT_TYPE, *value);
    }
    let request = request.body(body.into()).unwrap();
    let read = Json::<Sent>::from_request(request, &()).await;
    read.map(|Json(sent)| sent).map_err(|error| error.code())
}

#[tokio::test]
async fn bodies_are_json_by_name() {
    let body = r#"{"name":"a"}"#;
    for good in
        ["application/json", "application/json; charset=UTF-8", "application/merge-patch+json"]
    {
        assert!(extract(&[good], body).await.is_ok(), "{good}");
    }
    for bad in ["text/plain", "application/jsonx", "application/json; charset=latin1", ""] {
        assert_eq!(extract(&[bad], body).await, Err("unsupported_media_type"), "{bad}");
    }
    assert_eq!(extract(&[], body).await, Err("unsupported_media_type"));
    let twice = ["application/json", "text/plain"];
    assert_eq!(extract(&twice, body).await, Err("unsupported_media_type"));
}

#[tokio::test]
async fn long_bodies_are_refused() {
    let body = vec![b' '; BODY_BYTES_MAX + 1];
    assert_eq!(extract(&["application/json"], body).await, Err("body_too_large"));
}

#[derive(Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
struct Asked {
    state: Option<String>,
    since_ms: Option<u64>,
}

#[test]
fn queries_are_read_without_the_parameters_of_pages() {
    let asked: Asked = read_query("state=a%20b&limit=3&cursor=x&since_ms=5").unwrap();
    assert_eq!(asked, Asked { state: Some("a b".into()), since_ms: Some(5) });
    let field = |query| {
        let error = read_query::<Asked>(query).expect_err(query);
        format!("{} {}", error.fields()[0].pointer, error.fields()[0].code)
    };
    assert_eq!(field("since_ms=x"), "query/since_ms invalid_type");
    assert_eq!(field("other=1"), "query/other unknown_field");
    assert_eq!(field("state=1&state=2"), "query/state duplicate_field");
    assert_eq!(field("state=%ff"), "query/state invalid_characters");
}
