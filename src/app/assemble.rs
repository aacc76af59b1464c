//! Builds every part of a mount from its settings, and joins them.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::{join, join_all};
use tokio::runtime::Handle as Runtime;

use crate::catalog::{Catalog, CatalogConfig, Dir, is_object};
use crate::config::{FsConfig, Writes};
use crate::decoders::{Place, Workers, WorkersConfig};
use crate::disk::Disk;
use crate::drafts::Drafts;
use crate::fleet::SharedCache;
use crate::fs::{FileSystem, FsParts};
use crate::key::Prefix;
use crate::mem::Budget;
use crate::names::{Looks, Names, NamesParts, Ttl, WritesGo};
use crate::publish::{Publisher, PublisherParts};
use crate::raster::{Decoders, InProcess};
use crate::reader::{BlockCache, CacheConfig};
use crate::stats::Stats;
use crate::store::{Folders, ObjectStore, ShowVersions, StoreError, StoreErrorKind};
use crate::view::{ViewSet, ViewSources, Views};

/// How long the end of a mount waits for the caches.
const PUT_DOWN: Duration = Duration::from_secs(5);

/// What outlives the mount.
#[derive(Debug, Clone, Default)]
pub struct Caches {
    /// The cache on disk.
    pub disk: Option<Arc<Disk>>,
    /// What is shared with other mounts.
    pub shared: Option<Arc<SharedCache>>,
}

/// What can't be listed.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The folder; empty for the top, and where there is one bucket.
    pub folder: String,
    /// Why.
    pub error: Arc<StoreError>,
}

/// The parts of a mount that others go on with.
#[derive(Debug, Clone)]
pub struct Assembled {
    /// What the kernel's calls are answered by.
    pub fs: Arc<FileSystem>,
    /// What programs wrote; `None` where they may not.
    pub drafts: Option<Arc<Drafts>>,
    /// What puts that into the bucket; `None` where it stays in memory.
    pub publisher: Option<Arc<Publisher>>,
    /// The processes that decode images; `None` where this one does.
    pub workers: Option<Arc<Workers>>,
    /// The bytes of objects that are in memory.
    pub cache: Arc<BlockCache>,
    /// What is shared with other mounts.
    pub shared: Option<Arc<SharedCache>>,
    /// The virtual siblings of images.
    pub views: Arc<Views>,
    /// What everything that is held is counted in.
    pub budget: Arc<Budget>,
    /// Of several buckets, those that can't be looked into, which are there all the same.
    pub refused: Vec<Refused>,
}

impl Assembled {
    /// Has what is in memory written to the cache on disk, if there is one, as far as that is
    /// worth it and does not take long, and what was made to the shared one: the mount is over.
    pub async fn put_down(&self) {
        let end = Instant::now() + PUT_DOWN;
        let shared = async {
            if let Some(shared) = &self.shared {
                shared.settle(end).await;
            }
        };
        join(shared, self.put_on_disk(end)).await;
    }

    async fn put_on_disk(&self, end: Instant) {
        let Some(disk) = self.cache.disk() else { return };
        // What took a decoder is worth more than what took a request.
        self.views.put_down(end).await;
        self.cache.put_down(end).await;
        disk.settle(end).await;
    }
}

/// Opens a file system over `store`: one LIST, of the root, which also proves that the
/// bucket is there and may be listed; of several buckets, one of each. Must be called on the
/// runtime that its requests shall run on. What is worth it is kept in `caches`. What decoders do is
/// counted in `stats`.
///
/// # Errors
/// What that LIST failed with; the first of several, if all of them did.
pub async fn assemble(
    store: Arc<dyn ObjectStore>,
    config: FsConfig,
    caches: Caches,
    stats: Arc<Stats>,
) -> Result<Assembled, Refused> {
    let Caches { disk, shared } = caches;
    let runtime = Runtime::current();
    let budget = Budget::new(config.memory_bytes);
    let catalog_config = CatalogConfig {
        ttl: config.metadata_ttl,
        budget: budget.clone(),
        stats: stats.clone(),
        top: config.top.clone(),
        versions: config.versions,
    };
    let store: Arc<dyn ObjectStore> = match config.versions {
        true => Arc::new(ShowVersions::new(store, config.metadata_ttl)),
        false => store,
    };
    let catalog = Catalog::new(store.clone(), catalog_config, runtime.clone());
    let root = Dir::root(config.prefix.clone());
    let refused = match &config.top {
        None => {
            list_bucket(&*store, &catalog, &root).await?;
            Vec::new()
        }
        Some(folders) => list_buckets(folders, &catalog, &root).await?,
    };
    let cache =
        BlockCache::new(CacheConfig { budget: budget.clone(), verify: config.verify, disk });
    let workers = start_workers(&config, &budget, stats.clone());
    let decoders: Arc<dyn Decoders> = match &workers {
        Some(workers) => workers.clone(),
        None => Arc::new(InProcess),
    };
    let sources =
        ViewSources { store: store.clone(), cache: cache.clone(), shared: shared.clone() };
    let views = Views::new(
        config.views.clone(),
        sources,
        budget.clone(),
        decoders,
        runtime.clone(),
        stats.clone(),
    );
    let (drafts, uploads) = match config.writes {
        Writes::Deny => (None, None),
        Writes::Memory { limit_bytes } => (Some(Arc::new(Drafts::new(limit_bytes))), None),
        Writes::Upload { limit_bytes, uploads } => {
            (Some(Arc::new(Drafts::new(limit_bytes))), Some(uploads))
        }
    };
    let writes = match (&drafts, &uploads) {
        (None, _) => WritesGo::Nowhere,
        (Some(_), None) => WritesGo::IntoMemory,
        (Some(_), Some(_)) => WritesGo::IntoTheBucket,
    };
    let names = Arc::new(Names::new(NamesParts {
        root,
        catalog,
        views: views.clone(),
        drafts: drafts.clone(),
        ttl: Ttl::new(config.metadata_ttl, writes),
        looks: Looks {
            uid: config.uid,
            gid: config.gid,
            file_mode: config.file_mode,
            dir_mode: config.dir_mode,
            mounted: SystemTime::now(),
        },
        budget: budget.clone(),
    }));
    let publisher = uploads.zip(drafts.clone()).map(|(config, drafts)| {
        let (store, names, cache) = (store.clone(), names.clone(), cache.clone());
        let budget = budget.clone();
        Publisher::start(PublisherParts { config, store, names, drafts, cache, budget })
    });
    let fs = FileSystem::new(FsParts {
        names,
        drafts: drafts.clone(),
        publisher: publisher.clone(),
        views: views.clone(),
        cache: cache.clone(),
        store,
        runtime,
        stats,
    });
    let fs = Arc::new(fs);
    Ok(Assembled { fs, drafts, publisher, workers, cache, shared, views, budget, refused })
}

/// Lists the root of the one bucket, and says so if there is nothing.
async fn list_bucket(
    store: &dyn ObjectStore,
    catalog: &Catalog,
    root: &Dir,
) -> Result<(), Refused> {
    let listed = catalog.list_root(root).await;
    if listed.map_err(|error| Refused { folder: String::new(), error })? {
        return Ok(());
    }
    match root.prefix().as_str() {
        "" => tracing::warn!("the bucket is empty"),
        prefix if is_object(store, root.prefix()).await => tracing::warn!(
            "\"{}\" is an object and no folder, so the mount is empty; mount the folder that it \
             is in",
            prefix.trim_end_matches('/').escape_debug()
        ),
        prefix => tracing::warn!("the bucket has nothing below \"{}\"", prefix.escape_debug()),
    }
    Ok(())
}

/// Lists the root of each bucket that was named, or else all buckets. What can't be listed is
/// the trouble of whoever looks there, unless it is all of them.
async fn list_buckets(
    folders: &Folders,
    catalog: &Catalog,
    root: &Dir,
) -> Result<Vec<Refused>, Refused> {
    let Folders::Named(names) = folders else {
        return match catalog.list_root(root).await {
            Ok(true) => Ok(Vec::new()),
            Ok(false) => {
                tracing::warn!("no buckets are listed; others can be opened by their names");
                Ok(Vec::new())
            }
            Err(error) => {
                let refused = Refused { folder: String::new(), error };
                match refused.error.kind {
                    StoreErrorKind::AccessDenied => Ok(vec![refused]),
                    _ => Err(refused),
                }
            }
        };
    };
    let listed = names.iter().map(|name| async move {
        let folder = Dir::root(Prefix::new(format!("{name}/")));
        match catalog.list_root(&folder).await {
            Ok(true) => None,
            Ok(false) => {
                tracing::warn!("there is nothing in the folder \"{}\"", name.escape_debug());
                None
            }
            Err(error) => Some(Refused { folder: name.clone(), error }),
        }
    });
    let refused: Vec<Refused> = join_all(listed).await.into_iter().flatten().collect();
    match refused.first() {
        Some(first) if refused.len() == names.len() => Err(first.clone()),
        Some(_) | None => Ok(refused),
    }
}

/// The processes that decode images: one for each core, if there are siblings at all.
pub(super) fn start_workers(
    config: &FsConfig,
    budget: &Arc<Budget>,
    stats: Arc<Stats>,
) -> Option<Arc<Workers>> {
    let Place::Workers { program } = &config.decoders else { return None };
    if config.views.kinds == ViewSet::NONE {
        return None;
    }
    Some(Workers::new(WorkersConfig {
        program: program.clone(),
        decode_bytes: config.views.limits.decode_bytes,
        at_once: thread::available_parallelism().map_or(1, NonZeroUsize::get),
        budget: budget.clone(),
        stats,
    }))
}
