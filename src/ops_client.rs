//! How commands, and followers of the feed, speak to an ops listener: over TCP with the operator
//! key, or through `admin.sock`, which belongs to the data directory and asks for none.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use edge::upstream::Connect;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use platform::config::Upstream;
use serde_json::Value;
use tokio::net::UnixStream;

use crate::admin::{REPLACED, REPLACED_PAUSE, REPLACED_TRIES};

/// To connect, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// To the end of an answer that ends.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest answer to a command.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// One ops listener.
pub struct OpsClient(Way);

enum Way {
    Socket(PathBuf),
    Remote(Box<Remote>),
}

struct Remote {
    client: Client<Connect, Full<Bytes>>,
    /// Without a final slash.
    url: String,
    key: HeaderValue,
}

impl OpsClient {
    /// The server that owns a data directory.
    pub fn local(socket: &Path) -> Self {
        Self(Way::Socket(socket.to_owned()))
    }

    /// The ops listener at `url`: scheme, host and port.
    ///
    /// # Errors
    /// When the address, the key or the authorities can't be used.
    pub fn remote(url: &str, key: &str, ca: Option<PathBuf>) -> anyhow::Result<Self> {
        let url = url.trim_end_matches('/').to_owned();
        let uri: Uri = url.parse().with_context(|| format!("`{url}` is no address"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || !matches!(uri.path(), "" | "/") {
            bail!("`{url}` is no address of an ops listener; write http://HOST:PORT");
        }
        let mut key = HeaderValue::from_str(&format!("Bearer {key}"))
            .context("the operator key has characters that no header takes")?;
        key.set_sensitive(true);
        let connect = Connect::new(&Upstream::at(&url, ca), CONNECT_TIMEOUT)?;
        // No connection is kept: a command ends, and a follower uses one at a time.
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connect);
        Ok(Self(Way::Remote(Box::new(Remote { client, url, key }))))
    }

    /// Sends a request and gives the answer with its body still to come.
    ///
    /// # Errors
    /// When the server can't be reached, or does not answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, String)],
        body: Option<&Value>,
    ) -> anyhow::Result<Response<Incoming>> {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Bytes::from(body.to_string())
            }
            None => Bytes::new(),
        };
        match &self.0 {
            Way::Remote(remote) => {
                let Remote { client, url, key } = &**remote;
                let request = request
                    .uri(format!("{url}{path}"))
                    .header(header::AUTHORIZATION, key)
                    .body(Full::new(body))?;
                let answer = client.request(request).await;
                answer.with_context(|| format!("cannot reach {url}"))
            }
            Way::Socket(socket) => {
                let stream = UnixStream::connect(socket).await.with_context(|| {
                    format!("cannot reach the server behind {}", socket.display())
                })?;
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
                tokio::spawn(connection);
                let request =
                    request.uri(path).header(header::HOST, "localhost").body(Full::new(body))?;
                Ok(sender.send_request(request).await?)
            }
        }
    }

    /// Sends a request and reads its JSON answer.
    ///
    /// # Errors
    /// As [`Self::send`], and with the server's own words when it refuses.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let calling = async {
            let mut tries = 1;
            loop {
                let answer = self.send(method.clone(), path, &[], body).await?;
                let status = answer.status();
                let answer = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
                let answer =
                    answer.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?;
                let answer = answer.to_bytes();
                // Nothing was done: another process listens there by now.
                let is_replaced = status == StatusCode::SERVICE_UNAVAILABLE
                    && String::from_utf8_lossy(&answer).contains(REPLACED);
                if !is_replaced || REPLACED_TRIES <= tries {
                    break Ok((status, answer));
                }
                tries += 1;
                tokio::time::sleep(REPLACED_PAUSE).await;
            }
        };
        let answered: anyhow::Result<(StatusCode, Bytes)> =
            tokio::time::timeout(ANSWER_TIMEOUT, calling).await.context("no answer in time")?;
        let (status, body) = answered?;
        let answer: Value = serde_json::from_slice(&body)
            .with_context(|| format!("the answer ({status}) is no JSON: is it an ops listener?"))?;
        if !status.is_success() {
            let detail = answer["detail"].as_str().unwrap_or_default();
            bail!("the server refused ({status}): {detail}");
        }
        Ok(answer)
    }
}
