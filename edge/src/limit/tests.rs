//! Rates and load: what they promise, for any order of events.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

#[test]
fn a_burst_is_allowed_and_then_the_rate() {
    let rate = Rate::new(10.0, 5).unwrap();
    let table = RateTable::new(64);
    for remaining in (0..5).rev() {
        assert_eq!(table.take("a", rate, 0), Taken::Allowed { remaining });
    }
    let refused = Taken::Refused { retry_after_nanos: SECOND / 10 };
    assert_eq!(table.take("a", rate, 0), refused);
    assert_eq!(table.look("a", rate, 0), refused);
    assert!(
        matches!(table.take("b", rate, 0), Taken::Allowed { .. }),
        "another's budget is its own"
    );
    assert_eq!(table.take("a", rate, SECOND / 10), Taken::Allowed { remaining: 0 });
    assert!(matches!(table.take("a", rate, SECOND / 10), Taken::Refused { .. }));
    // After half a second all of the burst is there again.
    assert_eq!(table.look("a", rate, SECOND), Taken::Allowed { remaining: 4 });
    assert_eq!((table.len(SECOND / 20), table.len(SECOND / 10), table.len(SECOND)), (2, 1, 0));
}

#[test]
fn no_rate_is_no_limit() {
    for per_second in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(Rate::new(per_second, 1), None);
    }
    // The fastest and the slowest rates overflow nothing.
    for per_second in [1e-300, 1e300] {
        let rate = Rate::new(per_second, u32::MAX).unwrap();
        let table = RateTable::new(8);
        for now in [0, u64::MAX / 2] {
            table.take("a", rate, now);
        }
    }
}

#[test]
fn a_flood_of_addresses_resets_no_budget() {
    let rate = Rate::new(1.0, 10).unwrap();
    let table = RateTable::new(64);
    let mut allowed = 0;
    for round in 0..200_u64 {
        let attempt = table.take("spender", rate, 0);
        allowed += u32::from(matches!(attempt, Taken::Allowed { .. }));
        for flood in 0..50 {
            table.take(&(round, flood), rate, 0);
        }
    }
    assert!(allowed <= 10, "{allowed} of a burst of 10");
}

proptest! {
    /// Whatever others do, nobody gets more than the burst and the rate.
    #[test]
    fn nobody_gets_more_than_the_rate(
        entries in 1_usize..40,
        steps in prop::collection::vec((0_u8..30, 0_u64..SECOND / 4), 1..600),
    ) {
        let rate = Rate::new(4.0, 3).unwrap();
        let table = RateTable::new(entries);
        let mut now = 0;
        let mut times: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
        for (key, pause) in steps {
            now += pause;
            if let Taken::Allowed { .. } = table.take(&key, rate, now) {
                times.entry(key).or_default().push(now);
            }
        }
        for times in times.values() {
            for (first, &begin) in times.iter().enumerate() {
                for (count, &end) in times[first..].iter().enumerate() {
                    let most = 3 + (end - begin) * 4 / SECOND;
                    prop_assert!((count as u64) < most + 1, "{} within {} ns", count + 1, end - begin);
                }
            }
        }
    }

    /// Each request that waits is named once: as running, displaced, expired, or by leaving.
    #[test]
    fn every_waiting_request_is_heard_of(
        requests_max in 1_usize..12,
        waiting_max in 0_usize..6,
        events in prop::collection::vec((0_u8..6, 0_u8..8, 0_u64..40), 1..400),
    ) {
        let settings = LoadSettings {
            requests_max,
            requests_min: 1,
            waiting_max,
            wait_nanos_max: 100,
            delay_nanos_target: 20,
        };
        let mut load = Load::new(settings);
        let (mut now, mut running) = (0, 0_usize);
        let mut waiting = BTreeSet::new();
        for (event, rank, pause) in events {
            now += pause;
            match event {
                0..=2 => match load.arrive(all_priorities()[usize::from(rank)], now) {
                    Arrival::Runs => running += 1,
                    Arrival::Waits { ticket, displaced } => {
                        if let Some(displaced) = displaced {
                            prop_assert!(waiting.remove(&displaced));
                        }
                        prop_assert!(waiting.insert(ticket));
                    }
                    Arrival::Shed => prop_assert!(waiting_max <= waiting.len()),
                },
                3 if running > 0 => {
                    load.finish();
                    running -= 1;
                }
                4 => load.note_delay(u64::from(rank) * 10),
                _ => {
                    if let Some(ticket) = waiting.first().copied() {
                        prop_assert!(load.leave(ticket));
                        waiting.remove(&ticket);
                        prop_assert!(!load.leave(ticket));
                    }
                }
            }
            while let Some(ticket) = load.expire(now) {
                prop_assert!(waiting.remove(&ticket));
            }
            while let Some(ticket) = load.poll() {
                prop_assert!(waiting.remove(&ticket));
                running += 1;
            }
            prop_assert_eq!(load.running(), running);
            prop_assert_eq!(load.waiting(), waiting.len());
            prop_assert!(waiting.len() <= waiting_max);
            prop_assert!(running <= requests_max);
            prop_assert!((1..=requests_max).contains(&load.limit()));
        }
        // Once everything has ended nobody waits in vain.
        for _ in 0..running {
            load.finish();
        }
        while let Some(ticket) = load.poll() {
            prop_assert!(waiting.remove(&ticket));
            load.finish();
        }
        prop_assert_eq!(waiting.len(), 0);
    }

    /// Noted keys are found until their time is over, in a table that is large enough for them.
    #[test]
    fn what_was_seen_of_late_is_known(keys in prop::collection::vec(0_u16..4, 1..50)) {
        let recent = Recent::new(8, 100);
        let mut last: BTreeMap<u16, u64> = BTreeMap::new();
        for (at, key) in keys.iter().enumerate() {
            let now = at as u64 * 30;
            let is_known = last.get(key).is_some_and(|seen| now < seen + 100);
            prop_assert_eq!(recent.contains(key, now), is_known);
            prop_assert_eq!(recent.note(key, now).was_known, is_known);
            last.insert(*key, now);
        }
    }
}

fn all_priorities() -> [Priority; Priority::COUNT] {
    [
        Priority::MANIFEST_PLAYING,
        Priority::MANIFEST,
        Priority::SEGMENT_STARVING,
        Priority::SEGMENT_LIVE,
        Priority::SEGMENT_PLAYING,
        Priority::SEGMENT_STARTING,
        Priority::OTHER,
        Priority::AHEAD,
    ]
}

fn load(requests_max: usize, waiting_max: usize) -> Load {
    Load::new(LoadSettings {
        requests_max,
        requests_min: 2,
        waiting_max,
        wait_nanos_max: SECOND,
        delay_nanos_target: 50_000_000,
    })
}

#[test]
fn ranks_and_shares_agree() {
    for (rank, priority) in all_priorities().into_iter().enumerate() {
        assert_eq!(priority.rank(), rank);
    }
    // `Load::poll` builds on it.
    assert!(LOAD_RANKS.windows(2).all(|pair| pair[1].1 <= pair[0].1));
}

#[test]
fn manifests_have_room_that_segments_cannot_fill() {
    let mut load = load(20, 0);
    let segments =
        (0..40).filter(|_| load.arrive(Priority::SEGMENT_STARTING, 0) == Arrival::Runs).count();
    assert_eq!(segments, 15);
    assert_eq!(load.arrive(Priority::SEGMENT_STARTING, 0), Arrival::Shed);
    assert_eq!(load.arrive(Priority::SEGMENT_PLAYING, 0), Arrival::Runs);
    assert_eq!(load.arrive(Priority::MANIFEST, 0), Arrival::Runs);
    assert!(!load.has_room_ahead());
}

#[test]
fn the_urgent_take_the_places_of_the_others() {
    let mut load = load(1, 2);
    assert_eq!(load.arrive(Priority::OTHER, 0), Arrival::Runs);
    let ticket = |arrival| match arrival {
        Arrival::Waits { ticket, displaced } => (ticket, displaced),
        other => panic!("{other:?}"),
    };
    let (starting, _) = ticket(load.arrive(Priority::SEGMENT_STARTING, 1));
    let (other, _) = ticket(load.arrive(Priority::OTHER, 2));
    let (manifest, displaced) = ticket(load.arrive(Priority::MANIFEST, 3));
    assert_eq!(displaced, Some(other));
    assert_eq!(load.arrive(Priority::AHEAD, 4), Arrival::Shed);
    load.finish();
    assert_eq!(load.poll(), Some(manifest));
    assert_eq!(load.poll(), None);
    load.finish();
    assert_eq!(load.poll(), Some(starting));
    let (late, _) = ticket(load.arrive(Priority::SEGMENT_PLAYING, 5));
    assert_eq!((load.expire(5 + SECOND - 1), load.expire(5 + SECOND)), (None, Some(late)));
}

#[test]
fn the_limit_follows_the_delay() {
    let mut load = load(100, 10);
    for _ in 0..60 {
        assert_eq!(load.arrive(Priority::MANIFEST_PLAYING, 0), Arrival::Runs);
    }
    load.note_delay(80_000_000);
    assert_eq!(load.limit(), 54);
    assert!(load.is_pressed());
    for _ in 0..60 {
        load.note_delay(80_000_000);
    }
    assert_eq!(load.limit(), 2, "no lower than it may");
    for _ in 0..200 {
        load.note_delay(0);
    }
    assert_eq!(load.limit(), 100);
}

#[test]
fn what_a_stranger_says_of_itself_raises_nothing() {
    let starving = Hints { is_starving: true, is_live: true, ..Hints::default() };
    assert_eq!(Priority::of(Asked::Segment, starving), Priority::SEGMENT_STARTING);
    let known = Hints { has_played: true, ..starving };
    assert_eq!(Priority::of(Asked::Segment, known), Priority::SEGMENT_STARVING);
    let seeking = Hints { has_played: true, is_starting: true, ..Hints::default() };
    assert_eq!(Priority::of(Asked::Segment, seeking), Priority::SEGMENT_STARTING);
    assert!(Priority::of(Asked::Manifest, Hints::default()) < Priority::of(Asked::Segment, known));
}
