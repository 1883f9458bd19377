//! Checks of schemas and statements, in place of a compiler that knows the tables.

mod plan;
mod tables;
mod text;

use std::collections::BTreeMap;

use tokio_postgres::types::Type;

use super::{Engine, postgres_url, sqlite};
use crate::db::postgres::{connect_alone, full};
use crate::db::sqlite::open;
use crate::db::{Schema, Settings, Statement};

/// Prepares every statement on both engines and fails when
///
/// - one engine refuses it, or the two see different numbers of columns or parameters,
/// - a column is of a type that rows can't hold (`SUM` and `AVG` want a CAST),
/// - a tenant's statement doesn't name `tenant_id` and `$1`, or a text isn't portable,
/// - SQLite reads a whole table, or all rows of a tenant, and no `scans "…"` says why,
/// - the tables of the two engines differ, in their columns or the names of their constraints,
/// - a foreign key has no index, so that deleting a parent reads all children.
///
/// # Panics
/// With everything that was found.
pub async fn check_statements(schemas: &[Schema]) {
    let faults = faults(schemas).await;
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// What [`check_statements`] fails with.
pub(in crate::db) async fn faults(schemas: &[Schema]) -> Vec<String> {
    let on_file: Engine = sqlite(schemas).await;
    let (url, _keep) = postgres_url(schemas).await;
    let alone = connect_alone(&Settings::new(url)).await.expect("a connection to PostgreSQL");
    let path = on_file.url.strip_prefix("sqlite:").expect("the address of a file");
    let opened = open(path.as_ref(), true).expect("the file that was just made");
    let lite = &opened.connection;

    let mut faults = Vec::new();
    let tables = tables::Tables::read(lite).expect("SQLite's tables");
    faults.extend(tables::differences(&tables, lite, &alone.client).await);
    let mut names = BTreeMap::new();
    for statement in schemas.iter().flat_map(Schema::statements) {
        let name = format!("{}::{}", statement.module(), statement.name());
        let mut fault = |found: String| faults.push(format!("{name}: {found}"));
        if names.insert(name.clone(), ()).is_some() {
            fault("is listed twice".into());
        }
        text::faults(statement).into_iter().for_each(&mut fault);
        let seen = match lite.prepare(statement.sqlite()) {
            Ok(prepared) => Some((prepared.column_count(), prepared.parameter_count())),
            Err(error) => {
                fault(format!("SQLite says {error}"));
                None
            }
        };
        if seen.is_some() {
            plan::faults(statement, &tables, lite).into_iter().for_each(&mut fault);
        }
        match alone.client.prepare(statement.postgres()).await {
            Ok(prepared) => {
                types(&prepared).into_iter().for_each(&mut fault);
                let here = (prepared.columns().len(), prepared.params().len());
                if let Some(seen) = seen
                    && seen != here
                {
                    fault(format!(
                        "(columns, parameters) are {seen:?} on SQLite, {here:?} on PostgreSQL"
                    ));
                }
                unused(statement, here.1).into_iter().for_each(&mut fault);
            }
            Err(error) => fault(format!("PostgreSQL says {}", full(&error))),
        }
    }
    faults
}

fn types(prepared: &tokio_postgres::Statement) -> Vec<String> {
    let mut faults = Vec::new();
    for column in prepared.columns() {
        let is_held = [Type::BOOL, Type::INT2, Type::INT4, Type::INT8, Type::FLOAT8]
            .contains(column.type_())
            || [Type::TEXT, Type::VARCHAR, Type::BYTEA].contains(column.type_());
        if !is_held {
            let (name, kind) = (column.name(), column.type_());
            faults.push(format!("column `{name}` is {kind} on PostgreSQL; CAST it"));
        }
    }
    for (kind, number) in prepared.params().iter().zip(1..) {
        let is_bound = [Type::BOOL, Type::INT4, Type::INT8, Type::FLOAT8].contains(kind)
            || [Type::TEXT, Type::VARCHAR, Type::BYTEA, Type::JSON].contains(kind);
        if !is_bound {
            faults.push(format!("${number} is {kind} on PostgreSQL; CAST it"));
        }
    }
    faults
}

fn unused(statement: &Statement, parameters: usize) -> Option<String> {
    (parameters != statement.parameters()).then(|| {
        let declared = statement.parameters();
        format!("its parameters go up to ${declared}, PostgreSQL sees {parameters}")
    })
}
