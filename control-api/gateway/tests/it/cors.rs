//! Pages of other origins.

use crate::client::send;
use crate::house::{House, config};

const PREFLIGHT: [(&str, &str); 2] =
    [("origin", "https://www.example.org"), ("access-control-request-method", "POST")];

#[tokio::test]
async fn no_page_may_by_default() {
    let house = House::new("").await;
    let preflight = send(house.rest, "OPTIONS", "/v1/me", &PREFLIGHT, b"").await;
    preflight.is_problem(403, "origin_not_allowed");
    assert_eq!(preflight.header("access-control-allow-origin"), "");
    let plain = send(house.rest, "GET", "/v1/slow", &PREFLIGHT[..1], b"").await;
    assert_eq!((plain.status, plain.header("access-control-allow-origin")), (200, ""));
}

#[tokio::test]
async fn pages_of_the_list_may() {
    let house = House::new("[control]\ncors_origins = [\"https://www.example.org\"]").await;
    let preflight = send(house.rest, "OPTIONS", "/v1/me", &PREFLIGHT, b"").await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), "https://www.example.org");
    assert!(preflight.header("access-control-allow-methods").contains("PATCH"));
    assert!(preflight.header("access-control-allow-headers").contains("authorization"));
    assert_eq!(preflight.header("access-control-allow-credentials"), "");
    assert_eq!(preflight.header("vary"), "origin");
    let answer = send(house.rest, "GET", "/v1/slow", &PREFLIGHT[..1], b"").await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://www.example.org");
    assert!(answer.header("access-control-expose-headers").contains("ratelimit"));
    // Problems can be read, too.
    let problem = send(house.rest, "GET", "/nope", &PREFLIGHT[..1], b"").await;
    assert_eq!(problem.header("access-control-allow-origin"), "https://www.example.org");
    for origin in [
        "null",
        "https://example.org",
        "http://www.example.org",
        "https://www.example.org.evil.example",
        "https://evil.example?https://www.example.org",
    ] {
        let headers = [("origin", origin), PREFLIGHT[1]];
        send(house.rest, "OPTIONS", "/v1/me", &headers, b"")
            .await
            .is_problem(403, "origin_not_allowed");
        let answer = send(house.rest, "GET", "/v1/slow", &headers[..1], b"").await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
        assert_eq!(answer.header("vary"), "origin");
    }
    house.gateway.reload(&config(""));
    let preflight = send(house.rest, "OPTIONS", "/v1/me", &PREFLIGHT, b"").await;
    preflight.is_problem(403, "origin_not_allowed");
}
