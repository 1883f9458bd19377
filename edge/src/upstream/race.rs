//! One request of a client, tried until it is answered: which upstream, when another, when two.
//!
//! - A request that never left (refused, no place, breaker open) goes to another upstream at once
//!   and costs no budget: no upstream sees it twice.
//! - A safe request that may have been seen is retried within the budget, at another upstream
//!   first, and only while nothing of an answer has been passed on. That holds until the first byte
//!   of a body is there: [`Node::attempt`] waits for it.
//! - A safe request that takes longer than 95 of 100 recent ones is also sent to a second upstream,
//!   once, within the same budget. The first good answer wins; the other request is cancelled.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use http::Response;
use tokio::time::{Instant, sleep};

use super::node::{Ask, Failed, Node, is_failure};
use super::ring::order;
use super::{Inner, settings};
use crate::fetch::{FetchBody, FetchError};

/// No hedge is sent sooner: below this, the time says more of the scheduler than of an upstream.
const HEDGE_AFTER_MIN: Duration = Duration::from_millis(20);

/// Pause before the same upstream is asked again, up to twice as long.
const SAME_UPSTREAM_PAUSE: Duration = Duration::from_millis(25);

type Outcome = Result<Response<FetchBody>, Failed>;

/// The attempts of one request.
pub(super) struct Race<'a> {
    inner: &'a Inner,
    ask: Ask,
    key: u64,
    is_safe: bool,
    tried: Vec<usize>,
    under_way: FuturesUnordered<BoxFuture<'static, Finished>>,
    /// What is answered when nothing better comes.
    fallback: Option<Result<Response<FetchBody>, FetchError>>,
}

struct Finished {
    index: usize,
    is_hedge: bool,
    first_byte: Duration,
    outcome: Outcome,
}

/// Why an attempt is made.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Why {
    First,
    Reroute,
    Retry,
    Hedge,
}

impl<'a> Race<'a> {
    pub(super) fn new(inner: &'a Inner, ask: Ask, key: u64) -> Self {
        let is_safe = ask.method.is_safe();
        Self {
            inner,
            ask,
            key,
            is_safe,
            tried: Vec::new(),
            under_way: FuturesUnordered::new(),
            fallback: None,
        }
    }

    pub(super) async fn run(mut self) -> Result<Response<FetchBody>, FetchError> {
        let Some(first) = self.untried() else { return Err(all_open()) };
        self.start(first, Why::First, Duration::ZERO);
        let hedge_after = self.inner.hedge_after().filter(|_| self.is_safe);
        let mut hedge_is_due = hedge_after.is_some();
        let hedge = sleep(hedge_after.unwrap_or(Duration::MAX));
        tokio::pin!(hedge);
        loop {
            tokio::select! {
                biased;
                Some(finished) = self.under_way.next() => {
                    if let Some(answer) = self.handle(finished) {
                        return answer;
                    }
                }
                () = hedge.as_mut(), if hedge_is_due => {
                    hedge_is_due = false;
                    self.start_hedge();
                }
            }
        }
    }

    /// Takes the end of an attempt in: the answer, or nothing while others are under way.
    fn handle(&mut self, finished: Finished) -> Option<Result<Response<FetchBody>, FetchError>> {
        let node = &self.inner.nodes[finished.index];
        let (was_sent, is_error) = match finished.outcome {
            Ok(response) if !is_failure(response.status()) => {
                self.inner.handle_first_byte(finished.first_byte);
                if finished.is_hedge {
                    node.metrics.hedges_won.inc();
                }
                return Some(Ok(response));
            }
            Ok(response) => {
                // What an upstream says is worth more than that another did not answer.
                self.fallback = Some(Ok(response));
                (true, false)
            }
            Err(failed) => {
                tracing::debug!(error = %failed.error, "an attempt failed");
                if self.fallback.is_none() {
                    self.fallback = Some(Err(failed.error));
                }
                (failed.was_sent, true)
            }
        };
        if self.under_way.is_empty() && !self.start_next(was_sent, is_error) {
            return Some(self.fallback.take().unwrap_or_else(|| Err(all_open())));
        }
        None
    }

    /// Tries once more, if that is allowed and useful.
    fn start_next(&mut self, was_sent: bool, is_error: bool) -> bool {
        if !self.may_try_again() || (was_sent && !self.is_safe) {
            return false;
        }
        if let Some(other) = self.untried() {
            if was_sent && !self.inner.take_budget() {
                return false;
            }
            let why = if was_sent { Why::Retry } else { Why::Reroute };
            self.start(other, why, Duration::ZERO);
            return true;
        }
        // Nobody else is left. A status would only be repeated, a full queue would stay full.
        let is_overloaded = matches!(self.fallback, Some(Err(FetchError::Overloaded { .. })));
        let last = self.tried.last().copied().filter(|_| is_error && !is_overloaded);
        let Some(same) = last.filter(|index| self.inner.nodes[*index].standing(Instant::now()).0)
        else {
            return false;
        };
        if !self.inner.take_budget() {
            return false;
        }
        let jitter = f64::from(settings::random() as u32) / f64::from(u32::MAX);
        self.start(same, Why::Retry, SAME_UPSTREAM_PAUSE.mul_f64(1.0 + jitter));
        true
    }

    fn start_hedge(&mut self) {
        if !self.may_try_again() {
            return;
        }
        if let Some(other) = self.untried()
            && self.inner.take_budget()
        {
            self.start(other, Why::Hedge, Duration::ZERO);
        }
    }

    fn may_try_again(&self) -> bool {
        self.tried.len() < self.inner.settings.attempts_max as usize
    }

    /// The best upstream that was not asked yet and may be.
    ///
    /// When every check fails, the checks are more likely wrong than all upstreams gone: they are
    /// then left aside. Open breakers never are, they stand for what requests met.
    fn untried(&self) -> Option<usize> {
        let now = Instant::now();
        let admitted = |index: &usize| self.inner.nodes[*index].standing(now).0;
        let open: Vec<usize> = (0..self.inner.nodes.len()).filter(admitted).collect();
        let is_up = |index: &usize| self.inner.nodes[*index].standing(now).1;
        let up: Vec<usize> = open.iter().copied().filter(is_up).collect();
        let usable = if up.is_empty() { open } else { up };
        let candidates: Vec<_> =
            usable.iter().map(|index| self.inner.nodes[*index].candidate()).collect();
        let ranking = order(self.key, &candidates, self.inner.settings.load_factor);
        let mut ranking = ranking.into_iter().map(|position| usable[position]);
        ranking.find(|index| !self.tried.contains(index))
    }

    fn start(&mut self, index: usize, why: Why, pause: Duration) {
        let node: Arc<Node> = Arc::clone(&self.inner.nodes[index]);
        match why {
            Why::First => {}
            Why::Reroute => drop(node.metrics.reroutes.inc()),
            Why::Retry => drop(node.metrics.retries.inc()),
            Why::Hedge => drop(node.metrics.hedges.inc()),
        }
        self.tried.push(index);
        let ask = self.ask.clone();
        self.under_way.push(Box::pin(async move {
            if !pause.is_zero() {
                sleep(pause).await;
            }
            let began = Instant::now();
            let outcome = node.attempt(ask).await;
            Finished { index, is_hedge: why == Why::Hedge, first_byte: began.elapsed(), outcome }
        }));
    }
}

fn all_open() -> FetchError {
    FetchError::Unreachable {
        upstream: "every upstream".to_owned(),
        reason: "all circuit breakers are open".to_owned(),
    }
}

impl Inner {
    /// How long a first attempt is waited for alone; `None` while too little is known.
    fn hedge_after(&self) -> Option<Duration> {
        if !self.settings.hedges || self.nodes.len() < 2 {
            return None;
        }
        let p95 = self.latency().p95(Instant::now().into_std())?;
        Some(p95.max(HEDGE_AFTER_MIN))
    }

    fn handle_first_byte(&self, first_byte: Duration) {
        self.latency().handle_sample(Instant::now().into_std(), first_byte);
    }

    fn take_budget(&self) -> bool {
        let has_any = self.budget().try_take();
        if !has_any {
            self.metrics.count_budget_empty();
        }
        has_any
    }
}
