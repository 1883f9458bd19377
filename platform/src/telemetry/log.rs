//! Logs on standard error: text for people, or one JSON object a line for machines.

use std::fmt;
use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::log_fields::LogFields;
use crate::config::{Log, LogFormat};

/// Changes the level of a running process.
pub struct LogHandle {
    replace: Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>,
}

/// Why logging can't be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("`{level}` is no log level: {reason}")]
    Level { level: String, reason: String },

    #[error("cannot set up logging: {reason}")]
    SetUp { reason: String },
}

/// Sets up logging for the process. Once only.
pub fn init_log(settings: &Log) -> Result<LogHandle, LogError> {
    let set_up = |error: Box<dyn std::error::Error + Send + Sync>| LogError::SetUp {
        reason: error.to_string(),
    };
    let filter = filter(&settings.level)?;
    let writer = super::log_writer::start().map_err(|error| set_up(error.into()))?;
    let builder = tracing_subscriber::fmt().with_writer(writer);
    // The two formats are of two types, and so are their handles.
    let replace: Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync> = match settings.format
    {
        LogFormat::Text => {
            let is_terminal = std::io::stderr().is_terminal();
            let builder = builder.fmt_fields(LogFields).with_ansi(is_terminal);
            let builder = builder.with_env_filter(filter);
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().map_err(set_up)?;
            Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_span_list(false);
            let builder = builder.with_env_filter(filter).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.try_init().map_err(set_up)?;
            Box::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
        }
    };
    Ok(LogHandle { replace })
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::builder()
        .parse(level)
        .map_err(|error| LogError::Level { level: level.to_owned(), reason: error.to_string() })
}

impl LogHandle {
    /// Adopts another level, such as `debug` or `info,origin=trace`.
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        (self.replace)(filter(level)?).map_err(|reason| LogError::SetUp { reason })
    }
}

impl fmt::Debug for LogHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LogHandle")
    }
}
