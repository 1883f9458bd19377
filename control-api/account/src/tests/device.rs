use std::sync::Arc;

use super::races::{CLIENTS, at_once};
use crate::device::DeviceCode;
use crate::session::SignedIn;
use crate::testing::{World, client, worlds};

fn code<T: std::fmt::Debug>(result: Result<T, api::ApiError>) -> &'static str {
    result.expect_err("it is refused").code()
}

async fn start(world: &World) -> DeviceCode {
    world.accounts.start_device(&world.tenant, &client(), "Living room").await.unwrap()
}

async fn tokens(world: &World, device: &DeviceCode) -> api::Result<SignedIn> {
    world.accounts.device_tokens(&world.tenant, &client(), &device.device_code).await
}

async fn decide(world: &World, user_id: &str, typed: &str, approve: bool) -> api::Result<()> {
    world.accounts.decide_device(&world.tenant, &client(), user_id, (typed, approve)).await
}

#[tokio::test]
async fn an_approved_television_gets_tokens_once() {
    for world in worlds().await {
        world.person("ann@example.com").await;
        let ann = world.signed_in("ann@example.com", "phone").await;
        let device = start(&world).await;
        assert_eq!(device.verification_uri, "https://tv.example/device");
        assert!(device.verification_uri_complete.ends_with(&device.user_code));
        assert_eq!((device.expires_in, device.interval), (600, 5));

        assert_eq!(code(tokens(&world, &device).await), "authorization_pending");
        world.advance_ms(5_000);
        assert_eq!(code(tokens(&world, &device).await), "authorization_pending");
        let typed = device.user_code.to_lowercase().replace('-', " ");
        let accounts = &world.accounts;
        let shown = accounts.look_up_device(&world.tenant, &ann.user_id, &typed).await.unwrap();
        assert_eq!(shown.user_code, device.user_code);
        assert_eq!(
            (shown.device_name.as_str(), shown.network.as_str()),
            ("Living room", "192.0.2.7")
        );
        decide(&world, &ann.user_id, &typed, true).await.unwrap();
        assert_eq!(code(decide(&world, &ann.user_id, &typed, false).await), "device_code_unknown");

        let television = tokens(&world, &device).await.unwrap();
        assert_eq!(television.user_id, ann.user_id);
        assert_eq!(code(tokens(&world, &device).await), "expired_token");
        let list = accounts.list_sessions(&world.tenant, &ann.user_id, "").await.unwrap();
        assert!(list.iter().any(|session| session.device_name == "Living room"));
        assert!(world.actions().contains(&"device.approve"));
        let client = client();
        accounts.refresh(&world.tenant, &client, &television.refresh_token).await.unwrap();
    }
}

#[tokio::test]
async fn who_asks_too_often_is_slowed_down() {
    for world in worlds().await {
        let device = start(&world).await;
        assert_eq!(code(tokens(&world, &device).await), "authorization_pending");
        world.advance_ms(1_000);
        assert_eq!(code(tokens(&world, &device).await), "slow_down");
        // The interval is ten seconds now.
        world.advance_ms(8_000);
        assert_eq!(code(tokens(&world, &device).await), "slow_down");
        world.advance_ms(15_000);
        assert_eq!(code(tokens(&world, &device).await), "authorization_pending");
    }
}

#[tokio::test]
async fn denied_expired_and_invented_codes_bring_nothing() {
    for world in worlds().await {
        world.person("ann@example.com").await;
        let ann = world.signed_in("ann@example.com", "phone").await;
        let denied = start(&world).await;
        decide(&world, &ann.user_id, &denied.user_code, false).await.unwrap();
        assert_eq!(code(tokens(&world, &denied).await), "access_denied");

        let late = start(&world).await;
        world.advance_ms(600_000);
        let typed = late.user_code.as_str();
        assert_eq!(code(decide(&world, &ann.user_id, typed, true).await), "device_code_unknown");
        assert_eq!(code(tokens(&world, &late).await), "expired_token");
        let invented = DeviceCode { device_code: "A".repeat(43), ..late };
        assert_eq!(code(tokens(&world, &invented).await), "expired_token");
        // The two codes alone: windows of attempts are a quarter of an hour long.
        assert_eq!(world.accounts.sweep().await.unwrap(), 2);
    }
}

#[tokio::test]
async fn typing_codes_is_bounded() {
    for world in worlds().await {
        world.person("ann@example.com").await;
        let ann = world.signed_in("ann@example.com", "phone").await;
        let device = start(&world).await;
        for _ in 0..10 {
            let typed = "BCDF-GHJK";
            let looked = world.accounts.look_up_device(&world.tenant, &ann.user_id, typed).await;
            assert_eq!(code(looked), "device_code_unknown");
        }
        let decided = decide(&world, &ann.user_id, &device.user_code, true).await;
        assert_eq!(code(decided), "too_many_attempts");
        world.advance_ms(5_000);
        assert_eq!(code(tokens(&world, &device).await), "authorization_pending");
    }
}

/// All sessions ended between the approval and the tokens.
#[tokio::test]
async fn an_approval_does_not_outlive_the_end_of_all_sessions() {
    for world in worlds().await {
        world.person("ann@example.com").await;
        let ann = world.signed_in("ann@example.com", "phone").await;
        let device = start(&world).await;
        decide(&world, &ann.user_id, &device.user_code, true).await.unwrap();
        world.accounts.end_all_sessions(&world.tenant, &ann.user_id, &client()).await.unwrap();
        assert_eq!(code(tokens(&world, &device).await), "expired_token");
        let list = world.accounts.list_sessions(&world.tenant, &ann.user_id, "").await.unwrap();
        assert!(list.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_fetch_at_once_one_gets_tokens() {
    for world in worlds().await {
        world.person("ann@example.com").await;
        let ann = world.signed_in("ann@example.com", "phone").await;
        let device = start(&world).await;
        decide(&world, &ann.user_id, &device.user_code, true).await.unwrap();
        let world = Arc::new(world);
        let fetched = at_once(|_| {
            let (world, device) = (world.clone(), device.clone());
            async move { tokens(&world, &device).await }
        })
        .await;
        assert_eq!(fetched.iter().filter(|tokens| tokens.is_ok()).count(), 1, "{}", world.name());
        assert_eq!(fetched.len(), CLIENTS);
    }
}
