//! Second factors: an authenticator app (TOTP), and recovery codes for the day it is lost.

mod service;
pub(crate) mod store;

pub use service::{Enrolment, FactorView, SecondFactor};
pub(crate) use store::is_enrolled;
