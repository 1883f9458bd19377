use std::collections::HashSet;
use std::sync::Arc;

use crate::register::{Confirmation, Registration};
use crate::testing::{PASSWORD, World, client, worlds};

pub(super) const CLIENTS: usize = 16;

/// Accounts that are raced for: real ones in every run, many in long ones.
pub(super) fn accounts_to_race() -> usize {
    if std::env::var_os("STREAMVERSE_LONG").is_some() { 150 } else { 6 }
}

/// Runs the same on many tasks at once.
pub(super) async fn at_once<T, F>(run: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(tokio::sync::Barrier::new(CLIENTS));
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|index| {
            let (barrier, run) = (barrier.clone(), run(index));
            tokio::spawn(async move {
                barrier.wait().await;
                run.await
            })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sign_ins_at_once_never_exceed_the_tier() {
    for world in worlds().await {
        let world = Arc::new(world);
        for account in 0..accounts_to_race() {
            let email = format!("p{account}@example.com");
            world.person(&email).await;
            let signed_in = at_once(|index| {
                let (world, email) = (world.clone(), email.clone());
                async move { begin(&world, &email, &format!("device {index}")).await }
            })
            .await;
            let user_id = user_id(&world, &email).await;
            let list = world.accounts.list_sessions(&world.tenant, &user_id, "").await.unwrap();
            assert_eq!(list.len(), 2, "{}: {email}", world.name());
            assert!(signed_in.iter().filter(|is_in| **is_in).count() >= 2);
        }
    }
}

/// A session without the password, which a race of this many would spend its time on.
async fn begin(world: &World, email: &str, device: &str) -> bool {
    use crate::session::service::Device;
    let accounts = &world.accounts;
    let now_ms = accounts.now_ms();
    let scope = accounts.scope(&world.tenant);
    let user = crate::user::find_by_email(&scope, email).await.unwrap().unwrap();
    let device = Device { id: None, name: device.to_owned() };
    let session = accounts.new_session(&user, &device, &client(), now_ms);
    let begun = scope
        .tx((session, now_ms), |tx, (session, now_ms)| {
            Box::pin(crate::session::service::begin(tx, session, 2, *now_ms))
        })
        .await;
    match begun {
        Ok(_) => true,
        Err(error) if error.status().as_u16() == 503 => false,
        Err(error) => panic!("{}: {error}", world.name()),
    }
}

async fn user_id(world: &World, email: &str) -> String {
    let scope = world.accounts.scope(&world.tenant);
    crate::user::find_by_email(&scope, email).await.unwrap().unwrap().id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn refreshes_at_once_give_one_branch() {
    for world in worlds().await {
        let world = Arc::new(world);
        world.person("ann@example.com").await;
        for _ in 0..accounts_to_race() {
            let ann = world.signed_in("ann@example.com", "tv").await;
            let answers = at_once(|_| {
                let (world, token) = (world.clone(), ann.refresh_token.clone());
                async move { world.accounts.refresh(&world.tenant, &client(), &token).await }
            })
            .await;
            let tokens: HashSet<String> =
                answers.into_iter().map(|answer| answer.unwrap().refresh_token).collect();
            assert_eq!(tokens.len(), 1, "{}", world.name());
            let next = tokens.into_iter().next().unwrap();
            world.accounts.refresh(&world.tenant, &client(), &next).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_verification_token_is_good_once_however_many_bring_it() {
    for world in worlds().await {
        let world = Arc::new(world);
        for account in 0..accounts_to_race() {
            let email = format!("q{account}@example.com");
            let registration = Registration {
                email: email.clone(),
                password: PASSWORD.to_owned(),
                ..Registration::default()
            };
            world.advance_ms(60 * 60_000);
            world.accounts.register(&world.tenant, &client(), &registration).await.unwrap();
            let token = world.token_mailed_to(&email);
            let answers = at_once(|_| {
                let (world, token) = (world.clone(), token.clone());
                async move {
                    let confirmation = Confirmation::Token(token);
                    world.accounts.verify(&world.tenant, &confirmation).await.is_ok()
                }
            })
            .await;
            assert_eq!(answers.iter().filter(|is_ok| **is_ok).count(), 1, "{}", world.name());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_address_is_one_account_however_many_register() {
    for world in worlds().await {
        let world = Arc::new(world);
        let answers = at_once(|_| {
            let world = world.clone();
            async move {
                let registration = Registration {
                    email: "ann@example.com".to_owned(),
                    password: PASSWORD.to_owned(),
                    ..Registration::default()
                };
                let answer = world.accounts.register(&world.tenant, &client(), &registration).await;
                answer.map_err(|error| error.code())
            }
        })
        .await;
        // Five mails to an address in a quarter of an hour; the others are told to wait.
        let sent = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(sent, 5, "{}: {answers:?}", world.name());
        let people: HashSet<String> =
            std::iter::once(user_id(&world, "ann@example.com").await).collect();
        assert_eq!(people.len(), 1);
    }
}
