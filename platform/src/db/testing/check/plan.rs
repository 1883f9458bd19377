//! How SQLite would run a statement.

use rusqlite::Connection;

use super::tables::Tables;
use crate::db::Statement;
use crate::db::sql::{Kind, Token, tokens};

/// Reads of whole tables, unless the statement says why.
pub(super) fn faults(statement: &Statement, tables: &Tables, lite: &Connection) -> Vec<String> {
    let lines = match explain(statement, lite) {
        Ok(lines) => lines,
        Err(error) => return vec![format!("SQLite can't explain it: {error}")],
    };
    let is_sorted_aside = lines.iter().any(|line| line.starts_with("USE TEMP B-TREE FOR ORDER BY"));
    let words: Vec<Token<'_>> =
        tokens(statement.sqlite()).into_iter().filter(|token| token.kind != Kind::Gap).collect();
    let has_limit = words.iter().any(|token| token.is_word("LIMIT"));
    let mut faults = Vec::new();
    for line in &lines {
        let target = line.split(' ').nth(1).unwrap_or_default();
        let Some(table) = table_of(target, &words, tables) else {
            continue;
        };
        let is_scan = line.starts_with("SCAN ");
        // An index on (tenant_id, …) of which the tenant alone is used: all rows of a tenant, which
        // are all rows of a server with one tenant. A LIMIT ends it, unless all are sorted first.
        let is_whole_tenant = line.ends_with("(tenant_id=?)")
            && !(has_limit && !is_sorted_aside)
            && !tables.is_unique_by_tenant(table);
        // In the order of an index, a LIMIT ends a scan too.
        let is_bounded = is_scan && line.contains(" USING ") && has_limit && !is_sorted_aside;
        if (is_scan && !is_bounded) || is_whole_tenant {
            faults.push(format!(
                "SQLite reads all of `{table}` ({line}); add an index, or say why it may: \
                 scans \"…\""
            ));
        }
    }
    match statement.scans() {
        Some(_) if faults.is_empty() => vec!["reads no whole table; drop its `scans`".into()],
        Some(_) => Vec::new(),
        None => faults,
    }
}

fn explain(statement: &Statement, lite: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut prepared = lite.prepare(&format!("EXPLAIN QUERY PLAN {}", statement.sqlite()))?;
    for number in 1..=prepared.parameter_count() {
        prepared.raw_bind_parameter(number, rusqlite::types::Null)?;
    }
    let mut rows = prepared.raw_query();
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        lines.push(row.get(3)?);
    }
    Ok(lines)
}

/// The table that a name of the plan stands for; none for a subquery or a function.
fn table_of<'a>(name: &str, words: &[Token<'_>], tables: &'a Tables) -> Option<&'a str> {
    if let Some(table) = tables.name(name) {
        return Some(table);
    }
    words.iter().enumerate().find_map(|(index, token)| {
        let table = tables.name(token.text)?;
        let behind = words.get(index + 1)?;
        let alias = if behind.is_word("AS") { words.get(index + 2)? } else { behind };
        (alias.text == name).then_some(table)
    })
}
