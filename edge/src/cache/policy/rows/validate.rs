//! Validation and freshening: RFC 9111 3.2 and 4.3.

use super::*;

#[test]
fn section_4_3_1_validators_towards_the_origin() {
    let mut request = HeaderMap::new();
    add_validators(&mut request, &stored("etag: W/\"a\"\nlast-modified: {-9}"));
    assert_eq!(request["if-none-match"], "W/\"a\"");
    assert_eq!(request["if-modified-since"], date(T - 9));
}

#[test]
fn section_4_3_2_validators_towards_the_viewer() {
    #[track_caller]
    fn check(request: &str, response: &str, expected: bool) {
        assert_eq!(not_modified(&headers(request), &stored(response)), expected, "{request:?}");
    }
    let etag = "etag: \"a\"\nlast-modified: {-100}";
    check("if-none-match: \"a\"", etag, true);
    check("if-none-match: \"b\", \"a\"", etag, true);
    check("if-none-match: \"b,\\\"a\"", etag, false);
    check("if-none-match: W/\"a\"", etag, true);
    check("if-none-match: *", etag, true);
    check("if-none-match: \"b\"", etag, false);
    check("if-none-match: \"b\"\nif-none-match: \"a\"", etag, true);
    // 13.1.3 of RFC 9110: beside If-None-Match the date is not looked at.
    check("if-none-match: \"b\"\nif-modified-since: {+0}", etag, false);
    check("if-modified-since: {-100}", etag, true);
    check("if-modified-since: {-101}", etag, false);
    check("if-modified-since: yesterday", etag, false);
    // Without Last-Modified, Date is what the request is compared with.
    check("if-modified-since: {+0}", "date: {-1}", true);
    check("if-modified-since: {-2}", "date: {-1}", false);
    // Only what would be a 200.
    let error = stored_with(404, etag, &Policy::default());
    assert!(!not_modified(&headers("if-none-match: \"a\""), &error));
}

#[test]
fn section_3_2_and_4_3_4_what_a_304_changes() {
    let old = stored("date: {-50}\nage: 3\netag: \"a\"\ncontent-type: video/mp4\nx: 1\nx: 2\ny: 1");
    let times = (at(T + 10), at(T + 10));
    let update = |lines: &str| freshen(&old, headers(lines), times, 9, &Policy::default());
    let Freshened::Updated(new) = update(
        "date: {+10}\netag: \"a\"\ncache-control: max-age=5\nx: 3\ncontent-type: text/html
         content-length: 0\nconnection: z\nz: 1\nset-cookie: a=b",
    ) else {
        panic!("same validator");
    };
    assert_eq!(new.headers["content-type"], "video/mp4", "the bytes are what they were");
    assert_eq!(new.headers.get_all("x").iter().collect::<Vec<_>>(), ["3"]);
    assert_eq!(new.headers["y"], "1");
    for name in ["z", "connection", "content-length", "set-cookie", "age"] {
        assert!(!new.headers.contains_key(name), "{name}");
    }
    assert!(new.is_fresh(at(T + 14)) && !new.is_fresh(at(T + 15)));
    assert_eq!(new.purge_stamp, 9);
    // A strong validator of something else.
    assert!(matches!(update("etag: \"b\""), Freshened::Mismatch));
    // None, or a weak one, updates the one that was asked about.
    assert!(matches!(update("x: 1"), Freshened::Updated(_)));
    assert!(matches!(update("etag: W/\"b\""), Freshened::Updated(_)));
}

/// RFC 9111 4.3.5, sentence by sentence.
#[test]
fn section_4_3_5_what_a_head_changes() {
    let old = stored(
        "date: {-50}\netag: \"a\"\nlast-modified: {-99}\ncontent-type: video/mp4
         cache-control: max-age=9\nx: 1\ny: 1",
    );
    let head = |status: u16, lines: &str| {
        let answer = (StatusCode::from_u16(status).unwrap(), headers(lines));
        freshen_by_head(&old, 7, answer, (at(T + 10), at(T + 10)), 9, &Policy::default())
    };
    // "receives a 200 (OK) response": any other one says nothing.
    for status in [204, 304, 404, 500] {
        assert!(head(status, "etag: \"b\"").is_none(), "{status}");
    }
    // "matching values for any received validator fields (ETag and Last-Modified) and, if the HEAD
    // response has a Content-Length header field, the value of Content-Length matches": update.
    for lines in [
        "etag: \"a\"\ncontent-length: 7\nlast-modified: {-99}",
        "etag: \"a\"",
        "last-modified: {-99}",
        "content-length: 7",
        "content-type: video/mp4",
    ] {
        let lines = format!("{lines}\ncache-control: max-age=5\nx: 2");
        let Some(Freshened::Updated(new)) = head(200, &lines) else {
            panic!("{lines}");
        };
        // "SHOULD update the stored response as described in Section 3.2".
        assert_eq!(
            (&new.headers["x"], &new.headers["y"]),
            (&"2".parse().unwrap(), &old.headers["y"])
        );
        assert!(new.is_fresh(at(T + 14)) && !new.is_fresh(at(T + 15)));
        assert_eq!((new.purge_stamp, new.status), (9, StatusCode::OK));
        assert!(!new.headers.contains_key("content-length"));
    }
    // "otherwise, the cache SHOULD consider the stored response to be stale".
    for lines in [
        "etag: \"b\"\ncontent-length: 7",
        "etag: W/\"a\"",
        "etag: \"a\"\ncontent-length: 8",
        "etag: \"a\"\ncontent-length: many",
        "etag: \"a\"\nlast-modified: {-98}",
        // Not in the RFC: what would put a wrong label on the bytes.
        "etag: \"a\"\ncontent-type: text/html",
        "etag: \"a\"\ncontent-encoding: gzip",
        "etag: \"a\"\nvary: x",
        "etag: \"a\"\ncache-control: no-store",
        "etag: \"a\"\ncache-control: private",
    ] {
        assert!(matches!(head(200, lines), Some(Freshened::Mismatch)), "{lines}");
    }
    // An error that is stored is no representation that a HEAD's 200 tells of.
    let error = stored_with(404, "etag: \"a\"", &Policy::default());
    let answer = (StatusCode::OK, headers("etag: \"a\""));
    let times = (at(T), at(T));
    assert!(freshen_by_head(&error, 7, answer, times, 9, &Policy::default()).is_none());
}
