//! What every fuzz target does, as plain functions of bytes.
//!
//! Each function takes any bytes, hands them to one of the doors that outside bytes come in by, and
//! checks what the door promises: no panic, memory and time in proportion to the input, and the
//! invariants that its callers build on. `tests/smoke.rs` runs them all over the corpus with a
//! bounded number of mutations; `fuzz_targets/` runs the same functions under libFuzzer
//! (`scripts/fuzz.sh`).

mod cache;
mod cdn;
mod feed;
mod http3;
mod index;
mod input;
mod journal;
mod manifests;
mod media;
mod mutate;
mod names;
mod pictures;
mod pipeline;
mod players;
mod requests;
pub mod seeds;
mod signed;
mod text;
mod ts;

pub use cache::{cache_control, cache_files, cache_object, cache_ranges};
pub use cdn::{
    cdn_akamai, cdn_cat, cdn_cbor, cdn_cloudfront, cdn_key_file, cdn_media_cdn, cdn_request,
    cdn_uri_signing,
};
pub use feed::feed;
pub use http3::{http3_field_section, http3_frames};
pub use index::{block, sidecar};
pub use journal::journal;
pub use manifests::check_manifests;
pub use media::{demux, describe, scanner};
pub use mutate::{Random, mutate};
pub use names::{asset_document, config, object_key, resource_name};
pub use pictures::{picture, thumbnails};
pub use pipeline::pipeline;
pub use players::cmcd;
pub use requests::{query, range};
pub use signed::{access_token, target, url_token};
pub use text::{text, text_samples};
pub use ts::ts;

/// A target: takes any bytes, panics when a promise is broken.
pub type Target = fn(&[u8]);

/// All targets by the names of their libFuzzer programs.
pub const TARGETS: [(&str, Target); 37] = [
    ("demux", demux),
    ("describe", describe),
    ("scanner", scanner),
    ("sidecar", sidecar),
    ("block", block),
    ("ts", ts),
    ("text", text),
    ("text_samples", text_samples),
    ("thumbnails", thumbnails),
    ("picture", picture),
    ("resource_name", resource_name),
    ("query", query),
    ("range", range),
    ("config", config),
    ("object_key", object_key),
    ("asset_document", asset_document),
    ("http3_field_section", http3_field_section),
    ("http3_frames", http3_frames),
    ("pipeline", pipeline),
    ("target", target),
    ("url_token", url_token),
    ("access_token", access_token),
    ("feed", feed),
    ("journal", journal),
    ("cache_object", cache_object),
    ("cache_files", cache_files),
    ("cache_ranges", cache_ranges),
    ("cache_control", cache_control),
    ("cdn_request", cdn_request),
    ("cdn_cloudfront", cdn_cloudfront),
    ("cdn_akamai", cdn_akamai),
    ("cdn_media_cdn", cdn_media_cdn),
    ("cdn_uri_signing", cdn_uri_signing),
    ("cdn_cat", cdn_cat),
    ("cdn_cbor", cdn_cbor),
    ("cdn_key_file", cdn_key_file),
    ("cmcd", cmcd),
];
