//! Objects of a folder, sent by a listener straight from their mapping.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use platform::http::{HttpLimits, Listener, Server, serve};
use platform::objects::{LocalStore, ObjectError, ObjectKey, ObjectReader, ObjectStore, PutMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

const LEN: usize = 32 << 20;

struct Rig {
    server: Server,
    store: LocalStore,
    key: ObjectKey,
    bytes: Bytes,
    _dir: tempfile::TempDir,
}

async fn rig() -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalStore::at(dir.path()).unwrap();
    let key: ObjectKey = "film/video.mp4".parse().unwrap();
    let bytes: Bytes = (0..LEN).map(|index| (index % 253) as u8).collect();
    store.put(&key, bytes.clone(), PutMode::Overwrite).await.unwrap();
    let reader = ObjectStore::Local(store.clone()).open(&key, None).await.unwrap();

    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let (_, limits) = watch::channel(HttpLimits::default());
    let service = tower::service_fn(move |_: Request<Incoming>| answer(reader.clone()));
    let server = serve(listener, "media", limits, service);
    Rig { server, store, key, bytes, _dir: dir }
}

type MappedBody = UnsyncBoxBody<Bytes, ObjectError>;

async fn answer(reader: ObjectReader) -> Result<Response<MappedBody>, ObjectError> {
    let stream = reader.stream(0..LEN as u64)?;
    let frames = futures_util::stream::unfold(stream, |mut stream| async move {
        let piece = stream.next().await?;
        Some((piece.map(Frame::data), stream))
    });
    let body = StreamBody::new(frames).boxed_unsync();
    Ok(Response::builder().header("content-length", LEN).body(body).unwrap())
}

async fn ask(rig: &Rig) -> TcpStream {
    let mut stream = TcpStream::connect(rig.server.local_address().unwrap()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n").await.unwrap();
    stream
}

/// Reads until the server closes or an answer is whole; the body, and whether it is whole.
async fn body(mut stream: TcpStream) -> (Vec<u8>, bool) {
    let mut all = Vec::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut buffer));
        match read.await.expect("the server falls silent") {
            Ok(0) | Err(_) => break,
            Ok(bytes) => all.extend_from_slice(&buffer[..bytes]),
        }
        let head = all.windows(4).position(|window| window == b"\r\n\r\n");
        if head.is_some_and(|head| all.len() == head + 4 + LEN) {
            break;
        }
    }
    // The head goes out with the first bytes of the file, and not at all when these fail.
    let Some(head) = all.windows(4).position(|window| window == b"\r\n\r\n") else {
        return (Vec::new(), false);
    };
    let body = all.split_off(head + 4);
    let is_whole = body.len() == LEN;
    (body, is_whole)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapped_object_is_sent_whole() {
    let rig = rig().await;
    let (body, is_whole) = body(ask(&rig).await).await;
    assert!(is_whole && body == rig.bytes);
}

/// A file that somebody cuts short while it is sent ends that answer early, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_cut_short_ends_the_answer_and_not_the_process() {
    let rig = rig().await;
    let mut stream = ask(&rig).await;
    let mut first = [0; 1];
    stream.read_exact(&mut first).await.unwrap();
    // The socket is full now, with most of the file to go.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let path = rig.store.path(&rig.key);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();

    let (sent, is_whole) = body(stream).await;
    assert!(!is_whole && sent.len() < LEN, "{} bytes", sent.len());
    assert_eq!(sent, rig.bytes[..sent.len()]);
    // The listener lives: another request is taken, and fails likewise.
    let (sent, is_whole) = body(ask(&rig).await).await;
    assert!(!is_whole && sent.is_empty());
}
