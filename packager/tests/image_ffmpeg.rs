//! Sizes of pictures that FFmpeg encodes, read from their first bytes.

// Tests bring the files that the crate itself never touches.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::process::Command;

use packager::image::{PictureFormat, PictureSize, probe_picture};

/// Encodes one picture of this size to a file of this name and probes it.
#[track_caller]
fn check(name: &str, options: &[&str], format: PictureFormat) {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("image_ffmpeg");
    std::fs::create_dir_all(&dir).unwrap();
    for (width, height) in [(1600, 900), (161, 91), (16, 1)] {
        let file = dir.join(name);
        let source = format!("rgbtestsrc=size={width}x{height}");
        let output = Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-f", "lavfi", "-i", &source, "-frames:v", "1"])
            .args(options)
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let picture = std::fs::read(&file).unwrap();
        let expected = PictureSize { format, width, height };
        let prefix = &picture[..picture.len().min(1_024)];
        assert_eq!(probe_picture(prefix).unwrap(), Some(expected));
    }
}

#[test]
fn sizes_are_those_that_were_encoded() {
    check("a.jpg", &["-pix_fmt", "yuvj444p"], PictureFormat::Jpeg);
    check("a.png", &[], PictureFormat::Png);
    check("lossy.webp", &["-c:v", "libwebp"], PictureFormat::WebP);
    check("lossless.webp", &["-c:v", "libwebp", "-lossless", "1"], PictureFormat::WebP);
    let alpha = ["-vf", "format=rgba,colorchannelmixer=aa=0.5", "-c:v", "libwebp"];
    check("alpha.webp", &alpha, PictureFormat::WebP);
}
