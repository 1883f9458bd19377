//! From facts to files in a mail folder, on both engines.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use api::i18n::Catalogue;
use platform::config;
use platform::db::testing::{self, Engine};
use platform::db::{Db, DbError, Schema, TenantId, params, statements};
use platform::events::{self, Fact, Relay, RelayOptions, Topic};
use platform::mail::Mailer;
use platform::resilience::ServiceMetrics;
use serde_json::json;

use crate::{LOCALES, Letter, Opener, SCHEMA, Sender, consumer, erase};

statements! {
    system STATES: "SELECT state, attempts FROM notification_mail ORDER BY state"
        scans "a test's queue is short";
}

const WATCHED: Schema = Schema { statements: &[crate::queue::STATEMENTS, STATEMENTS], ..SCHEMA };

static NOW_MS: AtomicI64 = AtomicI64::new(1_700_000_000_000);

fn now_ms() -> i64 {
    NOW_MS.load(Ordering::Relaxed)
}

async fn each() -> Vec<Engine> {
    testing::engines(&[events::SCHEMA, WATCHED]).await
}

fn tenant() -> TenantId {
    TenantId::new("t").unwrap()
}

async fn publish(db: &Db, user: &str, template: &str, sealed: &str) {
    let fact = Fact {
        at_ms: now_ms(),
        topic: Topic::NotificationSend,
        key: user.to_owned(),
        subject: format!("user/{user}"),
        schema_version: 1,
        data: json!({
            "channel": "email", "user_id": user, "template": template, "locale": "de-AT",
            "sealed": sealed,
        }),
        traceparent: None,
    };
    let published: Result<(), DbError> = db
        .tenant(&tenant())
        .tx(fact, |tx, fact| {
            Box::pin(async move { events::publish(tx, fact.clone()).await.map(|_| ()) })
        })
        .await;
    published.unwrap();
}

/// Opens what reads `ADDRESS LINK`.
fn opener() -> Opener {
    Arc::new(|tenant, _, sealed| {
        let (to, link) = sealed.split_once(' ').ok_or("sealed for somebody else")?;
        assert_eq!(tenant, "t");
        Ok(Letter { to: to.into(), link: Some(link.into()), code: Some("123456".into()) })
    })
}

fn sender(db: &Db, mail: &config::Mail, folder: &Path) -> Sender {
    let breaker = config::Outbound::default();
    let mailer = Mailer::open(mail, folder, breaker, ServiceMetrics::default()).unwrap();
    let catalogue = Arc::new(Catalogue::new(&[LOCALES]).unwrap());
    Sender::new(db.clone(), mailer, catalogue, opener(), now_ms)
}

fn mails(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder.join("mail")).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let mails = files.filter(|path| path.extension().is_some_and(|ending| ending == "eml"));
    mails.map(|path| plain(&std::fs::read_to_string(path).unwrap())).collect()
}

/// Without the folds and the sign that quoted-printable writes in links (RFC 2045 6.7).
fn plain(mail: &str) -> String {
    mail.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=")
}

async fn states(db: &Db) -> Vec<(String, i64)> {
    let rows = db.system().query(&STATES, params![]).await.unwrap();
    rows.iter().map(|row| row.decode().unwrap()).collect()
}

#[tokio::test]
async fn an_event_becomes_one_mail_in_its_readers_language() {
    for engine in each().await {
        let folder = tempfile::tempdir().unwrap();
        let db = &engine.db;
        publish(db, "u1", "verify", "ada@example.org https://example.org/verify#token=x").await;
        let relay = Relay::new(db.clone(), vec![consumer()], RelayOptions::default());
        relay.drain().await.unwrap();
        relay.drain().await.unwrap();

        let sender = sender(db, &config::Mail::default(), folder.path());
        assert_eq!(sender.send_due().await.unwrap(), 1);
        assert_eq!(sender.send_due().await.unwrap(), 0);
        assert!(states(db).await.is_empty());
        let mails = mails(folder.path());
        assert_eq!(mails.len(), 1);
        assert!(mails[0].contains("To: ada@example.org"), "{}", mails[0]);
        assert!(mails[0].contains("https://example.org/verify#token=x"), "{}", mails[0]);
        assert!(mails[0].contains("Oder gib diesen Code ein:"), "{}", mails[0]);
        assert!(mails[0].contains("123456"), "{}", mails[0]);
    }
}

#[tokio::test]
async fn what_nobody_can_send_is_given_up_and_the_rest_goes_on() {
    for engine in each().await {
        let folder = tempfile::tempdir().unwrap();
        let db = &engine.db;
        publish(db, "u1", "no_such_text", "ada@example.org https://example.org/").await;
        publish(db, "u2", "verify", "nonsense").await;
        publish(db, "u3", "reset_password", "eve@example.org https://example.org/reset").await;
        Relay::new(db.clone(), vec![consumer()], RelayOptions::default()).drain().await.unwrap();

        let sender = sender(db, &config::Mail::default(), folder.path());
        assert_eq!(sender.send_due().await.unwrap(), 3);
        assert_eq!(sender.send_due().await.unwrap(), 0);
        assert_eq!(mails(folder.path()).len(), 1);
        assert_eq!(states(db).await, [("dead".to_owned(), 1), ("dead".to_owned(), 1)]);
    }
}

#[tokio::test]
async fn a_server_that_is_away_is_asked_again() {
    for engine in each().await {
        let folder = tempfile::tempdir().unwrap();
        let db = &engine.db;
        publish(db, "u1", "verify", "ada@example.org https://example.org/verify").await;
        Relay::new(db.clone(), vec![consumer()], RelayOptions::default()).drain().await.unwrap();

        // A port that was free a moment ago: nobody listens there.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let url = Some(format!("smtp://{free}"));
        let away = config::Mail { url, allow_plaintext: true, ..config::Mail::default() };
        let to_server = sender(db, &away, folder.path());
        assert_eq!(to_server.send_due().await.unwrap(), 1);
        assert_eq!(to_server.send_due().await.unwrap(), 0, "not before its pause is over");
        assert_eq!(states(db).await, [("due".to_owned(), 1)]);

        NOW_MS.fetch_add(6_000, Ordering::Relaxed);
        let to_folder = sender(db, &config::Mail::default(), folder.path());
        assert_eq!(to_folder.send_due().await.unwrap(), 1);
        assert_eq!(mails(folder.path()).len(), 1);
        assert!(states(db).await.is_empty());
    }
}

#[tokio::test]
async fn what_waits_is_forgotten_with_its_person() {
    for engine in each().await {
        let db = &engine.db;
        publish(db, "u1", "verify", "a b").await;
        publish(db, "u2", "verify", "a b").await;
        Relay::new(db.clone(), vec![consumer()], RelayOptions::default()).drain().await.unwrap();
        let erased = db.tenant(&tenant()).tx((), |tx, ()| Box::pin(erase(tx, "u1"))).await.unwrap();
        assert_eq!(erased, 1);
        assert_eq!(states(db).await.len(), 1);
    }
}

#[tokio::test]
async fn statements_are_right_on_both_engines() {
    testing::check_statements(&[SCHEMA]).await;
}
