//! The tables of this domain and every statement about them.

use platform::db::{Migration, Schema};

/// To be opened with the database.
pub const SCHEMA: Schema = Schema {
    name: "account",
    migrations: &[
        Migration {
            version: 1,
            name: "people",
            sql: include_str!("../migrations/0001_people.sql"),
        },
        Migration {
            version: 2,
            name: "profiles",
            sql: include_str!("../migrations/0002_profiles.sql"),
        },
        Migration { version: 3, name: "jobs", sql: include_str!("../migrations/0003_jobs.sql") },
    ],
    statements: &[
        crate::user::STATEMENTS,
        crate::once::STATEMENTS,
        crate::throttle::STATEMENTS,
        crate::session::store::STATEMENTS,
        crate::device::store::STATEMENTS,
        crate::mfa::store::STATEMENTS,
        crate::profile::store::STATEMENTS,
        crate::watch::store::STATEMENTS,
    ],
};
