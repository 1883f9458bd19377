//! What commands do to a data directory, by themselves or through the server that owns it.

use std::path::PathBuf;
use std::sync::Arc;

use origin::asset::AssetId;
use origin::ingest::{IngestOptions, Layout, Progress, ingest, reindex, target_duration};
use origin::{Library, OriginError, maintenance};
use platform::url_token::{Revocations, RevokeError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock;

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
    /// Ends the tokens of sessions.
    Revoke {
        sessions: Vec<String>,
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

/// Does the work and tells `sink` of it, the end included.
pub async fn run(library: &Library, revocations: &Revocations, work: Work, sink: EventSink) {
    let event = match work {
        Work::Revoke { sessions } => match revoke(revocations, &sessions) {
            Ok(()) => Event::Done { result: json!({ "revoked": sessions }) },
            Err(error) => {
                Event::Failed { code: "not_revoked".to_owned(), message: error.to_string() }
            }
        },
        work => match perform(library, work, &sink).await {
            Ok(result) => Event::Done { result },
            Err(error) => {
                let (_, code) = error.status();
                Event::Failed { code: code.to_owned(), message: error.to_string() }
            }
        },
    };
    sink(event);
}

fn revoke(revocations: &Revocations, sessions: &[String]) -> Result<(), RevokeError> {
    sessions.iter().try_for_each(|session| revocations.revoke(session, clock::now_s()))
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
        Work::Revoke { .. } => unreachable!("it needs no library"),
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
