//! Who somebody is: people, staff, machines, their credentials, sessions and profiles.

pub mod accounts;
mod authenticator;
pub mod code;
mod codes;
pub mod email;
pub mod keys;
pub mod login;
pub mod mail;
pub mod mfa;
mod once;
pub mod otp;
pub mod password;
mod password_change;
pub mod pkce;
pub mod register;
mod routes;
mod schema;
pub(crate) mod secret;
pub mod session;
mod throttle;
pub mod user;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use accounts::{Accounts, Parts};
pub use codes::CODES;
pub use routes::{LOGIN_ROUTES, routes};
pub use schema::SCHEMA;
