//! `streamverse`: command line and wiring of roles.

// Nothing reaches into a program from outside: `pub` means "for the other modules" here.
#![allow(unreachable_pub)]

mod access;
mod admin;
mod backend;
mod cdn;
mod cli;
mod clock;
mod command;
mod control;
mod feed;
mod front;
mod keys;
mod limits;
mod media;
mod ops;
mod ops_client;
mod output;
mod ownership;
mod page;
mod players;
mod shield;
mod systemd;
mod work;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = run(cli.command);
    platform::telemetry::flush_log();
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("streamverse: {}", message(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, without those that the text in front of them already tells.
fn message(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if message.is_empty() {
            message = cause;
        } else if !message.contains(&cause) {
            message.push_str(": ");
            message.push_str(&cause);
        }
    }
    message
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(arguments) => command::serve::run(&arguments),
        Command::Ingest(arguments) => command::ingest::run(&arguments),
        Command::Package(arguments) => command::package::run(&arguments),
        Command::Probe(arguments) => command::probe::run(&arguments),
        Command::Assets(arguments) => command::assets::run(arguments),
        Command::Doctor(arguments) => command::doctor::run(&arguments),
        Command::Config(arguments) => command::config::run(&arguments),
        Command::Sign(arguments) => command::sign::run(&arguments),
        Command::Sessions(arguments) => command::sessions::run(arguments),
        Command::Cache(arguments) => command::cache::run(&arguments),
        Command::Drain(arguments) => command::drain::run(&arguments),
        Command::Keys(command) => command::keys::run(command),
        Command::Users(_) => unbuilt("users", "accounts"),
        Command::Tenants(_) => unbuilt("tenants", "accounts"),
        Command::Backup(_) => {
            unbuilt("backup", "the database; until then, copy the data directory")
        }
        Command::Restore(_) => {
            unbuilt("restore", "the database; until then, copy the data directory")
        }
        Command::Db(_) => unbuilt("db", "the database"),
    }
}

fn unbuilt(command: &str, comes_with: &str) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`{command}` is not built yet: it comes with {comes_with}")
}

/// A runtime with a worker for each core that this process may use.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
