use std::sync::Arc;

use serde_json::json;

use super::races::{CLIENTS, accounts_to_race, at_once};
use crate::profile::{Change, Wish};
use crate::testing::{START_MS, World, worlds};
use crate::watch::Heartbeat;

fn code<T: std::fmt::Debug>(result: Result<T, api::ApiError>) -> &'static str {
    result.expect_err("it is refused").code()
}

fn named(name: &str) -> Wish {
    Wish { name: Some(name.to_owned()), ..Wish::default() }
}

/// A person with one profile: their id and its.
async fn household(world: &World) -> (String, String) {
    world.person("ann@example.com").await;
    let ann = world.signed_in("ann@example.com", "tv").await.user_id;
    let profile = world.accounts.add_profile(&world.tenant, &ann, named("Ann")).await.unwrap();
    (ann, profile.id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn profiles_made_at_once_never_exceed_the_tier() {
    for world in worlds().await {
        let world = Arc::new(world);
        for account in 0..accounts_to_race() {
            let email = format!("p{account}@example.com");
            world.person(&email).await;
            let user_id = world.signed_in(&email, "tv").await.user_id;
            let made = at_once(|index| {
                let (world, user_id) = (world.clone(), user_id.clone());
                async move {
                    let wish = named(&format!("profile {index}"));
                    world.accounts.add_profile(&world.tenant, &user_id, wish).await
                }
            })
            .await;
            let kept = world.accounts.profiles(&world.tenant, &user_id).await.unwrap();
            assert_eq!(kept.len(), 3, "{}", world.name());
            let refused: Vec<_> = made.into_iter().filter_map(Result::err).collect();
            assert_eq!(refused.len(), CLIENTS - 3);
            assert!(refused.iter().all(|error| error.code() == "too_many_profiles"));
        }
    }
}

#[tokio::test]
async fn a_pin_guards_and_locks() {
    for world in worlds().await {
        let (accounts, tenant) = (&world.accounts, &world.tenant);
        let (ann, id) = household(&world).await;
        let session = world.signed_in("ann@example.com", "tv").await.session_id;
        let which = (ann.as_str(), id.as_str());
        let wish = Wish { pin: Change::Set("4711".to_owned()), ..Wish::default() };
        let changed = accounts.change_profile(tenant, which, wish, None, None).await.unwrap();
        assert!(changed.has_pin);
        let select = async |pin: Option<&str>| {
            accounts.select_profile(tenant, (&ann, &session), &id, pin).await
        };
        assert_eq!(code(select(None).await), "pin_required");
        select(Some("4711")).await.unwrap();
        let unguarded = Wish { pin: Change::Clear, ..Wish::default() };
        let cleared = accounts.change_profile(tenant, which, unguarded, None, None).await;
        assert_eq!(code(cleared), "pin_required");
        for _ in 0..5 {
            assert_eq!(code(select(Some("0000")).await), "wrong_pin");
        }
        assert_eq!(code(select(Some("4711")).await), "too_many_attempts");
        world.advance_ms(16 * 60_000);
        select(Some("4711")).await.unwrap();
    }
}

#[tokio::test]
async fn changes_are_compared_and_the_last_profile_stays() {
    for world in worlds().await {
        let (accounts, tenant) = (&world.accounts, &world.tenant);
        let (ann, id) = household(&world).await;
        let which = (ann.as_str(), id.as_str());
        let first = api::IfMatch::Versions(vec![1]);
        let patch = json!({"autoplay": false, "captions": {"size": "large"}});
        let (value, version) =
            accounts.patch_preferences(tenant, which, &patch, Some(&first)).await.unwrap();
        assert_eq!((value, version), (patch, 2));
        let stale = accounts.change_profile(tenant, which, named("A"), None, Some(&first)).await;
        assert_eq!(code(stale), "version_mismatch");
        assert_eq!(code(accounts.remove_profile(tenant, &ann, &id, None).await), "last_profile");
        accounts.add_profile(tenant, &ann, named("Bob")).await.unwrap();
        accounts.remove_profile(tenant, &ann, &id, None).await.unwrap();
        assert_eq!(code(accounts.profile(tenant, &ann, &id).await), "profile_not_found");
        // Another person's profile is none.
        world.person("bob@example.com").await;
        let bob = world.signed_in("bob@example.com", "tv").await.user_id;
        let anns = accounts.profiles(tenant, &ann).await.unwrap().pop().unwrap().id;
        assert_eq!(code(accounts.profile(tenant, &bob, &anns).await), "profile_not_found");
    }
}

/// A UUIDv7 of this moment.
fn playback(at_ms: i64) -> String {
    crate::accounts::new_id(at_ms)
}

fn beat(playback_id: &str, client_seq: i64, position_ms: i64) -> Heartbeat {
    let playback_id = playback_id.to_owned();
    Heartbeat { playback_id, client_seq, position_ms, duration_ms: 6_000_000, credits_ms: None }
}

#[tokio::test]
async fn late_heartbeats_do_not_rewind() {
    for world in worlds().await {
        let (accounts, tenant) = (&world.accounts, &world.tenant);
        let (ann, id) = household(&world).await;
        let whose = (ann.as_str(), id.as_str());
        let send = async |beat: Heartbeat| {
            accounts.heartbeat(tenant, whose, "film", beat).await.unwrap().position_ms
        };
        let (first, second) = (playback(START_MS), playback(START_MS + 10_000));
        assert_eq!(send(beat(&first, 1, 60_000)).await, 60_000);
        assert_eq!(send(beat(&first, 3, 180_000)).await, 180_000);
        assert_eq!(send(beat(&first, 2, 120_000)).await, 180_000, "late");
        assert_eq!(send(beat(&first, 4, 90_000)).await, 90_000, "the viewer went back");
        world.advance_ms(20_000);
        assert_eq!(send(beat(&second, 1, 30_000)).await, 30_000, "begun anew");
        assert_eq!(send(beat(&first, 99, 500_000)).await, 30_000, "of the playback before");

        let list = accounts.history(tenant, whose, true, None, 10).await.unwrap();
        assert_eq!(list.len(), 1);
        assert_eq!(send(beat(&second, 2, 5_700_000)).await, 5_700_000);
        assert!(accounts.history(tenant, whose, true, None, 10).await.unwrap().is_empty());
        let all = accounts.history(tenant, whose, false, None, 10).await.unwrap();
        assert!(all[0].is_completed && all[0].completed_at_ms.is_some());

        let future = beat(&playback(START_MS + 3_600_000), 1, 1);
        let refused = accounts.heartbeat(tenant, whose, "film", future).await;
        assert_eq!(code(refused), "validation_failed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn heartbeats_at_once_leave_the_latest() {
    for world in worlds().await {
        let world = Arc::new(world);
        let (ann, id) = household(&world).await;
        let playback_id = playback(START_MS);
        at_once(|index| {
            let (world, ann, id) = (world.clone(), ann.clone(), id.clone());
            let beat = beat(&playback_id, index as i64, index as i64 * 1_000);
            async move {
                let whose = (ann.as_str(), id.as_str());
                world.accounts.heartbeat(&world.tenant, whose, "film", beat).await.unwrap();
            }
        })
        .await;
        let whose = (ann.as_str(), id.as_str());
        let kept = world.accounts.history(&world.tenant, whose, false, None, 10).await.unwrap();
        assert_eq!(kept[0].position_ms, (CLIENTS as i64 - 1) * 1_000, "{}", world.name());
    }
}

#[tokio::test]
async fn lists_are_paged_and_puts_are_idempotent() {
    for world in worlds().await {
        let (accounts, tenant) = (&world.accounts, &world.tenant);
        let (ann, id) = household(&world).await;
        let whose = (ann.as_str(), id.as_str());
        for title in ["a", "b", "c", "b"] {
            accounts.keep_for_later(tenant, whose, title).await.unwrap();
            world.advance_ms(10);
        }
        let titles = |items: Vec<crate::watch::ListItem>| {
            items.into_iter().map(|item| item.content_id).collect::<Vec<_>>()
        };
        let page = accounts.watchlist(tenant, whose, None, 2).await.unwrap();
        let after = page.last().map(|item| (item.added_at_ms, item.content_id.clone()));
        assert_eq!(titles(page), ["c", "b"], "{}", world.name());
        assert_eq!(titles(accounts.watchlist(tenant, whose, after, 2).await.unwrap()), ["a"]);
        accounts.drop_from_list(tenant, whose, "b").await.unwrap();
        assert_eq!(code(accounts.drop_from_list(tenant, whose, "b").await), "not_in_list");
    }
}
