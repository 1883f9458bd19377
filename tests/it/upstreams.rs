//! Origins as processes behind the edge's upstream client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use edge::fetch::{Fetch, FetchError};
use edge::upstream::Upstreams;
use edge::upstream::breaker::BreakerState;
use http::Request;
use http_body_util::BodyExt;
use platform::config::{Config, SourceFile, Sources};

use crate::manifests::Fetcher;
use crate::server::{Server, ingest};
use crate::{media, tools};

/// Titles, so that each of two origins has some.
const TITLES: usize = 6;

/// Requests under way at once.
const VIEWERS: usize = 24;

fn start(text: &str) -> Upstreams {
    let file = SourceFile { path: "edge.toml".into(), text: text.to_owned() };
    let sources = Sources { file: Some(file), ..Sources::default() };
    let config = Config::load(&sources).expect("the configuration is right").config;
    Upstreams::start(&config.fetch, &config.upstream).expect("upstreams can be set up")
}

/// What became of requests.
#[derive(Default)]
struct Tally {
    whole: AtomicUsize,
    /// Answers that broke off after their first byte, and said so.
    broken: AtomicUsize,
    wrong: AtomicUsize,
    /// Requests of which nothing was answered.
    failed: AtomicUsize,
}

async fn watch(
    upstreams: &Upstreams,
    bodies: &BTreeMap<String, Vec<u8>>,
    at: usize,
    tally: &Tally,
) {
    let (path, expected) = bodies.iter().nth(at % bodies.len()).expect("an index within");
    let request = Request::get(path.as_str()).body(()).expect("a path");
    let response = match upstreams.fetch(request).await {
        Ok(response) if response.status() == 200 => response,
        other => {
            eprintln!("{path}: {:?}", other.map(|response| response.status()));
            tally.failed.fetch_add(1, Ordering::Relaxed);
            return;
        }
    };
    let counter = match response.into_body().collect().await.map(|body| body.to_bytes()) {
        Ok(body) if body == expected.as_slice() => &tally.whole,
        Ok(_) => &tally.wrong,
        Err(_) => &tally.broken,
    };
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One of two origins is killed under load: what had begun breaks off and says so, everything else
/// is answered by the other one.
#[test]
fn an_origin_dies_under_load() {
    let folder = tools::folder("upstreams");
    let (data, copy) = (folder.join("data"), folder.join("copy"));
    let files = media::title("ntsc").paths();
    for title in 0..TITLES {
        ingest(&data, &format!("title-{title}"), &files);
    }
    tools::run("cp", &["-a", tools::text(&data), tools::text(&copy)]);
    let (first, second) = (Server::start(&data), Server::start(&copy));
    let mut client = first.client();
    let mut fetcher = Fetcher::new(&mut client);
    for title in 0..TITLES {
        fetcher.hls(&format!("title-{title}"), "cmaf");
    }
    let bodies = Arc::new(fetcher.bodies);
    let text = format!(
        "[fetch]\nhealth_interval_seconds = 0.5\n\
         [[upstream]]\nurl = \"http://{}\"\n[[upstream]]\nurl = \"http://{}\"\n",
        first.media, second.media
    );

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be built");
    runtime.block_on(async {
        let upstreams = start(&text);
        let tally = Arc::new(Tally::default());
        let is_over = Arc::new(AtomicBool::new(false));
        let viewers = (0..VIEWERS).map(|viewer| {
            let (upstreams, bodies) = (upstreams.clone(), Arc::clone(&bodies));
            let (tally, is_over) = (Arc::clone(&tally), Arc::clone(&is_over));
            tokio::spawn(async move {
                let mut at = viewer * 31;
                while !is_over.load(Ordering::Relaxed) {
                    watch(&upstreams, &bodies, at, &tally).await;
                    at += 7;
                }
            })
        });
        let viewers: Vec<_> = viewers.collect();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = tally.whole.load(Ordering::Relaxed);
        assert_eq!(tally.broken.load(Ordering::Relaxed), 0, "both are well");
        tokio::task::spawn_blocking(move || second.kill()).await.expect("it is killed");
        tokio::time::sleep(Duration::from_secs(3)).await;
        is_over.store(true, Ordering::Relaxed);
        for viewer in viewers {
            viewer.await.expect("no viewer panics");
        }

        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        let (whole, broken) = (count(&tally.whole), count(&tally.broken));
        eprintln!("{before} whole before, {} after, {broken} broke off", whole - before);
        assert_eq!(count(&tally.wrong), 0, "a wrong body was taken for a right one");
        assert_eq!(count(&tally.failed), 0, "requests failed though nothing had been sent");
        assert!(broken <= VIEWERS, "no more than were under way: {broken}");
        assert!(before < whole, "the other origin goes on");
        let states = upstreams.states();
        assert_eq!(states[0].1, BreakerState::Closed);
        let is_out = states[1].1 == BreakerState::Open || !states[1].2;
        assert!(is_out, "the dead one is out: {states:?}");
        let deadline = Instant::now() + Duration::from_secs(5);
        while upstreams.states()[1].2 {
            assert!(Instant::now() < deadline, "checks don't notice");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}

/// With `[shield]`, media is for whoever bears the secret; health is for everybody.
#[test]
fn an_origin_answers_its_edges_only() {
    let data = tools::folder("shield").join("data");
    ingest(&data, "title", &media::title("ntsc").paths());
    let variables = [
        ("STREAMVERSE__SHIELD__SECRET", "env:TEST_SHIELD_SECRET"),
        ("TEST_SHIELD_SECRET", "a-secret-for-edges"),
    ];
    let path = "/vod/title/cmaf/master.m3u8";
    let server = Server::start_closed_with(&data, &[], &variables);
    let mut client = server.client();
    for headers in [&[][..], &[("Streamverse-Shield", "a-secret-for-edge")]] {
        let answer = client.get_with(path, headers);
        let code = answer.json()["code"].as_str().map(str::to_owned);
        assert_eq!((answer.status, code.as_deref()), (403, Some("shield_required")));
        assert_eq!(client.get_with("/titles.json", headers).status, 403);
    }
    assert_eq!(client.get_with("/ready", &[]).status, 200);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(async {
        let upstreams = |secret: &str| {
            let url = server.media;
            start(&format!("[[upstream]]\nurl = \"http://{url}\"\n{secret}"))
        };
        let status = async |upstreams: Upstreams| {
            let request = Request::get(path).body(()).expect("a path");
            let response = upstreams.fetch(request).await?;
            Ok::<_, FetchError>(response.status().as_u16())
        };
        let right = upstreams("secret = \"a-secret-for-edges\"");
        assert_eq!(status(right).await.expect("it answers"), 200);
        assert_eq!(status(upstreams("")).await.expect("it answers"), 403);
    });
}
