//! What the limits, CMCD, the priorities and CMSD cost a request, without the token and the answer.
//!
//! `cargo bench -p bench --bench front` prints nanoseconds: the median and the least of the rounds.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::hint::black_box;
use std::time::Instant;

use edge::cmcd::session::Sessions;
use edge::cmcd::{next_target, of_query};
use edge::cmsd::Dynamic;
use edge::limit::{Asked, Hints, Load, LoadSettings, Priority, Rate, RateTable, Recent};
use http::HeaderMap;

const ROUNDS: usize = 101;
const TIMES: u32 = 2_000;
const PATH: &str = "/vod/film/fmp4/hd/v1-0123456789/17.m4s";
/// As hls.js sends it.
const QUERY: &str = "CMCD=bl%3D12300%2Cbr%3D4507%2Ccid%3D%22film%22%2Cd%3D6000%2Cdl%3D12300%2Cmtp%3D\
                     25500%2Cnor%3D%2218.m4s%22%2Cot%3Dv%2Crtp%3D2500%2Csf%3Dh%2Csid%3D%226e2fb550-c457\
                     -11e9-bb97-0800200c9a66%22%2Cst%3Dv%2Ctb%3D6500";
const SESSION: &str = "6e2fb550-c457-11e9-bb97-0800200c9a66";

fn main() {
    println!("{:<44} {:>10} {:>10}", "step", "median ns", "least ns");
    let rate = Rate::new(1e9, 1_000_000).expect("a rate");
    let (addresses, sessions) = (RateTable::new(65_536), RateTable::new(65_536));
    let (good, played) = (Recent::new(65_536, 1 << 40), Recent::new(65_536, 1 << 40));
    let (heard, load) = (Sessions::new(100_000, 60_000), std::sync::Mutex::new(load()));
    let cmcd = of_query(QUERY).expect("it is CMCD");
    let (mut now, mut all) = (0_u64, 0.0);
    let began = Instant::now();

    all += row("rate of the address", || {
        now = began.elapsed().as_nanos() as u64;
        addresses.take(&0x2001_0db8_u128, rate, now)
    });
    all += row("rate of the session", || sessions.take(SESSION, rate, now));
    all += row("token looked up and noted", || good.note(&7_u64, now));
    all += row("session has played, and plays", || {
        (played.contains(SESSION, now), played.note(SESSION, now))
    });
    all += row("a place, and given back", || {
        let priority = Priority::of(Asked::Segment, Hints::default());
        let arrival = load.lock().expect("nobody panics").arrive(priority, now);
        load.lock().expect("nobody panics").finish();
        arrival
    });
    println!("{:<44} {all:>10.0}", "limits together");
    let mut players = row("CMCD of a query, read", || of_query(QUERY));
    players += row("CMCD of a session, taken in", || heard.note(&cmcd, true, now));
    players += row("next object, canonical", || next_target(PATH, "18.m4s"));
    println!("{:<44} {players:>10.0}", "players together");
    let headers = HeaderMap::new();
    let cmsd = row("CMSD of an answer", || {
        let mut headers = headers.clone();
        Dynamic { delay_ms: Some(3), ..Dynamic::default() }.append_to(&mut headers, "streamverse");
        headers
    });
    println!("{:<44} {:>10.0}", "all together", all + players + cmsd);
}

fn load() -> Load {
    Load::new(LoadSettings {
        requests_max: 16_384,
        requests_min: 64,
        waiting_max: 1_024,
        wait_nanos_max: 1_000_000_000,
        delay_nanos_target: 0,
    })
}

fn row<T>(name: &str, mut run: impl FnMut() -> T) -> f64 {
    let mut nanos = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..TIMES {
            black_box(run());
        }
        nanos.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES));
    }
    nanos.sort_by(f64::total_cmp);
    println!("{name:<44} {:>10.0} {:>10.0}", nanos[ROUNDS / 2], nanos[0]);
    nanos[ROUNDS / 2]
}
