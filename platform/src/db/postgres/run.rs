//! How one statement is sent.

use std::time::Instant;

use deadpool_postgres::ClientWrapper;
use futures_util::future::{join3, join4};
use tokio_postgres::Error;
use tokio_postgres::types::{ToSql, Type};

use super::values::declared;
use super::{BEGIN_ALL, tenant_setting, timeout_setting};
use crate::db::statement::Statement;
use crate::db::tx::{Answer, Bounds, Want};
use crate::db::value::{Row, Value};

/// One statement as a transaction of its own. Everything is sent at once.
pub(super) async fn read(
    client: &ClientWrapper,
    uses_cache: bool,
    bounds: &Bounds,
    statement: &'static Statement,
    params: &[Value],
    deadline: Instant,
) -> Result<Answer, Error> {
    if uses_cache {
        // Outside of the transaction, and over once a connection has seen both.
        client.prepare_cached(BEGIN_ALL).await?;
        client.prepare_cached(statement.postgres()).await?;
    }
    let settings = [tenant_setting(bounds), timeout_setting(deadline)];
    // In this order, as each is sent when it is first polled. After an error the server skips the
    // rest of its transaction, and COMMIT rolls back.
    let (begun, set, answer, ended) = join4(
        client.batch_execute("BEGIN READ ONLY"),
        run(client, uses_cache, BEGIN_ALL, &settings, Want::Rows),
        run(client, uses_cache, statement.postgres(), params, Want::Rows),
        client.batch_execute("COMMIT"),
    )
    .await;
    begun?;
    set?;
    let answer = answer?;
    ended?;
    Ok(answer)
}

/// The first statement of a transaction, with what begins it.
pub(super) async fn begin(
    client: &ClientWrapper,
    uses_cache: bool,
    begin: &str,
    settings: [Value; 2],
    statement: &'static Statement,
    (params, want): (&[Value], Want),
) -> Result<Answer, Error> {
    if uses_cache {
        client.prepare_cached(BEGIN_ALL).await?;
        client.prepare_cached(statement.postgres()).await?;
    }
    let (begun, set, answer) = join3(
        client.batch_execute(begin),
        run(client, uses_cache, BEGIN_ALL, &settings, Want::Rows),
        run(client, uses_cache, statement.postgres(), params, want),
    )
    .await;
    begun?;
    set?;
    answer
}

pub(super) async fn run(
    client: &ClientWrapper,
    uses_cache: bool,
    sql: &str,
    params: &[Value],
    want: Want,
) -> Result<Answer, Error> {
    if uses_cache {
        let prepared = client.prepare_cached(sql).await?;
        let params: Vec<&(dyn ToSql + Sync)> = params.iter().map(|value| value as _).collect();
        return match want {
            Want::Rows => rows(&client.query(&prepared, &params).await?),
            Want::Count => Ok(Answer::Count(client.execute(&prepared, &params).await?)),
        };
    }
    let params: Vec<(&(dyn ToSql + Sync), Type)> =
        params.iter().map(|value| (value as _, declared(value))).collect();
    match want {
        Want::Rows => rows(&client.query_typed(sql, &params).await?),
        Want::Count => Ok(Answer::Count(client.execute_typed(sql, &params).await?)),
    }
}

fn rows(rows: &[tokio_postgres::Row]) -> Result<Answer, Error> {
    let row = |row: &tokio_postgres::Row| {
        let values: Result<_, _> = (0..row.len()).map(|index| row.try_get(index)).collect();
        values.map(Row::new)
    };
    Ok(Answer::Rows(rows.iter().map(row).collect::<Result<_, _>>()?))
}
