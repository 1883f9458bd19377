//! The realm of staff: first run, sign-in, and who is let in where.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use http::{Method, StatusCode};
use platform::keyring::{Keys, Purpose, SealingKeys};
use serde_json::{Value, json};

use super::router::App;
use crate::keys::PlatformKeys;
use crate::otp::TotpKey;
use crate::staff::SETUP_FILE;
use crate::testing::{PASSWORD, START_MS, World, worlds_with_keys};

pub(super) const ADMIN: &str = "root@example.com";

/// The domain with the platform's rings, as a server has them.
pub(super) async fn houses() -> (tempfile::TempDir, Vec<World>) {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::open(&folder.path().join("keys"), SealingKeys::default()).unwrap();
    keys.ensure(&[Purpose::AccessTokens, Purpose::Records], START_MS).unwrap();
    let keys = Arc::new(PlatformKeys::new(keys, "https://tv.example"));
    (folder, worlds_with_keys(keys).await)
}

impl World {
    /// What a fresh start writes for the administrator.
    pub(super) async fn setup_token(&self) -> String {
        let folder = tempfile::tempdir().unwrap();
        let now_ms = self.accounts.now_ms();
        let path = self
            .accounts
            .open_setup(&self.tenant, folder.path(), crate::PERMISSIONS, now_ms)
            .await
            .unwrap()
            .expect("there is no staff yet");
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    }

    /// Signs in by password and a fresh code; the app's key is that of `enrolment`.
    pub(super) async fn staff_tokens(&self, app: &App) -> (Value, TotpKey) {
        let body = json!({"token": self.setup_token().await, "email": ADMIN, "password": PASSWORD});
        let (status, answer) = app.post("/v1/admin/auth/setup", body).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        let login = json!({"email": ADMIN, "password": PASSWORD});
        let (_, answer) = app.post("/v1/admin/auth/login", login).await;
        assert_eq!(answer["status"], "enrolment_required", "{}", self.name());
        let key = key_of(&answer["enrolment"]);
        let code = key.code_at(self.accounts.now_ms());
        let body = json!({"mfa_token": answer["mfa_token"], "code": code});
        let (status, tokens) = app.post("/v1/admin/auth/mfa", body).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
        (tokens, key)
    }
}

fn key_of(enrolment: &Value) -> TotpKey {
    let secret = enrolment["secret"].as_str().expect("a secret");
    let bytes = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    TotpKey::from_bytes(&bytes).unwrap()
}

#[tokio::test]
async fn the_first_administrator_is_made_once_and_within_the_hour() {
    let (_folder, worlds) = houses().await;
    for world in worlds {
        let app = App::new(&world, "t1");
        let folder = tempfile::tempdir().unwrap();
        let open = |now_ms| {
            world.accounts.open_setup(&world.tenant, folder.path(), crate::PERMISSIONS, now_ms)
        };
        let path = open(world.accounts.now_ms()).await.unwrap().expect("a token is needed");
        assert_eq!(path, folder.path().join(SETUP_FILE));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "nobody else reads it");
        let read = || std::fs::read_to_string(&path).unwrap().trim().to_owned();
        let first = read();
        open(world.accounts.now_ms()).await.unwrap();
        let second = read();
        let body = |token: &str, email: &str| json!({"token": token, "email": email, "password": PASSWORD});

        let refused = StatusCode::FORBIDDEN;
        let (status, answer) = app.post("/v1/admin/auth/setup", body(&first, ADMIN)).await;
        assert_eq!((status, &answer["code"]), (refused, &json!("setup_token_invalid")), "replaced");
        world.advance_ms(3_600_000);
        let (status, _) = app.post("/v1/admin/auth/setup", body(&second, ADMIN)).await;
        assert_eq!(status, refused, "an hour has passed");

        open(world.accounts.now_ms()).await.unwrap();
        let token = read();
        let weak = json!({"token": token, "email": ADMIN, "password": "password"});
        let (status, _) = app.post("/v1/admin/auth/setup", weak).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "and the token is still good");
        let other = App::new(&world, "t2");
        let (status, _) = other.post("/v1/admin/auth/setup", body(&token, ADMIN)).await;
        assert_eq!(status, refused, "it is of another house");
        let (one, two) = (body(&token, ADMIN), body(&token, "two@example.com"));
        let answers = tokio::join!(
            app.post("/v1/admin/auth/setup", one),
            app.post("/v1/admin/auth/setup", two)
        );
        let mut statuses = [answers.0.0.as_u16(), answers.1.0.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 403], "{}: one of two", world.name());
        assert!(open(world.accounts.now_ms()).await.unwrap().is_none());
        assert!(!path.exists(), "there is staff now");
    }
}

#[tokio::test]
async fn nobody_is_signed_in_without_an_app() {
    let (_folder, worlds) = houses().await;
    for world in worlds {
        let app = App::new(&world, "t1");
        let (tokens, key) = world.staff_tokens(&app).await;
        assert_eq!(tokens["recovery_codes"].as_array().unwrap().len(), 10);
        let login = json!({"email": ADMIN, "password": PASSWORD});
        let (_, answer) = app.post("/v1/admin/auth/login", login.clone()).await;
        assert_eq!(answer["status"], "mfa_required", "{}", world.name());
        assert!(answer.get("access_token").is_none() && answer.get("enrolment").is_none());

        let mfa = |code: &str| json!({"mfa_token": answer["mfa_token"], "code": code});
        let used = key.code_at(world.accounts.now_ms());
        let (status, _) = app.post("/v1/admin/auth/mfa", mfa(&used)).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "a code is good once");
        world.advance_ms(60_000);
        let code = key.code_at(world.accounts.now_ms());
        let (status, second) = app.post("/v1/admin/auth/mfa", mfa(&code)).await;
        assert_eq!(status, StatusCode::OK);
        assert!(second.get("recovery_codes").is_none());
        let (status, _) = app.post("/v1/admin/auth/mfa", mfa(&code)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "and so is the token");

        let (_, answer) = app.post("/v1/admin/auth/login", login.clone()).await;
        let recovery = &tokens["recovery_codes"][0];
        let body = json!({"mfa_token": answer["mfa_token"], "code": recovery});
        assert_eq!(app.post("/v1/admin/auth/mfa", body).await.0, StatusCode::OK);
        let (_, answer) = app.post("/v1/admin/auth/login", login.clone()).await;
        let body = json!({"mfa_token": answer["mfa_token"], "code": recovery});
        assert_eq!(app.post("/v1/admin/auth/mfa", body).await.0, StatusCode::FORBIDDEN);

        let wrong = json!({"email": ADMIN, "password": "another password"});
        let nobody = json!({"email": "nobody@example.com", "password": PASSWORD});
        let (wrong, nobody) = (
            app.post("/v1/admin/auth/login", wrong).await,
            app.post("/v1/admin/auth/login", nobody).await,
        );
        assert_eq!(wrong, nobody, "the same to the byte");
        assert_eq!(wrong.0, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn two_enrolments_at_once_make_one_app() {
    let (_folder, worlds) = houses().await;
    for world in worlds {
        let app = App::new(&world, "t1");
        let body =
            json!({"token": world.setup_token().await, "email": ADMIN, "password": PASSWORD});
        app.post("/v1/admin/auth/setup", body).await;
        let mut bodies = Vec::new();
        for _ in 0..2 {
            let login = json!({"email": ADMIN, "password": PASSWORD});
            let (_, answer) = app.post("/v1/admin/auth/login", login).await;
            let code = key_of(&answer["enrolment"]).code_at(world.accounts.now_ms());
            bodies.push(json!({"mfa_token": answer["mfa_token"], "code": code}));
        }
        let (one, two) = tokio::join!(
            app.post("/v1/admin/auth/mfa", bodies[0].clone()),
            app.post("/v1/admin/auth/mfa", bodies[1].clone())
        );
        let mut statuses = [one.0.as_u16(), two.0.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401], "{}", world.name());
    }
}

#[tokio::test]
async fn sessions_of_staff_go_on_and_end() {
    let (_folder, worlds) = houses().await;
    for world in worlds {
        let app = App::new(&world, "t1");
        let (tokens, _) = world.staff_tokens(&app).await;
        let refresh = |token: &Value| json!({ "refresh_token": token });
        let path = "/v1/admin/auth/refresh";
        let first = &tokens["refresh_token"];
        let (status, next) = app.post(path, refresh(first)).await;
        assert_eq!(status, StatusCode::OK);
        let (_, again) = app.post(path, refresh(first)).await;
        assert_eq!(again["refresh_token"], next["refresh_token"], "a lost answer");
        // A viewer's refresh takes none of staff, and the other way round.
        let (status, _) = app.post("/v1/auth/refresh", refresh(&next["refresh_token"])).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        world.advance_ms(31_000);
        let (status, answer) = app.post(path, refresh(first)).await;
        assert_eq!(answer["code"], "refresh_token_reused", "{status}");
        let (_, answer) = app.post(path, refresh(&next["refresh_token"])).await;
        assert_eq!(answer["code"], "invalid_refresh_token", "{}", world.name());
        let token = next["access_token"].as_str();
        let (_, answer) = app.ask((Method::POST, "/v1/admin/auth/logout"), token, None).await;
        assert_eq!(answer["code"], "token_revoked", "at once");
    }
}

/// Who is let in where: by realm, tenant and standing.
#[tokio::test]
async fn realms_do_not_mix() {
    let (_folder, worlds) = houses().await;
    for world in worlds {
        let app = App::new(&world, "t1");
        let (tokens, _) = world.staff_tokens(&app).await;
        let staff = tokens["access_token"].as_str().unwrap();
        world.person("ann@example.com").await;
        let viewer = world.signed_in("ann@example.com", "tv").await.access_token;
        let elsewhere = App::new(&world, "t2");
        let tenant = api::Tenant(world.tenant.clone());
        let credentials = api::Credentials::Bearer(staff);
        let caller = world.accounts.authenticator().authenticate(&tenant, credentials).await;
        let Ok(api::Caller::Staff(identity)) = caller else { panic!("{caller:?}") };
        let mut granted: Vec<_> = crate::PERMISSIONS.iter().map(|entry| entry.name).collect();
        granted.sort_unstable();
        assert_eq!(identity.permissions, granted, "{}: what the role lists", world.name());
        assert_eq!(identity.require("nothing:stands-for-all").unwrap_err().status(), 403);
        let mut forged = staff.to_owned();
        forged.replace_range(staff.len() - 8..staff.len() - 4, "AAAA");
        let (get, post) = (Method::GET, Method::POST);
        let table = [
            (&app, (&get, "/v1/me"), viewer.as_str(), (200, "")),
            (&app, (&get, "/v1/me"), staff, (401, "wrong_realm")),
            (&app, (&post, "/v1/admin/auth/logout"), viewer.as_str(), (401, "wrong_realm")),
            (&app, (&post, "/v1/admin/auth/logout"), forged.as_str(), (401, "invalid_token")),
            (&elsewhere, (&post, "/v1/admin/auth/logout"), staff, (401, "invalid_token")),
            (&elsewhere, (&get, "/v1/me"), staff, (401, "invalid_token")),
            (&app, (&post, "/v1/admin/auth/logout"), "svk_unknown", (401, "invalid_token")),
            (&app, (&post, "/v1/admin/auth/logout"), staff, (204, "")),
            (&app, (&post, "/v1/admin/auth/logout"), staff, (401, "token_revoked")),
            (&app, (&get, "/v1/me"), staff, (401, "token_revoked")),
        ];
        for (app, (method, path), token, (status, code)) in table {
            let (was, answer) = app.ask((method.clone(), path), Some(token), None).await;
            let told = answer["code"].as_str().unwrap_or_default();
            assert_eq!((was.as_u16(), told), (status, code), "{}: {path}", world.name());
        }
        let verified = platform::audit::verify(&world.engine.db, &world.tenant, None).await;
        assert!(verified.unwrap().records >= 4, "made, enrolled, signed in, signed out");
    }
}
