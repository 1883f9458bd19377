//! Deliveries on both engines, to receivers that take them, fail, hang, redirect and come back.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use platform::db::testing::{Engine, engines};
use platform::db::{DbError, TenantId};
use platform::events::{Fact, Relay, RelayOptions, Topic, publish};
use platform::keyring::{Keys, Purpose, SealingKeys};
use platform::outbound::Outbound;
use platform::{audit, config, events};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::service::Actor;
use crate::sign::SigningKey;
use crate::*;

const SCHEMAS: [platform::db::Schema; 3] = [events::SCHEMA, audit::SCHEMA, SCHEMA];

thread_local! {
    // A test's runtime is one thread, so each test has a clock of its own.
    static NOW_MS: Cell<i64> = const { Cell::new(1_700_000_000_000) };
}

fn now_ms() -> i64 {
    NOW_MS.get()
}

fn pass(seconds: i64) {
    NOW_MS.set(now_ms() + seconds * 1_000);
}

/// Answers with the bytes it is told to, or hangs on `None`; keeps heads and bodies.
struct Receiver {
    address: SocketAddr,
    answer: Arc<Mutex<Option<String>>>,
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(Some("200 OK".to_owned())));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answers, seen_too) = (Arc::clone(&answer), Arc::clone(&seen));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answers, seen) = (answers.clone(), seen_too.clone());
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    let (head, body) = loop {
                        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                            return;
                        }
                        let text = String::from_utf8_lossy(&bytes);
                        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                        let length = header(head, "content-length").parse::<usize>().unwrap();
                        if body.len() == length {
                            break (head.to_owned(), body.to_owned());
                        }
                    };
                    seen.lock().unwrap().push((head, body));
                    let answer = answers.lock().unwrap().clone();
                    let Some(answer) = answer else {
                        tokio::time::sleep(Duration::from_secs(30)).await;
                        return;
                    };
                    let text = format!(
                        "HTTP/1.1 {answer}\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhel\0o"
                    );
                    let _ = stream.write_all(text.as_bytes()).await;
                });
            }
        });
        Self { address, answer, seen }
    }

    fn answers(&self, answer: Option<&str>) {
        *self.answer.lock().unwrap() = answer.map(str::to_owned);
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
}

struct House {
    webhooks: Webhooks,
    relay: Relay,
    actor: Actor,
    db: platform::db::Db,
    _folder: tempfile::TempDir,
}

impl House {
    fn new(engine: &Engine) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(folder.path(), SealingKeys::none()).unwrap();
        keys.ensure(&[Purpose::Records], now_ms()).unwrap();
        let outbound = Outbound::new(&config::Outbound {
            allow_http: true,
            allowed_networks: vec!["127.0.0.0/8".parse().unwrap()],
            total_timeout_seconds: 0.5,
            ..config::Outbound::default()
        });
        let tenant = TenantId::new("acme").unwrap();
        let db = engine.db.clone();
        let options = RelayOptions { clock: now_ms, ..RelayOptions::default() };
        Self {
            webhooks: Webhooks::new(db.clone(), keys, outbound.unwrap(), now_ms),
            relay: Relay::new(db.clone(), vec![consumer()], options),
            actor: Actor { tenant, name: "staff/1".to_owned(), request_id: None },
            db,
            _folder: folder,
        }
    }

    async fn add(&self, url: String, topics: &[&str]) -> (Endpoint, Secret) {
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let new = NewEndpoint { url, description: String::new(), topics };
        self.webhooks.add(&self.actor, new).await.unwrap()
    }

    /// Publishes an event for each name and makes its deliveries.
    async fn publish(&self, topic: Topic, names: &[&str]) {
        for name in names {
            let fact = Fact {
                at_ms: now_ms(),
                topic,
                key: "u1".to_owned(),
                subject: "user/u1".to_owned(),
                schema_version: 1,
                data: serde_json::json!({ "name": name }),
                traceparent: None,
            };
            let scope = self.db.tenant(&self.actor.tenant);
            let published =
                scope.tx(fact, |tx, fact| Box::pin(async move { publish(tx, fact.clone()).await }));
            let published: Result<_, DbError> = published.await;
            published.unwrap();
        }
        self.relay.drain().await.unwrap();
    }

    fn deliver(&self) -> Deliver {
        Deliver::new(&self.webhooks, DeliverOptions::default())
    }

    async fn states(&self, endpoint: &Endpoint) -> Vec<(DeliveryState, i64, Option<String>)> {
        let rows = self.webhooks.deliveries(&self.actor.tenant, &endpoint.id, None, None, 100);
        let rows = rows.await.unwrap();
        rows.into_iter().map(|row| (row.state, row.attempts, row.last_outcome)).collect()
    }
}

fn names(seen: &[(String, String)]) -> Vec<String> {
    let name = |(_, body): &(String, String)| {
        let event: serde_json::Value = serde_json::from_str(body).unwrap();
        event["data"]["name"].as_str().unwrap().to_owned()
    };
    seen.iter().map(name).collect()
}

fn check_signed(keys: &[&SigningKey], (head, body): &(String, String)) {
    let id = header(head, "webhook-id");
    let seconds = header(head, "webhook-timestamp").parse().unwrap();
    assert_eq!(seconds, now_ms() / 1_000);
    let expected = sign::signatures(keys.iter().copied(), id, seconds, body.as_bytes());
    assert_eq!(header(head, "webhook-signature"), expected);
}

#[tokio::test]
async fn events_are_delivered_once_in_order_and_signed() {
    for engine in engines(&SCHEMAS).await {
        let (house, receiver, other) =
            (House::new(&engine), Receiver::start().await, Receiver::start().await);
        let (endpoint, secret) = house.add(receiver.url(), &["user.registered"]).await;
        house.add(other.url(), &["content.uploaded"]).await;
        house.publish(Topic::UserRegistered, &["a", "b", "c"]).await;
        house.publish(Topic::NotificationSend, &["secret"]).await;
        assert_eq!(house.deliver().drain().await.unwrap(), 3);
        let seen = receiver.take();
        assert_eq!(names(&seen), ["a", "b", "c"]);
        for request in &seen {
            check_signed(&[&secret.0], request);
            let event: serde_json::Value = serde_json::from_str(&request.1).unwrap();
            assert_eq!(event["id"], header(&request.0, "webhook-id"));
            assert_eq!(event["type"], "user.registered");
        }
        let done = (DeliveryState::Delivered, 1, Some("ok".to_owned()));
        assert_eq!(house.states(&endpoint).await, vec![done; 3]);
        assert_eq!(house.deliver().drain().await.unwrap(), 0);
        assert!(other.take().is_empty());
    }
}

#[tokio::test]
async fn what_fails_is_tried_again_under_the_same_id() {
    for engine in engines(&SCHEMAS).await {
        let (house, receiver) = (House::new(&engine), Receiver::start().await);
        let (endpoint, _) = house.add(receiver.url(), &[]).await;
        house.publish(Topic::UserRegistered, &["a"]).await;
        let mut ids = Vec::new();
        for (answer, outcome, wait) in [
            (Some("500 Oops"), "server_error", 6),
            (Some("302 Found\r\nlocation: http://127.0.0.1:1/"), "redirect", 331),
            (None, "timeout", 1_981),
            (Some("404 Not Found"), "client_error", 7_921),
        ] {
            receiver.answers(answer);
            assert_eq!(house.deliver().drain().await.unwrap(), 1, "{outcome}");
            let states = house.states(&endpoint).await;
            assert_eq!(states[0].0, DeliveryState::Pending);
            assert_eq!(states[0].2.as_deref(), Some(outcome));
            assert_eq!(house.deliver().drain().await.unwrap(), 0, "not yet due");
            ids.extend(receiver.take().iter().map(|seen| header(&seen.0, "webhook-id").to_owned()));
            pass(wait);
        }
        receiver.answers(Some("204 No Content"));
        assert_eq!(house.deliver().drain().await.unwrap(), 1);
        ids.extend(receiver.take().iter().map(|seen| header(&seen.0, "webhook-id").to_owned()));
        assert_eq!(ids.len(), 5);
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        let found = house.webhooks.delivery(&house.actor.tenant, &endpoint.id, &ids[0]).await;
        let (delivery, tries) = found.unwrap();
        assert_eq!((delivery.state, tries.len()), (DeliveryState::Delivered, 5));
        assert_eq!((tries[4].status, &*tries[4].answer), (Some(500), "hel\u{fffd}o"));
        assert_eq!((tries[2].status, &*tries[2].outcome), (None, "timeout"));
    }
}

/// A worker that dies with a lease is followed by another when the lease ends; nothing is lost, and
/// what may arrive twice bears one id.
#[tokio::test]
async fn a_dead_worker_is_followed_by_another() {
    for engine in engines(&SCHEMAS).await {
        let (house, receiver) = (House::new(&engine), Receiver::start().await);
        let (endpoint, _) = house.add(receiver.url(), &[]).await;
        house.publish(Topic::UserRegistered, &["a", "b"]).await;
        receiver.answers(None);
        // Killed while the receiver has the request and has not answered.
        let dying = house.deliver();
        let dies = tokio::time::timeout(Duration::from_millis(200), dying.drain()).await;
        assert!(dies.is_err());
        receiver.answers(Some("200 OK"));
        assert_eq!(house.deliver().drain().await.unwrap(), 0, "its lease counts");
        pass(61);
        assert_eq!(house.deliver().drain().await.unwrap(), 2);
        let seen = receiver.take();
        assert_eq!(names(&seen), ["a", "a", "b"]);
        assert_eq!(header(&seen[0].0, "webhook-id"), header(&seen[1].0, "webhook-id"));
        let states = house.states(&endpoint).await;
        assert!(states.iter().all(|state| state.0 == DeliveryState::Delivered), "{states:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_keeps_failing_rests_and_is_turned_off() {
    for engine in engines(&SCHEMAS).await {
        let (house, receiver) = (House::new(&engine), Receiver::start().await);
        let (endpoint, _) = house.add(receiver.url(), &[]).await;
        let all: Vec<String> = (0..10).map(|n| format!("{n}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        house.publish(Topic::UserRegistered, &all).await;
        receiver.answers(Some("503 No"));
        assert_eq!(house.deliver().drain().await.unwrap(), 3, "rests after three in a row");
        house.publish(Topic::UserRegistered, &["more"]).await;
        assert_eq!(house.deliver().drain().await.unwrap(), 0, "new events don't end its rest");
        pass(6 * 86_400);
        assert_eq!(house.deliver().drain().await.unwrap(), 1);
        let found = house.webhooks.find(&house.actor.tenant, &endpoint.id).await.unwrap();
        assert_eq!(found.state, EndpointState::Failing);
        house.publish(Topic::UserRegistered, &["lost on it"]).await;
        assert_eq!(house.deliver().drain().await.unwrap(), 0);
        receiver.take();

        // Turned on again, it goes on at once with what it had, though not sooner than due with what
        // was tried just before.
        receiver.answers(Some("200 OK"));
        let patch = PatchEndpoint { enabled: Some(true), ..PatchEndpoint::default() };
        let version = found.version;
        house.webhooks.change(&house.actor, &endpoint.id, version, patch).await.unwrap();
        assert_eq!(house.deliver().drain().await.unwrap(), 10);
        pass(6);
        assert_eq!(house.deliver().drain().await.unwrap(), 1);
        let mut delivered = names(&receiver.take());
        delivered.sort();
        assert_eq!(delivered, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "more"]);
        let patch = PatchEndpoint { enabled: Some(false), ..PatchEndpoint::default() };
        let stale = house.webhooks.change(&house.actor, &endpoint.id, version, patch).await;
        assert!(matches!(stale, Err(WebhookError::Changed)));
        let verified = audit::verify(&house.db, &house.actor.tenant, None).await;
        assert!(verified.is_ok(), "{verified:?}");
    }
}

#[tokio::test]
async fn gone_is_gone_and_deliveries_are_replayed() {
    for engine in engines(&SCHEMAS).await {
        let (house, receiver) = (House::new(&engine), Receiver::start().await);
        let (endpoint, first) = house.add(receiver.url(), &[]).await;
        house.publish(Topic::UserRegistered, &["a", "b"]).await;
        assert_eq!(house.deliver().drain().await.unwrap(), 2);
        let id = header(&receiver.take()[0].0, "webhook-id").to_owned();
        house.webhooks.replay(&house.actor, &endpoint.id, &id).await.unwrap();
        let second = house.webhooks.rotate(&house.actor, &endpoint.id, Duration::from_secs(60));
        let second = second.await.unwrap();
        assert_eq!(house.deliver().drain().await.unwrap(), 1);
        let seen = receiver.take();
        assert_eq!(header(&seen[0].0, "webhook-id"), id);
        check_signed(&[&second.0, &first.0], &seen[0]);
        pass(61);
        let state = DeliveryState::Delivered;
        let replayed = house.webhooks.replay_range(&house.actor, &endpoint.id, state, 0, now_ms());
        assert_eq!(replayed.await.unwrap(), 2);
        receiver.answers(Some("410 Gone"));
        assert_eq!(house.deliver().drain().await.unwrap(), 1);
        check_signed(&[&second.0], &receiver.take()[0]);
        let found = house.webhooks.find(&house.actor.tenant, &endpoint.id).await.unwrap();
        assert_eq!(found.state, EndpointState::Failing);

        // Another tenant sees none of it.
        let other = TenantId::new("other").unwrap();
        assert!(matches!(
            house.webhooks.find(&other, &endpoint.id).await,
            Err(WebhookError::NotFound)
        ));
        let stranger = Actor { tenant: other, name: "staff/2".to_owned(), request_id: None };
        let replay = house.webhooks.replay(&stranger, &endpoint.id, &id).await;
        assert!(matches!(replay, Err(WebhookError::NotFound)));
    }
}

#[tokio::test]
async fn addresses_inside_are_refused() {
    for engine in engines(&SCHEMAS).await {
        let house = House::new(&engine);
        for url in [
            "http://169.254.169.254/latest/meta-data/",
            "https://10.0.0.1/",
            "https://[::ffff:10.0.0.1]/",
            "https://user@example.org/",
            "ftp://example.org/",
            "https://example.org:25/",
            "nonsense",
        ] {
            let new =
                NewEndpoint { url: url.to_owned(), description: String::new(), topics: Vec::new() };
            let refused = house.webhooks.add(&house.actor, new).await;
            assert!(matches!(refused, Err(WebhookError::Invalid { pointer: "/url", .. })), "{url}");
        }
        let (url, topics) = ("https://example.org/".to_owned(), vec!["notification.send".into()]);
        let new = NewEndpoint { url, description: String::new(), topics };
        let refused = house.webhooks.add(&house.actor, new).await;
        assert!(matches!(refused, Err(WebhookError::Invalid { pointer: "/topics", .. })));
    }
}
