//! Which migrations are due.

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;

use super::Migrated;
use crate::db::error::DbError;
use crate::db::schema::{Migration, Schema};

/// What the database says was applied.
#[derive(Clone, Debug)]
pub(super) struct Applied {
    pub(super) schema: String,
    pub(super) version: i64,
    pub(super) name: String,
    pub(super) checksum: String,
}

/// What is to be applied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) schema: &'static str,
    pub(super) migration: &'static Migration,
}

impl Due {
    pub(super) fn migrated(&self) -> Migrated {
        let Migration { version, name, .. } = *self.migration;
        Migrated { schema: self.schema, version, name }
    }
}

pub(super) fn checksum(migration: &Migration) -> String {
    HEXLOWER.encode(digest(&SHA256, migration.sql.as_bytes()).as_ref())
}

/// Schemas have different names, and migrations the versions 1, 2, 3 ….
pub(super) fn check(schemas: &[Schema]) -> Result<(), DbError> {
    for (index, schema) in schemas.iter().enumerate() {
        if schemas[..index].iter().any(|other| other.name == schema.name) {
            return Err(DbError::internal(format!("two schemas are called `{}`", schema.name)));
        }
        for (migration, version) in schema.migrations.iter().zip(1..) {
            if migration.version != version {
                return Err(DbError::internal(format!(
                    "migration `{}` of `{}` has version {}, {version} is its turn",
                    migration.name, schema.name, migration.version
                )));
            }
        }
    }
    Ok(())
}

/// What is due, in the order of the schemas.
///
/// Rows of schemas that this process doesn't run are another's matter.
pub(super) fn plan(schemas: &[Schema], applied: &[Applied]) -> Result<Vec<Due>, DbError> {
    let mut due = Vec::new();
    for schema in schemas {
        let applied: Vec<&Applied> =
            applied.iter().filter(|applied| applied.schema == schema.name).collect();
        for (row, version) in applied.iter().zip(1_u32..) {
            judge(schema, row, version)?;
        }
        let left = &schema.migrations[applied.len()..];
        due.extend(left.iter().map(|migration| Due { schema: schema.name, migration }));
    }
    Ok(due)
}

fn judge(schema: &Schema, row: &Applied, version: u32) -> Result<(), DbError> {
    let Applied { name, .. } = row;
    if row.version != i64::from(version) {
        return Err(DbError::open(format!(
            "the database has migration {} of `{}` but not {version}; restore a backup",
            row.version, schema.name
        )));
    }
    let Some(migration) = schema.migrations.get(version as usize - 1) else {
        return Err(DbError::open(format!(
            "the database has migration {version} `{name}` of `{}`, which this version doesn't \
             know: a newer one has used it. Run that version, or restore a backup",
            schema.name
        )));
    };
    if checksum(migration) != row.checksum {
        return Err(DbError::open(format!(
            "migration {version} `{name}` of `{}` was applied with another text than this version \
             has. Run the version that applied it; a change to tables is a new migration",
            schema.name
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Migration = Migration { version: 1, name: "first", sql: "SELECT 1" };
    const SECOND: Migration = Migration { version: 2, name: "second", sql: "SELECT 2" };
    const SCHEMA: Schema = Schema { name: "a", migrations: &[FIRST, SECOND], statements: &[] };

    fn applied(schema: &str, version: u32, text: &Migration) -> Applied {
        Applied {
            schema: schema.into(),
            version: version.into(),
            name: text.name.into(),
            checksum: checksum(text),
        }
    }

    fn due(applied: &[Applied]) -> Result<Vec<u32>, String> {
        let plan = plan(&[SCHEMA], applied).map_err(|error| error.to_string())?;
        Ok(plan.iter().map(|due| due.migration.version).collect())
    }

    #[test]
    fn what_is_missing_is_due() {
        assert_eq!(due(&[]), Ok(vec![1, 2]));
        assert_eq!(due(&[applied("a", 1, &FIRST)]), Ok(vec![2]));
        assert_eq!(due(&[applied("a", 1, &FIRST), applied("a", 2, &SECOND)]), Ok(vec![]));
        assert_eq!(due(&[applied("other", 9, &SECOND)]), Ok(vec![1, 2]));
    }

    #[test]
    fn changed_newer_and_missing_ones_are_refused() {
        let changed = due(&[applied("a", 1, &SECOND)]).unwrap_err();
        assert!(changed.contains("another text"), "{changed}");
        let newer = [applied("a", 1, &FIRST), applied("a", 2, &SECOND), applied("a", 3, &FIRST)];
        let newer = due(&newer).unwrap_err();
        assert!(newer.contains("newer"), "{newer}");
        let gap = due(&[applied("a", 2, &SECOND)]).unwrap_err();
        assert!(gap.contains("but not 1"), "{gap}");
    }

    #[test]
    fn versions_count_up() {
        assert!(check(&[SCHEMA]).is_ok());
        assert!(check(&[SCHEMA, SCHEMA]).is_err());
        let odd = Schema { migrations: &[SECOND], ..SCHEMA };
        assert!(check(&[odd]).is_err());
    }
}
