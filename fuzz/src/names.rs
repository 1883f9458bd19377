//! Names, documents and configuration.

use std::path::PathBuf;

use origin::asset::{AssetDocument, AssetId};
use packager::uri::ResourceName;
use platform::config::{Config, SourceFile, Sources};
use platform::objects::ObjectKey;

/// URL paths: a name that is accepted is written as it was read.
pub fn resource_name(data: &[u8]) {
    let Ok(path) = std::str::from_utf8(data) else {
        return;
    };
    if let Some(name) = ResourceName::parse(path) {
        assert_eq!(name.to_string(), path);
        assert!(path.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\\"<>%?#".contains(&byte)));
        assert!(!path.split('/').any(|part| part.is_empty() || part.starts_with('.')));
    }
}

/// Keys of objects: none leaves its folder.
pub fn object_key(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(key) = text.parse::<ObjectKey>() {
        assert_eq!(key.as_str(), text);
        let path = PathBuf::from(text);
        assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
    }
    if let Ok(id) = AssetId::new(text) {
        let key = id.key("asset.json").expect("a title's name is part of keys");
        assert_eq!(key.as_str().split('/').count(), 3);
    }
    assert!(AssetId::new(AssetId::from_name(text).as_str()).is_ok());
}

/// Documents of titles: one that is accepted can be written and read again, and names files of its
/// own folder alone.
pub fn asset_document(data: &[u8]) {
    let id = AssetId::new("film").expect("a good name");
    let Ok(document) = AssetDocument::parse(&id, data) else {
        return;
    };
    let folder = format!("assets/film/{}/", document.generation);
    let files = document.tracks.iter().flat_map(|track| [&track.media_file, &track.index_file]);
    for file in files.filter(|file| !file.is_empty()) {
        let key = document.key(file).expect("files have good names");
        assert_eq!(key.as_str(), format!("{folder}{file}"));
        assert!(!file.contains('/'));
    }
    assert!(document.cut_list.cuts.windows(2).all(|pair| pair[0] < pair[1]));
}

/// Configuration files: a byte for the format, then the text.
pub fn config(data: &[u8]) {
    let Some((format, text)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    // Files that secrets name would be read.
    if text.contains("file:") {
        return;
    }
    let path = PathBuf::from(if format % 2 == 0 { "c.toml" } else { "c.yaml" });
    let file = Some(SourceFile { path, text: text.to_owned() });
    let sources = Sources { file, ..Sources::default() };
    match Config::load(&sources) {
        Ok(loaded) => drop(loaded.print()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
