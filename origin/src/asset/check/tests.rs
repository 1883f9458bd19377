use serde_json::{Value, json};

use crate::asset::{AssetDocument, AssetId};

fn document() -> Value {
    json!({
        "format": 1, "id": "film", "tenant": "default", "title": "Film", "created_ms": 1,
        "generation": "0192", "duration_ms": 12_000, "muxer_output": 1,
        "cut_list": { "timescale": 1_000, "cuts": [0, 6_000] },
        "sources": [{
            "file": "source-1.mp4", "given_name": "film.mp4", "len_bytes": 9, "digest": "00",
            "version": { "kind": "file", "len_bytes": 9, "modified_ns": 1 },
        }],
        "tracks": [{
            "name": "v1", "kind": "video", "class": "sd", "revision": "0123456789",
            "media_file": "source-1.mp4", "index_file": "v1.idx", "index_digest": "00",
            "language": "und", "label": "", "role": "main", "is_default": true,
        }],
        "images": {
            "name": "i1", "revision": "ab", "files": ["sprite-1.jpg"], "tile_width": 160,
            "tile_height": 90, "columns": 2, "rows": 2, "tile_duration_ms": 5_000,
            "tile_count": 3, "extension": "jpg", "file_bytes_max": 9,
        },
        "poster": "poster.jpg",
        "retired": [{ "generation": "0191", "retired_ms": 1 }],
    })
}

/// Parses the document with one value replaced; says what is wrong.
fn parse_with(pointer: &str, value: Value) -> Result<AssetDocument, String> {
    let mut document = document();
    *document.pointer_mut(pointer).unwrap() = value;
    let bytes = serde_json::to_vec(&document).unwrap();
    AssetDocument::parse(&AssetId::new("film").unwrap(), &bytes).map_err(|error| error.to_string())
}

#[test]
fn a_good_document_is_read() {
    parse_with("/title", json!("A \"title\" <with> & all")).unwrap();
    parse_with("/tracks/0/index_file", json!("")).unwrap();
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let places = [
        "/generation",
        "/sources/0/file",
        "/tracks/0/media_file",
        "/tracks/0/index_file",
        "/images/files/0",
        "/poster",
        "/retired/0/generation",
    ];
    for place in places {
        for name in ["../other/secret", "a/b", ".hidden", "a b", "a\"b", "a\nb", "/etc/passwd"] {
            assert!(parse_with(place, json!(name)).is_err(), "{place}: {name:?}");
        }
    }
    assert!(parse_with("/retired/0/generation", json!("")).is_err());
    assert!(parse_with("/generation", json!("")).is_err());
}

#[test]
fn what_goes_into_urls_is_plain() {
    for name in ["", "v 1", "v1/x", "v\"1", "master"] {
        assert!(parse_with("/tracks/0/name", json!(name)).is_err(), "{name:?}");
        assert!(parse_with("/images/name", json!(name)).is_err(), "{name:?}");
    }
    for revision in ["", "XY", "0\n#EXT"] {
        assert!(parse_with("/tracks/0/revision", json!(revision)).is_err(), "{revision:?}");
    }
    assert!(parse_with("/images/extension", json!("jpg\n#EXT")).is_err());
    assert!(parse_with("/tracks/0/label", json!("a\n#EXT-X-KEY")).is_err());
    assert!(parse_with("/tracks/0/language", json!("de\r\n")).is_err());
}

#[test]
fn numbers_that_would_run_away_are_refused() {
    assert!(parse_with("/images/tile_duration_ms", json!(0)).is_err());
    assert!(parse_with("/images/tile_count", json!(u64::MAX)).is_err());
    assert!(parse_with("/images/columns", json!(0)).is_err());
    assert!(parse_with("/duration_ms", json!(u64::MAX)).is_err());
    for cuts in [json!([]), json!([5]), json!([0, 9, 9]), json!([0, 9, 5])] {
        assert!(parse_with("/cut_list/cuts", cuts.clone()).is_err(), "{cuts}");
    }
    let many: Vec<u64> = (0..1_000_000).collect();
    assert!(parse_with("/cut_list/cuts", json!(many)).unwrap_err().contains("cuts"));
}

#[test]
fn a_track_is_listed_once() {
    let track = document().pointer("/tracks/0").unwrap().clone();
    assert!(parse_with("/tracks", json!([track.clone(), track])).unwrap_err().contains("twice"));
}

/// The document above is from before pictures had digests.
#[test]
fn each_picture_has_a_digest_or_none_has() {
    let document = parse_with("/title", json!("Film")).unwrap();
    assert!(document.poster_digest.is_none());
    let mut images = self::document()["images"].clone();
    images["digests"] = json!(["00"]);
    assert_eq!(parse_with("/images", images.clone()).unwrap().images.unwrap().digests, ["00"]);
    images["digests"] = json!(["00", "11"]);
    assert!(parse_with("/images", images).unwrap_err().contains("digests"));
}
