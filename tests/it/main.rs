//! The whole binary on loopback, judged by tools that we did not write.
//!
//! Each test starts the real program on a free port with a data directory of its own, ingests
//! titles through the command line and fetches over HTTP. FFmpeg decodes, `ffprobe` lists packets,
//! `m3u8-rs` and `dash-mpd-core` read manifests, `mp4-atom` reads boxes, Shaka Packager packages
//! the same input.
//!
//! - `STREAMVERSE_TEST_MEDIA`: titles made by `scripts/test-media.sh`; made when it is absent.
//! - `STREAMVERSE_MEDIA`: a folder of real files; without it those tests have nothing to read.
//! - `STREAMVERSE_SHAKA_PACKAGER`: the binary of Shaka Packager; without it nothing is compared.
//! - `STREAMVERSE_DASH_XSD`: `DASH-MPD.xsd`; without it manifests are parsed but not validated.

mod acme;
mod backup;
mod bad_input;
mod boxes;
mod cdn;
mod cdn_answers;
mod cdn_mistakes;
mod client;
mod double;
mod edge_faults;
mod edge_flood;
mod edges;
mod faults;
mod feed;
mod gateway;
mod http;
mod https;
mod indexes;
mod judge;
mod judge_tables;
mod keys;
mod limits;
mod manifests;
mod media;
mod odd_sound;
mod operator;
mod ops;
mod package_folder;
mod real_files;
mod restart;
mod same_bytes;
mod server;
mod shaka;
mod signed;
mod slow;
mod source_tables;
mod tiers;
mod titles;
mod tools;
mod transport;
mod upkeep;
mod upstreams;
mod vault;
mod viewers;
