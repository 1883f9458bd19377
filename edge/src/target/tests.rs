//! Targets, case by case, and the promises that hold for all of them.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(raw: &str, key: &str) {
    let target = Target::parse(raw).unwrap_or_else(|error| panic!("{raw}: {error}"));
    assert_eq!(target.key(), key, "{raw}");
    assert_eq!(Target::parse(key).as_ref(), Ok(&target), "{raw}");
}

#[track_caller]
fn refuse(raw: &str, error: TargetError) {
    assert_eq!(SignedTarget::parse(raw), Err(error), "{raw}");
}

/// RFC 3986 6.2.2.1 and 6.2.2.2.
#[test]
fn one_path_has_one_spelling() {
    check("/", "/");
    check("/vod/film/cmaf/master.m3u8", "/vod/film/cmaf/master.m3u8");
    check("/vod/%66il%6d/cmaf/m%61ster%2Em3u8", "/vod/film/cmaf/master.m3u8");
    check("/a%7eb%2dc/d%5fe", "/a~b-c/d_e");
    check("/a%2cb%3Ac", "/a%2Cb%3Ac");
    check("/a,b:c", "/a,b:c");
    check("/caf%c3%a9", "/caf%C3%A9");
    check("/100%25", "/100%25");
    check("/100%25x", "/100%25x");
    check("/VOD/Film", "/VOD/Film");
    check("/a/", "/a/");
    check("/.hidden/..twice/...", "/.hidden/..twice/...");
}

#[test]
fn what_could_be_another_path_is_refused() {
    for raw in [
        "/a//b",
        "//a",
        "//",
        "/a/./b",
        "/a/../b",
        "/..",
        "/.",
        "/a/..",
        "/a/%2e%2E/b",
        "/%2e/x",
        "/a/..;x/b",
        "/.;/x",
    ] {
        refuse(raw, TargetError::Segment);
    }
    for raw in ["/a%2fb", "/a%2Fb", "/..%2fb", "/a%5cb", "/a%5C..%5C"] {
        refuse(raw, TargetError::Separator);
    }
    for raw in ["/%252e%252e/x", "/a%252fb", "/%25%32%65/x", "/a%2500", "/a%25%41b"] {
        refuse(raw, TargetError::DoubleEncoding);
    }
    for raw in [
        "/a\\b",
        "/a b",
        "/a\tb",
        "/a\u{0}b",
        "/a%00b",
        "/a%0d%0ab",
        "/a%7f",
        "/é",
        "/a|b",
        "/a\"b",
        "/a<b>",
        "/a#b",
        "/a{b}",
        "/a^b",
        "/a`b",
        "/a[b]",
    ] {
        refuse(raw, TargetError::Character);
    }
    for raw in
        ["/%", "/a%4", "/a%zz", "/a%4p", "/%ff", "/a%c3", "/a%c3b%a9", "/%c0%ae", "/%ed%a0%80"]
    {
        refuse(raw, TargetError::Encoding);
    }
    for raw in [
        "",
        "*",
        "a/b",
        "ftp://host/a",
        "example.org:443",
        "http://",
        "http:///a",
        "http://u:p@host/a",
        "http://host?x",
        "javascript:alert",
    ] {
        refuse(raw, TargetError::Form);
    }
    refuse(&format!("/{}", "a".repeat(TARGET_BYTES_MAX)), TargetError::TooLong);
    refuse(&format!("/{}", "a".repeat(PATH_BYTES_MAX)), TargetError::TooLong);
    refuse(&format!("/m.mpd?audio={}", "a".repeat(QUERY_BYTES_MAX)), TargetError::TooLong);
}

#[test]
fn tokens_stand_in_front() {
    let parse = |raw: &str| SignedTarget::parse(raw).map(|t| (t.token, t.target.key()));
    let signed = |token: &str, key: &str| Ok((Some(token.to_owned()), key.to_owned()));
    assert_eq!(parse("/~AbC-_9/vod/x/a.mpd?end=2&x=1"), signed("AbC-_9", "/vod/x/a.mpd?end=2"));
    assert_eq!(parse("/%7EAbC/vod/x"), signed("AbC", "/vod/x"));
    assert_eq!(parse("/~AbC"), signed("AbC", "/"));
    assert_eq!(parse("/~/vod/x"), signed("", "/vod/x"));
    assert_eq!(parse("/~a/~b/vod/x"), Err(TargetError::Segment));
    assert_eq!(parse("/~a//vod/x"), Err(TargetError::Segment));
    assert_eq!(parse("/vod/~a/x"), Ok((None, "/vod/~a/x".to_owned())));
    assert_eq!(Target::parse("/~a/vod/x"), Err(TargetError::Form));
    // A path may be as long with a token as without.
    let path = format!("/{}", "a".repeat(PATH_BYTES_MAX - 1));
    assert!(parse(&format!("/~{}{path}", "T".repeat(4_096))).is_ok());
}

/// RFC 9112 3.2.2.
#[test]
fn absolute_forms_are_reduced() {
    let parse = |raw: &'static str| {
        let signed = SignedTarget::parse(raw).unwrap();
        (signed.authority, signed.target.key())
    };
    assert_eq!(parse("http://h.example:80/a"), (Some("h.example:80"), "/a".to_owned()));
    assert_eq!(
        parse("HTTPS://[::1]:8443/a.mpd?start=1"),
        (Some("[::1]:8443"), "/a.mpd?start=1".to_owned())
    );
    assert_eq!(parse("http://h"), (Some("h"), "/".to_owned()));

    for (one, other) in [
        ("H.example", "h.EXAMPLE"),
        ("h:80", "h"),
        ("h:443", "h"),
        ("h:8080", "h:8080"),
        ("[::1]", "[::1]:80"),
        ("127.0.0.1:1", "127.0.0.1:1"),
    ] {
        assert!(same_authority(one, other), "{one} {other}");
    }
    for (one, other) in [
        ("h", "g"),
        ("h:8080", "h"),
        ("h", ""),
        ("", ""),
        ("h:", "h"),
        ("h:99999", "h:99999"),
        ("u@h", "h"),
        ("h.", "h"),
        ("[::1]", "[::2]"),
        ("a b", "a b"),
    ] {
        assert!(!same_authority(one, other), "{one} {other}");
    }
}

#[test]
fn only_what_changes_an_answer_stays_of_a_query() {
    check("/vod/x/cmaf/master.m3u8?CMCD=br%3D1&_HLS_msn=4&utm=x", "/vod/x/cmaf/master.m3u8");
    check("/a.mpd?start=1&end=2&audio=de,en", "/a.mpd?audio=de,en&end=2&start=1");
    check("/a.mpd?end=2&audio=de%2Cen&start=1", "/a.mpd?audio=de,en&end=2&start=1");
    check("/a.mpd?m%61x_height=7%320", "/a.mpd?max_height=720");
    check("/a.mpd?audio=a+b%2bc%20d", "/a.mpd?audio=a%20b%2Bc%20d");
    check("/a.mpd?audio", "/a.mpd?audio=");
    check("/a.mpd?audio=", "/a.mpd?audio=");
    check("/a.mpd?audio=%zz&&", "/a.mpd?audio=%25zz");
    check("/a.mpd?audio=a=b?c/d", "/a.mpd?audio=a%3Db%3Fc%2Fd");
    check("/a.mpd?audio=%c3%a9", "/a.mpd?audio=%C3%A9");
    check("/a.mpd?Audio=x&AUDIO=y", "/a.mpd");
    // The origin takes the last and refuses a bad one: order and number are kept.
    check("/a.mpd?start=2&end=9&start=1", "/a.mpd?end=9&start=2&start=1");
    check("/a.mpd?start=1&start=1", "/a.mpd?start=1");
    check("/vod/x/fmp4/hd/v1-r/1.m4s?sidx=1&start=7", "/vod/x/fmp4/hd/v1-r/1.m4s?sidx=1");
    check("/vod/x/fmp4/hd/v1-r/1.m4s?sidx=2", "/vod/x/fmp4/hd/v1-r/1.m4s");
    check("/vod/x/fmp4/hd/v1-r/init.mp4?sidx=1&start=3", "/vod/x/fmp4/hd/v1-r/init.mp4");
    check("/vod/x/poster.jpg?", "/vod/x/poster.jpg");
    for raw in ["/a.mpd?audio=%00", "/a.mpd?audio=%0d%0aX", "/a.mpd?audio=%ff"] {
        refuse(raw, TargetError::Query);
    }
    refuse(&format!("/a.mpd?{}", "x&".repeat(PARAMETERS_MAX + 1)), TargetError::Query);
    check("/a.mpd?%ff=1&x=%00", "/a.mpd");
}

#[test]
fn limits_become_parameters() {
    let limited = |raw: &str, limit: &dyn Fn(&mut Target)| {
        let mut target = Target::parse(raw).unwrap();
        limit(&mut target);
        let key = target.key();
        assert_eq!(Target::parse(&key).unwrap(), target, "what is limited is canonical");
        key
    };
    let cap = |raw: &str| limited(raw, &|target| target.cap("max_height", 720));
    assert_eq!(cap("/a.mpd"), "/a.mpd?max_height=720");
    assert_eq!(cap("/a.mpd?max_height=1080&audio=de"), "/a.mpd?audio=de&max_height=720");
    assert_eq!(cap("/a.mpd?max_height=480"), "/a.mpd?max_height=480");
    assert_eq!(cap("/a.mpd?max_height=999&max_height=x"), "/a.mpd?max_height=720&max_height=x");
    let mute = |raw: &str| limited(raw, &|target| target.set("audio", ""));
    assert_eq!(mute("/a.mpd?audio=de&video=hd"), "/a.mpd?audio=&video=hd");
    assert_eq!(Target::parse("/a.mpd?start=1&start=2").unwrap().parameter("start"), Some("2"));
}

#[test]
fn segments_lie_in_classes() {
    let class = |path: &str| Target::parse(path).unwrap().class();
    assert_eq!(class("/vod/x/fmp4/hd/v1-r/1.m4s"), Ok(Some(MediaClass::Hd)));
    assert_eq!(class("/vod/x/image/image/i1-r/1.jpg"), Ok(Some(MediaClass::Image)));
    assert_eq!(class("/ad/x/mpegts/sd/v1-r/1.ts"), Ok(Some(MediaClass::Sd)));
    for path in ["/", "/vod/x/poster.jpg", "/vod/x/cmaf/master.m3u8", "/vod/x/fmp4/hd"] {
        assert_eq!(class(path), Ok(None), "{path}");
    }
    for path in ["/vod/x/fmp4/HD/v1-r/1.m4s", "/vod/x/fmp4/any/1", "/vod/x/cmaf/a/b.m3u8"] {
        assert_eq!(class(path), Err(UnknownClass), "{path}");
    }
}

/// One byte, in one of the ways in which a client may spell it.
fn spell(byte: u8, way: u8) -> String {
    match (way % 3, byte) {
        (0, b'/') => "/".to_owned(),
        (0, _) if path::is_unreserved(byte) => char::from(byte).to_string(),
        (1, _) if byte != b'/' => format!("%{byte:02x}"),
        (2, _) if byte != b'/' => format!("%{byte:02X}"),
        _ if byte == b'/' => "/".to_owned(),
        _ => format!("%{byte:02X}"),
    }
}

proptest! {
    /// A canonical target is its own canonical form, whatever was read.
    #[test]
    fn reading_is_idempotent(raw in "/([a-c./~%;:A?=&+,-]|%[0-9a-f]{2}|%25|[ -~]){0,40}(\\.(mpd|m4s)\\?(start|audio|sidx|x|%61udio|[ -~]){0,9})?") {
        let Ok(signed) = SignedTarget::parse(&raw) else { return Ok(()) };
        let key = signed.target.key();
        prop_assert!(key.is_ascii() && key.starts_with('/') && !key.contains(['\\', ' ', '#']));
        prop_assert!(!key.contains("//") && !key.split(['/', '?']).any(|part| part == ".."));
        // A hidden token would be seen the second time.
        let again = SignedTarget::parse(&key).map(|again| (again.token, again.target));
        prop_assert_eq!(again, Ok((None, signed.target)));
        prop_assert!(key.parse::<http::uri::PathAndQuery>().is_ok());
    }

    /// Two spellings of one path are one key.
    #[test]
    fn spellings_collapse(path in "/[a-z0-9._,é-]{1,9}(/[a-z0-9._ -]{1,9}x){0,3}", ways in prop::collection::vec(any::<[u8; 2]>(), 64)) {
        let one: String = path.bytes().zip(&ways).map(|(byte, way)| spell(byte, way[0])).collect();
        let other: String = path.bytes().zip(&ways).map(|(byte, way)| spell(byte, way[1])).collect();
        prop_assert_eq!(Target::parse(&one), Target::parse(&other));
    }

    /// What decodes to two different paths never gets one key.
    #[test]
    fn differences_stay(one in "/[ab%/.A-B,é ]{0,6}", other in "/[ab%/.A-B,é ]{0,6}") {
        let encode = |path: &str| -> String { path.bytes().map(|byte| spell(byte, byte)).collect() };
        let key = |path: &str| Target::parse(&encode(path)).map(|target| target.key());
        if let (Ok(first), Ok(second)) = (key(&one), key(&other)) {
            prop_assert_eq!(first == second, one == other);
        }
    }
}
