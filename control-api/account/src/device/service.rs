//! The two sides of RFC 8628: the television that asks, and the person who approves.
//!
//! The television's code is a secret of 256 bits; the person's is short, so how often one person
//! may type codes is bounded. A code is tied to the epoch of the account at the approval: when all
//! sessions end in between, it is worth nothing.

use api::{ApiError, Result};
use platform::db::{DbError, TenantId, Tx};
use serde::Serialize;
use utoipa::ToSchema;

use super::store::{self, Approval, INTERVAL_SECONDS, NewCode};
use crate::accounts::{Accounts, Client, Tier, allowed};
use crate::code;
use crate::secret::{Secret, SecretHash};
use crate::session::NewSession;
use crate::session::service::{Device, SignedIn, begin};
use crate::throttle::{self, Subject, network_of};
use crate::user;

/// How long a code may be typed.
const LIFE_SECONDS: i64 = 600;
/// Of 25 thousand million codes one that is taken is hardly ever drawn; five in a row never.
const DRAWS_MAX: usize = 5;

/// What a television shows and keeps (RFC 8628 3.2).
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeviceCode {
    /// Kept by the television; it asks for its tokens with it.
    pub device_code: String,
    /// Shown to the person.
    #[schema(example = "WDJB-MJHT")]
    pub user_code: String,
    /// Shown to the person: where to type the code.
    pub verification_uri: String,
    /// The same with the code in it, for a picture to photograph.
    pub verification_uri_complete: String,
    /// Seconds until the codes expire.
    pub expires_in: i64,
    /// Seconds to wait between two questions.
    pub interval: i64,
}

/// A television that waits, as shown to who is asked to approve it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PendingDevice {
    pub user_code: String,
    /// As the television calls itself: anybody can say anything here.
    pub device_name: String,
    /// The network it asked from: an IPv4 address, or the first 64 bits of an IPv6 one.
    pub network: String,
    pub created_at_ms: i64,
    pub expires_at_ms: i64,
}

struct Input {
    accounts: Accounts,
    hash: SecretHash,
    session: NewSession,
    tier: Tier,
    client: Client,
    now_ms: i64,
}

impl Accounts {
    /// `POST /v1/auth/device/code`.
    pub async fn start_device(
        &self,
        tenant: &TenantId,
        client: &Client,
        device_name: &str,
    ) -> Result<DeviceCode> {
        let now_ms = self.now_ms();
        let network = network_of(client.address);
        let subject = (Subject::of("device", &[&network]), throttle::DEVICE_START);
        allowed(throttle::charge_all(&self.scope(tenant), vec![subject], now_ms).await?)?;
        let secret = Secret::random();
        for _ in 0..DRAWS_MAX {
            let new = NewCode {
                user_code: code::user_code(),
                device_hash: secret.hash(),
                device_name: device_name.to_owned(),
                network: network.clone(),
                expires_at_ms: now_ms + 1_000 * LIFE_SECONDS,
            };
            let shown = code::show_user_code(&new.user_code);
            let is_put = self
                .scope(tenant)
                .tx((new, now_ms), |tx, (new, now_ms)| Box::pin(store::put(tx, new, *now_ms)))
                .await?;
            if is_put {
                let verification_uri = format!("{}/device", self.parts.settings.public_url);
                return Ok(DeviceCode {
                    device_code: secret.text(),
                    verification_uri_complete: format!("{verification_uri}#user_code={shown}"),
                    user_code: shown,
                    verification_uri,
                    expires_in: LIFE_SECONDS,
                    interval: INTERVAL_SECONDS,
                });
            }
        }
        Err(ApiError::internal("internal", "no free user code was drawn"))
    }

    /// `GET /v1/auth/device`: which device a code belongs to.
    pub async fn look_up_device(
        &self,
        tenant: &TenantId,
        user_id: &str,
        typed: &str,
    ) -> Result<PendingDevice> {
        let now_ms = self.now_ms();
        self.charge_user_code(tenant, user_id, now_ms).await?;
        let user_code = code::read_user_code(typed).ok_or_else(unknown)?;
        let found = store::look(&self.scope(tenant), &user_code, now_ms).await?;
        let (device_name, network, created_at_ms, expires_at_ms) = found.ok_or_else(unknown)?;
        let user_code = code::show_user_code(&user_code);
        Ok(PendingDevice { user_code, device_name, network, created_at_ms, expires_at_ms })
    }

    /// `POST /v1/auth/device`: approves or denies a device, once.
    pub async fn decide_device(
        &self,
        tenant: &TenantId,
        client: &Client,
        user_id: &str,
        (typed, is_approved): (&str, bool),
    ) -> Result<()> {
        let now_ms = self.now_ms();
        self.charge_user_code(tenant, user_id, now_ms).await?;
        let user_code = code::read_user_code(typed).ok_or_else(unknown)?;
        let input = (self.clone(), user_code, user_id.to_owned(), client.clone());
        let decided = self
            .scope(tenant)
            .tx((input, is_approved, now_ms), |tx, (input, is_approved, now_ms)| {
                let (accounts, user_code, user_id, client) = input;
                Box::pin(async move {
                    let decided =
                        store::decide(tx, user_code, user_id, *is_approved, *now_ms).await?;
                    let Some((device_name, network)) = decided else { return Ok(false) };
                    let action = if *is_approved { "device.approve" } else { "device.deny" };
                    let detail =
                        serde_json::json!({ "device_name": device_name, "network": network });
                    accounts.record(tx, action, user_id, detail, client, *now_ms).await?;
                    Ok::<_, DbError>(true)
                })
            })
            .await?;
        if decided { Ok(()) } else { Err(unknown()) }
    }

    /// `POST /v1/auth/device/token`: the tokens of an approved device, once.
    pub async fn device_tokens(
        &self,
        tenant: &TenantId,
        client: &Client,
        device_code: &str,
    ) -> Result<SignedIn> {
        let now_ms = self.now_ms();
        let hash = Secret::parse(device_code).ok_or_else(expired)?.hash();
        let approval = self.approval(tenant, hash, now_ms).await?;
        let user = user::find_by_id(&self.scope(tenant), &approval.user_id).await?;
        let mut user = user.ok_or_else(expired)?;
        user.auth_epoch = approval.auth_epoch;
        let tier = self.tier(tenant, &user.id).await?;
        let device = Device { id: None, name: approval.device_name };
        let session = self.new_session(&user, &device, client, now_ms);
        let input = Input {
            accounts: self.clone(),
            hash,
            session: session.clone(),
            tier: tier.clone(),
            client: client.clone(),
            now_ms,
        };
        let begun = self.scope(tenant).tx(input, |tx, input| Box::pin(input.sign_in(tx))).await;
        let ended = begun.map_err(|error| match error.code() {
            // The account has changed since the approval: the television begins again.
            "sign_in_again" => expired(),
            _ => error,
        })?;
        self.forget_sessions(tenant, &ended);
        self.begun(tenant, &session, &tier, now_ms)
    }

    /// Who has approved the device, or why it gets no tokens.
    async fn approval(&self, tenant: &TenantId, hash: SecretHash, now_ms: i64) -> Result<Approval> {
        let polled = self
            .scope(tenant)
            .tx((hash, now_ms), |tx, (hash, now_ms)| Box::pin(store::poll(tx, hash, *now_ms)))
            .await?;
        let polled = polled.filter(|polled| now_ms < polled.expires_at_ms);
        let polled = polled.ok_or_else(expired)?;
        match polled.approved_by {
            Some(approval) => Ok(approval),
            None if polled.state == "denied" => {
                Err(ApiError::bad_request("access_denied", "The device was refused."))
            }
            None if polled.is_too_fast => Err(ApiError::bad_request(
                "slow_down",
                "Asked too often: wait five seconds longer from now on.",
            )),
            None => Err(ApiError::bad_request(
                "authorization_pending",
                "Nobody has typed the code yet; ask again after the interval.",
            )),
        }
    }

    /// Right codes are charged, too: else somebody could clear the count with a code of their own.
    async fn charge_user_code(&self, tenant: &TenantId, user_id: &str, now_ms: i64) -> Result<()> {
        let charges = vec![(Subject::of("user-code", &[user_id]), throttle::USER_CODE)];
        allowed(throttle::charge_all(&self.scope(tenant), charges, now_ms).await?)
    }
}

impl Input {
    async fn sign_in(&self, tx: &mut Tx) -> Result<Vec<String>, ApiError> {
        if !store::take(tx, &self.hash, self.now_ms).await? {
            return Err(expired());
        }
        let ended = begin(tx, &self.session, self.tier.sessions_max(), self.now_ms).await?;
        let detail = serde_json::json!({ "session_id": self.session.id, "by": "device_code" });
        let user_id = &self.session.user_id;
        let accounts = &self.accounts;
        accounts.record(tx, "session.begin", user_id, detail, &self.client, self.now_ms).await?;
        Ok(ended)
    }
}

fn unknown() -> ApiError {
    ApiError::not_found("device_code_unknown", "The code is wrong, was used or has expired.")
}

/// One answer for expired, used and invented codes.
fn expired() -> ApiError {
    ApiError::bad_request("expired_token", "The code has expired or was used; begin again.")
}
