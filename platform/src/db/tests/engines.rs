//! Statements, transactions and their errors.

use crate::db::testing::engines;
use crate::db::{DbError, Migration, Schema, TenantId, params, statements};

statements! {
    ADD: "INSERT INTO item (tenant_id, id, name, amount, is_new, data, share)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    FIND: "SELECT id, name, amount, is_new, data, share FROM item
        WHERE id = $2 AND tenant_id = $1";
    COUNT: "SELECT COUNT(*) FROM item WHERE tenant_id = $1";
    RENAME: "UPDATE item SET name = $3 WHERE tenant_id = $1 AND id = $2";
    REMOVE: "DELETE FROM item WHERE tenant_id = $1 AND id = $2 RETURNING name";
    ADD_PART: "INSERT INTO part (tenant_id, id, item_id) VALUES ($1, $2, $3)";
    system COUNT_ALL: "SELECT COUNT(*) FROM item" scans "a test's few rows";
}

pub(super) const SCHEMA: Schema = Schema {
    name: "items",
    migrations: &[Migration {
        version: 1,
        name: "items",
        sql: "CREATE TABLE item (
                tenant_id TEXT NOT NULL,
                id TEXT NOT NULL,
                name TEXT NOT NULL,
                amount BIGINT NOT NULL CONSTRAINT item_amount CHECK (0 <= amount),
                is_new BOOLEAN NOT NULL,
                data BYTEA,
                share DOUBLE PRECISION,
                PRIMARY KEY (tenant_id, id)
            );
            CREATE UNIQUE INDEX item_name ON item (tenant_id, name);
            CREATE TABLE part (
                tenant_id TEXT NOT NULL,
                id TEXT NOT NULL,
                item_id TEXT NOT NULL,
                PRIMARY KEY (tenant_id, id),
                FOREIGN KEY (tenant_id, item_id) REFERENCES item (tenant_id, id)
            );",
    }],
    statements: &[STATEMENTS],
};

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

#[tokio::test]
async fn what_is_written_is_read() {
    for engine in engines(&[SCHEMA]).await {
        let scope = engine.db.tenant(&tenant("a"));
        let added: Result<u64, DbError> = scope
            .tx("one".to_owned(), |tx, id| {
                Box::pin(async move {
                    let bytes: &[u8] = &[0, 255];
                    tx.execute(&ADD, params![id, "Ünï", i64::MAX, true, bytes, 0.5]).await?;
                    tx.execute(
                        &ADD,
                        params!["two", "b", 0_i64, false, None::<Vec<u8>>, None::<f64>],
                    )
                    .await
                })
            })
            .await;
        assert_eq!(added.unwrap(), 1, "{}", engine.name);
        let row = scope.query_one(&FIND, params!["one"]).await.unwrap();
        let found = row.decode::<(String, String, i64, bool, Option<Vec<u8>>, Option<f64>)>();
        let wanted = ("one".into(), "Ünï".into(), i64::MAX, true, Some(vec![0, 255]), Some(0.5));
        assert_eq!(found.unwrap(), wanted, "{}", engine.name);
        let row = scope.query_opt(&FIND, params!["two"]).await.unwrap().unwrap();
        assert_eq!(row.get::<Option<f64>>(5).unwrap(), None);
        assert!(scope.query_opt(&FIND, params!["three"]).await.unwrap().is_none());
        let other = engine.db.tenant(&tenant("b"));
        assert!(other.query_opt(&FIND, params!["one"]).await.unwrap().is_none());
        let all = engine.db.system().query_one(&COUNT_ALL, params![]).await.unwrap();
        assert_eq!(all.get::<i64>(0).unwrap(), 2);
    }
}

#[tokio::test]
async fn errors_have_causes_and_undo_the_transaction() {
    for engine in engines(&[SCHEMA]).await {
        let scope = engine.db.tenant(&tenant("a"));
        let add = |id: &'static str, name: &'static str, amount: i64| {
            let scope = scope.clone();
            async move {
                scope
                    .tx((), move |tx, ()| {
                        Box::pin(async move {
                            let params =
                                params![id, name, amount, true, None::<Vec<u8>>, None::<f64>];
                            tx.execute(&ADD, params).await
                        })
                    })
                    .await
            }
        };
        assert_eq!(add("1", "a", 1).await.unwrap(), 1);
        let unique: DbError = add("1", "b", 1).await.unwrap_err();
        assert!(unique.is_unique("item_pkey"), "{}: {unique:?}", engine.name);
        let unique = add("2", "a", 1).await.unwrap_err();
        assert!(unique.is_unique("item_name"), "{}: {unique:?}", engine.name);
        match add("2", "b", -1).await {
            Err(DbError::Check { constraint }) if constraint == "item_amount" => {}
            other => panic!("{}: {other:?}", engine.name),
        }
        let foreign: Result<u64, DbError> = scope
            .tx((), |tx, ()| {
                Box::pin(async move {
                    tx.execute(&RENAME, params!["1", "renamed"]).await?;
                    tx.execute(&ADD_PART, params!["p", "nothing"]).await
                })
            })
            .await;
        assert!(matches!(foreign, Err(DbError::ForeignKey)), "{}: {foreign:?}", engine.name);
        let row = scope.query_one(&FIND, params!["1"]).await.unwrap();
        assert_eq!(row.get::<String>(1).unwrap(), "a", "{}", engine.name);
        let removed: Result<_, DbError> = scope
            .tx((), |tx, ()| Box::pin(async move { tx.query_one(&REMOVE, params!["1"]).await }))
            .await;
        assert_eq!(removed.unwrap().get::<String>(0).unwrap(), "a");
        let count = scope.query_one(&COUNT, params![]).await.unwrap();
        assert_eq!(count.get::<i64>(0).unwrap(), 0);
    }
}

#[tokio::test]
async fn statements_stay_in_their_scope() {
    for engine in engines(&[SCHEMA]).await {
        let scope = engine.db.tenant(&tenant("a"));
        let crossing = scope.query(&COUNT_ALL, params![]).await;
        assert!(matches!(crossing, Err(DbError::Internal { .. })), "{crossing:?}");
        let homeless = engine.db.system().query(&COUNT, params![]).await;
        assert!(matches!(homeless, Err(DbError::Internal { .. })), "{homeless:?}");
        let missing = scope.query(&FIND, params![]).await;
        assert!(matches!(missing, Err(DbError::Internal { .. })), "{missing:?}");
        let written = scope.query(&RENAME, params!["1", "x"]).await;
        assert!(written.is_err(), "{}: a read has written", engine.name);
    }
}
