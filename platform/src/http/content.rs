//! The content of a request, whole and within limits, whichever version of HTTP brought it.
//!
//! Every listener hands a service `Request<B>` with the body of its version, unread. A service that
//! wants the content asks for it here, once it knows that the request is let in; one that doesn't
//! drops the body, and the listener sees to the rest.

use std::pin::pin;

use bytes::{Buf, Bytes};
use http::{Request, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;

use super::HttpLimits;

/// Why there is no content.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ContentError {
    #[error("the content is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: u32 },
    #[error("the content did not arrive in time")]
    Late,
    #[error("the content broke off or is malformed")]
    Broken,
}

impl ContentError {
    /// The status that says so (RFC 9110 15.5).
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Late => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads the whole content of a request: at most `limits.content_bytes`, and in the time that the
/// head of a request may take.
///
/// # Errors
/// When there is more, when it is late, and when it doesn't end as its framing says.
pub async fn read_content<B: Body>(
    request: Request<B>,
    limits: &HttpLimits,
) -> Result<Request<Bytes>, ContentError> {
    let (parts, body) = request.into_parts();
    let reading = read(body, limits.content_bytes);
    let content = tokio::time::timeout(limits.header_timeout, reading).await;
    Ok(Request::from_parts(parts, content.map_err(|_| ContentError::Late)??))
}

async fn read<B: Body>(body: B, bytes_max: u32) -> Result<Bytes, ContentError> {
    let too_large = ContentError::TooLarge { bytes_max };
    // What was announced decides before a byte is kept.
    if u64::from(bytes_max) < body.size_hint().lower() {
        return Err(too_large);
    }
    let mut body = pin!(body);
    let mut content = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ContentError::Broken)?;
        // Trailers say nothing about content this small.
        let Ok(mut data) = frame.into_data() else { continue };
        if (bytes_max as usize) < content.len() + data.remaining() {
            return Err(too_large);
        }
        while data.has_remaining() {
            let piece = data.chunk();
            let piece_bytes = piece.len();
            content.extend_from_slice(piece);
            data.advance(piece_bytes);
        }
    }
    Ok(content.into())
}
