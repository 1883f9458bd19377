//! Facts and records of this domain on the platform's event log and audit chain.

use futures_util::future::BoxFuture;
use platform::audit::{self, Record};
use platform::db::{DbError, Tx};
use platform::events::{self, Fact, Topic};

use crate::accounts::{AccountFact, AuditEntry, Client, Outbox};

/// The event log and the audit chain of the same database.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlatformOutbox;

impl Outbox for PlatformOutbox {
    fn publish<'a>(
        &'a self,
        tx: &'a mut Tx,
        fact: AccountFact,
        now_ms: i64,
    ) -> BoxFuture<'a, Result<(), DbError>> {
        let (topic, user_id, data) = match fact {
            AccountFact::UserRegistered { user_id, country, locale } => {
                let data = serde_json::json!({
                    "user_id": user_id, "country": country, "locale": locale,
                });
                (Topic::UserRegistered, user_id, data)
            }
            AccountFact::Notification { user_id, data } => (Topic::NotificationSend, user_id, data),
        };
        let fact = Fact {
            at_ms: now_ms,
            topic,
            subject: format!("user/{user_id}"),
            key: user_id,
            schema_version: topic.schema_version(),
            data,
            traceparent: None,
        };
        Box::pin(async move { events::publish(tx, fact).await.map(|_| ()) })
    }

    fn record<'a>(
        &'a self,
        tx: &'a mut Tx,
        entry: AuditEntry,
        client: &'a Client,
        now_ms: i64,
    ) -> BoxFuture<'a, Result<(), DbError>> {
        let name = format!("user/{}", entry.user_id);
        let record = Record {
            at_ms: now_ms,
            actor: name.clone(),
            action: entry.action.to_owned(),
            resource: name,
            before: None,
            after: Some(entry.detail),
            request_id: Some(client.request_id.clone()).filter(|id| !id.is_empty()),
        };
        Box::pin(async move { audit::append(tx, record).await.map(|_| ()) })
    }
}
