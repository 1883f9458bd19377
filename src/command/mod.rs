//! The commands, one file each, and what they share.

pub mod assets;
pub mod backup;
pub mod cache;
pub mod config;
pub mod db;
pub mod doctor;
pub mod drain;
pub mod ingest;
pub mod keys;
pub mod ops;
pub mod package;
pub mod probe;
pub mod restore;
pub mod serve;
pub mod sessions;
pub mod sign;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::{Context, bail};
use origin::Library;
use origin::preset::{Addressing, Preset};
use packager::hls::SegmentFormat;
use platform::DataDir;
use platform::DataDirError;
use platform::config::{Config, Loaded, Packaging, Sources};
use platform::objects::ObjectStore;
use platform::url_token::Revocations;
use serde_json::Value;

use crate::admin;
use crate::cli::ConfigArgs;
use crate::clock;
use crate::feed::Feed;
use crate::ownership::Ownership;
use crate::work::{Event, EventSink, Place, Work, run};

/// Reads the configuration that the arguments describe.
pub fn load_config(
    arguments: &ConfigArgs,
    mut flags: Vec<(String, String)>,
) -> anyhow::Result<Loaded> {
    if let Some(data) = &arguments.data {
        flags.push(("data.dir".to_owned(), data.display().to_string()));
    }
    let sources = Sources::gather(arguments.config.as_deref(), flags)?;
    Ok(Config::load(&sources)?)
}

/// Opens the library of a data directory that this process owns.
pub fn open_library(config: &Config, data: &DataDir) -> anyhow::Result<Library> {
    let store = ObjectStore::from_config(config, &data.objects())?;
    let library = Library::new(store, config.cache.index_bytes.get());
    library.set_presets(configured_presets(config));
    Ok(library.with_temporary(&data.temporary()))
}

/// The presets that configuration adds. Loading it has refused what can't be served.
pub fn configured_presets(config: &Config) -> Vec<Preset> {
    let preset = |configured: &platform::config::Preset| Preset {
        name: configured.name.clone().into(),
        format: match configured.packaging {
            Packaging::Cmaf => SegmentFormat::Fmp4,
            Packaging::Ts => SegmentFormat::MpegTs,
        },
        addressing: match configured.addressing {
            platform::config::Addressing::Segments => Addressing::Segments,
            platform::config::Addressing::SingleFile => Addressing::SingleFile,
        },
    };
    config.preset.iter().map(preset).collect()
}

/// Does `work` on the configured data directory: by itself, or through the server that owns it.
///
/// # Errors
/// What the work failed with.
pub async fn do_work(config: &Config, work: Work, shown: EventSink) -> anyhow::Result<Value> {
    let end: Arc<Mutex<Option<Event>>> = Arc::default();
    let kept = end.clone();
    let sink: EventSink = Arc::new(move |event| {
        if !matches!(event, Event::Progress { .. })
            && let Ok(mut kept) = kept.lock()
        {
            *kept = Some(event.clone());
        }
        shown(event);
    });
    match DataDir::open(&config.data.dir) {
        Ok(data) => {
            let (library, feed) = (open_library(config, &data)?, open_feed(&data)?);
            let (path, ownership) = (data.path().to_owned(), Ownership::new());
            run(&Place { library, feed, data: path, ownership }, work, sink).await;
        }
        Err(DataDirError::Owned { path, .. }) => {
            admin::request(&DataDir::admin_socket(&path), &work, &sink).await?;
        }
        Err(error) => return Err(error.into()),
    }
    let end = end.lock().ok().and_then(|mut end| end.take());
    match end {
        Some(Event::Done { result }) => Ok(result),
        Some(Event::Failed { message, .. }) => bail!("{message}"),
        _ => bail!("the work ended without a result"),
    }
}

/// The feed of a data directory that this process owns: what is published lies there until a server
/// tells it.
pub fn open_feed(data: &DataDir) -> anyhow::Result<Feed> {
    let list = Revocations::path_in(data.path());
    let revocations = Revocations::open(&list, clock::now_s())?;
    Feed::open(data.path(), Arc::new(revocations), None, Ownership::new())
}

/// Absolute paths of the files that a user named: the server has another working directory.
pub fn absolute(files: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let absolute = |path: &PathBuf| {
        std::path::absolute(path).with_context(|| format!("cannot find {}", path.display()))
    };
    files.iter().map(absolute).collect()
}
