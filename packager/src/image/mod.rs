//! Thumbnails: sprites that tile small pictures of a title, and the WebVTT files that describe
//! them to players.

mod probe;
mod thumbnails;

pub use probe::{PICTURE_PREFIX_BYTES_MAX, PictureFormat, PictureSize, probe_picture};
pub use thumbnails::{ThumbnailGrid, parse_thumbnails, write_thumbnails};
