//! Thumbnails and poster into the store.

use bytes::Bytes;

use super::prepare::{Prepared, ThumbnailFiles};
use super::publish::Job;
use crate::OriginError;
use crate::asset::ImagesDocument;

impl Job {
    pub(crate) async fn put_thumbnails(
        &self,
        thumbnails: Option<&ThumbnailFiles>,
    ) -> Result<Option<ImagesDocument>, OriginError> {
        let Some(ThumbnailFiles { grid, files: paths, extension }) = thumbnails else {
            return Ok(None);
        };
        let mut hasher = blake3::Hasher::new();
        let mut files = Vec::with_capacity(paths.len());
        let mut digests = Vec::with_capacity(paths.len());
        let mut file_bytes_max = 0;
        for (index, path) in paths.iter().enumerate() {
            let bytes = read_picture(path).await?;
            hasher.update(&bytes);
            digests.push(blake3::hash(&bytes).to_hex().to_string());
            file_bytes_max = file_bytes_max.max(bytes.len() as u64);
            let file = format!("sprite-{}.{}", index + 1, extension);
            self.put(&file, bytes).await?;
            files.push(file);
        }
        Ok(Some(ImagesDocument {
            name: "i1".to_owned(),
            revision: hasher.finalize().to_hex()[..10].to_owned(),
            tile_width: grid.tile_width,
            tile_height: grid.tile_height,
            columns: grid.columns,
            rows: grid.rows,
            tile_duration_ms: grid.tile_duration_ms,
            tile_count: grid.tile_count,
            extension: (*extension).to_owned(),
            files,
            digests,
            file_bytes_max,
        }))
    }

    /// Stores the poster; gives its name and digest.
    pub(crate) async fn put_poster(
        &self,
        prepared: &Prepared,
    ) -> Result<Option<(String, String)>, OriginError> {
        let Some(path) = &prepared.poster else {
            return Ok(None);
        };
        let bytes = read_picture(path).await?;
        let digest = blake3::hash(&bytes).to_hex().to_string();
        self.put("poster.jpg", bytes).await?;
        Ok(Some(("poster.jpg".to_owned(), digest)))
    }
}

/// Largest picture that is taken.
const PICTURE_BYTES_MAX: u64 = 64 << 20;

async fn read_picture(path: &std::path::Path) -> Result<Bytes, OriginError> {
    let io = |source| OriginError::Io { path: path.display().to_string(), source };
    let len = tokio::fs::metadata(path).await.map_err(io)?.len();
    if len > PICTURE_BYTES_MAX {
        let reason = format!("{} has {len} bytes, too many for a picture", path.display());
        return Err(OriginError::Refused { reason });
    }
    Ok(tokio::fs::read(path).await.map_err(io)?.into())
}
