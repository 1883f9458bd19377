//! The pages: one plays every title, shown by a server that runs open; one is for accounts, shown
//! by the control listener.

use bytes::Bytes;
use http::HeaderValue;
use http::header;
use origin::asset::AssetDocument;
use origin::{Caching, Entity, Library, OriginError};
use serde::Serialize;

/// Files of the page by path; empty where the page was not bundled.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/page_files.rs"));

const MISSING: &str = "<!doctype html><meta charset=utf-8><title>StreamVerse</title>\
<p>This binary was built without the player page. Bundle it with <code>make web</code> and build \
again; titles are listed at <a href=/titles.json>/titles.json</a>.";

/// `blob:` is the media source and a player's worker, `data:` an empty text track that both
/// players add.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
img-src 'self' data:; media-src 'self' blob: data:; connect-src 'self'; worker-src blob:; \
base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The page's file at `path`, if it has one there.
pub fn file(path: &str) -> Option<Entity> {
    let name = match path {
        "/" => "index.html",
        _ => path.strip_prefix('/').filter(|name| name.starts_with("page/"))?,
    };
    let found = FILES.iter().find(|(file, _)| *file == name);
    let bytes = match found {
        Some((_, bytes)) => Bytes::from_static(bytes),
        None if path == "/" => Bytes::from_static(MISSING.as_bytes()),
        None => return None,
    };
    let caching = if path == "/" { Caching::NoStore } else { Caching::Immutable };
    Some(entity(content_type(name), caching, bytes))
}

/// Addresses of the account page, which all are one document; its script shows what is asked for.
const ACCOUNT_VIEWS: [&str; 8] = [
    "/",
    "/register",
    "/verify",
    "/forgot-password",
    "/reset-password",
    "/confirm-email",
    "/profiles",
    "/security",
];

const ACCOUNT_MISSING: &str = "<!doctype html><meta charset=utf-8><title>StreamVerse</title>\
<p>This binary was built without the account page. Bundle it with <code>make web</code> and build \
again; the API is described at <a href=/docs>/docs</a>.";

/// The account page, for the gateway.
pub fn account_files() -> Vec<gateway::PageFile> {
    let ours = |(name, bytes): &(&'static str, &'static [u8])| {
        Some((name.strip_prefix("account")?, *bytes))
    };
    let ours: Vec<_> = FILES.iter().filter_map(ours).collect();
    let index = ours.iter().find(|(path, _)| *path == "/index.html").map(|(_, bytes)| *bytes);
    let views = ACCOUNT_VIEWS.map(|path| gateway::PageFile {
        path,
        media_type: content_type("index.html"),
        is_immutable: false,
        bytes: index.unwrap_or(ACCOUNT_MISSING.as_bytes()),
    });
    let files = ours.into_iter().filter(|(path, _)| path.starts_with("/page/"));
    let files = files.map(|(path, bytes)| gateway::PageFile {
        path,
        media_type: content_type(path),
        is_immutable: true,
        bytes,
    });
    views.into_iter().chain(files).collect()
}

/// Headers that keep the page to its own files.
pub fn protect(headers: &mut http::HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// `/titles.json`: what the page lists.
pub async fn titles(library: &Library) -> Result<Entity, OriginError> {
    let mut titles = Vec::new();
    for document in library.documents().await? {
        titles.push(title(library, document).await);
    }
    let json = serde_json::to_vec(&titles)
        .map_err(|error| OriginError::Refused { reason: error.to_string() })?;
    Ok(entity("application/json", Caching::NoStore, json.into()))
}

#[derive(Serialize)]
struct Title {
    id: String,
    title: String,
    duration_seconds: f64,
    poster: Option<String>,
    thumbnails: Option<String>,
    hls: Option<String>,
    dash: Option<String>,
    ts: Option<String>,
    tracks: Vec<TitleTrack>,
}

#[derive(Serialize)]
struct TitleTrack {
    name: String,
    kind: &'static str,
    codecs: String,
    language: Option<String>,
    width: Option<u16>,
    height: Option<u16>,
    bitrate: u64,
}

async fn title(library: &Library, document: AssetDocument) -> Title {
    let path = |rest: &str| format!("/vod/{}/{rest}", document.id);
    let mut title = Title {
        id: document.id.to_string(),
        title: document.title.clone(),
        duration_seconds: document.duration_ms as f64 / 1_000.0,
        poster: document.poster.as_ref().map(|_| path("poster.jpg")),
        thumbnails: document.images.as_ref().map(|_| path("thumbnails.vtt")),
        hls: Some(path("cmaf/master.m3u8")),
        dash: Some(path("cmaf/manifest.mpd")),
        ts: None,
        tracks: Vec::new(),
    };
    // A damaged title stays in the list; playing it tells what is wrong.
    let Ok(asset) = library.asset(&document.id).await else {
        return title;
    };
    let mut fits_ts = false;
    for track in &asset.tracks {
        let report = origin::ingest::TrackReport::new(
            &track.document.name,
            &track.document.label,
            &track.index.info,
            Some(&track.index),
            0,
        );
        fits_ts |= report.kind != "text" && track.index.facts.fits_ts;
        title.tracks.push(TitleTrack {
            name: report.name,
            kind: report.kind,
            codecs: report.codecs,
            language: Some(report.language).filter(|language| language != "und"),
            width: report.width,
            height: report.height,
            bitrate: report.average_bitrate,
        });
    }
    title.ts = fits_ts.then(|| path("ts/master.m3u8"));
    title
}

fn entity(content_type: &'static str, caching: Caching, bytes: Bytes) -> Entity {
    let etag = blake3::hash(&bytes).to_hex()[..16].to_owned();
    Entity { content_type, etag, caching, asset: None, source: Box::new(bytes) }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "txt" => "text/plain; charset=utf-8",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}
