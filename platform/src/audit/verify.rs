//! Verifies a chain, in pages: memory is bounded by a page, not by the log.

use super::chain::{Hash, genesis, next};
use super::checkpoint::Checkpoint;
use super::record::Stored;
use crate::db::{Db, DbError, Row, TenantId, params, statements};

const PAGE_RECORDS: i64 = 512;

statements! {
    HEAD: "SELECT sequence, hash FROM audit_head WHERE tenant_id = $1";
    LAST: "SELECT MAX(sequence) FROM audit_record WHERE tenant_id = $1";
    PAGE: "SELECT sequence, at_ms, actor, action, resource, before_json, after_json, request_id,
            hash
        FROM audit_record WHERE tenant_id = $1 AND $2 < sequence ORDER BY sequence LIMIT $3";
}

/// A chain that is whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Verified {
    pub records: i64,
    /// Of the last record, or what the first one will follow.
    pub hash: Hash,
}

/// The first record that doesn't fit.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Broken {
    #[error("record {sequence} was changed, or the one before it")]
    Hash { sequence: i64 },

    #[error("record {sequence} is missing")]
    Missing { sequence: i64 },

    #[error("record {sequence} is behind the head of the chain")]
    BehindHead { sequence: i64 },

    #[error("the head of the chain has another hash than record {sequence}")]
    Head { sequence: i64 },

    #[error("record {sequence} is another than at the time of the checkpoint")]
    Checkpoint { sequence: i64 },
}

#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("the audit log of tenant `{tenant}` is broken: {broken}")]
    Broken { tenant: TenantId, broken: Broken },

    #[error("the checkpoint is of tenant `{0}`")]
    OtherTenant(String),

    #[error(transparent)]
    Db(#[from] DbError),
}

/// Verifies a tenant's chain from its first record to its head, and that it went through
/// `checkpoint`.
///
/// # Errors
/// [`VerifyError::Broken`] names the first record that doesn't fit.
pub async fn verify(
    db: &Db,
    tenant: &TenantId,
    checkpoint: Option<&Checkpoint>,
) -> Result<Verified, VerifyError> {
    if let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.tenant != tenant.as_str()) {
        return Err(VerifyError::OtherTenant(checkpoint.tenant.clone()));
    }
    let scope = db.tenant(tenant);
    // The last record first: one that is appended meanwhile has a head that is later still.
    let last = scope.query_one(&LAST, params![]).await?.get::<Option<i64>>(0)?.unwrap_or(0);
    let head = scope.query_opt(&HEAD, params![]).await?;
    let head = head.map(|row| row.decode::<(i64, Vec<u8>)>()).transpose()?;
    let (records, head_hash) = head.unwrap_or_else(|| (0, genesis(tenant).to_vec()));
    let broken = |broken| VerifyError::Broken { tenant: tenant.clone(), broken };
    let (mut sequence, mut hash) = (0, genesis(tenant));
    while sequence < records {
        let page = scope.query(&PAGE, params![sequence, PAGE_RECORDS]).await?;
        if page.is_empty() {
            return Err(broken(Broken::Missing { sequence: sequence + 1 }));
        }
        for row in page.iter().take(usize::try_from(records - sequence).unwrap_or(usize::MAX)) {
            hash = step(row, tenant, sequence + 1, &hash).map_err(broken)?;
            sequence += 1;
            let stated = checkpoint.filter(|checkpoint| checkpoint.sequence == sequence);
            if stated.is_some_and(|checkpoint| checkpoint.hash != hash) {
                return Err(broken(Broken::Checkpoint { sequence }));
            }
        }
    }
    if records < last {
        return Err(broken(Broken::BehindHead { sequence: records + 1 }));
    }
    if hash[..] != head_hash {
        return Err(broken(Broken::Head { sequence }));
    }
    if let Some(checkpoint) = checkpoint.filter(|checkpoint| records < checkpoint.sequence) {
        return Err(broken(Broken::Missing { sequence: checkpoint.sequence.min(records + 1) }));
    }
    Ok(Verified { records, hash })
}

/// The hash of the record in `row`, which has to follow `previous` at `wanted`.
fn step(row: &Row, tenant: &TenantId, wanted: i64, previous: &Hash) -> Result<Hash, Broken> {
    let changed = |_| Broken::Hash { sequence: wanted };
    let sequence = row.get::<i64>(0).map_err(changed)?;
    if sequence != wanted {
        return Err(Broken::Missing { sequence: wanted });
    }
    let stored = Stored {
        at_ms: row.get(1).map_err(changed)?,
        actor: row.get(2).map_err(changed)?,
        action: row.get(3).map_err(changed)?,
        resource: row.get(4).map_err(changed)?,
        before: row.get(5).map_err(changed)?,
        after: row.get(6).map_err(changed)?,
        request_id: row.get(7).map_err(changed)?,
    };
    let hash = next(previous, &stored.canonical(tenant, sequence));
    let there = row.get::<Vec<u8>>(8).map_err(changed)?;
    if hash[..] == there { Ok(hash) } else { Err(Broken::Hash { sequence }) }
}
