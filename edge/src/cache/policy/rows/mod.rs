//! RFC 9111, row by row: what the RFC asks, in our words, and what this cache does.

mod ranges;
mod validate;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use proptest::prelude::*;

use super::*;

/// Sat, 14 Nov 2026 22:40:00 GMT, when every row's answer was made.
const T: u64 = 1_794_696_000;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn date(seconds: u64) -> String {
    httpdate::fmt_http_date(at(seconds))
}

/// Headers out of `name: value` lines; `{+60}` is the date a minute after `T`.
fn headers(lines: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').expect("name: value");
        let value = match value.trim() {
            date_value if date_value.starts_with('{') => {
                let offset: i64 = date_value.trim_matches(['{', '}']).parse().expect("an offset");
                date(T.checked_add_signed(offset).expect("in range"))
            }
            value => value.to_owned(),
        };
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(&value).unwrap());
    }
    headers
}

fn stored_with(status: u16, lines: &str, policy: &Policy) -> StoredHead {
    let status = StatusCode::from_u16(status).unwrap();
    StoredHead::new(status, headers(lines), (at(T), at(T)), Vec::new(), 0, policy)
}

fn stored(lines: &str) -> StoredHead {
    stored_with(200, lines, &Policy::default())
}

#[track_caller]
fn check_storing(request: &str, status: u16, response: &str, expected: Result<&[&str], Refusal>) {
    let headers_ = headers(response);
    let control = Control::of_response(&headers_, &Policy::default().targeted);
    let status = StatusCode::from_u16(status).unwrap();
    let found = storing(&Method::GET, &headers(request), status, &headers_, &control);
    let expected = match expected {
        Ok(names) => Storing::Store(VaryNames(names.iter().map(|n| n.parse().unwrap()).collect())),
        Err(refusal) => Storing::Refuse(refusal),
    };
    assert_eq!(found, expected, "{request:?} {status} {response:?}");
}

#[test]
fn section_3_storing() {
    // 3: a final status, no no-store, not private, and either said or heuristically cacheable.
    check_storing("", 200, "cache-control: max-age=1", Ok(&[]));
    check_storing("", 200, "etag: \"a\"", Ok(&[]));
    check_storing("", 200, "cache-control: no-store, max-age=9", Err(Refusal::NoStore));
    check_storing("", 200, "cache-control: private, max-age=9", Err(Refusal::Private));
    check_storing("", 200, "cache-control: private=\"x\", max-age=9", Err(Refusal::Private));
    check_storing("", 200, "cache-control: no-cache", Ok(&[]));
    check_storing("", 299, "cache-control: max-age=1", Ok(&[]));
    check_storing("", 299, "etag: \"a\"", Err(Refusal::Silent));
    check_storing("", 299, "expires: {+60}", Ok(&[]));
    check_storing("", 302, "cache-control: public", Ok(&[]));
    check_storing("", 404, "", Ok(&[]));
    check_storing("", 500, "", Err(Refusal::Silent));
    check_storing("", 103, "cache-control: max-age=1", Err(Refusal::Status));
    // 3.3: parts only by whoever keeps parts.
    check_storing("", 206, "cache-control: max-age=1", Err(Refusal::Status));
    check_storing("", 200, "content-range: bytes 0-1/2", Err(Refusal::Status));
    // 3.5: credentials, unless public, must-revalidate or s-maxage.
    let signed = "authorization: Bearer x";
    check_storing(signed, 200, "cache-control: max-age=1", Err(Refusal::Authorization));
    check_storing(signed, 200, "cache-control: max-age=1, public", Ok(&[]));
    check_storing(signed, 200, "cache-control: max-age=1, must-revalidate", Ok(&[]));
    check_storing(signed, 200, "cache-control: s-maxage=1", Ok(&[]));
    check_storing(signed, 200, "cache-control: proxy-revalidate", Err(Refusal::Authorization));
    // 5.2.2.3: must-understand lets no-store be overlooked by who knows the status, else forbids.
    check_storing("", 200, "cache-control: no-store, must-understand, max-age=1", Ok(&[]));
    check_storing("", 299, "cache-control: must-understand, max-age=1", Err(Refusal::Status));
    // 7.3, made stricter: cookies are one viewer's.
    check_storing("", 200, "cache-control: public\nset-cookie: a=b", Err(Refusal::SetCookie));
    // 4.1: what varies by everything matches nothing.
    check_storing("", 200, "cache-control: max-age=1\nvary: *", Err(Refusal::Vary));
    check_storing("", 200, "cache-control: max-age=1\nvary: a, *", Err(Refusal::Vary));
    check_storing("", 200, "cache-control: max-age=1\nvary: B, a,,b", Ok(&["a", "b"]));
    let many = "cache-control: max-age=1\nvary: a,b,c,d,e,f,g,h,i";
    check_storing("", 200, many, Err(Refusal::Vary));
    // RFC 9213 2.2: a targeted field rules alone.
    check_storing("", 200, "cache-control: no-store\ncdn-cache-control: max-age=5", Ok(&[]));
    let targeted = "cache-control: max-age=9\ncdn-cache-control: no-store";
    check_storing("", 200, targeted, Err(Refusal::NoStore));
    let first = "streamverse-cache-control: max-age=1\ncdn-cache-control: no-store";
    check_storing("", 200, first, Ok(&[]));
    let large = format!("cache-control: max-age=1\nx: {}", "a".repeat(40_000));
    check_storing("", 200, &large, Err(Refusal::TooLarge));
}

#[track_caller]
fn check_lifetime(lines: &str, expected_seconds: u64) {
    let found = stored(lines).lifetime;
    assert_eq!(found, Duration::from_secs(expected_seconds), "{lines:?}");
}

#[test]
fn section_4_2_1_lifetime() {
    // s-maxage before max-age before Expires.
    check_lifetime("cache-control: s-maxage=3, max-age=2\nexpires: {+9}", 3);
    check_lifetime("cache-control: max-age=2\nexpires: {+9}", 2);
    check_lifetime("date: {+0}\nexpires: {+9}", 9);
    // 5.3: Expires counts from Date, not from arrival.
    check_lifetime("date: {-10}\nexpires: {+9}", 19);
    check_lifetime("expires: 0", 0);
    check_lifetime("date: {+0}\nexpires: {-5}", 0);
    check_lifetime("date: {+0}\nexpires: {+9}\nexpires: {+8}", 0);
    // 5.6.7 of RFC 9110: the old forms of dates are read.
    check_lifetime("date: {+0}\nexpires: Sunday, 06-Nov-94 08:49:37 GMT", 0);
    check_lifetime("date: Sun Nov  6 08:49:37 1994\nexpires: Sun, 06 Nov 1994 08:50:37 GMT", 60);
    // Invalid or conflicting information means stale.
    check_lifetime("cache-control: max-age=x\nexpires: {+9}", 0);
    check_lifetime("cache-control: max-age=5\ncache-control: max-age=6", 0);
    // RFC 9213 2.2: Expires is Cache-Control's company, not the targeted field's.
    check_lifetime("date: {+0}\nexpires: {+9}\ncdn-cache-control: no-cache", 0);
    check_lifetime("cache-control: max-age=9\ncdn-cache-control: max-age=4", 4);
    check_lifetime("cache-control: max-age=9\ncdn-cache-control: max-age=", 9);
}

#[test]
fn section_4_2_2_guessing_is_off_unless_wanted() {
    let lines = "date: {+0}\nlast-modified: {-1000}";
    check_lifetime(lines, 0);
    let policy = Policy { heuristic_percent: 10, ..Policy::default() };
    assert_eq!(stored_with(200, lines, &policy).lifetime, Duration::from_secs(100));
    assert_eq!(stored_with(299, lines, &policy).lifetime, Duration::ZERO, "not by its status");
    let said = format!("{lines}\ncache-control: max-age=1");
    assert_eq!(stored_with(200, &said, &policy).lifetime, Duration::from_secs(1));
    let old = "date: {+0}\nlast-modified: {-100000000}";
    assert_eq!(stored_with(200, old, &policy).lifetime, policy.heuristic_max);
}

#[test]
fn errors_are_kept_for_a_short_time_only() {
    let policy = Policy::default();
    assert_eq!(stored_with(404, "", &policy).lifetime, policy.negative);
    assert_eq!(stored_with(410, "", &policy).lifetime, policy.negative);
    assert_eq!(stored_with(404, "cache-control: max-age=5", &policy).lifetime.as_secs(), 5);
    let long = stored_with(404, "cache-control: max-age=86400", &policy);
    assert_eq!(long.lifetime, policy.negative_max);
    assert_eq!(stored_with(501, "", &policy).lifetime, Duration::ZERO);
}

#[test]
fn section_4_2_3_age() {
    #[track_caller]
    fn check(lines: &str, delay_seconds: u64, later_seconds: u64, expected: u64) {
        let head = StoredHead::new(
            StatusCode::OK,
            headers(lines),
            (at(T - delay_seconds), at(T)),
            Vec::new(),
            0,
            &Policy::default(),
        );
        assert_eq!(head.age(at(T + later_seconds)).as_secs(), expected, "{lines:?}");
    }
    check("date: {+0}", 0, 0, 0);
    check("date: {+0}", 0, 7, 7);
    // The larger of apparent and corrected age; the answer's delay counts as age.
    check("date: {-5}", 0, 0, 5);
    check("date: {-5}\nage: 9", 2, 1, 12);
    check("date: {+0}", 3, 0, 3);
    // A date in the future makes nothing younger than new.
    check("date: {+100}\nage: 4", 0, 1, 5);
    // 5.1: no number is no age; of a list the first counts.
    check("date: {+0}\nage: -3", 0, 1, 1);
    check("date: {+0}\nage: 7, 9", 0, 0, 7);
    check("date: {+0}\nage: 99999999999999999999", 0, 0, 1 << 31);
    // A clock that was set back.
    assert_eq!(stored("date: {+0}").age(at(T - 1000)).as_secs(), 0);
}

#[track_caller]
fn check_at(request: &str, response: &str, later_seconds: u64, expected: Decision) {
    check_with(&Policy::default(), request, response, later_seconds, expected);
}

#[track_caller]
fn check_with(policy: &Policy, request: &str, response: &str, later: u64, expected: Decision) {
    let head = stored_with(200, response, policy);
    let control = RequestControl::of_request(&headers(request));
    let lookup =
        Lookup { stored: Some(&head), purged: Purged::No, control: &control, now: at(T + later) };
    assert_eq!(decide(&lookup, policy), expected, "{request:?} {response:?} +{later}");
}

#[test]
fn section_4_2_fresh_and_stale() {
    let stale = Decision::Revalidate(Why::Stale);
    // Fresh while the lifetime exceeds the age.
    check_at("", "date: {+0}\ncache-control: max-age=10", 9, Decision::Serve);
    check_at("", "date: {+0}\ncache-control: max-age=10", 10, stale);
    check_at("", "date: {+0}\nage: 5\ncache-control: max-age=10", 5, stale);
    // 5.2.2.4: no-cache is never used unasked.
    check_at("", "cache-control: no-cache, max-age=10", 0, stale);
    check_at("", "cache-control: no-cache=\"x\", max-age=10", 0, stale);
    // 5.2.2.2: must-revalidate means nothing while fresh.
    check_at("", "date: {+0}\ncache-control: max-age=10, must-revalidate", 9, Decision::Serve);
    // RFC 8246: immutable changes nothing of freshness for us.
    check_at("", "date: {+0}\ncache-control: max-age=10, immutable", 10, stale);
}

#[test]
fn rfc_5861_stale_while_revalidate() {
    let behind = Decision::ServeAndRevalidate;
    let stale = Decision::Revalidate(Why::Stale);
    let lines = "date: {+0}\ncache-control: max-age=10, stale-while-revalidate=5";
    check_at("", lines, 9, Decision::Serve);
    check_at("", lines, 10, behind);
    check_at("", lines, 14, behind);
    check_at("", lines, 15, stale);
    // 4.2.4 of RFC 9111: never against the origin's explicit word.
    for word in ["must-revalidate", "proxy-revalidate", "no-cache"] {
        check_at("", &format!("{lines}, {word}"), 12, stale);
    }
    // 5.2.2.10: s-maxage forbids what it doesn't grant itself.
    let shared = "date: {+0}\ncache-control: s-maxage=10";
    let policy = Policy { stale_while_revalidate: Duration::from_secs(60), ..Policy::default() };
    check_with(&policy, "", shared, 12, stale);
    check_with(&policy, "", &format!("{shared}, stale-while-revalidate=5"), 12, behind);
    check_with(&policy, "", "date: {+0}\ncache-control: max-age=10", 12, behind);
}

#[test]
fn rfc_5861_stale_if_error() {
    #[track_caller]
    fn check(lines: &str, later: u64, purged: Purged, expected: bool) {
        let head = stored(lines);
        let control = RequestControl::default();
        let lookup = Lookup { stored: Some(&head), purged, control: &control, now: at(T + later) };
        assert_eq!(may_serve_on_error(&lookup, &Policy::default()), expected, "{lines:?}");
    }
    let lines = "date: {+0}\ncache-control: max-age=10, stale-if-error=20";
    check(lines, 29, Purged::No, true);
    check(lines, 30, Purged::No, false);
    check(lines, 5, Purged::Soft, true);
    check(lines, 5, Purged::Hard, false);
    check("date: {+0}\ncache-control: max-age=10", 609, Purged::No, true);
    check("date: {+0}\ncache-control: max-age=10", 610, Purged::No, false);
    check("date: {+0}\ncache-control: max-age=10, stale-if-error=0", 10, Purged::No, false);
    check("date: {+0}\ncache-control: max-age=10, must-revalidate", 12, Purged::No, false);
    check("date: {+0}\ncache-control: s-maxage=10", 12, Purged::No, false);
    check("date: {+0}\ncache-control: s-maxage=10, stale-if-error=5", 12, Purged::No, true);
}

#[test]
fn section_5_2_1_viewers_directives() {
    let obeying = Policy { client_directives: true, ..Policy::default() };
    let lines = "date: {+0}\ncache-control: max-age=100";
    let asked = Decision::Revalidate(Why::Request);
    let check = |request: &str, later: u64, expected: Decision| {
        check_with(&obeying, request, lines, later, expected);
    };
    check("cache-control: max-age=10", 10, Decision::Serve);
    check("cache-control: max-age=10", 11, asked);
    check("cache-control: min-fresh=10", 90, Decision::Serve);
    check("cache-control: min-fresh=10", 91, asked);
    check("cache-control: no-cache", 0, asked);
    check("pragma: no-cache", 0, asked);
    check("pragma: no-cache\ncache-control: max-age=100", 0, Decision::Serve);
    check("cache-control: max-stale=5", 105, Decision::Serve);
    check("cache-control: max-stale=5", 106, Decision::Revalidate(Why::Stale));
    check("cache-control: max-stale", 100_000, Decision::Serve);
    let strict = format!("{lines}, must-revalidate");
    let request = "cache-control: max-stale";
    check_with(&obeying, request, &strict, 101, Decision::Revalidate(Why::Stale));
    // By default they are advice that isn't taken, so that nobody reaches the origin at will.
    check_at("cache-control: no-cache", lines, 0, Decision::Serve);
    check_at("cache-control: max-age=0", lines, 50, Decision::Serve);
    check_at("cache-control: max-stale", lines, 101, Decision::Revalidate(Why::Stale));
    // 5.2.1.7: 504 rather than forwarding.
    check_at("cache-control: only-if-cached", lines, 0, Decision::Serve);
    check_at("cache-control: only-if-cached", lines, 101, Decision::OnlyIfCached);
}

#[test]
fn purges_are_stronger_than_freshness() {
    let head = stored("date: {+0}\ncache-control: max-age=100, stale-while-revalidate=60");
    let decide_with = |purged| {
        let control = RequestControl::default();
        let lookup = Lookup { stored: Some(&head), purged, control: &control, now: at(T) };
        decide(&lookup, &Policy::default())
    };
    assert_eq!(decide_with(Purged::No), Decision::Serve);
    assert_eq!(decide_with(Purged::Soft), Decision::ServeAndRevalidate);
    assert_eq!(decide_with(Purged::Hard), Decision::Fetch(Why::UriMiss));
}

#[test]
fn section_4_1_vary() {
    let names = vary_names(&headers("vary: accept-language, X")).unwrap();
    let values = |lines: &str| selecting_values(&names, &headers(lines)).unwrap();
    // White space may be normalised, lines combined; order and case of values may not.
    assert_eq!(values("x: a , b"), values("x: a\nx: b"));
    assert_ne!(values("x: a, b"), values("x: b, a"));
    assert_ne!(values("x: a"), values("x: A"));
    // Absent matches absent only.
    assert_ne!(values("x:"), values(""));
    assert_eq!(values("y: 1"), values(""));
    assert!(selecting_values(&names, &headers(&format!("x: {}", "a".repeat(5000)))).is_none());
}

#[test]
fn section_3_1_what_is_not_kept() {
    let head = stored("connection: a, keep-alive\na: 1\nb: 2\ntransfer-encoding: chunked\nte: x");
    let mut names: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["b", "date"], "a date is added where none was");
    let tags = stored("cache-tag: film, show film\nsurrogate-key: show extra").tags;
    assert_eq!(tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["film", "show", "extra"]);
}

proptest! {
    /// Age grows with the clock and by it; an answer that went stale never gets fresh again.
    #[test]
    fn freshness_only_ends(
        lifetime in 0..10_000_u64,
        age in 0..10_000_u64,
        date_offset in -1_000..1_000_i64,
        steps in prop::collection::vec(0..5_000_u64, 1..10),
    ) {
        let head = stored(&format!(
            "date: {{{date_offset:+}}}\nage: {age}\ncache-control: max-age={lifetime}"
        ));
        let (mut now, mut was_fresh, mut old) = (T, true, Duration::ZERO);
        for step in steps {
            now += step;
            let (fresh, age) = (head.is_fresh(at(now)), head.age(at(now)));
            prop_assert!(was_fresh || !fresh);
            prop_assert!(age >= old);
            prop_assert_eq!(fresh, age < Duration::from_secs(lifetime));
            prop_assert_eq!(head.ttl_seconds(at(now)) > 0, fresh);
            (was_fresh, old) = (fresh, age);
        }
    }
}
