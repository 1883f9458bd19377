//! Takes what is due and sends it.

use std::sync::Arc;
use std::time::Duration;

use api::i18n::{Catalogue, Language};
use platform::db::{Db, DbError, Row, TenantId, params};
use platform::mail::{MailMessage, Mailer};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::queue::{DEAD, DEAD_KEPT_MS, HAS_DUE, LATER, SENT, SWEEP, TAKE};
use crate::text;

/// Messages that are taken at once.
const BATCH: i64 = 16;
/// Whoever took a message has sent it by then, or another process may.
const LEASE_MS: i64 = 120_000;
/// How often is looked for what is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// After an error of the database.
const PAUSE: Duration = Duration::from_secs(5);
/// Before the second attempt, twice as long before each further one, up to the longest.
const BACKOFF_MS: i64 = 5_000;
const BACKOFF_MS_MAX: i64 = 30 * 60_000;
/// A message this old is given up: its link has expired long since.
const GIVEN_UP_MS: i64 = 24 * 3_600 * 1_000;
/// Longest reason that is written down, in characters.
const REASON_CHARS_MAX: usize = 300;

/// What lay sealed in the queue.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Letter {
    /// An e-mail address.
    pub to: String,
    pub link: Option<String>,
    pub code: Option<String>,
}

/// Opens what was sealed for a person of a tenant: `(tenant, user_id, sealed)`.
pub type Opener = Arc<dyn Fn(&str, &str, &str) -> Result<Letter, String> + Send + Sync>;

#[derive(Clone, Debug, Default)]
pub struct SenderMetrics {
    sent: Counter,
    put_off: Counter,
    given_up: Counter,
}

impl SenderMetrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "mail_sent",
            "Messages that a server or a folder took",
            self.sent.clone(),
        );
        let help = "Attempts to send a message that failed and are made again";
        registry.register("mail_put_off", help, self.put_off.clone());
        let help = "Messages that were given up";
        registry.register("mail_given_up", help, self.given_up.clone());
    }
}

/// Sends the messages of the queue. Several processes share the work.
#[derive(Clone)]
pub struct Sender {
    db: Db,
    mailer: Mailer,
    catalogue: Arc<Catalogue>,
    opener: Opener,
    clock: fn() -> i64,
    metrics: SenderMetrics,
}

/// One row of the queue.
struct Queued {
    tenant: TenantId,
    id: String,
    user_id: String,
    template: String,
    locale: Option<String>,
    sealed: String,
    attempts: i64,
    created_ms: i64,
}

/// Why a message was not sent.
enum Failure {
    Later(String),
    Never(String),
}

impl Sender {
    pub fn new(
        db: Db,
        mailer: Mailer,
        catalogue: Arc<Catalogue>,
        opener: Opener,
        clock: fn() -> i64,
    ) -> Self {
        Self { db, mailer, catalogue, opener, clock, metrics: SenderMetrics::default() }
    }

    pub fn metrics(&self) -> &SenderMetrics {
        &self.metrics
    }

    /// Sends until `stop` says true or is dropped.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        loop {
            let pause = match self.send_due().await {
                Ok(0) => LOOK_EVERY,
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    tracing::warn!(%error, "mail waits for the database");
                    PAUSE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                changed = stop.changed() => {
                    if changed.is_err() || *stop.borrow() {
                        return;
                    }
                }
            }
        }
    }

    /// Tries what is due now, a batch at most; how many messages there were.
    ///
    /// # Errors
    /// Of the database. What was taken is due again when its lease ends.
    pub async fn send_due(&self) -> Result<u64, DbError> {
        let now_ms = (self.clock)();
        if self.db.system().query_opt(&HAS_DUE, params![now_ms]).await?.is_none() {
            return Ok(0);
        }
        let taken: Result<Vec<Row>, DbError> = self
            .db
            .system()
            .tx(now_ms, |tx, now_ms| {
                Box::pin(async move {
                    tx.execute(&SWEEP, params![now_ms - DEAD_KEPT_MS]).await?;
                    tx.query(&TAKE, params![*now_ms, now_ms + LEASE_MS, BATCH]).await
                })
            })
            .await;
        let taken = taken?;
        let count = taken.len() as u64;
        for row in taken {
            let queued = Queued::of_row(&row)?;
            let outcome = self.send(&queued).await;
            self.note(queued, outcome).await?;
        }
        Ok(count)
    }

    async fn send(&self, queued: &Queued) -> Result<(), Failure> {
        let letter = (self.opener)(queued.tenant.as_str(), &queued.user_id, &queued.sealed);
        let letter = letter.map_err(Failure::Never)?;
        let wanted = queued.locale.as_deref().unwrap_or("en");
        let language = Language::new(Arc::clone(&self.catalogue), wanted);
        let (subject, text) = text::write(&language, &queued.template, &letter)
            .ok_or_else(|| Failure::Never(format!("no text for `{}`", queued.template)))?;
        let message = MailMessage {
            to: letter.to,
            subject,
            text,
            html: None,
            unsubscribe: None,
            key: format!("{}/{}", queued.tenant, queued.id),
        };
        let sent = self.mailer.send(&message, (self.clock)()).await;
        sent.map_err(|error| match error.is_passing() {
            true => Failure::Later(error.to_string()),
            false => Failure::Never(error.to_string()),
        })
    }

    async fn note(&self, queued: Queued, outcome: Result<(), Failure>) -> Result<(), DbError> {
        let now_ms = (self.clock)();
        let Queued { tenant, id, attempts, created_ms, .. } = queued;
        let (statement, values) = match outcome {
            Ok(()) => {
                self.metrics.sent.inc();
                (&SENT, params![id])
            }
            Err(Failure::Later(reason)) if now_ms - created_ms < GIVEN_UP_MS => {
                self.metrics.put_off.inc();
                tracing::warn!(%tenant, %id, attempts, %reason, "a message was not sent yet");
                (&LATER, params![id, now_ms + backoff_ms(attempts), short(&reason)])
            }
            Err(Failure::Later(reason) | Failure::Never(reason)) => {
                self.metrics.given_up.inc();
                tracing::error!(%tenant, %id, attempts, %reason, "a message was given up");
                (&DEAD, params![id, now_ms, short(&reason)])
            }
        };
        let change = (statement, values);
        let scope = self.db.tenant(&tenant);
        scope
            .tx(change, |tx, (statement, values)| {
                Box::pin(async move {
                    tx.execute(*statement, values.clone()).await?;
                    Ok(())
                })
            })
            .await
    }
}

fn short(reason: &str) -> String {
    reason.chars().take(REASON_CHARS_MAX).collect()
}

/// How long to wait after so many attempts.
fn backoff_ms(attempts: i64) -> i64 {
    let doubled = u32::try_from(attempts - 1).unwrap_or(0).min(20);
    (BACKOFF_MS << doubled).min(BACKOFF_MS_MAX)
}

impl Queued {
    fn of_row(row: &Row) -> Result<Self, DbError> {
        type Columns = (String, String, String, String, Option<String>, String, i64, i64);
        let (tenant, id, user_id, template, locale, sealed, attempts, created_ms) =
            row.decode::<Columns>()?;
        let tenant = TenantId::new(&tenant)
            .map_err(|_| DbError::Decode { reason: format!("message {id} has no tenant") })?;
        Ok(Self { tenant, id, user_id, template, locale, sealed, attempts, created_ms })
    }
}
