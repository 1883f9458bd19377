//! One rule of one layer a test.

use std::time::{Duration, Instant};

use gateway::State;

use crate::client::{get, raw, send, send_h2};
use crate::house::{House, config};

#[tokio::test]
async fn answers_say_what_every_answer_says() {
    let house = House::new("").await;
    for answer in
        [get(house.rest, "/v1/slow").await, send_h2(house.rest, "GET", "/v1/slow", &[], b"").await]
    {
        assert_eq!((answer.status, answer.text()), (200, "done"));
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("strict-transport-security", ""),
            ("access-control-allow-origin", ""),
        ] {
            assert_eq!(answer.header(name), value, "{name}");
        }
        assert_eq!(answer.header("x-request-id").len(), 36);
    }
    let keys = get(house.rest, "/.well-known/jwks.json").await;
    assert_eq!(keys.header("cache-control"), "public, max-age=300");
    assert_eq!(keys.header("content-type"), "application/jwk-set+json");
}

#[tokio::test]
async fn ids_and_traces_go_on() {
    let house = House::new("").await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("x-request-id", "mine-1"), ("traceparent", trace), ("tracestate", "a=1")];
    let answer = send(house.rest, "POST", "/v1/things/7", &headers, b"").await;
    assert_eq!(answer.header("x-request-id"), "mine-1");
    let seen = answer.json()["headers"].to_string();
    // The same trace, and a span of ours.
    assert!(seen.contains(&trace[..36]) && !seen.contains(trace), "{seen}");
    assert!(seen.contains("tracestate: a=1"), "{seen}");
    let refused = send(house.rest, "GET", "/nope", &headers, b"").await;
    refused.is_problem(404, "no_such_route");
    assert_eq!(refused.json()["trace_id"], &trace[3..35]);
    // What can't stand in a log is replaced.
    let odd = send(house.rest, "GET", "/nope", &[("x-request-id", "a b\"c")], b"").await;
    assert_eq!(odd.header("x-request-id").len(), 36);
}

#[tokio::test]
async fn refusals_of_the_router_and_of_extractors_are_problems() {
    let house = House::new("").await;
    get(house.rest, "/v1/nothing").await.is_problem(404, "no_such_route");
    let wrong = send(house.rest, "DELETE", "/v1/me", &[], b"").await;
    wrong.is_problem(405, "method_not_allowed");
    assert!(wrong.header("allow").contains("GET"), "{wrong:?}");
    let nobody = get(house.rest, "/v1/me").await;
    nobody.is_problem(401, "credentials_missing");
    assert!(nobody.header("www-authenticate").starts_with("Bearer"), "{nobody:?}");
    let forged = [("authorization", "Bearer forged")];
    send(house.rest, "GET", "/v1/me", &forged, b"").await.is_problem(401, "invalid_token");
    let good = [("authorization", "Bearer good-ada")];
    assert_eq!(send(house.rest, "GET", "/v1/me", &good, b"").await.text(), "ada");
    let explained = get(house.rest, "/problems/overloaded").await;
    assert!(explained.text().contains("HTTP 503"), "{explained:?}");
}

#[tokio::test]
async fn a_panic_is_one_requests_misfortune() {
    let house = House::new("").await;
    let (broken, other) =
        tokio::join!(get(house.rest, "/v1/panic"), get(house.rest, "/v1/slow?200"));
    broken.is_problem(500, "internal");
    assert!(!broken.text().contains("on purpose"), "{broken:?}");
    assert_eq!(other.text(), "done");
    let metrics = house.metrics();
    assert!(metrics.contains("streamverse_gateway_panics_total 1"), "{metrics}");
    assert!(metrics.contains("streamverse_gateway_running 0"), "{metrics}");
    assert!(metrics.contains(r#"route="/v1/panic",method="GET",protocol="http/1.1",status="5xx""#));
}

/// Labels are templates: as many paths as clients invent are one series.
#[tokio::test]
async fn metrics_name_templates() {
    let house = House::new("").await;
    for id in 0..20 {
        send(house.rest, "POST", &format!("/v1/things/{id}"), &[], b"").await;
        get(house.rest, &format!("/invented/{id}")).await;
    }
    let metrics = house.metrics();
    assert!(
        metrics.contains(
            r#"route="/v1/things/{id}",method="POST",protocol="http/1.1",status="2xx"} 20"#
        ),
        "{metrics}"
    );
    assert!(
        metrics.contains(r#"route="unmatched",method="GET",protocol="http/1.1",status="4xx"} 20"#),
        "{metrics}"
    );
    assert!(!metrics.contains("invented"), "{metrics}");
}

#[tokio::test]
async fn content_is_bounded_by_class() {
    let house =
        House::new("[control.limits]\ncontent_bytes = 1024\nbulk_content_bytes = 4096").await;
    let much = vec![b'x'; 2_000];
    let send = |target: &'static str, body: Vec<u8>| async move {
        send(house.rest, "POST", target, &[("content-type", "text/plain")], &body).await
    };
    send("/v1/things/1", much.clone()).await.is_problem(413, "body_too_large");
    assert_eq!(send("/v1/things/1", vec![b'x'; 1_024]).await.status, 200);
    assert_eq!(send("/v1/bulk", much).await.text(), "2000");
    send("/v1/bulk", vec![b'x'; 5_000]).await.is_problem(413, "body_too_large");
    // Without a length the bound is found on the way, whatever the handler makes of it.
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1_024)).repeat(2);
    let request = format!(
        "POST /v1/things/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
         Connection: close\r\n\r\n{chunk}0\r\n\r\n"
    );
    let answer = raw(house.rest, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer}");
}

#[tokio::test]
async fn late_content_is_408_and_a_late_answer_504() {
    let house = House::new("[control.limits]\nrequest_seconds = 0.3").await;
    let began = Instant::now();
    get(house.rest, "/v1/slow?5000").await.is_problem(504, "timed_out");
    let request = "POST /v1/things/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n12345";
    let answer = raw(house.rest, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
async fn beyond_its_places_it_sheds_at_once() {
    let text = "[control.limits]\nrequests_max = 4\n[control.rate_limit]\nanonymous_per_minute = 0";
    let house = House::new(text).await;
    let requests = (0..20).map(|_| get(house.rest, "/v1/slow?400"));
    let answers = futures_util::future::join_all(requests).await;
    let shed: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert_eq!(shed.len(), 16, "{answers:?}");
    for answer in shed {
        answer.is_problem(503, "overloaded");
        assert_eq!(answer.header("retry-after"), "1");
    }
    assert_eq!(get(house.rest, "/v1/slow").await.text(), "done");
    // A reload counts from the next request on.
    house.gateway.reload(&config(
        "[control.limits]\nrequests_max = 40\n[control.rate_limit]\nanonymous_per_minute = 0",
    ));
    let requests = (0..20).map(|_| get(house.rest, "/v1/slow?200"));
    assert!(futures_util::future::join_all(requests).await.iter().all(|a| a.status == 200));
}

#[tokio::test]
async fn only_trusted_proxies_say_who_a_client_is() {
    let said = [
        ("x-forwarded-for", "198.51.100.7"),
        ("forwarded", "for=198.51.100.8"),
        ("x-real-ip", "198.51.100.9"),
    ];
    let stranger = House::new("").await;
    let answer = send(stranger.rest, "POST", "/v1/things/1", &said, b"").await.json();
    assert_eq!(answer["client"], "127.0.0.1");
    for name in ["forwarded", "x-real-ip"] {
        assert!(!answer["headers"].to_string().contains(name), "{answer}");
    }
    let behind = House::new("[net]\ntrusted_proxies = [\"127.0.0.1\"]").await;
    let answer = send(behind.rest, "POST", "/v1/things/1", &said, b"").await.json();
    assert_eq!(answer["client"], "198.51.100.7");
    assert!(!answer["headers"].to_string().contains("forwarded"), "{answer}");
    // A proxy says that a request was early data, and may be a replay.
    let early = [("early-data", "1")];
    send(behind.rest, "POST", "/v1/things/1", &early, b"").await.is_problem(425, "too_early");
    assert_eq!(send(behind.rest, "GET", "/v1/slow", &early, b"").await.status, 200);
    assert_eq!(send(stranger.rest, "POST", "/v1/things/1", &early, b"").await.status, 200);
}

#[tokio::test]
async fn the_host_chooses_the_tenant() {
    let text = "[[tenant]]\nid = \"a\"\nhosts = [\"a.example\"]\n[[tenant]]\nid = \"default\"\nhosts = [\"b.example\"]";
    let house = House::new(text).await;
    let tenant = |host: &'static str| async move {
        send(house.rest, "POST", "/v1/things/1", &[("host", host)], b"").await.json()["tenant"]
            .clone()
    };
    assert_eq!(tenant("a.example").await, "a");
    assert_eq!(tenant("B.example:8081").await, "default");
    let other = send(house.rest, "GET", "/v1/slow", &[("host", "c.example")], b"").await;
    other.is_problem(421, "unknown_host");
    // A token is worth nothing under another tenant's host.
    let good = |host| [("host", host), ("authorization", "Bearer good-ada")];
    assert_eq!(send(house.rest, "GET", "/v1/me", &good("b.example"), b"").await.text(), "ada");
    let elsewhere = send(house.rest, "GET", "/v1/me", &good("a.example"), b"").await;
    elsewhere.is_problem(401, "invalid_token");
    assert_eq!(send(house.rest, "GET", "/health", &[("host", "c.example")], b"").await.status, 200);
}

#[tokio::test]
async fn requests_and_answers_are_transformed() {
    let text = r#"
        [[control.transform]]
        path = "/api/v1"
        rewrite_path = "/v1"
        set_headers = ["X-Channel: web"]
        remove_headers = ["X-Debug"]
        set_members = ["/source = \"web\""]
        [[control.transform]]
        on = "response"
        path = "/api/v1"
        set_headers = ["X-Api: old"]
        set_members = ["/added = [1]"]
        remove_members = ["/client"]
    "#;
    let house = House::new(text).await;
    let headers = [("x-debug", "1"), ("content-type", "application/json")];
    let answer = send(house.rest, "POST", "/api/v1/things/7?x=1", &headers, br#"{"a":1}"#).await;
    assert_eq!(answer.header("x-api"), "old");
    let seen = answer.json();
    assert_eq!(
        (&seen["path"], &seen["added"]),
        (&"/v1/things/7?x=1".into(), &serde_json::json!([1]))
    );
    assert_eq!(seen["body"], r#"{"a":1,"source":"web"}"#);
    assert!(seen.get("client").is_none(), "{seen}");
    let headers = seen["headers"].to_string();
    assert!(headers.contains("x-channel: web") && !headers.contains("x-debug"), "{headers}");
    let direct = send(house.rest, "POST", "/v1/things/7", &[], br#"{"a":1}"#).await.json();
    assert_eq!(direct["body"], r#"{"a":1}"#);
}

#[tokio::test]
async fn health_tells_readiness_and_drain() {
    let house = House::new("").await;
    for address in [house.rest, house.grpc] {
        for (state, expected) in [
            (State::Starting, (503, "not ready\n")),
            (State::Draining, (503, "draining\n")),
            (State::Ready, (200, "ready\n")),
        ] {
            house.set_state(state);
            let answer = get(address, "/ready").await;
            assert_eq!((answer.status, answer.text()), expected);
            assert_eq!(get(address, "/health").await.text(), "ok\n");
        }
    }
}

#[tokio::test]
async fn a_drain_lets_requests_finish() {
    let house = House::new("").await;
    let address = house.rest;
    let running = tokio::spawn(async move { get(address, "/v1/slow?1500").await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    let dropped = house.shutdown(Duration::from_secs(30)).await;
    assert_eq!((dropped, running.await.unwrap().text()), (0, "done"));
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}

/// The listener's defences stand in front: what two readers could understand differently ends here.
#[tokio::test]
async fn requests_are_not_smuggled() {
    let house = House::new("").await;
    for request in [
        "POST /v1/things/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST /v1/things/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        "GET /v1/slow HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET /v1/slow HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
    ] {
        let answer = raw(house.rest, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{request:?}: {answer}");
    }
}

#[tokio::test]
async fn the_document_and_its_page_are_here_whole() {
    let house = House::new("").await;
    let document = get(house.rest, "/v1/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/v1/things/{id}"]["post"].is_object(), "{document}");
    let page = get(house.rest, "/docs").await;
    assert!(page.header("content-security-policy").contains("script-src 'self'"), "{page:?}");
    for file in ["/docs/page.js", "/docs/page.css"] {
        assert_eq!(get(house.rest, file).await.status, 200);
    }
    for text in [page.text(), get(house.rest, "/docs/page.js").await.text()] {
        assert!(!text.contains("://"), "another host is asked");
    }
    let hidden = House::new("[control]\ndocs = false").await;
    get(hidden.rest, "/docs").await.is_problem(404, "no_such_route");
    get(hidden.rest, "/v1/openapi.json").await.is_problem(404, "no_such_route");
}

#[tokio::test]
async fn pages_are_served_as_they_are() {
    let house = House::new("").await;
    let page = get(house.rest, "/").await;
    assert_eq!((page.status, page.text()), (200, "<p>hello"));
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(page.header("cache-control"), "no-store");
    let script = get(house.rest, "/page/main.0123456789.js").await;
    assert_eq!(script.header("cache-control"), "public, max-age=31536000, immutable");
    for answer in [&page, &script] {
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
    }
    let head = send(house.rest, "HEAD", "/", &[], b"").await;
    assert_eq!((head.status, head.text(), head.header("content-length")), (200, "", "8"));
    send(house.rest, "POST", "/", &[], b"").await.is_problem(405, "method_not_allowed");
    get(house.rest, "/page/none.js").await.is_problem(404, "no_such_route");
    assert!(house.metrics().contains("route=\"/page/main.0123456789.js\""), "{}", house.metrics());
}
