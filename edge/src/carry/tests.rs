use proptest::prelude::*;

use super::*;

const QUERY: &str = "Policy=a~b&Key-Pair-Id=K&Signature=s$x'y";

fn carried_in(media_type: &str, text: &str, piece_bytes: usize) -> Result<String, CarryError> {
    let mut carrying = Carrying::of_media_type(media_type, QUERY).expect("a manifest");
    let mut out = Vec::new();
    for piece in text.as_bytes().chunks(piece_bytes) {
        carrying.push(piece, &mut out)?;
    }
    carrying.finish(&mut out)?;
    Ok(String::from_utf8(out).expect("it is text"))
}

/// However the body is cut into pieces, the outcome is one.
#[track_caller]
fn check(media_type: &str, text: &str, expected: &str) {
    for piece_bytes in [1, 2, 3, 7, 64, text.len().max(1)] {
        assert_eq!(carried_in(media_type, text, piece_bytes).as_deref(), Ok(expected));
    }
}

#[test]
fn each_uri_of_a_playlist_gets_the_query() {
    let text = "#EXTM3U\n\
        #EXT-X-INDEPENDENT-SEGMENTS\r\n\
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a,URI=x\",NAME=\"n\",URI=\"a1.m3u8\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"avc1,mp4a\"\r\n\
        v1.m3u8?max_height=720\r\n\
        #EXT-X-MAP:URI=\"../fmp4/init.mp4\",BYTERANGE=\"10@0\"\n\
        #EXTINF:6.0,URI=\"no.m4s\"\n\
        1.m4s#t=2\n\
        \n\
        #EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://key\",KEYFORMAT=\"com.apple\"\n\
        #EXT-X-CONTENT-STEERING:SERVER-URI=\"/steer\"\n\
        # a comment.m4s\n\
        https://elsewhere.example/2.m4s\n\
        //elsewhere.example/3.m4s\n\
        4.m4s";
    let expected = "#EXTM3U\n\
        #EXT-X-INDEPENDENT-SEGMENTS\r\n\
        #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a,URI=x\",NAME=\"n\",URI=\"a1.m3u8?Q\"\n\
        #EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"avc1,mp4a\"\r\n\
        v1.m3u8?max_height=720&Q\r\n\
        #EXT-X-MAP:URI=\"../fmp4/init.mp4?Q\",BYTERANGE=\"10@0\"\n\
        #EXTINF:6.0,URI=\"no.m4s\"\n\
        1.m4s?Q#t=2\n\
        \n\
        #EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://key\",KEYFORMAT=\"com.apple\"\n\
        #EXT-X-CONTENT-STEERING:SERVER-URI=\"/steer?Q\"\n\
        # a comment.m4s\n\
        https://elsewhere.example/2.m4s\n\
        //elsewhere.example/3.m4s\n\
        4.m4s?Q";
    check(
        "application/vnd.apple.mpegurl",
        text,
        &expected.replace("?Q", &format!("?{QUERY}")).replace("&Q", &format!("&{QUERY}")),
    );
}

#[test]
fn each_address_of_an_mpd_gets_the_query() {
    let text = "<?xml version=\"1.0\"?><!-- media=\"x.m4s\" > --><MPD>\n\
        <Location>live.mpd</Location><BaseURL>../fmp4/</BaseURL>\
        <BaseURL> track.mp4?a=1&amp;b=2\n</BaseURL><BaseURL>https://h/x.mp4</BaseURL>\
        <BaseURL>https&#58;//h/x.mp4</BaseURL><BaseURL/>x\
        <SegmentTemplate timescale='90' media=\"$Number$.m4s\" initialization = 'init.mp4' a=\">\"/>\
        <SegmentURL media=\"1.m4s\" mediaRange=\"0-1\"/><Other media=\"x\"/>\
        <Initialization sourceURL=\"i.mp4\" /></MPD>";
    let plain = "Policy=a~b&amp;Key-Pair-Id=K&amp;Signature=s$x&apos;y";
    let template = plain.replace('$', "$$");
    let expected = format!(
        "<?xml version=\"1.0\"?><!-- media=\"x.m4s\" > --><MPD>\n\
        <Location>live.mpd?{plain}</Location><BaseURL>../fmp4/</BaseURL>\
        <BaseURL> track.mp4?a=1&amp;b=2&amp;{plain}\n</BaseURL><BaseURL>https://h/x.mp4</BaseURL>\
        <BaseURL>https&#58;//h/x.mp4</BaseURL><BaseURL/>x\
        <SegmentTemplate timescale='90' media=\"$Number$.m4s?{template}\" \
        initialization = 'init.mp4?{template}' a=\">\"/>\
        <SegmentURL media=\"1.m4s?{plain}\" mediaRange=\"0-1\"/><Other media=\"x\"/>\
        <Initialization sourceURL=\"i.mp4?{plain}\" /></MPD>"
    );
    check("application/dash+xml; charset=utf-8", text, &expected);
}

#[test]
fn each_thumbnail_gets_the_query() {
    let text = "WEBVTT\r\n\n00:00.000 --> 00:05.000\r\nimage/s-1.jpg#xywh=0,0,160,90\r\n\n\
                00:05.000 --> 00:10.000\nhttps://h/s-1.jpg#xywh=160,0,160,90\nwhat is said";
    let expected = text.replace("s-1.jpg#xywh=0", &format!("s-1.jpg?{QUERY}#xywh=0"));
    check("text/vtt; charset=utf-8", text, &expected);
}

#[test]
fn what_is_held_is_bounded() {
    let long = "x".repeat(2 * PIECE_BYTES_MAX);
    let hls = "application/vnd.apple.mpegurl";
    assert_eq!(carried_in(hls, &long, 4_096), Err(CarryError::TooLong));
    let tag = format!("<SegmentTemplate media=\"{long}\"/>");
    assert_eq!(carried_in("application/dash+xml", &tag, 4_096), Err(CarryError::TooLong));
    assert_eq!(carried_in("application/dash+xml", "<MPD", 4_096), Err(CarryError::Unfinished));
    assert!(carried_in("application/dash+xml", &long, 4_096).is_ok(), "text is passed on");
    assert!(Carrying::of_media_type("video/mp4", QUERY).is_none());
}

/// A host that browsers see and RFC 3986 does not, or that stands in a definition elsewhere.
#[test]
fn hidden_hosts_are_left_alone() {
    for uri in ["/\\h/1.ts", "\\\\h/1.ts", "\\/h/1.ts", "/\t/h/1.ts", " //h/1.ts", "\u{1}/\\h/1.ts"]
    {
        let playlist = format!("{uri}\n#EXT-X-MAP:URI=\"{uri}\"\n");
        assert_eq!(carried_in("audio/mpegurl", &playlist, 64).as_ref(), Ok(&playlist), "{uri:?}");
        let mpd = format!("<SegmentTemplate media=\"{uri}\"/><BaseURL>{uri}</BaseURL>");
        assert_eq!(carried_in("application/dash+xml", &mpd, 64).as_ref(), Ok(&mpd), "{uri:?}");
    }
    let mpd = "<!DOCTYPE MPD [<!ENTITY h \"//h\">]><SegmentTemplate media=\"&h;/1.m4s\"/>";
    assert_eq!(carried_in("application/dash+xml", mpd, 64).as_deref(), Ok(mpd));
}

/// Nothing is lost or made up in what is no manifest at all.
#[test]
fn garbage_passes_or_is_refused() {
    for text in
        ["<", "<!", "<!-", "</", "<>", "<a b", "<a b='", "< =\"", "<BaseURL>", "\u{0}\u{ff}"]
    {
        for kind in ["application/dash+xml", "audio/mpegurl", "text/vtt"] {
            let whole = carried_in(kind, text, 64);
            assert_eq!(carried_in(kind, text, 1), whole, "{text}");
        }
    }
    let mut carrying = Carrying::of_media_type("audio/mpegurl", QUERY).expect("a playlist");
    let mut out = Vec::new();
    carrying.push(b"\xff\xfe\n", &mut out).unwrap();
    assert_eq!(out, b"\xff\xfe\n");
}

/// What both kinds of manifests are made of, right and wrong.
fn fragment() -> impl Strategy<Value = String> {
    let known = [
        "#EXT-X-MAP:",
        "URI=",
        "\"",
        "'",
        "=",
        ",",
        "\n",
        "\r\n",
        "1.m4s",
        "?a=b",
        "#t=1",
        "//h/",
        "https://h/",
        "<BaseURL>",
        "</BaseURL>",
        "<SegmentTemplate ",
        "media=",
        "/>",
        ">",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?",
        "?>",
        "&amp;",
        "$Number$",
        " ",
    ];
    prop_oneof![4 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".{0,3}"]
}

proptest! {
    /// However a body is cut, the outcome is one, and taking the token out again gives it back.
    #[test]
    fn the_outcome_is_the_text_and_the_token(
        fragments in prop::collection::vec(fragment(), 0..40),
        piece_bytes in 1_usize..9,
        is_hls in any::<bool>(),
    ) {
        let text = fragments.concat();
        let kind = if is_hls { "audio/mpegurl" } else { "application/dash+xml" };
        let whole = carried_in(kind, &text, usize::MAX);
        prop_assert_eq!(carried_in(kind, &text, piece_bytes), whole.clone());
        if let Ok(carried) = whole {
            let mut plain = carried;
            let escaped = QUERY.replace('&', "&amp;").replace('\'', "&apos;");
            for query in [escaped.replace('$', "$$"), escaped, QUERY.to_owned()] {
                for separator in ["&amp;", "&", "?"] {
                    plain = plain.replace(&format!("{separator}{query}"), "");
                }
            }
            prop_assert_eq!(plain, text);
        }
    }
}
