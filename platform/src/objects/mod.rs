//! Objects: bytes under a key, written whole and never changed in place.
//!
//! One small interface with two implementations: [`LocalStore`], a folder, and [`S3Store`]. A
//! store hands out an [`ObjectReader`] for ranged reads, of two kinds:
//!
//! * [`ObjectReader::slice`] answers bytes to be *sent*. Of a local file they lie in a mapping of
//!   it, are handed to the kernel (`writev(2)`, or `sendfile(2)` of the pages behind them, which
//!   [`crate::http`] prefers) and are never looked at here. Residency comes
//!   first ([`ObjectReader::prepare`]), so that no core waits for a disk.
//! * [`ObjectReader::read_at`] copies bytes that code looks at: to parse, encrypt or repack.
//!
//! A reader is bound to one [`SourceVersion`] of its object and answers [`ObjectError::Changed`]
//! rather than bytes of another.

mod claim;
mod error;
mod key;
mod local;
mod meta;
mod metrics;
#[cfg(feature = "s3")]
mod s3;
mod stream;

use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::config::Config;

pub use claim::Claim;
pub use error::ObjectError;
pub use key::ObjectKey;
pub(crate) use local::mapped::file_of;
pub use local::{LocalClaim, LocalReader, LocalStore};
pub use meta::{ObjectEntry, ObjectMeta, PutMode, SourceVersion};
pub use metrics::ObjectMetrics;
#[cfg(feature = "s3")]
pub use s3::{S3Claim, S3Reader, S3Settings, S3Store};
pub use stream::ObjectStream;

/// Largest range that one [`ObjectReader::slice`] answers. Larger ones go by
/// [`ObjectReader::stream`].
pub const SLICE_BYTES_MAX: u64 = 32 << 20;

/// Where objects are kept. Cheap to clone.
#[derive(Clone, Debug)]
pub enum ObjectStore {
    Local(LocalStore),
    #[cfg(feature = "s3")]
    S3(S3Store),
}

/// One open object.
#[derive(Clone, Debug)]
pub enum ObjectReader {
    Local(LocalReader),
    #[cfg(feature = "s3")]
    S3(S3Reader),
}

/// Calls the same method of whichever implementation it is.
macro_rules! either {
    ($self:expr, $inner:ident => $call:expr) => {
        match $self {
            Self::Local($inner) => $call,
            #[cfg(feature = "s3")]
            Self::S3($inner) => $call,
        }
    };
}

impl ObjectStore {
    /// Where objects lie on this machine, if they do.
    pub fn folder(&self) -> Option<PathBuf> {
        match self {
            Self::Local(store) => Some(store.folder().to_owned()),
            #[cfg(feature = "s3")]
            Self::S3(_) => None,
        }
    }

    /// The store of `[objects]`; a local one lies in `default_folder` unless it says otherwise.
    ///
    /// Opens a folder, which touches the disk; a bucket is not asked yet.
    pub fn from_config(config: &Config, default_folder: &Path) -> Result<Self, ObjectError> {
        let url = config.objects.url.as_deref();
        match url.and_then(|url| url.strip_prefix("s3://")) {
            None => {
                let folder = url.and_then(|url| url.strip_prefix("file:"));
                let folder = folder.map_or(default_folder, |path| {
                    // `file:///srv/x` and `file:/srv/x` name the same folder (RFC 8089).
                    Path::new(path.strip_prefix("//").unwrap_or(path))
                });
                LocalStore::at(folder).map(Self::Local)
            }
            #[cfg(feature = "s3")]
            Some(place) => {
                let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
                let settings = S3Settings {
                    bucket: bucket.to_owned(),
                    prefix: prefix.trim_matches('/').to_owned(),
                    connection: config.objects.s3.clone(),
                    blocks_bytes: config.cache.blocks_bytes.get(),
                };
                S3Store::new(&settings).map(Self::S3)
            }
            #[cfg(not(feature = "s3"))]
            Some(place) => Err(ObjectError::Remote {
                key: place.to_owned(),
                reason: "this program was built without S3".to_owned(),
            }),
        }
    }

    /// The whole object, of at most `max_bytes`.
    pub async fn get(&self, key: &ObjectKey, max_bytes: u64) -> Result<Bytes, ObjectError> {
        self.get_versioned(key, max_bytes).await.map(|(bytes, _)| bytes)
    }

    /// The whole object, of at most `max_bytes`, and which version of it that is.
    pub async fn get_versioned(
        &self,
        key: &ObjectKey,
        max_bytes: u64,
    ) -> Result<(Bytes, ObjectMeta), ObjectError> {
        either!(self, store => store.get_versioned(key, max_bytes).await)
    }

    pub async fn head(&self, key: &ObjectKey) -> Result<ObjectMeta, ObjectError> {
        either!(self, store => store.head(key).await)
    }

    /// Opens an object for ranged reads.
    ///
    /// With the version that was recorded of it, another one is refused as changed; on S3 this
    /// also saves the request that asks for size and version.
    pub async fn open(
        &self,
        key: &ObjectKey,
        recorded: Option<&SourceVersion>,
    ) -> Result<ObjectReader, ObjectError> {
        match self {
            Self::Local(store) => store.open(key, recorded).await.map(ObjectReader::Local),
            #[cfg(feature = "s3")]
            Self::S3(store) => store.open(key, recorded).await.map(ObjectReader::S3),
        }
    }

    /// Writes an object. It appears whole or not at all, and survives a crash once this returned.
    pub async fn put(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<ObjectMeta, ObjectError> {
        either!(self, store => store.put(key, bytes, mode).await)
    }

    /// Writes an object over the version of it that the caller has read.
    ///
    /// S3 decides in one step (`If-Match`). A local store looks first: its folder belongs to one
    /// process.
    ///
    /// # Errors
    /// [`ObjectError::Changed`] when it holds another version by now.
    pub async fn replace(
        &self,
        key: &ObjectKey,
        bytes: Bytes,
        read: &SourceVersion,
    ) -> Result<ObjectMeta, ObjectError> {
        match self {
            Self::Local(store) => {
                if let Some(reason) = read.difference(&store.head(key).await?.version) {
                    return Err(ObjectError::Changed { key: key.clone(), reason });
                }
                store.put(key, bytes, PutMode::Overwrite).await
            }
            #[cfg(feature = "s3")]
            Self::S3(store) => store.replace(key, bytes, read).await,
        }
    }

    /// Copies the file at `source` into the store, over what is there. A local store shares its
    /// blocks where the file system can.
    pub async fn put_file(
        &self,
        key: &ObjectKey,
        source: &Path,
    ) -> Result<ObjectMeta, ObjectError> {
        either!(self, store => store.put_file(key, source).await)
    }

    /// Moves the file at `source`, which nobody else uses, into the store, over what is there. It
    /// may stay behind where it can't be moved; the caller removes what is left of it.
    pub async fn put_own_file(
        &self,
        key: &ObjectKey,
        source: &Path,
    ) -> Result<ObjectMeta, ObjectError> {
        match self {
            Self::Local(store) => store.put_own_file(key, source).await,
            #[cfg(feature = "s3")]
            Self::S3(store) => store.put_file(key, source).await,
        }
    }

    /// The objects below the folder `folder`, or all, by key. More than `max_entries` is an error.
    pub async fn list(
        &self,
        folder: Option<&ObjectKey>,
        max_entries: usize,
    ) -> Result<Vec<ObjectEntry>, ObjectError> {
        either!(self, store => store.list(folder, max_entries).await)
    }

    /// Names of the folders right below `folder`, in order.
    pub async fn list_folders(&self, folder: &ObjectKey) -> Result<Vec<String>, ObjectError> {
        either!(self, store => store.list_folders(folder).await)
    }

    /// Whether each read costs a round trip to another machine.
    pub fn is_remote(&self) -> bool {
        match self {
            Self::Local(_) => false,
            #[cfg(feature = "s3")]
            Self::S3(_) => true,
        }
    }

    /// Where an object lies on this machine, for a store that keeps it here.
    pub fn local_path(&self, key: &ObjectKey) -> Option<PathBuf> {
        match self {
            Self::Local(store) => Some(store.path(key)),
            #[cfg(feature = "s3")]
            Self::S3(_) => None,
        }
    }

    /// Removes an object. One that isn't there is as good as removed.
    pub async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectError> {
        either!(self, store => store.delete(key).await)
    }

    pub fn metrics(&self) -> &ObjectMetrics {
        either!(self, store => store.metrics())
    }
}

impl ObjectReader {
    pub fn key(&self) -> &ObjectKey {
        either!(self, reader => reader.key())
    }

    pub fn meta(&self) -> &ObjectMeta {
        either!(self, reader => reader.meta())
    }

    /// Whether slices lie in a mapping of a file, and waiting to be sent cost no memory.
    pub fn is_mapped(&self) -> bool {
        match self {
            Self::Local(_) => true,
            #[cfg(feature = "s3")]
            Self::S3(_) => false,
        }
    }

    /// Whether the object still is what was opened. Costs a system call locally and nothing on S3,
    /// where each read carries the condition itself.
    pub fn check(&self) -> Result<(), ObjectError> {
        either!(self, reader => reader.check())
    }

    /// Begins to fetch `range`, all that is missing of it in one GET, and waits for nothing: reads
    /// of its parts that follow take each as it arrives. Costs nothing on a local store.
    ///
    /// A range above [`SLICE_BYTES_MAX`] is begun up to there; see [`Self::go_on`].
    pub fn begin(&self, range: Range<u64>) -> Result<(), ObjectError> {
        match self {
            Self::Local(_) => Ok(()),
            #[cfg(feature = "s3")]
            Self::S3(reader) => reader.begin(range),
        }
    }

    /// Begins what comes after `read`, up to `end`, for somebody who reads on from there: a few
    /// megabytes each time that `read` enters a new stretch of so many.
    pub fn go_on(&self, read: &Range<u64>, end: u64) -> Result<(), ObjectError> {
        match self {
            Self::Local(_) => Ok(()),
            #[cfg(feature = "s3")]
            Self::S3(reader) => reader.go_on(read, end),
        }
    }

    /// Makes sure that the slices of `ranges` can be had without waiting: reads cold pages on a
    /// thread that may wait, or fetches missing blocks, neighbours together.
    ///
    /// Ranges need no order; those of one call should lie close together.
    pub async fn prepare(&self, ranges: &[Range<u64>]) -> Result<(), ObjectError> {
        match self {
            Self::Local(reader) => reader.prepare(ranges).await,
            #[cfg(feature = "s3")]
            Self::S3(reader) => reader.prepare(ranges).await,
        }
    }

    /// The bytes of `range`, to be handed to the kernel only, prepared first.
    ///
    /// A local file answers one piece without copying. S3 answers a piece a block.
    pub async fn slice(&self, range: Range<u64>) -> Result<Vec<Bytes>, ObjectError> {
        match self {
            Self::Local(reader) => reader.slice(range).await.map(|piece| vec![piece]),
            #[cfg(feature = "s3")]
            Self::S3(reader) => reader.slice(range).await,
        }
    }

    /// Appends the bytes of `range` to `pieces`, as [`Self::slice`] does, without another look at
    /// whether they are in memory.
    pub async fn slice_prepared(
        &self,
        range: Range<u64>,
        pieces: &mut impl Extend<Bytes>,
    ) -> Result<(), ObjectError> {
        match self {
            Self::Local(reader) => pieces.extend([reader.slice_prepared(range)?]),
            #[cfg(feature = "s3")]
            Self::S3(reader) => pieces.extend(reader.slice(range).await?),
        }
        Ok(())
    }

    /// Fills `buffer` with the bytes from `offset_bytes` on if that needs no waiting; `false`, and
    /// anything in `buffer`, if it does.
    pub fn read_at_once(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<bool, ObjectError> {
        match self {
            Self::Local(reader) => reader.read_at_once(offset_bytes, buffer),
            #[cfg(feature = "s3")]
            Self::S3(_) => Ok(false),
        }
    }

    /// Fills `buffer` with the bytes from `offset_bytes` on.
    pub async fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), ObjectError> {
        either!(self, reader => reader.read_at(offset_bytes, buffer).await)
    }

    /// Replaces what `buffer` holds by the bytes of `range`. A buffer that is used again is not
    /// cleared first.
    pub async fn read_into(
        &self,
        range: Range<u64>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), ObjectError> {
        let len = self.meta().check_range(self.key(), &range)?;
        buffer.resize(len, 0);
        self.read_at(range.start, buffer).await
    }

    /// The bytes of a range of any size, piece by piece, to be handed to the kernel only.
    pub fn stream(&self, range: Range<u64>) -> Result<ObjectStream, ObjectError> {
        ObjectStream::new(self.clone(), range)
    }
}

/// Runs what may wait for a disk on a thread that may wait.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ObjectError> + Send + 'static,
) -> Result<T, ObjectError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => {
            Err(ObjectError::io("run", Path::new("a disk task"), std::io::Error::other(error)))
        }
    }
}
