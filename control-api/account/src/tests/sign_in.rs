use api::{AuthError, Authenticator, Caller, Credentials as Offered, Tenant};
use platform::db::TenantId;

use crate::login::{Credentials, Login};
use crate::mail::Template;
use crate::register::{Confirmation, Registration};
use crate::session::model::GRACE_MS;
use crate::testing::{PASSWORD, World, client, worlds};

fn code<T: std::fmt::Debug>(result: Result<T, api::ApiError>) -> &'static str {
    result.expect_err("it is refused").code()
}

async fn viewer(world: &World, token: &str) -> Result<String, &'static str> {
    let tenant = Tenant(world.tenant.clone());
    match world.accounts.authenticate(&tenant, Offered::Bearer(token)).await {
        Ok(Caller::Viewer(viewer)) => Ok(viewer.user_id),
        Ok(_) => Err("somebody else"),
        Err(AuthError::Revoked) => Err("revoked"),
        Err(AuthError::Expired) => Err("expired"),
        Err(_) => Err("invalid"),
    }
}

#[tokio::test]
async fn from_registration_to_logout() {
    for world in worlds().await {
        let (accounts, tenant) = (&world.accounts, &world.tenant);
        let registration = Registration {
            email: "Ann@Example.com".to_owned(),
            password: PASSWORD.to_owned(),
            country: Some("NL".to_owned()),
            locale: Some("nl".to_owned()),
        };
        accounts.register(tenant, &client(), &registration).await.unwrap();
        assert_eq!(code(world.login("ann@example.com", "tv").await), "email_unverified");
        assert_eq!(world.registered(), 0);

        let mail = world.mails_to("Ann@Example.com").pop().unwrap();
        assert_eq!(mail.template, Template::Verify);
        let confirmation =
            Confirmation::Code { email: "ANN@example.com".to_owned(), code: mail.code.unwrap() };
        accounts.verify(tenant, &confirmation).await.unwrap();
        assert_eq!(code(accounts.verify(tenant, &confirmation).await), "link_invalid");
        assert_eq!(world.registered(), 1);

        let signed_in = world.signed_in("ann@example.com", "tv").await;
        assert_eq!(viewer(&world, &signed_in.access_token).await, Ok(signed_in.user_id.clone()));
        let list = accounts
            .list_sessions(tenant, &signed_in.user_id, &signed_in.session_id)
            .await
            .unwrap();
        assert_eq!((list.len(), list[0].is_current), (1, true));

        world.advance_ms(600_000);
        let next = accounts.refresh(tenant, &client(), &signed_in.refresh_token).await.unwrap();
        assert_eq!(next.session_id, signed_in.session_id);
        assert_ne!(next.refresh_token, signed_in.refresh_token);

        accounts.end_session(tenant, &next.user_id, &next.session_id, &client()).await.unwrap();
        assert_eq!(viewer(&world, &next.access_token).await, Err("revoked"));
        let again = accounts.refresh(tenant, &client(), &next.refresh_token).await;
        assert_eq!(code(again), "invalid_refresh_token");
        assert_eq!(world.actions(), ["session.begin", "session.end"]);
    }
}

#[tokio::test]
async fn an_answer_tells_nobody_whether_an_address_is_known() {
    for world in worlds().await {
        let (accounts, tenant) = (&world.accounts, &world.tenant);
        world.person("ann@example.com").await;
        let registration = Registration {
            email: "ann@example.com".to_owned(),
            password: "another long password".to_owned(),
            ..Registration::default()
        };
        accounts.register(tenant, &client(), &registration).await.unwrap();
        let mail = world.mails_to("ann@example.com").pop().unwrap();
        assert_eq!(mail.template, Template::AlreadyRegistered);
        // The password is still the first one.
        world.signed_in("ann@example.com", "tv").await;

        for (email, password) in [("ann@example.com", "wrong"), ("bob@example.com", PASSWORD)] {
            let credentials = Credentials {
                email: email.to_owned(),
                password: password.to_owned(),
                ..Credentials::default()
            };
            let login = accounts.login(tenant, &client(), &credentials).await;
            assert_eq!(code(login), "invalid_credentials");
        }
        let sent = world.mails_to("bob@example.com").len();
        accounts.forgot_password(tenant, &client(), "bob@example.com").await.unwrap();
        accounts.resend_verification(tenant, "bob@example.com").await.unwrap();
        assert_eq!(world.mails_to("bob@example.com").len(), sent);
    }
}

/// Who prepares an account for somebody else doesn't have its password once they confirm it.
#[tokio::test]
async fn the_confirmed_registration_sets_the_password() {
    for world in worlds().await {
        let (accounts, tenant) = (&world.accounts, &world.tenant);
        let register = async |password: &str| {
            let registration = Registration {
                email: "ann@example.com".to_owned(),
                password: password.to_owned(),
                ..Registration::default()
            };
            accounts.register(tenant, &client(), &registration).await.unwrap();
            world.token_mailed_to("ann@example.com")
        };
        register("the attacker's choice").await;
        let mine = register(PASSWORD).await;
        register("the attacker once more").await;
        accounts.verify(tenant, &Confirmation::Token(mine)).await.unwrap();
        world.signed_in("ann@example.com", "tv").await;
    }
}

#[tokio::test]
async fn weak_passwords_and_broken_addresses_are_told_together() {
    for world in worlds().await {
        let registration = Registration {
            email: "ann".to_owned(),
            password: "password".to_owned(),
            ..Registration::default()
        };
        let error = world.accounts.register(&world.tenant, &client(), &registration).await;
        let error = error.unwrap_err();
        let pointers: Vec<_> = error.fields().iter().map(|field| field.pointer.as_ref()).collect();
        assert_eq!((error.code(), pointers), ("validation_failed", vec!["/email", "/password"]));
    }
}

#[tokio::test]
async fn a_used_refresh_token_ends_the_session_after_the_grace() {
    for world in worlds().await {
        let (accounts, tenant) = (&world.accounts, &world.tenant);
        world.person("ann@example.com").await;
        let first = world.signed_in("ann@example.com", "tv").await;
        let refresh = async |token: &str| accounts.refresh(tenant, &client(), token).await;
        let second = refresh(&first.refresh_token).await.unwrap();
        let repeated = refresh(&first.refresh_token).await.unwrap();
        assert_eq!(repeated.refresh_token, second.refresh_token, "{}", world.name());

        world.advance_ms(GRACE_MS + 1);
        assert_eq!(code(refresh(&first.refresh_token).await), "refresh_token_reused");
        assert_eq!(code(refresh(&second.refresh_token).await), "invalid_refresh_token");
        assert_eq!(viewer(&world, &second.access_token).await, Err("revoked"));
        assert!(world.actions().contains(&"session.refresh_reused"));
    }
}

#[tokio::test]
async fn the_least_recently_used_device_gives_way() {
    for world in worlds().await {
        let (accounts, tenant) = (&world.accounts, &world.tenant);
        world.person("ann@example.com").await;
        let mut sessions = Vec::new();
        for device in ["tv", "phone"] {
            sessions.push(world.signed_in("ann@example.com", device).await);
            world.advance_ms(1_000);
        }
        accounts.refresh(tenant, &client(), &sessions[0].refresh_token).await.unwrap();
        world.advance_ms(1_000);
        let third = world.signed_in("ann@example.com", "tablet").await;
        let list = accounts.list_sessions(tenant, &third.user_id, &third.session_id).await.unwrap();
        let devices: Vec<_> = list.iter().map(|session| session.device_name.as_str()).collect();
        assert_eq!(devices, ["tablet", "tv"], "{}", world.name());
        assert_eq!(viewer(&world, &sessions[1].access_token).await, Err("revoked"));
        // The same device once more replaces its own session.
        world.signed_in("ann@example.com", "tablet").await;
        assert_eq!(viewer(&world, &sessions[0].access_token).await, Ok(third.user_id));
    }
}

#[tokio::test]
async fn everywhere_means_everywhere() {
    for world in worlds().await {
        let (accounts, tenant) = (&world.accounts, &world.tenant);
        world.person("ann@example.com").await;
        let one = world.signed_in("ann@example.com", "tv").await;
        let two = world.signed_in("ann@example.com", "phone").await;
        accounts.end_all_sessions(tenant, &one.user_id, &client()).await.unwrap();
        for session in [&one, &two] {
            assert_eq!(viewer(&world, &session.access_token).await, Err("revoked"));
            let refreshed = accounts.refresh(tenant, &client(), &session.refresh_token).await;
            assert_eq!(code(refreshed), "invalid_refresh_token");
        }
        world.signed_in("ann@example.com", "tv").await;
    }
}

#[tokio::test]
async fn wrong_passwords_are_counted_and_a_right_one_forgives() {
    for world in worlds().await {
        let (accounts, tenant) = (&world.accounts, &world.tenant);
        world.person("ann@example.com").await;
        let wrong = Credentials {
            email: "ann@example.com".to_owned(),
            password: "wrong".to_owned(),
            ..Credentials::default()
        };
        let attempt = async || code(accounts.login(tenant, &client(), &wrong).await);
        for _ in 0..9 {
            assert_eq!(attempt().await, "invalid_credentials");
        }
        world.signed_in("ann@example.com", "tv").await;
        for _ in 0..10 {
            assert_eq!(attempt().await, "invalid_credentials");
        }
        let error = accounts.login(tenant, &client(), &wrong).await.unwrap_err();
        assert_eq!((error.code(), error.status().as_u16()), ("too_many_attempts", 429));
        assert!(error.retry_after_seconds().is_some_and(|seconds| (1..=901).contains(&seconds)));
        assert_eq!(code(world.login("ann@example.com", "tv").await), "too_many_attempts");
        // Another network is not kept out by it.
        let elsewhere =
            crate::accounts::Client { address: Some("198.51.100.1".parse().unwrap()), ..client() };
        let login = accounts.login(tenant, &elsewhere, &wrong).await;
        assert_eq!(code(login), "invalid_credentials");
        world.advance_ms(16 * 60_000);
        world.signed_in("ann@example.com", "tv").await;
    }
}

#[tokio::test]
async fn a_reset_ends_sessions_and_its_token_is_good_once() {
    for world in worlds().await {
        let (accounts, tenant) = (&world.accounts, &world.tenant);
        world.person("ann@example.com").await;
        let session = world.signed_in("ann@example.com", "tv").await;
        accounts.forgot_password(tenant, &client(), "ann@example.com").await.unwrap();
        let token = world.token_mailed_to("ann@example.com");
        let reset = async |password: &str| {
            accounts.reset_password(tenant, &client(), (&token, password)).await
        };
        assert_eq!(code(reset("12345678").await), "validation_failed", "and costs no token");
        reset("a new long password").await.unwrap();
        assert_eq!(code(reset("a third long password").await), "link_invalid");
        assert_eq!(viewer(&world, &session.access_token).await, Err("revoked"));
        assert_eq!(code(world.login("ann@example.com", "tv").await), "invalid_credentials");
        let mail = world.mails_to("ann@example.com").pop().unwrap();
        assert_eq!(mail.template, Template::PasswordChanged);
    }
}

#[tokio::test]
async fn a_changed_password_spares_the_session_that_asks() {
    for world in worlds().await {
        let (accounts, tenant) = (&world.accounts, &world.tenant);
        world.person("ann@example.com").await;
        let mine = world.signed_in("ann@example.com", "tv").await;
        let other = world.signed_in("ann@example.com", "phone").await;
        let who = (mine.user_id.as_str(), mine.session_id.as_str());
        let wrong = ("no", "new password 1");
        let wrong = accounts.change_password(tenant, &client(), who, wrong).await;
        assert_eq!(code(wrong), "wrong_password");
        accounts
            .change_password(tenant, &client(), who, (PASSWORD, "new password 1"))
            .await
            .unwrap();
        assert_eq!(viewer(&world, &mine.access_token).await, Ok(mine.user_id.clone()));
        accounts.refresh(tenant, &client(), &mine.refresh_token).await.unwrap();
        assert_eq!(viewer(&world, &other.access_token).await, Err("revoked"));
    }
}

#[tokio::test]
async fn a_new_address_is_confirmed_before_it_counts() {
    for world in worlds().await {
        let (accounts, tenant) = (&world.accounts, &world.tenant);
        world.person("ann@example.com").await;
        world.person("bob@example.com").await;
        let ann = world.signed_in("ann@example.com", "tv").await;
        let change = async |email: &str| {
            accounts.change_email(tenant, &ann.user_id, (PASSWORD, email)).await.unwrap();
            world.token_mailed_to(email)
        };
        let token = change("bob@example.com").await;
        assert_eq!(code(accounts.confirm_email(tenant, &client(), &token).await), "email_taken");
        let token = change("Ann.New@example.com").await;
        assert_eq!(code(world.login("ann.new@example.com", "tv").await), "invalid_credentials");
        accounts.confirm_email(tenant, &client(), &token).await.unwrap();
        assert_eq!(code(accounts.confirm_email(tenant, &client(), &token).await), "link_invalid");
        world.signed_in("ann.new@example.com", "tv").await;
        let told = world.mails_to("ann@example.com").pop().unwrap();
        assert_eq!(told.template, Template::EmailChanged);
    }
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    for world in worlds().await {
        world.person("ann@example.com").await;
        let ann = world.signed_in("ann@example.com", "tv").await;
        let other = TenantId::new("t2").unwrap();
        let accounts = &world.accounts;
        let credentials = Credentials {
            email: "ann@example.com".to_owned(),
            password: PASSWORD.to_owned(),
            ..Credentials::default()
        };
        let login = accounts.login(&other, &client(), &credentials).await;
        assert_eq!(code(login), "invalid_credentials");
        let refreshed = accounts.refresh(&other, &client(), &ann.refresh_token).await;
        assert_eq!(code(refreshed), "invalid_refresh_token");
        let there = Tenant(other.clone());
        let found = accounts.authenticate(&there, Offered::Bearer(&ann.access_token)).await;
        assert!(matches!(found, Err(AuthError::Invalid)));
        let ended = accounts.end_session(&other, &ann.user_id, &ann.session_id, &client()).await;
        assert_eq!(code(ended), "session_not_found");
        assert!(accounts.list_sessions(&other, &ann.user_id, "").await.unwrap().is_empty());
        assert_eq!(viewer(&world, &ann.access_token).await, Ok(ann.user_id));
        // The same address is another person there.
        let registration = Registration {
            email: "ann@example.com".to_owned(),
            password: PASSWORD.to_owned(),
            ..Registration::default()
        };
        accounts.register(&other, &client(), &registration).await.unwrap();
        let login = accounts.login(&other, &client(), &credentials).await;
        assert_eq!(code(login), "email_unverified");
    }
}

#[tokio::test]
async fn an_imported_bcrypt_hash_is_replaced_at_sign_in() {
    for world in worlds().await {
        world.person("ann@example.com").await;
        let ann = world.signed_in("ann@example.com", "tv").await;
        let scope = world.accounts.scope(&world.tenant);
        let imported = bcrypt::hash(PASSWORD, 12).unwrap();
        scope
            .tx((ann.user_id.clone(), imported), |tx, (user_id, hash)| {
                Box::pin(crate::user::put_hash(tx, user_id, hash, 0))
            })
            .await
            .unwrap();
        assert!(matches!(world.login("ann@example.com", "tv").await, Ok(Login::SignedIn(_))));
        let kept = crate::user::hash_of(&scope, &ann.user_id).await.unwrap().unwrap();
        assert!(kept.starts_with("$argon2id$"), "{kept}");
        world.signed_in("ann@example.com", "tv").await;
    }
}

#[tokio::test]
async fn what_has_expired_is_swept_and_nothing_else() {
    for world in worlds().await {
        let (accounts, tenant) = (&world.accounts, &world.tenant);
        world.person("ann@example.com").await;
        world.signed_in("ann@example.com", "tv").await;
        let registration = Registration {
            email: "bob@example.com".to_owned(),
            password: PASSWORD.to_owned(),
            ..Registration::default()
        };
        accounts.register(tenant, &client(), &registration).await.unwrap();
        assert_eq!(accounts.sweep().await.unwrap(), 0, "{}", world.name());
        world.advance_ms(8 * 24 * 3_600 * 1_000);
        // A token, three counts of mails and registrations, and the account it was for.
        assert!(accounts.sweep().await.unwrap() >= 3, "{}", world.name());
        assert_eq!(code(world.login("bob@example.com", "tv").await), "invalid_credentials");
        world.signed_in("ann@example.com", "tv").await;
    }
}
