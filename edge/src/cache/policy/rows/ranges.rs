//! Ranges: RFC 9110 14, and 13.1.5.

use super::*;

#[track_caller]
fn check_range(request: &str, expected: Wanted) {
    let head = stored("etag: \"a\"\nlast-modified: {-100}");
    assert_eq!(wanted_ranges(&Method::GET, &headers(request), &head, 100), expected, "{request:?}");
}

#[test]
fn rfc_9110_14_ranges() {
    let one = |start, end| Wanted::One(start..end);
    check_range("", Wanted::All);
    check_range("range: bytes=0-0", one(0, 1));
    check_range("range: bytes=10-", one(10, 100));
    check_range("range: bytes=-10", one(90, 100));
    check_range("range: bytes=-1000", one(0, 100));
    check_range("range: bytes=90-1000", one(90, 100));
    check_range("range: bytes=100-", Wanted::Unsatisfiable);
    check_range("range: bytes=-0", Wanted::Unsatisfiable);
    check_range("range: bytes=0-1,100-", one(0, 2));
    check_range("range: bytes=0-1,5-6", Wanted::Several(vec![0..2, 5..7]));
    check_range("range: bytes=5-6, 0-1", Wanted::Several(vec![5..7, 0..2]));
    // 14.2: what isn't understood, or is too much, is not looked at.
    check_range("range: bytes=5-2", Wanted::All);
    check_range("range: seconds=0-1", Wanted::All);
    check_range("range: bytes=a-b", Wanted::All);
    check_range("range: bytes=0-99,0-99", Wanted::All);
    check_range(&format!("range: bytes={}", "0-0,".repeat(RANGES_MAX) + "1-1"), Wanted::All);
    check_range("range: bytes=0-99999999999999999999999", one(0, 100));
    // 13.1.5: If-Range.
    check_range("range: bytes=0-0\nif-range: \"a\"", one(0, 1));
    check_range("range: bytes=0-0\nif-range: \"b\"", Wanted::All);
    check_range("range: bytes=0-0\nif-range: W/\"a\"", Wanted::All);
    check_range("range: bytes=0-0\nif-range: {-100}", one(0, 1));
    check_range("range: bytes=0-0\nif-range: {-99}", Wanted::All);
    // With GET alone, and for a 200.
    let request = headers("range: bytes=0-0");
    assert_eq!(wanted_ranges(&Method::HEAD, &request, &stored(""), 100), Wanted::All);
    let error = stored_with(404, "", &Policy::default());
    assert_eq!(wanted_ranges(&Method::GET, &request, &error, 100), Wanted::All);
}

#[test]
fn rfc_9110_14_4_content_range() {
    let read = |text: &str| {
        content_range(&HeaderValue::from_str(text).unwrap()).map(|r| (r.start, r.end, r.total))
    };
    assert_eq!(read("bytes 0-0/1"), Some((0, 1, Some(1))));
    assert_eq!(read("bytes 5-9/*"), Some((5, 10, None)));
    assert_eq!(read("Bytes 5-9/10"), Some((5, 10, Some(10))));
    // 14.4: a last position below the first one, or not below the length, is invalid.
    for bad in [
        "bytes 5-4/10",
        "bytes 5-10/10",
        "bytes */10",
        "bytes 0-1",
        "bytes=0-1/2",
        "lines 0-1/2",
        "bytes +0-1/2",
        "bytes 0-1/+2",
        "bytes 0- 1/2",
        "bytes 0-18446744073709551615/*",
        "bytes -1/2",
        "bytes 0-1/",
        "",
    ] {
        assert_eq!(read(bad), None, "{bad}");
    }
}

proptest! {
    /// Whatever is asked, ranges lie inside the object, are not empty, and don't add up to more
    /// than it.
    #[test]
    fn ranges_lie_inside(text in "(bytes=)?[0-9,\\- ]{0,40}", len in 0..200_u64) {
        let mut request = HeaderMap::new();
        request.insert("range", HeaderValue::from_str(&text).unwrap());
        let ranges = match wanted_ranges(&Method::GET, &request, &stored(""), len) {
            Wanted::All | Wanted::Unsatisfiable => Vec::new(),
            Wanted::One(range) => vec![range],
            Wanted::Several(ranges) => ranges,
        };
        prop_assert!(ranges.iter().all(|range| range.start < range.end && range.end <= len));
        prop_assert!(ranges.iter().map(|range| range.end - range.start).sum::<u64>() <= len);
    }
}
