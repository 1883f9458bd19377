//! What operators do with the log: look, replay, decide over dead letters, remove what is old.

use uuid::Uuid;

use super::event::Event;
use crate::db::{Db, DbError, TenantId, params, statements};

/// Rows that are removed in one transaction.
const REMOVED_AT_ONCE: i64 = 1_000;

statements! {
    system LIST: "SELECT tenant_id, sequence, id, topic, schema_version, partition_key, subject,
            at_ms, data, traceparent
        FROM event_outbox WHERE $1 < sequence ORDER BY sequence LIMIT $2";
    system DEAD: "SELECT r.tenant_id, r.consumer, r.event_id, r.sequence, r.partition_key, r.attempts,
            r.last_error, (SELECT COUNT(*) FROM event_retry AS b WHERE b.consumer = r.consumer
                AND b.tenant_id = r.tenant_id AND b.partition_key = r.partition_key
                AND r.sequence < b.sequence)
        FROM event_retry AS r WHERE r.state = 'dead' AND $1 < r.sequence
        ORDER BY r.sequence LIMIT $2";
    TRY_AGAIN: "UPDATE event_retry SET state = 'retry', attempts = 0, due_ms = 0
        WHERE tenant_id = $1 AND consumer = $2 AND event_id = $3 AND state = 'dead'";
    DISCARD: "DELETE FROM event_retry
        WHERE tenant_id = $1 AND consumer = $2 AND event_id = $3 AND state = 'dead'
        RETURNING sequence";
    NOTE_DISCARDED: "INSERT INTO event_inbox (tenant_id, consumer, event_id, sequence)
        VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id, consumer, event_id) DO NOTHING";

    system FIRST_SINCE: "SELECT MIN(sequence) FROM event_outbox WHERE $1 <= at_ms";
    system SEQUENCE_OF: "SELECT sequence FROM event_outbox WHERE tenant_id = $1 AND id = $2";
    system SET_BACK: "UPDATE event_consumer SET cursor = $2 WHERE name = $1 AND $2 < cursor";
    system FORGET_HANDLED: "DELETE FROM event_inbox WHERE consumer = $1 AND $2 < sequence";
    system FORGET_ASIDE: "DELETE FROM event_retry WHERE consumer = $1 AND $2 < sequence";

    system REMOVE_CONSUMER: "DELETE FROM event_consumer WHERE name = $1";
    system CONSUMERS: "SELECT name, cursor FROM event_consumer ORDER BY name"
        scans "the consumers are few";
    system REMOVE_OLD: "DELETE FROM event_outbox WHERE sequence IN (
            SELECT o.sequence FROM event_outbox AS o
            WHERE o.at_ms < $1 AND o.sequence <= $2
            AND NOT EXISTS (SELECT 1 FROM event_retry AS r WHERE r.sequence = o.sequence)
            ORDER BY o.at_ms LIMIT $3)";
    system OLDEST: "SELECT MIN(sequence) FROM event_outbox";
    system REMOVE_HANDLED: "DELETE FROM event_inbox WHERE consumer = $1 AND sequence < $2
        AND sequence <= (SELECT MAX(n) FROM (SELECT sequence AS n FROM event_inbox
            WHERE consumer = $1 AND sequence < $2 ORDER BY sequence LIMIT $3) AS oldest)";
}

/// An event that a consumer has given up, and that keeps later ones of its key back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeadLetter {
    pub tenant: String,
    pub consumer: String,
    pub event_id: String,
    pub sequence: i64,
    pub key: String,
    pub attempts: i64,
    pub last_error: Option<String>,
    /// Events of the key that wait behind it.
    pub parked: i64,
}

/// Where a replay begins.
#[derive(Clone, Debug)]
pub enum From {
    /// The first event that happened at this time or later, in milliseconds since 1970, and all
    /// behind it in the log.
    Time(i64),
    /// This event.
    Event { tenant: TenantId, id: Uuid },
}

/// What is kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Events that happened longer ago go, once every consumer has handled them.
    pub age_ms: i64,
}

/// Events behind `after`, in order. Not those of PostgreSQL that have no number yet.
///
/// # Errors
/// By cause, see [`DbError`].
pub async fn list(db: &Db, after: i64, limit: i64) -> Result<Vec<Event>, DbError> {
    let rows = db.system().query(&LIST, params![after, limit]).await?;
    rows.iter().map(Event::of_row).collect()
}

/// Dead letters behind the number `after`, in order.
///
/// # Errors
/// By cause, see [`DbError`].
pub async fn dead_letters(db: &Db, after: i64, limit: i64) -> Result<Vec<DeadLetter>, DbError> {
    let rows = db.system().query(&DEAD, params![after, limit]).await?;
    let letter = |row: &crate::db::Row| {
        let (tenant, consumer, event_id, sequence, key, attempts, last_error, parked) =
            row.decode()?;
        Ok(DeadLetter { tenant, consumer, event_id, sequence, key, attempts, last_error, parked })
    };
    rows.iter().map(letter).collect()
}

/// Has a dead letter tried again, all its attempts anew. False when there is none.
///
/// # Errors
/// By cause, see [`DbError`].
pub async fn try_again(
    db: &Db,
    tenant: &TenantId,
    consumer: &str,
    id: &str,
) -> Result<bool, DbError> {
    let input = (consumer.to_owned(), id.to_owned());
    let scope = db.tenant(tenant);
    let tried = scope.tx(input, |tx, (consumer, id)| {
        Box::pin(async move { tx.execute(&TRY_AGAIN, params![consumer, id]).await })
    });
    let tried: Result<u64, DbError> = tried.await;
    Ok(tried? > 0)
}

/// Drops a dead letter for good: its consumer never handles it, and goes on with its key. False when
/// there is none.
///
/// # Errors
/// By cause, see [`DbError`].
pub async fn discard(
    db: &Db,
    tenant: &TenantId,
    consumer: &str,
    id: &str,
) -> Result<bool, DbError> {
    let input = (consumer.to_owned(), id.to_owned());
    let scope = db.tenant(tenant);
    let discarded = scope.tx(input, |tx, (consumer, id)| {
        Box::pin(async move {
            let Some(row) = tx.query_opt(&DISCARD, params![consumer, id]).await? else {
                return Ok(false);
            };
            let sequence = row.get::<i64>(0)?;
            tx.execute(&NOTE_DISCARDED, params![consumer, id, sequence]).await?;
            Ok(true)
        })
    });
    discarded.await
}

/// Has a consumer handle everything from a place on once more, also what it has handled. Answers the
/// number in front of that place; None when there is no such event or consumer.
///
/// # Errors
/// By cause, see [`DbError`].
pub async fn replay(db: &Db, consumer: &str, from: &From) -> Result<Option<i64>, DbError> {
    let first = match from {
        From::Time(at_ms) => {
            db.system().query_one(&FIRST_SINCE, params![at_ms]).await?.get::<Option<i64>>(0)?
        }
        From::Event { tenant, id } => {
            let found = db.system().query_opt(&SEQUENCE_OF, params![tenant.as_str(), id]).await?;
            found.map(|row| row.get::<Option<i64>>(0)).transpose()?.flatten()
        }
    };
    let Some(first) = first else { return Ok(None) };
    let scope = db.system();
    let set_back = scope.tx((consumer.to_owned(), first - 1), |tx, (consumer, before)| {
        Box::pin(async move {
            if tx.execute(&SET_BACK, params![consumer, before]).await? == 0 {
                return Ok(None);
            }
            tx.execute(&FORGET_HANDLED, params![consumer, before]).await?;
            tx.execute(&FORGET_ASIDE, params![consumer, before]).await?;
            Ok(Some(*before))
        })
    });
    set_back.await
}

/// Forgets how far a consumer is that is no more, so that it keeps nothing back. It begins at the
/// oldest event if it comes back.
///
/// # Errors
/// By cause, see [`DbError`].
pub async fn forget_consumer(db: &Db, consumer: &str) -> Result<bool, DbError> {
    let scope = db.system();
    let forgotten = scope.tx(consumer.to_owned(), |tx, consumer| {
        Box::pin(async move {
            tx.execute(&FORGET_HANDLED, params![consumer, 0_i64]).await?;
            tx.execute(&FORGET_ASIDE, params![consumer, 0_i64]).await?;
            tx.execute(&REMOVE_CONSUMER, params![consumer]).await
        })
    });
    let forgotten: Result<u64, DbError> = forgotten.await;
    Ok(forgotten? > 0)
}

/// Removes events that are old and that every consumer has behind it, and what inboxes say of them.
/// What is put aside stays. Answers how many events went.
///
/// # Errors
/// By cause, see [`DbError`].
pub async fn retain(db: &Db, retention: Retention, now_ms: i64) -> Result<u64, DbError> {
    let consumers = db.system().query(&CONSUMERS, params![]).await?;
    let consumers = consumers.iter().map(|row| row.decode::<(String, i64)>());
    let consumers = consumers.collect::<Result<Vec<_>, _>>()?;
    let passed = consumers.iter().map(|(_, cursor)| *cursor).min().unwrap_or(i64::MAX);
    let before_ms = now_ms.saturating_sub(retention.age_ms);
    let mut removed = 0;
    loop {
        let scope = db.system();
        let count = scope.tx((before_ms, passed), |tx, (before_ms, passed)| {
            Box::pin(async move {
                tx.execute(&REMOVE_OLD, params![before_ms, passed, REMOVED_AT_ONCE]).await
            })
        });
        let count: Result<u64, DbError> = count.await;
        let count = count?;
        removed += count;
        if count < REMOVED_AT_ONCE as u64 {
            break;
        }
    }
    let oldest = db.system().query_one(&OLDEST, params![]).await?.get::<Option<i64>>(0)?;
    for (consumer, cursor) in consumers {
        // Without events there is none that could come again.
        let before = oldest.unwrap_or(i64::MAX).min(cursor);
        remove_handled(db, &consumer, before).await?;
    }
    Ok(removed)
}

async fn remove_handled(db: &Db, consumer: &str, before: i64) -> Result<(), DbError> {
    loop {
        let input = (consumer.to_owned(), before);
        let scope = db.system();
        let count = scope.tx(input, |tx, (consumer, before)| {
            Box::pin(async move {
                tx.execute(&REMOVE_HANDLED, params![consumer, before, REMOVED_AT_ONCE]).await
            })
        });
        let count: Result<u64, DbError> = count.await;
        if count? < REMOVED_AT_ONCE as u64 {
            return Ok(());
        }
    }
}
