//! A bus: what carries events between processes. The embedded one is the outbox itself.
//!
//! The trait asks for what NATS JetStream and Kafka both can give, and no more:
//!
//! | here | JetStream | Kafka |
//! | --- | --- | --- |
//! | publish a batch, acknowledged when durable | `PubAck` of each message | `acks=all` |
//! | [`Event::id`] stored once | `Nats-Msg-Id` within its window | idempotent producer, and the inbox |
//! | [`Event::key`] keeps its order | a subject's last token | partition by hash of the key |
//! | [`Subscription`] with a name | durable consumer | consumer group |
//! | [`Subscription::ack`] | ack of each message | commit of offsets |
//!
//! Delivery is at least once everywhere; a consumer's inbox makes the effect one.

use std::collections::BTreeMap;

use super::event::Event;
use super::relay::number_new;
use super::store::{ADD_CONSUMER, CURSOR, READ_NEW};
use super::topic::Topic;
use crate::db::{BoxFuture, Db, DbError, TenantId, params, statements};

statements! {
    /// A message that comes again changes nothing.
    TAKE_IN: "INSERT INTO event_outbox (tenant_id, id, topic, schema_version, partition_key, subject,
            at_ms, data, traceparent)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (tenant_id, id) DO NOTHING";
    system ACKNOWLEDGE: "UPDATE event_consumer SET cursor = $2 WHERE name = $1 AND cursor < $2";
}

/// Why a bus did not do it. Whatever it was, it may be asked again.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    #[error(transparent)]
    Db(#[from] DbError),

    #[error("the bus can't be reached: {reason}")]
    Unavailable { reason: String },
}

/// Something that carries events.
pub trait Bus: Send + Sync {
    /// Answers when all events are durable. After an error some may be; an event that is published
    /// again is stored once.
    fn publish<'a>(&'a self, batch: &'a [Event]) -> BoxFuture<'a, Result<(), BusError>>;

    /// Events of these topics behind what was acknowledged under this name.
    fn subscribe<'a>(
        &'a self,
        name: &'a str,
        topics: &'a [Topic],
    ) -> BoxFuture<'a, Result<Box<dyn Subscription>, BusError>>;
}

/// A named place in a bus.
pub trait Subscription: Send {
    /// The next events, in the order of each key; none when there are none now.
    fn next(&mut self, count_max: usize) -> BoxFuture<'_, Result<Vec<Delivery>, BusError>>;

    /// These were taken care of, and all that `next` gave before them.
    fn ack<'a>(&'a mut self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Result<(), BusError>>;
}

/// An event, and its place in the bus's own terms.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    pub event: Event,
    /// The partition and the offset in it; one partition where there are none.
    pub position: (u32, u64),
}

/// Carries what `from` has to another bus. Answers how many events; some may come there again.
///
/// # Errors
/// When one of the two fails: nothing is acknowledged then.
pub async fn forward(
    from: &mut dyn Subscription,
    to: &dyn Bus,
    count_max: usize,
) -> Result<usize, BusError> {
    let deliveries = from.next(count_max).await?;
    let events: Vec<Event> = deliveries.iter().map(|delivery| delivery.event.clone()).collect();
    to.publish(&events).await?;
    from.ack(&deliveries).await?;
    Ok(events.len())
}

/// The outbox as a bus.
#[derive(Clone, Debug)]
pub struct OutboxBus {
    db: Db,
}

struct OutboxSubscription {
    db: Db,
    name: String,
    topics: Vec<Topic>,
    /// Behind this nothing was read.
    read: i64,
}

impl OutboxBus {
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    async fn take_in(&self, tenant: &TenantId, events: Vec<Event>) -> Result<(), DbError> {
        let scope = self.db.tenant(tenant);
        let taken = scope.tx(events, |tx, events| {
            Box::pin(async move {
                for event in events {
                    let Event { id, topic, schema_version, key, subject, at_ms, .. } = event;
                    let (data, traceparent) = (event.data.as_ref(), event.traceparent.as_ref());
                    let params = params![
                        id,
                        topic.name(),
                        schema_version,
                        key,
                        subject,
                        at_ms,
                        data,
                        traceparent
                    ];
                    tx.execute(&TAKE_IN, params).await?;
                }
                tx.wake_relay();
                Ok(())
            })
        });
        taken.await
    }
}

impl Bus for OutboxBus {
    fn publish<'a>(&'a self, batch: &'a [Event]) -> BoxFuture<'a, Result<(), BusError>> {
        Box::pin(async move {
            let mut tenants: BTreeMap<&TenantId, Vec<Event>> = BTreeMap::new();
            for event in batch {
                tenants.entry(&event.tenant).or_default().push(event.clone());
            }
            for (tenant, events) in tenants {
                self.take_in(tenant, events).await?;
            }
            Ok(())
        })
    }

    fn subscribe<'a>(
        &'a self,
        name: &'a str,
        topics: &'a [Topic],
    ) -> BoxFuture<'a, Result<Box<dyn Subscription>, BusError>> {
        Box::pin(async move {
            let (db, name) = (self.db.clone(), format!("bus/{name}"));
            let system = db.system();
            let added = system.tx(name.clone(), |tx, name| {
                Box::pin(async move { tx.execute(&ADD_CONSUMER, params![name]).await })
            });
            let _: u64 = added.await.map_err(|error: DbError| error)?;
            let read = system.query_one(&CURSOR, params![&name]).await?.get(0)?;
            let topics = topics.to_vec();
            let subscription = OutboxSubscription { db, name, topics, read };
            Ok(Box::new(subscription) as Box<dyn Subscription>)
        })
    }
}

impl OutboxSubscription {
    async fn read(&mut self, count_max: usize) -> Result<Vec<Delivery>, DbError> {
        number_new(&self.db).await?;
        let limit = i64::try_from(count_max).unwrap_or(i64::MAX);
        let mut deliveries = Vec::new();
        while deliveries.is_empty() {
            let rows = self.db.system().query(&READ_NEW, params![self.read, limit]).await?;
            let Some(last) = rows.last() else { break };
            let last = last.get::<i64>(1)?;
            for row in &rows {
                let topic = row.get::<String>(3)?;
                if self.topics.iter().any(|wanted| wanted.name() == topic) {
                    let event = Event::of_row(row)?;
                    let offset = u64::try_from(event.sequence).unwrap_or_default();
                    deliveries.push(Delivery { event, position: (0, offset) });
                }
            }
            self.read = last;
        }
        Ok(deliveries)
    }

    async fn acknowledge(&self, last: i64) -> Result<(), DbError> {
        let input = (self.name.clone(), last);
        let scope = self.db.system();
        let acknowledged = scope.tx(input, |tx, (name, last)| {
            Box::pin(async move { tx.execute(&ACKNOWLEDGE, params![name, last]).await })
        });
        let acknowledged: Result<u64, DbError> = acknowledged.await;
        acknowledged.map(drop)
    }
}

impl Subscription for OutboxSubscription {
    fn next(&mut self, count_max: usize) -> BoxFuture<'_, Result<Vec<Delivery>, BusError>> {
        Box::pin(async move { Ok(self.read(count_max).await?) })
    }

    fn ack<'a>(&'a mut self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Result<(), BusError>> {
        Box::pin(async move {
            let last = deliveries.iter().map(|delivery| delivery.event.sequence).max();
            if let Some(last) = last {
                self.acknowledge(last).await?;
            }
            Ok(())
        })
    }
}
