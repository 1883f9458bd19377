//! Names of unique constraints.
//!
//! SQLite names the columns of a constraint that was violated, PostgreSQL the constraint. The code
//! above knows PostgreSQL's names, which this module works out for SQLite's tables.

use std::collections::HashMap;

use rusqlite::Connection;

use super::errors::cannot_read;
use crate::db::error::DbError;

/// Names by what SQLite says: `table.column, table.column`.
#[derive(Debug, Default)]
pub(in crate::db) struct Constraints(HashMap<String, String>);

/// PostgreSQL cuts longer names.
const NAME_BYTES_MAX: usize = 63;

impl Constraints {
    pub(in crate::db) fn read(connection: &Connection) -> Result<Self, DbError> {
        const INDEXES: &str = "SELECT t.name, i.name, i.origin,
            (SELECT group_concat(c.name, ',') FROM pragma_index_info(i.name) AS c)
            FROM sqlite_schema AS t, pragma_index_list(t.name) AS i
            WHERE t.type = 'table' AND i.\"unique\" ORDER BY t.name, i.origin DESC, i.name";
        let mut names = HashMap::new();
        let mut statement = connection.prepare(INDEXES).map_err(cannot_read)?;
        let mut rows = statement.query([]).map_err(cannot_read)?;
        while let Some(row) = rows.next().map_err(cannot_read)? {
            let table: String = row.get(0).map_err(cannot_read)?;
            let index: String = row.get(1).map_err(cannot_read)?;
            let origin: String = row.get(2).map_err(cannot_read)?;
            // Expressions have no name; SQLite speaks of the index then.
            let Some(columns) = row.get::<_, Option<String>>(3).map_err(cannot_read)? else {
                continue;
            };
            let columns: Vec<&str> = columns.split(',').collect();
            let name = match origin.as_str() {
                "pk" => format!("{table}_pkey"),
                "u" => format!("{table}_{}_key", columns.join("_")),
                _ => index,
            };
            names.entry(told(&table, &columns)).or_insert_with(|| cut(name));
        }
        // `INTEGER PRIMARY KEY` has no index.
        const KEYS: &str = "SELECT t.name, c.name FROM sqlite_schema AS t,
            pragma_table_info(t.name) AS c WHERE t.type = 'table' AND c.pk = 1";
        let mut statement = connection.prepare(KEYS).map_err(cannot_read)?;
        let mut rows = statement.query([]).map_err(cannot_read)?;
        while let Some(row) = rows.next().map_err(cannot_read)? {
            let table: String = row.get(0).map_err(cannot_read)?;
            let column: String = row.get(1).map_err(cannot_read)?;
            names.entry(told(&table, &[&column])).or_insert_with(|| cut(format!("{table}_pkey")));
        }
        Ok(Self(names))
    }

    /// The name for what SQLite says behind `UNIQUE constraint failed: `.
    pub(super) fn name(&self, said: &str) -> String {
        if let Some(index) = said.strip_prefix("index '") {
            return index.trim_end_matches('\'').to_owned();
        }
        self.0.get(said).cloned().unwrap_or_else(|| said.to_owned())
    }

    #[cfg(any(test, feature = "testing"))]
    pub(in crate::db) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.values()
    }
}

fn told(table: &str, columns: &[&str]) -> String {
    let columns: Vec<String> = columns.iter().map(|column| format!("{table}.{column}")).collect();
    columns.join(", ")
}

fn cut(mut name: String) -> String {
    name.truncate(NAME_BYTES_MAX);
    name
}
