//! Bytes that two parsers could read differently, each sent over a socket of its own.

use super::*;

/// Sends `bytes`, then another request, and gives back all that the server says until it closes.
async fn say(bytes: &str) -> String {
    let server = start(short_limits());
    let mut stream = connect(&server).await;
    // In one write: bytes that come after the server has closed would reset the connection, and its
    // answer with it.
    let _ = stream.write_all(format!("{bytes}{}", get("/smuggled")).as_bytes()).await;
    read_until(&mut stream, "").await
}

/// Each is answered 400 once, and nothing after it is looked at.
#[tokio::test]
async fn ambiguous_requests_are_refused() {
    let head = "Host: a\r\n";
    let mut cases: Vec<String> = [
        // Lengths: several, equal or not; lists; signs, spaces, words; too many digits.
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -1",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length:",
        "Content-Length: 1234567890123456",
        "Content-Length: 5\x0b",
        // Encodings: others than one plain `chunked`.
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding:\x0bchunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        // Both.
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        // Names and lines.
        "Content-Length : 5",
        " Content-Length: 5",
        "Content-Length\t: 5",
        "X: a\r\n folded",
        "X: a\r\n\tTransfer-Encoding: chunked",
        "X: a\rContent-Length: 5",
        "X: a\nContent-Length: 5",
        "X: a\0b",
        "No colon",
        ": no name",
        "X\u{1}: a",
    ]
    .iter()
    .map(|fields| format!("POST / HTTP/1.1\r\n{head}{fields}\r\n\r\n"))
    .collect();
    cases.extend(
        [
            // Content where none belongs.
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            // Hosts: none, several, another than the target's.
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
            // Request lines.
            "GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "GET / HTTP/1.2\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
            "GET /\r\n\r\n",
            "GET / HTTP/1.1\nHost: a\n\n",
            "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
        ]
        .map(str::to_owned),
    );
    for case in cases {
        let answer = say(&case).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{case:?}: {answer:?}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{case:?}: {answer:?}");
    }
}

/// What is wrong after a good head closes the connection, and is never taken for a request.
#[tokio::test]
async fn ambiguous_content_ends_the_connection() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for content in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "\r\n\r\n",
        "123456789\r\n",
        "0\r\nX: a\nGET / HTTP/1.1\r\n\r\n",
    ] {
        let answer = say(&format!("{head}{content}")).await;
        assert!(answer.matches("HTTP/1.1 200").count() <= 1, "{content:?}: {answer:?}");
    }
}

#[tokio::test]
async fn proper_content_keeps_the_connection() {
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nHost: A\r\n\r\n",
    ] {
        let answer = say(request).await;
        assert_eq!(answer.matches("HTTP/1.1 200").count(), 2, "{request:?}: {answer:?}");
    }
}

#[tokio::test]
async fn http2_requests_name_one_host() {
    let server = start(short_limits());
    let (mut client, _connection) = http2_client(&server).await;
    let mut other = request("/");
    other.headers_mut().insert("host", "other".parse().unwrap());
    let answer = client.send_request(other).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}
