//! Init and media segments held against independent readers: mp4-atom, FFmpeg, Shaka Packager.
//!
//! Media comes from the `ffmpeg` command line, and from the folder `STREAMVERSE_MEDIA` too when it
//! is set. `STREAMVERSE_SHAKA_PACKAGER` names a `packager` binary to ask as well.

#![allow(clippy::disallowed_methods, reason = "tests read and write files")]

mod atoms;
mod boxes;
mod golden;
mod packaged;
mod playback;
mod shaka;
mod single_file;
mod source;
mod tools;
mod webvtt;
