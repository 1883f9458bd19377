//! `DIR/admin.sock`: how commands reach the server that owns a data directory.
//!
//! `POST /work` takes work on titles as JSON and is answered by a JSON line an event; `POST
//! /keys/rotate` replaces keys, which nobody can from afar. Everything else is what the ops listener answers to whoever has the operator key ([`crate::ops`]): the
//! socket belongs to the server's user and is open to nobody else.

use std::convert::Infallible;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use origin::body::MediaBody;
use origin::{Chunk, problem_with};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tower_service::Service;

use crate::keys::KeyRoom;
use crate::ops::OpsService;
use crate::ownership::Turn;
use crate::work::{Event, EventSink, Place, Work, run};

/// Largest work that is read: paths of a few hundred files.
const WORK_BYTES_MAX: usize = 1 << 20;
/// Longest event: the report of a title with many tracks.
const EVENT_BYTES_MAX: usize = 16 << 20;
/// Events that wait for a client that reads slowly; progress beyond that is dropped.
const EVENTS_MAX: usize = 256;

/// Code of the answer of a server that another one has replaced.
pub const REPLACED: &str = "server_replaced";
/// How often a command asks again that met a server at its end, and after which pause.
pub const REPLACED_TRIES: u32 = 20;
pub const REPLACED_PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone)]
pub struct AdminService {
    place: Place,
    ops: OpsService,
    keys: KeyRoom,
}

impl AdminService {
    pub fn new(place: Place, ops: OpsService, keys: KeyRoom) -> Self {
        Self { place, ops, keys }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<MediaBody> {
        let is_post = request.method() == Method::POST;
        let is_rotation = match request.uri().path() {
            "/work" if is_post => false,
            "/keys/rotate" if is_post => true,
            _ => return self.ops.act(request, "admin.sock").await,
        };
        let body = match Limited::new(request.into_body(), WORK_BYTES_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return bad_request(&error.to_string()),
        };
        if is_rotation {
            return self.rotate(&body).await;
        }
        let work = match serde_json::from_slice(&body) {
            Ok(work) => work,
            Err(error) => return bad_request(&error.to_string()),
        };
        match self.place.ownership.long_turn().await {
            Some(turn) => self.start(work, turn),
            None => replaced(),
        }
    }

    async fn rotate(&self, body: &[u8]) -> Response<MediaBody> {
        let request = match serde_json::from_slice(body) {
            Ok(request) => request,
            Err(error) => return bad_request(&error.to_string()),
        };
        match self.keys.rotate(request, "admin.sock").await {
            Ok(Some(answer)) => Response::new(MediaBody::whole(format!("{answer}\n"))),
            Ok(None) => replaced(),
            Err(error) => problem_with(StatusCode::CONFLICT, "not_rotated", &format!("{error:#}")),
        }
    }

    /// Starts the work, which goes on even if the client leaves.
    fn start(&self, work: Work, turn: Turn) -> Response<MediaBody> {
        let (sender, mut receiver) = mpsc::channel::<Event>(EVENTS_MAX);
        let place = self.place.clone();
        let (end_sender, end_receiver) = tokio::sync::oneshot::channel();
        let end_sender = std::sync::Mutex::new(Some(end_sender));
        let sink: EventSink = Arc::new(move |event| match event {
            // Whoever reads slowly misses progress, never the end.
            Event::Progress { .. } => drop(sender.try_send(event)),
            end => {
                let end_sender = end_sender.lock().ok().and_then(|mut sender| sender.take());
                if let Some(end_sender) = end_sender {
                    drop(end_sender.send(end));
                }
            }
        });
        tokio::spawn(async move {
            run(&place, work, sink).await;
            drop(turn);
        });
        let stream = async_stream::stream! {
            while let Some(event) = receiver.recv().await {
                yield Ok(line(&event));
            }
            if let Ok(end) = end_receiver.await {
                yield Ok(line(&end));
            }
        };
        Response::new(MediaBody::open_ended(Box::pin(stream)))
    }
}

fn replaced() -> Response<MediaBody> {
    let reason = "another server has taken over; ask again";
    problem_with(StatusCode::SERVICE_UNAVAILABLE, REPLACED, reason)
}

fn bad_request(reason: &str) -> Response<MediaBody> {
    problem_with(StatusCode::BAD_REQUEST, "invalid_work", reason)
}

fn line(event: &Event) -> Chunk {
    let mut line = serde_json::to_vec(event).expect("events are plain data with string keys");
    line.push(b'\n');
    Chunk::from(Bytes::from(line))
}

impl Service<Request<Incoming>> for AdminService {
    type Response = Response<MediaBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut TaskContext<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.answer(request).await) })
    }
}

/// Has the server behind `socket` do the work.
///
/// # Errors
/// When the server can't be reached or goes away before the end.
pub async fn request(socket: &Path, work: &Work, sink: &EventSink) -> anyhow::Result<()> {
    for _ in 0..REPLACED_TRIES {
        if request_once(socket, work, sink).await? == Outcome::Done {
            return Ok(());
        }
        tokio::time::sleep(REPLACED_PAUSE).await;
    }
    bail!("the server is being replaced; try again")
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Done,
    /// Nothing was begun: another server listens by now.
    Replaced,
}

async fn request_once(socket: &Path, work: &Work, sink: &EventSink) -> anyhow::Result<Outcome> {
    let stream = UnixStream::connect(socket)
        .await
        .with_context(|| format!("cannot reach the server behind {}", socket.display()))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::post("/work")
        .header(http::header::HOST, "localhost")
        .body(Full::new(Bytes::from(serde_json::to_vec(work)?)))?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let mut body = response.into_body();
    let mut pending = Vec::new();
    let mut has_ended = false;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        pending.extend_from_slice(&data);
        if pending.len() > EVENT_BYTES_MAX {
            bail!("the server's answer is too long");
        }
        while status == StatusCode::OK
            && let Some(end) = pending.iter().position(|&byte| byte == b'\n')
        {
            let event: Event = serde_json::from_slice(&pending[..end])?;
            has_ended |= !matches!(event, Event::Progress { .. });
            sink(event);
            pending.drain(..=end);
        }
    }
    if status == StatusCode::SERVICE_UNAVAILABLE
        && String::from_utf8_lossy(&pending).contains(REPLACED)
    {
        return Ok(Outcome::Replaced);
    }
    if status != StatusCode::OK {
        bail!("the server refused: {}", String::from_utf8_lossy(&pending));
    }
    if !has_ended {
        bail!("the server went away before the work was done");
    }
    Ok(Outcome::Done)
}
