//! Signing in: a password, then always a code. Who has no app enrolled enrols one by this code.

use api::{ApiError, Result};
use platform::audit::{self, Record};
use platform::db::{TenantId, Tx};
use serde::Serialize;
use utoipa::ToSchema;

use super::session::{IDLE_MS, NewSession};
use super::store::{self, Member, Step};
use crate::accounts::{Accounts, Client, allowed, pool_error};
use crate::code;
use crate::email::Email;
use crate::mfa::Enrolment;
use crate::otp::TotpKey;
use crate::password::{Password, PasswordHash, Verdict};
use crate::secret::{Secret, SecretHash};
use crate::throttle::{self, Subject, network_of};

/// Tokens of a session of staff.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StaffSignedIn {
    /// Sent as `Authorization: Bearer`.
    pub access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    pub token_type: &'static str,
    /// Seconds until the access token expires.
    pub expires_in: i64,
    /// Good for one refresh; the answer brings the next one.
    pub refresh_token: String,
    /// Seconds until the refresh token expires.
    pub refresh_expires_in: i64,
    pub session_id: String,
    pub staff_id: String,
    /// Ten codes for the day the app is lost, shown once: by the sign-in that enrolled it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recovery_codes: Option<Vec<String>>,
}

/// What a right password leads to. It never signs in alone.
#[derive(Clone, Debug)]
pub enum StaffLogin {
    /// A code of the enrolled app is owed.
    Code { token: Secret },
    /// No app is enrolled; the first code of this one enrols it.
    Enrol { token: Secret, enrolment: Enrolment },
}

struct Input {
    accounts: Accounts,
    tenant: TenantId,
    hash: SecretHash,
    code: String,
    session: NewSession,
    recovery_codes: Vec<String>,
    client: Client,
    now_ms: i64,
}

/// Whose session began, in which epoch, and whether an app was enrolled for it.
struct Begun {
    staff_id: String,
    auth_epoch: i64,
    has_enrolled: bool,
}

impl Accounts {
    /// `POST /v1/admin/auth/login`.
    pub async fn staff_login(
        &self,
        tenant: &TenantId,
        client: &Client,
        (email, password): (&str, &str),
    ) -> Result<StaffLogin> {
        let now_ms = self.now_ms();
        let norm = Email::parse(email).map(|email| email.norm().to_owned()).map_err(|_| wrong())?;
        let subjects = vec![
            Subject::of("staff-login", &[&norm, &network_of(client.address)]),
            Subject::of("staff-login-anywhere", &[&norm]),
        ];
        let limits = [throttle::LOGIN_HERE, throttle::LOGIN_ANYWHERE];
        let charges = subjects.iter().cloned().zip(limits).collect();
        allowed(throttle::charge_all(&self.scope(tenant), charges, now_ms).await?)?;

        let (member, rehash) = self.check_staff_password(tenant, &norm, password).await?;
        if !member.is_active {
            return Err(ApiError::forbidden("account_suspended", "This account is suspended."));
        }
        let key = member.totp.is_none().then(TotpKey::random);
        let context = context(tenant.as_str(), &member.id);
        let totp = match &key {
            Some(key) => Some(self.parts.keys.seal(&context, key.as_bytes(), now_ms)?),
            None => None,
        };
        let token = Secret::random();
        let step = Step { staff_id: member.id.clone(), auth_epoch: member.auth_epoch, totp };
        self.scope(tenant)
            .tx((subjects, rehash, token.hash(), step, now_ms), |tx, input| {
                Box::pin(async move {
                    let (subjects, rehash, hash, step, now_ms) = input;
                    for subject in subjects {
                        throttle::forgive(tx, subject).await?;
                    }
                    if let Some((old, new)) = rehash {
                        store::replace_hash(tx, &step.staff_id, (old, new)).await?;
                    }
                    store::put_step(tx, hash, step, *now_ms).await?;
                    Ok::<_, ApiError>(())
                })
            })
            .await?;
        match key {
            None => Ok(StaffLogin::Code { token }),
            Some(key) => {
                let enrolment = self.enrolment(&key, &member.email)?;
                Ok(StaffLogin::Enrol { token, enrolment })
            }
        }
    }

    /// The member whose password it is, and old and new hash where the kept one is outdated. A hash
    /// is computed for everybody, so that time doesn't tell who is one of us.
    async fn check_staff_password(
        &self,
        tenant: &TenantId,
        email_norm: &str,
        password: &str,
    ) -> Result<(Member, Option<(String, String)>)> {
        let member = store::find_by_email(&self.scope(tenant), email_norm).await?;
        let password = Password::typed(password).map_err(|_| wrong())?;
        let kept = member.as_ref().map(|member| PasswordHash::read(&member.hash)).transpose();
        let kept = kept.map_err(|error| ApiError::internal("internal", error))?;
        let verdict = self.parts.hashes.verify(password, kept).await.map_err(pool_error)?;
        match (verdict, member) {
            (Verdict::Wrong, _) | (_, None) => Err(wrong()),
            (Verdict::Right, Some(member)) => Ok((member, None)),
            (Verdict::RightAndRehashed(new), Some(member)) => {
                let hashes = (member.hash.clone(), new.text().to_owned());
                Ok((member, Some(hashes)))
            }
        }
    }

    fn enrolment(&self, key: &TotpKey, email: &str) -> Result<Enrolment> {
        let product = format!("{} Admin", self.parts.settings.product_name);
        let uri = key.uri(&product, email);
        let qr = qrcode::QrCode::new(uri.as_bytes())
            .map_err(|error| ApiError::internal("internal", error))?;
        let qr_svg = qr.render::<qrcode::render::svg::Color<'_>>().min_dimensions(240, 240).build();
        Ok(Enrolment { secret: key.base32(), uri, qr_svg })
    }

    /// `POST /v1/admin/auth/mfa`: the code that the sign-in owes.
    pub async fn staff_mfa(
        &self,
        tenant: &TenantId,
        client: &Client,
        (token, code): (&str, &str),
    ) -> Result<StaffSignedIn> {
        let now_ms = self.now_ms();
        let hash = Secret::parse(token).ok_or_else(expired)?.hash();
        let scope = self.scope(tenant);
        let look = scope
            .tx((hash, now_ms), |tx, (hash, now_ms)| Box::pin(store::look_step(tx, hash, *now_ms)));
        let step = look.await?.ok_or_else(expired)?;
        let charges = vec![(subject(&step.staff_id), throttle::SECOND_FACTOR)];
        allowed(throttle::charge_all(&self.scope(tenant), charges, now_ms).await?)?;
        let session = NewSession::new(now_ms);
        let recovery_codes = code::recovery_codes();
        let input = Input {
            accounts: self.clone(),
            tenant: tenant.clone(),
            hash,
            code: code.to_owned(),
            session: session.clone(),
            recovery_codes: recovery_codes.clone(),
            client: client.clone(),
            now_ms,
        };
        let begun = self.scope(tenant).tx(input, |tx, input| Box::pin(input.sign_in(tx))).await?;
        let ids = (begun.staff_id.as_str(), session.id.as_str());
        let refresh = (&session.first, IDLE_MS);
        let tokens = self.staff_tokens(tenant, ids, begun.auth_epoch, refresh, now_ms)?;
        let recovery_codes = begun.has_enrolled.then_some(recovery_codes);
        Ok(StaffSignedIn { recovery_codes, ..tokens })
    }
}

impl Input {
    async fn sign_in(&self, tx: &mut Tx) -> Result<Begun, ApiError> {
        let now_ms = self.now_ms;
        let step = store::look_step(tx, &self.hash, now_ms).await?.ok_or_else(expired)?;
        let member = store::by_id(tx, &step.staff_id).await?.ok_or_else(expired)?;
        let has_enrolled = match (&member.totp, &step.totp) {
            (Some(sealed), None) => {
                if !self.is_factor(tx, &member, sealed).await? {
                    return Err(wrong_code());
                }
                false
            }
            (None, Some(sealed)) => {
                self.enrol(tx, &member.id, sealed).await?;
                true
            }
            // An app was enrolled by another sign-in, or taken off: begin again.
            _ => return Err(expired()),
        };
        if !store::take_step(tx, &self.hash).await? {
            return Err(expired());
        }
        throttle::forgive(tx, &subject(&member.id)).await?;
        if !self.session.begin(tx, (&member.id, step.auth_epoch), now_ms).await? {
            return Err(expired());
        }
        let detail = serde_json::json!({ "session_id": self.session.id });
        let record = record("staff.session_begin", &member.id, detail, &self.client, now_ms);
        audit::append(tx, record).await?;
        Ok(Begun { staff_id: member.id, auth_epoch: step.auth_epoch, has_enrolled })
    }

    async fn is_factor(&self, tx: &mut Tx, member: &Member, sealed: &[u8]) -> Result<bool> {
        let key = self.open_key(&member.id, sealed)?;
        if let Some(step) = key.accept(&self.code, self.now_ms, Some(member.totp_last_step)) {
            return Ok(store::accept(tx, &member.id, step).await?);
        }
        match code::recovery_hash(&member.id, &self.code) {
            Some(hash) => Ok(store::take_recovery(tx, &member.id, &hash.hex()).await?),
            None => Ok(false),
        }
    }

    async fn enrol(&self, tx: &mut Tx, staff_id: &str, sealed: &[u8]) -> Result<()> {
        let key = self.open_key(staff_id, sealed)?;
        let step = key.accept(&self.code, self.now_ms, None).ok_or_else(wrong_code)?;
        if !store::enrol(tx, staff_id, sealed, step).await? {
            return Err(expired());
        }
        let hashes = self.recovery_codes.iter();
        let hashes = hashes.filter_map(|code| code::recovery_hash(staff_id, code));
        let hashes: Vec<String> = hashes.map(|hash| hash.hex()).collect();
        store::put_recovery(tx, staff_id, &hashes).await?;
        let detail = serde_json::json!({ "factor": "totp" });
        let record = record("staff.enrol", staff_id, detail, &self.client, self.now_ms);
        audit::append(tx, record).await?;
        Ok(())
    }

    fn open_key(&self, staff_id: &str, sealed: &[u8]) -> Result<TotpKey> {
        let context = context(self.tenant.as_str(), staff_id);
        let bytes = self.accounts.parts.keys.open(&context, sealed, self.now_ms)?;
        TotpKey::from_bytes(&bytes)
            .ok_or_else(|| ApiError::internal("internal", "a kept TOTP secret has another length"))
    }
}

/// What a member of staff did to their own account.
pub(super) fn record(
    action: &str,
    staff_id: &str,
    detail: serde_json::Value,
    client: &Client,
    now_ms: i64,
) -> Record {
    let name = format!("staff/{staff_id}");
    Record {
        at_ms: now_ms,
        actor: name.clone(),
        action: action.to_owned(),
        resource: name,
        before: None,
        after: Some(detail),
        request_id: Some(client.request_id.clone()).filter(|id| !id.is_empty()),
    }
}

fn subject(staff_id: &str) -> Subject {
    Subject::of("staff-second-factor", &[staff_id])
}

/// Another one than that of viewers: a secret of one table opens in no other.
fn context(tenant: &str, staff_id: &str) -> Vec<u8> {
    format!("account staff totp\0{tenant}\0{staff_id}").into_bytes()
}

fn wrong() -> ApiError {
    ApiError::unauthorized("invalid_credentials", "Address or password is wrong.")
}

fn wrong_code() -> ApiError {
    ApiError::forbidden("wrong_code", "The code is wrong or was used; wait for the next one.")
}

fn expired() -> ApiError {
    ApiError::unauthorized("sign_in_again", "The sign-in took too long; begin again.")
}
