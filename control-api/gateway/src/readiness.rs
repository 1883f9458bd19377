//! Whether the process takes requests, as whoever runs it says.

use std::fmt;
use std::sync::Arc;

/// How ready a process is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    Starting,
    Ready,
    /// It goes on answering, and wants no more.
    Draining,
}

/// Asks whoever knows.
#[derive(Clone)]
pub struct Readiness(Arc<dyn Fn() -> State + Send + Sync>);

impl Readiness {
    pub fn new(ask: impl Fn() -> State + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    pub fn get(&self) -> State {
        (self.0)()
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Readiness").field(&self.get()).finish()
    }
}
