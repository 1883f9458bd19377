//! What players say of themselves: requests, headers, lines of reports, next objects.

use edge::cmcd::{ID_BYTES_MAX, NEXT_BYTES_MAX, next_target, of_headers, of_line, of_query};
use http::{HeaderMap, HeaderValue};

/// CMCD of both versions by each of its ways: bounded, the same each time, and a next object that
/// stays within its title.
pub fn cmcd(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(data) {
        headers.insert("cmcd-request", value);
    }
    for cmcd in [of_query(text), of_line(text), of_headers(&headers)].into_iter().flatten() {
        assert!(cmcd.session.as_ref().is_none_or(|id| id.len() <= ID_BYTES_MAX));
        assert!(cmcd.content.as_ref().is_none_or(|id| id.len() <= ID_BYTES_MAX));
        let Some(next) = &cmcd.next else { continue };
        assert!(next.len() <= NEXT_BYTES_MAX);
        let of = "/vod/film/fmp4/sd/v1-0123456789/7.m4s";
        if let Some(target) = next_target(of, next) {
            assert!(target.path().starts_with("/vod/film/"), "{next} leads to {target:?}");
            assert!(!target.path().split('/').any(|part| matches!(part, "." | "..")));
        }
    }
    assert_eq!(of_query(text), of_query(text));
}
