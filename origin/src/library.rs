//! The titles of an object store, and the ones kept warm.
//!
//! A warm title holds its document, the resident part of each track's index and open readers; a
//! request then reads one block of an index and the samples it sends. The cache is bounded by the
//! bytes that its entries hold, and a title is looked at again a few seconds after it was last
//! found unchanged.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use moka::future::Cache;
use platform::objects::{ObjectError, ObjectKey, ObjectReader, ObjectStore, SourceVersion};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::OriginError;
use crate::asset::{ASSETS_FOLDER, AssetDocument, AssetId};
use crate::bundle::{BUNDLE_BYTES_MAX, Bundle, bundle_key};
use crate::loaded::LoadedAsset;
use crate::preset::Preset;

/// `asset.json` of a title with a million cuts is below this.
pub(crate) const DOCUMENT_BYTES_MAX: u64 = 64 << 20;
/// How long a title is trusted to be unchanged.
const RECHECK_AFTER: Duration = Duration::from_secs(2);
/// How long a request waits to hear that a warm title is unchanged. A store that needs longer is
/// ill, and viewers go on with what is warm.
const RECHECK_PATIENCE: Duration = Duration::from_secs(1);

/// All titles of one object store.
#[derive(Clone)]
pub struct Library {
    store: ObjectStore,
    temporary: Arc<Path>,
    warm: Cache<WarmKey, Arc<WarmAsset>>,
    started: Instant,
    /// Presets that configuration adds to the built-in ones.
    presets: Arc<RwLock<Vec<Preset>>>,
}

/// A title at its current generation, or at an earlier one that is still served.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct WarmKey {
    asset: AssetId,
    generation: Option<String>,
}

#[derive(Debug)]
struct WarmAsset {
    asset: Arc<LoadedAsset>,
    /// Version of the document that was loaded.
    version: SourceVersion,
    /// Milliseconds since the library was opened at which it was last found current.
    checked_ms: AtomicU64,
}

impl Library {
    /// `index_bytes_max` bounds what warm titles hold in memory.
    pub fn new(store: ObjectStore, index_bytes_max: u64) -> Self {
        let warm = Cache::builder()
            .weigher(|_: &WarmKey, warm: &Arc<WarmAsset>| {
                u32::try_from(warm.asset.resident_bytes()).unwrap_or(u32::MAX)
            })
            .max_capacity(index_bytes_max)
            .build();
        Self {
            store,
            temporary: std::env::temp_dir().into(),
            warm,
            started: Instant::now(),
            presets: Arc::default(),
        }
    }

    /// Where ingest puts what is not stored yet, which is as much as it reads; the system's folder
    /// for temporary files unless told.
    #[must_use]
    pub fn with_temporary(mut self, folder: &Path) -> Self {
        self.temporary = folder.into();
        self
    }

    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    pub fn store(&self) -> &ObjectStore {
        &self.store
    }

    /// Replaces the presets that configuration adds.
    pub fn set_presets(&self, presets: Vec<Preset>) {
        *self.presets.write().unwrap_or_else(PoisonError::into_inner) = presets;
    }

    /// A preset, built in or configured.
    pub fn preset(&self, name: &str) -> Option<Preset> {
        Preset::find(name).or_else(|| {
            let configured = self.presets.read().unwrap_or_else(PoisonError::into_inner);
            configured.iter().find(|preset| preset.name == name).cloned()
        })
    }

    /// The title as it is now.
    ///
    /// # Errors
    /// [`OriginError::UnknownAsset`], or what its files are wrong with.
    pub async fn asset(&self, id: &AssetId) -> Result<Arc<LoadedAsset>, OriginError> {
        self.warm_asset(&WarmKey { asset: id.clone(), generation: None }).await
    }

    /// The title as it is, or as it was a moment ago: for what a revision names, which doesn't
    /// depend on the moment. A warm title is looked at again behind the request's back.
    ///
    /// # Errors
    /// As [`Self::asset`].
    pub async fn asset_of_late(&self, id: &AssetId) -> Result<Arc<LoadedAsset>, OriginError> {
        let key = WarmKey { asset: id.clone(), generation: None };
        let Some(warm) = self.warm.get(&key).await else {
            return self.warm_asset(&key).await;
        };
        if self.claim_check(&warm) {
            let (library, warm) = (self.clone(), warm.clone());
            tokio::spawn(async move {
                if let Ok(false) = library.look_again(&key, &warm).await {
                    library.warm.invalidate(&key).await;
                }
            });
        }
        Ok(warm.asset.clone())
    }

    /// An earlier generation of a title, as long as it is kept.
    pub async fn retired(
        &self,
        id: &AssetId,
        generation: &str,
    ) -> Result<Arc<LoadedAsset>, OriginError> {
        let generation = Some(generation.to_owned());
        self.warm_asset(&WarmKey { asset: id.clone(), generation }).await
    }

    /// Documents of all titles, by identifier.
    pub async fn documents(&self) -> Result<Vec<AssetDocument>, OriginError> {
        let mut documents = Vec::new();
        let folder: ObjectKey = ASSETS_FOLDER.parse()?;
        for name in self.store.list_folders(&folder).await? {
            let Ok(id) = AssetId::new(&name) else {
                continue;
            };
            match self.document(&id).await {
                Ok(document) => documents.push(document),
                // What a failed ingest left is no title.
                Err(OriginError::UnknownAsset { .. }) => {}
                // A title that is being removed, or that is damaged, hides no other.
                Err(error) => tracing::warn!(asset = %id, %error, "title is not listed"),
            }
        }
        documents.sort_by(|left, right| left.id.cmp(&right.id));
        Ok(documents)
    }

    /// The current document of a title, read from the store.
    pub async fn document(&self, id: &AssetId) -> Result<AssetDocument, OriginError> {
        self.document_versioned(id).await.map(|(document, _)| document)
    }

    /// The current document, and which version of `asset.json` says so.
    pub(crate) async fn document_versioned(
        &self,
        id: &AssetId,
    ) -> Result<(AssetDocument, SourceVersion), OriginError> {
        let key = id.key("asset.json")?;
        let (bytes, meta) = match self.store.get_versioned(&key, DOCUMENT_BYTES_MAX).await {
            Err(ObjectError::NotFound { .. }) => {
                return Err(OriginError::UnknownAsset { asset: id.clone() });
            }
            result => result?,
        };
        Ok((AssetDocument::parse(id, &bytes)?, meta.version))
    }

    /// Registers what is counted of warm titles.
    pub fn register_metrics(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(WarmTitles(self.warm.clone())));
    }

    /// Opens a file of the store.
    pub async fn open(&self, key: &ObjectKey) -> Result<ObjectReader, OriginError> {
        Ok(self.store.open(key, None).await?)
    }

    /// Forgets what is warm of a title, after it was replaced or removed.
    pub async fn forget(&self, id: &AssetId) {
        self.warm.invalidate(&WarmKey { asset: id.clone(), generation: None }).await;
    }

    async fn warm_asset(&self, key: &WarmKey) -> Result<Arc<LoadedAsset>, OriginError> {
        if let Some(warm) = self.warm.get(key).await {
            if self.is_current(key, &warm).await? {
                return Ok(warm.asset.clone());
            }
            self.warm.invalidate(key).await;
        }
        let loaded = self.warm.try_get_with_by_ref(key, self.load(key)).await;
        loaded.map(|warm| warm.asset.clone()).map_err(OriginError::Shared)
    }

    /// Whether the document is still the one that was loaded. One request in [`RECHECK_AFTER`]
    /// asks the store, the others go on with what they have.
    async fn is_current(&self, key: &WarmKey, warm: &WarmAsset) -> Result<bool, OriginError> {
        if self.claim_check(warm) { self.look_again(key, warm).await } else { Ok(true) }
    }

    /// Whether it is time to look at the title again, and the caller's turn.
    fn claim_check(&self, warm: &WarmAsset) -> bool {
        let now_ms = self.now_ms();
        let checked_ms = warm.checked_ms.load(Ordering::Relaxed);
        if now_ms.saturating_sub(checked_ms) < RECHECK_AFTER.as_millis() as u64 {
            return false;
        }
        let (failed, claimed) = (Ordering::Relaxed, Ordering::Relaxed);
        warm.checked_ms.compare_exchange(checked_ms, now_ms, claimed, failed).is_ok()
    }

    async fn look_again(&self, key: &WarmKey, warm: &WarmAsset) -> Result<bool, OriginError> {
        let document_key = key.document_key()?;
        let looked = tokio::time::timeout(RECHECK_PATIENCE, self.store.head(&document_key)).await;
        let looked = looked.unwrap_or_else(|_| {
            let (key, reason) = (document_key.to_string(), "it does not answer".to_owned());
            Err(ObjectError::Remote { key, reason })
        });
        match looked {
            Ok(meta) => Ok(meta.version == warm.version),
            Err(ObjectError::NotFound { .. }) => Ok(false),
            Err(error) => {
                // A store that is away for a moment doesn't make warm titles wrong.
                tracing::warn!(asset = %key.asset, %error, "could not look at a title again");
                Ok(true)
            }
        }
    }

    async fn load(&self, key: &WarmKey) -> Result<Arc<WarmAsset>, OriginError> {
        if self.store.is_remote()
            && key.generation.is_none()
            && let Some(warm) = self.load_bundle(key).await?
        {
            return Ok(warm);
        }
        let document = self.store.get_versioned(&key.document_key()?, DOCUMENT_BYTES_MAX).await;
        let (bytes, meta) = match document {
            Err(ObjectError::NotFound { .. }) => {
                return Err(OriginError::UnknownAsset { asset: key.asset.clone() });
            }
            Err(ObjectError::TooLarge { len_bytes, .. }) => {
                let reason = format!("asset.json has {len_bytes} bytes");
                return Err(OriginError::CorruptAsset { asset: key.asset.clone(), reason });
            }
            result => result?,
        };
        let document = AssetDocument::parse(&key.asset, &bytes)?;
        let asset = LoadedAsset::open(&self.store, document).await?;
        Ok(self.warmed(asset, meta.version))
    }

    /// Opens a title from its bundle in one round trip. `None` when that is not the one of the
    /// document as it is now, which is then to be read itself.
    async fn load_bundle(&self, key: &WarmKey) -> Result<Option<Arc<WarmAsset>>, OriginError> {
        let (document_key, bundle_key) = (key.document_key()?, bundle_key(&key.asset)?);
        let (current, bundle) = tokio::join!(
            self.store.head(&document_key),
            self.store.get(&bundle_key, BUNDLE_BYTES_MAX)
        );
        let current = match current {
            Err(ObjectError::NotFound { .. }) => {
                return Err(OriginError::UnknownAsset { asset: key.asset.clone() });
            }
            result => result?.version,
        };
        let bundle = match bundle {
            Ok(bytes) => Bundle::parse(&key.asset, &bytes),
            Err(ObjectError::NotFound { .. }) => return Ok(None),
            Err(error) => Err(error.to_string()),
        };
        let bundle = match bundle {
            Ok(bundle) if bundle.version == current => bundle,
            // Of a title that was replaced: its new bundle may be on its way.
            Ok(_) => return Ok(None),
            Err(reason) => {
                tracing::warn!(asset = %key.asset, reason, "could not use the bundle of a title");
                return Ok(None);
            }
        };
        let asset = LoadedAsset::open_with(&self.store, bundle.document, bundle.files).await?;
        Ok(Some(self.warmed(asset, current)))
    }

    fn warmed(&self, asset: LoadedAsset, version: SourceVersion) -> Arc<WarmAsset> {
        let checked_ms = AtomicU64::new(self.now_ms());
        Arc::new(WarmAsset { asset: Arc::new(asset), version, checked_ms })
    }

    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

/// Size of the index cache, read when metrics are asked for.
#[derive(Debug)]
struct WarmTitles(Cache<WarmKey, Arc<WarmAsset>>);

impl Collector for WarmTitles {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for (name, help, value) in [
            ("index_cache_titles", "Titles whose indexes are in memory", self.0.entry_count()),
            ("index_cache_bytes", "Bytes of indexes in memory", self.0.weighted_size()),
        ] {
            let metric = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}

impl WarmKey {
    fn document_key(&self) -> Result<ObjectKey, ObjectError> {
        match &self.generation {
            None => self.asset.key("asset.json"),
            Some(generation) => self.asset.key(&format!("{generation}/asset.json")),
        }
    }
}
