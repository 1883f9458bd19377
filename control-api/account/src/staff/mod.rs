//! People who run the service: a realm of its own, with its own table, sessions and audience.

mod routes;
pub(crate) mod service;
mod session;
pub(crate) mod setup;
pub(crate) mod store;

pub(crate) use routes::routes;
pub use service::{StaffLogin, StaffSignedIn};
pub(crate) use session::{STATEMENTS as STATEMENTS_OF_SESSIONS, SWEEP as SWEEP_SESSIONS};
pub use setup::{ADMINISTRATOR, SETUP_FILE, SetupError};

api::permissions! {
    /// See accounts of viewers.
    UsersRead = "users:read", "See accounts of viewers.";
    /// Suspend and reinstate accounts of viewers.
    UsersWrite = "users:write", "Suspend and reinstate accounts of viewers.";
    /// See API keys.
    ApiKeysRead = "api-keys:read", "See API keys of machines, without the keys themselves.";
    /// Make and revoke API keys.
    ApiKeysWrite = "api-keys:write", "Make and revoke API keys of machines.";
    /// See the audit log.
    AuditRead = "audit:read", "See and verify the audit log.";
}
