//! Clients: that of the `h3` crate, and one that writes what bytes a test wants.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use http::{Request, Response};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ConnectionError, Endpoint, RecvStream, SendStream};

use crate::server::Running;

/// Longer than any wait of a test.
pub(crate) const FOREVER: Duration = Duration::from_secs(20);

/// A QUIC connection to the server. The endpoint has to live as long.
pub(crate) async fn connect(running: &Running) -> (Endpoint, quinn::Connection) {
    let tls = QuicClientConfig::try_from(running.client_tls()).unwrap();
    let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
    let address = running.server.local_address();
    let connection = endpoint.connect(address, "localhost").unwrap().await.unwrap();
    (endpoint, connection)
}

pub(crate) type Requests = h3::client::SendRequest<h3_quinn::OpenStreams, Bytes>;

/// The `h3` crate's client. Its driver runs until the connection ends.
pub(crate) async fn h3_client(running: &Running) -> (Endpoint, Requests) {
    let (endpoint, connection) = connect(running).await;
    let quic = h3_quinn::Connection::new(connection);
    let (mut driver, requests) = h3::client::new(quic).await.unwrap();
    tokio::spawn(async move { std::future::poll_fn(|context| driver.poll_close(context)).await });
    (endpoint, requests)
}

/// Asks and reads the whole answer.
pub(crate) async fn ask(
    requests: &mut Requests,
    request: Request<()>,
) -> Result<(Response<()>, Vec<u8>), h3::error::StreamError> {
    let mut stream = requests.send_request(request).await?;
    stream.finish().await?;
    let answer = stream.recv_response().await?;
    let mut body = Vec::new();
    while let Some(mut data) = stream.recv_data().await? {
        body.extend_from_slice(&data.copy_to_bytes(data.remaining()));
    }
    Ok((answer, body))
}

pub(crate) fn get(path: &str) -> Request<()> {
    Request::get(format!("https://localhost{path}")).body(()).unwrap()
}

/// A client made by hand.
pub(crate) struct Raw {
    pub(crate) quic: quinn::Connection,
    pub(crate) control: SendStream,
    _endpoint: Endpoint,
}

/// A whole HEADERS frame: GET https://localhost/ (RFC 9204 Appendix A: 17, 23, 0, 1).
pub(crate) const GET_ROOT: &[u8] = b"\x01\x10\0\0\xd1\xd7\x50\x09localhost\xc1";

impl Raw {
    /// A connection with a control stream and empty settings.
    pub(crate) async fn new(running: &Running) -> Self {
        let mut raw = Self::without_settings(running).await;
        raw.control.write_all(&[0x00, 0x04, 0x00]).await.unwrap();
        raw
    }

    /// A connection whose control stream has not begun.
    pub(crate) async fn without_settings(running: &Running) -> Self {
        let (endpoint, quic) = connect(running).await;
        let control = quic.open_uni().await.unwrap();
        Self { quic, control, _endpoint: endpoint }
    }

    /// A request stream with these bytes, not finished.
    pub(crate) async fn stream(&self, bytes: &[u8]) -> (SendStream, RecvStream) {
        let (mut send, receive) = self.quic.open_bi().await.unwrap();
        send.write_all(bytes).await.unwrap();
        (send, receive)
    }

    /// A whole request; what comes back, or the code it was reset with.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> Result<Vec<u8>, u64> {
        let (mut send, receive) = self.stream(bytes).await;
        let _ = send.finish();
        read(receive).await
    }

    /// A unidirectional stream with these bytes.
    pub(crate) async fn uni(&self, bytes: &[u8]) -> SendStream {
        let mut stream = self.quic.open_uni().await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// The code with which the server ends the connection.
    pub(crate) async fn end(&self) -> u64 {
        let error = tokio::time::timeout(FOREVER, self.quic.closed()).await;
        match error.expect("the connection is still open") {
            ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
            error => panic!("{error}"),
        }
    }

    /// Checks that the connection still serves.
    pub(crate) async fn check_serves(&self) {
        let answer = self.exchange(GET_ROOT).await.unwrap();
        assert!(is_ok(&answer), "{answer:?}");
    }
}

/// Reads a stream to its end, or to the code of its reset.
pub(crate) async fn read(mut receive: RecvStream) -> Result<Vec<u8>, u64> {
    let read = tokio::time::timeout(FOREVER, receive.read_to_end(1 << 26)).await;
    read.expect("no answer").map_err(|error| match error {
        quinn::ReadToEndError::Read(quinn::ReadError::Reset(code)) => code.into_inner(),
        error => panic!("{error}"),
    })
}

/// Whether an answer begins with a field section whose first field is `:status: 200`.
pub(crate) fn is_ok(answer: &[u8]) -> bool {
    status(answer) == Some(0xc0 | 25)
}

/// The first field of an answer: an index of the static table, or a literal's first byte.
pub(crate) fn status(answer: &[u8]) -> Option<u8> {
    match answer {
        [0x01, len, _, _, first, ..] if *len < 0x40 => Some(*first),
        [0x01, _, _, _, _, first, ..] => Some(*first),
        _ => None,
    }
}
