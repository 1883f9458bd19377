//! Load over every version of HTTP: many requests under way on one thread.
//!
//! The packaging rows use [`crate::load`], a thread a connection. Here a request is a task, since
//! HTTP/2 and HTTP/3 have many on a connection, and answers of microseconds leave no time to change
//! threads. Requests are encoded before the load begins; of an answer its status and length are
//! checked, and its bytes dropped. [`Swarm::fetch`] takes bodies whole, for whoever compares them.
//!
//! In an open loop a dispatcher spins until a request is due and gives it to whoever is idle; those
//! that find nobody wait in a queue, and their latency counts from when they were due.

mod http1;
mod http2;
mod http3;
#[cfg(test)]
mod tests;
mod tls;
mod wire;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{Error, Result};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use crate::client::wrong;
use crate::load::{Outcome, Pace};
use crate::process;

/// How long answers may take after the end before a run counts as failed.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Http1,
    /// HTTP/1.1 over TLS.
    Https1,
    /// HTTP/2 over TLS.
    H2,
    /// HTTP/2 in the clear, with prior knowledge.
    H2c,
    H3,
}

/// A target and how long its body is, where that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub target: String,
    pub body_bytes: Option<u64>,
}

/// What is asked of whom.
#[derive(Clone, Copy, Debug)]
pub struct Swarm<'a> {
    pub address: SocketAddr,
    pub version: Version,
    /// Walked in this order, round and round.
    pub wanted: &'a [Wanted],
    pub connections: usize,
    /// Requests under way on a connection, for versions that can.
    pub streams: usize,
    pub pace: Pace,
    pub duration: Duration,
    /// The core that the thread is held to.
    pub core: Option<usize>,
}

/// What came back with status 200.
#[derive(Debug, Default)]
struct Answer {
    body_bytes: u64,
    /// When the first byte of the body was there.
    first_byte: Option<Instant>,
    /// Its bytes, where they were to be kept.
    body: Option<Vec<u8>>,
}

enum Session {
    Http1(Box<http1::Http1>),
    Http2(http2::Http2),
    Http3(http3::Http3),
}

impl Version {
    fn request(self, target: &str) -> Vec<u8> {
        match self {
            Self::Http1 | Self::Https1 => http1::request(target),
            Self::H2 | Self::H2c => http2::request(target),
            Self::H3 => http3::request(target),
        }
    }

    async fn connect(self, address: SocketAddr) -> Result<Session> {
        let tls = |alpn| Ok::<_, Error>(Some(Arc::new(tls::config(alpn).map_err(Error::other)?)));
        Ok(match self {
            Self::Http1 => Session::Http1(Box::new(http1::Http1::connect(address, None).await?)),
            Self::Https1 => {
                let tls = tls(b"http/1.1")?;
                Session::Http1(Box::new(http1::Http1::connect(address, tls).await?))
            }
            Self::H2c => Session::Http2(http2::Http2::connect(address, None).await?),
            Self::H2 => Session::Http2(http2::Http2::connect(address, tls(b"h2")?).await?),
            Self::H3 => Session::Http3(http3::Http3::connect(address, http3::config()?).await?),
        })
    }

    const fn is_multiplexed(self) -> bool {
        !matches!(self, Self::Http1 | Self::Https1)
    }
}

impl Session {
    async fn get(&self, request: &[u8], keep: bool) -> Result<Answer> {
        match self {
            Self::Http1(session) => session.get(request, keep).await,
            Self::Http2(session) => session.get(request, keep).await,
            Self::Http3(session) => session.get(request, keep).await,
        }
    }
}

impl Swarm<'_> {
    /// Runs until the duration is over and the last answer is there.
    ///
    /// # Errors
    /// When a connection can't be made. Wrong answers are counted instead.
    pub fn run(&self) -> Result<Outcome> {
        if self.wanted.is_empty() {
            return Err(wrong("the list of targets is empty"));
        }
        on_thread(self.core, || self.load())
    }

    async fn load(&self) -> Result<Outcome> {
        let requests = self.wanted.iter().map(|wanted| self.version.request(&wanted.target));
        let requests: Vec<Vec<u8>> = requests.collect();
        let streams = if self.version.is_multiplexed() { self.streams.max(1) } else { 1 };
        let mut sessions = Vec::new();
        for _ in 0..self.connections.max(1) {
            let connecting = tokio::time::timeout(LAST_WAIT, self.version.connect(self.address));
            sessions.push(Rc::new(connecting.await.map_err(Error::other)??));
        }
        let began = Instant::now();
        let book = Rc::new(Book {
            pace: self.pace,
            began,
            end: began + self.duration,
            wanted: self.wanted.to_vec(),
            requests,
            next: Cell::new(0),
            due: RefCell::default(),
            idle: RefCell::default(),
            is_over: Cell::new(false),
            seen: RefCell::default(),
        });
        let slots = sessions.iter().flat_map(|session| (0..streams).map(|_| Rc::clone(session)));
        let slots: Vec<_> = slots
            .map(|session| {
                let book = Rc::clone(&book);
                tokio::task::spawn_local(async move { book.work(&session).await })
            })
            .collect();
        book.dispatch().await;
        let everyone = async {
            for slot in slots {
                let _ = slot.await;
            }
        };
        if tokio::time::timeout(LAST_WAIT, everyone).await.is_err() {
            book.seen.borrow_mut().fail("answers that never came".to_owned());
        }
        let mut outcome = std::mem::take(&mut *book.seen.borrow_mut());
        outcome.wall = began.elapsed();
        outcome.unsent = book.due.borrow().len() as u64;
        outcome.sort();
        Ok(outcome)
    }

    /// Asks for every target once and hands over each body whole.
    ///
    /// # Errors
    /// At the first answer that is no 200 or has another length, and at the first error of `take`.
    pub fn fetch(&self, mut take: impl FnMut(&Wanted, &[u8]) -> Result<()> + Send) -> Result<()> {
        on_thread(self.core, async || {
            let session = self.version.connect(self.address).await?;
            for wanted in self.wanted {
                let request = self.version.request(&wanted.target);
                let named = |error| wrong(format!("{}: {error}", wanted.target));
                let answer = session.get(&request, true).await.map_err(named)?;
                wanted.check(&answer).map_err(named)?;
                take(wanted, answer.body.as_deref().unwrap_or_default())?;
            }
            Ok(())
        })
    }
}

/// Opens `count` HTTP/3 connections that have had one answer each, or with `stalls` read nothing of
/// it; calls `look` while they are open.
///
/// # Errors
/// When one can't be opened or gets no answer.
pub fn hold_http3<T: Send>(
    address: SocketAddr,
    wanted: &Wanted,
    count: usize,
    stalls: bool,
    core: Option<usize>,
    look: impl FnOnce() -> T + Send,
) -> Result<T> {
    on_thread(core, async || {
        let request = http3::request(&wanted.target);
        let config = if stalls { http3::narrow_config()? } else { http3::config()? };
        let (mut sessions, mut stalled) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let session = http3::Http3::connect(address, config.clone()).await?;
            if stalls {
                stalled.push(session.stall(&request).await?);
            } else {
                wanted.check(&session.get(&request, false).await?)?;
            }
            sessions.push(session);
        }
        // Until every server has sent what it can.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let seen = look();
        drop((sessions, stalled));
        Ok(seen)
    })
}

/// Runs a future on a thread of its own, held to a core.
fn on_thread<T: Send>(
    core: Option<usize>,
    run: impl AsyncFnOnce() -> Result<T> + Send,
) -> Result<T> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if let Some(core) = core {
                process::pin_thread(core)?;
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(LocalSet::new().run_until(run()))
        });
        thread.join().unwrap_or_else(|_| Err(wrong("the load panicked")))
    })
}

impl Wanted {
    fn check(&self, answer: &Answer) -> Result<()> {
        let got = answer.body_bytes;
        let Some(wanted) = self.body_bytes.filter(|wanted| *wanted != got) else {
            return Ok(());
        };
        Err(wrong(format!("the body has {got} bytes instead of {wanted}")))
    }
}

/// What all requests of a run share.
struct Book {
    pace: Pace,
    began: Instant,
    end: Instant,
    wanted: Vec<Wanted>,
    requests: Vec<Vec<u8>>,
    next: Cell<usize>,
    /// In an open loop: due, and not begun.
    due: RefCell<VecDeque<Instant>>,
    idle: RefCell<Vec<Waker>>,
    is_over: Cell<bool>,
    seen: RefCell<Outcome>,
}

impl Book {
    /// One request after the other on a session, to the end or the first failure.
    async fn work(&self, session: &Session) {
        while let Some(due) = self.turn().await {
            let number = self.next.get();
            self.next.set(number + 1);
            let at = number % self.requests.len();
            let wanted = &self.wanted[at];
            let answer = session.get(&self.requests[at], false).await;
            let checked = answer.and_then(|answer| wanted.check(&answer).map(|()| answer));
            match checked {
                Ok(answer) => {
                    let first = answer.first_byte.map(|first| first.saturating_duration_since(due));
                    self.seen.borrow_mut().count(due.elapsed(), first, answer.body_bytes);
                }
                Err(error) => {
                    return self.seen.borrow_mut().fail(format!("{}: {error}", wanted.target));
                }
            }
        }
    }

    /// When the next request was due; `None` when there is no more.
    async fn turn(&self) -> Option<Instant> {
        if self.pace == Pace::Closed {
            let now = Instant::now();
            return (now < self.end).then_some(now);
        }
        poll_fn(|context| {
            if self.is_over.get() {
                return Poll::Ready(None);
            }
            if let Some(due) = self.due.borrow_mut().pop_front() {
                return Poll::Ready(Some(due));
            }
            self.idle.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    async fn dispatch(&self) {
        let Pace::Open { requests_per_second } = self.pace else { return };
        for number in 0_u64.. {
            let due = self.began + Duration::from_secs_f64(number as f64 / requests_per_second);
            if due >= self.end {
                break;
            }
            // A timer of the runtime is a millisecond late.
            while Instant::now() < due {
                tokio::task::yield_now().await;
            }
            self.due.borrow_mut().push_back(due);
            if let Some(waker) = self.idle.borrow_mut().pop() {
                waker.wake();
            }
        }
        self.is_over.set(true);
        for waker in self.idle.borrow_mut().drain(..) {
            waker.wake();
        }
    }
}
