//! Origins that misbehave: bounded time, nothing partial taken for whole.

use super::origin::{answer, streaming};
use super::*;

const FRESH: &[(&str, &str)] =
    &[("cache-control", "max-age=10, stale-if-error=100"), ("etag", "\"a\"")];

/// Answers well at first, then as told.
fn well_then(then: impl Fn() -> origin::Answering + Send + Sync + 'static) -> Origin {
    Origin::new(move |_, count| {
        let result = if count == 0 { Ok(answer(200, FRESH, "good")) } else { then() };
        async move { result }
    })
}

fn unreachable() -> FetchError {
    FetchError::Unreachable { upstream: "o".to_owned(), reason: "refused".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_stale_object_stands_in_for_errors() {
    for then in [
        || Err(unreachable()),
        || Ok(answer(500, &[], "oops")),
        || Ok(answer(503, &[("cache-control", "max-age=60")], "oops")),
    ] {
        let origin = well_then(then);
        let cache = cache(&origin);
        get(&cache, "/a", start()).await;
        let stale = get(&cache, "/a", later(50)).await;
        assert_eq!((stale.status, stale.text()), (StatusCode::OK, "good"));
        assert!(stale.cache_status().contains(";fwd=stale"), "{}", stale.cache_status());
        assert!(stale.cache_status().ends_with(";ttl=-40;detail=stale-if-error"));
        let late = get(&cache, "/a", later(110)).await;
        assert!(late.status.is_server_error(), "the grant has ended");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_an_origin_that_is_known_to_hang() {
    let origin = Origin::new(|_, count| async move {
        if count > 0 {
            std::future::pending::<()>().await;
        }
        Ok(answer(200, FRESH, "good"))
    });
    let cache = cache(&origin);
    get(&cache, "/a", start()).await;
    let began = tokio::time::Instant::now();
    assert_eq!(get(&cache, "/a", later(20)).await.text(), "good");
    let waited = began.elapsed();
    assert_eq!(waited.as_secs(), Settings::default().fetch_timeout.as_secs());
    for _ in 0..10 {
        assert_eq!(get(&cache, "/a", later(41)).await.text(), "good");
    }
    assert_eq!(began.elapsed(), waited);
    settle().await;
    assert_eq!(origin.count(), 3, "it is tried on the side, once at a time");
}

#[tokio::test(start_paused = true)]
async fn errors_have_their_status_and_are_not_kept() {
    for (error, status, code) in [
        (unreachable(), 502, "upstream_unreachable"),
        (FetchError::Timeout { upstream: "o".to_owned() }, 504, "upstream_timeout"),
        (FetchError::Overloaded { upstream: "o".to_owned() }, 503, "overloaded"),
    ] {
        let origin = Origin::new(move |_, _| {
            let error = error.clone();
            async move { Err(error) }
        });
        let cache = cache(&origin);
        for count in 1..3 {
            let failed = get(&cache, "/a", start()).await;
            assert_eq!(failed.status.as_u16(), status);
            assert!(failed.text().contains(&format!("\"{code}\"")));
            assert!(!failed.text().contains("refused"), "the cause is nobody's business");
            assert_eq!(failed.header("cache-control"), "no-store");
            assert_eq!(failed.cache_status(), "StreamVerse;fwd=uri-miss");
            assert_eq!(origin.count(), count);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_never_answers_is_504_in_bounded_time() {
    let origin = Origin::new(|_, _| std::future::pending());
    let cache = cache(&origin);
    let began = tokio::time::Instant::now();
    let failed = get(&cache, "/a", start()).await;
    assert_eq!(failed.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(began.elapsed().as_secs(), Settings::default().fetch_timeout.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stands_still_breaks_off() {
    let (_sender, response) = streaming(FRESH);
    let response = std::sync::Mutex::new(Some(response));
    let origin = Origin::new(move |_, _| {
        let response = response.lock().unwrap().take();
        async move { response.ok_or_else(unreachable) }
    });
    let cache = cache(&origin);
    let broken = get(&cache, "/a", start()).await;
    assert!(matches!(broken.body, Err(FetchError::Timeout { .. })));
    assert_eq!(get(&cache, "/a", start()).await.status, StatusCode::BAD_GATEWAY);
    assert_eq!(origin.count(), 3, "it was asked for the rest, and nothing was kept");
}

/// Sends `sent` bytes of an answer that announces `announced`, then an error, if one is given.
fn liar(announced: &'static str, sent: usize, error: Option<FetchError>) -> Origin {
    Origin::new(move |_, _| {
        let (sender, response) =
            streaming(&[("cache-control", "max-age=10"), ("content-length", announced)]);
        sender.send(Ok(noise(sent))).unwrap();
        if let Some(error) = error.clone() {
            sender.send(Err(error)).unwrap();
        }
        async move { Ok(response) }
    })
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_not_what_they_announce_are_broken_and_never_kept() {
    for (announced, sent, error) in
        [("100", 50, None), ("100", 150, None), ("100", 50, Some(unreachable()))]
    {
        let origin = liar(announced, sent, error);
        let cache = cache(&origin);
        for count in 1..4 {
            let broken = get(&cache, "/a", start()).await;
            assert!(broken.body.is_err(), "{announced} {sent}");
            assert_eq!(origin.count(), count);
            settle().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_range_that_was_there_before_it_broke_is_whole() {
    let origin = liar("100", 50, Some(unreachable()));
    let cache = cache(&origin);
    let part = get_with(&cache, "/a", &[("range", "bytes=0-9")], start()).await;
    assert_eq!(part.body.unwrap(), noise(10));
    let beyond = get_with(&cache, "/a", &[("range", "bytes=45-55")], start()).await;
    assert!(beyond.body.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_broken_validation_leaves_the_old_object() {
    let origin = Origin::new(|_, count| async move {
        if count != 1 {
            return if count == 0 { Ok(answer(200, FRESH, "good")) } else { Err(unreachable()) };
        }
        let (sender, response) = streaming(&[("cache-control", "max-age=9")]);
        sender.send(Ok(noise(10))).unwrap();
        sender.send(Err(unreachable())).unwrap();
        Ok(response)
    });
    let cache = cache(&origin);
    get(&cache, "/a", start()).await;
    assert!(get(&cache, "/a", later(20)).await.body.is_err());
    settle().await;
    assert_eq!(get(&cache, "/a", later(21)).await.text(), "good");
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_origin_is_502() {
    let origin = Origin::new(|_, count| async move {
        assert!(count > 0, "meant to panic");
        Ok(answer(200, FRESH, "good"))
    });
    let cache = cache(&origin);
    assert_eq!(get(&cache, "/a", start()).await.status, StatusCode::BAD_GATEWAY);
    assert_eq!(get(&cache, "/a", start()).await.text(), "good");
}

#[tokio::test(start_paused = true)]
async fn a_304_that_nobody_asked_for_is_502() {
    let origin = Origin::new(|_, _| async { Ok(answer(304, &[], "")) });
    assert_eq!(get(&cache(&origin), "/a", start()).await.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_passed_on() {
    let settings = Settings { object_bytes_max: 1_000, ..Settings::default() };
    // Announced: passed on at once.
    let origin = Origin::new(|_, _| async { Ok(answer(200, FRESH, noise(2_000))) });
    let cache = cache_with(&origin, settings.clone());
    for count in 1..3 {
        let passed = get(&cache, "/a", start()).await;
        assert!(passed.body.unwrap() == noise(2_000));
        assert_eq!(origin.count(), count);
    }
    // Not announced: the first time it breaks off, then it is known.
    let origin = Origin::new(|_, _| async {
        let (sender, response) = streaming(FRESH);
        sender.send(Ok(noise(2_000))).unwrap();
        Ok(response)
    });
    let cache = cache_with(&origin, settings);
    assert!(get(&cache, "/a", start()).await.body.is_err());
    settle().await;
    assert!(get(&cache, "/a", start()).await.body.unwrap() == noise(2_000));
}

#[tokio::test(start_paused = true)]
async fn memory_for_fills_is_bounded() {
    let settings = Settings { filling_bytes_max: 3_000, ..Settings::default() };
    let (sender, first) = streaming(&[("cache-control", "max-age=9"), ("content-length", "2000")]);
    let first = std::sync::Mutex::new(Some(first));
    let origin = Origin::new(move |_, _| {
        let first = first.lock().unwrap().take();
        async move { Ok(first.unwrap_or_else(|| answer(200, FRESH, noise(2_000)))) }
    });
    let cache = cache_with(&origin, settings);
    sender.send(Ok(noise(1_500))).unwrap();
    let filling = cache.answer(request("/a", &[]), start()).await;
    settle().await;
    let passed = get(&cache, "/b", start()).await;
    assert!(passed.cache_status().ends_with("detail=too-large"), "{}", passed.cache_status());
    assert!(passed.body.unwrap() == noise(2_000));
    drop(filling);
}
