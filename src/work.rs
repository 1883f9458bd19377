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

use crate::clock;
use crate::feed::Feed;

/// Longer than an origin serves a title that is no longer in the store (two seconds), and than it
/// takes to answer what was asked meanwhile.
const NOTICED_EVERYWHERE: Duration = Duration::from_secs(5);

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
/// `feed`.
pub async fn run(library: &Library, feed: &Feed, work: Work, sink: EventSink) {
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
        Work::Verify { id } => {
            let id = id.as_deref().map(AssetId::new).transpose()?;
            let now_ms = clock::now_ms();
            let reports = maintenance::verify_and_sweep(library, id.as_ref(), now_ms).await?;
            Ok(to_value(&reports))
        }
    }
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
