use super::*;
use crate::image::PictureFormat;
use proptest::prelude::*;

/// A file with a cue per `(start_s, end_s, payload)`.
fn vtt(cues: &[(u32, u32, &str)]) -> String {
    let cues = cues.iter().map(|(start, end, payload)| {
        format!("\n00:{start:02}.000 --> 00:{end:02}.000\n{payload}\n")
    });
    format!("WEBVTT\n{}", cues.collect::<String>())
}

/// `columns x rows of width x height, count tiles of duration to end, files`.
#[track_caller]
fn check(cues: &[(u32, u32, &str)], expected: &str) {
    let grid = parse_thumbnails(vtt(cues).as_bytes()).unwrap();
    let ThumbnailGrid { tile_width, tile_height, columns, rows, tile_duration_ms, .. } = grid;
    let (count, end_ms, files) = (grid.tile_count, grid.end_ms, grid.files.join(" "));
    let found = format!(
        "{columns}x{rows} of {tile_width}x{tile_height}, {count} of {tile_duration_ms} to {end_ms}, {files}"
    );
    assert_eq!(found, expected);
}

#[track_caller]
fn check_error(cues: &[(u32, u32, &str)], expected: &str) {
    let error = parse_thumbnails(vtt(cues).as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), format!("thumbnails at line {expected}"));
}

#[test]
fn grids_are_found() {
    check(
        &[
            (0, 5, "s-1.jpg#xywh=0,0,160,90"),
            (5, 10, "s-1.jpg#xywh=160,0,160,90"),
            (10, 15, "s-1.jpg#xywh=0,90,160,90"),
            (15, 20, "s-1.jpg#xywh=160,90,160,90"),
            (20, 25, "s-2.jpg#xywh=0,0,160,90"),
            (25, 28, "s-2.jpg#xywh=160,0,160,90"),
        ],
        "2x2 of 160x90, 6 of 5000 to 28000, s-1.jpg s-2.jpg",
    );
    check(&[(0, 5, "s.png#xywh=pixel:0,0,8,9")], "1x1 of 8x9, 1 of 5000 to 5000, s.png");
    check(
        &[(0, 2, "./a%20b/s.webp?v=1#t=0,2&xywh=0,0,8,9"), (2, 4, "a%20b/s.webp#xywh=8,0,8,9")],
        "2x1 of 8x9, 2 of 2000 to 4000, a b/s.webp",
    );
    check(
        &[(0, 2, "a.jpg#xywh=0,0,8,9"), (2, 4, "b.jpg#xywh=0,0,8,9")],
        "1x1 of 8x9, 2 of 2000 to 4000, a.jpg b.jpg",
    );
}

#[test]
fn irregular_files_are_refused_with_the_cues_line() {
    let first = (0, 5, "s.jpg#xywh=0,0,16,9");
    let second = (5, 10, "s.jpg#xywh=16,0,16,9");
    let third = (10, 15, "s.jpg#xywh=0,9,16,9");
    check_error(&[], "1: the file names no pictures");
    check_error(&[(0, 5, "s.jpg")], "3: the cue names no #xywh of a sprite");
    check_error(&[(0, 5, "s.jpg#xywh=0,0,16")], "3: the cue's #xywh is not four numbers of pixels");
    check_error(
        &[(0, 5, "s.jpg#xywh=0,0,16,+9")],
        "3: the cue's #xywh is not four numbers of pixels",
    );
    check_error(
        &[(0, 5, "s.jpg#xywh=percent:0,0,1,1")],
        "3: the cue's #xywh is not four numbers of pixels",
    );
    check_error(&[(0, 5, "s.jpg#xywh=0,0,0,9")], "3: the tile is empty");
    check_error(&[(0, 5, "s.jpg#xywh=65530,0,16,9")], "3: the tile lies beyond 65,535 pixels");
    check_error(
        &[(0, 5, "s.jpg#xywh=16,0,16,9")],
        "3: the tile is not the next one in its row or file",
    );
    check_error(
        &[first, (5, 10, "s.jpg#xywh=32,0,16,9")],
        "6: the tile is not the next one in its row or file",
    );
    check_error(
        &[first, (5, 10, "s.jpg#xywh=16,0,16,10")],
        "6: the tile is not as large as the first one",
    );
    check_error(
        &[first, (5, 9, "s.jpg#xywh=16,0,16,9"), third],
        "6: the tile does not last as long as the first one",
    );
    check_error(
        &[first, (5, 11, "s.jpg#xywh=16,0,16,9")],
        "6: the tile does not last as long as the first one",
    );
    check_error(
        &[first, (6, 11, "s.jpg#xywh=16,0,16,9")],
        "6: the tile does not start where equal durations would have it",
    );
    check_error(
        &[first, second, third, (15, 20, "t.jpg#xywh=0,0,16,9")],
        "12: the file before is not full",
    );
    check_error(
        &[first, (5, 10, "t.jpg#xywh=0,0,16,9"), (10, 15, "s.jpg#xywh=0,0,16,9")],
        "9: the file comes a second time",
    );
    check_error(
        &[first, (5, 10, "t.jpg#xywh=0,0,16,9"), (10, 15, "t.jpg#xywh=0,0,16,9")],
        "9: the file has more tiles than the first one",
    );
}

/// The origin will open what the file names: nothing outside its directory.
#[test]
fn sprites_lie_below_the_directory() {
    for uri in [
        "",
        "/etc/passwd",
        "../s.jpg",
        "a/../../s.jpg",
        "a//s.jpg",
        "%2e%2e/s.jpg",
        "a%2f..%2fs.jpg",
        "http://host/s.jpg",
        "//host/s.jpg",
        "file:s.jpg",
        "a\\s.jpg",
        "a%5cs.jpg",
        "s%00.jpg",
        "s%.jpg",
        "s%+1.jpg",
        "s%ff.jpg",
        "?x",
        "./",
        "data:image/png;base64,AAAA",
    ] {
        check_error(
            &[(0, 5, &format!("{uri}#xywh=0,0,16,9"))],
            "3: the sprite is no file below the directory",
        );
    }
}

fn grid(columns: u32, rows: u32, tile_count: u64, files: usize) -> ThumbnailGrid {
    ThumbnailGrid {
        tile_width: 16,
        tile_height: 9,
        columns,
        rows,
        tile_duration_ms: 1_000,
        tile_count,
        end_ms: tile_count * 1_000,
        files: (0..files).map(|n| format!("{n}.jpg")).collect(),
    }
}

#[test]
fn pictures_are_compared_with_the_grid() {
    let check = |mut from: ThumbnailGrid, file, width, height, expected: Option<(u32, u32)>| {
        let size = PictureSize { format: PictureFormat::Jpeg, width, height };
        let fits = from.fit_picture(file, size).is_ok();
        assert_eq!(fits.then_some((from.columns, from.rows)), expected);
    };
    // One file: room that is not used.
    check(grid(4, 1, 4, 1), 0, 64, 9, Some((4, 1)));
    check(grid(4, 1, 4, 1), 0, 160, 90, Some((10, 10)));
    check(grid(4, 2, 7, 1), 0, 64, 90, Some((4, 10)));
    check(grid(4, 2, 7, 1), 0, 80, 90, None);
    check(grid(4, 2, 7, 1), 0, 64, 9, None);
    check(grid(4, 2, 7, 1), 0, 65, 18, None);
    // Three files, of which the last has three tiles in two rows.
    check(grid(2, 3, 15, 3), 0, 32, 27, Some((2, 3)));
    check(grid(2, 3, 15, 3), 1, 32, 18, None);
    check(grid(2, 3, 15, 3), 2, 32, 18, Some((2, 3)));
    check(grid(2, 3, 15, 3), 2, 32, 27, Some((2, 3)));
    check(grid(2, 3, 15, 3), 2, 32, 9, None);
    check(grid(2, 3, 13, 3), 2, 16, 9, Some((2, 3)));
}

fn presented(grid: &ThumbnailGrid) -> PresentedImages<'static> {
    PresentedImages {
        name: "i1",
        revision: "0",
        tile_width: grid.tile_width,
        tile_height: grid.tile_height,
        columns: grid.columns,
        rows: grid.rows,
        tile_duration_ms: grid.tile_duration_ms,
        tile_count: grid.tile_count,
        extension: "jpg",
        file_bytes_max: 0,
    }
}

#[test]
fn a_file_is_written_with_the_callers_names() {
    let images = presented(&grid(2, 1, 3, 2));
    let written = write_thumbnails(&images, 2_500, |n| format!("image/image/i1-0/{n}.jpg"));
    assert_eq!(
        written,
        "WEBVTT\n\n\
         00:00:00.000 --> 00:00:01.000\nimage/image/i1-0/1.jpg#xywh=0,0,16,9\n\n\
         00:00:01.000 --> 00:00:02.000\nimage/image/i1-0/1.jpg#xywh=16,0,16,9\n\n\
         00:00:02.000 --> 00:00:02.500\nimage/image/i1-0/2.jpg#xywh=0,0,16,9\n"
    );
    assert_eq!(write_thumbnails(&images, 1_000, |n| n.to_string()).matches("-->").count(), 1);
}

proptest! {
    /// What is written is read as the grid it came from, where that has a second file to show it.
    #[test]
    fn what_is_written_is_read(
        columns in 1..6_u32, rows in 1..6_u32, full_files in 1..4_u64, rest in 1..36_u64,
        tile_duration_ms in 1..20_000_u64, cut_ms in 0..20_000_u64,
    ) {
        let per_file = u64::from(columns * rows);
        let tile_count = full_files * per_file + rest.min(per_file);
        let expected = ThumbnailGrid {
            tile_duration_ms,
            end_ms: tile_count * tile_duration_ms - cut_ms % tile_duration_ms,
            files: (1..=full_files + 1).map(|n| format!("{n}.jpg")).collect(),
            ..grid(columns, rows, tile_count, 0)
        };
        let written =
            write_thumbnails(&presented(&expected), expected.end_ms, |n| format!("{n}.jpg"));
        prop_assert_eq!(parse_thumbnails(written.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn random_files_never_panic(lines in prop::collection::vec(prop::sample::select(vec![
        "", "00:00.000 --> 00:05.000", "00:05.000 --> 00:10.000", "s.jpg#xywh=0,0,16,9",
        "s.jpg#xywh=16,0,16,9", "t.jpg#xywh=0,0,16,9", "#", "s.jpg#xywh=,,,", "%#xywh=1,1,1,1",
    ]), 0..30)) {
        if let Ok(grid) = parse_thumbnails(format!("WEBVTT\n\n{}", lines.join("\n")).as_bytes()) {
            prop_assert!(!grid.files.is_empty());
        }
    }
}
