//! What goes on beside the listeners: sweeping, the cache, certificates.

use std::time::Duration;

use origin::Library;
use origin::sweep::sweep;
use platform::DataDir;
use platform::config::Config;
use platform::tls::{Acme, Tls};
use tokio::task::JoinSet;

use crate::backend::Backend;
use crate::clock;
use crate::front::Front;
use crate::ownership::Ownership;

/// As long as it takes until a claim on S3 counts as left behind.
const SWEEP_EVERY: Duration = Duration::from_secs(60 * 60);
/// How often the files of certificates are looked at.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(10);

/// Tasks that end together.
pub(super) struct Upkeep(JoinSet<()>);

impl Upkeep {
    pub(super) fn start(
        config: &Config,
        data: &DataDir,
        ownership: &Ownership,
        library: Library,
        backend: Backend,
        front: Front,
        tls: Option<Tls>,
    ) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(sweep_now_and_then(library, ownership.clone()));
        tasks.spawn(async move {
            tokio::join!(backend.maintain(), front.maintain());
        });
        if let Some(tls) = tls {
            if let Some(acme) = Acme::new(&config.tls.acme, data.path(), &tls) {
                tasks.spawn(acme.run());
            }
            tasks.spawn(watch_certificates(tls, ownership.clone()));
        }
        Self(tasks)
    }

    /// A sweep can end anywhere: the next one goes on.
    pub(super) fn stop(mut self) {
        self.0.abort_all();
    }
}

/// Removes what crashed ingests left: at once, and again while others may crash.
async fn sweep_now_and_then(library: Library, ownership: Ownership) {
    // Another process sweeps when it has taken over.
    while let Some(turn) = ownership.long_turn().await {
        if let Err(error) = sweep(&library, None, clock::now_ms()).await {
            tracing::warn!(%error, "could not look for what crashed ingests left");
        }
        drop(turn);
        tokio::time::sleep(SWEEP_EVERY).await;
    }
}

pub(super) fn open_tls(
    config: &Config,
    data: &DataDir,
    plays_media: bool,
    plays_control: bool,
) -> anyhow::Result<Option<Tls>> {
    let control = &config.control;
    let for_media = plays_media && config.media.https.address().is_some();
    let for_grpc = control.grpc_tls && control.grpc.address().is_some();
    let for_control = plays_control && (for_grpc || control.https.address().is_some());
    if !for_media && !for_control {
        return Ok(None);
    }
    let tls = Tls::open(&config.tls, data.path())?;
    if tls.is_for_development() {
        tracing::warn!(
            "there is no certificate yet: https presents a self-signed one for localhost"
        );
    }
    Ok(Some(tls))
}

/// Adopts certificates that were replaced, and renews that for development.
async fn watch_certificates(tls: Tls, ownership: Ownership) {
    loop {
        tokio::time::sleep(CERTIFICATES_EVERY).await;
        // A certificate for development is written to the data directory.
        let Some(_turn) = ownership.turn().await else { return };
        let tls = tls.clone();
        match tokio::task::spawn_blocking(move || tls.reload_if_changed()).await {
            Ok(Ok(true)) => tracing::info!("certificates were read again"),
            Ok(Err(error)) => tracing::error!(%error, "the certificates were not changed"),
            Ok(Ok(false)) | Err(_) => {}
        }
    }
}
