use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::fact::{EVENT_BYTES_MAX, TAG_BYTES_MAX, TARGET_BYTES_MAX};
use super::*;

fn id(number: u64) -> FactId {
    FactId(u128::from(number))
}

fn purge(number: u64, tag: &str) -> Event {
    let scope = PurgeScope::Tag(tag.to_owned());
    Event { id: id(number), at_ms: number, fact: Fact::CachePurged { scope, is_soft: false } }
}

fn revocation(number: u64, session: &str) -> Event {
    let fact = Fact::SessionRevoked { session: session.to_owned(), until: u64::MAX };
    Event { id: id(number), at_ms: number, fact }
}

fn events() -> impl Strategy<Value = Event> {
    let target = "/[!-~]{0,60}";
    let fact = prop_oneof![
        ("[A-Za-z0-9_-]{1,64}", any::<u64>())
            .prop_map(|(session, until)| Fact::SessionRevoked { session, until }),
        (target, any::<bool>())
            .prop_map(|(url, is_soft)| Fact::CachePurged { scope: PurgeScope::Url(url), is_soft }),
        (target, any::<bool>()).prop_map(|(prefix, is_soft)| Fact::CachePurged {
            scope: PurgeScope::Prefix(prefix),
            is_soft
        }),
        ("[!-+\\--~]{1,40}", any::<bool>())
            .prop_map(|(tag, is_soft)| Fact::CachePurged { scope: PurgeScope::Tag(tag), is_soft }),
    ];
    (any::<u128>(), any::<u64>(), fact).prop_map(|(id, at_ms, fact)| Event {
        id: FactId(id),
        at_ms,
        fact,
    })
}

fn frames() -> impl Strategy<Value = Frame> {
    let cursor = (any::<u128>(), any::<u64>())
        .prop_map(|(epoch, position)| Cursor { epoch: Epoch(FactId(epoch)), position });
    let hello =
        (any::<u128>(), any::<[u64; 3]>(), any::<bool>()).prop_map(|(epoch, n, is)| Hello {
            epoch: Epoch(FactId(epoch)),
            head: n[0],
            since_ms: n[1],
            now_ms: n[2],
            is_snapshot: is,
        });
    prop_oneof![
        hello.prop_map(Frame::Hello),
        (proptest::option::of(cursor.clone()), events())
            .prop_map(|(cursor, event)| Frame::Fact { cursor, event: Ok(event) }),
        cursor.clone().prop_map(|cursor| Frame::Live { cursor }),
        (cursor, any::<u64>()).prop_map(|(cursor, now_ms)| Frame::Beat { cursor, now_ms }),
    ]
}

proptest! {
    #[test]
    fn an_event_reads_back(event in events()) {
        let text = event.to_json();
        prop_assert!(text.len() <= EVENT_BYTES_MAX);
        prop_assert_eq!(Event::parse(&text), Ok(event));
    }

    #[test]
    fn a_cursor_reads_back(epoch: u128, position: u64) {
        let cursor = Cursor { epoch: Epoch(FactId(epoch)), position };
        prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    /// Frames come out as they went in, however the network cuts them.
    #[test]
    fn frames_read_back(frames in prop::collection::vec(frames(), 0..8), cut in 1..40_usize) {
        let mut text = String::new();
        frames.iter().for_each(|frame| frame.write(&mut text));
        let (mut reader, mut read) = (FrameReader::default(), Vec::new());
        for piece in text.as_bytes().chunks(cut) {
            reader.read(piece, |frame| { read.push(frame); Ok::<_, WireError>(()) }).unwrap();
        }
        prop_assert_eq!(read, frames);
    }
}

#[test]
fn what_is_no_event_is_told_by_its_cause() {
    let with = |rest: &str| {
        Event::parse(&format!("{{\"id\":\"{}\",\"at\":1,{rest}}}", id(1))).unwrap_err()
    };
    let tag = "x".repeat(TAG_BYTES_MAX + 1);
    let url = "/".repeat(TARGET_BYTES_MAX + 1);
    for (rest, expected) in [
        (r#""type":"session.revoked","session":"a b","until":1"#, "`a b` is no session id"),
        (r#""type":"session.revoked","until":1"#, "`` is no session id"),
        (r#""type":"session.revoked","session":"a""#, "no time until which"),
        (r#""type":"cache.purged""#, "one of `url`"),
        (r#""type":"cache.purged","url":"/a","tag":"b""#, "one of `url`"),
        (r#""type":"cache.purged","url":"a""#, "begins with `/`"),
        (r#""type":"cache.purged","prefix":"/a b""#, "begins with `/`"),
        (r#""type":"cache.purged","tag":"a,b""#, "a tag has"),
        (r#""type":"cache.purged","tag":"""#, "a tag has"),
        (&format!(r#""type":"cache.purged","tag":"{tag}""#), "a tag has"),
        (&format!(r#""type":"cache.purged","url":"{url}""#), "begins with `/`"),
        (r#""type":"content.taken_down","title":"a""#, "kind that this version does not know"),
        (r#""type":7"#, "no JSON"),
    ] {
        let message = with(rest).to_string();
        assert!(message.contains(expected), "{rest}: {message}");
    }
    let text = r#"{"id":"07","at":1,"type":"cache.purged","tag":"a"}"#;
    assert!(Event::parse(text).unwrap_err().to_string().contains("32 small"));
    assert!(matches!(
        Event::parse(&"[".repeat(EVENT_BYTES_MAX + 1)),
        Err(EventError::TooLong { .. })
    ));
    // What a newer writer adds is passed over.
    let text = purge(1, "film").to_json().replace("\"soft\":false", "\"reason\":[\"law\"]");
    assert_eq!(Event::parse(&text), Ok(purge(1, "film")));
}

#[test]
fn a_stream_is_bounded_and_forgiving_where_the_format_is() {
    let read = |text: &str| {
        let mut frames = Vec::new();
        let outcome = FrameReader::default().read(text.as_bytes(), |frame| {
            frames.push(frame);
            Ok::<_, WireError>(())
        });
        outcome.map(|()| frames)
    };
    let cursor = Cursor { epoch: Epoch(id(9)), position: 3 };
    let beat = Frame::Beat { cursor, now_ms: 70 };
    let text = format!("\u{feff}: hi\r\nretry: 5\r\nid:{cursor}\r\nevent: beat\r\ndata:70\r\n\r\n");
    assert_eq!(read(&text), Ok(vec![beat]));
    assert_eq!(read("event: later\ndata: x\n\n\n\n"), Ok(vec![]));
    assert_eq!(read(&"x".repeat(EVENT_BYTES_MAX + 65)), Err(WireError::LineTooLong));
    assert_eq!(read(&": x\n".repeat(65)), Err(WireError::EventTooLong));
    let long = format!("data: {}\n", "x".repeat(9_000));
    assert_eq!(read(&long.repeat(2)), Err(WireError::EventTooLong));
    for text in ["event: beat\ndata: 1\n\n", "event: live\nid: 9\n\n", "event: hello\ndata: {}\n\n"]
    {
        assert!(matches!(read(text), Err(WireError::Event { .. })), "{text}");
    }
    assert_eq!(FrameReader::default().read(b"\xff\n", |_| Ok(())), Err(WireError::Encoding));
    for text in ["-1", "x-1", &format!("{}-+1", id(1)), &format!("{}-01", id(1))] {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
}

#[test]
fn a_log_holds_what_it_can_and_knows_how_far_that_goes() {
    let mut log = FactLog::with_limit(Epoch(id(1)), 10, 3);
    assert_eq!(log.append(purge(1, "a"), 20), Some(1));
    assert_eq!(log.append(purge(1, "a"), 21), None, "an id counts once");
    for (number, now_ms) in [(2, 30), (3, 25), (4, 40)] {
        log.append(purge(number, "a"), now_ms);
    }
    assert_eq!((log.since_ms(), log.purges().len()), (20, 3));
    assert_eq!(log.purges()[1].logged_ms, 30, "the clock went back, the log did not");
    assert!(!log.knows(id(1)) && log.knows(id(2)));
    let cursor = |position| Some(Cursor { epoch: Epoch(id(1)), position });
    assert_eq!(log.resume(cursor(1)), Resume::After(1));
    for lost in [cursor(0), cursor(5), None, Some(Cursor { epoch: Epoch(id(2)), position: 2 })] {
        assert_eq!(log.resume(lost), Resume::Snapshot);
    }
    assert_eq!(log.after(0, 9), Err(FellBehind));
    assert_eq!(log.after(5, 9), Err(FellBehind));
    let positions = |after, max| -> Vec<u64> {
        log.after(after, max).unwrap().iter().map(|(position, _)| *position).collect()
    };
    assert_eq!(positions(1, 2), [2, 3]);
    assert_eq!(positions(4, 2), [0; 0]);
    // Revocations are told one by one, and remembered by another list.
    for number in 5..9 {
        log.append(revocation(number, "viewer"), 50);
    }
    assert_eq!((log.since_ms(), log.purges().len(), log.head()), (20, 3, 8));
    assert!(log.knows(id(4)) && !log.knows(id(5)), "purges longer than the rest");
}

#[test]
fn a_follower_insists_on_the_order() {
    let epoch = Epoch(id(1));
    let cursor = |position| Cursor { epoch, position };
    let hello = |head, is_snapshot| {
        Frame::Hello(Hello { epoch, head, since_ms: 5, now_ms: 100, is_snapshot })
    };
    let fact = |at| Frame::Fact { cursor: Some(cursor(at)), event: Ok(purge(at, "a")) };
    let beat = |at, now_ms| Frame::Beat { cursor: cursor(at), now_ms };
    let live = || {
        let mut follower = Follower::new(None);
        assert_eq!(follower.connect(), None);
        assert_eq!(follower.handle(hello(2, true)), Ok(Step::HistoryLost));
        let old = Frame::Fact { cursor: None, event: Ok(purge(2, "a")) };
        assert_eq!(follower.handle(old), Ok(Step::Apply(purge(2, "a"))));
        assert_eq!((follower.is_live(), follower.heard_ms()), (false, None));
        assert_eq!(follower.handle(Frame::Live { cursor: cursor(2) }), Ok(Step::CaughtUp));
        assert_eq!((follower.is_live(), follower.heard_ms()), (true, Some(100)));
        follower
    };
    let mut follower = live();
    assert_eq!(follower.handle(fact(3)), Ok(Step::Apply(purge(3, "a"))));
    assert_eq!(follower.handle(beat(3, 200)), Ok(Step::Nothing));
    assert_eq!(follower.heard_ms(), Some(200));
    // What a newer source says counts as heard.
    let unknown = EventError::UnknownKind { kind: "x".to_owned() };
    let news = Frame::Fact { cursor: Some(cursor(4)), event: Err(unknown.clone()) };
    assert_eq!(follower.handle(news), Ok(Step::Refused(unknown)));
    assert_eq!(follower.connect(), Some(cursor(4)));
    assert_eq!(follower.handle(hello(4, false)), Ok(Step::Nothing));
    assert_eq!(follower.handle(fact(5)), Ok(Step::Apply(purge(5, "a"))));
    // A run that was heard to its end leaves no hole; a memory that begins later does.
    assert_eq!(follower.connect(), Some(cursor(5)));
    assert_eq!(follower.handle(hello(0, true)), Ok(Step::Nothing));
    let later = Hello { epoch, head: 0, since_ms: 200, now_ms: 300, is_snapshot: true };
    follower.connect();
    assert_eq!(follower.handle(Frame::Hello(later)), Ok(Step::HistoryLost));

    for (bad, expected) in [
        (fact(4), ProtocolError::Gap { expected: 3, found: 4 }),
        (beat(3, 1), ProtocolError::Gap { expected: 2, found: 3 }),
        (hello(2, false), ProtocolError::Order),
        (Frame::Live { cursor: cursor(2) }, ProtocolError::Order),
        (Frame::Fact { cursor: None, event: Ok(purge(9, "a")) }, ProtocolError::Order),
    ] {
        let mut follower = live();
        assert_eq!(follower.handle(bad), Err(expected));
        assert_eq!(follower.connect(), None, "the next connection asks for a snapshot");
    }
    let mut follower = Follower::new(None);
    assert_eq!(follower.handle(hello(2, false)), Err(ProtocolError::Resumed));
    assert_eq!(Follower::new(None).handle(beat(1, 1)), Err(ProtocolError::Order));
}

/// A source with its list of revocations, its file, and its clock.
struct Source {
    log: FactLog,
    /// With the time at which it came.
    revoked: HashMap<String, (u64, Event)>,
    now_ms: u64,
    epochs: u128,
}

const LIMIT: usize = 4;

impl Source {
    fn new() -> Self {
        let log = FactLog::with_limit(Epoch(FactId(1)), 0, LIMIT);
        Self { log, revoked: HashMap::new(), now_ms: 10, epochs: 1 }
    }

    fn publish(&mut self, event: Event) {
        if let Fact::SessionRevoked { session, .. } = &event.fact {
            self.revoked.insert(session.clone(), (self.now_ms, event.clone()));
        }
        self.log.append(event, self.now_ms);
    }

    /// Another process on the same files; `is_lost` without them.
    fn restart(&mut self, is_lost: bool) {
        self.epochs += 1;
        let epoch = Epoch(FactId(self.epochs));
        let since_ms = if is_lost { self.now_ms } else { self.log.since_ms() };
        let mut log = FactLog::with_limit(epoch, since_ms, LIMIT);
        for purge in self.log.purges().into_iter().filter(|_| !is_lost) {
            log.restore((*purge.event).clone(), purge.logged_ms);
        }
        self.log = log;
    }

    /// What a follower with `cursor`, which heard everything up to a time, is sent up to now.
    fn stream(&mut self, cursor: Option<Cursor>, heard_ms: Option<u64>) -> Vec<Frame> {
        let hello = Hello::of(&mut self.log, cursor, self.now_ms);
        let end = Cursor { epoch: hello.epoch, position: hello.head };
        let mut frames = vec![Frame::Hello(hello)];
        match self.log.resume(cursor) {
            Resume::Snapshot => {
                let purges = self.log.purges();
                let purges = purges.iter().map(|purge| (purge.logged_ms, (*purge.event).clone()));
                let all = self.revoked.values().cloned().chain(purges);
                let all = all.filter(|(at_ms, _)| heard_ms.is_none_or(|heard| heard <= *at_ms));
                let all = all.map(|(_, event)| event);
                frames.extend(all.map(|event| Frame::Fact { cursor: None, event: Ok(event) }));
                frames.push(Frame::Live { cursor: end });
            }
            Resume::After(position) => {
                for (position, event) in self.log.after(position, usize::MAX).unwrap() {
                    let cursor = Some(Cursor { epoch: hello.epoch, position });
                    frames.push(Frame::Fact { cursor, event: Ok((*event).clone()) });
                }
            }
        }
        frames.push(Frame::Beat { cursor: end, now_ms: self.log.now_ms(self.now_ms) });
        frames
    }
}

#[derive(Clone, Debug)]
enum Act {
    Purge,
    Revoke,
    Restart {
        is_lost: bool,
    },
    /// The follower connects and the connection breaks after so many frames.
    Connect {
        frames: usize,
    },
    /// The follower's process ends; what it heard lies on its disk.
    Forget,
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Purge),
        2 => Just(Act::Revoke),
        1 => any::<bool>().prop_map(|is_lost| Act::Restart { is_lost }),
        3 => (0..12_usize).prop_map(|frames| Act::Connect { frames }),
        1 => Just(Act::Forget),
    ]
}

proptest! {
    /// Whatever breaks and restarts: once a follower has caught up, it has taken every revocation,
    /// and every purge either itself or by looking at everything anew after it.
    #[test]
    fn nothing_is_missed(acts in prop::collection::vec(acts(), 1..60)) {
        let mut source = Source::new();
        let mut follower = Follower::new(None);
        // What the follower's disk holds: applied facts, and the newest purge a look covers.
        let (mut applied, mut covered) = (HashSet::new(), 0);
        let mut published = Vec::new();
        let last = Act::Connect { frames: usize::MAX };
        for (number, act) in (1..).zip(acts.into_iter().chain([last])) {
            source.now_ms += 10;
            match act {
                Act::Purge => published.push(purge(number, "a")),
                Act::Revoke => published.push(revocation(number, &number.to_string())),
                Act::Restart { is_lost } => source.restart(is_lost),
                Act::Forget => follower = Follower::new(follower.heard_ms()),
                Act::Connect { frames } => {
                    let cursor = follower.connect();
                    let heard_ms = follower.heard_ms();
                    for frame in source.stream(cursor, heard_ms).into_iter().take(frames) {
                        match follower.handle(frame).unwrap() {
                            Step::Apply(event) => drop(applied.insert(event.id)),
                            Step::HistoryLost => covered = number,
                            _ => {}
                        }
                    }
                }
            }
            if matches!(act, Act::Purge | Act::Revoke) {
                source.publish(published.last().unwrap().clone());
            }
        }
        prop_assert!(follower.is_live());
        for event in published {
            let is_purge = matches!(event.fact, Fact::CachePurged { .. });
            let is_covered = is_purge && event.at_ms < covered;
            prop_assert!(is_covered || applied.contains(&event.id), "{event:?} was missed");
        }
    }
}
