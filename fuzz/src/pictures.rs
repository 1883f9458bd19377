//! Thumbnails and posters.

use packager::image::write_thumbnails;
use packager::image::{PictureFormat, PictureSize, parse_thumbnails, probe_picture};
use packager::presentation::PresentedImages;

/// Thumbnail indexes: a grid that was accepted can be written and read again.
pub fn thumbnails(data: &[u8]) {
    let Ok(mut grid) = parse_thumbnails(data) else {
        return;
    };
    assert!(grid.tile_width > 0 && grid.tile_height > 0 && grid.tile_duration_ms > 0);
    assert!(grid.columns > 0 && grid.rows > 0 && !grid.files.is_empty());
    let width = grid.tile_width.saturating_mul(grid.columns);
    let height = grid.tile_height.saturating_mul(grid.rows);
    let size = PictureSize { format: PictureFormat::Jpeg, width, height };
    for file in 0..grid.files.len() {
        let _ = grid.fit_picture(file, size);
    }
    let images = PresentedImages {
        name: "i1",
        revision: "0",
        tile_width: grid.tile_width,
        tile_height: grid.tile_height,
        columns: grid.columns,
        rows: grid.rows,
        tile_duration_ms: grid.tile_duration_ms,
        tile_count: grid.tile_count,
        extension: "jpg",
        file_bytes_max: 1,
    };
    let written = write_thumbnails(&images, grid.end_ms, |number| format!("{number}.jpg"));
    let again = parse_thumbnails(written.as_bytes()).expect("what was written can be read");
    assert_eq!((again.tile_count, again.end_ms), (grid.tile_count, grid.end_ms));
}

/// Beginnings of pictures.
pub fn picture(data: &[u8]) {
    if let Ok(Some(size)) = probe_picture(data) {
        assert!(size.width > 0 && size.height > 0);
    }
}
