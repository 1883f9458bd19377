//! Codecs: what a sample entry says, and what the samples themselves tell.

mod aac;
mod ac3;
mod ac4;
mod audio;
mod av1;
mod avc;
mod bits;
mod boxes;
mod captions;
mod color;
mod dolby_vision;
mod esds;
mod hevc;
mod iamf;
mod nal;
mod other_audio;
mod quicktime_sound;
mod sample_entry;
mod scanner;
mod sei;
mod text;
mod video;
mod vp9;

pub use nal::nal_units;
pub use quicktime_sound::iso_audio_entry;
pub use sample_entry::describe;
pub use scanner::{RandomAccess, SampleFacts, SampleScanner};
