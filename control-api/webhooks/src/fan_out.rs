//! From events to deliveries: one row for each event and endpoint.

use platform::db::{DbError, Tx, params, statements};
use platform::events::{Consumer, Event};

use crate::endpoint::{self, TOPICS};
use crate::schema::NEVER_MS;

/// The consumer's name, for ever.
pub const CONSUMER: &str = "webhooks";

statements! {
    WANTED: "SELECT id, topics FROM webhook_endpoint WHERE tenant_id = $1 AND state = 'enabled'"
        scans "a tenant has few endpoints";
    ADD: "INSERT INTO webhook_delivery (tenant_id, endpoint_id, event_id, sequence, topic, subject,
            body, state, created_ms, due_ms, failures, attempts)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8, 0, 0, 0)
        ON CONFLICT (tenant_id, endpoint_id, event_id) DO NOTHING";
    ERASE: "UPDATE webhook_delivery SET body = NULL
        WHERE tenant_id = $1 AND subject = $2 AND body IS NOT NULL";
    /// What is not there can't be sent any more.
    FAIL_ERASED: "UPDATE webhook_delivery SET state = 'failed', last_outcome = 'erased',
            finished_ms = $3
        WHERE tenant_id = $1 AND subject = $2 AND body IS NULL AND state = 'pending'";
    FORGET_ANSWERS: "DELETE FROM webhook_attempt WHERE tenant_id = $1 AND (endpoint_id, event_id) IN
        (SELECT endpoint_id, event_id FROM webhook_delivery WHERE tenant_id = $1 AND subject = $2)";
}

/// Makes the deliveries of every event, as part of the transaction that notes it.
pub fn consumer() -> Consumer {
    Consumer::new(CONSUMER, &TOPICS, |tx, event| {
        Box::pin(async move { Ok(fan_out(tx, event).await?) })
    })
}

async fn fan_out(tx: &mut Tx, event: &Event) -> Result<(), DbError> {
    if event.data.is_none() {
        return Ok(());
    }
    let endpoints = tx.query(&WANTED, params![]).await?;
    let body = event.to_cloud_event().to_string();
    let id = event.id.to_string();
    for row in endpoints {
        let (endpoint_id, topics) = row.decode::<(String, String)>()?;
        if !topics.split(' ').any(|topic| topic == event.topic.name()) {
            continue;
        }
        let (topic, subject) = (event.topic.name(), &event.subject);
        let values = params![&endpoint_id, &id, event.sequence, topic, subject, &body, event.at_ms];
        if tx.execute(&ADD, values).await? == 1 {
            tx.execute(&endpoint::WAKE, params![endpoint_id, NEVER_MS]).await?;
        }
    }
    Ok(())
}

/// Takes out what deliveries say about a subject, and what receivers answered to it. How many there
/// were.
///
/// # Errors
/// By cause, see [`DbError`].
pub async fn erase(tx: &mut Tx, subject: &str, now_ms: i64) -> Result<u64, DbError> {
    let erased = tx.execute(&ERASE, params![subject]).await?;
    tx.execute(&FAIL_ERASED, params![subject, now_ms]).await?;
    tx.execute(&FORGET_ANSWERS, params![subject]).await?;
    Ok(erased)
}
