//! What a request asks for, read once and canonical.

use edge::target::{SignedTarget, Target, TargetError, same_authority};
use http::header;
use http::{Request, Response, StatusCode, Uri, Version};
use origin::body::MediaBody;
use origin::problem_with;

use super::for_every_origin;

/// The request by its canonical target.
#[allow(clippy::result_large_err, reason = "the answer is sent as it is")]
pub(super) fn at(
    request: Request<()>,
    target: &Target,
) -> Result<Request<()>, Response<MediaBody>> {
    let (mut parts, ()) = request.into_parts();
    parts.uri = Uri::try_from(target.key()).map_err(|_| refuse_target(&TargetError::Form))?;
    Ok(Request::from_parts(parts, ()))
}

/// The target of a request. An absolute form, and HTTP/2's `:authority`, must agree with `Host`
/// where there is one: who believes which of two names is how requests are smuggled.
pub(super) fn read_target(request: &Request<()>) -> Result<SignedTarget<'_>, TargetError> {
    SignedTarget::parse(raw_target(request)?)
}

/// The same, as it was sent.
pub(super) fn raw_target(request: &Request<()>) -> Result<&str, TargetError> {
    let uri = request.uri();
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next();
    // RFC 9112 3.2: a request without `Host`, or with two, is refused.
    let is_missing = host.is_none() && request.version() == Version::HTTP_11;
    if is_missing || hosts.next().is_some() {
        return Err(TargetError::Form);
    }
    if let (Some(authority), Some(host)) = (uri.authority(), host) {
        let is_same = host.to_str().is_ok_and(|host| same_authority(authority.as_str(), host));
        if !is_same {
            return Err(TargetError::Form);
        }
    }
    Ok(uri.path_and_query().ok_or(TargetError::Form)?.as_str())
}

pub(super) fn refuse_target(error: &TargetError) -> Response<MediaBody> {
    let status = match error {
        TargetError::TooLong => StatusCode::URI_TOO_LONG,
        _ => StatusCode::BAD_REQUEST,
    };
    let problem = problem_with(status, "invalid_target", &error.to_string());
    for_every_origin(problem)
}
