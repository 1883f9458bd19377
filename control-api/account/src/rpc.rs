//! gRPC `auth.v1`: from calls to use cases and back. No rule lives here.

use api::{
    Authenticator as _, Caller, ClientAddress, Credentials, RequestId, Tenant, context, rpc,
};
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status};

use crate::accounts::{Accounts, Client};
use crate::login::{self, Login};
use crate::mfa::SecondFactor;
use crate::routes::{read_device, read_registration};
use crate::session::{SessionView, SignedIn};

/// What `proto/auth/v1/auth.proto` says.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::nursery)]
pub mod proto {
    tonic::include_proto!("auth.v1");
}

use proto::auth_server::{Auth, AuthServer};
use proto::login_response::Outcome;

/// Describes the service: for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/auth.v1.bin"));

/// Methods that try a secret: the strict rates hold.
pub const LOGIN_METHODS: &[&str] =
    &["/auth.v1.Auth/Register", "/auth.v1.Auth/Login", "/auth.v1.Auth/VerifyMfa"];

/// Longer than any call has to be.
const MESSAGE_BYTES_MAX: usize = 16 * 1_024;

/// The services of the domain, and what describes them.
pub fn rpc(accounts: Accounts) -> (RoutesBuilder, &'static [u8]) {
    let mut routes = RoutesBuilder::default();
    let service = AuthServer::new(Service(accounts));
    routes.add_service(service.max_decoding_message_size(MESSAGE_BYTES_MAX));
    (routes, FILE_DESCRIPTOR_SET)
}

struct Service(Accounts);

/// Whose house the call is in.
fn tenant<T>(request: &Request<T>) -> Result<Tenant, Status> {
    Ok(context::of::<Tenant>(request.extensions())?.clone())
}

fn client<T>(request: &Request<T>) -> Client {
    let extensions = request.extensions();
    let request_id = extensions.get::<RequestId>().map(|id| id.as_str().to_owned());
    let user_agent = request.metadata().get("user-agent").and_then(|value| value.to_str().ok());
    Client {
        address: extensions.get::<ClientAddress>().and_then(|client| client.0),
        user_agent: user_agent.unwrap_or_default().to_owned(),
        request_id: request_id.unwrap_or_default(),
    }
}

#[tonic::async_trait]
impl Auth for Service {
    async fn register(
        &self,
        request: Request<proto::RegisterRequest>,
    ) -> Result<Response<proto::RegisterResponse>, Status> {
        let (tenant, client) = (tenant(&request)?, client(&request));
        let body = request.into_inner();
        let credentials = (body.email, body.password);
        let registration = read_registration(credentials, body.country, body.locale)?;
        self.0.register(tenant.id(), &client, &registration).await?;
        Ok(Response::new(proto::RegisterResponse {}))
    }

    async fn login(
        &self,
        request: Request<proto::LoginRequest>,
    ) -> Result<Response<proto::LoginResponse>, Status> {
        let (tenant, client) = (tenant(&request)?, client(&request));
        let body = request.into_inner();
        let device = read_device(body.device_id, body.device_name)?;
        let credentials = login::Credentials { email: body.email, password: body.password, device };
        let outcome = match self.0.login(tenant.id(), &client, &credentials).await? {
            Login::SignedIn(signed_in) => Outcome::SignedIn(signed_in.into()),
            Login::SecondFactor { token } => {
                Outcome::MfaRequired(proto::MfaRequired { mfa_token: token.text() })
            }
        };
        Ok(Response::new(proto::LoginResponse { outcome: Some(outcome) }))
    }

    async fn verify_mfa(
        &self,
        request: Request<proto::VerifyMfaRequest>,
    ) -> Result<Response<proto::VerifyMfaResponse>, Status> {
        let (tenant, client) = (tenant(&request)?, client(&request));
        let body = request.into_inner();
        let factor = SecondFactor { token: body.mfa_token, code: body.code };
        let tokens = self.0.second_factor(tenant.id(), &client, &factor).await?;
        Ok(Response::new(proto::VerifyMfaResponse { tokens: Some(tokens.into()) }))
    }

    async fn refresh(
        &self,
        request: Request<proto::RefreshRequest>,
    ) -> Result<Response<proto::RefreshResponse>, Status> {
        let (tenant, client) = (tenant(&request)?, client(&request));
        let token = request.into_inner().refresh_token;
        let tokens = self.0.refresh(tenant.id(), &client, &token).await?;
        Ok(Response::new(proto::RefreshResponse { tokens: Some(tokens.into()) }))
    }

    async fn logout(
        &self,
        request: Request<proto::LogoutRequest>,
    ) -> Result<Response<proto::LogoutResponse>, Status> {
        let viewer = rpc::viewer(&request).await?;
        let client = client(&request);
        let (user_id, session_id) = (&viewer.user_id, &viewer.session_id);
        self.0.end_session(&viewer.tenant, user_id, session_id, &client).await?;
        Ok(Response::new(proto::LogoutResponse {}))
    }

    async fn validate_token(
        &self,
        request: Request<proto::ValidateTokenRequest>,
    ) -> Result<Response<proto::ValidateTokenResponse>, Status> {
        let tenant = tenant(&request)?;
        let token = request.into_inner().access_token;
        let caller = self.0.authenticate(&tenant, Credentials::Bearer(&token)).await;
        let caller = caller.map_err(api::ApiError::from)?;
        let Caller::Viewer(viewer) = caller else {
            return Err(api::ApiError::from(api::AuthError::Invalid).into());
        };
        Ok(Response::new(proto::ValidateTokenResponse {
            user_id: viewer.user_id,
            session_id: viewer.session_id,
            profile_id: viewer.profile_id,
            tier: viewer.tier,
            authenticated_at_ms: viewer.authenticated_at_ms,
        }))
    }

    async fn list_sessions(
        &self,
        request: Request<proto::ListSessionsRequest>,
    ) -> Result<Response<proto::ListSessionsResponse>, Status> {
        let viewer = rpc::viewer(&request).await?;
        let (user_id, current) = (&viewer.user_id, &viewer.session_id);
        let sessions = self.0.list_sessions(&viewer.tenant, user_id, current).await?;
        let sessions = sessions.into_iter().map(Into::into).collect();
        Ok(Response::new(proto::ListSessionsResponse { sessions }))
    }
}

impl From<SignedIn> for proto::Tokens {
    fn from(signed_in: SignedIn) -> Self {
        Self {
            access_token: signed_in.access_token,
            expires_in: signed_in.expires_in,
            refresh_token: signed_in.refresh_token,
            refresh_expires_in: signed_in.refresh_expires_in,
            session_id: signed_in.session_id,
            user_id: signed_in.user_id,
            profile_id: signed_in.profile_id,
        }
    }
}

impl From<SessionView> for proto::Session {
    fn from(session: SessionView) -> Self {
        Self {
            id: session.id,
            device_id: session.device_id,
            device_name: session.device_name,
            user_agent: session.user_agent,
            network: session.network,
            created_at_ms: session.created_at_ms,
            last_seen_ms: session.last_seen_ms,
            is_current: session.is_current,
        }
    }
}
