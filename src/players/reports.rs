//! `POST /cmcd`: event reports of version 2 (CTA-5004-B), one or more lines.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use edge::cmcd::REPORT_LINES_MAX;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use origin::body::MediaBody;
use origin::problem_with;

use super::Players;

/// Where reports go.
pub const REPORTS_PATH: &str = "/cmcd";
/// Largest report.
const REPORT_BYTES_MAX: usize = 64 << 10;
/// How long a report may take to come in.
const REPORT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
const METHODS: &str = "POST, OPTIONS";

impl Players {
    /// Answers a request to [`REPORTS_PATH`].
    pub async fn report<B: Body>(&self, request: Request<B>) -> Response<MediaBody> {
        let (parts, body) = request.into_parts();
        let mut response = match parts.method {
            Method::OPTIONS => preflight(),
            Method::POST => match self.take_report(&parts.headers, body).await {
                Ok(()) => empty(StatusCode::NO_CONTENT),
                Err(refusal) => {
                    self.shared.metrics.reports_refused.inc();
                    refusal
                }
            },
            _ => {
                let detail = "reports are sent with POST";
                let mut refusal =
                    problem_with(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
                refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static(METHODS));
                refusal
            }
        };
        let any = HeaderValue::from_static("*");
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
        response
    }

    #[allow(clippy::result_large_err, reason = "the answer is sent as it is")]
    async fn take_report<B: Body>(
        &self,
        headers: &HeaderMap,
        body: B,
    ) -> Result<(), Response<MediaBody>> {
        if !is_report(headers) {
            let detail = "a report is of type application/cmcd, text/cmcd or text/plain";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(problem_with(status, "unsupported_media_type", detail));
        }
        let whole = tokio::time::timeout(REPORT_TIMEOUT, collect(body)).await;
        let bytes = whole.ok().flatten().ok_or_else(|| {
            let detail = "a report has 64 KiB at most, and comes within ten seconds";
            problem_with(StatusCode::PAYLOAD_TOO_LARGE, "report_too_large", detail)
        })?;
        let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let mut is_any = false;
        for line in lines.take(REPORT_LINES_MAX) {
            let cmcd = std::str::from_utf8(line).ok().and_then(edge::cmcd::of_line);
            if let Some(cmcd) = cmcd.filter(|cmcd| !cmcd.is_empty()) {
                self.note_report(&cmcd);
                is_any = true;
            }
        }
        let detail = "the report has no line of CMCD";
        is_any
            .then_some(())
            .ok_or_else(|| problem_with(StatusCode::BAD_REQUEST, "invalid_report", detail))
    }
}

/// `navigator.sendBeacon` can say no other type than `text/plain` without a preflight.
fn is_report(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    ["application/cmcd", "text/cmcd", "text/plain"]
        .iter()
        .any(|known| kind.eq_ignore_ascii_case(known))
}

/// `None` when it is too long or breaks off.
async fn collect<B: Body>(body: B) -> Option<Bytes> {
    let mut body = std::pin::pin!(body);
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        if REPORT_BYTES_MAX < all.len() + data.remaining() {
            return None;
        }
        all.put(data);
    }
    Some(all.freeze())
}

fn preflight() -> Response<MediaBody> {
    let mut response = empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "*"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn empty(status: StatusCode) -> Response<MediaBody> {
    let mut response = Response::new(MediaBody::empty());
    *response.status_mut() = status;
    response
}
