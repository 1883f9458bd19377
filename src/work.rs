//! What commands do to a data directory, by themselves or through the server that owns it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use origin::asset::AssetId;
use origin::ingest::{IngestOptions, Layout, Progress, ingest, reindex, target_duration};
use origin::{Library, OriginError, maintenance};
use platform::feed::{Fact, PurgeScope};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::backup::{self, Staged};
use crate::clock;
use crate::feed::Feed;
use crate::ownership::Ownership;

/// Longer than an origin serves a title that is no longer in the store (two seconds), and than it
/// takes to answer what was asked meanwhile.
const NOTICED_EVERYWHERE: Duration = Duration::from_secs(5);

/// How long a backup is kept for a command that hasn't taken it over, and how often the server
/// looks whether the command is done with it.
const STAGED_AT_LEAST: Duration = Duration::from_secs(10);
const STAGED_ASKED_EVERY: Duration = Duration::from_secs(2);

/// One piece of work.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "work", rename_all = "snake_case", deny_unknown_fields)]
pub enum Work {
    Ingest {
        /// Absolute paths.
        files: Vec<PathBuf>,
        id: Option<String>,
        title: Option<String>,
        target_duration_seconds: u32,
        replace: bool,
        layout: Layout,
    },
    List,
    Show {
        id: String,
    },
    /// All titles when there is no identifier.
    Reindex {
        id: Option<String>,
    },
    Remove {
        id: String,
    },
    Verify {
        id: Option<String>,
    },
    /// Puts together what goes into a backup; the answer says where.
    Stage,
}

/// What work is done on.
#[derive(Clone)]
pub struct Place {
    pub library: Library,
    pub feed: Feed,
    /// The data directory.
    pub data: PathBuf,
    pub ownership: Ownership,
}

/// What is told while work goes on, and at its end.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Progress { phase: String, done_bytes: u64, total_bytes: u64 },
    Done { result: Value },
    Failed { code: String, message: String },
}

/// Called with each event, from any thread.
pub type EventSink = Arc<dyn Fn(Event) + Send + Sync>;

/// Does the work and tells `sink` of it, the end included. What edges have to know of it goes into
/// the feed.
pub async fn run(place: &Place, work: Work, sink: EventSink) {
    let Place { library, feed, .. } = place;
    if matches!(work, Work::Stage) {
        let end = match stage(place).await {
            Ok(staged) => Event::Done { result: to_value(&staged) },
            Err(error) => {
                Event::Failed { code: "backup_failed".to_owned(), message: format!("{error:#}") }
            }
        };
        return sink(end);
    }
    let removed = match &work {
        Work::Remove { id } => Some(id.clone()),
        _ => None,
    };
    let event = match perform(library, work, &sink).await {
        Ok(result) => {
            if let Some(id) = removed {
                take_down(feed, id).await;
            }
            Event::Done { result }
        }
        Err(error) => {
            let (_, code) = error.status();
            Event::Failed { code: code.to_owned(), message: error.to_string() }
        }
    };
    sink(event);
}

/// Has every edge that follows forget a title: now, and again when the last origin over the same
/// store has noticed that it is gone, since until then an edge may have filled itself anew.
async fn take_down(feed: &Feed, id: String) {
    let fact = Fact::CachePurged { scope: PurgeScope::Tag(id), is_soft: false };
    feed.publish_later(fact.clone(), NOTICED_EVERYWHERE);
    match feed.publish(vec![fact]).await {
        Ok(taken) if taken.refused.is_empty() => {}
        Ok(taken) => tracing::error!(refused = ?taken.refused, "edges were not told of a removal"),
        Err(error) => tracing::error!(%error, "edges were not told of a removal"),
    }
}

async fn perform(library: &Library, work: Work, sink: &EventSink) -> Result<Value, OriginError> {
    match work {
        Work::Ingest { files, id, title, target_duration_seconds, replace, layout } => {
            let options = IngestOptions {
                files,
                id,
                title,
                target: target_duration(target_duration_seconds),
                replace,
                layout,
                now_ms: clock::now_ms(),
            };
            let sink = sink.clone();
            let progress = move |progress: Progress| sink(progress_event(progress));
            let report = ingest(library, options, Arc::new(progress)).await?;
            Ok(to_value(&report))
        }
        Work::List => {
            let documents = library.documents().await?;
            let titles = documents.iter().map(|document| {
                json!({
                    "id": document.id.as_str(),
                    "title": document.title,
                    "duration_seconds": document.duration_ms as f64 / 1_000.0,
                    "tracks": document.tracks.len(),
                    "created_ms": document.created_ms,
                    "bytes": document.sources.iter().map(|source| source.len_bytes).sum::<u64>(),
                })
            });
            Ok(Value::Array(titles.collect()))
        }
        Work::Show { id } => Ok(to_value(&maintenance::show(library, &AssetId::new(&id)?).await?)),
        Work::Reindex { id } => {
            let mut reports = Vec::new();
            for id in &chosen(library, id).await? {
                reports.push(to_value(&reindex(library, id).await?));
            }
            Ok(Value::Array(reports))
        }
        Work::Remove { id } => {
            maintenance::remove(library, &AssetId::new(&id)?, clock::now_ms()).await?;
            Ok(json!({ "removed": id }))
        }
        // Done by itself: it needs more than titles.
        Work::Stage => Ok(Value::Null),
        Work::Verify { id } => {
            let id = id.as_deref().map(AssetId::new).transpose()?;
            let now_ms = clock::now_ms();
            let reports = maintenance::verify_and_sweep(library, id.as_ref(), now_ms).await?;
            Ok(to_value(&reports))
        }
    }
}

/// Stages a backup, and keeps it until the command has taken it over and is done with it.
async fn stage(place: &Place) -> anyhow::Result<Staged> {
    let Some(pause) = place.ownership.pause().await else {
        anyhow::bail!("another server has taken over; try again");
    };
    let (data, objects) = (place.data.clone(), place.library.store().folder());
    let staging =
        tokio::task::spawn_blocking(move || backup::stage::stage(&data, objects.as_deref(), pause));
    let (staging, staged) = staging.await??;
    tracing::info!(paused_ms = staged.paused_ms, "staged a backup");
    let mut staging = staging;
    tokio::spawn(async move {
        tokio::time::sleep(STAGED_AT_LEAST).await;
        loop {
            // The command is done with it, or was killed.
            let asked = tokio::task::spawn_blocking(move || (staging.has_ended(), staging)).await;
            match asked {
                Ok((false, kept)) => staging = kept,
                _ => return,
            }
            tokio::time::sleep(STAGED_ASKED_EVERY).await;
        }
    });
    Ok(staged)
}

/// The title that was named, or all.
async fn chosen(library: &Library, id: Option<String>) -> Result<Vec<AssetId>, OriginError> {
    Ok(match id {
        Some(id) => vec![AssetId::new(&id)?],
        None => library.documents().await?.into_iter().map(|title| title.id).collect(),
    })
}

/// Progress as an event.
pub fn progress_event(progress: Progress) -> Event {
    let phase = to_value(&progress.phase);
    Event::Progress {
        phase: phase.as_str().unwrap_or_default().to_owned(),
        done_bytes: progress.done_bytes,
        total_bytes: progress.total_bytes,
    }
}

fn to_value(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("reports are plain data with string keys")
}
