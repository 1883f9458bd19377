use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;

use super::*;
use crate::db::testing::{Engine, engines};
use crate::db::{Db, DbError, TenantId};

statements! {
    // What somebody could do who has the database.
    SET_AT: "UPDATE audit_record SET at_ms = at_ms + 1 WHERE tenant_id = $1 AND sequence = $2";
    SET_ACTOR: "UPDATE audit_record SET actor = actor || 'x' WHERE tenant_id = $1 AND sequence = $2";
    SET_ACTION: "UPDATE audit_record SET action = 'user.praise' WHERE tenant_id = $1 AND sequence = $2";
    SET_RESOURCE: "UPDATE audit_record SET resource = 'user/2' WHERE tenant_id = $1 AND sequence = $2";
    SET_BEFORE: "UPDATE audit_record SET before_json = ' ' || before_json
        WHERE tenant_id = $1 AND sequence = $2";
    SET_AFTER: "UPDATE audit_record SET after_json = NULL WHERE tenant_id = $1 AND sequence = $2";
    SET_REQUEST: "UPDATE audit_record SET request_id = '' WHERE tenant_id = $1 AND sequence = $2";
    SET_HASH: "UPDATE audit_record SET hash = (SELECT hash FROM audit_record
            WHERE tenant_id = $1 AND sequence = 1) WHERE tenant_id = $1 AND sequence = $2";
    SET_SEQUENCE: "UPDATE audit_record SET sequence = 1000 WHERE tenant_id = $1 AND sequence = $2";
    REMOVE: "DELETE FROM audit_record WHERE tenant_id = $1 AND sequence = $2";
    CUT: "DELETE FROM audit_record WHERE tenant_id = $1 AND $2 <= sequence";
    SET_HEAD: "UPDATE audit_head SET sequence = $2, hash = (SELECT hash FROM audit_record
            WHERE tenant_id = $1 AND sequence = $2) WHERE tenant_id = $1";
    MOVE_HEAD_BACK: "UPDATE audit_head SET sequence = sequence - 1
        WHERE tenant_id = $1 AND $2 <= sequence";
    REMOVE_HEAD: "DELETE FROM audit_head WHERE tenant_id = $1 AND $2 <= sequence";
    COUNT: "SELECT COUNT(*), COUNT(DISTINCT hash) FROM audit_record WHERE tenant_id = $1";
}

const SCHEMAS: &[Schema] =
    &[SCHEMA, Schema { name: "attack", migrations: &[], statements: &[STATEMENTS] }];

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn record(number: i64) -> Record {
    Record {
        at_ms: 1_700_000_000_000 + number,
        actor: "staff/7".to_owned(),
        action: "user.suspend".to_owned(),
        resource: "user/1".to_owned(),
        before: Some(json!({ "state": "active", "n": number })),
        after: Some(json!({ "state": "suspended" })),
        request_id: Some(format!("request-{number}")),
    }
}

async fn add(db: &Db, tenant: &TenantId, record: Record) -> Result<i64, DbError> {
    db.tenant(tenant)
        .tx(record, |tx, record| Box::pin(async move { append(tx, record.clone()).await }))
        .await
}

async fn change(db: &Db, statement: &'static crate::db::Statement, sequence: i64) {
    let changed: Result<u64, DbError> = db
        .tenant(&tenant("a"))
        .tx((statement, sequence), |tx, (statement, sequence)| {
            Box::pin(async move { tx.execute(statement, params![sequence]).await })
        })
        .await;
    assert!(changed.unwrap() > 0, "{}", statement.name());
}

async fn broken(db: &Db) -> Option<Broken> {
    match verify(db, &tenant("a"), None).await {
        Ok(_) => None,
        Err(VerifyError::Broken { broken, .. }) => Some(broken),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_chain_is_whole_and_each_tenant_has_its_own() {
    for Engine { db, name, .. } in engines(SCHEMAS).await {
        assert_eq!(verify(&db, &tenant("a"), None).await.unwrap().records, 0);
        // More than two pages.
        for number in 1..=1_100 {
            let sequence = add(&db, &tenant("a"), record(number)).await.unwrap();
            assert_eq!(sequence, number);
        }
        assert_eq!(add(&db, &tenant("b"), record(1)).await.unwrap(), 1);
        let (a, b) = (tenant("a"), tenant("b"));
        let verified = verify(&db, &a, None).await.unwrap();
        assert_eq!(verified.records, 1_100, "{name}");
        assert_ne!(verify(&db, &b, None).await.unwrap().hash, verified.hash);
    }
}

/// Recomputed by hand: `sha256(sha256(b"streamverse audit chain 1" + b"a") + canonical)`.
#[test]
fn the_bytes_that_are_hashed() {
    let stored = record(0).into_stored().unwrap();
    let canonical = String::from_utf8(stored.canonical(&tenant("a"), 1)).unwrap();
    let wanted = r#"{"action":"user.suspend","actor":"staff/7","after":"{\"state\":\"suspended\"}","at_ms":"1700000000000","before":"{\"n\":0,\"state\":\"active\"}","request_id":"request-0","resource":"user/1","sequence":"1","tenant":"a"}"#;
    assert_eq!(canonical, wanted);
}

#[tokio::test]
async fn every_change_is_found_at_its_place() {
    let changed = |sequence| Broken::Hash { sequence };
    let missing = |sequence| Broken::Missing { sequence };
    for Engine { db, name, .. } in engines(SCHEMAS).await {
        let cases: [(&'static crate::db::Statement, Broken); 10] = [
            (&SET_AT, changed(4)),
            (&SET_ACTOR, changed(4)),
            (&SET_ACTION, changed(4)),
            (&SET_RESOURCE, changed(4)),
            (&SET_BEFORE, changed(4)),
            (&SET_AFTER, changed(4)),
            (&SET_REQUEST, changed(4)),
            (&SET_HASH, changed(4)),
            (&SET_SEQUENCE, missing(4)),
            (&REMOVE, missing(4)),
        ];
        for (statement, wanted) in cases {
            for number in 1..=8 {
                add(&db, &tenant("a"), record(number)).await.unwrap();
            }
            assert_eq!(broken(&db).await, None, "{name}");
            change(&db, statement, 4).await;
            assert_eq!(broken(&db).await, Some(wanted), "{name} {}", statement.name());
            start_over(&db).await;
        }
    }
}

async fn start_over(db: &Db) {
    change(db, &CUT, 0).await;
    change(db, &REMOVE_HEAD, 0).await;
}

#[tokio::test]
async fn a_chain_that_was_cut_is_found_by_its_head_or_by_a_checkpoint() {
    for Engine { db, name, .. } in engines(SCHEMAS).await {
        let a = tenant("a");
        for number in 1..=8 {
            add(&db, &a, record(number)).await.unwrap();
        }
        let signer = TestSigner(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap());
        let signed = checkpoint(&db, &a, 5, &signer).await.unwrap();
        let text = serde_json::to_string(&signed).unwrap();
        let signed: SignedCheckpoint = serde_json::from_str(&text).unwrap();
        let public = signer.0.public_key().as_ref().to_vec();
        let opened = signed.open(&public).unwrap();
        assert_eq!(opened.sequence, 8);
        verify(&db, &a, Some(&opened)).await.unwrap();
        for forged in [
            SignedCheckpoint { sequence: 7, ..signed.clone() },
            SignedCheckpoint { at_ms: 6, ..signed.clone() },
            SignedCheckpoint { tenant: "b".to_owned(), ..signed.clone() },
            SignedCheckpoint { key_id: "other".to_owned(), ..signed.clone() },
            SignedCheckpoint { hash: signed.hash.replace(|_| true, "0"), ..signed.clone() },
        ] {
            assert!(matches!(forged.open(&public), Err(CheckpointError::Signature(_))));
        }
        // The end is cut off: the head says so.
        change(&db, &CUT, 6).await;
        assert_eq!(broken(&db).await, Some(Broken::Missing { sequence: 6 }), "{name}");
        // The head is moved along: only the checkpoint knows.
        change(&db, &SET_HEAD, 5).await;
        assert_eq!(broken(&db).await, None, "{name}");
        let error = verify(&db, &a, Some(&opened)).await.unwrap_err();
        assert!(error.to_string().contains("record 6 is missing"), "{error}");
        // And other records in their place don't help.
        for number in 6..=9 {
            add(&db, &a, record(number + 100)).await.unwrap();
        }
        assert_eq!(broken(&db).await, None, "{name}");
        let error = verify(&db, &a, Some(&opened)).await.unwrap_err();
        assert!(error.to_string().contains("record 8 is another"), "{error}");
        change(&db, &MOVE_HEAD_BACK, 0).await;
        assert_eq!(broken(&db).await, Some(Broken::BehindHead { sequence: 9 }), "{name}");
        assert!(verify(&db, &tenant("b"), Some(&opened)).await.is_err());
    }
}

struct TestSigner(Ed25519KeyPair);

impl Signer for TestSigner {
    fn key_id(&self) -> &str {
        "test"
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_writers_make_one_chain() {
    for Engine { db, name, .. } in engines(SCHEMAS).await {
        let writers: Vec<_> = (0..16)
            .map(|writer| {
                let db = db.clone();
                tokio::spawn(async move {
                    for number in 0..20 {
                        add(&db, &tenant("a"), record(writer * 100 + number)).await.unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(verify(&db, &tenant("a"), None).await.unwrap().records, 320, "{name}");
        let row = db.tenant(&tenant("a")).query_one(&COUNT, params![]).await.unwrap();
        assert_eq!(row.decode::<(i64, i64)>().unwrap(), (320, 320), "{name}");
    }
}

#[tokio::test]
async fn records_without_an_exact_form_are_refused() {
    let engine = crate::db::testing::sqlite(SCHEMAS).await;
    let db = engine.db.clone();
    for record in [
        Record { before: Some(json!({ "n": 9_007_199_254_740_993_u64 })), ..record(1) },
        Record { after: Some(json!([-9_007_199_254_740_993_i64])), ..record(1) },
        Record { after: Some(json!("x".repeat(70_000))), ..record(1) },
        Record { actor: String::new(), ..record(1) },
        Record { resource: "x".repeat(300), ..record(1) },
    ] {
        assert!(add(&db, &tenant("a"), record).await.is_err());
    }
    assert_eq!(verify(&db, &tenant("a"), None).await.unwrap().records, 0);
}
