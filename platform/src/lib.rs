//! What every part of StreamVerse stands on: configuration, telemetry, objects, the database,
//! listeners, the data directory, the tokens of signed URLs, the feed of facts.
//!
//! Each engine has one small interface with an embedded and a distributed implementation. Nothing
//! lies here that only one crate uses, and nothing here knows what a title is.

pub mod audit;
pub mod config;
mod data_dir;
pub mod db;
pub mod events;
pub mod feed;
pub mod handover;
pub mod http;
pub mod journal;
pub mod keyring;
pub mod limit;
pub mod mail;
pub mod objects;
pub mod outbound;
pub mod resilience;
pub mod secret_file;
pub mod secrets;
mod staging;
pub mod telemetry;
pub mod tls;
pub mod token;
pub mod url_token;

pub use data_dir::{DataDir, DataDirError};
pub use staging::Staging;
