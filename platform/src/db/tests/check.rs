//! The check of statements finds what it is to find.

use super::engines::SCHEMA;
use crate::db::testing::{check_statements, faults};
use crate::db::{Migration, Schema, statements};

#[tokio::test]
async fn good_statements_pass() {
    check_statements(&[SCHEMA]).await;
}

statements! {
    UNKNOWN_COLUMN: "SELECT missing FROM film WHERE tenant_id = $1 AND id = $2";
    NO_TENANT: "SELECT id FROM film WHERE id = $1";
    CLOCK: "SELECT id FROM film WHERE tenant_id = $1 AND id = $2 AND CURRENT_TIMESTAMP IS NOT NULL";
    STAR: "SELECT * FROM film WHERE tenant_id = $1 AND id = $2";
    SUM: "SELECT SUM(votes) FROM film WHERE tenant_id = $1 AND id = $2";
    WHOLE: "SELECT f.id FROM film AS f WHERE f.tenant_id = $1 AND f.title = $2";
    system ALL: "SELECT id FROM film WHERE title = $1";
    SORTED: "SELECT id FROM film WHERE tenant_id = $1 ORDER BY title LIMIT $2";
    PAGE: "SELECT id FROM film WHERE tenant_id = $1 ORDER BY id LIMIT $2";
    NEEDLESS: "SELECT title FROM film WHERE tenant_id = $1 AND id = $2" scans "no reason";
    SKIPPED: "SELECT title FROM film WHERE tenant_id = $1 AND id = $3";
}

const BAD: Schema = Schema {
    name: "bad",
    migrations: &[Migration {
        version: 1,
        name: "bad",
        sql: "CREATE TABLE film (
                tenant_id TEXT NOT NULL, id TEXT NOT NULL, title TEXT NOT NULL,
                votes BIGINT NOT NULL CHECK (0 <= votes), PRIMARY KEY (tenant_id, id));
            CREATE TABLE star (
                tenant_id TEXT NOT NULL, id TEXT NOT NULL, film_id TEXT NOT NULL,
                PRIMARY KEY (tenant_id, id),
                CONSTRAINT star_once UNIQUE (tenant_id, id, film_id),
                FOREIGN KEY (tenant_id, film_id) REFERENCES film (tenant_id, id));
            -- only sqlite
            ALTER TABLE star ADD COLUMN extra TEXT;
            -- both
            ",
    }],
    statements: &[STATEMENTS],
};

#[tokio::test]
async fn every_kind_of_fault_is_found() {
    let faults = faults(&[BAD]).await;
    let all = faults.join("\n");
    let wanted = [
        "UNKNOWN_COLUMN: SQLite says no such column",
        "UNKNOWN_COLUMN: PostgreSQL says",
        "NO_TENANT: is a tenant's and doesn't name tenant_id",
        "CLOCK: `CURRENT_TIMESTAMP` is not portable",
        "STAR: asks for `*`",
        "SUM: column `sum` is numeric",
        "WHOLE: SQLite reads all of `film`",
        "ALL: SQLite reads all of `film`",
        "SORTED: SQLite reads all of `film`",
        "NEEDLESS: reads no whole table",
        "SKIPPED: PostgreSQL says",
        "table `star` is",
        "the unique constraint `star_once`",
        "a CHECK of `film` has no name",
        "the foreign key of `star`",
    ];
    for fault in wanted {
        assert!(all.contains(fault), "`{fault}` is missing in:\n{all}");
    }
    assert!(!all.contains("PAGE"), "a page in the order of the key is none:\n{all}");
}
