//! gRPC calls by a client of tonic, without sockets.

use std::sync::Arc;

use api::{Authenticator, ClientAddress, Tenant};
use axum::Router;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};

use crate::otp::TotpKey;
use crate::rpc::proto::auth_client::AuthClient;
use crate::rpc::proto::login_response::Outcome;
use crate::rpc::proto::{
    ListSessionsRequest, LoginRequest, LogoutRequest, RefreshRequest, RegisterRequest, Tokens,
    ValidateTokenRequest, VerifyMfaRequest,
};
use crate::testing::{PASSWORD, World, client, worlds};

/// A client of the service, with what the gateway puts in front of it.
fn calls(world: &World, tenant: &str) -> AuthClient<Router> {
    let (routes, _) = crate::rpc(world.accounts.clone());
    let authenticator: Arc<dyn Authenticator> = world.accounts.authenticator();
    let router = routes
        .routes()
        .into_axum_router()
        .layer(axum::Extension(Tenant(platform::db::TenantId::new(tenant).unwrap())))
        .layer(axum::Extension(authenticator))
        .layer(axum::Extension(ClientAddress(Some("192.0.2.7".parse().unwrap()))));
    AuthClient::new(router)
}

fn signed<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

fn code(status: &Status) -> String {
    use tonic_types::StatusExt as _;
    status.get_error_details().error_info().unwrap().metadata["code"].clone()
}

fn login(email: &str, password: &str) -> LoginRequest {
    LoginRequest {
        email: email.to_owned(),
        password: password.to_owned(),
        device_id: Some("tv".to_owned()),
        device_name: Some("Living room".to_owned()),
    }
}

async fn signed_in(calls: &mut AuthClient<Router>, email: &str) -> Tokens {
    let answer = calls.login(login(email, PASSWORD)).await.unwrap().into_inner();
    match answer.outcome {
        Some(Outcome::SignedIn(tokens)) => tokens,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn register_login_refresh_validate_list_logout() {
    for world in worlds().await {
        let mut calls = calls(&world, "t1");
        let email = "ann@example.com".to_owned();
        let register = RegisterRequest {
            email: email.clone(),
            password: PASSWORD.to_owned(),
            country: Some("NL".to_owned()),
            locale: None,
        };
        calls.register(register.clone()).await.unwrap();
        let refused = calls.login(login(&email, PASSWORD)).await.unwrap_err();
        assert_eq!(
            (refused.code(), code(&refused).as_str()),
            (Code::PermissionDenied, "email_unverified")
        );
        let token = world.token_mailed_to(&email);
        let confirmation = crate::register::Confirmation::Token(token);
        world.accounts.verify(&world.tenant, &confirmation).await.unwrap();

        let tokens = signed_in(&mut calls, &email).await;
        let refresh = RefreshRequest { refresh_token: tokens.refresh_token };
        let next = calls.refresh(refresh).await.unwrap().into_inner().tokens.unwrap();
        assert_eq!(next.session_id, tokens.session_id);
        let token = next.access_token;
        let validate = ValidateTokenRequest { access_token: token.clone() };
        let whose = calls.validate_token(validate.clone()).await.unwrap().into_inner();
        assert_eq!((&whose.user_id, &whose.session_id), (&next.user_id, &next.session_id));
        assert_eq!(whose.tier.as_deref(), Some("test"));
        let list = calls.list_sessions(signed(ListSessionsRequest {}, &token)).await.unwrap();
        let sessions = list.into_inner().sessions;
        assert_eq!(sessions.len(), 1);
        assert!(sessions[0].is_current);
        assert_eq!(
            (sessions[0].device_name.as_str(), sessions[0].network.as_str()),
            ("Living room", "192.0.2.7")
        );

        calls.logout(signed(LogoutRequest {}, &token)).await.unwrap();
        let ended = calls.validate_token(validate).await.unwrap_err();
        assert_eq!((ended.code(), code(&ended).as_str()), (Code::Unauthenticated, "token_revoked"));
    }
}

#[tokio::test]
async fn refusals_carry_the_codes_of_rest() {
    for world in worlds().await {
        world.person("ann@example.com").await;
        let mut house = calls(&world, "t1");
        let wrong = house.login(login("ann@example.com", "not it, sorry")).await.unwrap_err();
        assert_eq!(
            (wrong.code(), code(&wrong).as_str()),
            (Code::Unauthenticated, "invalid_credentials")
        );
        let bare = house.list_sessions(ListSessionsRequest {}).await.unwrap_err();
        assert_eq!(code(&bare), "credentials_missing");
        let weak = RegisterRequest {
            email: "no address".to_owned(),
            password: "short".to_owned(),
            country: Some("Utopia".to_owned()),
            locale: None,
        };
        let weak = house.register(weak).await.unwrap_err();
        assert_eq!(
            (weak.code(), code(&weak).as_str()),
            (Code::InvalidArgument, "validation_failed")
        );
        let long = LoginRequest { email: "a".repeat(20_000), ..login("", "") };
        assert_eq!(house.login(long).await.unwrap_err().code(), Code::OutOfRange);

        let tokens = signed_in(&mut house, "ann@example.com").await;
        let mut other = calls(&world, "t2");
        let validate = ValidateTokenRequest { access_token: tokens.access_token.clone() };
        assert_eq!(code(&other.validate_token(validate).await.unwrap_err()), "invalid_token");
        let list = signed(ListSessionsRequest {}, &tokens.access_token);
        assert_eq!(code(&other.list_sessions(list).await.unwrap_err()), "invalid_token");
        // A used refresh token, after the grace, ends the session.
        let refresh = RefreshRequest { refresh_token: tokens.refresh_token };
        house.refresh(refresh.clone()).await.unwrap();
        world.advance_ms(31_000);
        assert_eq!(code(&house.refresh(refresh).await.unwrap_err()), "refresh_token_reused");
    }
}

#[tokio::test]
async fn a_second_factor_is_asked_for() {
    for world in worlds().await {
        world.person("ann@example.com").await;
        let mut calls = calls(&world, "t1");
        let ann = signed_in(&mut calls, "ann@example.com").await;
        let accounts = &world.accounts;
        let enrolment = accounts.enrol_totp(&world.tenant, &ann.user_id, PASSWORD).await.unwrap();
        let bytes = data_encoding::BASE32_NOPAD.decode(enrolment.secret.as_bytes()).unwrap();
        let key = TotpKey::from_bytes(&bytes).unwrap();
        let shown = key.code_at(accounts.now_ms());
        accounts.confirm_totp(&world.tenant, &ann.user_id, &shown, &client()).await.unwrap();
        world.advance_ms(30_000);

        let answer = calls.login(login("ann@example.com", PASSWORD)).await.unwrap().into_inner();
        let Some(Outcome::MfaRequired(owed)) = answer.outcome else { panic!("{answer:?}") };
        let mfa_token = owed.mfa_token;
        let wrong = VerifyMfaRequest { mfa_token: mfa_token.clone(), code: "000000".to_owned() };
        assert_eq!(code(&calls.verify_mfa(wrong).await.unwrap_err()), "wrong_code");
        let code = key.code_at(accounts.now_ms());
        let verified = calls.verify_mfa(VerifyMfaRequest { mfa_token, code }).await.unwrap();
        assert_eq!(verified.into_inner().tokens.unwrap().user_id, ann.user_id);
    }
}

/// The file descriptor set names each method, and those of the login class are among them.
#[test]
fn the_description_names_the_methods() {
    use prost::Message as _;
    let set = prost_types::FileDescriptorSet::decode(crate::rpc::FILE_DESCRIPTOR_SET).unwrap();
    let services = set.file.iter().flat_map(|file| {
        file.service
            .iter()
            .map(move |service| (format!("{}.{}", file.package(), service.name()), service))
    });
    let methods: Vec<String> = services
        .flat_map(|(name, service)| {
            service.method.iter().map(move |method| format!("/{name}/{}", method.name()))
        })
        .collect();
    assert_eq!(methods.len(), 7);
    for method in crate::rpc::LOGIN_METHODS {
        assert!(methods.iter().any(|known| known == method), "{method}");
    }
}
