//! Objects on S3, or on what speaks its protocol.
//!
//! Ranged reads go by a block cache in memory that all readers share: concurrent reads of a block
//! cost one GET, and neighbouring missing blocks come in one. Each GET carries the entity tag that
//! was recorded (`If-Match`, RFC 9110 13.1.1), and the answer's tag is compared as well, since not
//! every store honours the condition.

mod block_cache;
mod claim;
mod reader;
mod run;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, ObjectStore as _, ObjectStoreExt as _, PutOptions,
    PutPayload, RetryConfig, UpdateVersion,
};
use tokio::sync::Semaphore;

use super::{
    ObjectEntry, ObjectError, ObjectKey, ObjectMeta, ObjectMetrics, PutMode, SourceVersion,
};
use crate::config;
use block_cache::BlockCache;

pub use claim::S3Claim;
pub use reader::S3Reader;

/// Time to a TCP and TLS connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Pauses before retries: from the first, doubled on average, to the longest.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_LONGEST: Duration = Duration::from_secs(5);

/// How to reach a bucket.
#[derive(Clone, Debug)]
pub struct S3Settings {
    pub bucket: String,
    /// Keys lie below this, without slashes at its ends; may be empty.
    pub prefix: String,
    pub connection: config::S3,
    /// Memory of the block cache.
    pub blocks_bytes: u64,
}

/// A bucket, or a folder of one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct S3Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    client: AmazonS3,
    prefix: String,
    requests: Arc<Semaphore>,
    metrics: ObjectMetrics,
    blocks: BlockCache,
}

impl S3Store {
    /// Prepares a client. Nothing is requested yet.
    pub fn new(settings: &S3Settings) -> Result<Self, ObjectError> {
        let client = client(settings).map_err(|error| ObjectError::Remote {
            key: format!("s3://{}", settings.bucket),
            reason: chain(&error),
        })?;
        let metrics = ObjectMetrics::default();
        Ok(Self {
            shared: Arc::new(Shared {
                client,
                prefix: settings.prefix.clone(),
                requests: Arc::new(Semaphore::new(settings.connection.requests_max as usize)),
                blocks: BlockCache::new(settings.blocks_bytes, metrics.clone()),
                metrics,
            }),
        })
    }

    /// The whole object and its version, in one request.
    pub async fn get_versioned(
        &self,
        key: &ObjectKey,
        max_bytes: u64,
    ) -> Result<(Bytes, ObjectMeta), ObjectError> {
        let fail = |error| failure(key, error);
        let path = self.path(key)?;
        let _request = self.request().await;
        self.shared.metrics.remote_gets.inc();
        let answer = self.shared.client.get_opts(&path, GetOptions::default()).await;
        let answer = answer.map_err(fail)?;
        let len_bytes = answer.meta.size;
        let too_large =
            |len_bytes| ObjectError::TooLarge { key: key.clone(), len_bytes, max_bytes };
        if max_bytes < len_bytes {
            return Err(too_large(len_bytes));
        }
        let etag = answer.meta.e_tag.clone();
        let mut bytes = BytesMut::with_capacity(usize::try_from(len_bytes).unwrap_or(0));
        let mut body = answer.into_stream();
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(fail)?;
            self.shared.metrics.remote_bytes.inc_by(piece.len() as u64);
            bytes.extend_from_slice(&piece);
            if max_bytes < bytes.len() as u64 {
                return Err(too_large(bytes.len() as u64));
            }
        }
        Ok((bytes.freeze(), meta_of(key, len_bytes, etag)?))
    }

    pub async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, ObjectError> {
        let path = self.path(key)?;
        let _request = self.request().await;
        let meta = self.shared.client.head(&path).await.map_err(|error| failure(key, error))?;
        meta_of(key, meta.size, meta.e_tag)
    }

    pub async fn open(
        &self,
        key: &ObjectKey,
        recorded: Option<&SourceVersion>,
    ) -> Result<S3Reader, ObjectError> {
        let meta = match recorded {
            None => self.head(key).await?,
            Some(version @ SourceVersion::Etag { len_bytes, .. }) => {
                ObjectMeta { len_bytes: *len_bytes, version: version.clone() }
            }
            Some(SourceVersion::File { .. }) => {
                let reason = "it was recorded in another kind of store".to_owned();
                return Err(ObjectError::Changed { key: key.clone(), reason });
            }
        };
        S3Reader::new(self.clone(), key.clone(), meta)
    }

    pub async fn put(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<ObjectMeta, ObjectError> {
        let mode = match mode {
            PutMode::Overwrite => object_store::PutMode::Overwrite,
            PutMode::IfAbsent => object_store::PutMode::Create,
        };
        self.put_as(key, bytes, mode).await
    }

    /// Writes over the version that was read, or nothing.
    pub async fn replace(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        read: &SourceVersion,
    ) -> Result<ObjectMeta, ObjectError> {
        let SourceVersion::Etag { etag, .. } = read else {
            let reason = "it was recorded in another kind of store".to_owned();
            return Err(ObjectError::Changed { key: key.clone(), reason });
        };
        let read = UpdateVersion { e_tag: Some(etag.clone()), version: None };
        self.put_as(key, bytes, object_store::PutMode::Update(read)).await
    }

    async fn put_as(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        mode: object_store::PutMode,
    ) -> Result<ObjectMeta, ObjectError> {
        let path = self.path(key)?;
        let len_bytes = bytes.len() as u64;
        let options = PutOptions { mode, ..PutOptions::default() };
        let answer = {
            let _request = self.request().await;
            let payload = PutPayload::from_bytes(bytes);
            let answer = self.shared.client.put_opts(&path, payload, options).await;
            answer.map_err(|error| failure(key, error))?
        };
        match answer.e_tag {
            Some(etag) => meta_of(key, len_bytes, Some(etag)),
            None => self.head(key).await,
        }
    }

    pub async fn list(
        &self,
        folder: Option<&ObjectKey>,
        max_entries: usize,
    ) -> Result<Vec<ObjectEntry>, ObjectError> {
        let asked = folder.map_or("", ObjectKey::as_str);
        let below = match (self.shared.prefix.as_str(), asked) {
            ("", asked) => asked.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, asked) => format!("{prefix}/{asked}"),
        };
        let fail = |error: object_store::Error| ObjectError::Remote {
            key: asked.to_owned(),
            reason: chain(&error),
        };
        let below = object_store::path::Path::parse(&below).map_err(|error| fail(error.into()))?;
        let _request = self.request().await;
        let mut listing = self.shared.client.list(Some(&below));
        let mut entries = Vec::new();
        while let Some(found) = listing.next().await {
            let found = found.map_err(fail)?;
            // Objects whose names are no keys are not ours.
            let Some(key) = self.key_of(found.location.as_ref()) else { continue };
            if entries.len() == max_entries {
                return Err(ObjectError::TooMany { folder: asked.to_owned(), max_entries });
            }
            entries.push(ObjectEntry { key, len_bytes: found.size });
        }
        entries.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        Ok(entries)
    }

    pub async fn list_folders(&self, folder: &ObjectKey) -> Result<Vec<String>, ObjectError> {
        let below = self.path(folder)?;
        let _request = self.request().await;
        let listing = self.shared.client.list_with_delimiter(Some(&below)).await;
        let listing = listing.map_err(|error| failure(folder, error))?;
        let names = listing.common_prefixes.iter().filter_map(object_store::path::Path::filename);
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.sort_unstable();
        Ok(names)
    }

    pub async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        let path = self.path(key)?;
        let _request = self.request().await;
        match self.shared.client.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failure(key, error)),
        }
    }

    pub fn metrics(&self) -> &ObjectMetrics {
        &self.shared.metrics
    }

    /// Waits until another request may be sent.
    async fn request(&self) -> tokio::sync::OwnedSemaphorePermit {
        let requests = Arc::clone(&self.shared.requests);
        requests.acquire_owned().await.expect("the semaphore of requests is never closed")
    }

    fn path(&self, key: &ObjectKey) -> Result<object_store::path::Path, ObjectError> {
        let text = match self.shared.prefix.as_str() {
            "" => key.as_str().to_owned(),
            prefix => format!("{prefix}/{key}"),
        };
        object_store::path::Path::parse(&text).map_err(|_| ObjectError::InvalidKey {
            text: key.to_string(),
            reason: "S3 does not take it",
        })
    }

    fn key_of(&self, path: &str) -> Option<ObjectKey> {
        let below = match self.shared.prefix.as_str() {
            "" => path,
            prefix => path.strip_prefix(prefix)?.strip_prefix('/')?,
        };
        below.parse().ok()
    }
}

fn client(settings: &S3Settings) -> Result<AmazonS3, object_store::Error> {
    let connection = &settings.connection;
    let request_timeout = Duration::from_secs_f64(connection.request_timeout_seconds);
    let retries = connection.retries_max;
    let client_options = ClientOptions::new()
        // A large answer may take its time; silence may not.
        .with_timeout_disabled()
        .with_read_timeout(request_timeout)
        .with_connect_timeout(CONNECT_TIMEOUT.min(request_timeout))
        .with_pool_max_idle_per_host(connection.requests_max as usize)
        .with_allow_http(true);
    let retry = RetryConfig {
        backoff: BackoffConfig {
            init_backoff: BACKOFF_FIRST,
            max_backoff: BACKOFF_LONGEST,
            base: 2.0,
        },
        max_retries: retries as usize,
        retry_timeout: (request_timeout + BACKOFF_LONGEST) * (retries + 1),
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&settings.bucket)
        .with_region(&connection.region)
        .with_virtual_hosted_style_request(!connection.path_style)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_client_options(client_options)
        .with_retry(retry);
    if let Some(endpoint) = &connection.endpoint {
        builder = builder.with_endpoint(endpoint_of(endpoint, &settings.bucket, connection));
    }
    builder = match (&connection.access_key, &connection.secret_key) {
        (Some(access_key), Some(secret_key)) => builder
            .with_access_key_id(access_key.expose())
            .with_secret_access_key(secret_key.expose()),
        _ => builder.with_skip_signature(true),
    };
    builder.build()
}

/// The endpoint as the client wants it: with the bucket in the host name unless it is in the path.
fn endpoint_of(endpoint: &str, bucket: &str, connection: &config::S3) -> String {
    match endpoint.split_once("://") {
        Some((scheme, host)) if !connection.path_style => format!("{scheme}://{bucket}.{host}"),
        _ => endpoint.to_owned(),
    }
}

fn meta_of(
    key: &ObjectKey,
    len_bytes: u64,
    etag: Option<String>,
) -> Result<ObjectMeta, ObjectError> {
    let Some(etag) = etag else {
        let reason = "the store answers no ETag, without which changes can't be noticed".to_owned();
        return Err(ObjectError::Remote { key: key.to_string(), reason });
    };
    Ok(ObjectMeta { len_bytes, version: SourceVersion::Etag { len_bytes, etag } })
}

/// A failed request by cause.
fn failure(key: &ObjectKey, error: object_store::Error) -> ObjectError {
    let key = key.clone();
    match error {
        object_store::Error::NotFound { .. } => ObjectError::NotFound { key },
        object_store::Error::AlreadyExists { .. } => ObjectError::Exists { key },
        object_store::Error::Precondition { .. } => {
            ObjectError::Changed { key, reason: "the store holds another version".to_owned() }
        }
        error => ObjectError::Remote { key: key.to_string(), reason: chain(&error) },
    }
}

/// An error with its causes, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
