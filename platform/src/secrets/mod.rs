//! Secrets that lie in a Vault: looked up when a configuration is loaded, kept while it is used.
//!
//! What a start does without its Vault is decided here (decision 0030): it waits for
//! `vault.wait_seconds` and then fails, since a server without its keys would make new ones or
//! serve nobody. A server that runs goes on with the values that it has, and says so.
//!
//! | module | holds |
//! | --- | --- |
//! | `reference` | `PATH#FIELD` |
//! | `client` | requests over HTTP, told apart by whose fault a failure is |
//! | `vault` | signing in, leases, the two versions of KV |

mod client;
mod reference;
mod vault;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime;

use crate::config::Vault;
use client::VaultError;
use reference::Reference;
use vault::Session;

/// Between two tries of a start: doubled up to the second.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// References of one configuration.
const REFERENCES_MAX: usize = 256;

/// Signed in once for the process: a reload needs no new login.
static SESSION: Mutex<Option<Session>> = Mutex::new(None);

/// Looks `references` (`PATH#FIELD`) up: for each its value, or cause and cure. Blocks, from a
/// thread of its own, so that it can be called from anywhere.
pub fn read_vault(
    settings: &Vault,
    references: &[String],
) -> BTreeMap<String, Result<String, String>> {
    let mut session = SESSION.lock().unwrap_or_else(PoisonError::into_inner);
    let session = &mut *session;
    let reading = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| error.to_string())?;
            Ok::<_, String>(runtime.block_on(read_all(settings, references, session)))
        });
        thread.join()
    });
    let failed = match reading {
        Ok(Ok(read)) => return read,
        Ok(Err(error)) => error,
        Err(_) => "reading the Vault failed; this is an error of the program".to_owned(),
    };
    references.iter().map(|reference| (reference.clone(), Err(failed.clone()))).collect()
}

async fn read_all(
    settings: &Vault,
    references: &[String],
    session: &mut Option<Session>,
) -> BTreeMap<String, Result<String, String>> {
    let same = session.take().filter(|session| session.is_for(settings));
    let opened = match same {
        Some(same) => Ok(same),
        None => Session::new(settings),
    };
    let mut opened = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let told = |reference: &String| (reference.clone(), Err(error.to_string()));
            return references.iter().map(told).collect();
        }
    };
    let deadline = Instant::now() + Duration::from_secs_f64(settings.wait_seconds);
    let mut read = BTreeMap::new();
    for (index, text) in references.iter().enumerate() {
        let value = if index < REFERENCES_MAX {
            read_one(&mut opened, text, deadline).await
        } else {
            Err(format!("more than {REFERENCES_MAX} secrets lie in the Vault; use fewer"))
        };
        read.insert(text.clone(), value);
    }
    *session = Some(opened);
    read
}

/// One value: asked for until the deadline, where the Vault may come back and nothing is known yet.
async fn read_one(session: &mut Session, text: &str, deadline: Instant) -> Result<String, String> {
    let reference = Reference::parse(text).map_err(|error| format!("vault:{text}: {error}"))?;
    let mut pause = PAUSE_MIN;
    loop {
        let error = match session.read(&reference).await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if error.is_passing() {
            if let Some(value) = session.last_known(&reference) {
                tracing::warn!(
                    secret = text, %error,
                    "the Vault gave nothing; the value that was read before is used on"
                );
                return Ok(value);
            }
            if Instant::now() + pause < deadline {
                tracing::info!(secret = text, %error, "waiting for the Vault");
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(PAUSE_MAX);
                continue;
            }
        }
        return Err(told(text, &error));
    }
}

/// Cause and cure, with the path and never with a value.
fn told(text: &str, error: &VaultError) -> String {
    format!("vault:{text}: {error}; {}", error.cure())
}
