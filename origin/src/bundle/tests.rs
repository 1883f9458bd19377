use packager::Timescale;
use packager::plan::CutList;

use super::*;
use crate::asset::{Class, Kind, PackedDocument, Role};

fn track(name: &str, index: &[u8]) -> TrackDocument {
    let version = SourceVersion::Etag { len_bytes: 9, etag: "\"m\"".to_owned() };
    TrackDocument {
        name: name.to_owned(),
        kind: Kind::Video,
        class: Class::Hd,
        revision: "0123456789".to_owned(),
        media_file: format!("{name}.samples"),
        packed: Some(PackedDocument { len_bytes: 9, digest: String::new(), version }),
        index_file: format!("{name}.idx"),
        index_digest: blake3::hash(index).to_hex().to_string(),
        language: "und".to_owned(),
        label: String::new(),
        role: Role::Main,
        is_default: true,
        accessibility: Vec::new(),
    }
}

/// A document of two tracks, its bundle, and the version it is of.
fn bundle() -> (AssetDocument, Vec<u8>, SourceVersion) {
    let document = AssetDocument {
        format: AssetDocument::FORMAT,
        id: AssetId::new("film").unwrap(),
        tenant: "default".to_owned(),
        title: "Film".to_owned(),
        created_ms: 1,
        generation: "g".to_owned(),
        duration_ms: 1,
        muxer_output: 1,
        cut_list: CutList { timescale: Timescale::MILLIS, cuts: vec![0] },
        sources: Vec::new(),
        tracks: vec![track("v1", b"first"), track("v2", b"second")],
        images: None,
        poster: None,
        poster_digest: None,
        retired: Vec::new(),
    };
    let files = [("v1.idx", "first"), ("v2.idx", "second")];
    let files = files.map(|(name, text)| (name.to_owned(), Bytes::from_static(text.as_bytes())));
    let version = SourceVersion::Etag { len_bytes: 3, etag: "\"e\"".to_owned() };
    let bytes = serde_json::to_vec(&document).unwrap();
    let bundle = write_bundle(&bytes, &version, &IndexFiles::from(files));
    (document, bundle, version)
}

fn parse(bytes: &[u8]) -> Result<Bundle, String> {
    Bundle::parse(&AssetId::new("film").unwrap(), &Bytes::copy_from_slice(bytes))
}

/// Writes the checksum anew, as somebody would who means harm.
fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let digest = blake3::hash(&bytes[40..]);
    bytes[8..40].copy_from_slice(digest.as_bytes());
    bytes
}

#[test]
fn a_bundle_reads_as_it_was_written() {
    let (document, bytes, version) = bundle();
    let read = parse(&bytes).unwrap();
    assert_eq!((read.document, read.version), (document, version));
    assert_eq!(read.files["v1.idx"], "first");
    assert_eq!(read.files["v2.idx"], "second");
    assert_eq!(bytes, bundle().1, "the same title has the same bundle");
}

#[test]
fn damage_is_refused_wherever_it_is() {
    let (_, bytes, _) = bundle();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        parse(&damaged).unwrap_err();
        parse(&bytes[..at]).unwrap_err();
        // With a checksum that fits nothing may panic, and an index is never another one.
        if let Ok(read) = parse(&resealed(damaged)) {
            assert_eq!(read.files["v1.idx"], "first");
        }
        if at > 44 {
            parse(&resealed(bytes[..at].to_vec())).unwrap_err();
        }
    }
}

#[test]
fn files_are_held_to_the_document() {
    let (_, bytes, _) = bundle();
    let at = bytes.windows(5).position(|window| window == b"first").unwrap();
    let mut other = bytes.clone();
    other[at..at + 5].copy_from_slice(b"fisrt");
    let reason = parse(&resealed(other)).unwrap_err();
    assert!(reason.contains("v1.idx"), "{reason}");
    let foreign = Bundle::parse(&AssetId::new("other").unwrap(), &bytes.into()).unwrap_err();
    assert!(foreign.contains("film"), "{foreign}");
}
