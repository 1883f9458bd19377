//! The tables of every domain.

use platform::db::Schema;

/// In the order in which they are migrated, whichever domains a process runs: a database is one
/// thing.
pub const SCHEMAS: [Schema; 6] = [
    platform::events::SCHEMA,
    platform::audit::SCHEMA,
    api::SCHEMA,
    account::SCHEMA,
    notification::SCHEMA,
    webhooks::SCHEMA,
];
