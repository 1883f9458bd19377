//! Every way in which an upstream can fail: the right error, in bounded time.

use std::time::{Duration, Instant};

use edge::fetch::FetchError;

use crate::double::{Does, Double, answer, ok, status};
use crate::{counted, fast, fetch, fetch_with, start};

const BODY: &[u8] = b"the right bytes";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Timeout,
    Unreachable,
    Invalid,
}

fn kind_of(error: &FetchError) -> Kind {
    match error {
        FetchError::Timeout { .. } => Kind::Timeout,
        FetchError::Unreachable { .. } => Kind::Unreachable,
        FetchError::Invalid { .. } => Kind::Invalid,
        FetchError::Overloaded { .. } => panic!("nothing is overloaded here"),
    }
}

fn raw(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// Faults by name, what they are taken for, and whether a byte of the body may go out before.
fn faults() -> Vec<(&'static str, Does, Kind, bool)> {
    let large = format!("HTTP/1.1 200 OK\r\nX-Large: {}\r\n", "x".repeat(200_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-A: b\r\n".repeat(500));
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    vec![
        ("reset", Does::Reset, Kind::Unreachable, false),
        ("close", Does::Close, Kind::Unreachable, false),
        ("hang", Does::Hang, Kind::Timeout, false),
        (
            "hang inside the headers",
            Does::SendAndHang(raw("HTTP/1.1 200 OK\r\nContent-Le")),
            Kind::Timeout,
            false,
        ),
        (
            "hang after the headers",
            Does::SendAndHang(raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")),
            Kind::Timeout,
            false,
        ),
        (
            "hang inside the body",
            Does::SendAndHang(raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")),
            Kind::Timeout,
            true,
        ),
        (
            "dribble",
            Does::Dribble(
                raw("HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n"),
                Duration::from_millis(50),
            ),
            Kind::Timeout,
            true,
        ),
        (
            "dribbled headers",
            Does::Dribble(raw("HTTP/1.1 200 OK\r\nX-Slow: "), Duration::from_millis(50)),
            Kind::Timeout,
            false,
        ),
        (
            "close inside the headers",
            Does::SendAndClose(raw("HTTP/1.1 200 OK\r\nContent-Le")),
            Kind::Unreachable,
            false,
        ),
        (
            "close before the body",
            Does::SendAndClose(raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")),
            Kind::Invalid,
            false,
        ),
        (
            "close inside the body",
            Does::SendAndClose(raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell")),
            Kind::Invalid,
            true,
        ),
        (
            "close inside a chunk",
            Does::SendAndClose(raw(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            )),
            Kind::Invalid,
            true,
        ),
        (
            "close before the last chunk",
            Does::SendAndClose(raw(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            )),
            Kind::Invalid,
            true,
        ),
        (
            "a chunk size that is none",
            Does::SendAndClose(raw(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
            )),
            Kind::Invalid,
            false,
        ),
        (
            "two lengths",
            Does::SendAndStay(raw(
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 4\r\n\r\nhello",
            )),
            Kind::Invalid,
            false,
        ),
        (
            "the same length twice",
            Does::SendAndStay(raw(
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            )),
            Kind::Invalid,
            false,
        ),
        (
            "length and chunks",
            Does::SendAndStay(raw(
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n\
                 5\r\nhello\r\n0\r\n\r\n",
            )),
            Kind::Invalid,
            false,
        ),
        (
            "a length that is no number",
            Does::SendAndStay(raw("HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello")),
            Kind::Invalid,
            false,
        ),
        (
            "no length",
            Does::SendAndClose(raw("HTTP/1.1 200 OK\r\n\r\nhello")),
            Kind::Invalid,
            false,
        ),
        (
            "HTTP/1.0 without a length",
            Does::SendAndClose(raw("HTTP/1.0 200 OK\r\n\r\nhello")),
            Kind::Invalid,
            false,
        ),
        ("garbage", Does::SendAndClose(vec![0x16; 500]), Kind::Invalid, false),
        ("another protocol", Does::SendAndClose(raw("SSH-2.0-x\r\n")), Kind::Invalid, false),
        (
            "an upgrade",
            Does::SendAndHang(raw(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
            )),
            Kind::Invalid,
            false,
        ),
        ("large headers", Does::SendAndHang(raw(&large)), Kind::Invalid, false),
        ("many headers", Does::SendAndHang(raw(&many)), Kind::Invalid, false),
        ("endless headers", Does::Flood(raw("X-A: b\r\n")), Kind::Invalid, false),
        ("endless informational answers", Does::Flood(raw(early)), Kind::Invalid, false),
        (
            "a part nobody asked for",
            Does::SendAndStay(raw(
                "HTTP/1.1 206 Partial\r\nContent-Range: bytes 0-4/9\r\nContent-Length: 5\r\n\r\nhello",
            )),
            Kind::Invalid,
            false,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_fault_has_its_error_in_bounded_time() {
    let mut settings = fast();
    settings.attempts_max = 1;
    for (name, does, expected, _) in faults() {
        let double = Double::start(does).await;
        let upstreams = start(&settings, &[double.url()]);
        let began = Instant::now();
        let error = fetch(&upstreams, "/vod/a/1.m4s").await.expect_err(name);
        assert_eq!(kind_of(&error), expected, "{name}: {error}");
        assert!(error.to_string().contains(&double.address.to_string()), "{error}");
        // Whatever it is, it ends with the first byte's, the idle or the total time.
        assert!(began.elapsed() < Duration::from_secs(4), "{name}: {:?}", began.elapsed());
        assert_eq!(double.count(), 1, "{name} is tried once");
        let in_flight = counted(&upstreams, "upstream_requests_in_flight", "");
        assert_eq!(in_flight, 0, "{name} leaves nothing behind");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_port_is_unreachable() {
    let double = Double::start(ok(BODY)).await;
    double.refuse();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let upstreams = start(&fast(), &[double.url()]);
    let error = fetch(&upstreams, "/vod/a/1.m4s").await.unwrap_err();
    assert_eq!(kind_of(&error), Kind::Unreachable, "{error}");
}

/// An upstream that stops in the middle is given up by the idle time, not the total one.
#[tokio::test(flavor = "multi_thread")]
async fn silence_inside_a_body_is_short() {
    let mut settings = fast();
    settings.idle_timeout_seconds = 0.3;
    settings.total_timeout_seconds = 60.0;
    let head = raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    let double = Double::start(Does::SendAndHang(head)).await;
    let began = Instant::now();
    let error = fetch(&start(&settings, &[double.url()]), "/vod/a/1.m4s").await.unwrap_err();
    assert_eq!(kind_of(&error), Kind::Timeout, "{error}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

/// As long as nothing of an answer was passed on, another upstream answers instead.
#[tokio::test(flavor = "multi_thread")]
async fn faults_before_the_first_byte_are_hidden_by_another_upstream() {
    for (name, does, _, has_begun) in faults() {
        let (bad, good) = (Double::start(does).await, Double::start(ok(BODY)).await);
        let upstreams = start(&fast(), &[bad.url(), good.url()]);
        // Enough titles for some to belong to the bad one.
        for title in 0..6 {
            let outcome = fetch(&upstreams, &format!("/vod/{title}/1.m4s")).await;
            match outcome {
                Ok(response) => assert_eq!(response.body(), BODY, "{name}"),
                // A begun answer can't be replaced; it must not look whole.
                Err(error) => assert!(has_begun, "{name}: {error}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn server_errors_are_hidden_and_passed_on_when_nobody_does_better() {
    for code in [500, 502, 503, 504] {
        let (bad, good) = (Double::start(status(code)).await, Double::start(ok(BODY)).await);
        let upstreams = start(&fast(), &[bad.url(), good.url()]);
        for title in 0..8 {
            let response = fetch(&upstreams, &format!("/vod/{title}/1.m4s")).await.unwrap();
            assert_eq!((response.status().as_u16(), &response.body()[..]), (200, BODY));
        }
        good.now(status(code));
        let response = fetch(&upstreams, "/vod/a/1.m4s").await.unwrap();
        assert_eq!((response.status().as_u16(), &response.body()[..]), (code, &b"sorry"[..]));
    }
    // A status that is about the request is the answer.
    let first = Double::start(status(404)).await;
    let second = Double::start(status(404)).await;
    let upstreams = start(&fast(), &[first.url(), second.url()]);
    assert_eq!(fetch(&upstreams, "/vod/a/1.m4s").await.unwrap().status(), 404);
    assert_eq!(first.count() + second.count(), 1);
}

/// Surplus bytes after an answer must never be read as the next one: whoever can make an upstream
/// send them would choose what is cached under another name.
#[tokio::test(flavor = "multi_thread")]
async fn surplus_is_no_answer_to_the_next_request() {
    let evil = answer(200, b"evil");
    let surplus = [answer(200, BODY), evil.clone()].concat();
    let no_content = [raw("HTTP/1.1 204 No Content\r\nContent-Length: 500\r\n\r\n"), evil].concat();
    for (bytes, expected) in [(surplus, BODY), (no_content, &b""[..])] {
        let double = Double::start(Does::SendAndStay(bytes)).await;
        let upstreams = start(&fast(), &[double.url()]);
        for _ in 0..50 {
            // Failing is fine, a wrong answer is not.
            if let Ok(response) = fetch(&upstreams, "/vod/a/1.m4s").await {
                assert_eq!(response.body(), expected);
            }
        }
        assert!(1 < double.connections(), "a connection with surplus is not used again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_are_whole() {
    let double = Double::start(ok(BODY)).await;
    let upstreams = start(&fast(), &[double.url()]);
    for _ in 0..10 {
        let head = http::Request::head("/vod/a/1.m4s").body(()).unwrap();
        let response = fetch_with(&upstreams, head).await.unwrap();
        assert_eq!(response.headers()["content-length"], BODY.len().to_string());
        assert!(response.body().is_empty());
        // The connection is in order after it.
        assert_eq!(fetch(&upstreams, "/vod/a/1.m4s").await.unwrap().body(), BODY);
    }
    // A request that follows at once may find the connection not back in its pool yet.
    assert!(double.connections() <= 10, "{} connections for 20 requests", double.connections());

    double.now(Does::SendAndStay(raw("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n")));
    let response = fetch(&upstreams, "/vod/a/1.m4s").await.unwrap();
    assert_eq!((response.status().as_u16(), response.body().len()), (304, 0));
    // Early hints are passed over; a coding of the content is left as it is.
    double.now(Does::SendAndStay(raw(
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\
         Connection: X-Hop\r\nX-Hop: 1\r\nTransfer-Encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n",
    )));
    let response = fetch(&upstreams, "/vod/a/1.m4s").await.unwrap();
    assert_eq!(response.body(), b"hello");
    let names: Vec<&str> = response.headers().keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["content-encoding"]);
}
