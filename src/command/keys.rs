//! `streamverse keys list | rotate | verify`.
//!
//! Reading needs no server: files are replaced whole. A rotation goes through the server that owns
//! the data directory, so that it counts there at once.

use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;

use anyhow::bail;
use http::Method;
use platform::keyring::keys::describe;
use platform::keyring::material::Material;
use platform::keyring::{Key, KeyState, Keys, Purpose, Ring};
use platform::{DataDir, DataDirError};
use serde_json::{Value, json};

use super::load_config;
use crate::cli::{ConfigArgs, KeysCommand};
use crate::keys::{Rotate, record, rotate};
use crate::ops_client::OpsClient;
use crate::{clock, output};

pub fn run(command: KeysCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeysCommand::List { reveal, config, json } => list(&config, reveal, json),
        KeysCommand::Rotate { purpose, emergency, config, json } => {
            let request = Rotate { purpose: purpose.to_string(), emergency };
            let answer = crate::runtime()?.block_on(ask_rotation(&config, &request))?;
            if json {
                output::json(&answer);
            } else {
                show_rotation(&answer);
            }
            Ok(ExitCode::SUCCESS)
        }
        KeysCommand::Verify { config, json } => verify(&config, json),
    }
}

/// The rings of the configured folder, which nobody has to own.
fn open(arguments: &ConfigArgs) -> anyhow::Result<Keys> {
    let config = load_config(arguments, Vec::new())?.config;
    if config.keys.dir.is_none() && !config.data.dir.is_dir() {
        bail!("there is no data directory {}; name it with --data", config.data.dir.display());
    }
    Ok(Keys::from_config(&config, &config.data.dir)?)
}

async fn ask_rotation(arguments: &ConfigArgs, request: &Rotate) -> anyhow::Result<Value> {
    let config = load_config(arguments, Vec::new())?.config;
    match DataDir::open(&config.data.dir) {
        Ok(data) => rotate(&Keys::from_config(&config, data.path())?, request, "command line"),
        Err(DataDirError::Owned { path, .. }) => {
            let client = OpsClient::local(&DataDir::admin_socket(&path));
            let body = serde_json::to_value(request)?;
            client.call(Method::POST, "/keys/rotate", Some(&body)).await
        }
        Err(error) => Err(error.into()),
    }
}

fn show_rotation(answer: &Value) {
    let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
    let now_ms = clock::signed_ms();
    let left_s = (answer["activates_ms"].as_i64().unwrap_or(now_ms) - now_ms + 999) / 1_000;
    let when = match left_s {
        ..=0 => "now".to_owned(),
        seconds => format!("in {}", span(seconds)),
    };
    output::line(&format!("{}: {} takes over {when}", text("purpose"), text("key")));
    if let Some(revoked @ 1..) = answer["revoked"].as_u64() {
        output::line(&format!("{revoked} revoked: what they made counts no more"));
    }
}

fn list(arguments: &ConfigArgs, reveal: bool, as_json: bool) -> anyhow::Result<ExitCode> {
    let keys = open(arguments)?;
    let now_ms = clock::signed_ms();
    let mut rings = Vec::new();
    for ring in keys.rings() {
        let rows: Vec<_> = ring
            .states(now_ms)
            .map(|(key, state)| {
                let mut row = describe(key, state, now_ms);
                if reveal && let Some(seed) = content_seed(&ring, key) {
                    row["secret"] = json!(seed);
                }
                row
            })
            .collect();
        rings.push(json!({ "purpose": ring.purpose().as_str(), "keys": rows }));
    }
    if reveal {
        let who = std::fs::metadata("/proc/self").map_or(0, |process| process.uid());
        let who = format!("user {who}");
        let line =
            json!({ "at": clock::now_xs_date_time(), "who": who, "act": "keys list --reveal" });
        record(&keys, line)?;
    }
    if as_json {
        output::json(&json!({ "folder": keys.folder(), "rings": rings }));
        return Ok(ExitCode::SUCCESS);
    }
    for ring in &rings {
        output::line(ring["purpose"].as_str().unwrap_or_default());
        for row in ring["keys"].as_array().into_iter().flatten() {
            output::line(&row_text(row, now_ms));
        }
    }
    if rings.is_empty() {
        output::line("no keys yet: the first start makes them");
    }
    Ok(ExitCode::SUCCESS)
}

/// In hexadecimal; seeds of content keys alone are ever shown.
fn content_seed(ring: &Ring, key: &Key) -> Option<String> {
    let seed = key.material().and_then(Material::secret)?;
    let hexadecimal = || seed.iter().map(|byte| format!("{byte:02x}")).collect();
    (ring.purpose() == Purpose::ContentSeeds).then(hexadecimal)
}

fn row_text(row: &Value, now_ms: i64) -> String {
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let mut line = format!("  {:9} {:8} {}", text("state"), text("algorithm"), text("id"));
    let age = row["age_seconds"].as_i64().unwrap_or_default();
    // The key of a data directory that is older than rings has no date.
    if row["created_ms"].as_i64() != Some(0) {
        line.push_str(&format!(", {} old", span(age)));
    }
    if let Some(until_ms) = row["counts_until_ms"].as_i64() {
        line.push_str(&format!(", counts for {} more", span((until_ms - now_ms) / 1_000)));
    }
    if row["state"] == "next" {
        let left_ms = row["activates_ms"].as_i64().unwrap_or(now_ms) - now_ms;
        line.push_str(&format!(", takes over in {}", span(left_ms / 1_000)));
    }
    if let Some(secret) = row["secret"].as_str() {
        line.push_str(&format!(", {secret}"));
    }
    line
}

/// The largest whole unit of a span.
fn span(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn verify(arguments: &ConfigArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    let config = load_config(arguments, Vec::new())?.config;
    // A ring that can't be opened ends here, with its path and the cure.
    let keys = open(arguments)?;
    let now_ms = clock::signed_ms();
    let mut faults = Vec::new();
    let mut warnings = Vec::new();
    let mut used = 0_usize;
    for ring in keys.rings() {
        for (key, state) in ring.states(now_ms) {
            match try_key(&ring, key, state, now_ms) {
                Ok(()) => used += 1,
                Err(fault) => faults.push(format!("{} {}: {fault}", ring.purpose(), key.id())),
            }
        }
        if let Err(error) = ring.active(now_ms) {
            faults.push(error.to_string());
        }
    }
    let open_key = keys.folder().join("url-token");
    if config.keys.seal.is_some() && open_key.exists() {
        let cure = "remove it when nothing names it any more, and rotate url-tokens";
        warnings.push(format!("{} is not sealed; {cure}", open_key.display()));
    }
    let is_fine = faults.is_empty();
    if as_json {
        output::json(&json!({ "keys": used, "faults": faults, "warnings": warnings }));
    } else {
        for fault in &faults {
            output::line(&format!("fault: {fault}"));
        }
        for warning in &warnings {
            output::line(&format!("warning: {warning}"));
        }
        output::line(&format!("{used} keys in {} rings are as they should be", keys.rings().len()));
    }
    Ok(if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Uses the key as its purpose does. Its halves were compared when the file was read.
fn try_key(ring: &Ring, key: &Key, state: KeyState, now_ms: i64) -> Result<(), String> {
    const MESSAGE: &[u8] = b"streamverse keys verify";
    let Some(material) = key.material() else {
        // Retired pairs keep their public halves, revoked keys nothing.
        let is_fine = key.public().is_some() || !state.counts();
        return if is_fine { Ok(()) } else { Err("it has lost its secret".to_owned()) };
    };
    if let Some(public) = key.public() {
        let signature = material.sign(MESSAGE).ok_or("it does not sign")?;
        return if public.verify(MESSAGE, &signature) {
            Ok(())
        } else {
            Err("its public half does not verify".to_owned())
        };
    }
    if state == KeyState::Active && matches!(ring.purpose(), Purpose::Sessions | Purpose::Records) {
        let sealed = ring.seal(b"verify", MESSAGE, now_ms).map_err(|error| error.to_string())?;
        let opened = ring.open(b"verify", &sealed, now_ms).map_err(|error| error.to_string())?;
        return if opened.0 == MESSAGE {
            Ok(())
        } else {
            Err("it opens something else".to_owned())
        };
    }
    Ok(())
}
