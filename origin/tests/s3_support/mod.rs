//! A title on a real S3 server behind the proxy that delays, counts and makes trouble, and the
//! same title in a folder.
#![allow(dead_code, reason = "each test program uses a part")]

#[path = "../../../platform/tests/s3/proxy.rs"]
pub(crate) mod proxy;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use origin::asset::AssetId;
use origin::ingest::{IngestOptions, IngestReport, ProgressSink, ingest, target_duration};
use origin::{Library, OriginError, OriginService};
use platform::config::{Config, Sources};
use platform::objects::{LocalStore, ObjectStore};

use proxy::{Proxy, Trip, round_trips};

const ACCESS_KEY: &str = "test-access";
const SECRET_KEY: &str = "test-secret";
const INDEX_BYTES_MAX: u64 = 64 << 20;
pub(crate) const ID: &str = "film";
pub(crate) const SEGMENT_SECONDS: u32 = 4;

pub(crate) struct Rig {
    server: Child,
    pub(crate) proxy: Arc<Proxy>,
    /// The server's folder, and beside it what else a test writes.
    pub(crate) dir: tempfile::TempDir,
    settings: Vec<(String, String)>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

/// The example program of `platform`, built before or now.
fn server_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let program = test.parent().unwrap().parent().unwrap().join("examples/s3_server");
        if !program.exists() {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let built = Command::new(cargo)
                .args(["build", "--offline", "-p", "platform", "--example", "s3_server"])
                .status();
            assert!(built.unwrap().success());
        }
        program
    })
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("s3/bucket")).unwrap();
        std::fs::create_dir(dir.path().join("tmp")).unwrap();
        let mut server = Command::new(server_program())
            .args([dir.path().join("s3").to_str().unwrap(), ACCESS_KEY, SECRET_KEY])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let proxy = Proxy::start(line.trim().parse().unwrap()).await;
        let endpoint = format!("http://{}", proxy.address);
        let settings = [
            ("objects.url", "s3://bucket/some/prefix"),
            ("objects.s3.endpoint", &endpoint),
            ("objects.s3.path_style", "true"),
            ("objects.s3.access_key", ACCESS_KEY),
            ("objects.s3.secret_key", SECRET_KEY),
            ("objects.s3.retries_max", "1"),
        ]
        .iter()
        .chain(settings)
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
        Self { server, proxy, dir, settings }
    }

    /// A node that has nothing in memory yet.
    pub(crate) fn node(&self) -> Library {
        let sources = Sources { flags: self.settings.clone(), ..Sources::default() };
        let config = Config::load(&sources).unwrap().config;
        let store = ObjectStore::from_config(&config, Path::new("/unused")).unwrap();
        Library::new(store, INDEX_BYTES_MAX).with_temporary(&self.dir.path().join("tmp"))
    }

    /// Where the server keeps the objects of the title.
    pub(crate) fn title_folder(&self) -> PathBuf {
        self.dir.path().join("s3/bucket/some/prefix/assets").join(ID)
    }

    /// What was requested since this was called last.
    pub(crate) fn take_trips(&self) -> Traffic {
        Traffic(std::mem::take(&mut *self.proxy.trips.lock().unwrap()))
    }

    pub(crate) fn temporary_files(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("tmp")).unwrap().count()
    }
}

/// Requests that reached the store.
#[derive(Debug)]
pub(crate) struct Traffic(pub(crate) Vec<Trip>);

impl Traffic {
    pub(crate) fn gets(&self) -> usize {
        self.0.iter().filter(|trip| trip.method == Method::GET).count()
    }

    pub(crate) fn round_trips(&self) -> usize {
        round_trips(&self.0)
    }

    /// `GET v1.samples, HEAD asset.json`.
    pub(crate) fn names(&self) -> String {
        let name = |trip: &Trip| {
            format!("{} {}", trip.method, trip.path.rsplit('/').next().unwrap_or_default())
        };
        self.0.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn report(&self, what: &str, began: Instant) {
        eprintln!(
            "{what}: {} requests ({}), {} round trips, {:?}",
            self.0.len(),
            self.names(),
            self.round_trips(),
            began.elapsed()
        );
    }
}

/// A library in a folder.
pub(crate) fn local_library(folder: &Path) -> Library {
    Library::new(ObjectStore::Local(LocalStore::at(folder).unwrap()), INDEX_BYTES_MAX)
}

pub(crate) fn id() -> AssetId {
    AssetId::new(ID).unwrap()
}

pub(crate) fn options(files: &[PathBuf]) -> IngestOptions {
    IngestOptions {
        files: files.to_vec(),
        id: Some(ID.to_owned()),
        title: Some("Film".to_owned()),
        target: target_duration(SEGMENT_SECONDS),
        replace: false,
        layout: origin::ingest::Layout::Packed,
        now_ms: now_ms(),
    }
}

pub(crate) fn no_progress() -> ProgressSink {
    Arc::new(|_| {})
}

pub(crate) async fn ingested(
    library: &Library,
    files: &[PathBuf],
) -> Result<IngestReport, OriginError> {
    ingest(library, options(files), no_progress()).await
}

pub(crate) fn now_ms() -> u64 {
    1_700_000_000_000
}

/// One request to a node, answered whole; `None` for a body that broke off.
pub(crate) async fn get(library: &Library, path: &str) -> (StatusCode, Option<Bytes>) {
    ask(library, Method::GET, path).await
}

pub(crate) async fn ask(
    library: &Library,
    method: Method,
    path: &str,
) -> (StatusCode, Option<Bytes>) {
    let service = OriginService::new(library.clone(), now_ms);
    let uri = format!("/vod/{ID}/{path}");
    let request = Request::builder().method(method).uri(uri).body(()).unwrap();
    let (parts, body) = service.answer(&request).await.into_parts();
    let body = Response::new(body).into_body().collect().await;
    (parts.status, body.ok().map(|body| body.to_bytes()))
}

pub(crate) async fn get_ok(library: &Library, path: &str) -> Bytes {
    let (status, body) = get(library, path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body:?}");
    body.unwrap()
}

/// `code` of a problem document.
pub(crate) fn code(body: Option<Bytes>) -> String {
    let body = String::from_utf8(body.unwrap().to_vec()).unwrap();
    let (_, rest) = body.split_once("\"code\":\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// Path of segment `number` of a track, below the title.
pub(crate) async fn segment(library: &Library, track: &str, number: u32) -> String {
    let asset = library.asset(&id()).await.unwrap();
    let track = &asset.track(track).unwrap().document;
    let class = packager::presentation::TrackClass::from(track.class);
    format!("fmp4/{}/{}-{}/{number}.m4s", class.as_str(), track.name, track.revision)
}

/// Path of segment `number` of the first video and audio track, multiplexed.
pub(crate) async fn ts_segment(library: &Library, number: u32) -> String {
    let asset = library.asset(&id()).await.unwrap();
    let video = &asset.track("v1").unwrap().document;
    let audio = &asset.track("a1").unwrap().document;
    let class = packager::presentation::TrackClass::from(video.class);
    let (video, audio) = (&video.revision, &audio.revision);
    format!("mpegts/{}/v1_a1-{video}_{audio}/{number}.ts", class.as_str())
}

/// Media of 16 seconds, made once: noise, so that a segment is several blocks long.
pub(crate) struct Media {
    _dir: tempfile::TempDir,
    /// Two renditions, one audio track each of the same sound, muxed.
    pub(crate) ladder: Vec<PathBuf>,
    /// Fragmented, with B-frames and two languages.
    pub(crate) fragmented: PathBuf,
    pub(crate) subtitles: PathBuf,
}

pub(crate) fn media() -> &'static Media {
    static MEDIA: OnceLock<Media> = OnceLock::new();
    MEDIA.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        let video =
            |size: &str| format!("testsrc2=duration=16:rate=25:size={size},noise=alls=40:allf=t");
        let sine = "sine=frequency=441:duration=16:sample_rate=48000";
        let ladder: Vec<_> = [("426x240", "high.mp4"), ("256x144", "low.mp4")]
            .into_iter()
            .map(|(size, name)| {
                let video = video(size);
                let inputs = ["-f", "lavfi", "-i", &video, "-f", "lavfi", "-i", sine];
                let coding = ["-c:v", "libx264", "-preset", "ultrafast", "-qp", "20", "-g", "50"];
                ffmpeg(&[&inputs[..], &coding, &["-c:a", "aac"]].concat(), &file(name));
                file(name)
            })
            .collect();
        let video = video("320x180");
        let inputs = ["-f", "lavfi", "-i", &video, "-f", "lavfi", "-i", sine];
        let coding = ["-c:v", "libx264", "-preset", "fast", "-bf", "3", "-qp", "30", "-g", "50"];
        let sound = ["-map", "0", "-map", "1", "-map", "1", "-c:a", "aac"];
        let languages = ["-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra"];
        let layout = ["-movflags", "frag_keyframe+empty_moov"];
        let fragmented = file("fragmented.mp4");
        ffmpeg(&[&inputs[..], &coding, &sound, &languages, &layout].concat(), &fragmented);
        let subtitles = file("high.en.vtt");
        let cues = "WEBVTT\n\n00:01.000 --> 00:02.500\nHello\n\n00:07.000 --> 00:09.000\nAgain\n";
        std::fs::write(&subtitles, cues).unwrap();
        Media { _dir: dir, ladder, fragmented, subtitles }
    })
}

fn ffmpeg(arguments: &[&str], out: &Path) {
    let made = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-y"])
        .args(arguments)
        .arg(out)
        .status();
    assert!(made.unwrap().success());
}

/// All files below a folder, by their path in it.
pub(crate) fn tree(folder: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&next) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    files.sort();
    files
}
