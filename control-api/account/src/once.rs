//! Tokens that are good once: the links and codes of mails, and what stands between a password
//! and a second factor.
//!
//! A token is taken by the statement that deletes it: of two who bring it at once, one gets a row.

use platform::db::{DbError, Tx};
use platform::params;

use crate::code;
use crate::secret::{Secret, SecretHash};

/// What a token is good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// Confirms the address of a new account.
    Verify,
    /// Sets a new password.
    Reset,
    /// Confirms a new address.
    Email,
    /// Has shown a password, owes a second factor.
    SecondFactor,
}

impl Purpose {
    fn text(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
            Self::Email => "email",
            Self::SecondFactor => "mfa",
        }
    }

    fn life_ms(self) -> i64 {
        const MINUTE_MS: i64 = 60_000;
        match self {
            Self::Verify => 24 * 60 * MINUTE_MS,
            Self::Email => 60 * MINUTE_MS,
            Self::Reset => 30 * MINUTE_MS,
            Self::SecondFactor => 10 * MINUTE_MS,
        }
    }
}

/// Wrong codes after which only the link is left.
const CODE_ATTEMPTS_MAX: i64 = 5;

/// A token about to be given out. What is kept of it are hashes.
#[derive(Clone, Debug)]
pub(crate) struct NewToken {
    pub(crate) purpose: Purpose,
    pub(crate) user_id: String,
    /// JSON that comes back with the token.
    pub(crate) data: String,
    pub(crate) secret: Secret,
    pub(crate) code: Option<String>,
}

/// What a token was for.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) user_id: String,
    pub(crate) data: String,
}

platform::statements! {
    PUT: "INSERT INTO account_token (tenant_id, hash, kind, user_id, data, code_hash, attempts,
            created_at_ms, expires_at_ms)
        VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8)";
    TAKE: "DELETE FROM account_token
        WHERE tenant_id = $1 AND hash = $2 AND kind = $3 AND expires_at_ms > $4
        RETURNING user_id, data";
    LOOK: "SELECT user_id, data FROM account_token
        WHERE tenant_id = $1 AND hash = $2 AND kind = $3 AND expires_at_ms > $4";
    TRY_CODE: "UPDATE account_token SET attempts = attempts + 1
        WHERE tenant_id = $1 AND user_id = $2 AND kind = $3 AND expires_at_ms > $4
            AND attempts < $5 AND code_hash IS NOT NULL
        RETURNING hash, code_hash";
    DROP_ALL: "DELETE FROM account_token WHERE tenant_id = $1 AND user_id = $2 AND kind = $3";
    system SWEEP: "DELETE FROM account_token WHERE expires_at_ms <= $1";
}

impl NewToken {
    /// A token with a link alone.
    pub(crate) fn link(purpose: Purpose, user_id: &str, data: String) -> Self {
        Self { purpose, user_id: user_id.to_owned(), data, secret: Secret::random(), code: None }
    }

    /// A token with a link and a code to type.
    pub(crate) fn link_and_code(purpose: Purpose, user_id: &str, data: String) -> Self {
        Self { code: Some(code::mail_code()), ..Self::link(purpose, user_id, data) }
    }

    pub(crate) async fn put(&self, tx: &mut Tx, now_ms: i64) -> Result<(), DbError> {
        let code_hash =
            self.code.as_ref().map(|code| code::mail_code_hash(&self.user_id, code).hex());
        let expires_at_ms = now_ms + self.purpose.life_ms();
        let params = params![
            self.secret.hash().hex(),
            self.purpose.text(),
            &self.user_id,
            &self.data,
            code_hash,
            now_ms,
            expires_at_ms
        ];
        tx.execute(&PUT, params).await.map(|_| ())
    }
}

/// Takes a token; `None` when it was taken, has expired or never was.
pub(crate) async fn take(
    tx: &mut Tx,
    purpose: Purpose,
    hash: &SecretHash,
    now_ms: i64,
) -> Result<Option<Taken>, DbError> {
    let row = tx.query_opt(&TAKE, params![hash.hex(), purpose.text(), now_ms]).await?;
    row.map(|row| row.decode().map(|(user_id, data)| Taken { user_id, data })).transpose()
}

/// What a token is for, without taking it.
pub(crate) async fn look(
    tx: &mut Tx,
    purpose: Purpose,
    hash: &SecretHash,
    now_ms: i64,
) -> Result<Option<Taken>, DbError> {
    let row = tx.query_opt(&LOOK, params![hash.hex(), purpose.text(), now_ms]).await?;
    row.map(|row| row.decode().map(|(user_id, data)| Taken { user_id, data })).transpose()
}

/// Takes the user's token that `code` belongs to. The attempt counts for all of the user's tokens
/// of this purpose, and is kept only when the transaction is: a wrong code must not roll it back.
pub(crate) async fn take_by_code(
    tx: &mut Tx,
    purpose: Purpose,
    user_id: &str,
    code: &str,
    now_ms: i64,
) -> Result<Option<Taken>, DbError> {
    let params = params![user_id, purpose.text(), now_ms, CODE_ATTEMPTS_MAX];
    let ours = code::mail_code_hash(user_id, code);
    let mut found = None;
    for row in tx.query(&TRY_CODE, params).await? {
        let (hash, code_hash) = row.decode::<(String, String)>()?;
        if ours.is(&code_hash) {
            found = Some(hash);
        }
    }
    let Some(hash) = found else { return Ok(None) };
    let row = tx.query_opt(&TAKE, params![hash, purpose.text(), now_ms]).await?;
    row.map(|row| row.decode().map(|(user_id, data)| Taken { user_id, data })).transpose()
}

/// Withdraws all of a user's tokens of one purpose.
pub(crate) async fn drop_all(tx: &mut Tx, purpose: Purpose, user_id: &str) -> Result<(), DbError> {
    tx.execute(&DROP_ALL, params![user_id, purpose.text()]).await.map(|_| ())
}
