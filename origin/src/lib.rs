//! The origin: titles on an object store, packaged at the moment of the request.
//!
//! A `tower` service: request in, streamed response out. It drives the packager over the store's
//! bytes, keeps the indexes of warm titles in memory, and turns files into titles.

pub mod asset;
pub mod body;
mod bundle;
mod chunk;
mod counts;
mod entity;
mod error;
pub mod ingest;
mod library;
mod loaded;
pub mod maintenance;
mod manifest;
pub mod package;
pub mod preset;
mod problem;
mod query;
mod resources;
mod segment_source;
mod service;
mod single_file;
pub mod sweep;
mod ts_source;

#[doc(hidden)]
pub use bundle::fuzz_bundle;
pub use chunk::Chunk;
pub use counts::AssetRow;
pub use entity::{Caching, Entity, Source};
pub use error::OriginError;
pub use library::Library;
pub use loaded::{LoadedAsset, LoadedTrack, TrackContent};
pub use problem::{problem, problem_with};
pub use query::ManifestQuery;
pub use service::{OriginService, allow_every_origin, preflight};
