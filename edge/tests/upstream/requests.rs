//! What an upstream sees, and what it doesn't.

use edge::fetch::FetchError;
use edge::upstream::{UpstreamError, Upstreams};
use http::Request;
use platform::config::{Config, SourceFile, Sources};

use crate::double::{Double, ok};
use crate::{fast, fetch, fetch_with, start, upstream};

#[tokio::test]
async fn an_upstream_sees_what_is_keyed_and_no_more() {
    let double = Double::start(ok(b"x")).await;
    let text = format!(
        "[fetch]\nname = \"edge-7\"\nhealth_interval_seconds = 0\n\
         [[upstream]]\nurl = \"{}\"\nsecret = \"a-secret-of-the-shield\"\n",
        double.url()
    );
    let file = SourceFile { path: "c.toml".into(), text };
    let config = Config::load(&Sources { file: Some(file), ..Sources::default() }).unwrap().config;
    let upstreams = Upstreams::start(&config.fetch, &config.upstream).unwrap();
    let request = Request::get("https://media.example.org/vod/a/1.m4s?_HLS_msn=3")
        .header("host", "evil.example.org")
        .header("x-forwarded-host", "evil.example.org")
        .header("cookie", "session=1")
        .header("if-none-match", "\"e\"")
        .header("cdn-loop", "other-cdn")
        .header("streamverse-shield", "a guess")
        .body(())
        .unwrap();
    fetch_with(&upstreams, request).await.unwrap();
    let seen = double.requests().remove(0).to_lowercase();
    let mut lines: Vec<&str> = seen.trim_end().split("\r\n").collect();
    lines[1..].sort_unstable();
    let host = format!("host: {}", double.address);
    assert_eq!(
        lines,
        [
            "get /vod/a/1.m4s?_hls_msn=3 http/1.1",
            "accept-encoding: identity",
            "cdn-loop: other-cdn, edge-7",
            "forwarded: host=\"media.example.org\"",
            &host,
            "if-none-match: \"e\"",
            "streamverse-shield: a-secret-of-the-shield",
            "via: 1.1 edge-7",
        ]
    );
}

#[tokio::test]
async fn a_loop_ends_here() {
    let double = Double::start(ok(b"x")).await;
    let upstreams = start(&fast(), &[double.url()]);
    let request = Request::get("/vod/a/1").header("cdn-loop", "x, edge-under-test").body(());
    let error = fetch_with(&upstreams, request.unwrap()).await.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("CDN-Loop"), "{error}");
    assert_eq!(double.count(), 0);
}

#[tokio::test]
async fn connections_are_used_again() {
    let double = Double::start(ok(b"x")).await;
    let upstreams = start(&fast(), &[double.url()]);
    for _ in 0..20 {
        fetch(&upstreams, "/vod/a/1.m4s").await.unwrap();
    }
    assert_eq!(double.count(), 20);
    // A request that follows at once may find the connection not back in its pool yet.
    assert!(double.connections() <= 10, "{} connections", double.connections());
}

#[tokio::test]
async fn what_cannot_be_set_up_says_why() {
    let fail = |change: fn(&mut platform::config::Upstream)| {
        let mut bad = upstream("https://127.0.0.1:1");
        change(&mut bad);
        match Upstreams::start(&fast(), &[bad]) {
            Ok(_) => panic!("it was set up"),
            Err(error) => error.to_string(),
        }
    };
    assert!(fail(|it| it.url = "127.0.0.1:1".to_owned()).contains("no address"));
    assert!(fail(|it| it.ca = Some("/nonexistent.pem".into())).contains("/nonexistent.pem"));
    assert!(matches!(Upstreams::start(&fast(), &[]), Err(UpstreamError::None)));
}
