//! Retries, hedges, breakers, checks and limits, counted at the doubles.

use std::time::{Duration, Instant};

use edge::fetch::{Fetch, FetchError};
use edge::upstream::Upstreams;
use edge::upstream::breaker::BreakerState;
use edge::upstream::budget::BURST_FIRST;
use futures_util::future::join_all;
use http::Request;

use crate::double::{Does, Double, ok, slow, status};
use crate::{counted, fast, fetch, fetch_with, get, start};

/// Settings whose breaker never opens.
fn without_breaker() -> platform::config::Fetch {
    platform::config::Fetch { breaker_failures: 1_000_000, ..fast() }
}

/// A title that belongs to the first of two upstreams.
async fn title_of(first: &Double, upstreams: &Upstreams) -> String {
    for title in 0.. {
        let path = format!("/vod/title-{title}/1.m4s");
        let before = first.count();
        fetch(upstreams, &path).await.unwrap();
        if before < first.count() {
            return path;
        }
    }
    unreachable!("one of two upstreams gets some title")
}

#[tokio::test(flavor = "multi_thread")]
async fn titles_stay_with_their_upstream() {
    let doubles = [Double::start(ok(b"x")).await, Double::start(ok(b"x")).await];
    let upstreams = start(&fast(), &doubles.each_ref().map(Double::url));
    for title in 0..20 {
        let before = doubles.each_ref().map(Double::count);
        for segment in 0..5 {
            fetch(&upstreams, &format!("/vod/{title}/cmaf/hd/{segment}.m4s")).await.unwrap();
        }
        let after = doubles.each_ref().map(Double::count);
        let more = [after[0] - before[0], after[1] - before[1]];
        assert!(more == [5, 0] || more == [0, 5], "{more:?}");
    }
    assert!(doubles.iter().all(|double| 0 < double.count()), "both have titles");
}

/// 500 requests that all fail: the upstreams see a tenth more, and what the budget held at first.
#[tokio::test(flavor = "multi_thread")]
async fn retries_stay_within_their_budget() {
    let doubles = [Double::start(status(500)).await, Double::start(status(500)).await];
    let upstreams = start(&without_breaker(), &doubles.each_ref().map(Double::url));
    for title in 0..500 {
        let response = fetch(&upstreams, &format!("/vod/{title}/1.m4s")).await.unwrap();
        assert_eq!(response.status(), 500);
    }
    let seen = doubles[0].count() + doubles[1].count();
    let retries = counted(&upstreams, "upstream_retries_total", "") as usize;
    assert_eq!(seen, 500 + retries);
    assert_eq!(retries, 50 + BURST_FIRST as usize);
    assert!(0 < counted(&upstreams, "upstream_budget_empty_total", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn unsafe_requests_are_sent_once() {
    let doubles = [Double::start(Does::Close).await, Double::start(Does::Close).await];
    let upstreams = start(&without_breaker(), &doubles.each_ref().map(Double::url));
    let post = Request::post("/vod/a/1.m4s").body(()).unwrap();
    fetch_with(&upstreams, post).await.unwrap_err();
    assert_eq!(doubles[0].count() + doubles[1].count(), 1);
    fetch(&upstreams, "/vod/a/1.m4s").await.unwrap_err();
    assert_eq!(doubles[0].count() + doubles[1].count(), 1 + 3, "a safe one goes to both");
    assert!(doubles.iter().all(|double| 0 < double.count()));
}

/// Requests that never left cost no budget: with none at all, every one is answered.
#[tokio::test(flavor = "multi_thread")]
async fn refused_requests_go_elsewhere_without_budget() {
    let (dead, good) = (Double::start(ok(b"x")).await, Double::start(ok(b"good")).await);
    dead.refuse();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let settings = platform::config::Fetch { retry_percent: 0, ..fast() };
    let upstreams = start(&settings, &[dead.url(), good.url()]);
    for title in 0..100 {
        let response = fetch(&upstreams, &format!("/vod/{title}/1.m4s")).await.unwrap();
        assert_eq!(response.body(), b"good");
    }
    // The breaker opened at the fifth: nobody asked the dead one after that.
    assert_eq!(counted(&upstreams, "upstream_reroutes_total", ""), 5);
    assert_eq!(counted(&upstreams, "upstream_breaker_opened_total", ""), 1);
    assert_eq!(counted(&upstreams, "upstream_retries_total", ""), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_upstream_is_asked_again() {
    let double = Double::start(Does::Close).await;
    let upstreams = start(&without_breaker(), &[double.url()]);
    fetch(&upstreams, "/vod/a/1.m4s").await.unwrap_err();
    assert_eq!(double.count(), 3, "attempts_max");
    double.now(ok(b"x"));
    fetch(&upstreams, "/vod/a/1.m4s").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_answers_are_hedged_once_and_the_loser_is_cancelled() {
    let settings = platform::config::Fetch {
        hedge: true,
        first_byte_timeout_seconds: 5.0,
        total_timeout_seconds: 6.0,
        ..fast()
    };
    let doubles = [Double::start(ok(b"same")).await, Double::start(ok(b"same")).await];
    let upstreams = start(&settings, &doubles.each_ref().map(Double::url));
    let path = title_of(&doubles[0], &upstreams).await;
    for _ in 0..100 {
        fetch(&upstreams, &path).await.unwrap();
    }
    assert_eq!(counted(&upstreams, "upstream_hedges_won_total", ""), 0);

    let before = doubles.each_ref().map(Double::count);
    doubles[0].now(slow(b"same", 3_000));
    let began = Instant::now();
    let response = fetch(&upstreams, &path).await.unwrap();
    assert_eq!(response.body(), b"same");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(doubles[0].count() - before[0], 1);
    assert_eq!(doubles[1].count() - before[1], 1);
    assert_eq!(counted(&upstreams, "upstream_hedges_won_total", ""), 1);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(doubles[0].cancelled(), 1, "the slow request was given up");
    assert_eq!(counted(&upstreams, "upstream_requests_in_flight", ""), 0);
    let cancelled = counted(&upstreams, "upstream_requests_total", "cancelled");
    assert_eq!(cancelled, 1, "a cancelled request is no failure");

    // Fast again: nothing is hedged.
    doubles[0].now(ok(b"same"));
    let before = doubles[1].count();
    let hedges = counted(&upstreams, "upstream_hedges_total", "");
    for _ in 0..20 {
        fetch(&upstreams, &path).await.unwrap();
    }
    let more = counted(&upstreams, "upstream_hedges_total", "") - hedges;
    assert_eq!(doubles[1].count() - before, more as usize);
    assert!(more <= 2, "{more} hedges of fast answers");
}

/// Everything slow: hedges stop when the budget is used up.
#[tokio::test(flavor = "multi_thread")]
async fn hedges_stay_within_the_budget() {
    let settings = platform::config::Fetch {
        hedge: true,
        requests_max: 1_000,
        load_factor: 100.0,
        first_byte_timeout_seconds: 5.0,
        total_timeout_seconds: 6.0,
        ..fast()
    };
    let doubles = [Double::start(ok(b"x")).await, Double::start(ok(b"x")).await];
    let upstreams = start(&settings, &doubles.each_ref().map(Double::url));
    for title in 0..40 {
        fetch(&upstreams, &format!("/vod/{title}/1.m4s")).await.unwrap();
    }
    let before = doubles[0].count() + doubles[1].count();
    let hedged = counted(&upstreams, "upstream_hedges_total", "") as usize;
    doubles.iter().for_each(|double| double.now(slow(b"x", 500)));
    let requests = (0..200).map(|title| {
        let upstreams = upstreams.clone();
        async move { fetch(&upstreams, &format!("/vod/{title}/1.m4s")).await.unwrap() }
    });
    join_all(requests).await;
    let seen = doubles[0].count() + doubles[1].count() - before;
    let hedges = counted(&upstreams, "upstream_hedges_total", "") as usize - hedged;
    assert_eq!(seen, 200 + hedges);
    // 10 at first, and a tenth of 240.
    assert!((10..=34).contains(&hedges), "{hedges}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_breaker_opens_tries_once_and_closes() {
    let settings = platform::config::Fetch { attempts_max: 1, breaker_open_seconds: 0.8, ..fast() };
    let double = Double::start(status(500)).await;
    let upstreams = start(&settings, &[double.url()]);
    let state = || upstreams.states()[0].1;
    for _ in 0..5 {
        assert_eq!(state(), BreakerState::Closed);
        fetch(&upstreams, "/vod/a/1.m4s").await.unwrap();
    }
    assert_eq!(state(), BreakerState::Open);
    assert_eq!(counted(&upstreams, "upstream_breaker_state", ""), 2);
    for _ in 0..50 {
        let error = fetch(&upstreams, "/vod/a/1.m4s").await.unwrap_err();
        assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
    }
    assert_eq!(double.count(), 5, "nothing goes through while it is open");

    // Half open: of many at once, one goes through. It fails, and the breaker opens anew.
    let burst = |expected_ok: usize| {
        let requests = (0..20).map(|_| fetch(&upstreams, "/vod/a/1.m4s"));
        async move {
            let outcomes = join_all(requests).await;
            assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), expected_ok);
        }
    };
    double.now(Does::Answer { status: 500, body: Vec::new(), after: Duration::from_millis(100) });
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(state(), BreakerState::HalfOpen);
    burst(1).await;
    assert_eq!((double.count(), state()), (6, BreakerState::Open));

    double.now(slow(b"x", 100));
    tokio::time::sleep(Duration::from_millis(900)).await;
    burst(1).await;
    assert_eq!((double.count(), state()), (7, BreakerState::Closed));
    burst(20).await;
}

/// A probe whose client went away teaches nothing and must not keep the breaker half open.
#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_probe_makes_room_for_the_next() {
    let settings = platform::config::Fetch { attempts_max: 1, breaker_open_seconds: 0.2, ..fast() };
    let double = Double::start(status(500)).await;
    let upstreams = start(&settings, &[double.url()]);
    for _ in 0..5 {
        fetch(&upstreams, "/vod/a/1.m4s").await.unwrap();
    }
    double.now(Does::Hang);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let abandoned = upstreams.fetch(get("/vod/a/1.m4s"));
    tokio::time::timeout(Duration::from_millis(100), abandoned).await.expect_err("it hangs");
    assert_eq!(upstreams.states()[0].1, BreakerState::HalfOpen);
    double.now(ok(b"x"));
    fetch(&upstreams, "/vod/a/1.m4s").await.unwrap();
    assert_eq!(upstreams.states()[0].1, BreakerState::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_break_off_open_the_breaker() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    let double = Double::start(Does::SendAndClose(head.into())).await;
    let upstreams = start(&fast(), &[double.url()]);
    for _ in 0..5 {
        fetch(&upstreams, "/vod/a/1.m4s").await.unwrap_err();
    }
    assert_eq!(upstreams.states()[0].1, BreakerState::Open);
    assert_eq!(counted(&upstreams, "upstream_bodies_broken_total", ""), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_take_an_upstream_out_and_bring_it_back() {
    let settings = platform::config::Fetch {
        health_interval_seconds: 0.1,
        health_fall: 3,
        health_rise: 2,
        ..fast()
    };
    let doubles = [Double::start(ok(b"x")).await, Double::start(ok(b"x")).await];
    let upstreams = start(&settings, &doubles.each_ref().map(Double::url));
    let path = title_of(&doubles[0], &upstreams).await;
    let wait_until = async |is_up: bool| {
        let deadline = Instant::now() + Duration::from_secs(5);
        while upstreams.states()[0].2 != is_up {
            assert!(Instant::now() < deadline, "checks don't say {is_up}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let checks = doubles[0].checks();
    doubles[0].set_ready(false);
    wait_until(false).await;
    assert!(checks + 3 <= doubles[0].checks(), "three bad answers in a row");
    let before = doubles[0].count();
    fetch(&upstreams, &path).await.unwrap();
    assert_eq!(doubles[0].count(), before, "its titles are with the other one");

    // With every check failing the checks are not believed.
    doubles[1].set_ready(false);
    let deadline = Instant::now() + Duration::from_secs(5);
    while upstreams.states()[1].2 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    fetch(&upstreams, &path).await.unwrap();
    assert_eq!(doubles[0].count(), before + 1);

    doubles[0].set_ready(true);
    wait_until(true).await;
    drop(upstreams);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let checks = doubles[1].checks();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(doubles[1].checks(), checks, "checks end with the last clone");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_queue_are_bounded() {
    let settings = platform::config::Fetch {
        requests_max: 2,
        queue_max: 3,
        queue_timeout_seconds: 0.3,
        ..fast()
    };
    let double = Double::start(slow(b"x", 500)).await;
    let upstreams = start(&settings, &[double.url()]);
    let began = Instant::now();
    let outcomes = join_all((0..10).map(|_| fetch(&upstreams, "/vod/a/1.m4s"))).await;
    let answered = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let overloaded = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(FetchError::Overloaded { .. })))
        .count();
    assert_eq!((answered, overloaded), (2, 8), "five at once, three after the queue's time");
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(double.count(), 2);
    fetch(&upstreams, "/vod/a/1.m4s").await.unwrap();
}

/// A body holds its place until it ends or is dropped.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_body_gives_its_place_back() {
    let settings = platform::config::Fetch { requests_max: 1, queue_max: 0, ..fast() };
    let double = Double::start(ok(&vec![7; 4 << 20])).await;
    let upstreams = start(&settings, &[double.url()]);
    let response = upstreams.fetch(get("/vod/a/1.m4s")).await.unwrap();
    let error = fetch(&upstreams, "/vod/a/1.m4s").await.unwrap_err();
    assert!(matches!(error, FetchError::Overloaded { .. }), "{error}");
    drop(response);
    let response = fetch(&upstreams, "/vod/a/1.m4s").await.unwrap();
    assert!(response.body().iter().all(|byte| *byte == 7) && response.body().len() == 4 << 20);
}

/// A reader that takes its time is no fault of the upstream.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_not_an_idle_upstream() {
    use http_body_util::BodyExt;
    let double = Double::start(ok(&vec![7; 4 << 20])).await;
    let upstreams = start(&fast(), &[double.url()]);
    let mut body = upstreams.fetch(get("/vod/a/1.m4s")).await.unwrap().into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let rest = body.collect().await.unwrap().to_bytes();
    assert_eq!(first.len() + rest.len(), 4 << 20);
}
