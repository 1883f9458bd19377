//! A data directory in one file, and back.
//!
//! ```text
//! stage     who owns the directory: copies of what changes, links to what doesn't, a snapshot of
//!           each database; moments
//! pack      the command: an archive of that folder; at leisure, while the server goes on
//! restore   the archive into a new folder, checked, and that folder into its place
//! ```

pub mod archive;
mod manifest;
pub mod pack;
pub mod restore;
pub mod stage;
mod tree;

pub use manifest::{Database, LeftOut, Manifest, Staged};
