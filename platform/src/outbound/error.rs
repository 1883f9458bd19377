//! Why a call brought no answer.

use std::error::Error;
use std::time::Duration;

use hyper_util::client::legacy::Error as ClientError;

use super::connect::ConnectError;
use super::url::{RedirectError, UrlError};
use crate::resilience::{Full, Open};

/// Each says whose fault it is and whether the other side may have seen the request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    #[error("{peer}: {reason}")]
    BadUrl { peer: String, reason: UrlError },
    #[error("{peer}: {reason}; it is not called for strangers (see `outbound.allowed_networks`)")]
    Forbidden { peer: String, reason: String },
    #[error("{peer} can't be reached: {reason}")]
    Unreachable { peer: String, reason: String },
    #[error("{peer} gave no answer in time ({phase})")]
    Timeout { peer: String, phase: Phase },
    #[error("{peer}: whoever asked waits no longer")]
    DeadlineOver { peer: String },
    #[error("{peer} broke off: {reason}")]
    Broken { peer: String, reason: String },
    #[error("{peer} sent what is no HTTP: {reason}")]
    Invalid { peer: String, reason: String },
    #[error("{peer} sent more than {bytes_max} bytes")]
    TooLarge { peer: String, bytes_max: u64 },
    #[error("{peer}: {reason}")]
    Redirect { peer: String, reason: RedirectError },
    #[error("{peer} is not asked: {reason}")]
    BreakerOpen { peer: String, reason: Open },
    #[error("{peer} is not asked: {reason}")]
    Overloaded { peer: String, reason: Full },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    Connection,
    FirstByte,
    Total,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Connection => "to connect",
            Self::FirstByte => "to the head of its answer",
            Self::Total => "to the end of its answer",
        })
    }
}

impl CallError {
    /// Whether the other side may have seen the request, and acted on it.
    pub fn was_sent(&self) -> bool {
        match self {
            Self::Timeout { phase, .. } => *phase != Phase::Connection,
            Self::DeadlineOver { .. }
            | Self::Broken { .. }
            | Self::Invalid { .. }
            | Self::TooLarge { .. }
            | Self::Redirect { .. } => true,
            Self::BadUrl { .. }
            | Self::Forbidden { .. }
            | Self::Unreachable { .. }
            | Self::BreakerOpen { .. }
            | Self::Overloaded { .. } => false,
        }
    }

    /// Whether it speaks against the other side's health.
    pub(super) fn blames_peer(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Timeout { .. }
                | Self::Broken { .. }
                | Self::Invalid { .. }
        )
    }

    /// Whether another try could end differently.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Timeout { .. } | Self::Broken { .. })
    }

    /// How long to leave the other side alone, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::BreakerOpen { reason, .. } => Some(reason.retry_after),
            _ => None,
        }
    }

    /// A word for metrics and for the log of deliveries.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::BadUrl { .. } => "bad_url",
            Self::Forbidden { .. } => "forbidden",
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::DeadlineOver { .. } => "deadline",
            Self::Broken { .. } => "broken",
            Self::Invalid { .. } => "invalid",
            Self::TooLarge { .. } => "too_large",
            Self::Redirect { .. } => "redirect",
            Self::BreakerOpen { .. } => "breaker_open",
            Self::Overloaded { .. } => "overloaded",
        }
    }

    /// What the client's error means.
    pub(super) fn of_client(peer: &str, error: &ClientError) -> Self {
        let peer = peer.to_owned();
        let connect = sources(error).find_map(|source| source.downcast_ref::<ConnectError>());
        match connect {
            Some(ConnectError::Forbidden(forbidden)) => {
                return Self::Forbidden { peer, reason: forbidden.to_string() };
            }
            Some(ConnectError::Timeout) => {
                return Self::Timeout { peer, phase: Phase::Connection };
            }
            Some(other) => return Self::Unreachable { peer, reason: other.to_string() },
            None => {}
        }
        let inner = sources(error).find_map(|source| source.downcast_ref::<hyper::Error>());
        let is = |kind: fn(&hyper::Error) -> bool| inner.is_some_and(kind);
        let reason = cause_of(error);
        if error.is_connect() || is(hyper::Error::is_canceled) {
            Self::Unreachable { peer, reason }
        } else if is(hyper::Error::is_parse) || is(hyper::Error::is_parse_too_large) {
            Self::Invalid { peer, reason }
        } else {
            Self::Broken { peer, reason }
        }
    }
}

/// An error and what is below it.
fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        error.source()
    })
}

/// The innermost cause: what is above it repeats that something failed.
pub(super) fn cause_of(error: &(dyn Error + 'static)) -> String {
    sources(error).last().map(ToString::to_string).unwrap_or_default()
}
