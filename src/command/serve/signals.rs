//! What this process can be told.

use platform::handover::Heir;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub(super) enum Told {
    Reload,
    /// Secrets may have changed where they lie.
    Refresh,
    /// Start a process that takes over.
    Replace,
    HandOver(Heir),
    Stop(&'static str),
}

pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user_2: Signal,
}

impl Signals {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user_2: signal(SignalKind::user_defined2())?,
        })
    }

    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Told::Stop("SIGINT"),
            _ = self.hang_up.recv() => Told::Reload,
            _ = self.user_2.recv() => Told::Replace,
        }
    }

    /// The next signal to stop; others wait.
    pub(super) async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
