//! Registering and confirming the address.
//!
//! The answer is the same whether the address has an account or not, and so is the work: who
//! registers learns the rest from the mail that arrives. The password of a registration is kept
//! with its token and becomes the account's when that token confirms the address, so that nobody
//! can prepare an account for somebody else and wait for them to confirm it with another mail.

use api::{ApiError, FieldError, Fields, Result};
use platform::db::{DbError, TenantId, Tx};

use crate::accounts::{AccountFact, Accounts, Client, allowed, new_id, pool_error};
use crate::code;
use crate::email::Email;
use crate::mail::{Mail, Template};
use crate::once::{self, NewToken, Purpose};
use crate::password::{Password, PasswordHash};
use crate::secret::Secret;
use crate::throttle::{self, Subject, network_of};
use crate::user::{self, NewUser, User, UserState};

/// What somebody registers with, as it came.
#[derive(Clone, Debug, Default)]
pub struct Registration {
    pub email: String,
    pub password: String,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// BCP 47.
    pub locale: Option<String>,
}

/// How an address is confirmed.
#[derive(Clone, Debug)]
pub enum Confirmation {
    /// From the link of the mail.
    Token(String),
    /// From the text of the mail.
    Code { email: String, code: String },
}

#[derive(Clone)]
struct Input {
    accounts: Accounts,
    user: NewUser,
    hash: PasswordHash,
    now_ms: i64,
}

impl Accounts {
    /// `POST /v1/auth/register`.
    pub async fn register(
        &self,
        tenant: &TenantId,
        client: &Client,
        registration: &Registration,
    ) -> Result<()> {
        let now_ms = self.now_ms();
        let (email, password) = check(registration)?;
        let network = network_of(client.address);
        let subjects = vec![
            (Subject::of("mail", &[email.norm()]), throttle::MAIL),
            (Subject::of("register", &[&network]), throttle::DEVICE_START),
        ];
        allowed(throttle::charge_all(&self.scope(tenant), subjects, now_ms).await?)?;
        let hash = self.parts.hashes.hash(password).await.map_err(pool_error)?;
        let user = NewUser {
            id: new_id(now_ms),
            email,
            state: UserState::Pending,
            country: registration.country.clone(),
            locale: registration.locale.clone(),
        };
        let input = Input { accounts: self.clone(), user, hash, now_ms };
        self.scope(tenant).tx(input, |tx, input| Box::pin(input.register(tx))).await?;
        Ok(())
    }

    /// `POST /v1/auth/verify/resend`: another mail for an account that waits for confirmation.
    pub async fn resend_verification(&self, tenant: &TenantId, email: &str) -> Result<()> {
        let now_ms = self.now_ms();
        let email = Email::parse(email).map_err(|error| invalid_email(&error))?;
        let subject = (Subject::of("mail", &[email.norm()]), throttle::MAIL);
        allowed(throttle::charge_all(&self.scope(tenant), vec![subject], now_ms).await?)?;
        let input = (self.clone(), email, now_ms);
        self.scope(tenant)
            .tx(input, |tx, (accounts, email, now_ms)| {
                Box::pin(async move {
                    let Some(user) = user::by_email(tx, email.norm()).await? else {
                        return Ok(());
                    };
                    if user.state != UserState::Pending {
                        return Ok(());
                    }
                    // Without a password of its own: the account keeps the one it was made with.
                    accounts.send_verification(tx, &user, "", *now_ms).await
                })
            })
            .await?;
        Ok(())
    }

    /// `POST /v1/auth/verify`.
    pub async fn verify(&self, tenant: &TenantId, confirmation: &Confirmation) -> Result<()> {
        let now_ms = self.now_ms();
        if let Confirmation::Code { email, .. } = confirmation {
            let norm = Email::parse(email).map(|email| email.norm().to_owned());
            let norm = norm.unwrap_or_default();
            let subject = (Subject::of("verify", &[&norm]), throttle::MAIL_CODE);
            allowed(throttle::charge_all(&self.scope(tenant), vec![subject], now_ms).await?)?;
        }
        let input = (self.clone(), confirmation.clone(), now_ms);
        let confirmed = self
            .scope(tenant)
            .tx(input, |tx, (accounts, confirmation, now_ms)| {
                Box::pin(accounts.confirm(tx, confirmation, *now_ms))
            })
            .await?;
        if confirmed { Ok(()) } else { Err(link_invalid()) }
    }

    /// Answers instead of failing where the code was wrong: the attempt has to be kept.
    async fn confirm(
        &self,
        tx: &mut Tx,
        confirmation: &Confirmation,
        now_ms: i64,
    ) -> Result<bool, ApiError> {
        let taken = match confirmation {
            Confirmation::Token(token) => match Secret::parse(token) {
                Some(secret) => once::take(tx, Purpose::Verify, &secret.hash(), now_ms).await?,
                None => None,
            },
            Confirmation::Code { email, code } => {
                let Some(user) = user_of(tx, email).await? else { return Ok(false) };
                let Some(code) = code::read_mail_code(code) else { return Ok(false) };
                once::take_by_code(tx, Purpose::Verify, &user.id, &code, now_ms).await?
            }
        };
        let Some(taken) = taken else { return Ok(false) };
        if !user::confirm(tx, &taken.user_id, now_ms).await? {
            return Ok(false);
        }
        if !taken.data.is_empty() {
            user::put_hash(tx, &taken.user_id, &taken.data, now_ms).await?;
        }
        once::drop_all(tx, Purpose::Verify, &taken.user_id).await?;
        let user = user::by_id(tx, &taken.user_id).await?;
        let (country, locale) = user.map(|user| (user.country, user.locale)).unwrap_or_default();
        let fact = AccountFact::UserRegistered { user_id: taken.user_id, country, locale };
        self.parts.outbox.publish(tx, fact, now_ms).await?;
        Ok(true)
    }

    /// Gives out a token for an address and mails it. `hash` becomes the password with it.
    async fn send_verification(
        &self,
        tx: &mut Tx,
        user: &User,
        hash: &str,
        now_ms: i64,
    ) -> Result<(), ApiError> {
        let token = NewToken::link_and_code(Purpose::Verify, &user.id, hash.to_owned());
        token.put(tx, now_ms).await?;
        let mail = Mail {
            template: Template::Verify,
            to: user.email.clone(),
            link: Some(self.link("verify", &token.secret)),
            code: token.code,
        };
        self.send(tx, user, mail, now_ms).await
    }
}

impl Input {
    async fn register(&self, tx: &mut Tx) -> Result<(), ApiError> {
        let accounts = &self.accounts;
        if user::add(tx, &self.user, self.now_ms).await? {
            user::put_hash(tx, &self.user.id, self.hash.text(), self.now_ms).await?;
        }
        // Read in both cases, so that both take the same statements.
        let Some(user) = user::by_email(tx, self.user.email.norm()).await? else {
            // Somebody is being removed at this moment; a second attempt will do.
            return Err(DbError::Busy { reason: "the address is in use by a removal" }.into());
        };
        match user.state {
            UserState::Pending => {
                accounts.send_verification(tx, &user, self.hash.text(), self.now_ms).await
            }
            UserState::Active => {
                let mail = Mail {
                    template: Template::AlreadyRegistered,
                    to: user.email.clone(),
                    link: Some(format!("{}/login", accounts.parts.settings.public_url)),
                    code: None,
                };
                accounts.send(tx, &user, mail, self.now_ms).await
            }
            UserState::Suspended | UserState::Deleting => Ok(()),
        }
    }
}

async fn user_of(tx: &mut Tx, email: &str) -> Result<Option<User>, DbError> {
    match Email::parse(email) {
        Ok(email) => user::by_email(tx, email.norm()).await,
        Err(_) => Ok(None),
    }
}

/// Address and password by the rules, every fault told at once.
fn check(registration: &Registration) -> Result<(Email, Password)> {
    let mut fields = Fields::default();
    let email = Email::parse(&registration.email);
    if let Err(error) = &email {
        fields.add(FieldError::new("/email", "invalid_email", error.to_string()));
    }
    let norm = email.as_ref().map(|email| email.norm().to_owned()).unwrap_or_default();
    let password = Password::chosen(&registration.password, &norm);
    if let Err(error) = &password {
        fields.add(FieldError::new("/password", "weak_password", error.to_string()));
    }
    fields.finish()?;
    let (Ok(email), Ok(password)) = (email, password) else {
        unreachable!("each fault is a field, and `finish` answers those")
    };
    Ok((email, password))
}

pub(crate) fn invalid_email(error: &crate::email::EmailError) -> ApiError {
    let field = FieldError::new("/email", "invalid_email", error.to_string());
    ApiError::validation(vec![field])
}

/// One answer for used, expired and invented tokens.
pub(crate) fn link_invalid() -> ApiError {
    ApiError::bad_request(
        "link_invalid",
        "The link or code is wrong, has expired or was used; ask for a new one.",
    )
}
