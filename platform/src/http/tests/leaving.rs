//! The end of connections: that nothing gets lost by it, and that somebody else listens on.

use std::io::Write;

use super::*;

/// HTTP/1.1 says only on an answer that a connection ends: an idle one gets the time to ask.
#[tokio::test]
async fn an_idle_connection_may_ask_once_more() {
    let server = start(HttpLimits { keep_alive: FOREVER, ..short_limits() });
    let mut idle = connect(&server).await;
    let first = exchange(&mut idle, &get("/"), "test 1").await;
    assert!(!first.contains("connection: close"), "{first}");
    let mut silent = connect(&server).await;
    exchange(&mut silent, &get("/"), "test 2").await;
    let since = Instant::now();
    let ending = tokio::spawn(server.shutdown(FOREVER));
    sleep(Duration::from_millis(300)).await;
    let last = exchange(&mut idle, &get("/"), "test 1").await;
    assert!(last.contains("\r\nconnection: close\r\n"), "{last}");
    assert_eq!(read_until(&mut idle, "").await, "");
    assert!(since.elapsed() < Duration::from_secs(2));
    assert_eq!(read_until(&mut silent, "").await, "");
    assert!(Duration::from_secs(2) <= since.elapsed());
    drop((idle, silent));
    assert_eq!(ending.await.unwrap(), Drained { dropped: 0 });
}

/// The kernel has accepted it, and its request has been sent.
#[tokio::test]
async fn a_connection_of_the_last_moment_is_served() {
    let server = start(short_limits());
    // Without a pause in which the server could accept.
    let mut stream = std::net::TcpStream::connect(server.local_address().unwrap()).unwrap();
    stream.write_all(get("/").as_bytes()).unwrap();
    let ending = tokio::spawn(server.shutdown(FOREVER));
    stream.set_nonblocking(true).unwrap();
    let mut stream = TcpStream::from_std(stream).unwrap();
    let answer = read_until(&mut stream, "").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    drop(stream);
    assert_eq!(ending.await.unwrap(), Drained { dropped: 0 });
}

/// Two servers on one socket: the second waits for its turn, and nobody is turned away.
#[tokio::test]
async fn another_server_listens_on() {
    let first = start(short_limits());
    let listener = Listener::tcp_handed_over(first.duplicate().unwrap()).unwrap();
    let (begin, begins) = watch::channel(false);
    let (_, limits) = watch::channel(short_limits());
    let service = tower::service_fn(answer);
    let second = serve(listener.not_before(begins), "second", limits, service);
    let address = first.local_address();
    assert_eq!(second.local_address(), address);
    for number in 1..9 {
        let answer = exchange(&mut connect(&first).await, &get("/"), "test").await;
        assert!(answer.ends_with(&format!("test {number}")), "{answer}");
    }
    begin.send_replace(true);
    assert_eq!(first.shutdown_replaced(Duration::from_secs(1)).await, Drained { dropped: 0 });
    let answer = exchange(&mut connect(&second).await, &get("/"), "second 1").await;
    assert!(answer.ends_with("second 1"), "{answer}");
    second.shutdown(FOREVER).await;
    assert!(TcpStream::connect(address.unwrap()).await.is_err());
}

/// The file of a unix socket stays for whoever listens on, and goes with the last one.
#[tokio::test]
async fn another_server_keeps_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    let (_, limits) = watch::channel(short_limits());
    let service = tower::service_fn(answer);
    let first = serve(Listener::unix(&path).unwrap(), "first", limits.clone(), service);
    let listener = Listener::unix_handed_over(first.duplicate().unwrap(), &path).unwrap();
    let second = serve(listener, "second", limits, service);
    first.shutdown_replaced(Duration::from_secs(1)).await;
    assert!(path.exists());
    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("second 1"), "{answer}");
    second.shutdown(FOREVER).await;
    assert!(!path.exists());
}

/// What a client still sends doesn't reset the connection before it has read the refusal.
#[tokio::test]
async fn a_refusal_outlives_what_is_sent_after_it() {
    let server = start(short_limits());
    let mut stream = connect(&server).await;
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    for _ in 0..50 {
        stream.write_all(&[b'x'; 4_096]).await.unwrap();
        sleep(Duration::from_millis(2)).await;
    }
    let answer = read_until(&mut stream, "").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");

    // Whoever never stops is not listened to for ever.
    let since = Instant::now();
    while stream.write_all(&[b'x'; 4_096]).await.is_ok() {
        assert!(since.elapsed() < FOREVER);
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.connections_open(), 0);
}
