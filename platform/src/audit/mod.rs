//! The audit log: who did what to what, as a chain of hashes for each tenant.
//!
//! ```text
//! hash 0 = SHA-256("streamverse audit chain 1" ‖ tenant)
//! hash i = SHA-256(hash i-1 ‖ JCS(record i))             JCS: RFC 8785
//! ```
//!
//! Who changes a record, takes one out or puts one in has to rewrite all that follow, up to the head.
//! [`verify`] finds the first record that doesn't fit. Who can rewrite the whole database can make
//! another whole chain: against that stands a signed [`Checkpoint`] that is kept elsewhere, since no
//! other chain has its hash at its place.
//!
//! A record can never be changed, so it holds no personal data itself: people and things are named by
//! id (`user/…`), and `before` and `after` hold states, amounts and ids, never names, addresses or
//! texts that people wrote. What is erased elsewhere is then gone, and the chain stays whole.
//!
//! The next place is given by one statement, which locks the tenant's head until the transaction ends:
//! writers on PostgreSQL take turns, and no two records can follow the same one. Append last in a
//! transaction, to keep that time short.

mod chain;
mod checkpoint;
mod record;
mod verify;

#[cfg(test)]
mod tests;

use crate::db::{DbError, Migration, Schema, Tx, params, statements};

pub use self::chain::Hash;
pub use self::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint, Signer, checkpoint};
pub use self::record::Record;
pub use self::verify::{Broken, Verified, VerifyError, verify};

statements! {
    /// Takes the next place and tells the hash of the record before it.
    NEXT: "INSERT INTO audit_head (tenant_id, sequence, hash) VALUES ($1, 1, $2)
        ON CONFLICT (tenant_id) DO UPDATE SET sequence = audit_head.sequence + 1
        RETURNING sequence, hash";
    APPEND: "INSERT INTO audit_record (tenant_id, sequence, at_ms, actor, action, resource,
            before_json, after_json, request_id, hash)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    MOVE_HEAD: "UPDATE audit_head SET hash = $3 WHERE tenant_id = $1 AND sequence = $2";
}

/// | table | what |
/// | --- | --- |
/// | `audit_record` | the records, never changed |
/// | `audit_head` | of each tenant the last place and its hash |
pub const SCHEMA: Schema = Schema {
    name: "audit",
    migrations: &[Migration {
        version: 1,
        name: "chain",
        sql: "CREATE TABLE audit_record (
                tenant_id TEXT NOT NULL,
                sequence BIGINT NOT NULL,
                at_ms BIGINT NOT NULL,
                actor TEXT NOT NULL,
                action TEXT NOT NULL,
                resource TEXT NOT NULL,
                before_json TEXT,
                after_json TEXT,
                request_id TEXT,
                hash BYTEA NOT NULL,
                PRIMARY KEY (tenant_id, sequence)
            );
            CREATE TABLE audit_head (
                tenant_id TEXT NOT NULL PRIMARY KEY,
                sequence BIGINT NOT NULL,
                hash BYTEA NOT NULL
            );",
    }],
    statements: &[STATEMENTS, verify::STATEMENTS],
};

/// Appends a record to the tenant's chain, as part of this transaction. Answers its place.
///
/// # Errors
/// When the record holds what has no canonical form or is too large, or by cause, see [`DbError`].
pub async fn append(tx: &mut Tx, record: Record) -> Result<i64, DbError> {
    let Some(tenant) = tx.tenant().cloned() else {
        let reason = "an audit record belongs to a tenant; append it in Db::tenant()";
        return Err(DbError::Internal { reason: reason.to_owned() });
    };
    let fail = |error: record::RecordError| DbError::Internal { reason: error.to_string() };
    let stored = record.into_stored().map_err(fail)?;
    let genesis = chain::genesis(&tenant);
    let row = tx.query_one(&NEXT, params![genesis]).await?;
    let (sequence, previous) = row.decode::<(i64, Vec<u8>)>()?;
    let hash = chain::next(&previous, &stored.canonical(&tenant, sequence));
    let record::Stored { at_ms, actor, action, resource, before, after, request_id } = stored;
    let params = params![sequence, at_ms, actor, action, resource, before, after, request_id, hash];
    tx.execute(&APPEND, params).await?;
    tx.execute(&MOVE_HEAD, params![sequence, hash]).await?;
    Ok(sequence)
}
