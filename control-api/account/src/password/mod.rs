//! Passwords and PINs: which are accepted, how they are kept, and where the work is done.

mod hash;
mod pool;
mod rules;

pub use hash::{HashError, PasswordHash};
pub use pool::{HashPool, PoolError, RETRY_AFTER_SECONDS, Verdict};
pub use rules::{Password, PasswordError};
