//! Signing in with a password.
//!
//! An attempt is charged before the password is looked at and forgiven when it is right. Whether
//! an account exists shows in neither the answer nor its time: a hash is computed for everybody.

use api::{ApiError, Result};
use platform::db::{DbError, TenantId, Tx};

use crate::accounts::{Accounts, Client, Tier, allowed, pool_error};
use crate::email::Email;
use crate::once::{NewToken, Purpose};
use crate::password::{Password, PasswordHash, Verdict};
use crate::secret::Secret;
use crate::session::NewSession;
use crate::session::service::{Device, SignedIn, begin};
use crate::throttle::{self, Subject, network_of};
use crate::user::{self, User, UserState};

/// What somebody signs in with, as it came.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    pub email: String,
    pub password: String,
    pub device: Device,
}

/// How far a sign-in has come.
#[derive(Clone, Debug)]
pub enum Login {
    SignedIn(SignedIn),
    /// The password was right; a second factor is owed, with this token.
    SecondFactor {
        token: Secret,
    },
}

struct Input {
    accounts: Accounts,
    user: User,
    session: NewSession,
    subjects: Vec<Subject>,
    rehash: Option<(String, String)>,
    tier: Tier,
    device: Device,
    client: Client,
    now_ms: i64,
}

/// What the transaction of a sign-in came to.
enum Done {
    Begun { ended: Vec<String> },
    SecondFactor(Secret),
}

impl Accounts {
    /// `POST /v1/auth/login`.
    pub async fn login(
        &self,
        tenant: &TenantId,
        client: &Client,
        credentials: &Credentials,
    ) -> Result<Login> {
        let now_ms = self.now_ms();
        let norm = Email::parse(&credentials.email).map(|email| email.norm().to_owned());
        let norm = norm.map_err(|_| wrong())?;
        let subjects = subjects(&norm, client);
        let charges = subjects.iter().cloned();
        let charges = charges.zip([throttle::LOGIN_HERE, throttle::LOGIN_ANYWHERE]).collect();
        allowed(throttle::charge_all(&self.scope(tenant), charges, now_ms).await?)?;

        let (user, rehash) = self.check_password(tenant, &norm, &credentials.password).await?;
        may_sign_in(&user)?;
        let tier = self.tier(tenant, &user.id).await?;
        let session = self.new_session(&user, &credentials.device, client, now_ms);
        let input = Input {
            accounts: self.clone(),
            user,
            session,
            subjects,
            rehash,
            tier,
            device: credentials.device.clone(),
            client: client.clone(),
            now_ms,
        };
        let (session, tier) = (input.session.clone(), input.tier.clone());
        let done = self.scope(tenant).tx(input, |tx, input| Box::pin(input.sign_in(tx))).await?;
        match done {
            Done::SecondFactor(token) => Ok(Login::SecondFactor { token }),
            Done::Begun { ended } => {
                self.forget_sessions(tenant, &ended);
                self.begun(tenant, &session, &tier, now_ms).map(Login::SignedIn)
            }
        }
    }

    /// The person whose password it is, and old and new hash where the kept one is outdated.
    async fn check_password(
        &self,
        tenant: &TenantId,
        email_norm: &str,
        password: &str,
    ) -> Result<(User, Option<(String, String)>)> {
        let scope = self.scope(tenant);
        let user = user::find_by_email(&scope, email_norm).await?;
        // Asked also for nobody: the same statements for all.
        let user_id = user.as_ref().map_or("", |user| user.id.as_str());
        let kept = user::hash_of(&scope, user_id).await?;
        let password = Password::typed(password).map_err(|_| wrong())?;
        let kept = kept
            .map(|text| PasswordHash::read(&text))
            .transpose()
            .map_err(|error| ApiError::internal("internal", error))?;
        let old = kept.as_ref().map(|hash| hash.text().to_owned());
        let verdict = self.parts.hashes.verify(password, kept).await.map_err(pool_error)?;
        match (verdict, user) {
            (Verdict::Wrong, _) | (_, None) => Err(wrong()),
            (Verdict::Right, Some(user)) => Ok((user, None)),
            (Verdict::RightAndRehashed(new), Some(user)) => {
                Ok((user, old.map(|old| (old, new.text().to_owned()))))
            }
        }
    }

    /// Whether it is the password of a person who is signed in already.
    pub(crate) async fn is_password_of(
        &self,
        tenant: &TenantId,
        user: &User,
        password: &str,
    ) -> Result<bool> {
        let client = Client::default();
        let subjects = subjects(&user.email_norm, &client);
        let charges = subjects.into_iter().zip([throttle::LOGIN_HERE, throttle::LOGIN_ANYWHERE]);
        let charges = charges.collect();
        allowed(throttle::charge_all(&self.scope(tenant), charges, self.now_ms()).await?)?;
        match self.check_password(tenant, &user.email_norm, password).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == WRONG => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Input {
    async fn sign_in(&self, tx: &mut Tx) -> Result<Done, ApiError> {
        for subject in &self.subjects {
            throttle::forgive(tx, subject).await?;
        }
        if let Some((old, new)) = &self.rehash {
            user::replace_hash(tx, &self.user.id, old, new).await?;
        }
        if crate::mfa::is_enrolled(tx, &self.user.id).await? {
            return self.ask_second_factor(tx).await;
        }
        let ended = begin(tx, &self.session, self.tier.sessions_max(), self.now_ms).await?;
        self.record(tx).await?;
        Ok(Done::Begun { ended })
    }

    /// Keeps what the session is to be until the second factor has come.
    async fn ask_second_factor(&self, tx: &mut Tx) -> Result<Done, ApiError> {
        let data = serde_json::json!({
            "auth_epoch": self.user.auth_epoch,
            "device_id": self.device.id,
            "device_name": self.device.name,
        });
        let token = NewToken::link(Purpose::SecondFactor, &self.user.id, data.to_string());
        token.put(tx, self.now_ms).await?;
        Ok(Done::SecondFactor(token.secret))
    }

    async fn record(&self, tx: &mut Tx) -> Result<(), DbError> {
        let detail = serde_json::json!({ "session_id": self.session.id, "by": "password" });
        let user_id = &self.user.id;
        self.accounts.record(tx, "session.begin", user_id, detail, &self.client, self.now_ms).await
    }
}

fn subjects(email_norm: &str, client: &Client) -> Vec<Subject> {
    let network = network_of(client.address);
    vec![
        Subject::of("login", &[email_norm, &network]),
        Subject::of("login-anywhere", &[email_norm]),
    ]
}

/// The state of an account, told to who knows its password.
pub(crate) fn may_sign_in(user: &User) -> Result<()> {
    match user.state {
        UserState::Active => Ok(()),
        UserState::Pending => Err(ApiError::forbidden(
            "email_unverified",
            "Confirm the address first: open the link or type the code that was mailed.",
        )),
        UserState::Suspended => {
            Err(ApiError::forbidden("account_suspended", "This account is suspended."))
        }
        UserState::Deleting => {
            Err(ApiError::forbidden("account_deleted", "This account is being deleted."))
        }
    }
}

const WRONG: &str = "invalid_credentials";

fn wrong() -> ApiError {
    ApiError::unauthorized(WRONG, "Address or password is wrong.")
}
