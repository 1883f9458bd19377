//! What isn't in the key must not change what the next viewer gets.

use super::origin::answer;
use super::*;

/// Tells what of a request reached it: were any of it unkeyed, the next viewer would read it.
fn echo() -> Origin {
    Origin::new(|request, _| async move {
        let mut fields: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| format!("{name}={}", value.to_str().unwrap_or("?")))
            .collect();
        fields.sort_unstable();
        let text = format!("{} {} {}", request.method(), request.uri(), fields.join(" "));
        Ok(answer(200, &[("cache-control", "max-age=100"), ("etag", "\"a\"")], text))
    })
}

/// One poisoned request, then a plain one for the same object: it reads the same as without.
async fn reads_after(target: &str, lines: &[(&str, &str)]) -> (Answer, String) {
    let clean = cache(&echo());
    let expected = get(&clean, "/a?max_height=1", start()).await.text().to_owned();
    let cache = cache(&echo());
    let poisoned = get_with(&cache, target, lines, start()).await;
    settle().await;
    let found = get(&cache, "/a?max_height=1", start()).await;
    assert_eq!(found.text(), expected, "{target} {lines:?}");
    (poisoned, found.cache_status().to_owned())
}

#[tokio::test(start_paused = true)]
async fn no_header_of_one_viewer_is_read_by_the_next() {
    for (name, value) in [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-for", "203.0.113.1"),
        ("x-forwarded-proto", "ftp"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-prefix", "/evil"),
        ("forwarded", "host=evil.example"),
        ("x-host", "evil.example"),
        ("x-original-url", "/evil"),
        ("x-rewrite-url", "/evil"),
        ("x-http-method-override", "DELETE"),
        ("x-method-override", "POST"),
        ("x-http-method", "PUT"),
        ("x-forwarded-scheme", "nothttps"),
        ("cookie", "session=evil"),
        ("referer", "https://evil.example/"),
        ("transfer-encoding", "chunked"),
        ("content-length", "5"),
        ("content-type", "text/evil"),
        ("connection", "host"),
        ("te", "trailers"),
        ("upgrade", "evil"),
        ("expect", "100-continue"),
        ("max-forwards", "0"),
        ("via", "1.1 evil"),
        ("range", "bytes=0-3"),
        ("range", "bytes=9999-"),
        ("range", "lines=1-2"),
        ("if-none-match", "\"a\""),
        ("if-none-match", "*"),
        ("if-modified-since", "Thu, 01 Jan 2099 00:00:00 GMT"),
        ("if-range", "\"b\""),
        ("cache-control", "no-store"),
        ("cache-control", "no-cache"),
        ("pragma", "no-cache"),
        ("streamverse-shield", "guess"),
    ] {
        let (_, status) = reads_after("/a?max_height=1", &[(name, value)]).await;
        assert!(status.contains(";hit"), "{name}: {value} keeps others from the cache: {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_parameter_outside_the_key_reaches_an_origin() {
    let long = format!("/a?max_height=1&{}=1", "a".repeat(5_000));
    for target in [
        "/a?max_height=1&evil=1",
        "/a?evil=1&max_height=1",
        "/a?max_height=1&&",
        "/a?max_height=1&=x",
        "/a?max_height=1&utm_source=a&CMCD=bl%3D1",
        "/a?max_height=1&max%5Fheight=9",
        "/a?max_height=1&Max_Height=9",
        "/a?max_height=1&max_height%00=9",
        "/a?max_height=1&callback=evil",
        "/a?max_height=1;max_bitrate=9",
        &long,
    ] {
        let found = cache(&echo());
        let answer = get(&found, target, start()).await;
        if !answer.text().contains(" /a?max_height=1 ") {
            // Another value is another key, never the same one with another answer.
            let (_, status) = reads_after(target, &[]).await;
            assert!(status.contains("fwd=uri-miss"), "{target}: {status}");
            continue;
        }
        let (_, status) = reads_after(target, &[]).await;
        assert!(status.contains(";hit"), "{target}: {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn duplicate_parameters_and_their_order_are_part_of_the_key() {
    let cache = cache(&echo());
    let ask = async |target: &str| get(&cache, target, start()).await.text().to_owned();
    assert_ne!(
        ask("/a?max_height=1&max_height=2").await,
        ask("/a?max_height=2&max_height=1").await
    );
    assert_ne!(ask("/a?max_height=1&max_height=1").await, ask("/a?max_height=1").await);
    // Among different names order means nothing: one object.
    assert_eq!(
        ask("/a?max_height=1&max_bitrate=2").await,
        ask("/a?max_bitrate=2&max_height=1").await
    );
}

/// Methods other than GET fill nothing, whatever they carry.
#[tokio::test(start_paused = true)]
async fn no_other_method_fills_an_object() {
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"] {
        let origin = echo();
        let cache = cache(&origin);
        call(&cache, Method::from_bytes(method.as_bytes()).unwrap(), "/a", start()).await;
        settle().await;
        let found = get(&cache, "/a", start()).await;
        assert!(found.text().starts_with("GET /a "), "{method}: {}", found.text());
        assert!(found.cache_status().contains("fwd=uri-miss"), "{method}");
    }
}

/// An error that one request provoked is not what others get.
#[tokio::test(start_paused = true)]
async fn what_one_request_provokes_stays_its_own() {
    let origin = Origin::new(|request, _| async move {
        let headers = request.headers();
        let lines = [("cache-control", "max-age=60")];
        if headers.iter().any(|(_, value)| value.len() > 1_024) {
            let reason = "a header is too long".to_owned();
            return Err(FetchError::Unreachable { upstream: "o".to_owned(), reason });
        }
        Ok(match headers.get("cdn-loop") {
            Some(_) => answer(508, &lines, "loop"),
            None if headers.contains_key("range") => answer(416, &lines, ""),
            None => answer(200, &lines, "good"),
        })
    });
    let loops = http::HeaderName::from_static("cdn-loop");
    let forwarded_headers = [Settings::default().forwarded_headers, vec![loops]].concat();
    let settings = Settings { forwarded_headers, ..Settings::default() };
    let long = "a".repeat(3_000);
    for lines in [
        [("cdn-loop", "shield")],
        [("cdn-loop", long.as_str())],
        [("traceparent", long.as_str())],
        [("x-request-id", long.as_str())],
        [("range", "bytes=99-")],
    ] {
        let cache = cache_with(&origin, settings.clone());
        // The poisoned request leads, others wait for its fill.
        let mut poisoned = request("/a", &lines);
        poisoned.headers_mut().insert("poison", "1".parse().unwrap());
        let (_, plain) = tokio::join!(cache.answer(poisoned, start()), get(&cache, "/a", start()));
        assert_eq!(plain.text(), "good", "{lines:?}");
        settle().await;
        let hit = get(&cache, "/a", start()).await;
        assert!(hit.cache_status().contains(";hit"), "{lines:?}: {}", hit.cache_status());
    }
}

/// Of a stored error neither a range nor a condition makes anything else.
#[tokio::test(start_paused = true)]
async fn a_stored_error_is_the_same_for_everyone() {
    let lines = [("cache-control", "max-age=60"), ("etag", "\"a\"")];
    let origin = Origin::new(move |_, _| async move { Ok(answer(404, &lines, "not here")) });
    let cache = cache(&origin);
    for extra in [("range", "bytes=0-0"), ("if-none-match", "\"a\""), ("if-match", "\"b\"")] {
        let found = get_with(&cache, "/a", &[extra], start()).await;
        assert_eq!((found.status, found.text()), (StatusCode::NOT_FOUND, "not here"), "{extra:?}");
    }
}

/// Two hosts never share, however they are written.
#[tokio::test(start_paused = true)]
async fn hosts_are_part_of_the_key() {
    let cache = cache(&echo());
    for host in ["a.example", "b.example", "a.example:81", "a.example.", "a.example@b.example"] {
        let request = Request::get("/a").header("host", host).body(()).unwrap();
        let found = Answer::of(cache.answer(request, start()).await).await;
        assert!(found.text().contains(&format!("host={host}")), "{host}: {}", found.text());
        assert!(found.cache_status().contains("fwd=uri-miss"), "{host}");
        settle().await;
    }
}
