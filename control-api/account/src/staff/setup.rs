//! The first administrator: whoever can read a file of the data directory may make one, once.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use api::permission::PermissionEntry;
use api::{ApiError, FieldError, Fields, Result};
use platform::audit::{self, Record};
use platform::db::{DbError, TenantId, Tx};
use platform::params;

use super::store::{self, NewMember};
use crate::accounts::{Accounts, Client, new_id, pool_error};
use crate::email::Email;
use crate::password::Password;
use crate::secret::{Secret, SecretHash};

/// Name of the file in the data directory.
pub const SETUP_FILE: &str = "setup-token";
/// The role that is kept up to date with every permission that this version knows.
pub const ADMINISTRATOR: &str = "administrator";
const LIFE_MS: i64 = 3_600_000;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("cannot write {}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },

    #[error(transparent)]
    Db(#[from] DbError),
}

platform::statements! {
    PUT: "INSERT INTO account_setup (tenant_id, hash, expires_at_ms) VALUES ($1, $2, $3)
        ON CONFLICT (tenant_id) DO UPDATE
            SET hash = excluded.hash, expires_at_ms = excluded.expires_at_ms";
    TAKE: "DELETE FROM account_setup WHERE tenant_id = $1 AND hash = $2 AND expires_at_ms > $3";
    LOOK: "SELECT hash FROM account_setup
        WHERE tenant_id = $1 AND hash = $2 AND expires_at_ms > $3";
    DROP: "DELETE FROM account_setup WHERE tenant_id = $1";
}

struct Input {
    hash: SecretHash,
    member: NewMember,
    client: Client,
    now_ms: i64,
}

impl Accounts {
    /// To be called at each start, by the one owner of `folder`. Brings the administrators' role up
    /// to date with `permissions`, those of all domains. While the tenant has no staff, writes a new
    /// token into [`SETUP_FILE`], good for an hour and once, and answers where it lies; afterwards
    /// removes the file. The token itself is never told otherwise.
    ///
    /// # Errors
    /// By cause. Without its file a token is worth nothing to anybody.
    pub async fn open_setup(
        &self,
        tenant: &TenantId,
        folder: &Path,
        permissions: &[PermissionEntry],
        now_ms: i64,
    ) -> Result<Option<PathBuf>, SetupError> {
        let path = folder.join(SETUP_FILE);
        let token = Secret::random();
        let names: Vec<_> = permissions.iter().map(|entry| entry.name.to_owned()).collect();
        let is_needed = self
            .scope(tenant)
            .tx((token.hash(), names, now_ms), |tx, (hash, names, now_ms)| {
                Box::pin(async move {
                    store::put_role(tx, ADMINISTRATOR, names, *now_ms).await?;
                    if store::is_any(tx).await? {
                        tx.execute(&DROP, params![]).await?;
                        return Ok::<_, DbError>(false);
                    }
                    tx.execute(&PUT, params![hash.hex(), *now_ms + LIFE_MS]).await?;
                    Ok(true)
                })
            })
            .await?;
        let done = if is_needed { write(&path, &token.text()) } else { remove(&path) };
        done.map_err(|source| SetupError::File { path: path.clone(), source })?;
        Ok(is_needed.then_some(path))
    }

    /// `POST /v1/admin/auth/setup`: makes the first administrator; their id.
    pub async fn set_up(
        &self,
        tenant: &TenantId,
        client: &Client,
        token: &str,
        (email, password): (&str, &str),
    ) -> Result<String> {
        let now_ms = self.now_ms();
        let hash = Secret::parse(token).ok_or_else(not_good)?.hash();
        // Looked at first, so that a guess costs no password's hash.
        let row = self.scope(tenant).query_opt(&LOOK, params![hash.hex(), now_ms]).await?;
        row.ok_or_else(not_good)?;
        let member = self.new_member((email, password), ADMINISTRATOR, now_ms).await?;
        let id = member.id.clone();
        let input = Input { hash, member, client: client.clone(), now_ms };
        self.scope(tenant).tx(input, |tx, input| Box::pin(input.set_up(tx))).await?;
        Ok(id)
    }

    pub(crate) async fn new_member(
        &self,
        (email, password): (&str, &str),
        role: &str,
        now_ms: i64,
    ) -> Result<NewMember> {
        let mut fields = Fields::default();
        let email = Email::parse(email);
        if let Err(error) = &email {
            fields.add(FieldError::new("/email", "invalid_email", error.to_string()));
        }
        let norm = email.as_ref().map(|email| email.norm().to_owned()).unwrap_or_default();
        let password = Password::chosen(password, &norm);
        if let Err(error) = &password {
            fields.add(FieldError::new("/password", "weak_password", error.to_string()));
        }
        fields.finish()?;
        let (Ok(email), Ok(password)) = (email, password) else {
            unreachable!("each fault is a field, and `finish` answers those")
        };
        let hash = self.parts.hashes.hash(password).await.map_err(pool_error)?;
        let hash = hash.text().to_owned();
        Ok(NewMember { id: new_id(now_ms), email, hash, role: role.to_owned() })
    }
}

impl Input {
    async fn set_up(&self, tx: &mut Tx) -> Result<(), ApiError> {
        // Of two who bring the token at once, one deletes its row.
        if tx.execute(&TAKE, params![self.hash.hex(), self.now_ms]).await? == 0 {
            return Err(not_good());
        }
        if store::is_any(tx).await? || !store::add(tx, &self.member, self.now_ms).await? {
            return Err(not_good());
        }
        let id = &self.member.id;
        let record = Record {
            at_ms: self.now_ms,
            actor: "system".to_owned(),
            action: "staff.create".to_owned(),
            resource: format!("staff/{id}"),
            before: None,
            after: Some(serde_json::json!({ "role": self.member.role, "by": "setup-token" })),
            request_id: Some(self.client.request_id.clone()).filter(|id| !id.is_empty()),
        };
        audit::append(tx, record).await?;
        Ok(())
    }
}

/// The file appears whole, for nobody else to read from its first moment.
fn write(path: &Path, token: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    remove(&beside)?;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(format!("{token}\n").as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn not_good() -> ApiError {
    ApiError::forbidden("setup_token_invalid", "The setup token is wrong, too old or was used.")
}
