//! The cache: answers requests from memory, from disk, or from one fetch that all who wait share.
//!
//! [`policy`] decides what HTTP allows and does no I/O; [`memory`] and [`disk`] hold objects;
//! [`fill`] lets many readers follow one writer; [`Cache`] puts them together over a
//! [`Fetch`](crate::fetch::Fetch). Time comes in with each request.

mod answer;
mod body;
pub mod disk;
mod fill;
mod forward;
mod front;
mod head;
mod key;
mod memory;
mod metrics;
mod object;
mod pass;
mod pieces;
pub mod policy;
mod purge;
mod respond;
mod resume;
mod settings;
mod shelf;
mod slices;
mod sweep;
mod tags;
mod variants;
mod writer;

#[cfg(test)]
mod tests;

pub use body::CacheBody;
pub use disk::DiskSettings;
pub use forward::KeepOffDisk;
pub use front::{Cache, Purging};
pub use key::{CacheKey, KeyHash};
pub use metrics::CacheMetrics;
pub use object::Object;
pub use pieces::{PIECE_BYTES, Pieces};
pub use purge::{Purge, Scope};
pub use settings::Settings;
pub use tags::TagRow;
