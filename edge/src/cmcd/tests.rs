//! Three players' own requests, the corners of both versions, and whatever is no CMCD at all.

use http::{HeaderMap, HeaderName, Uri};
use proptest::prelude::*;

use super::session::Sessions;
use super::*;

const SESSION: &str = "6e2fb550-c457-11e9-bb97-0800200c9a66";

/// A request that a player sent, as `tests/players/cmcd.mjs` printed it.
fn captured(line: &str) -> (Uri, HeaderMap) {
    let mut fields = line.split('\t').skip(1);
    let uri = fields.next().expect("a target").parse().expect("a target");
    let mut headers = HeaderMap::new();
    for (name, value) in fields.filter_map(|field| field.split_once(": ")) {
        headers
            .append(name.parse::<HeaderName>().expect("a name"), value.parse().expect("a value"));
    }
    (uri, headers)
}

/// hls.js 1.7.4, shaka-player 5.2.12 and dash.js 5.2.1, in the query, in headers, and as version 2.
#[test]
fn requests_of_three_players_are_understood() {
    let files = [
        include_str!("captured/hls.js.txt"),
        include_str!("captured/shaka.txt"),
        include_str!("captured/dash.js.txt"),
    ];
    let mut seen = 0;
    for file in files {
        let mut hints = 0;
        for line in file.lines() {
            let (uri, headers) = captured(line);
            let cmcd = of_request(&uri, &headers).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(cmcd.invalid, 0, "{line}");
            assert_eq!(cmcd.session.as_deref(), Some(SESSION), "{line}");
            assert_eq!(cmcd.content.as_deref(), Some("film"), "{line}");
            assert_eq!(cmcd.version, line.starts_with("query-v2").then_some(2), "{line}");
            let path = uri.path();
            let is_manifest = path.ends_with(".m3u8") || path.ends_with(".mpd");
            // dash.js learns its format from the manifest.
            assert!(cmcd.format.is_some() || is_manifest, "{line}");
            assert_eq!(cmcd.object == Some(ObjectType::Manifest), is_manifest, "{line}");
            if path.ends_with(".m4s") {
                assert!(cmcd.bit_rate_kbps.is_some() && cmcd.duration_ms.is_some(), "{line}");
            }
            if let Some(next) = &cmcd.next {
                let number = |path: &str| -> u32 {
                    let file = path.rsplit('/').next().expect("a file");
                    file.strip_suffix(".m4s").expect("a segment").parse().expect("a number")
                };
                let target = next_target(path, next).expect("it is of this title");
                assert_eq!(number(target.path()), number(path) + 1, "{line}");
                hints += 1;
            }
            seen += 1;
        }
        assert!(hints > 5, "{hints} next objects");
    }
    assert!(seen > 100, "{seen} requests");
}

#[track_caller]
fn line(text: &str) -> Cmcd {
    of_line(text).expect("it is not empty")
}

#[test]
fn both_versions_have_their_forms() {
    let one = line(
        "bl=21300,br=3200,bs,cid=\"a \\\"b\\\"\",d=4004,mtp=25400,nor=\"..%2Fnext%2F2.m4s\",\
                    ot=v,pr=1.08,sf=h,sid=\"s\",st=l,su",
    );
    assert_eq!(
        (one.buffer_ms, one.bit_rate_kbps, one.duration_ms),
        (Some(21_300), Some(3_200), Some(4_004))
    );
    assert_eq!(
        (one.content.as_deref(), one.next.as_deref()),
        (Some("a \"b\""), Some("../next/2.m4s"))
    );
    assert_eq!((one.rate_milli, one.is_live, one.invalid), (Some(1_080), Some(true), 0));
    assert!(one.is_starved && one.is_startup);

    let two = line(
        "bl=(21300;v 9000;a),br=(5000;v 128;a),bs=?0,mtp=(25400 9000),\
                    nor=(\"a%2Fb.m4s\";r=\"0-99\" \"c.m4s\"),sta=p,su,v=2",
    );
    assert_eq!(
        (two.buffer_ms, two.bit_rate_kbps, two.throughput_kbps),
        (Some(9_000), Some(5_000), Some(9_000))
    );
    // Version 2 writes the path as it is.
    assert_eq!(two.next.as_deref(), Some("a%2Fb.m4s"));
    assert_eq!((two.state, two.is_starved, two.invalid), (Some(PlayerState::Playing), false, 0));
    // Wherever the version stands.
    assert_eq!(line("v=2,nor=(\"a%2F\")").next, line("nor=(\"a%2F\"),v=2").next);
    let event = line("e=ps,sid=\"s\",sta=e,ts=1764000000123,v=2\r");
    assert_eq!((event.event.as_deref(), event.time_ms), (Some("ps"), Some(1_764_000_000_123)));
}

/// One bad value costs its key and no other.
#[test]
fn mistakes_cost_one_key_each() {
    for (text, invalid) in [
        ("br=,sid=\"s\"", 1),
        ("br=x,sid=\"s\"", 1),
        ("br=-1,bl=99999999999999,sid=\"s\"", 2),
        ("ot=\"v\",sid=s", 0),
        ("cid=\"a,b=(c\",sid=\"s\"", 0),
        ("bs=1,su=yes,sid=\"s\"", 2),
        ("com.example-x=(\"),,, ;\"),sid=\"s\"", 0),
        ("  br=1 ,, sid=\"s\" ,", 0),
        ("v=700,sid=\"s\"", 1),
        ("sf=zz,ot=qq,st=1,sta=x,sid=\"s\"", 4),
        ("nor=\"%00\",sid=\"s\"", 1),
        ("br=1e400,sid=\"s\"", 1),
    ] {
        let cmcd = line(text);
        assert_eq!((cmcd.session.as_deref(), cmcd.invalid), (Some("s"), invalid), "{text}");
    }
    assert_eq!(line("sid=\"never closed,br=1").session, None);
    let long = format!("sid=\"{}\",br=7", "x".repeat(ID_BYTES_MAX + 1));
    assert_eq!((line(&long).session, line(&long).bit_rate_kbps), (None, Some(7)));
    assert_eq!(of_line(&"a,".repeat(CMCD_BYTES_MAX)), None);
    let many = "x=1,".repeat(KEYS_MAX) + "br=1";
    assert_eq!(line(&many).bit_rate_kbps, None);
}

#[test]
fn the_query_is_decoded_once() {
    let of = |query: &str| of_query(query);
    assert_eq!(
        of("a=1&CMCD=br%3D1%2Ccid%3D%22a+b%2Bc%22").unwrap().content.as_deref(),
        Some("a b+c")
    );
    assert_eq!(of("cmcd=br%3D1"), None);
    assert_eq!(of("XCMCD=br%3D1&é"), None);
    assert_eq!(of("CMCD=%ff%fe"), None);
    assert_eq!(of("CMCD=br%3D1%").unwrap().invalid, 1);
    assert_eq!(of("CMCD=").map(|cmcd| cmcd.is_empty()), Some(true));
    // Four headers are one dictionary.
    let mut headers = HeaderMap::new();
    assert_eq!(of_headers(&headers), None);
    headers.insert("cmcd-session", "sid=\"s\"".parse().unwrap());
    headers.insert("cmcd-object", "br=7,ot=av".parse().unwrap());
    let cmcd = of_headers(&headers).unwrap();
    assert_eq!((cmcd.session.as_deref(), cmcd.object), (Some("s"), Some(ObjectType::Muxed)));
}

#[test]
fn next_objects_stay_within_their_title() {
    let of = "/vod/film/fmp4/sd/v1-abc/7.m4s";
    let next = |next: &str| next_target(of, next).map(|target| target.path().to_owned());
    assert_eq!(next("8.m4s").as_deref(), Some("/vod/film/fmp4/sd/v1-abc/8.m4s"));
    assert_eq!(next("./8.m4s?x=1#y").as_deref(), Some("/vod/film/fmp4/sd/v1-abc/8.m4s"));
    assert_eq!(next("../../hd/v2/8.m4s").as_deref(), Some("/vod/film/fmp4/hd/v2/8.m4s"));
    assert_eq!(next("/vod/film/x/8.m4s").as_deref(), Some("/vod/film/x/8.m4s"));
    for bad in [
        "",
        "?",
        "7.m4s",
        "../../../../other/x.m4s",
        "/vod/other/x.m4s",
        "/vod/film2/x",
        "//evil/x",
        "http://evil/x",
        "../../../../../../../x",
        "/~token/vod/film/x",
        "a//b",
        "..\\x",
        "%2e%2e/x",
        "/%7Etoken/vod/film/x",
        "%2fetc",
        "/vod/film",
    ] {
        assert_eq!(next(bad), None, "{bad}");
    }
}

#[test]
fn sessions_start_stall_and_end() {
    let sessions = Sessions::new(64, 60_000);
    let note = |text: &str, now_ms| sessions.note(&line(text), true, now_ms).unwrap();
    assert!(note("sid=\"s\",ot=m,su,sf=h,cid=\"film\"", 1_000).is_new);
    assert_eq!(note("sid=\"s\",ot=v,su,br=500,bs", 1_200), session::Noted::default());
    assert_eq!(note("sid=\"s\",ot=v,br=1500,bl=4000", 1_900).startup_ms, Some(900));
    assert!(note("sid=\"s\",ot=v,br=1500,bs,bl=100,mtp=3000", 9_000).has_stalled);
    assert!(!note("sid=\"s\",ot=a,br=64,bs,bl=0", 9_100).has_stalled, "the same stall");
    assert_eq!(sessions.note(&line("br=1"), true, 0), None);
    assert_eq!(sessions.len(), 1);
    let mut ended = Vec::new();
    sessions.expire(69_099, |summary| ended.push(summary));
    assert!(ended.is_empty());
    sessions.expire(69_100, |summary| ended.push(summary));
    let [summary] = &ended[..] else { panic!("{ended:?}") };
    assert_eq!((summary.requests, summary.stalls, summary.startup_ms), (5, 1, Some(900)));
    assert_eq!((summary.bit_rate_kbps, summary.throughput_kbps), (Some(1_166), Some(3_000)));
    assert_eq!((summary.buffer_ms_min, summary.content.as_deref()), (Some(0), Some("film")));
    assert!(sessions.is_empty());

    // Version 2 tells it all itself, in reports.
    let report = |text: &str| sessions.note(&line(text), false, 70_000).unwrap();
    assert_eq!(report("sid=\"t\",e=ps,sta=p,msd=320,v=2").startup_ms, Some(320));
    assert_eq!(report("sid=\"t\",e=ps,sta=r,bsd=(1500),v=2").starved_ms, Some(1_500));
    let ended = report("sid=\"t\",e=ps,sta=e,v=2").ended.expect("it has ended");
    assert_eq!((ended.starved_ms, ended.state), (1_500, Some(PlayerState::Ended)));
    let event = event::Event { time_ms: 1, what: event::What::Session(&ended) };
    let json: serde_json::Value = serde_json::from_str(&event.to_json()).unwrap();
    assert_eq!(
        (&json["sid"], &json["startup_ms"], &json["sta"]),
        (&"t".into(), &320.into(), &"e".into())
    );
}

#[test]
fn a_flood_of_sessions_stays_within_bounds() {
    let sessions = Sessions::new(64, 60_000);
    for number in 0..5_000 {
        sessions.note(&line(&format!("sid=\"{number}\"")), true, number);
    }
    assert!(sessions.len() <= 64, "{}", sessions.len());
}

proptest! {
    /// Whatever it is, it is read without a panic, within bounds, and the same each time.
    #[test]
    fn any_text_can_be_read(text in "[a-z=,;()\"\\\\?0-9 %+\u{e9}\u{1}.-]{0,200}") {
        let cmcd = of_line(&text);
        prop_assert_eq!(&cmcd, &of_line(&text));
        if let Some(cmcd) = cmcd {
            prop_assert!(cmcd.session.is_none_or(|id| id.len() <= ID_BYTES_MAX));
            prop_assert!(cmcd.next.is_none_or(|next| next.len() <= NEXT_BYTES_MAX));
        }
    }

    /// A next object is a canonical target of the same title, or none.
    #[test]
    fn any_next_object_is_harmless(next in "[./a~%2eE:?#\\\\0-9m]{0,40}") {
        if let Some(target) = next_target("/vod/film/a/b/1.m4s", &next) {
            prop_assert!(target.path().starts_with("/vod/film/"));
            prop_assert!(!target.path().split('/').any(|part| part == ".." || part == "."));
        }
    }
}
