//! What can go wrong at the origin, whose fault it is, and what a client is told.

use std::sync::Arc;

use http::StatusCode;
use packager::PackageError;
use platform::objects::ObjectError;

use crate::asset::AssetId;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    #[error(
        "`{id}` can't name a title: use 1 to 128 letters, digits, `-`, `_` or `.`, beginning with \
         a letter or digit"
    )]
    InvalidAssetId { id: String },

    #[error("there is no title `{asset}`")]
    UnknownAsset { asset: AssetId },

    #[error("there is no such resource: {reason}")]
    NotFound { reason: String },

    #[error("this revision was replaced more than seven days ago")]
    Gone,

    /// Not to be remembered: the node may learn of the revision in a moment.
    #[error("this node doesn't know the revision")]
    UnknownRevision,

    #[error("{what} is not built yet")]
    NotBuilt { what: String },

    #[error("`{parameter}`: {reason}")]
    InvalidQuery { parameter: &'static str, reason: String },

    #[error("title `{asset}` is damaged: {reason}")]
    CorruptAsset { asset: AssetId, reason: String },

    #[error("a file of title `{asset}` changed after it was ingested: {reason}; ingest it again")]
    SourceChanged { asset: AssetId, reason: String },

    #[error("{file}: {source}")]
    Unreadable { file: String, source: PackageError },

    #[error(transparent)]
    Package(#[from] PackageError),

    #[error(transparent)]
    Object(#[from] ObjectError),

    #[error("{path}: {source}")]
    Io { path: String, source: std::io::Error },

    #[error("{reason}")]
    Refused { reason: String },

    /// An error that several requests waited for.
    #[error(transparent)]
    Shared(Arc<Self>),
}

impl OriginError {
    /// The same failure, met while a title was served: whoever ingested it is told what happened
    /// to its files since.
    pub fn while_serving(self, asset: &AssetId) -> Self {
        match self {
            // Ingest accepted the title: what the packager refuses now was damaged since.
            Self::Package(error) => {
                Self::CorruptAsset { asset: asset.clone(), reason: error.to_string() }
            }
            Self::Object(error @ ObjectError::Changed { .. }) => {
                Self::SourceChanged { asset: asset.clone(), reason: error.to_string() }
            }
            other => other,
        }
    }

    /// Status and stable code of a problem document (RFC 9457).
    pub fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::UnknownAsset { .. } => (StatusCode::NOT_FOUND, "unknown_title"),
            Self::InvalidAssetId { .. } => (StatusCode::NOT_FOUND, "unknown_title"),
            Self::NotFound { .. } => (StatusCode::NOT_FOUND, "not_found"),
            Self::UnknownRevision => (StatusCode::NOT_FOUND, "unknown_revision"),
            Self::NotBuilt { .. } => (StatusCode::NOT_IMPLEMENTED, "not_built"),
            Self::Gone => (StatusCode::GONE, "revision_gone"),
            Self::InvalidQuery { .. } => (StatusCode::BAD_REQUEST, "invalid_parameter"),
            Self::SourceChanged { .. } => (StatusCode::SERVICE_UNAVAILABLE, "source_changed"),
            Self::CorruptAsset { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "damaged_title"),
            Self::Object(ObjectError::Changed { .. }) => {
                (StatusCode::SERVICE_UNAVAILABLE, "source_changed")
            }
            Self::Object(_) => (StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable"),
            Self::Refused { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "refused"),
            Self::Unreadable { .. } | Self::Package(_) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "unreadable_media")
            }
            Self::Io { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
            Self::Shared(error) => error.status(),
        }
    }
}
