//! The tables of one owner, and how they came to be.

use super::statement::Statement;

/// The tables and statements of one owner: `events`, `audit`, `account`.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    pub name: &'static str,
    /// In order, with versions 1, 2, 3 ….
    pub migrations: &'static [Migration],
    pub statements: &'static [&'static [&'static Statement]],
}

/// One step from an older set of tables to a newer one.
///
/// The text is PostgreSQL's DDL with the types BOOLEAN, BIGINT, TEXT, BYTEA and DOUBLE PRECISION;
/// for SQLite the types are replaced and tables become STRICT. Lines after `-- only sqlite` or
/// `-- only postgres` are for one engine, until `-- both`. An applied migration never changes.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub version: u32,
    pub name: &'static str,
    pub sql: &'static str,
}

impl Schema {
    pub fn statements(&self) -> impl Iterator<Item = &'static Statement> {
        self.statements.iter().flat_map(|module| module.iter().copied())
    }
}
