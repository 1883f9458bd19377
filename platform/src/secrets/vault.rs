//! A login at a Vault, and what was read with it.
//!
//! A token that was given is renewed as it may be; AppRole signs in anew when its token ends. Both
//! versions of KV are read, told apart by the mount (`sys/internal/ui/mounts`), as Vault's own
//! command line does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::client::{VaultClient, VaultError};
use super::reference::Reference;
use crate::config::Vault;

/// How long what was read is used for further fields of the same path.
const FRESH: Duration = Duration::from_secs(2);

type Fields = BTreeMap<String, Zeroizing<String>>;

/// Signed in, or able to.
pub(super) struct Session {
    settings: Vault,
    client: VaultClient,
    login: Option<Login>,
    /// By path, with the time of reading.
    read: BTreeMap<String, (Instant, Fields)>,
    mounts: BTreeMap<String, Mount>,
}

struct Login {
    token: Zeroizing<String>,
    /// None: it does not end.
    ends: Option<Lease>,
}

struct Lease {
    since: Instant,
    life: Duration,
    is_renewable: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Mount {
    /// With its final slash.
    path: String,
    is_versioned: bool,
}

impl Session {
    pub(super) fn new(settings: &Vault) -> Result<Self, VaultError> {
        let client = VaultClient::new(settings)?;
        let settings = settings.clone();
        Ok(Self { settings, client, login: None, read: BTreeMap::new(), mounts: BTreeMap::new() })
    }

    /// Whether the session is that of these settings, secrets included.
    pub(super) fn is_for(&self, settings: &Vault) -> bool {
        self.settings == *settings
    }

    /// What was read before, however long ago.
    pub(super) fn last_known(&self, reference: &Reference) -> Option<String> {
        let (_, fields) = self.read.get(&reference.path)?;
        fields.get(&reference.field).map(|value| value.to_string())
    }

    /// The value that lies there now.
    pub(super) async fn read(&mut self, reference: &Reference) -> Result<String, VaultError> {
        let fresh = self.read.get(&reference.path).filter(|(read, _)| read.elapsed() < FRESH);
        if fresh.is_none() {
            let fields = match self.read_path(&reference.path).await {
                // The token may have been revoked: what was mounted may have changed, too.
                Err(VaultError::Forbidden { .. }) if self.forget_login() => {
                    self.read_path(&reference.path).await?
                }
                read => read?,
            };
            self.read.insert(reference.path.clone(), (Instant::now(), fields));
        }
        let no_field = || VaultError::NoField { field: reference.field.clone() };
        self.last_known(reference).ok_or_else(no_field)
    }

    /// Whether another login may help.
    fn forget_login(&mut self) -> bool {
        self.mounts.clear();
        self.settings.role_id.is_some() && self.login.take().is_some()
    }

    async fn read_path(&mut self, path: &str) -> Result<Fields, VaultError> {
        let token = self.token().await?;
        let mount = self.mount_of(path, &token).await?;
        let asked = match path.strip_prefix(&mount.path) {
            Some(rest) if mount.is_versioned => format!("{}data/{rest}", mount.path),
            _ => path.to_owned(),
        };
        let answer = self.client.call(Method::GET, &asked, Some(&token), None).await?;
        let body = &answer.body;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::FORBIDDEN => {
                return Err(VaultError::Forbidden { reason: answer.errors() });
            }
            // A version that was deleted is told with its metadata.
            StatusCode::NOT_FOUND if body["data"]["metadata"].is_object() => {
                return Err(VaultError::Deleted);
            }
            StatusCode::NOT_FOUND => return Err(VaultError::NoSecret),
            status => {
                let reason = answer.errors();
                return Err(VaultError::Failing { status: status.as_u16(), reason });
            }
        }
        let fields = if mount.is_versioned { &body["data"]["data"] } else { &body["data"] };
        let fields = fields.as_object().ok_or(VaultError::Answer("it holds no fields"))?;
        // Texts alone are secrets of ours.
        let texts = fields.iter().filter_map(|(name, value)| Some((name, value.as_str()?)));
        Ok(texts.map(|(name, text)| (name.clone(), Zeroizing::new(text.to_owned()))).collect())
    }

    /// Where the path is mounted, and which version of KV lies there.
    async fn mount_of(&mut self, path: &str, token: &str) -> Result<Mount, VaultError> {
        let known = self.mounts.values().find(|mount| path.starts_with(&mount.path));
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let asked = format!("sys/internal/ui/mounts/{path}");
        let answer = self.client.call(Method::GET, &asked, Some(token), None).await?;
        let data = &answer.body["data"];
        let mount = match answer.status {
            StatusCode::OK => {
                let mounted = data["path"].as_str().filter(|mounted| path.starts_with(*mounted));
                let mounted = mounted.ok_or(VaultError::Answer("it tells no mount"))?;
                let is_versioned = data["options"]["version"].as_str() == Some("2");
                Mount { path: mounted.to_owned(), is_versioned }
            }
            // Older than the question: then there is one version.
            StatusCode::NOT_FOUND => {
                let first = path.split('/').next().unwrap_or_default();
                Mount { path: format!("{first}/"), is_versioned: false }
            }
            _ => return Err(VaultError::Forbidden { reason: answer.errors() }),
        };
        self.mounts.insert(mount.path.clone(), mount.clone());
        Ok(mount)
    }

    /// A token with enough life left.
    async fn token(&mut self) -> Result<Zeroizing<String>, VaultError> {
        if let Some(login) = &self.login
            && let Some(lease) = &login.ends
            && lease.life < lease.since.elapsed() * 3 / 2
        {
            // Two thirds of its life are over.
            let renewed = match lease.is_renewable {
                true => self.renew(&login.token).await,
                false => Ok(None),
            };
            match renewed {
                Ok(Some(lease)) => {
                    let token = login.token.clone();
                    self.login = Some(Login { token, ends: Some(lease) });
                }
                // It counts until its end; after that the Vault refuses it.
                Err(error) if error.is_passing() && lease.since.elapsed() < lease.life => {}
                _ => self.login = None,
            }
        }
        if self.login.is_none() {
            self.login = Some(self.sign_in().await?);
        }
        let none = || VaultError::Answer("no token");
        self.login.as_ref().map(|login| login.token.clone()).ok_or_else(none)
    }

    async fn sign_in(&self) -> Result<Login, VaultError> {
        let Vault { token, role_id, secret_id, login_mount, .. } = &self.settings;
        if let Some(token) = token {
            let token = Zeroizing::new(token.expose().to_owned());
            let asked = "auth/token/lookup-self";
            let answer = self.client.call(Method::GET, asked, Some(&token), None).await?;
            if answer.status != StatusCode::OK {
                return Err(VaultError::Login { reason: answer.errors() });
            }
            let data = &answer.body["data"];
            let ends = lease(&data["ttl"], &data["renewable"]);
            return Ok(Login { token, ends });
        }
        let (Some(role_id), Some(secret_id)) = (role_id, secret_id) else {
            return Err(VaultError::Login { reason: "none is configured".to_owned() });
        };
        let body = json!({ "role_id": role_id.expose(), "secret_id": secret_id.expose() });
        let path = format!("auth/{}/login", login_mount.trim_matches('/'));
        let answer = self.client.call(Method::POST, &path, None, Some(&body)).await?;
        let auth = &answer.body["auth"];
        let (StatusCode::OK, Some(token)) = (answer.status, auth["client_token"].as_str()) else {
            return Err(VaultError::Login { reason: answer.errors() });
        };
        let ends = lease(&auth["lease_duration"], &auth["renewable"]);
        Ok(Login { token: Zeroizing::new(token.to_owned()), ends })
    }

    /// The new lease; none when the token can't be renewed any more.
    async fn renew(&self, token: &str) -> Result<Option<Lease>, VaultError> {
        let asked = "auth/token/renew-self";
        let answer = self.client.call(Method::POST, asked, Some(token), Some(&json!({}))).await?;
        if answer.status != StatusCode::OK {
            return Ok(None);
        }
        let auth = &answer.body["auth"];
        Ok(lease(&auth["lease_duration"], &auth["renewable"]))
    }
}

/// Zero seconds mean for ever, as those of a root token.
fn lease(seconds: &Value, renewable: &Value) -> Option<Lease> {
    let life = Duration::from_secs(seconds.as_u64()?);
    let is_renewable = renewable.as_bool().unwrap_or(false);
    (!life.is_zero()).then(|| Lease { since: Instant::now(), life, is_renewable })
}
