//! The outbox as a bus.

use super::*;
use crate::events::bus::{Bus, OutboxBus, forward};

#[tokio::test]
async fn events_go_from_one_bus_to_another_once() {
    for (Engine { db, name, .. }, other) in
        engines(SCHEMAS).await.into_iter().zip(engines(SCHEMAS).await)
    {
        for number in 0..10 {
            tell(&db, &tenant(["a", "b"][number as usize % 2]), fact("k", number)).await.unwrap();
        }
        let (from, to) = (OutboxBus::new(db.clone()), OutboxBus::new(other.db.clone()));
        assert!(from.subscribe("x", &[]).await.unwrap().next(5).await.unwrap().is_empty());
        let topics = [Topic::UserRegistered];
        let mut subscription = from.subscribe("west", &topics).await.unwrap();
        assert_eq!(forward(&mut *subscription, &to, 4).await.unwrap(), 4);
        // Delivered, and lost before the acknowledgement: it comes again.
        let unacknowledged = subscription.next(4).await.unwrap();
        let events: Vec<Event> =
            unacknowledged.iter().map(|delivery| delivery.event.clone()).collect();
        to.publish(&events).await.unwrap();
        drop(subscription);
        let mut subscription = from.subscribe("west", &topics).await.unwrap();
        assert_eq!(subscription.next(4).await.unwrap(), unacknowledged, "{name}");
        let mut subscription = from.subscribe("west", &topics).await.unwrap();
        while forward(&mut *subscription, &to, 4).await.unwrap() > 0 {}

        let relay = Relay::new(other.db.clone(), vec![noting("first", |_| false)], options());
        relay.drain().await.unwrap();
        for (key, wanted) in [("a", [0, 2, 4, 6, 8]), ("b", [1, 3, 5, 7, 9])] {
            let events = list(&other.db, 0, 100).await.unwrap();
            let of_tenant = events.iter().filter(|event| event.tenant.as_str() == key);
            let numbers: Vec<_> = of_tenant
                .map(|event| event.data.as_ref().unwrap()["number"].as_i64().unwrap())
                .collect();
            assert_eq!(numbers, wanted, "{name}");
        }
        assert_eq!(effects(&other.db).await.len(), 10, "{name}");
    }
}
