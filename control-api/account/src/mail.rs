//! Messages to a person, as facts for whoever sends mail.
//!
//! A message may hold a link that opens an account, and the event log keeps its facts. So address,
//! link and code are sealed: the log names the template and the person, and only who holds the keys
//! reads the rest.

use api::{ApiError, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use platform::db::Tx;
use serde::{Deserialize, Serialize};

use crate::accounts::{AccountFact, Accounts};
use crate::secret::Secret;
use crate::user::User;

/// Which text is sent.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Template {
    Verify,
    AlreadyRegistered,
    ResetPassword,
    PasswordChanged,
    ConfirmEmail,
    EmailChanged,
    NewDevice,
    AccountDeleted,
    ExportReady,
}

/// A message before it is sealed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Mail {
    pub template: Template,
    pub to: String,
    pub link: Option<String>,
    pub code: Option<String>,
}

/// What a message is sealed for; it opens for the same person of the same tenant alone.
fn context(tenant: &str, user_id: &str) -> Vec<u8> {
    format!("account mail\0{tenant}\0{user_id}").into_bytes()
}

impl Accounts {
    /// Publishes a message in the transaction that causes it.
    pub(crate) async fn send(
        &self,
        tx: &mut Tx,
        user: &User,
        mail: Mail,
        now_ms: i64,
    ) -> Result<(), ApiError> {
        let tenant = tx.tenant().map(|tenant| tenant.as_str().to_owned()).unwrap_or_default();
        let plain =
            serde_json::to_vec(&mail).map_err(|error| ApiError::internal("internal", error))?;
        let sealed = self.parts.keys.seal(&context(&tenant, &user.id), &plain, now_ms)?;
        let data = serde_json::json!({
            "channel": "email",
            "template": mail.template,
            "user_id": user.id,
            "locale": user.locale,
            "sealed": URL_SAFE_NO_PAD.encode(sealed),
        });
        let fact = AccountFact::Notification { user_id: user.id.clone(), data };
        Ok(self.parts.outbox.publish(tx, fact, now_ms).await?)
    }

    /// Opens the `sealed` member of a `notification.send` fact: for whoever sends it.
    ///
    /// # Errors
    /// When it was not sealed for this person, or the keys are gone.
    pub fn open_mail(&self, tenant: &str, user_id: &str, sealed: &str) -> Result<Mail> {
        let sealed = URL_SAFE_NO_PAD
            .decode(sealed)
            .map_err(|error| ApiError::internal("internal", error))?;
        let plain = self.parts.keys.open(&context(tenant, user_id), &sealed, self.now_ms())?;
        serde_json::from_slice(&plain).map_err(|error| ApiError::internal("internal", error))
    }

    /// The address of a page with a token. The token stands behind `#`, so that neither proxies nor
    /// logs nor the `Referer` of a later request see it.
    pub(crate) fn link(&self, page: &str, secret: &Secret) -> String {
        format!("{}/{page}#token={}", self.parts.settings.public_url, secret.text())
    }
}
