//! Setting a new password: by mail when it was forgotten, by the old one otherwise; and giving an
//! account another address.
//!
//! Each of them ends the other sessions: whoever had got in is out.

use api::{ApiError, FieldError, Result};
use platform::db::{DbError, TenantId, Tx};

use crate::accounts::{Accounts, Client, allowed, pool_error};
use crate::email::Email;
use crate::mail::{Mail, Template};
use crate::once::{self, NewToken, Purpose};
use crate::password::{Password, PasswordHash};
use crate::register::{invalid_email, link_invalid};
use crate::secret::{Secret, SecretHash};
use crate::session::service::end_all;
use crate::session::store;
use crate::throttle::{self, Subject, network_of};
use crate::user::{self, User, UserState};

impl Accounts {
    /// `POST /v1/auth/password/forgot`: a mail with a link. Alike for all addresses.
    pub async fn forgot_password(
        &self,
        tenant: &TenantId,
        client: &Client,
        email: &str,
    ) -> Result<()> {
        let now_ms = self.now_ms();
        let email = Email::parse(email).map_err(|error| invalid_email(&error))?;
        let network = network_of(client.address);
        let charges = vec![
            (Subject::of("mail", &[email.norm()]), throttle::MAIL),
            (Subject::of("forgot", &[&network]), throttle::DEVICE_START),
        ];
        allowed(throttle::charge_all(&self.scope(tenant), charges, now_ms).await?)?;
        let input = (self.clone(), email, now_ms);
        self.scope(tenant)
            .tx(input, |tx, (accounts, email, now_ms)| {
                Box::pin(async move {
                    match user::by_email(tx, email.norm()).await? {
                        Some(user) if user.state == UserState::Active => {
                            accounts.send_reset(tx, &user, *now_ms).await
                        }
                        _ => Ok(()),
                    }
                })
            })
            .await
    }

    async fn send_reset(&self, tx: &mut Tx, user: &User, now_ms: i64) -> Result<(), ApiError> {
        let token = NewToken::link(Purpose::Reset, &user.id, String::new());
        token.put(tx, now_ms).await?;
        let mail = Mail {
            template: Template::ResetPassword,
            to: user.email.clone(),
            link: Some(self.link("reset-password", &token.secret)),
            code: None,
        };
        self.send(tx, user, mail, now_ms).await
    }

    /// `POST /v1/auth/password/reset`: the token of the mail, and a new password.
    pub async fn reset_password(
        &self,
        tenant: &TenantId,
        client: &Client,
        (token, password): (&str, &str),
    ) -> Result<()> {
        let now_ms = self.now_ms();
        let token = Secret::parse(token).ok_or_else(link_invalid)?.hash();
        // Looked at first: a rule that the password breaks must not cost the token, and nobody
        // makes us hash without one.
        let user = self.holder(tenant, Purpose::Reset, token, now_ms).await?;
        let hash = self.hash_chosen(password, &user.email_norm).await?;
        let input = (self.clone(), token, hash, client.clone(), now_ms);
        let ended = self
            .scope(tenant)
            .tx(input, |tx, (accounts, token, hash, client, now_ms)| {
                Box::pin(async move {
                    let taken = once::take(tx, Purpose::Reset, token, *now_ms).await?;
                    let taken = taken.ok_or_else(link_invalid)?;
                    once::drop_all(tx, Purpose::Reset, &taken.user_id).await?;
                    let change = ("password.reset", hash, client);
                    accounts.set_password(tx, &taken.user_id, change, None, *now_ms).await
                })
            })
            .await?;
        self.forget_sessions(tenant, &ended);
        Ok(())
    }

    /// `PUT /v1/me/password`: by the old one. The session that asks goes on.
    pub async fn change_password(
        &self,
        tenant: &TenantId,
        client: &Client,
        (user_id, session_id): (&str, &str),
        (old, new): (&str, &str),
    ) -> Result<()> {
        let user = self.user(tenant, user_id).await?;
        self.require_password(tenant, &user, old).await?;
        let hash = self.hash_chosen(new, &user.email_norm).await?;
        let kept = session_id.to_owned();
        let input = (self.clone(), user.id, kept, hash, client.clone(), self.now_ms());
        let ended = self
            .scope(tenant)
            .tx(input, |tx, (accounts, user_id, kept, hash, client, now_ms)| {
                Box::pin(async move {
                    let change = ("password.change", hash, client);
                    accounts.set_password(tx, user_id, change, Some(kept), *now_ms).await
                })
            })
            .await?;
        self.forget_sessions(tenant, &ended);
        Ok(())
    }

    /// Sets the password, ends all sessions but `kept`, tells the person. The sessions that ended.
    async fn set_password(
        &self,
        tx: &mut Tx,
        user_id: &str,
        (action, hash, client): (&'static str, &PasswordHash, &Client),
        kept: Option<&String>,
        now_ms: i64,
    ) -> Result<Vec<String>, ApiError> {
        let user = user::by_id(tx, user_id).await?;
        let user = user.filter(|user| user.state == UserState::Active);
        let user = user.ok_or_else(link_invalid)?;
        user::put_hash(tx, user_id, hash.text(), now_ms).await?;
        let ended = match kept {
            Some(kept) => end_others(tx, user_id, kept).await?,
            None => end_all(tx, user_id).await?,
        };
        let detail = serde_json::json!({ "sessions_ended": ended.len() });
        self.record(tx, action, user_id, detail, client, now_ms).await?;
        let mail = Mail {
            template: Template::PasswordChanged,
            to: user.email.clone(),
            link: None,
            code: None,
        };
        self.send(tx, &user, mail, now_ms).await?;
        Ok(ended)
    }

    /// `POST /v1/me/email`: a mail to the new address; the old one stays until it is confirmed.
    pub async fn change_email(
        &self,
        tenant: &TenantId,
        user_id: &str,
        (password, email): (&str, &str),
    ) -> Result<()> {
        let email = Email::parse(email).map_err(|error| invalid_email(&error))?;
        let user = self.user(tenant, user_id).await?;
        self.require_password(tenant, &user, password).await?;
        let now_ms = self.now_ms();
        let charges = vec![(Subject::of("mail", &[email.norm()]), throttle::MAIL)];
        allowed(throttle::charge_all(&self.scope(tenant), charges, now_ms).await?)?;
        let input = (self.clone(), user, email, now_ms);
        self.scope(tenant)
            .tx(input, |tx, (accounts, user, email, now_ms)| {
                Box::pin(async move {
                    once::drop_all(tx, Purpose::Email, &user.id).await?;
                    let data = email.written().to_owned();
                    let token = NewToken::link(Purpose::Email, &user.id, data);
                    token.put(tx, *now_ms).await?;
                    let mail = Mail {
                        template: Template::ConfirmEmail,
                        to: email.written().to_owned(),
                        link: Some(accounts.link("confirm-email", &token.secret)),
                        code: None,
                    };
                    accounts.send(tx, user, mail, *now_ms).await
                })
            })
            .await
    }

    /// `POST /v1/auth/email/confirm`: the token that went to the new address. The old one is told.
    pub async fn confirm_email(
        &self,
        tenant: &TenantId,
        client: &Client,
        token: &str,
    ) -> Result<()> {
        let token = Secret::parse(token).ok_or_else(link_invalid)?.hash();
        let input = (self.clone(), token, client.clone(), self.now_ms());
        let confirmed = self
            .scope(tenant)
            .tx(input, |tx, (accounts, token, client, now_ms)| {
                Box::pin(accounts.confirm_email_in(tx, token, client, *now_ms))
            })
            .await;
        match confirmed {
            // Told only to who reads the mail of that address, so it tells them nothing new.
            Err(error) if error.code() == EMAIL_TAKEN => Err(ApiError::conflict(
                EMAIL_TAKEN,
                "The address has another account; sign in with it instead.",
            )),
            other => other,
        }
    }

    async fn confirm_email_in(
        &self,
        tx: &mut Tx,
        token: &SecretHash,
        client: &Client,
        now_ms: i64,
    ) -> Result<(), ApiError> {
        let taken = once::take(tx, Purpose::Email, token, now_ms).await?;
        let taken = taken.ok_or_else(link_invalid)?;
        let email = Email::parse(&taken.data);
        let email = email.map_err(|error| ApiError::internal("internal", error))?;
        let user = user::by_id(tx, &taken.user_id).await?.ok_or_else(link_invalid)?;
        match user::set_email(tx, &user.id, &email).await {
            Ok(true) => {}
            Ok(false) => return Err(link_invalid()),
            Err(DbError::Unique { .. }) => return Err(ApiError::conflict(EMAIL_TAKEN, "")),
            Err(error) => return Err(error.into()),
        }
        self.record(tx, "email.change", &user.id, serde_json::json!({}), client, now_ms).await?;
        let mail = Mail {
            template: Template::EmailChanged,
            to: user.email.clone(),
            link: None,
            code: None,
        };
        self.send(tx, &user, mail, now_ms).await
    }

    /// The person a token belongs to, without taking it.
    async fn holder(
        &self,
        tenant: &TenantId,
        purpose: Purpose,
        token: SecretHash,
        now_ms: i64,
    ) -> Result<User> {
        let scope = self.scope(tenant);
        let look = scope.tx((purpose, token, now_ms), |tx, (purpose, token, now_ms)| {
            Box::pin(once::look(tx, *purpose, token, *now_ms))
        });
        let taken = look.await?.ok_or_else(link_invalid)?;
        self.user(tenant, &taken.user_id).await.map_err(|_| link_invalid())
    }

    async fn hash_chosen(&self, password: &str, email_norm: &str) -> Result<PasswordHash> {
        let password = Password::chosen(password, email_norm).map_err(|error| {
            let field = FieldError::new("/password", "weak_password", error.to_string());
            ApiError::validation(vec![field])
        })?;
        self.parts.hashes.hash(password).await.map_err(pool_error)
    }
}

const EMAIL_TAKEN: &str = "email_taken";

/// Raises the epoch, carries one session over it and ends the others; which they were.
async fn end_others(tx: &mut Tx, user_id: &str, kept: &str) -> Result<Vec<String>, DbError> {
    let epoch = user::bump_epoch(tx, user_id).await?.unwrap_or_default();
    store::carry_epoch(tx, kept, epoch).await?;
    store::end_others(tx, user_id, kept).await
}
