//! Storing, using again, validating, ranges: RFC 9111 through the whole cache.

use super::origin::answer;
use super::*;

const FRESH: &[(&str, &str)] = &[("cache-control", "max-age=100"), ("etag", "\"a\"")];

#[tokio::test(start_paused = true)]
async fn the_second_request_is_a_hit_with_an_age() {
    let origin = Origin::with(FRESH);
    let cache = cache(&origin);
    let miss = get(&cache, "/a", start()).await;
    assert_eq!((miss.status, miss.text()), (StatusCode::OK, "0 body"));
    assert_eq!(miss.cache_status(), "StreamVerse;fwd=uri-miss;fwd-status=200;stored");
    assert_eq!(miss.header("content-length"), "6");
    let hit = get(&cache, "/a", later(40)).await;
    assert_eq!((hit.text(), hit.header("age")), ("0 body", "40"));
    assert_eq!(hit.cache_status(), "StreamVerse;hit;ttl=60");
    assert_eq!(origin.count(), 1);
    let other = Request::get("/a").header("host", "other.example").body(()).unwrap();
    assert_eq!(Answer::of(cache.answer(other, start()).await).await.text(), "1 body");
}

#[tokio::test(start_paused = true)]
async fn every_answer_has_a_cache_status() {
    let origin = Origin::with(&[("cache-control", "no-store")]);
    let cache = cache(&origin);
    let nothing = Request::get("/a").body(()).unwrap();
    let bad = Answer::of(cache.answer(nothing, start()).await).await;
    assert_eq!((bad.status, bad.cache_status()), (StatusCode::BAD_REQUEST, "StreamVerse"));
    let only = get_with(&cache, "/a", &[("cache-control", "only-if-cached")], start()).await;
    assert_eq!(only.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(only.cache_status(), "StreamVerse;detail=only-if-cached");
    assert_eq!(origin.count(), 0);
    let private = get(&cache, "/a", start()).await;
    assert_eq!(private.cache_status(), "StreamVerse;fwd=uri-miss;fwd-status=200;detail=no-store");
    let options = call(&cache, Method::OPTIONS, "/a", start()).await;
    assert_eq!(options.cache_status(), "StreamVerse;fwd=method;fwd-status=200");
}

#[tokio::test(start_paused = true)]
async fn what_is_stale_is_validated() {
    let origin = Origin::new(|request, count| async move {
        Ok(match request.headers().get("if-none-match") {
            Some(tag) if tag == "\"a\"" => {
                answer(304, &[("cache-control", "max-age=50"), ("x", "new")], "")
            }
            _ => answer(200, FRESH, format!("{count} body")),
        })
    });
    let cache = cache(&origin);
    get(&cache, "/a", start()).await;
    let validated = get(&cache, "/a", later(100)).await;
    assert_eq!((validated.text(), validated.header("x")), ("0 body", "new"));
    assert_eq!(validated.cache_status(), "StreamVerse;fwd=stale;fwd-status=304;ttl=50;stored");
    let hit = get(&cache, "/a", later(149)).await;
    assert_eq!((hit.cache_status(), hit.header("age")), ("StreamVerse;hit;ttl=1", "49"));
    assert_eq!(origin.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_304_about_something_else_is_asked_again_without_condition() {
    let origin = Origin::new(|request, count| async move {
        Ok(match request.headers().contains_key("if-none-match") {
            true => answer(304, &[("etag", "\"other\"")], ""),
            false => answer(200, FRESH, format!("{count} body")),
        })
    });
    let cache = cache(&origin);
    get(&cache, "/a", start()).await;
    assert_eq!(get(&cache, "/a", later(100)).await.text(), "2 body");
}

#[tokio::test(start_paused = true)]
async fn viewers_conditions_and_ranges_are_answered_here() {
    let origin = Origin::new(|_, _| async { Ok(answer(200, FRESH, noise(200_000))) });
    let cache = cache(&origin);
    let whole = noise(200_000);
    // The first request is for a range: the whole is fetched, the range answered.
    let first = get_with(&cache, "/a", &[("range", "bytes=70000-150000")], start()).await;
    assert_eq!(first.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(first.header("content-range"), "bytes 70000-150000/200000");
    assert_eq!(first.body.unwrap(), whole.slice(70_000..150_001));
    assert!(!origin.asked()[0].headers().contains_key("range"));
    settle().await;

    let two = get_with(&cache, "/a", &[("range", "bytes=0-1,-2")], start()).await;
    let kind = two.header("content-type").to_owned();
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let body = two.body.as_ref().unwrap();
    assert_eq!(two.header("content-length"), body.len().to_string());
    let mut expected = Vec::new();
    for (range, place) in [(0..2, "0-1"), (199_998..200_000, "199998-199999")] {
        let lead = if expected.is_empty() { "" } else { "\r\n" };
        let head = format!("{lead}--{boundary}\r\nContent-Range: bytes {place}/200000\r\n\r\n");
        expected.extend_from_slice(head.as_bytes());
        expected.extend_from_slice(&whole[range]);
    }
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert_eq!(body[..], expected);

    let none = get_with(&cache, "/a", &[("range", "bytes=200000-")], start()).await;
    assert_eq!(none.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(none.header("content-range"), "bytes */200000");
    let known = get_with(&cache, "/a", &[("if-none-match", "\"a\"")], start()).await;
    assert_eq!((known.status, known.text()), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(known.header("etag"), "\"a\"");
    let head = call(&cache, Method::HEAD, "/a", start()).await;
    assert_eq!((head.header("content-length"), head.text()), ("200000", ""));
    assert_eq!(origin.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_misses_goes_on_as_a_head_and_stores_nothing() {
    let origin = Origin::with(FRESH);
    let cache = cache(&origin);
    call(&cache, Method::HEAD, "/a", start()).await;
    assert_eq!(origin.asked()[0].method(), Method::HEAD);
    get(&cache, "/a", start()).await;
    assert_eq!(origin.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn variants_are_kept_apart_and_bounded() {
    let origin = Origin::new(|request, count| async move {
        let language = request.headers()["accept-language"].to_str().unwrap().to_owned();
        let lines = [("cache-control", "max-age=100"), ("vary", "Accept-Language")];
        Ok(answer(200, &lines, format!("{count} {language}")))
    });
    let cache = cache_with(&origin, Settings { variants_max: 2, ..Settings::default() });
    let ask = |language: &'static str| {
        let cache = cache.clone();
        async move { get_with(&cache, "/a", &[("accept-language", language)], start()).await }
    };
    assert_eq!(ask("de").await.text(), "0 de");
    let second = ask("en").await;
    assert_eq!(second.text(), "1 en");
    assert_eq!(second.cache_status(), "StreamVerse;fwd=vary-miss;fwd-status=200;stored");
    assert_eq!(ask("de").await.text(), "0 de");
    assert_eq!(ask("fr").await.text(), "2 fr");
    assert_eq!(ask("en").await.text(), "1 en");
    assert_eq!(ask("de").await.text(), "3 de", "the oldest of three made room");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_part_of_the_key_reaches_no_origin() {
    let origin = Origin::with(FRESH);
    let cache = cache(&origin);
    let lines = [("x-forwarded-host", "evil.example"), ("cookie", "a=b"), ("accept", "*/*")];
    get_with(&cache, "/a?max_height=720&evil=1", &lines, start()).await;
    let asked = &origin.asked()[0];
    assert_eq!(asked.uri(), "/a?max_height=720");
    let mut names: Vec<_> = asked.headers().keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "host"]);
    assert!(get(&cache, "/a?max_height=720", start()).await.cache_status().contains(";hit"));
}

#[tokio::test(start_paused = true)]
async fn missing_objects_are_missed_once_a_second() {
    let origin = Origin::new(|_, _| async { Ok(answer(404, &[], "no")) });
    let cache = cache(&origin);
    for _ in 0..5 {
        assert_eq!(get(&cache, "/a", start()).await.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(origin.count(), 1);
    get(&cache, "/a", later(1)).await;
    assert_eq!(origin.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_unsafe_method_invalidates_what_it_names_on_its_own_host() {
    let origin = Origin::new(|request, count| async move {
        let lines = [
            ("cache-control", "max-age=100"),
            ("location", "/b"),
            ("content-location", "http://other.example/c"),
        ];
        let status = if request.uri().path() == "/fails" { 500 } else { 200 };
        Ok(answer(status, &lines, count.to_string()))
    });
    let cache = cache(&origin);
    for target in ["/a", "/b", "/c", "/d"] {
        get(&cache, target, start()).await;
    }
    call(&cache, Method::POST, "/fails", start()).await;
    assert!(get(&cache, "/b", start()).await.cache_status().contains(";hit"));
    call(&cache, Method::POST, "/a", start()).await;
    for (target, is_hit) in [("/a", false), ("/b", false), ("/c", true), ("/d", true)] {
        let answer = get(&cache, target, start()).await;
        assert_eq!(answer.cache_status().contains(";hit"), is_hit, "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn signed_answers_are_shared_only_when_their_origin_says_so() {
    let origin = Origin::with(&[("cache-control", "max-age=100")]);
    let cache = cache(&origin);
    let signed = [("authorization", "Bearer a")];
    get_with(&cache, "/a", &signed, start()).await;
    assert_eq!(get_with(&cache, "/a", &signed, start()).await.text(), "1 body");
    assert_eq!(origin.asked()[1].headers()["authorization"], "Bearer a");
}

#[tokio::test(start_paused = true)]
async fn hits_are_counted_by_tag() {
    let origin = Origin::with(&[("cache-control", "max-age=100"), ("cache-tag", "film")]);
    let cache = cache(&origin);
    for target in ["/a", "/a", "/a", "/b"] {
        get(&cache, target, start()).await;
        settle().await;
    }
    let rows = cache.tag_rows();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].tag.as_str(), rows[0].hits, rows[0].misses), ("film", 2, 2));
    assert_eq!(rows[0].filled_bytes, 12);
}

#[tokio::test(start_paused = true)]
async fn prefetches_fill_ahead_within_their_budget() {
    let origin = Origin::new(|request, _| async move {
        if request.uri().path() == "/slow" {
            std::future::pending::<()>().await;
        }
        Ok(answer(200, FRESH, "ahead"))
    });
    let cache = cache_with(&origin, Settings { prefetches_max: 1, ..Settings::default() });
    let prefetch = |target| cache.prefetch("cdn.example", target, &HeaderMap::new(), start());
    assert!(prefetch("/a"));
    settle().await;
    assert!(!prefetch("/a"), "it is there");
    assert!(get(&cache, "/a", start()).await.cache_status().contains(";hit"));
    assert!(prefetch("/slow"));
    settle().await;
    assert!(!prefetch("/b"), "the budget is spent");
}

#[tokio::test(start_paused = true)]
async fn a_viewers_no_store_counts_where_viewers_count() {
    let lines = [("cache-control", "no-store")];
    for (client_directives, fetches) in [(true, 2), (false, 1)] {
        let origin = Origin::with(FRESH);
        let policy = policy::Policy { client_directives, ..policy::Policy::default() };
        let cache = cache_with(&origin, Settings { policy, ..Settings::default() });
        get_with(&cache, "/a", &lines, start()).await;
        settle().await;
        get_with(&cache, "/a", &lines, start()).await;
        assert_eq!(origin.count(), fetches);
    }
}
