//! Loads a server: connections that walk a list of paths in its order, each path once a round.
//!
//! In a *closed* loop a connection asks again as soon as it has its answer: it shows what a server
//! can do, and hides what its clients wait. In an *open* loop requests are due at a fixed rate,
//! whatever the answers do, and each latency counts from the moment the request was due, so that
//! a pause of the server is seen in every request that fell into it.

use std::io::Result;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Body, Connection, Protocol};
use crate::process;

/// When the next request is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    Closed,
    Open { requests_per_second: f64 },
}

/// What is asked of whom.
#[derive(Clone, Debug)]
pub struct Load<'a> {
    pub address: SocketAddr,
    pub protocol: Protocol,
    pub paths: &'a [String],
    /// In an open loop: most requests that wait at a time.
    pub connections: usize,
    pub pace: Pace,
    pub duration: Duration,
    /// The core that every connection's thread is held to.
    pub core: Option<usize>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Ascending, one an answer.
    latencies_us: Vec<u64>,
    /// Ascending: to the first byte of the body, where the load looks at it.
    first_bytes_us: Vec<u64>,
    pub body_bytes: u64,
    /// Answers that were not a whole 200, and connections that failed.
    pub bad: u64,
    /// What one of the bad ones was.
    pub bad_reason: Option<String>,
    /// Requests that were due and never made, since too many others waited.
    pub unsent: u64,
    pub wall: Duration,
}

impl Load<'_> {
    /// Runs until the duration is over and the last answer is there. Fails without paths only.
    pub fn run(&self) -> Result<Outcome> {
        if self.paths.is_empty() {
            return Err(crate::client::wrong("the list of paths is empty"));
        }
        let began = Instant::now();
        let schedule = Schedule { pace: self.pace, began, end: began + self.duration };
        let next = AtomicU64::new(0);
        let seen: Vec<Outcome> = thread::scope(|scope| {
            let walk = || self.walk(&schedule, &next);
            let walkers: Vec<_> = (0..self.connections).map(|_| scope.spawn(walk)).collect();
            let joined = walkers.into_iter().map(|walker| walker.join());
            joined
                .map(|seen| seen.unwrap_or_else(|_| Outcome { bad: 1, ..Outcome::default() }))
                .collect()
        });
        Ok(Outcome::of(seen, began.elapsed()))
    }

    /// One connection: takes the next number that all of them share, waits until it is due, asks.
    fn walk(&self, schedule: &Schedule, next: &AtomicU64) -> Outcome {
        let mut seen = Outcome::default();
        if let Some(core) = self.core
            && let Err(source) = process::pin_thread(core)
        {
            seen.fail(format!("core {core}: {source}"));
            return seen;
        }
        let mut connection = None;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let due = match schedule.wait(number) {
                Turn::Due(due) => due,
                Turn::TooLate => {
                    seen.unsent += 1;
                    continue;
                }
                Turn::Over => return seen,
            };
            let path = &self.paths[(number % self.paths.len() as u64) as usize];
            match self.ask(&mut connection, path) {
                Ok(body_bytes) => {
                    seen.latencies_us.push(due.elapsed().as_micros() as u64);
                    seen.body_bytes += body_bytes;
                }
                Err(source) => seen.fail(format!("{path}: {source}")),
            }
        }
    }

    /// A connection that fails is not put back: the next request makes a new one.
    fn ask(&self, slot: &mut Option<Box<dyn Connection>>, path: &str) -> Result<u64> {
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => self.protocol.connect(self.address)?,
        };
        let answer = connection.get(path, Body::Drop)?;
        *slot = Some(connection);
        Ok(answer.body_bytes)
    }
}

struct Schedule {
    pace: Pace,
    began: Instant,
    end: Instant,
}

enum Turn {
    /// Its latency counts from here.
    Due(Instant),
    /// Due before the end, but the end is past.
    TooLate,
    Over,
}

impl Schedule {
    fn wait(&self, number: u64) -> Turn {
        let now = Instant::now();
        match self.pace {
            Pace::Closed if now < self.end => Turn::Due(now),
            Pace::Closed => Turn::Over,
            Pace::Open { requests_per_second } => {
                let due = self.began + Duration::from_secs_f64(number as f64 / requests_per_second);
                if due >= self.end {
                    return Turn::Over;
                }
                if now >= self.end {
                    return Turn::TooLate;
                }
                thread::sleep(due.saturating_duration_since(now));
                Turn::Due(due)
            }
        }
    }
}

impl Outcome {
    fn of(seen: Vec<Self>, wall: Duration) -> Self {
        let mut whole = Self { wall, ..Self::default() };
        for one in seen {
            whole.latencies_us.extend(one.latencies_us);
            whole.body_bytes += one.body_bytes;
            whole.bad += one.bad;
            whole.bad_reason = whole.bad_reason.or(one.bad_reason);
            whole.unsent += one.unsent;
        }
        whole.latencies_us.sort_unstable();
        whole
    }

    pub(crate) fn count(&mut self, latency: Duration, first: Option<Duration>, body_bytes: u64) {
        self.latencies_us.push(latency.as_micros() as u64);
        self.first_bytes_us.extend(first.map(|first| first.as_micros() as u64));
        self.body_bytes += body_bytes;
    }

    pub(crate) fn sort(&mut self) {
        self.latencies_us.sort_unstable();
        self.first_bytes_us.sort_unstable();
    }

    pub(crate) fn fail(&mut self, reason: String) {
        self.bad += 1;
        self.bad_reason.get_or_insert(reason);
    }

    pub fn requests(&self) -> usize {
        self.latencies_us.len()
    }

    /// Latency that this share of the answers stays below: 0.5 is the median.
    pub fn latency_us(&self, share: f64) -> u64 {
        at_share(&self.latencies_us, share)
    }

    /// The same to the first byte of the body; 0 where the load doesn't look at it.
    pub fn first_byte_us(&self, share: f64) -> u64 {
        at_share(&self.first_bytes_us, share)
    }
}

fn at_share(ascending: &[u64], share: f64) -> u64 {
    let last = ascending.len().saturating_sub(1);
    let index = (ascending.len() as f64 * share) as usize;
    ascending.get(index.min(last)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_server;

    fn load(address: SocketAddr, paths: &[String], pace: Pace) -> Outcome {
        let load = Load {
            address,
            protocol: Protocol::Http1,
            paths,
            connections: 1,
            pace,
            duration: Duration::from_millis(500),
            core: None,
        };
        load.run().unwrap()
    }

    /// A server that takes 20 ms keeps one connection at 50 requests a second. At 100 a second the
    /// backlog grows by 10 ms a request: a closed loop can't see it, an open one must.
    #[test]
    fn an_open_loop_counts_from_when_a_request_was_due() {
        let pause = Duration::from_millis(20);
        let address = test_server::start(move |_| {
            thread::sleep(pause);
            Some(b"body".to_vec())
        });
        let paths = ["/a".to_owned()];

        let closed = load(address, &paths, Pace::Closed);
        assert!(closed.latency_us(0.5) < 100_000, "{}", closed.latency_us(0.5));

        let open = load(address, &paths, Pace::Open { requests_per_second: 100.0 });
        assert!(open.latency_us(0.99) > 150_000, "{}", open.latency_us(0.99));
        assert!(open.unsent > 0);
        assert_eq!(open.requests() as u64 + open.unsent, 50);
    }

    #[test]
    fn an_open_loop_keeps_its_rate() {
        let address = test_server::start(|_| Some(b"body".to_vec()));
        let open = load(address, &["/a".to_owned()], Pace::Open { requests_per_second: 40.0 });
        assert_eq!((open.requests() as u64 + open.unsent, open.bad), (20, 0));
        assert_eq!(open.body_bytes, 4 * open.requests() as u64);
        assert!(open.wall >= Duration::from_millis(400), "{:?}", open.wall);
    }

    #[test]
    fn answers_other_than_200_are_bad() {
        let address = test_server::start(|path| (path == "/a").then(|| b"body".to_vec()));
        let paths = ["/a".to_owned(), "/b".to_owned()];
        let open = load(address, &paths, Pace::Open { requests_per_second: 40.0 });
        assert_eq!(open.requests() as u64 + open.bad + open.unsent, 20);
        assert!(open.requests().abs_diff(open.bad as usize) <= 1 + open.unsent as usize);
    }
}
