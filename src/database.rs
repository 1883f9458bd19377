//! The tables of every domain.

use platform::db::Schema;

/// In the order in which they are migrated.
pub const SCHEMAS: [Schema; 2] = [platform::events::SCHEMA, platform::audit::SCHEMA];
