//! HEAD over the whole cache (RFC 9111 4.3.5); `policy/rows.rs` has its sentences.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::origin::{answer, streaming};
use super::*;

const OLD: &[(&str, &str)] =
    &[("cache-control", "max-age=10"), ("etag", "\"a\""), ("x", "old"), ("y", "kept")];

/// Answers GET with 20 bytes and HEAD with other fields.
fn origin(head: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::new(move |request, count| async move {
        let is_head = request.method() == Method::HEAD;
        let mut response = answer(200, if is_head { head } else { OLD }, vec![b'b'; 20]);
        if is_head {
            *response.body_mut() = answer(200, &[], "").into_body();
        } else {
            response.headers_mut().insert("count", count.into());
        }
        Ok(response)
    })
}

async fn head(cache: &Cache<Origin>, now: SystemTime) -> Answer {
    call(cache, Method::HEAD, "/a", now).await
}

#[tokio::test(start_paused = true)]
async fn one_that_agrees_makes_the_stored_answer_fresh() {
    let origin = origin(&[("cache-control", "max-age=100"), ("etag", "\"a\""), ("x", "new")]);
    let cache = cache(&origin);
    get(&cache, "/a", start()).await;
    settle().await;
    let passed = head(&cache, later(20)).await;
    assert_eq!(passed.cache_status(), "StreamVerse;fwd=stale;fwd-status=200;stored");
    assert!(passed.body.unwrap().is_empty());
    let hit = get(&cache, "/a", later(110)).await;
    assert!(hit.cache_status().contains(";hit;ttl=10"), "{}", hit.cache_status());
    assert_eq!((hit.header("x"), hit.header("y"), hit.text().len()), ("new", "kept", 20));
    assert_eq!(origin.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_disagrees_makes_it_unfit_until_it_is_validated() {
    for lines in [
        &[("etag", "\"b\""), ("cache-control", "max-age=100")][..],
        &[("etag", "\"a\""), ("cache-control", "no-store")],
    ] {
        let origin = origin(lines);
        let cache = cache(&origin);
        get(&cache, "/a", start()).await;
        settle().await;
        for _ in 0..2 {
            head(&cache, later(20)).await;
        }
        assert_eq!((origin.count(), cache.metrics().purges.get()), (3, 0));
        get(&cache, "/a", later(21)).await;
        assert_eq!(origin.count(), 4);
        assert_eq!(origin.asked()[3].headers()["if-none-match"], "\"a\"");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_misses_takes_the_head_of_a_fill_under_way() {
    let (sender, first) = streaming(&[("cache-control", "max-age=9"), ("content-length", "4")]);
    let first = std::sync::Mutex::new(Some(first));
    let origin = Origin::new(move |_, _| {
        let first = first.lock().unwrap().take();
        async move { Ok(first.expect("asked once")) }
    });
    let cache = cache(&origin);
    sender.send(Ok("ab".into())).unwrap();
    let filling = cache.answer(request("/a", &[]), start()).await;
    let found = head(&cache, start()).await;
    assert_eq!((found.status, found.header("content-length")), (StatusCode::OK, "4"));
    assert!(found.cache_status().ends_with(";collapsed"), "{}", found.cache_status());
    sender.send(Ok("cd".into())).unwrap();
    drop(sender);
    assert_eq!(Answer::of(filling).await.text(), "abcd");
    assert_eq!(origin.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stale_head_stands_in_for_an_origin_that_fails() {
    let fails = Arc::new(AtomicUsize::new(0));
    let status = fails.clone();
    let origin = Origin::new(move |_, _| {
        let status = status.load(Ordering::SeqCst);
        async move { Ok(answer(if status == 0 { 200 } else { status as u16 }, OLD, "good")) }
    });
    let cache = cache(&origin);
    get(&cache, "/a", start()).await;
    settle().await;
    fails.store(503, Ordering::SeqCst);
    let stale = head(&cache, later(20)).await;
    assert_eq!((stale.status, stale.header("content-length")), (StatusCode::OK, "4"));
    assert_eq!(
        stale.cache_status(),
        "StreamVerse;fwd=stale;fwd-status=503;ttl=-10;detail=stale-if-error"
    );
    // A 404 says something of the resource, and nothing of the stored bytes.
    fails.store(404, Ordering::SeqCst);
    assert_eq!(head(&cache, later(20)).await.status, StatusCode::NOT_FOUND);
}
