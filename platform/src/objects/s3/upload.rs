//! Copying a file to S3: in one request, or in parts.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStoreExt as _, PutPayload};
use tokio::task::JoinSet;

use super::super::{ObjectError, ObjectKey, ObjectMeta, PutMode};
use super::{S3Store, failure, meta_of};

/// Largest file that goes in one request.
const SINGLE_BYTES_MAX: u64 = 16 << 20;

/// Smallest part, and the number of parts a file is cut into at most (S3 takes 10,000).
const PART_BYTES_MIN: u64 = 8 << 20;
const PARTS_MAX: u64 = 9_000;

/// Parts under way at once; each is held in memory.
const PARTS_AT_ONCE: usize = 4;

impl S3Store {
    /// Copies a file into the store. It appears when its last part has arrived.
    pub async fn put_file(
        &self,
        key: &ObjectKey,
        source: &Path,
    ) -> Result<ObjectMeta, ObjectError> {
        let file = Source::open(source).await?;
        if file.len_bytes <= SINGLE_BYTES_MAX {
            let bytes = file.read(0, file.len_bytes).await?;
            file.check(key).await?;
            return self.put(key, bytes, PutMode::Overwrite).await;
        }
        let upload = self.shared.client.put_multipart(&self.path(key)?).await;
        let mut upload = upload.map_err(|error| failure(key, error))?;
        let outcome = self.upload_parts(key, &file, upload.as_mut()).await;
        let outcome = match outcome {
            Ok(()) => upload.complete().await.map_err(|error| failure(key, error)),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(answer) if answer.e_tag.is_some() => meta_of(key, file.len_bytes, answer.e_tag),
            Ok(_) => self.head(key).await,
            Err(error) => {
                // Parts that stay are billed until the bucket's lifecycle rule removes them.
                if let Err(abort) = upload.abort().await {
                    tracing::warn!(%key, %abort, "cannot abort a failed upload");
                }
                Err(error)
            }
        }
    }

    async fn upload_parts(
        &self,
        key: &ObjectKey,
        file: &Source,
        upload: &mut dyn MultipartUpload,
    ) -> Result<(), ObjectError> {
        let part_bytes = PART_BYTES_MIN.max(file.len_bytes.div_ceil(PARTS_MAX));
        let mut parts = JoinSet::new();
        let mut offset_bytes = 0;
        while offset_bytes < file.len_bytes {
            if PARTS_AT_ONCE <= parts.len() {
                finish_one(key, &mut parts).await?;
            }
            let len_bytes = part_bytes.min(file.len_bytes - offset_bytes);
            let bytes = file.read(offset_bytes, len_bytes).await?;
            let request = self.request().await;
            let part = upload.put_part(PutPayload::from_bytes(bytes));
            parts.spawn(async move {
                let outcome = part.await;
                drop(request);
                outcome
            });
            offset_bytes += len_bytes;
        }
        while !parts.is_empty() {
            finish_one(key, &mut parts).await?;
        }
        file.check(key).await
    }
}

async fn finish_one(
    key: &ObjectKey,
    parts: &mut JoinSet<Result<(), object_store::Error>>,
) -> Result<(), ObjectError> {
    match parts.join_next().await {
        None | Some(Ok(Ok(()))) => Ok(()),
        Some(Ok(Err(error))) => Err(failure(key, error)),
        Some(Err(error)) => {
            Err(ObjectError::Remote { key: key.to_string(), reason: error.to_string() })
        }
    }
}

/// The file that is copied. It must not change meanwhile.
struct Source {
    file: Arc<File>,
    path: String,
    len_bytes: u64,
    modified: Option<std::time::SystemTime>,
}

impl Source {
    async fn open(path: &Path) -> Result<Self, ObjectError> {
        let path = path.to_owned();
        on_disk(move || {
            let open = || {
                let file = File::open(&path)?;
                let metadata = file.metadata()?;
                if !metadata.is_file() {
                    let reason = "it is no regular file";
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
                }
                Ok((file, metadata))
            };
            let (file, metadata) = open().map_err(|error| ObjectError::io("read", &path, error))?;
            Ok(Self {
                file: Arc::new(file),
                path: path.display().to_string(),
                len_bytes: metadata.len(),
                modified: metadata.modified().ok(),
            })
        })
        .await
    }

    async fn read(&self, offset_bytes: u64, len_bytes: u64) -> Result<Bytes, ObjectError> {
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        on_disk(move || {
            let mut bytes = vec![0; usize::try_from(len_bytes).unwrap_or(usize::MAX)];
            file.read_exact_at(&mut bytes, offset_bytes)
                .map_err(|error| ObjectError::io("read", Path::new(&path), error))?;
            Ok(Bytes::from(bytes))
        })
        .await
    }

    async fn check(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        let (file, path) = (Arc::clone(&self.file), self.path.clone());
        let metadata = on_disk(move || {
            file.metadata().map_err(|error| ObjectError::io("look at", Path::new(&path), error))
        })
        .await?;
        if metadata.len() == self.len_bytes && metadata.modified().ok() == self.modified {
            return Ok(());
        }
        let reason = format!("{} changed while it was copied", self.path);
        Err(ObjectError::Changed { key: key.clone(), reason })
    }
}

async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ObjectError> + Send + 'static,
) -> Result<T, ObjectError> {
    super::super::blocking(work).await
}
