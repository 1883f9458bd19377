//! Who somebody is: people, staff, machines, their credentials, sessions and profiles.

pub mod accounts;
mod authenticator;
pub mod code;
mod codes;
pub mod device;
pub mod email;
pub mod keys;
pub mod login;
pub mod mail;
pub mod mfa;
mod once;
pub mod otp;
mod outbox;
pub mod password;
mod password_change;
pub mod pkce;
pub mod profile;
pub mod register;
mod routes;
pub mod rpc;
mod schema;
pub(crate) mod secret;
pub mod session;
mod sweep;
mod throttle;
pub mod user;
pub mod watch;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use accounts::{Accounts, Parts};
pub use codes::CODES;
pub use outbox::PlatformOutbox;
pub use routes::{LOGIN_ROUTES, routes};
pub use rpc::rpc;
pub use schema::SCHEMA;
