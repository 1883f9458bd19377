//! Sends deliveries.
//!
//! One loop leases endpoints that are due and hands each to a task, as many at a time as there are
//! places. A task sends a few deliveries one after the other and gives the lease back. A process that
//! dies keeps its leases until they end; its endpoints wait that long, and the delivery that was under
//! way is sent again.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use platform::db::{BoxFuture, TenantId, Tx, params};
use platform::outbound::{Call, CallError, Peer, Reach, Reply};
use platform::resilience::random;
use platform::{audit, db};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::delivery::{self, DeliveryState};
use crate::endpoint;
use crate::error::WebhookError;
use crate::schedule;
use crate::schema::NEVER_MS;
use crate::secret;
use crate::service::Webhooks;
use crate::sign::{SigningKey, signatures};

/// Most that is kept of an answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 1_024;
/// Longest that one receiver may take.
const TOTAL_TIMEOUT_MAX: Duration = Duration::from_secs(15);

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// How deliveries are sent.
#[derive(Clone, Copy, Debug)]
pub struct DeliverOptions {
    /// Endpoints that are served at a time.
    pub endpoints_max: usize,
    /// Deliveries of one endpoint before it is another's turn.
    pub batch: usize,
    /// How often is looked for endpoints that are due.
    pub poll: Duration,
    /// After this long another process takes over from one that is dead.
    pub lease: Duration,
    /// An endpoint that has failed for so long is turned off.
    pub give_up_after: Duration,
    /// Deliveries that are done are kept so long.
    pub keep: Duration,
}

impl Default for DeliverOptions {
    fn default() -> Self {
        Self {
            endpoints_max: 16,
            batch: 20,
            poll: Duration::from_millis(500),
            lease: Duration::from_secs(60),
            give_up_after: Duration::from_secs(5 * 86_400),
            keep: Duration::from_secs(30 * 86_400),
        }
    }
}

/// The sender of one process. Clones share its connections.
#[derive(Clone)]
pub struct Deliver {
    webhooks: Webhooks,
    peer: Peer,
    options: DeliverOptions,
    owner: Arc<str>,
}

/// What a worker was leased.
struct Leased {
    tenant: TenantId,
    endpoint_id: String,
}

/// What was read of an endpoint for one delivery.
struct Target {
    url: String,
    keys: Vec<SigningKey>,
    wake: i64,
}

/// A delivery that is tried.
struct Next {
    event_id: String,
    body: Option<String>,
    attempts: i64,
    failures: i64,
}

/// What came of a try, for the database.
struct Settled {
    endpoint_id: String,
    event_id: String,
    attempts: i64,
    failures: i64,
    at_ms: i64,
    now_ms: i64,
    status: Option<i64>,
    outcome: &'static str,
    answer: String,
    state: DeliveryState,
    due_ms: i64,
    /// The receiver wants nothing any more (410).
    is_gone: bool,
    give_up_after: Duration,
}

/// Whether an endpoint goes on, and when.
enum Then {
    Next,
    Rest(i64),
    Off,
}

impl Deliver {
    pub fn new(webhooks: &Webhooks, options: DeliverOptions) -> Self {
        let peer = webhooks.outbound().peer("webhooks", Reach::Public, |settings| {
            // One customer's receiver must not open the breaker of all, and tries are in the database.
            settings.breaker = None;
            settings.retries_max = 0;
            settings.total_timeout = settings.total_timeout.min(TOTAL_TIMEOUT_MAX);
            settings.calls_max = settings.calls_max.max(options.endpoints_max);
        });
        let owner = uuid::Uuid::now_v7().to_string().into();
        Self { webhooks: webhooks.clone(), peer, options, owner }
    }

    /// Sends until `stop` says true or is dropped; what is under way is finished.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        let places = Arc::new(Semaphore::new(self.options.endpoints_max));
        let mut serving = JoinSet::new();
        let mut forget_at_ms = 0;
        loop {
            let stopped = async { drop(stop.wait_for(|stop| *stop).await) };
            tokio::select! {
                biased;
                () = stopped => break,
                is_idle = self.turn(&places, &mut serving, &mut forget_at_ms) => {
                    if !is_idle {
                        continue;
                    }
                }
            }
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                () = tokio::time::sleep(self.options.poll) => {}
            }
        }
        while serving.join_next().await.is_some() {}
    }

    /// Serves one endpoint in a task of its own. Whether there was none.
    async fn turn(
        &self,
        places: &Arc<Semaphore>,
        serving: &mut JoinSet<()>,
        forget_at_ms: &mut i64,
    ) -> bool {
        while serving.try_join_next().is_some() {}
        self.forget(forget_at_ms).await;
        let Ok(place) = Arc::clone(places).acquire_owned().await else { return true };
        match self.lease().await {
            Ok(Some(leased)) => {
                let deliver = self.clone();
                serving.spawn(async move {
                    let _place = place;
                    if let Err(error) = deliver.serve(&leased).await {
                        tracing::warn!(%error, endpoint = leased.endpoint_id, "webhooks wait");
                    }
                });
                false
            }
            Ok(None) => true,
            Err(error) => {
                tracing::warn!(%error, "webhooks wait for the database");
                true
            }
        }
    }

    /// Sends everything that is due now, one endpoint after the other. How many tries there were.
    ///
    /// # Errors
    /// When the database fails, or a secret can't be opened.
    pub async fn drain(&self) -> Result<u64, WebhookError> {
        let mut tries = 0;
        while let Some(leased) = self.lease().await? {
            tries += self.serve(&leased).await?;
        }
        Ok(tries)
    }

    async fn lease(&self) -> Result<Option<Leased>, WebhookError> {
        let now_ms = self.webhooks.now_ms();
        let until_ms = now_ms + millis(self.options.lease);
        let input = (now_ms, self.owner.to_string(), until_ms);
        let row = self
            .webhooks
            .db()
            .system()
            .tx(input, |tx, (now_ms, owner, until_ms)| {
                Box::pin(async move {
                    tx.query_opt(&endpoint::LEASE, params![now_ms, owner, until_ms]).await
                })
            })
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (tenant, endpoint_id) = row.decode::<(String, String)>()?;
        let broken = WebhookError::Broken { reason: "an endpoint has no tenant" };
        let tenant = TenantId::new(&tenant).map_err(|_| broken)?;
        Ok(Some(Leased { tenant, endpoint_id }))
    }

    /// Sends deliveries of one endpoint until there are none, it rests, or its turn is over.
    async fn serve(&self, leased: &Leased) -> Result<u64, WebhookError> {
        let mut tries = 0;
        let mut wake = 0;
        for _ in 0..self.options.batch {
            let Some(target) = self.keep(leased).await? else {
                // Whoever turns it on again need not wait for the lease to end.
                self.release(leased, 0, wake, 0).await?;
                return Ok(tries);
            };
            wake = target.wake;
            let Some(next) = self.next(leased).await? else {
                let due_ms = self.next_due(leased).await?;
                self.release(leased, due_ms, wake, 0).await?;
                return Ok(tries);
            };
            let then = self.send(leased, &target, next).await?;
            tries += 1;
            match then {
                Then::Next => {}
                Then::Off => {
                    self.release(leased, 0, wake, 0).await?;
                    return Ok(tries);
                }
                Then::Rest(until_ms) => {
                    self.release(leased, until_ms, wake, until_ms).await?;
                    return Ok(tries);
                }
            }
        }
        self.release(leased, 0, wake, 0).await?;
        Ok(tries)
    }

    /// Lengthens the lease and reads the endpoint; none when it is another's or off.
    async fn keep(&self, leased: &Leased) -> Result<Option<Target>, WebhookError> {
        type Fields = (String, Vec<u8>, Option<Vec<u8>>, i64, i64, Option<i64>, i64);
        let now_ms = self.webhooks.now_ms();
        let until_ms = now_ms + millis(self.options.lease);
        let input = (leased.endpoint_id.clone(), self.owner.to_string(), until_ms);
        let scope = self.webhooks.db().tenant(&leased.tenant);
        let row = scope
            .tx(input, |tx, (id, owner, until_ms)| {
                Box::pin(async move {
                    tx.query_opt(&endpoint::KEEP, params![id, owner, until_ms]).await
                })
            })
            .await?;
        let Some(row) = row else { return Ok(None) };
        let (url, sealed, old, old_until_ms, _, _, wake) = row.decode::<Fields>()?;
        let (tenant, id) = (leased.tenant.as_str(), &leased.endpoint_id);
        let open = |sealed: &[u8]| secret::open(self.webhooks.keys(), tenant, id, sealed, now_ms);
        let mut keys = vec![open(&sealed)?];
        if let Some(old) = old.filter(|_| now_ms < old_until_ms) {
            keys.push(open(&old)?);
        }
        Ok(Some(Target { url, keys, wake }))
    }

    async fn next(&self, leased: &Leased) -> Result<Option<Next>, WebhookError> {
        let scope = self.webhooks.db().tenant(&leased.tenant);
        let values = params![&leased.endpoint_id, self.webhooks.now_ms()];
        let Some(row) = scope.query_opt(&delivery::NEXT, values).await? else { return Ok(None) };
        let (event_id, body, attempts, failures) = row.decode()?;
        Ok(Some(Next { event_id, body, attempts, failures }))
    }

    async fn next_due(&self, leased: &Leased) -> Result<i64, WebhookError> {
        let scope = self.webhooks.db().tenant(&leased.tenant);
        let row = scope.query_opt(&delivery::NEXT_DUE, params![&leased.endpoint_id]).await?;
        Ok(row.map(|row| row.get(0)).transpose()?.unwrap_or(NEVER_MS))
    }

    async fn release(
        &self,
        leased: &Leased,
        due_ms: i64,
        wake: i64,
        rests_until_ms: i64,
    ) -> Result<(), WebhookError> {
        let owner = self.owner.to_string();
        let input = (leased.endpoint_id.clone(), owner, due_ms, wake, rests_until_ms);
        let scope = self.webhooks.db().tenant(&leased.tenant);
        let released = scope.tx(input, |tx, (id, owner, due_ms, wake, rests_until_ms)| {
            Box::pin(async move {
                let values = params![id, owner, due_ms, wake, rests_until_ms];
                tx.execute(&endpoint::RELEASE, values).await
            })
        });
        released.await?;
        Ok(())
    }

    /// One try, written down.
    async fn send(
        &self,
        leased: &Leased,
        target: &Target,
        next: Next,
    ) -> Result<Then, WebhookError> {
        let at_ms = self.webhooks.now_ms();
        let outcome = match &next.body {
            Some(body) => Some(self.call(target, &next.event_id, body, at_ms).await),
            None => None,
        };
        let settled = self.judge(leased, next, at_ms, outcome);
        self.webhooks.metrics().count(settled.outcome);
        let scope = self.webhooks.db().tenant(&leased.tenant);
        let (failures, is_off) = scope.tx(settled, settle).await?;
        if is_off {
            self.webhooks.metrics().given_up.inc();
            tracing::warn!(endpoint = leased.endpoint_id, "an endpoint of webhooks is turned off");
            return Ok(Then::Off);
        }
        let rest = schedule::rest(failures, random());
        if rest.is_zero() { Ok(Then::Next) } else { Ok(Then::Rest(at_ms + millis(rest))) }
    }

    async fn call(
        &self,
        target: &Target,
        event_id: &str,
        body: &str,
        at_ms: i64,
    ) -> Result<Reply, CallError> {
        let seconds = at_ms.div_euclid(1_000);
        let signature = signatures(&target.keys, event_id, seconds, body.as_bytes());
        // Addresses were checked when they were given; what no longer parses goes nowhere.
        let uri = target.url.parse().unwrap_or_default();
        let header = |text: &str| {
            HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
        };
        let call = Call::post(uri, "application/json", body.to_owned())
            .header(WEBHOOK_ID, header(event_id))
            .header(WEBHOOK_TIMESTAMP, HeaderValue::from(seconds))
            .header(WEBHOOK_SIGNATURE, header(&signature))
            .cut_answer_at(ANSWER_BYTES_MAX);
        self.peer.send(call).await
    }

    /// What a try means: taken, to be tried again, or given up.
    fn judge(
        &self,
        leased: &Leased,
        next: Next,
        at_ms: i64,
        outcome: Option<Result<Reply, CallError>>,
    ) -> Settled {
        let now_ms = self.webhooks.now_ms();
        let (status, word, answer, asked) = match &outcome {
            Some(Ok(reply)) => (
                Some(i64::from(reply.status.as_u16())),
                word_of(reply),
                printable(&reply.body),
                reply.retry_after(),
            ),
            Some(Err(error)) => (None, error.outcome(), String::new(), None),
            None => (None, "erased", String::new(), None),
        };
        let failures = next.failures + 1;
        let pause = schedule::pause(failures, asked, random());
        let (state, due_ms) = match (word, pause) {
            ("ok", _) => (DeliveryState::Delivered, NEVER_MS),
            ("erased", _) | (_, None) => (DeliveryState::Failed, NEVER_MS),
            (_, Some(pause)) => (DeliveryState::Pending, now_ms + millis(pause)),
        };
        Settled {
            endpoint_id: leased.endpoint_id.clone(),
            event_id: next.event_id,
            attempts: next.attempts,
            failures,
            at_ms,
            now_ms,
            status,
            outcome: word,
            answer,
            state,
            due_ms,
            is_gone: status == Some(410),
            give_up_after: self.options.give_up_after,
        }
    }

    /// Removes deliveries that are done for long, once an hour.
    async fn forget(&self, at_ms: &mut i64) {
        let now_ms = self.webhooks.now_ms();
        if now_ms < *at_ms {
            return;
        }
        *at_ms = now_ms + 3_600_000;
        let before_ms = now_ms - millis(self.options.keep);
        let system = self.webhooks.db().system();
        let forgotten: Result<u64, db::DbError> = system
            .tx(before_ms, |tx, before_ms| {
                Box::pin(async move { tx.execute(&delivery::FORGET, params![before_ms]).await })
            })
            .await;
        if let Err(error) = forgotten {
            tracing::warn!(%error, "old deliveries of webhooks stay for now");
        }
    }
}

/// Writes a try down: the delivery, its log, the endpoint's health. Failures of the endpoint in a
/// row, and whether it was turned off.
fn settle<'a>(
    tx: &'a mut Tx,
    settled: &'a Settled,
) -> BoxFuture<'a, Result<(i64, bool), WebhookError>> {
    Box::pin(async move {
        let Settled { endpoint_id, event_id, attempts, at_ms, now_ms, outcome, .. } = settled;
        let finished_ms = (settled.state != DeliveryState::Pending).then_some(*now_ms);
        let (state, due_ms) = (settled.state.as_str(), settled.due_ms);
        let (failures, status) = (settled.failures, settled.status);
        let values = params![
            endpoint_id,
            event_id,
            attempts,
            state,
            due_ms,
            failures,
            status,
            *outcome,
            finished_ms
        ];
        if tx.execute(&delivery::SETTLE, values).await? == 0 {
            return Ok((0, false));
        }
        let (number, duration_ms) = (attempts + 1, now_ms - at_ms);
        let answer = &settled.answer;
        let values =
            params![endpoint_id, event_id, number, at_ms, duration_ms, status, *outcome, answer];
        tx.execute(&delivery::ADD_ATTEMPT, values).await?;
        if matches!(*outcome, "ok" | "erased") {
            tx.execute(&endpoint::SUCCEEDED, params![endpoint_id]).await?;
            return Ok((0, false));
        }
        let row = tx.query_opt(&endpoint::FAILED, params![endpoint_id, now_ms]).await?;
        // Removed meanwhile.
        let Some(row) = row else { return Ok((0, true)) };
        let (failures, since_ms) = row.decode::<(i64, i64)>()?;
        let is_given_up = schedule::is_given_up(since_ms, *now_ms, settled.give_up_after);
        if !is_given_up && !settled.is_gone {
            return Ok((failures, false));
        }
        tx.execute(&endpoint::GIVE_UP, params![endpoint_id]).await?;
        let reason = if settled.is_gone { "gone" } else { "failing" };
        let record = audit::Record {
            at_ms: *now_ms,
            actor: "system".to_owned(),
            action: "webhook.turn_off".to_owned(),
            resource: format!("webhook/{endpoint_id}"),
            before: Some(serde_json::json!({ "state": "enabled" })),
            after: Some(serde_json::json!({ "state": "failing", "reason": reason })),
            request_id: None,
        };
        audit::append(tx, record).await?;
        Ok((failures, true))
    })
}

fn word_of(reply: &Reply) -> &'static str {
    match reply.status.as_u16() {
        200..=299 => "ok",
        300..=399 => "redirect",
        400..=499 => "client_error",
        _ => "server_error",
    }
}

/// The beginning of an answer as text that a database and a page take.
fn printable(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}
