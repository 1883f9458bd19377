//! Ranges of large objects, and fills that go on after a break.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::origin::{answer, streaming};
use super::*;

const MIB: usize = 1 << 20;
const LINES: &[(&str, &str)] =
    &[("cache-control", "max-age=1000"), ("etag", "\"a\""), ("content-type", "video/mp4")];

/// The range of a request, as an origin reads it.
fn range_of(request: &Request<()>) -> Option<(usize, Option<usize>)> {
    let text = request.headers().get("range")?.to_str().ok()?.strip_prefix("bytes=")?;
    let (first, last) = text.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()))
}

fn partial(
    whole: &Bytes,
    first: usize,
    last: Option<usize>,
    lines: &[(&str, &str)],
) -> origin::Answering {
    let end = last.map_or(whole.len(), |last| (last + 1).min(whole.len()));
    let mut response = answer(206, lines, whole.slice(first..end));
    let place = format!("bytes {first}-{}/{}", end - 1, whole.len());
    response.headers_mut().insert("content-range", place.parse().unwrap());
    Ok(response)
}

/// An origin with ranges, of one object.
fn ranged(whole: &Bytes) -> Origin {
    let whole = whole.clone();
    Origin::new(move |request, _| {
        let whole = whole.clone();
        async move {
            match range_of(&request) {
                Some((first, _)) if first >= whole.len() => Ok(answer(416, &[], "")),
                Some((first, last)) => partial(&whole, first, last, LINES),
                None => Ok(answer(200, LINES, whole)),
            }
        }
    })
}

/// Objects of more than 40 KB in slices of 10 KB.
fn small_slices() -> Settings {
    Settings { sliced_from_bytes: 40_000, slice_bytes: 10_000, ..Settings::default() }
}

fn ranges_asked(origin: &Origin) -> Vec<String> {
    let range = |request: &Request<()>| match request.headers().get("range") {
        Some(range) => range.to_str().unwrap().to_owned(),
        None => "all".to_owned(),
    };
    origin.asked().iter().map(range).collect()
}

#[tokio::test(start_paused = true)]
async fn a_range_far_inside_waits_for_no_beginning() {
    let whole = noise(105_000);
    let origin = ranged(&whole);
    let cache = cache_with(&origin, small_slices());
    let part = get_with(&cache, "/a", &[("range", "bytes=55000-72000")], start()).await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.header("content-range"), "bytes 55000-72000/105000");
    assert_eq!(part.header("content-type"), "video/mp4");
    assert_eq!(part.cache_status(), "StreamVerse;fwd=uri-miss;fwd-status=206;stored");
    assert!(part.body.unwrap() == whole.slice(55_000..72_001));
    // What was learned of the length by asking for the whole is not forgotten.
    let slices = ["all", "bytes=50000-59999", "bytes=60000-69999", "bytes=70000-79999"];
    assert_eq!(ranges_asked(&origin), slices);
    settle().await;
    let inside = get_with(&cache, "/a", &[("range", "bytes=60000-79999")], start()).await;
    assert!(inside.cache_status().contains(";hit;ttl=1000"), "{}", inside.cache_status());
    assert!(inside.body.unwrap() == whole.slice(60_000..80_000));
    let last = get_with(&cache, "/a", &[("range", "bytes=-10")], start()).await;
    assert!(last.body.unwrap() == whole.slice(104_990..));
    assert_eq!(ranges_asked(&origin)[4..], ["bytes=100000-104999"]);
    let beyond = get_with(&cache, "/a", &[("range", "bytes=105000-")], start()).await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(ranges_asked(&origin)[5..], ["all"]);
}

#[tokio::test(start_paused = true)]
async fn small_objects_and_those_asked_for_from_the_start_are_fetched_whole() {
    for (len, range) in [(40_000, "bytes=35000-35009"), (105_000, "bytes=0-")] {
        let whole = noise(len);
        let origin = ranged(&whole);
        let cache = cache_with(&origin, small_slices());
        let part = get_with(&cache, "/a", &[("range", range)], start()).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
        settle().await;
        assert!(get(&cache, "/a", start()).await.body.unwrap() == whole);
        assert_eq!(ranges_asked(&origin), ["all"]);
    }
}

#[tokio::test(start_paused = true)]
async fn slices_that_are_all_there_are_a_whole_object() {
    let whole = noise(45_000);
    let origin = ranged(&whole);
    let cache = cache_with(&origin, small_slices());
    for range in ["bytes=1-19999", "bytes=20000-29999", "bytes=30000-44999"] {
        // Not whole yet: nothing partial passes for it.
        get_with(&cache, "/a", &[("range", range)], start()).await.body.unwrap();
        settle().await;
    }
    let asked = origin.count();
    let hit = get(&cache, "/a", later(5)).await;
    assert_eq!(hit.status, StatusCode::OK);
    assert!(hit.cache_status().contains(";hit"), "{}", hit.cache_status());
    assert_eq!((hit.header("age"), hit.header("content-length")), ("5", "45000"));
    assert!(hit.header("content-range").is_empty());
    assert!(hit.body.unwrap() == whole);
    assert_eq!(origin.count(), asked);
}

#[tokio::test(start_paused = true)]
async fn a_part_is_never_taken_for_the_whole() {
    let whole = noise(105_000);
    let origin = ranged(&whole);
    let cache = cache_with(&origin, small_slices());
    get_with(&cache, "/a", &[("range", "bytes=50000-59999")], start()).await;
    settle().await;
    let all = get(&cache, "/a", start()).await;
    assert!(all.cache_status().contains("fwd=uri-miss"), "{}", all.cache_status());
    assert_eq!((all.status, all.body.unwrap() == whole), (StatusCode::OK, true));
}

#[tokio::test(start_paused = true)]
async fn viewers_of_one_slice_share_one_fetch() {
    let whole = noise(105_000);
    let (release, gate) = tokio::sync::watch::channel(false);
    let served = whole.clone();
    let origin = Origin::new(move |request, count| {
        let (whole, mut gate) = (served.clone(), gate.clone());
        async move {
            match range_of(&request) {
                None => Ok(answer(200, LINES, whole)),
                Some((first, last)) => {
                    if count > 1 {
                        gate.wait_for(|open| *open).await.unwrap();
                    }
                    partial(&whole, first, last, LINES)
                }
            }
        }
    });
    let cache = cache_with(&origin, small_slices());
    get_with(&cache, "/a", &[("range", "bytes=20000-20001")], start()).await;
    settle().await;
    let before = origin.count();
    let viewers: Vec<_> = (0..1_000)
        .map(|number: usize| {
            let (cache, whole) = (cache.clone(), whole.clone());
            tokio::spawn(async move {
                let (first, last) = (60_000 + number, 69_000 + number % 900);
                let range = format!("bytes={first}-{last}");
                let part = get_with(&cache, "/a", &[("range", &range)], start()).await;
                assert!(part.body.unwrap() == whole.slice(first..=last));
            })
        })
        .collect();
    settle().await;
    release.send(true).unwrap();
    for viewer in viewers {
        viewer.await.unwrap();
    }
    assert_eq!(origin.count(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn slices_of_different_representations_are_never_mixed() {
    let is_new = Arc::new(AtomicBool::new(false));
    let (old, new) = (noise(105_000), Bytes::from(vec![7; 105_000]));
    let served = (old.clone(), new.clone(), is_new.clone());
    let origin = Origin::new(move |request, _| {
        let (old, new, is_new) = served.clone();
        async move {
            let is_new = is_new.load(Ordering::SeqCst);
            let whole = if is_new { new } else { old };
            let etag = if is_new { "\"b\"" } else { "\"a\"" };
            let lines = [("cache-control", "max-age=1000"), ("etag", etag)];
            match range_of(&request) {
                Some((first, last)) => partial(&whole, first, last, &lines),
                None => Ok(answer(200, &lines, whole)),
            }
        }
    });
    let cache = cache_with(&origin, small_slices());
    let ask = async |range: &str| get_with(&cache, "/a", &[("range", range)], start()).await;
    assert!(ask("bytes=20000-29999").await.body.unwrap() == old.slice(20_000..30_000));
    settle().await;
    is_new.store(true, Ordering::SeqCst);
    // The first slice is known, the second one turns out to be of something else.
    assert!(ask("bytes=25000-35000").await.body.is_err(), "two tags in one answer");
    settle().await;
    let again = ask("bytes=25000-35000").await;
    assert_eq!(again.header("etag"), "\"b\"");
    assert!(again.body.unwrap() == new.slice(25_000..35_001));
}

#[tokio::test(start_paused = true)]
async fn an_origin_without_ranges_is_asked_for_the_whole() {
    let whole = noise(105_000);
    let other = whole.clone();
    let wrong = move |request: &Request<()>| match range_of(request) {
        // Other bytes than were asked for are as good as none.
        Some((first, last)) => partial(&other, first + 1, last, LINES),
        None => Ok(answer(200, LINES, other.clone())),
    };
    let served = whole.clone();
    let without = move |_: &Request<()>| Ok(answer(200, LINES, served.clone()));
    for script in
        [Box::new(wrong) as Box<dyn Fn(&Request<()>) -> _ + Send + Sync>, Box::new(without)]
    {
        let origin = Origin::new(move |request, _| {
            let result = script(&request);
            async move { result }
        });
        let cache = cache_with(&origin, small_slices());
        for _ in 0..2 {
            let part = get_with(&cache, "/a", &[("range", "bytes=50000-50009")], start()).await;
            assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
            assert!(part.body.unwrap() == whole.slice(50_000..50_010));
            settle().await;
            assert_eq!(origin.count(), 3, "once to learn, once in slices, once whole");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn objects_too_large_to_keep_are_kept_in_slices() {
    let whole = noise(3 * MIB);
    let origin = ranged(&whole);
    let settings = Settings { object_bytes_max: MIB as u64, ..small_slices() };
    let cache = cache_with(&origin, settings);
    for is_hit in [false, true] {
        let part = get_with(&cache, "/a", &[("range", "bytes=2000000-2009999")], start()).await;
        assert_eq!(part.cache_status().contains(";hit"), is_hit, "{}", part.cache_status());
        assert!(part.body.unwrap() == whole.slice(2_000_000..2_010_000));
        settle().await;
    }
    assert!(get(&cache, "/a", start()).await.body.unwrap() == whole, "passed on");
}

#[tokio::test(start_paused = true)]
async fn purges_and_conditions_hold_for_slices() {
    let whole = noise(105_000);
    let origin = ranged(&whole);
    let cache = cache_with(&origin, small_slices());
    let range = ("range", "bytes=50000-50009");
    get_with(&cache, "/a", &[range], start()).await;
    settle().await;
    let known = get_with(&cache, "/a", &[range, ("if-none-match", "\"a\"")], start()).await;
    assert_eq!(known.status, StatusCode::NOT_MODIFIED);
    let same = get_with(&cache, "/a", &[range, ("if-range", "\"a\"")], start()).await;
    assert_eq!(same.status, StatusCode::PARTIAL_CONTENT);
    let other = get_with(&cache, "/a", &[range, ("if-range", "\"b\"")], start()).await;
    assert_eq!((other.status, other.body.unwrap() == whole), (StatusCode::OK, true));
    let scope = Scope::Url(CacheKey::new("cdn.example", "/a", &[]).unwrap());
    cache.purge(Purge { scope, is_soft: false }, start()).await;
    let after = get_with(&cache, "/a", &[range], start()).await;
    assert!(after.cache_status().contains("fwd=uri-miss"), "{}", after.cache_status());
}

/// Sends a part of an object and then breaks off; says in what way it goes on.
fn breaking(
    whole: &Bytes,
    announced: bool,
    then: impl Fn(&Bytes, usize) -> origin::Answering + Send + Sync + 'static,
) -> Origin {
    let whole = whole.clone();
    let then = Arc::new(then);
    Origin::new(move |request, _| {
        let (whole, then) = (whole.clone(), then.clone());
        async move {
            if let Some((first, _)) = range_of(&request) {
                assert_eq!(request.headers()["if-range"], "\"a\"");
                return then(&whole, first);
            }
            let len = whole.len().to_string();
            let mut lines = LINES.to_vec();
            if announced {
                lines.push(("content-length", &len));
            }
            let (sender, response) = streaming(&lines);
            sender.send(Ok(whole.slice(..30_000))).unwrap();
            let reason = "reset".to_owned();
            sender.send(Err(FetchError::Unreachable { upstream: "o".to_owned(), reason })).unwrap();
            Ok(response)
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_broken_fill_goes_on_where_it_stopped() {
    let whole = noise(100_000);
    for announced in [true, false] {
        let origin = breaking(&whole, announced, |whole, at| partial(whole, at, None, LINES));
        let cache = cache(&origin);
        assert!(get(&cache, "/a", start()).await.body.unwrap() == whole);
        settle().await;
        let hit = get(&cache, "/a", start()).await;
        assert!(hit.cache_status().contains(";hit"));
        assert!(hit.body.unwrap() == whole);
        assert_eq!(ranges_asked(&origin), ["all", "bytes=30000-"]);
        assert_eq!(cache.metrics().resumed_fills.get(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_origin_without_ranges_sends_it_all_again() {
    let whole = noise(100_000);
    let origin = breaking(&whole, true, |whole, _| Ok(answer(200, LINES, whole.clone())));
    let cache = cache(&origin);
    assert!(get(&cache, "/a", start()).await.body.unwrap() == whole);
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_more_than_once_and_not_for_ever() {
    let whole = noise(100_000);
    let some = |whole: &Bytes, at: usize| partial(whole, at, Some(at + 24_999), LINES);
    let origin = breaking(&whole, true, some);
    let cache = cache(&origin);
    assert!(get(&cache, "/a", start()).await.body.unwrap() == whole, "30, 55, 80, 100");
    let few = |whole: &Bytes, at: usize| partial(whole, at, Some(at + 9), LINES);
    let origin = breaking(&whole, true, few);
    let cache = cache_with(&origin, Settings::default());
    assert!(get(&cache, "/a", start()).await.body.is_err());
    assert_eq!(origin.count(), 4, "three tries more");
    settle().await;
    assert!(get(&cache, "/a", start()).await.body.is_err(), "nothing was kept");
}

/// In what way an origin goes on from a place.
type Goes = dyn Fn(&Bytes, usize) -> origin::Answering + Send + Sync;

/// Whatever is not the rest of the same representation breaks the transfer.
#[tokio::test(start_paused = true)]
async fn it_goes_on_with_nothing_else() {
    let whole = noise(100_000);
    let other = [("etag", "\"b\""), ("cache-control", "max-age=9")];
    let weak = [("etag", "W/\"a\"")];
    let coded = [("etag", "\"a\""), ("content-encoding", "gzip")];
    let cases: Vec<Box<Goes>> = vec![
        Box::new(move |whole, at| partial(whole, at, None, &other)),
        Box::new(move |whole, at| partial(whole, at, None, &weak)),
        Box::new(move |whole, at| partial(whole, at, None, &coded)),
        Box::new(|whole, at| partial(whole, at - 1, None, LINES)),
        Box::new(|whole, at| partial(whole, at + 1, None, LINES)),
        // Of another length.
        Box::new(|whole, at| partial(&whole.slice(..90_000), at, None, LINES)),
        // Two of everything.
        Box::new(|whole, at| partial(whole, at, None, &[("etag", "\"a\""), ("etag", "\"a\"")])),
        Box::new(move |whole, _| Ok(answer(200, &other, whole.clone()))),
        // More than it says that it sends.
        Box::new(|whole, at| {
            let mut response = partial(whole, at, None, LINES)?;
            response.headers_mut().remove("content-length");
            let place = format!("bytes {at}-{}/{}", at + 9, whole.len());
            response.headers_mut().insert("content-range", place.parse().unwrap());
            Ok(response)
        }),
        Box::new(|_, _| Ok(answer(206, LINES, "no place"))),
        Box::new(|_, _| Ok(answer(416, LINES, ""))),
        Box::new(|_, _| Ok(answer(503, LINES, "busy"))),
        Box::new(|_, _| Err(FetchError::Timeout { upstream: "o".to_owned() })),
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let origin = breaking(&whole, true, case);
        let cache = cache(&origin);
        assert!(get(&cache, "/a", start()).await.body.is_err(), "{number}");
        settle().await;
        assert_eq!(origin.count(), 2, "{number}");
        let again = get(&cache, "/a", start()).await;
        assert!(again.cache_status().contains("fwd=uri-miss"), "{number}: kept");
    }
}
