use std::sync::atomic::{AtomicI64, Ordering};

use axum::extract::FromRequest;
use http::Request;
use platform::db::{Db, testing};
use serde_json::json;

use super::store::scope;
use super::*;
use crate::testing::{Signed, signed};

const NOW: i64 = 1_800_000_000_000;

/// The claim of a request as a handler gets it.
async fn claim(tenant: &str, user: &str, key: &str, body: &serde_json::Value) -> Claim {
    let request = Request::builder()
        .method("POST")
        .uri("/v1/orders")
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .body(Body::from(body.to_string()))
        .unwrap();
    let request = signed(request, &Signed::viewer(tenant, user));
    Idempotent::<serde_json::Value>::from_request(request, &()).await.unwrap().claim
}

/// One effect: counts how often it happens, which stands in for a row of a domain.
async fn run(db: &Db, tenant: &str, claim: Claim, now_ms: i64) -> Result<Recorded, ApiError> {
    static NUMBER: AtomicI64 = AtomicI64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    scope(db, tenant)
        .tx((claim, number, now_ms), |tx, (claim, number, now_ms)| {
            Box::pin(async move {
                match claim.claim(tx, *now_ms).await? {
                    Claimed::Earlier(answer) => Ok(answer),
                    Claimed::Mine => {
                        let answer = Recorded::json(StatusCode::CREATED, number)?
                            .header(&header::LOCATION, format!("/v1/orders/{number}"));
                        claim.complete(tx, *now_ms, answer).await
                    }
                }
            })
        })
        .await
}

#[tokio::test]
async fn a_request_sent_again_gets_the_answer_of_then() {
    for engine in testing::engines(&[SCHEMA]).await {
        let db = &engine.db;
        let body = json!({"film": 1});
        let first = run(db, "a", claim("a", "u", "k", &body).await, NOW).await.unwrap();
        assert!(!first.is_earlier());
        let again = run(db, "a", claim("a", "u", "k", &body).await, NOW + 5).await.unwrap();
        assert!(again.is_earlier(), "{}", engine.name);
        assert_eq!(
            (again.status, &again.headers, &again.body),
            (first.status, &first.headers, &first.body)
        );
        let response = again.into_response();
        assert_eq!(response.headers()["idempotency-replayed"], "true");
        assert!(response.headers().contains_key("location"));
    }
}

#[tokio::test]
async fn keys_belong_to_their_request_principal_and_tenant() {
    for engine in testing::engines(&[SCHEMA]).await {
        let db = &engine.db;
        let body = json!({"film": 1});
        run(db, "a", claim("a", "u", "k", &body).await, NOW).await.unwrap();
        let other = claim("a", "u", "k", &json!({"film": 2})).await;
        let error = run(db, "a", other, NOW).await.unwrap_err();
        assert_eq!((error.status().as_u16(), error.code()), (422, "idempotency_key_reused"));
        for (tenant, user, key) in [("a", "v", "k"), ("b", "u", "k"), ("a", "u", "l")] {
            let fresh = run(db, tenant, claim(tenant, user, key, &body).await, NOW).await.unwrap();
            assert!(!fresh.is_earlier(), "{tenant} {user} {key} {}", engine.name);
        }
    }
}

#[tokio::test]
async fn work_of_two_transactions_is_under_way_between_them() {
    for engine in testing::engines(&[SCHEMA]).await {
        let (db, body) = (&engine.db, json!({}));
        let begin = async |claim: Claim, now_ms: i64| {
            let scope = scope(db, "a");
            let begun = scope.tx((claim, now_ms), |tx, (claim, now_ms)| {
                Box::pin(async move { claim.claim(tx, *now_ms).await })
            });
            begun.await
        };
        let finish = async |claim: Claim, now_ms: i64| {
            let scope = scope(db, "a");
            let finished = scope.tx((claim, now_ms), |tx, (claim, now_ms)| {
                Box::pin(async move {
                    claim.complete(tx, *now_ms, Recorded::empty(StatusCode::NO_CONTENT)).await
                })
            });
            finished.await
        };
        let slow = claim("a", "u", "k", &body).await;
        assert_eq!(begin(slow.clone(), NOW).await.unwrap(), Claimed::Mine);
        let error = begin(claim("a", "u", "k", &body).await, NOW + 1).await.unwrap_err();
        assert_eq!((error.status().as_u16(), error.code()), (409, "idempotency_in_progress"));
        assert_eq!(error.retry_after_seconds(), Some(60));
        // The lease is over: the same request takes the work over, another one may not.
        let late = NOW + LEASE_MS;
        let other = begin(claim("a", "u", "k", &json!([1])).await, late).await.unwrap_err();
        assert_eq!(other.code(), "idempotency_key_reused");
        let heir = claim("a", "u", "k", &body).await;
        assert_eq!(begin(heir.clone(), late).await.unwrap(), Claimed::Mine);
        assert_eq!(finish(slow, late).await.unwrap_err().status().as_u16(), 409);
        assert_eq!(finish(heir, late).await.unwrap().status(), StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn a_failed_effect_leaves_no_record() {
    for engine in testing::engines(&[SCHEMA]).await {
        let (db, body) = (&engine.db, json!({}));
        let failed = scope(db, "a")
            .tx(claim("a", "u", "k", &body).await, |tx, claim| {
                Box::pin(async move {
                    claim.claim(tx, NOW).await?;
                    Err::<(), _>(ApiError::conflict("conflict", "No."))
                })
            })
            .await;
        assert_eq!(failed.unwrap_err().code(), "conflict");
        let again = run(db, "a", claim("a", "u", "k", &body).await, NOW).await.unwrap();
        assert!(!again.is_earlier());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_at_once_one_takes_effect() {
    for engine in testing::engines(&[SCHEMA]).await {
        let body = json!({});
        let mut running = Vec::new();
        for _ in 0..16 {
            let (db, claim) = (engine.db.clone(), claim("a", "u", "k", &body).await);
            running.push(tokio::spawn(async move { run(&db, "a", claim, NOW).await }));
        }
        let mut bodies = Vec::new();
        let mut first = 0;
        for one in running {
            let answer = one.await.unwrap().unwrap();
            first += usize::from(!answer.is_earlier());
            bodies.push(answer.body);
        }
        assert_eq!(first, 1, "{}", engine.name);
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "{}", engine.name);
    }
}

#[tokio::test]
async fn records_go_after_a_day_and_with_their_principal() {
    for engine in testing::engines(&[SCHEMA]).await {
        let (db, body) = (&engine.db, json!({}));
        for (tenant, user) in [("a", "u"), ("b", "u"), ("b", "v")] {
            run(db, tenant, claim(tenant, user, "k", &body).await, NOW).await.unwrap();
        }
        let scope = scope(db, "b");
        let forgotten = scope.tx((), |tx, ()| Box::pin(async move { forget(tx, "user/u").await }));
        forgotten.await.unwrap();
        assert!(
            !run(db, "b", claim("b", "u", "k", &body).await, NOW + 1).await.unwrap().is_earlier()
        );
        assert_eq!(sweep(db, NOW + KEPT_MS - 1).await.unwrap(), 0);
        assert_eq!(sweep(db, NOW + KEPT_MS).await.unwrap(), 2, "{}", engine.name);
        assert!(!run(db, "a", claim("a", "u", "k", &body).await, NOW).await.unwrap().is_earlier());
        // An expired record that nobody has swept yet stops nobody.
        let late = NOW + 2 * KEPT_MS;
        assert!(
            !run(db, "a", claim("a", "u", "k", &json!([1])).await, late)
                .await
                .unwrap()
                .is_earlier()
        );
    }
}

#[tokio::test]
async fn keys_are_sent_once_and_plain() {
    for (keys, code) in [
        (vec![], "idempotency_key_missing"),
        (vec!["a", "b"], "idempotency_key_invalid"),
        (vec![""], "idempotency_key_invalid"),
        (vec!["a b"], "idempotency_key_invalid"),
    ] {
        let mut headers = http::HeaderMap::new();
        for key in &keys {
            headers.append("idempotency-key", HeaderValue::from_str(key).unwrap());
        }
        assert_eq!(IdempotencyKey::of(&headers).unwrap_err().code(), code, "{keys:?}");
    }
    let mut headers = http::HeaderMap::new();
    headers.insert("idempotency-key", HeaderValue::from_static("\"abc\""));
    assert_eq!(IdempotencyKey::of(&headers).unwrap().as_str(), "abc");
}
