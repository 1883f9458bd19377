//! What commands that act on a running server share: which server, and how to get to it.

use anyhow::bail;
use http::Method;
use platform::DataDir;
use serde_json::Value;

use super::load_config;
use crate::cli::ServerArgs;
use crate::ops_client::OpsClient;

/// Asks the server that the arguments name: that at `--server`, or the one that owns the data
/// directory.
///
/// # Errors
/// When it can't be reached, or refuses.
pub async fn call(
    server: &ServerArgs,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<Value> {
    client(server)?.call(method, path, body).await
}

pub fn client(server: &ServerArgs) -> anyhow::Result<OpsClient> {
    let Some(url) = &server.server else {
        let config = load_config(&server.config, Vec::new())?.config;
        let socket = DataDir::admin_socket(&config.data.dir);
        if !socket.exists() {
            bail!(
                "no server runs on {}; start it, or name another one by --data, or by --server \
                 and --key",
                config.data.dir.display()
            );
        }
        return Ok(OpsClient::local(&socket));
    };
    OpsClient::remote(url, &read_key(server)?, server.ca.clone())
}

/// Largest file of a key.
const KEY_FILE_BYTES_MAX: u64 = 4_096;

fn read_key(server: &ServerArgs) -> anyhow::Result<String> {
    let Some(key) = &server.key else {
        bail!(
            "--server needs --key: the operator key, `file:PATH` or `env:NAME`; a server without \
             `[ops] key` has it in keys/ops of its data directory"
        );
    };
    let key = if let Some(path) = key.strip_prefix("file:") {
        let len = std::fs::metadata(path).map(|metadata| metadata.len());
        match len {
            Ok(len) if len <= KEY_FILE_BYTES_MAX => std::fs::read_to_string(path)
                .map_err(|error| anyhow::anyhow!("cannot read the key {path}: {error}"))?,
            Ok(_) => bail!("{path} is too long for a key"),
            Err(error) => bail!("cannot read the key {path}: {error}"),
        }
    } else if let Some(name) = key.strip_prefix("env:") {
        match std::env::var(name) {
            Ok(key) => key,
            Err(_) => bail!("the environment variable {name} is not set"),
        }
    } else {
        key.clone()
    };
    Ok(key.trim_end().to_owned())
}
