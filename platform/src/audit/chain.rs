//! The hashes of a chain.

use aws_lc_rs::digest::{Context, SHA256};

use crate::db::TenantId;

/// Of a record and all before it.
pub type Hash = [u8; 32];

const GENESIS: &[u8] = b"streamverse audit chain 1";

/// What the first record of a tenant follows.
pub(super) fn genesis(tenant: &TenantId) -> Hash {
    of(&[GENESIS, tenant.as_str().as_bytes()])
}

/// The hash of a record with this canonical form that follows `previous`.
pub(super) fn next(previous: &[u8], canonical: &[u8]) -> Hash {
    of(&[previous, canonical])
}

fn of(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
