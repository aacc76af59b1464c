//! File-system operations, without a kernel.
//!
//! Contract: the operations of a file system on inode numbers and handles, over a
//! catalog of what exists, readers of what is open, and an overlay of what programs
//! wrote. An inode of the bucket is a (key, version): a changed object is another
//! inode, so what the kernel caches of an inode is always right. Never names the
//! kernel library.

mod attr;
mod bucket_dir;
mod change;
mod directory;
mod error;
mod file;
mod handles;
mod inode;
mod last_close;
mod node;
mod pending;
mod publish;
mod resolve;
mod sibling;
mod upload;
mod write;
mod written;
mod xattr;

use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle as Runtime;

pub use attr::{Attr, Kind};
pub use change::{Maker, NewNode, RenameHow};
pub use directory::{DirSink, SinkEntry};
pub use error::FsError;
pub use file::{OpenHow, Opened, ReadAnswer};
pub use inode::{Ino, ROOT};
pub use pending::Pending;

pub use crate::mem::{MemFile, Seek};
pub use crate::overlay::{AttrChange, UploadConfig};

use handles::Handles;
use inode::InodeTable;
use node::Folder;
use write::Copying;
use written::FileStates;

use crate::catalog::{Catalog, CatalogConfig, Dir};
use crate::key::Prefix;
use crate::mem::Budget;
use crate::overlay::{Overlay, Uploads};
use crate::reader::{BlockCache, CacheConfig};
use crate::store::{ObjectStore, StoreError};
use crate::view::{ViewConfig, Views};

/// Settings of a [`FileSystem`].
#[derive(Debug, Clone)]
pub struct FsConfig {
    /// What the root shows.
    pub prefix: Prefix,
    /// How long a listing is believed; [`Duration::MAX`] for ever.
    pub metadata_ttl: Duration,
    /// Who owns the files.
    pub uid: u32,
    /// Their group.
    pub gid: u32,
    /// Permission bits of files.
    pub file_mode: u16,
    /// Permission bits of directories.
    pub dir_mode: u16,
    /// Everything that is held, in bytes.
    pub memory_bytes: u64,
    /// The virtual siblings of images.
    pub views: ViewConfig,
    /// What programs may write.
    pub writes: Writes,
}

/// What programs may write.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Writes {
    /// Nothing.
    #[default]
    Deny,
    /// Anything, into memory: the bucket never changes.
    Memory {
        /// How much all files together may take, in bytes. It is not part of
        /// [`FsConfig::memory_bytes`].
        limit_bytes: u64,
    },
    /// Anything that can be in a bucket; what is closed is put there.
    Upload {
        /// As for [`Writes::Memory`].
        limit_bytes: u64,
        /// What may be changed in the bucket, and how.
        uploads: UploadConfig,
    },
}

/// A name whose inode is not the right one any more; the kernel should forget it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outdated {
    /// The directory that the name is in.
    pub parent: Ino,
    /// The name.
    pub name: String,
}

/// A file system over one bucket.
#[derive(Debug)]
pub struct FileSystem {
    config: FsConfig,
    store: Arc<dyn ObjectStore>,
    catalog: Catalog,
    cache: Arc<BlockCache>,
    views: Arc<Views>,
    overlay: Option<Overlay>,
    copying: Copying,
    file_states: FileStates,
    kept: upload::Kept,
    has_ended: AtomicBool,
    inodes: Mutex<InodeTable>,
    files: Handles<file::OpenFile>,
    dirs: Handles<directory::OpenDir>,
    runtime: Runtime,
    mounted: SystemTime,
    outdated: Sender<Outdated>,
    outdated_names: Mutex<Option<Receiver<Outdated>>>,
}

impl FileSystem {
    /// Opens the file system over `store`: one LIST, of the root, which also
    /// proves that the bucket is there and may be listed. Must be called on the
    /// runtime that its requests shall run on.
    ///
    /// # Errors
    /// What that LIST failed with.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        config: FsConfig,
    ) -> Result<Arc<Self>, Arc<StoreError>> {
        let runtime = Runtime::current();
        let budget = Budget::new(config.memory_bytes);
        let catalog_config = CatalogConfig { ttl: config.metadata_ttl, budget: budget.clone() };
        let catalog = Catalog::new(store.clone(), catalog_config, runtime.clone());
        let root = Dir::root(config.prefix.clone());
        if !catalog.list_root(&root).await? {
            match config.prefix.as_str() {
                "" => tracing::warn!("the bucket is empty"),
                prefix => {
                    tracing::warn!("the bucket has nothing below \"{}\"", prefix.escape_debug())
                }
            }
        }
        let (outdated, names) = channel();
        let cache = BlockCache::new(CacheConfig { budget: budget.clone() });
        let views = Views::new(
            config.views.clone(),
            store.clone(),
            cache.clone(),
            budget.clone(),
            runtime.clone(),
        );
        let overlay = match &config.writes {
            Writes::Deny => None,
            Writes::Memory { limit_bytes } => Some(Overlay::new(*limit_bytes, &budget, None)),
            Writes::Upload { limit_bytes, uploads } => {
                let uploads =
                    Uploads::new(uploads.clone(), store.clone(), budget.clone(), runtime.clone());
                Some(Overlay::new(*limit_bytes, &budget, Some(Arc::new(uploads))))
            }
        };
        let fs = FileSystem {
            overlay,
            copying: Copying::default(),
            file_states: FileStates::default(),
            kept: upload::Kept::default(),
            has_ended: AtomicBool::new(false),
            catalog,
            store,
            cache,
            views,
            inodes: Mutex::new(InodeTable::new(root, &budget)),
            files: Handles::default(),
            dirs: Handles::default(),
            runtime,
            mounted: SystemTime::now(),
            outdated,
            outdated_names: Mutex::new(Some(names)),
            config,
        };
        let fs = Arc::new(fs);
        fs.tend();
        Ok(fs)
    }

    /// Where it is said which names the kernel should forget; for the first who asks.
    pub fn outdated_names(&self) -> Option<Receiver<Outdated>> {
        self.outdated_names.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The runtime that requests run on, for whoever has to wait for an answer.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// How many inodes the kernel remembers, the root among them.
    pub fn inode_count(&self) -> usize {
        self.inodes().len()
    }

    fn inodes(&self) -> MutexGuard<'_, InodeTable> {
        self.inodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the object of `ino` is another version by now: its next open
    /// is ESTALE, which makes the kernel look the name up again.
    fn note_changed(&self, ino: Ino) {
        let Some(place) = self.inodes().mark_stale(ino) else { return };
        if let Folder::Bucket(dir) = &place.folder {
            self.forget_object(&place.folder, &place.name);
            self.catalog.invalidate(dir);
        }
        // Only fails when nobody listens, as in tests without a kernel.
        let _ = self.outdated.send(Outdated { parent: place.parent, name: place.name });
    }
}
