//! The end of an ingest: one put that makes a title, or nothing left of it.

use bytes::Bytes;
use platform::objects::{ObjectError, PutMode, SourceVersion};

use super::publish::Job;
use crate::OriginError;
use crate::asset::AssetDocument;
use crate::bundle::{BUNDLE_BYTES_MAX, bundle_key, fetch_files, write_bundle};
use crate::library::Library;
use crate::sweep::{remove, remove_unless_named};

impl Job {
    /// The last step. A new title appears only if nobody else made one of that name meanwhile, and
    /// an old one is replaced only if it is still the one that was read.
    pub(super) async fn put_document(&self, document: &AssetDocument) -> Result<(), OriginError> {
        let bytes = serde_json::to_vec_pretty(document)
            .map_err(|error| OriginError::Refused { reason: error.to_string() })?;
        let bytes = Bytes::from(bytes);
        self.put("asset.json", bytes.clone()).await?;
        // Whoever holds the claim now may be removing what the document names.
        self.claim.confirm().await.map_err(|error| match error {
            ObjectError::Changed { .. } => {
                let reason = "the ingest gave no sign of life for so long that its files were \
                              swept up; ingest again";
                OriginError::Refused { reason: reason.to_owned() }
            }
            error => error.into(),
        })?;
        let key = self.id.key("asset.json")?;
        let put = match &self.previous {
            None => self.store.put(&key, bytes.clone(), PutMode::IfAbsent).await,
            Some((_, read)) => self.store.replace(&key, bytes.clone(), read).await,
        };
        let meta = match put {
            Err(ObjectError::Exists { .. }) => {
                return Err(self.too_late("made", "replace it with --replace, or choose another"));
            }
            Err(ObjectError::Changed { .. } | ObjectError::NotFound { .. }) => {
                return Err(
                    self.too_late("changed", "look at it and ingest again, or choose another")
                );
            }
            result => result?,
        };
        if self.store.is_remote()
            && let Err(error) = self.put_bundle(document, &bytes, &meta.version).await
        {
            // The title is there, and is opened from its files.
            tracing::warn!(id = %self.id, %error, "could not store the bundle of a title");
        }
        Ok(())
    }

    /// The answer to whoever comes second.
    fn too_late(&self, happened: &str, cure: &str) -> OriginError {
        let id = &self.id;
        let reason = format!("title `{id}` was {happened} by somebody else meanwhile; {cure} --id");
        OriginError::Refused { reason }
    }

    async fn put_bundle(
        &self,
        document: &AssetDocument,
        document_bytes: &[u8],
        version: &SourceVersion,
    ) -> Result<(), OriginError> {
        let files = fetch_files(&self.store, document).await?;
        let bundle = write_bundle(document_bytes, version, &files);
        if bundle.len() as u64 > BUNDLE_BYTES_MAX {
            return Ok(());
        }
        let key = bundle_key(&self.id)?;
        Ok(self.store.put(&key, bundle.into(), PutMode::Overwrite).await.map(drop)?)
    }

    /// Removes what a failed ingest wrote, and lets go of the folder.
    pub(super) async fn finish(self, library: &Library, failure: Option<&OriginError>) {
        let Self { id, generation, claim, .. } = self;
        let removed = match failure {
            None => Ok(false),
            // A store that went away may have taken the document before it did.
            Some(OriginError::Object(error)) if error.is_transient() => {
                remove_unless_named(library, &id, &generation).await
            }
            Some(_) => remove(library, &id, &generation).await,
        };
        if let Err(error) = removed {
            // Its claim stays, so that it is swept up later.
            tracing::warn!(%id, generation, %error, "could not remove what a failed ingest left");
            return;
        }
        if let Err(error) = claim.release().await {
            tracing::warn!(%id, generation, %error, "could not release the claim of an ingest");
        }
    }
}
