//! Sessions: one for each device that somebody is signed in on, each a family of refresh tokens.

mod cache;
pub mod model;
pub(crate) mod service;
pub(crate) mod store;

pub(crate) use cache::{Fact, SessionCache};
pub use service::{SessionView, SignedIn};
pub(crate) use store::NewSession;
