//! Claims on a store where nobody notices that their holder is gone.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use platform::objects::{ObjectError, PutMode};

use super::{key, rig};

const MINUTE_MS: u64 = 60 * 1_000;

fn in_minutes(minutes: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_millis() as u64 + minutes * MINUTE_MS
}

#[tokio::test]
async fn a_claim_is_free_an_hour_after_its_last_sign_of_life() {
    let rig = rig().await;
    let (store, place) = (&rig.store, key("ingests/film/0192"));
    assert!(store.take_over(&place, in_minutes(0)).await.unwrap().is_none());
    let asleep = store.claim(&place).await.unwrap();
    asleep.confirm().await.unwrap();
    assert!(store.take_over(&place, in_minutes(55)).await.unwrap().is_none());

    // Of two who clean up at the same time, one does.
    let late = in_minutes(65);
    let (one, other) = tokio::join!(store.take_over(&place, late), store.take_over(&place, late));
    let mut taken: Vec<_> = [one, other].into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(taken.len(), 1);
    // A holder that wakes up again finds out.
    assert!(matches!(asleep.confirm().await, Err(ObjectError::Changed { .. })));
    let taken = taken.remove(0);
    taken.confirm().await.unwrap();
    taken.release().await.unwrap();
    assert!(matches!(asleep.confirm().await, Err(ObjectError::Changed { .. })));
    assert!(store.list(None, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_no_claim_is_left_alone() {
    let rig = rig().await;
    let place = key("ingests/film/0192");
    rig.store.put(&place, Bytes::from_static(b"mine"), PutMode::Overwrite).await.unwrap();
    let refused = rig.store.take_over(&place, u64::MAX).await.unwrap_err().to_string();
    assert!(refused.contains("no claim"), "{refused}");
}
