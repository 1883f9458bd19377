//! Codecs: what a sample entry says, and what the samples themselves tell.

mod sample_entry;

pub use sample_entry::describe;
