//! One request over the wire, and its answer within its bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::call::{Call, Reply};
use super::connect::Connect;
use super::error::{CallError, Phase, cause_of};
use super::peer::{Inner, Wait};

pub(super) type HttpClient = Client<Connect, Full<Bytes>>;

/// Informational answers (RFC 9110 15.2) before the one that counts.
const INFORMATIONAL_MAX: u32 = 16;

/// Sends a request and reads its answer, once.
pub(super) async fn exchange(peer: &Inner, call: &Call, wait: Wait) -> Result<Reply, CallError> {
    let total = Instant::from_std(wait.deadline.at());
    let first_byte = total.min(Instant::now() + peer.settings.first_byte_timeout);
    let late = |phase| match wait.is_callers && total <= Instant::now() {
        true => CallError::DeadlineOver { peer: peer.name.clone() },
        false => CallError::Timeout { peer: peer.name.clone(), phase },
    };
    let response = match timeout_at(first_byte, ask(peer, request(peer, call, wait))).await {
        Ok(response) => response?,
        Err(_) => return Err(late(Phase::FirstByte)),
    };
    let (parts, body) = response.into_parts();
    check_size(peer, &parts.headers)?;
    let is_bodiless = call.method == Method::HEAD;
    if !is_bodiless {
        check_announced(peer, call, &parts.headers)?;
    }
    let (body, is_cut) = match timeout_at(total, read(peer, call, body)).await {
        Ok(body) => body?,
        Err(_) => return Err(late(Phase::Total)),
    };
    Ok(Reply { status: parts.status, headers: parts.headers, body, is_cut })
}

fn request(peer: &Inner, call: &Call, wait: Wait) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(call.body.clone()));
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = call.uri.clone();
    *request.headers_mut() = call.headers.clone();
    if peer.settings.tells_deadline {
        wait.deadline.write(super::peer::now(), request.headers_mut());
    }
    request
}

async fn ask(
    peer: &Inner,
    mut request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>, CallError> {
    let flood = Arc::new(Notify::new());
    let (seen, notify) = (AtomicU32::new(0), Arc::clone(&flood));
    hyper::ext::on_informational(&mut request, move |_| {
        if INFORMATIONAL_MAX <= seen.fetch_add(1, Ordering::Relaxed) {
            notify.notify_one();
        }
    });
    tokio::select! {
        biased;
        () = flood.notified() => Err(CallError::Invalid {
            peer: peer.name.clone(),
            reason: format!("more than {INFORMATIONAL_MAX} informational answers"),
        }),
        answer = peer.client.request(request) => {
            answer.map_err(|error| CallError::of_client(&peer.name, &error))
        }
    }
}

/// hyper bounds what it reads at a time, which can be more than the headers may have.
fn check_size(peer: &Inner, headers: &header::HeaderMap) -> Result<(), CallError> {
    let size = |(name, value): (&header::HeaderName, &header::HeaderValue)| {
        name.as_str().len() + value.len()
    };
    let bytes_max = peer.settings.header_bytes_max as usize;
    if headers.iter().map(size).sum::<usize>() <= bytes_max {
        return Ok(());
    }
    let reason = format!("more than {bytes_max} bytes of headers");
    Err(CallError::Invalid { peer: peer.name.clone(), reason })
}

/// An answer that says it is too long is not begun with.
fn check_announced(
    peer: &Inner,
    call: &Call,
    headers: &header::HeaderMap,
) -> Result<(), CallError> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced = announced.and_then(|text| text.parse::<u64>().ok());
    let bytes_max = peer.settings.response_bytes_max;
    let is_long = announced.is_some_and(|length| bytes_max < length);
    if is_long && call.cut_answer_at_bytes.is_none() {
        return Err(CallError::TooLarge { peer: peer.name.clone(), bytes_max });
    }
    Ok(())
}

/// The body, and whether more of it was left unread.
async fn read(peer: &Inner, call: &Call, mut body: Incoming) -> Result<(Bytes, bool), CallError> {
    let all_max = peer.settings.response_bytes_max;
    let bytes_max = call.cut_answer_at_bytes.map_or(all_max, |cut| cut.min(all_max));
    let room = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| CallError::Broken {
            peer: peer.name.clone(),
            reason: cause_of(&error),
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() <= room - read.len() {
            read.extend_from_slice(&data);
            continue;
        }
        if call.cut_answer_at_bytes.is_none() {
            return Err(CallError::TooLarge { peer: peer.name.clone(), bytes_max });
        }
        read.extend_from_slice(&data[..room - read.len()]);
        return Ok((read.freeze(), true));
    }
    Ok((read.freeze(), false))
}
