//! Publishing and erasing, within the transaction that is the reason for it.

use uuid::{NoContext, Timestamp, Uuid};

use super::event::Fact;
use crate::db::{DbError, Tx, params, statements};

/// Largest data of an event, in bytes of JSON: what brokers take by default, with room.
pub const DATA_BYTES_MAX: usize = 256 << 10;
/// Longest key and subject.
pub const NAME_BYTES_MAX: usize = 256;
const TRACEPARENT_BYTES_MAX: usize = 128;

statements! {
    /// On SQLite the number is the row's own; on PostgreSQL the relay gives it after the commit.
    PUBLISH: "INSERT INTO event_outbox (tenant_id, id, topic, schema_version, partition_key,
            subject, at_ms, data, traceparent)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    ERASE_SUBJECT: "UPDATE event_outbox SET data = NULL, traceparent = NULL
        WHERE tenant_id = $1 AND subject = $2 AND data IS NOT NULL";
    ERASE_KEY: "UPDATE event_outbox SET data = NULL, traceparent = NULL
        WHERE tenant_id = $1 AND partition_key = $2 AND data IS NOT NULL";
    FORGET_ERRORS: "UPDATE event_retry SET last_error = NULL
        WHERE tenant_id = $1 AND partition_key = $2";
}

/// Adds a fact to the log, as part of this transaction: it is there if and only if that commits.
///
/// Answers its id. A transaction that runs again gives it another one.
///
/// # Errors
/// When a part of the fact is too large, or by cause, see [`DbError`].
pub async fn publish(tx: &mut Tx, fact: Fact) -> Result<Uuid, DbError> {
    let data = fact.data.to_string();
    check(&fact, &data)?;
    let id = new_id(fact.at_ms);
    let Fact { at_ms, topic, key, subject, schema_version, traceparent, .. } = fact;
    let params = params![&id, topic.name(), schema_version, key, subject, at_ms, data, traceparent];
    tx.execute(&PUBLISH, params).await?;
    tx.wake_relay();
    Ok(id)
}

fn check(fact: &Fact, data: &str) -> Result<(), DbError> {
    let fail = |reason: String| {
        Err(DbError::Internal { reason: format!("event `{}`: {reason}", fact.topic) })
    };
    let sizes = [
        ("key", fact.key.len(), NAME_BYTES_MAX),
        ("subject", fact.subject.len(), NAME_BYTES_MAX),
        ("data", data.len(), DATA_BYTES_MAX),
        ("traceparent", fact.traceparent.as_deref().map_or(1, str::len), TRACEPARENT_BYTES_MAX),
    ];
    for (what, bytes, bytes_max) in sizes {
        if bytes == 0 || bytes_max < bytes {
            return fail(format!("its {what} has {bytes} bytes, 1 to {bytes_max} are allowed"));
        }
    }
    if !(1..=fact.topic.schema_version()).contains(&fact.schema_version) {
        let latest = fact.topic.schema_version();
        return fail(format!(
            "version {} is not known, {latest} is the latest",
            fact.schema_version
        ));
    }
    Ok(())
}

fn new_id(at_ms: i64) -> Uuid {
    let at_ms = u64::try_from(at_ms).unwrap_or_default();
    let nanos = (at_ms % 1_000) as u32 * 1_000_000;
    Uuid::new_v7(Timestamp::from_unix(NoContext, at_ms / 1_000, nanos))
}

/// Takes the data out of all events about a subject: `user/…`. The events stay, without it, and
/// consumers pass over those that they have not handled. How many there were.
///
/// # Errors
/// By cause, see [`DbError`].
pub async fn erase(tx: &mut Tx, subject: &str) -> Result<u64, DbError> {
    tx.execute(&ERASE_SUBJECT, params![subject]).await
}

/// Takes the data out of all events of a key, whatever they are about: a person's id.
///
/// # Errors
/// By cause, see [`DbError`].
pub async fn erase_key(tx: &mut Tx, key: &str) -> Result<u64, DbError> {
    tx.execute(&FORGET_ERRORS, params![key]).await?;
    tx.execute(&ERASE_KEY, params![key]).await
}
