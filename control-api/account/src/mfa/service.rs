//! Enrolling an authenticator app, using it at a sign-in, and taking it off.

use api::{ApiError, Result};
use platform::db::{TenantId, Tx};
use serde::Serialize;
use utoipa::ToSchema;

use super::store::{self, Factor};
use crate::accounts::{Accounts, Client, Tier, allowed};
use crate::code;
use crate::once::{self, Purpose, Taken};
use crate::otp::TotpKey;
use crate::secret::Secret;
use crate::session::NewSession;
use crate::session::service::{Device, SignedIn, begin};
use crate::throttle::{self, Subject};
use crate::user::{self, User};

/// What an app has to learn.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Enrolment {
    /// Base32, to type into the app.
    pub secret: String,
    /// The same as an `otpauth:` URI.
    pub uri: String,
    /// The URI as a picture to photograph: an SVG document.
    pub qr_svg: String,
}

/// How a person's second factor stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FactorView {
    pub is_totp_enrolled: bool,
    pub totp_confirmed_at_ms: Option<i64>,
    pub recovery_codes_left: i64,
}

/// A second factor as it came.
#[derive(Clone, Debug)]
pub struct SecondFactor {
    pub token: String,
    /// Six digits of the app, or a recovery code.
    pub code: String,
}

struct Input {
    accounts: Accounts,
    factor: SecondFactor,
    hash: crate::secret::SecretHash,
    session: NewSession,
    tier: Tier,
    client: Client,
    now_ms: i64,
}

impl Accounts {
    /// `POST /v1/auth/mfa/totp`: a secret that counts once it is confirmed.
    pub async fn enrol_totp(
        &self,
        tenant: &TenantId,
        user_id: &str,
        password: &str,
    ) -> Result<Enrolment> {
        let user = self.user(tenant, user_id).await?;
        self.require_password(tenant, &user, password).await?;
        let now_ms = self.now_ms();
        let key = TotpKey::random();
        let context = context(tenant.as_str(), user_id);
        let sealed = self.parts.keys.seal(&context, key.as_bytes(), now_ms)?;
        let input = (user_id.to_owned(), sealed, now_ms);
        let is_put = self
            .scope(tenant)
            .tx(input, |tx, (user_id, sealed, now_ms)| {
                Box::pin(store::put(tx, user_id, sealed, *now_ms))
            })
            .await?;
        if !is_put {
            let detail = "An authenticator app is enrolled; take it off before enrolling another.";
            return Err(ApiError::conflict("totp_enrolled", detail));
        }
        let uri = key.uri(&self.parts.settings.product_name, &user.email);
        let qr = qrcode::QrCode::new(uri.as_bytes())
            .map_err(|error| ApiError::internal("internal", error))?;
        let qr_svg = qr.render::<qrcode::render::svg::Color<'_>>().min_dimensions(240, 240).build();
        Ok(Enrolment { secret: key.base32(), uri, qr_svg })
    }

    /// `POST /v1/auth/mfa/totp/confirm`: the app shows the right code; ten recovery codes, once.
    pub async fn confirm_totp(
        &self,
        tenant: &TenantId,
        user_id: &str,
        code: &str,
        client: &Client,
    ) -> Result<Vec<String>> {
        self.charge_factor(tenant, user_id).await?;
        let codes = code::recovery_codes();
        let hashes = hashes(user_id, &codes);
        let input = (
            self.clone(),
            tenant.clone(),
            user_id.to_owned(),
            code.to_owned(),
            hashes,
            client.clone(),
            self.now_ms(),
        );
        self.scope(tenant)
            .tx(input, |tx, (accounts, tenant, user_id, code, hashes, client, now_ms)| {
                Box::pin(async move {
                    let factor = store::get(tx, user_id).await?;
                    let factor = factor.filter(|factor| factor.confirmed_at_ms.is_none());
                    let Some(factor) = factor else {
                        let detail = "No authenticator app waits for confirmation.";
                        return Err(ApiError::conflict("totp_not_started", detail));
                    };
                    let key = accounts.open_key(tenant, user_id, &factor, *now_ms)?;
                    let step = key.accept(code, *now_ms, None).ok_or_else(wrong_code)?;
                    if !store::confirm(tx, user_id, &factor, step, *now_ms).await? {
                        return Err(wrong_code());
                    }
                    store::put_codes(tx, user_id, hashes, *now_ms).await?;
                    throttle::forgive(tx, &subject(user_id)).await?;
                    let detail = serde_json::json!({});
                    accounts.record(tx, "totp.enrol", user_id, detail, client, *now_ms).await?;
                    Ok(())
                })
            })
            .await?;
        Ok(codes)
    }

    /// `POST /v1/auth/mfa/totp/disable`: takes password and a code, so that neither a found phone
    /// nor a found password is enough.
    pub async fn disable_totp(
        &self,
        tenant: &TenantId,
        user_id: &str,
        (password, code): (&str, &str),
        client: &Client,
    ) -> Result<()> {
        let user = self.user(tenant, user_id).await?;
        self.require_password(tenant, &user, password).await?;
        self.with_factor(tenant, user_id, code, client, "totp.remove", Vec::new()).await
    }

    /// `POST /v1/auth/mfa/recovery-codes`: ten new ones; the old ones are worth nothing then.
    pub async fn renew_recovery_codes(
        &self,
        tenant: &TenantId,
        user_id: &str,
        (password, code): (&str, &str),
        client: &Client,
    ) -> Result<Vec<String>> {
        let user = self.user(tenant, user_id).await?;
        self.require_password(tenant, &user, password).await?;
        let codes = code::recovery_codes();
        let hashes = hashes(user_id, &codes);
        self.with_factor(tenant, user_id, code, client, "recovery_codes.renew", hashes).await?;
        Ok(codes)
    }

    /// Proves the factor, then removes it or, with `hashes`, replaces the recovery codes.
    async fn with_factor(
        &self,
        tenant: &TenantId,
        user_id: &str,
        code: &str,
        client: &Client,
        action: &'static str,
        hashes: Vec<String>,
    ) -> Result<()> {
        self.charge_factor(tenant, user_id).await?;
        let now_ms = self.now_ms();
        let input = (self.clone(), user_id.to_owned(), code.to_owned(), client.clone(), hashes);
        self.scope(tenant)
            .tx((input, action, now_ms), |tx, (input, action, now_ms)| {
                Box::pin(async move {
                    let (accounts, user_id, code, client, hashes) = input;
                    if !accounts.is_factor(tx, user_id, code, *now_ms).await? {
                        return Err(wrong_code());
                    }
                    if hashes.is_empty() {
                        store::remove(tx, user_id).await?;
                    } else {
                        store::put_codes(tx, user_id, hashes, *now_ms).await?;
                    }
                    throttle::forgive(tx, &subject(user_id)).await?;
                    let detail = serde_json::json!({});
                    accounts.record(tx, action, user_id, detail, client, *now_ms).await?;
                    Ok(())
                })
            })
            .await
    }

    /// `GET /v1/auth/mfa`.
    pub async fn factors(&self, tenant: &TenantId, user_id: &str) -> Result<FactorView> {
        let view = self
            .scope(tenant)
            .tx(user_id.to_owned(), |tx, user_id| {
                Box::pin(async move {
                    let factor = store::get(tx, user_id).await?;
                    let confirmed = factor.and_then(|factor| factor.confirmed_at_ms);
                    Ok::<_, ApiError>(FactorView {
                        is_totp_enrolled: confirmed.is_some(),
                        totp_confirmed_at_ms: confirmed,
                        recovery_codes_left: store::count_codes(tx, user_id).await?,
                    })
                })
            })
            .await?;
        Ok(view)
    }

    /// `POST /v1/auth/mfa/verify`: the second half of a sign-in.
    pub async fn second_factor(
        &self,
        tenant: &TenantId,
        client: &Client,
        factor: &SecondFactor,
    ) -> Result<SignedIn> {
        let now_ms = self.now_ms();
        let hash = Secret::parse(&factor.token).ok_or_else(expired)?.hash();
        let owed = self.owed(tenant, hash, now_ms).await?.ok_or_else(expired)?;
        let mut user = self.user(tenant, &owed.user_id).await?;
        self.charge_factor(tenant, &user.id).await?;
        let device = read_owed(&owed, &mut user)?;
        let tier = self.tier(tenant, &user.id).await?;
        let session = self.new_session(&user, &device, client, now_ms);
        let input = Input {
            accounts: self.clone(),
            factor: factor.clone(),
            hash,
            session: session.clone(),
            tier: tier.clone(),
            client: client.clone(),
            now_ms,
        };
        let ended = self.scope(tenant).tx(input, |tx, input| Box::pin(input.sign_in(tx))).await?;
        self.forget_sessions(tenant, &ended);
        self.begun(tenant, &session, &tier, now_ms)
    }

    async fn owed(
        &self,
        tenant: &TenantId,
        hash: crate::secret::SecretHash,
        now_ms: i64,
    ) -> Result<Option<Taken>> {
        let scope = self.scope(tenant);
        let look = scope.tx((hash, now_ms), |tx, (hash, now_ms)| {
            Box::pin(once::look(tx, Purpose::SecondFactor, hash, *now_ms))
        });
        Ok(look.await?)
    }

    /// Whether `code` is the person's: of the app, or one of the recovery codes, which is taken.
    async fn is_factor(&self, tx: &mut Tx, user_id: &str, code: &str, now_ms: i64) -> Result<bool> {
        let factor = store::get(tx, user_id).await?;
        let Some(factor) = factor.filter(|factor| factor.confirmed_at_ms.is_some()) else {
            return Ok(false);
        };
        let tenant = tx.tenant().cloned();
        let Some(tenant) = tenant else { return Ok(false) };
        let key = self.open_key(&tenant, user_id, &factor, now_ms)?;
        if let Some(step) = key.accept(code, now_ms, Some(factor.last_step)) {
            return Ok(store::accept(tx, user_id, step).await?);
        }
        match code::recovery_hash(user_id, code) {
            Some(hash) => Ok(store::take_code(tx, user_id, &hash.hex()).await?),
            None => Ok(false),
        }
    }

    fn open_key(
        &self,
        tenant: &TenantId,
        user_id: &str,
        factor: &Factor,
        now_ms: i64,
    ) -> Result<TotpKey> {
        let context = context(tenant.as_str(), user_id);
        let bytes = self.parts.keys.open(&context, &factor.sealed, now_ms)?;
        TotpKey::from_bytes(&bytes)
            .ok_or_else(|| ApiError::internal("internal", "a kept TOTP secret has another length"))
    }

    /// Five wrong codes, and the factor is locked for a quarter of an hour.
    async fn charge_factor(&self, tenant: &TenantId, user_id: &str) -> Result<()> {
        let charges = vec![(subject(user_id), throttle::SECOND_FACTOR)];
        allowed(throttle::charge_all(&self.scope(tenant), charges, self.now_ms()).await?)
    }

    pub(crate) async fn user(&self, tenant: &TenantId, user_id: &str) -> Result<User> {
        let user = user::find_by_id(&self.scope(tenant), user_id).await?;
        user.ok_or_else(|| ApiError::not_found("user_not_found", "There is no such account."))
    }

    /// 403 unless the password is the person's: for steps that a found session must not take.
    pub(crate) async fn require_password(
        &self,
        tenant: &TenantId,
        user: &User,
        password: &str,
    ) -> Result<()> {
        if self.is_password_of(tenant, user, password).await? {
            return Ok(());
        }
        Err(ApiError::forbidden("wrong_password", "The password is wrong."))
    }
}

impl Input {
    async fn sign_in(&self, tx: &mut Tx) -> Result<Vec<String>, ApiError> {
        let user_id = &self.session.user_id;
        if !self.accounts.is_factor(tx, user_id, &self.factor.code, self.now_ms).await? {
            return Err(wrong_code());
        }
        if once::take(tx, Purpose::SecondFactor, &self.hash, self.now_ms).await?.is_none() {
            return Err(expired());
        }
        throttle::forgive(tx, &subject(user_id)).await?;
        let ended = begin(tx, &self.session, self.tier.sessions_max(), self.now_ms).await?;
        let detail = serde_json::json!({ "session_id": self.session.id, "by": "second_factor" });
        self.accounts
            .record(tx, "session.begin", user_id, detail, &self.client, self.now_ms)
            .await?;
        Ok(ended)
    }
}

/// The device that waits, and the epoch that the password was checked in.
fn read_owed(owed: &Taken, user: &mut User) -> Result<Device> {
    let data: serde_json::Value =
        serde_json::from_str(&owed.data).map_err(|error| ApiError::internal("internal", error))?;
    user.auth_epoch = data["auth_epoch"].as_i64().unwrap_or(-1);
    Ok(Device {
        id: data["device_id"].as_str().map(str::to_owned),
        name: data["device_name"].as_str().unwrap_or_default().to_owned(),
    })
}

fn hashes(user_id: &str, codes: &[String]) -> Vec<String> {
    let hashes = codes.iter().filter_map(|code| code::recovery_hash(user_id, code));
    hashes.map(|hash| hash.hex()).collect()
}

fn subject(user_id: &str) -> Subject {
    Subject::of("second-factor", &[user_id])
}

fn context(tenant: &str, user_id: &str) -> Vec<u8> {
    format!("account totp\0{tenant}\0{user_id}").into_bytes()
}

fn wrong_code() -> ApiError {
    ApiError::forbidden("wrong_code", "The code is wrong or was used; wait for the next one.")
}

fn expired() -> ApiError {
    ApiError::unauthorized("sign_in_again", "The sign-in took too long; begin again.")
}
