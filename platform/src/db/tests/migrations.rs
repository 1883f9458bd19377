//! Migrations on both engines.

use crate::db::testing::{engines, postgres_url};
use crate::db::{Db, Migrated, Migration, Schema, Settings, TenantId, migrate, params, statements};

statements! {
    ADD: "INSERT INTO thing (tenant_id, id) VALUES ($1, $2)";
    COUNT: "SELECT COUNT(*) FROM thing WHERE tenant_id = $1" scans "a test's few rows";
}

const FIRST: Migration = Migration {
    version: 1,
    name: "things",
    sql: "CREATE TABLE thing (tenant_id TEXT NOT NULL, id TEXT NOT NULL,
        PRIMARY KEY (tenant_id, id))",
};
const SECOND: Migration = Migration {
    version: 2,
    name: "colours",
    sql: "ALTER TABLE thing ADD COLUMN colour TEXT; UPDATE thing SET colour = 'red'",
};
const CHANGED: Migration = Migration { sql: "SELECT 1", ..FIRST };
const BROKEN: Migration = Migration {
    version: 2,
    name: "broken",
    sql: "CREATE TABLE half (tenant_id TEXT NOT NULL PRIMARY KEY); CREATE TABLE nonsense (",
};

const fn schema(migrations: &'static [Migration]) -> Schema {
    Schema { name: "things", migrations, statements: &[STATEMENTS] }
}

const OLD: Schema = schema(&[FIRST]);
const NEW: Schema = schema(&[FIRST, SECOND]);

async fn count(db: &Db) -> i64 {
    let tenant = TenantId::new("t").unwrap();
    let row = db.tenant(&tenant).query_one(&COUNT, params![]).await.unwrap();
    row.get(0).unwrap()
}

async fn refusal(url: &str, schema: Schema) -> String {
    match Db::open(url, &[schema]).await {
        Err(error) => error.to_string(),
        Ok(_) => panic!("{url} was opened"),
    }
}

#[tokio::test]
async fn tables_grow_and_keep_their_rows() {
    for engine in engines(&[OLD]).await {
        let tenant = TenantId::new("t").unwrap();
        let scope = engine.db.tenant(&tenant);
        let added: Result<u64, crate::db::DbError> = scope
            .tx((), |tx, ()| Box::pin(async move { tx.execute(&ADD, params!["1"]).await }))
            .await;
        assert_eq!(added.unwrap(), 1);
        let settings = Settings::new(engine.url.clone());
        let due = [Migrated { schema: "things", version: 2, name: "colours" }];
        assert_eq!(migrate(&settings, &[NEW], true).await.unwrap(), due, "{}", engine.name);
        assert_eq!(migrate(&settings, &[NEW], true).await.unwrap(), due, "a dry run did something");
        let db = Db::open(&engine.url, &[NEW]).await.unwrap();
        assert_eq!(count(&db).await, 1);
        assert_eq!(migrate(&settings, &[NEW], false).await.unwrap(), []);
        let newer = refusal(&engine.url, OLD).await;
        assert!(newer.contains("a newer one has used it"), "{newer}");
        let changed = refusal(&engine.url, schema(&[CHANGED, SECOND])).await;
        assert!(changed.contains("another text"), "{changed}");
    }
}

#[tokio::test]
async fn a_migration_that_fails_changes_nothing() {
    for engine in engines(&[OLD]).await {
        let broken = refusal(&engine.url, schema(&[FIRST, BROKEN])).await;
        assert!(broken.contains("nothing was changed"), "{broken}");
        // Were the table of the first half there, this would fail.
        const WHOLE: Migration =
            Migration { sql: "CREATE TABLE half (tenant_id TEXT NOT NULL PRIMARY KEY)", ..BROKEN };
        Db::open(&engine.url, &[schema(&[FIRST, WHOLE])]).await.unwrap();
    }
}

#[tokio::test]
async fn several_processes_may_start_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("new.db").display());
    let (server, _keep) = postgres_url(&[]).await;
    for url in [file, server] {
        let opening = (0..8).map(|_| Db::open(&url, std::slice::from_ref(&NEW)));
        for opened in futures_util::future::join_all(opening).await {
            assert_eq!(count(&opened.unwrap()).await, 0);
        }
    }
}

#[tokio::test]
async fn a_dry_run_makes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.db");
    let settings = Settings::new(format!("sqlite:{}", path.display()));
    assert_eq!(migrate(&settings, &[NEW], true).await.unwrap().len(), 2);
    assert!(!path.exists());
}
