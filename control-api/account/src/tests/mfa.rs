use crate::login::Login;
use crate::mfa::SecondFactor;
use crate::otp::TotpKey;
use crate::session::SignedIn;
use crate::testing::{PASSWORD, World, client, worlds};

fn code<T: std::fmt::Debug>(result: Result<T, api::ApiError>) -> &'static str {
    result.expect_err("it is refused").code()
}

fn now(world: &World) -> i64 {
    world.accounts.now_ms()
}

/// Somebody with an app: its key, and the recovery codes.
async fn enrolled(world: &World) -> (SignedIn, TotpKey, Vec<String>) {
    world.person("ann@example.com").await;
    let ann = world.signed_in("ann@example.com", "tv").await;
    let enrolment = world.accounts.enrol_totp(&world.tenant, &ann.user_id, PASSWORD).await.unwrap();
    assert!(enrolment.qr_svg.contains("<svg"));
    let bytes = data_encoding::BASE32_NOPAD.decode(enrolment.secret.as_bytes()).unwrap();
    let key = TotpKey::from_bytes(&bytes).unwrap();
    // Not yet asked for: nobody locks themselves out by half an enrolment.
    world.signed_in("ann@example.com", "tv").await;
    let shown = key.code_at(now(world));
    let codes =
        world.accounts.confirm_totp(&world.tenant, &ann.user_id, &shown, &client()).await.unwrap();
    (ann, key, codes)
}

async fn half_way(world: &World) -> String {
    match world.login("ann@example.com", "phone").await {
        Ok(Login::SecondFactor { token }) => token.text(),
        other => panic!("{}: {other:?}", world.name()),
    }
}

async fn second(world: &World, token: &str, code: &str) -> api::Result<SignedIn> {
    let factor = SecondFactor { token: token.to_owned(), code: code.to_owned() };
    world.accounts.second_factor(&world.tenant, &client(), &factor).await
}

#[tokio::test]
async fn a_code_of_the_app_signs_in_once() {
    for world in worlds().await {
        let (_, key, _) = enrolled(&world).await;
        let token = half_way(&world).await;
        // The code that confirmed the enrolment has been used.
        assert_eq!(code(second(&world, &token, &key.code_at(now(&world))).await), "wrong_code");
        world.advance_ms(30_000);
        let shown = key.code_at(now(&world));
        second(&world, &token, &shown).await.unwrap();
        assert_eq!(code(second(&world, &token, &shown).await), "sign_in_again");
        let token = half_way(&world).await;
        assert_eq!(code(second(&world, &token, &shown).await), "wrong_code", "replayed");
    }
}

#[tokio::test]
async fn recovery_codes_are_good_once_each() {
    for world in worlds().await {
        let (ann, key, codes) = enrolled(&world).await;
        assert_eq!(codes.len(), 10);
        let token = half_way(&world).await;
        second(&world, &token, &codes[0].to_lowercase()).await.unwrap();
        let token = half_way(&world).await;
        assert_eq!(code(second(&world, &token, &codes[0]).await), "wrong_code");
        second(&world, &token, &codes[1]).await.unwrap();
        let view = world.accounts.factors(&world.tenant, &ann.user_id).await.unwrap();
        assert_eq!((view.is_totp_enrolled, view.recovery_codes_left), (true, 8));

        world.advance_ms(60_000);
        let proof = key.code_at(now(&world));
        let accounts = &world.accounts;
        let renewed = accounts
            .renew_recovery_codes(&world.tenant, &ann.user_id, (PASSWORD, &proof), &client())
            .await
            .unwrap();
        let token = half_way(&world).await;
        assert_eq!(code(second(&world, &token, &codes[2]).await), "wrong_code");
        second(&world, &token, &renewed[2]).await.unwrap();
        accounts
            .disable_totp(&world.tenant, &ann.user_id, (PASSWORD, &renewed[3]), &client())
            .await
            .unwrap();
        world.signed_in("ann@example.com", "tv").await;
    }
}

#[tokio::test]
async fn five_wrong_codes_lock_the_factor() {
    for world in worlds().await {
        let (_, key, _) = enrolled(&world).await;
        world.advance_ms(60_000);
        let token = half_way(&world).await;
        for _ in 0..5 {
            assert_eq!(code(second(&world, &token, "000000").await), "wrong_code");
        }
        let shown = key.code_at(now(&world));
        assert_eq!(code(second(&world, &token, &shown).await), "too_many_attempts");
        world.advance_ms(16 * 60_000);
        let token = half_way(&world).await;
        second(&world, &token, &key.code_at(now(&world))).await.unwrap();
    }
}

/// All sessions ended between the password and the code: the half that was shown counts no more.
#[tokio::test]
async fn a_half_sign_in_does_not_outlive_the_end_of_all_sessions() {
    for world in worlds().await {
        let (ann, key, _) = enrolled(&world).await;
        world.advance_ms(30_000);
        let token = half_way(&world).await;
        world.accounts.end_all_sessions(&world.tenant, &ann.user_id, &client()).await.unwrap();
        let shown = key.code_at(now(&world));
        assert_eq!(code(second(&world, &token, &shown).await), "sign_in_again");
    }
}
