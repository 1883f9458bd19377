//! `tkhd`: one track's place in the presentation (ISO/IEC 14496-12 8.3.2).

use super::{IDENTITY_MATRIX, TRACK_ID};
use crate::fmp4::box_writer::BoxWriter;
use crate::track::{MediaParams, TrackInfo, VideoParams};

/// Enabled, in movie, in preview.
const FLAGS: u32 = 0x00_0007;

/// Writes the track header, version 0.
///
/// ```text
/// u32  creation_time, modification_time   0
/// u32  track_ID                           1
/// u32  reserved
/// u32  duration                           0: all samples are in fragments
/// u64  reserved
/// i16  layer, alternate_group             0
/// i16  volume                             1.0 for audio, else 0
/// u16  reserved
/// 9 × i32  matrix                         of the source
/// u32  width, height                      16.16 square pixels; 0 for audio and text
/// ```
pub(in crate::fmp4) fn write_tkhd(w: &mut BoxWriter, info: &TrackInfo) {
    let (volume, (width, height)) = match &info.media {
        MediaParams::Video(video) => (0, display_size(video)),
        MediaParams::Audio(_) => (0x0100, (0, 0)),
        MediaParams::Text(_) => (0, (0, 0)),
    };
    w.write_full_box(b"tkhd", 0, FLAGS, |w| {
        w.zeros::<8>();
        w.u32(TRACK_ID);
        w.zeros::<4>();
        w.u32(0);
        w.zeros::<8>();
        w.zeros::<4>();
        w.u16(volume);
        w.zeros::<2>();
        let matrix = info.display_matrix.unwrap_or(IDENTITY_MATRIX);
        matrix.into_iter().for_each(|value| w.i32(value));
        w.u32(width);
        w.u32(height);
    });
}

/// Width and height in square pixels, 16.16 fixed point: the width is stretched or shrunk by the
/// pixel aspect ratio and the height kept. A ratio that is no ratio, or one that leaves the range
/// of the field, counts as square.
fn display_size(video: &VideoParams) -> (u32, u32) {
    let (horizontal, vertical) = video.pixel_aspect;
    let width = u32::from(video.width) << 16;
    let stretched = (u64::from(width) * u64::from(horizontal) + u64::from(vertical) / 2)
        .checked_div(u64::from(vertical))
        .and_then(|stretched| u32::try_from(stretched).ok())
        .filter(|stretched| *stretched > 0);
    (stretched.unwrap_or(width), u32::from(video.height) << 16)
}

#[cfg(test)]
mod tests {
    use super::display_size;
    use crate::track::{VideoCodec, VideoParams, VideoRange};

    fn video(width: u16, pixel_aspect: (u32, u32)) -> VideoParams {
        VideoParams {
            codec: VideoCodec::Avc,
            rfc6381: String::new(),
            supplemental: None,
            width,
            height: 576,
            pixel_aspect,
            range: VideoRange::Sdr,
            color: None,
            nal_length_size: None,
            parameter_sets: Vec::new(),
        }
    }

    #[test]
    fn the_width_takes_the_pixel_aspect() {
        assert_eq!(display_size(&video(720, (1, 1))), (720 << 16, 576 << 16));
        assert_eq!(display_size(&video(720, (64, 45))), (1024 << 16, 576 << 16));
        assert_eq!(display_size(&video(720, (16, 15))), (768 << 16, 576 << 16));
    }

    #[test]
    fn an_aspect_that_is_none_counts_as_square() {
        for aspect in [(1, 0), (0, 1), (0, 0), (u32::MAX, 1)] {
            assert_eq!(display_size(&video(720, aspect)), (720 << 16, 576 << 16), "{aspect:?}");
        }
    }
}
