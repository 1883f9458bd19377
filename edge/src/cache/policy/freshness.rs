//! How long an answer is fresh, and how old it is (RFC 9111 4.2).

use std::time::{Duration, SystemTime};

use http::header::{AGE, DATE, EXPIRES, HeaderName, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};

use super::control::seconds;
use super::{Control, Policy};

/// The freshness lifetime for a shared cache (RFC 9111 4.2.1): `s-maxage`, `max-age`, `Expires`
/// less `Date`, a guess where guessing is on; in this order the first that is there. Errors are
/// bounded whatever they say.
pub fn lifetime(
    status: StatusCode,
    headers: &HeaderMap,
    control: &Control,
    response_time: SystemTime,
    policy: &Policy,
) -> Duration {
    let stated = stated_lifetime(headers, control, response_time);
    if status.is_client_error() || status.is_server_error() {
        let default = match status {
            StatusCode::NOT_FOUND | StatusCode::GONE if !control.no_cache => policy.negative,
            _ => Duration::ZERO,
        };
        return stated.unwrap_or(default).min(policy.negative_max);
    }
    stated.unwrap_or_else(|| guess(status, headers, control, response_time, policy))
}

/// What the answer says of itself, if it does.
pub(super) fn stated_lifetime(
    headers: &HeaderMap,
    control: &Control,
    response_time: SystemTime,
) -> Option<Duration> {
    if let Some(age) = control.shared_max_age.or(control.max_age) {
        return Some(age);
    }
    if control.is_targeted || !headers.contains_key(EXPIRES) {
        return None;
    }
    // RFC 9111 5.3: an Expires that is no date, "0" above all, lies in the past; and two different
    // ones are no information, so stale.
    let mut all = headers.get_all(EXPIRES).iter();
    let first = all.next();
    let expires = match first {
        Some(value) if all.all(|other| other == value) => date(headers, &EXPIRES),
        _ => None,
    };
    let date = date(headers, &DATE).unwrap_or(response_time);
    Some(expires.and_then(|expires| expires.duration_since(date).ok()).unwrap_or(Duration::ZERO))
}

fn guess(
    status: StatusCode,
    headers: &HeaderMap,
    control: &Control,
    response_time: SystemTime,
    policy: &Policy,
) -> Duration {
    if policy.heuristic_percent == 0 || !(is_heuristic_status(status) || control.public) {
        return Duration::ZERO;
    }
    let Some(modified) = date(headers, &LAST_MODIFIED) else {
        return Duration::ZERO;
    };
    let since = response_time.duration_since(modified).unwrap_or(Duration::ZERO);
    let percent = policy.heuristic_percent.min(100);
    (since / 100).saturating_mul(percent).min(policy.heuristic_max)
}

/// Statuses that may be kept without a word about it (RFC 9110 15.1), 206 apart, which is never
/// stored here.
pub(super) fn is_heuristic_status(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

/// `corrected_initial_age` (RFC 9111 4.2.3): the larger of what the clocks say and what the caches
/// on the way said, plus the time the answer took.
pub fn initial_age(
    headers: &HeaderMap,
    request_time: SystemTime,
    response_time: SystemTime,
) -> Duration {
    let apparent = date(headers, &DATE)
        .and_then(|date| response_time.duration_since(date).ok())
        .unwrap_or(Duration::ZERO);
    let delay = response_time.duration_since(request_time).unwrap_or(Duration::ZERO);
    let corrected = age_field(headers).saturating_add(delay);
    // HTTP dates are whole seconds: the fraction of the second in which an answer was made is not
    // its age.
    Duration::from_secs(apparent.as_secs()).max(corrected)
}

/// `Age` (RFC 9111 5.1): the first member of a list; no number is no age.
fn age_field(headers: &HeaderMap) -> Duration {
    let Some(value) = headers.get(AGE).and_then(|value| value.to_str().ok()) else {
        return Duration::ZERO;
    };
    let first = value.split(',').next().unwrap_or_default().trim();
    seconds(Some(first)).unwrap_or(Duration::ZERO)
}

/// An HTTP date in any of its three forms (RFC 9110 5.6.7).
pub(super) fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let value = headers.get(name)?.to_str().ok()?;
    // Beyond year 9999 the parser stops; a cache reads that as no date, hence stale.
    httpdate::parse_http_date(value).ok()
}
