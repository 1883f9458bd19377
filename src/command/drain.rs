//! `streamverse drain`: takes a running server out of rotation, and back in.

use std::process::ExitCode;

use http::Method;

use super::ops::call;
use crate::cli::Drain;
use crate::output;

pub fn run(arguments: &Drain) -> anyhow::Result<ExitCode> {
    let method = match (arguments.cancel, arguments.status) {
        (true, _) => Method::DELETE,
        (_, true) => Method::GET,
        _ => Method::POST,
    };
    let state = crate::runtime()?.block_on(call(&arguments.server, method, "/drain", None))?;
    if arguments.json {
        output::json(&state);
    } else {
        let name = state["state"].as_str().unwrap_or_default();
        output::line(&format!("{name}, {} requests under way", state["requests_in_flight"]));
    }
    Ok(ExitCode::SUCCESS)
}
