//! `streamverse sessions revoke | list`: ends the tokens of a session now, everywhere.

use std::process::ExitCode;

use anyhow::bail;
use http::Method;
use platform::feed::Fact;
use platform::url_token::Revocations;
use platform::{DataDir, DataDirError};
use serde_json::{Value, json};

use super::ops::call;
use super::{load_config, open_feed};
use crate::cli::{ServerArgs, Sessions};
use crate::ops_client::OpsClient;
use crate::{clock, output};

pub fn run(arguments: Sessions) -> anyhow::Result<ExitCode> {
    match arguments {
        Sessions::Revoke { sessions, server, json: as_json } => {
            let answer = crate::runtime()?.block_on(revoke(&server, &sessions))?;
            if as_json {
                output::json(&answer);
                return Ok(ExitCode::SUCCESS);
            }
            for session in sessions {
                output::line(&format!("revoked {session}"));
            }
            if answer["durable"] == false {
                output::line("the disk did not take it: it is forgotten when the server restarts");
            }
        }
        Sessions::List { limit, after, server, json: as_json } => {
            let path = format!("/sessions/revoked?limit={limit}&after={after}");
            let answer = crate::runtime()?.block_on(call(&server, Method::GET, &path, None))?;
            if as_json {
                output::json(&answer);
                return Ok(ExitCode::SUCCESS);
            }
            for row in answer["sessions"].as_array().into_iter().flatten() {
                let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
                output::line(&format!("{:64} until {}", text("session"), text("until")));
            }
            if let Some(next) = answer["next"].as_str() {
                output::line(&format!("there are more: --after {next}"));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Through the server, or into the files of a data directory that no server owns: the next one
/// tells its followers.
async fn revoke(server: &ServerArgs, sessions: &[String]) -> anyhow::Result<Value> {
    let body = json!({ "sessions": sessions });
    if server.server.is_some() {
        return call(server, Method::POST, "/sessions/revoke", Some(&body)).await;
    }
    let config = load_config(&server.config, Vec::new())?.config;
    match DataDir::open(&config.data.dir) {
        Ok(data) => {
            let until = Revocations::until(clock::now_s());
            let fact = |session: &String| Fact::SessionRevoked { session: session.clone(), until };
            let feed = open_feed(&data)?;
            let taken = feed.publish(sessions.iter().map(fact).collect()).await?;
            if let Some(error) = taken.refused.first() {
                bail!("{error}");
            }
            if taken.is_forgetful {
                bail!("the disk did not take it");
            }
            Ok(json!({ "revoked": sessions, "durable": true, "followers": 0 }))
        }
        Err(DataDirError::Owned { path, .. }) => {
            let client = OpsClient::local(&DataDir::admin_socket(&path));
            client.call(Method::POST, "/sessions/revoke", Some(&body)).await
        }
        Err(error) => Err(error.into()),
    }
}
