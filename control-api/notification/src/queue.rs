//! The queue: what is to be sent, from the event until a server has it.

use platform::db::{DbError, Migration, Schema, Tx, params, statements};
use platform::events::{Consumer, Event, HandlerError, Topic};
use serde_json::Value;

/// The consumer's name, for ever.
pub const CONSUMER: &str = "notification";

/// A message that nobody can send is kept this long for whoever looks for the cause.
pub(crate) const DEAD_KEPT_MS: i64 = 30 * 24 * 3_600 * 1_000;
/// Longest of the values that are read from an event, in bytes.
const VALUE_BYTES_MAX: usize = 64 << 10;

statements! {
    ADD: "INSERT INTO notification_mail (tenant_id, id, user_id, template, locale, sealed, state,
            attempts, created_ms, due_ms)
        VALUES ($1, $2, $3, $4, $5, $6, 'due', 0, $7, $7)
        ON CONFLICT (tenant_id, id) DO NOTHING";
    ERASE: "DELETE FROM notification_mail WHERE tenant_id = $1 AND user_id = $2";
    SENT: "DELETE FROM notification_mail WHERE tenant_id = $1 AND id = $2";
    LATER: "UPDATE notification_mail SET due_ms = $3, reason = $4
        WHERE tenant_id = $1 AND id = $2";
    DEAD: "UPDATE notification_mail SET state = 'dead', due_ms = $3, reason = $4
        WHERE tenant_id = $1 AND id = $2";
    system HAS_DUE: "SELECT 1 FROM notification_mail
        WHERE state = 'due' AND due_ms <= $1 LIMIT 1";
    /// Whoever takes them has until `$2`. The outer condition holds for what another process took
    /// between the two.
    system TAKE: "UPDATE notification_mail SET due_ms = $2, attempts = attempts + 1
        WHERE state = 'due' AND due_ms <= $1 AND (tenant_id, id) IN (
            SELECT tenant_id, id FROM notification_mail WHERE state = 'due' AND due_ms <= $1
            ORDER BY due_ms LIMIT $3)
        RETURNING tenant_id, id, user_id, template, locale, sealed, attempts, created_ms";
    system SWEEP: "DELETE FROM notification_mail WHERE state = 'dead' AND due_ms <= $1";
}

/// | table | what |
/// | --- | --- |
/// | `notification_mail` | a message that no server has yet; `due_ms` is when to try, or when it was given up |
pub const SCHEMA: Schema = Schema {
    name: "notification",
    migrations: &[Migration {
        version: 1,
        name: "mail queue",
        sql: "CREATE TABLE notification_mail (
                tenant_id TEXT NOT NULL,
                id TEXT NOT NULL,
                user_id TEXT NOT NULL,
                template TEXT NOT NULL,
                locale TEXT,
                sealed TEXT NOT NULL,
                state TEXT NOT NULL
                    CONSTRAINT notification_mail_state_check CHECK (state IN ('due', 'dead')),
                attempts BIGINT NOT NULL,
                created_ms BIGINT NOT NULL,
                due_ms BIGINT NOT NULL,
                reason TEXT,
                PRIMARY KEY (tenant_id, id)
            );
            CREATE INDEX notification_mail_due ON notification_mail (state, due_ms);
            CREATE INDEX notification_mail_user ON notification_mail (tenant_id, user_id);",
    }],
    statements: &[STATEMENTS],
};

/// Queues every message, as part of the transaction that notes the event.
pub fn consumer() -> Consumer {
    Consumer::new(CONSUMER, &[Topic::NotificationSend], |tx, event| Box::pin(add(tx, event)))
}

async fn add(tx: &mut Tx, event: &Event) -> Result<(), HandlerError> {
    // Erased: there is nothing to say any more, and nobody to say it to.
    let Some(data) = &event.data else { return Ok(()) };
    let (user_id, template, sealed) =
        (text(data, "user_id")?, text(data, "template")?, text(data, "sealed")?);
    let locale = data["locale"].as_str().map(str::to_owned);
    let id = event.id.to_string();
    tx.execute(&ADD, params![id, user_id, template, locale, sealed, event.at_ms]).await?;
    Ok(())
}

fn text<'a>(data: &'a Value, name: &str) -> Result<&'a str, HandlerError> {
    let value = data[name].as_str().filter(|value| value.len() <= VALUE_BYTES_MAX);
    value.ok_or_else(|| HandlerError::Failed { reason: format!("`{name}` is no short text") })
}

/// Forgets what waits to be sent to a person. How many messages there were.
///
/// # Errors
/// By cause, see [`DbError`].
pub async fn erase(tx: &mut Tx, user_id: &str) -> Result<u64, DbError> {
    tx.execute(&ERASE, params![user_id]).await
}
