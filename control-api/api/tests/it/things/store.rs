//! The table of things.

use platform::db::{Migration, Row, Schema, Tx, params};

use super::routes::{NewThing, Thing};

pub const SCHEMA: Schema = Schema {
    name: "things",
    migrations: &[Migration {
        version: 1,
        name: "things",
        sql: "CREATE TABLE thing (
            tenant_id TEXT NOT NULL,
            id TEXT NOT NULL,
            owner_id TEXT NOT NULL,
            name TEXT NOT NULL,
            version BIGINT NOT NULL,
            PRIMARY KEY (tenant_id, id));
            CREATE INDEX thing_owner ON thing (tenant_id, owner_id, id);",
    }],
    statements: &[STATEMENTS],
};

platform::statements! {
    INSERT: "INSERT INTO thing (tenant_id, id, owner_id, name, version) VALUES ($1, $2, $3, $4, 1)";
    FIND: "SELECT id, owner_id, name, version FROM thing WHERE tenant_id = $1 AND id = $2";
    LIST: "SELECT id, owner_id, name, version FROM thing
        WHERE tenant_id = $1 AND owner_id = $2 AND id > $3 ORDER BY id LIMIT $4";
    EXPORT: "SELECT id, owner_id, name, version FROM thing
        WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3";
    RENAME: "UPDATE thing SET name = $3, version = version + 1
        WHERE tenant_id = $1 AND id = $2 AND version = COALESCE($4, version)";
    REMOVE: "DELETE FROM thing WHERE tenant_id = $1 AND id = $2 AND owner_id = $3";
}

pub fn thing(row: &Row) -> api::Result<Thing> {
    let (id, owner_id, name, version) = row.decode::<(String, String, String, i64)>()?;
    Ok(Thing { id, owner_id, name, version })
}

pub async fn insert(tx: &mut Tx, id: &str, owner: &str, new: &NewThing) -> api::Result<Thing> {
    tx.execute(&INSERT, params![id, owner, new.name.as_str()]).await?;
    let name = new.name.as_str().to_owned();
    Ok(Thing { id: id.to_owned(), owner_id: owner.to_owned(), name, version: 1 })
}
