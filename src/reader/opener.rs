//! What opens objects for reading.

use std::sync::Arc;

use tokio::runtime::Handle as Runtime;

use super::{BlockCache, Reader};
use crate::key::ObjectVersion;
use crate::store::ObjectStore;

/// Opens any version of any object of one store, through one cache.
#[derive(Debug, Clone)]
pub struct Opener {
    cache: Arc<BlockCache>,
    store: Arc<dyn ObjectStore>,
    runtime: Runtime,
}

impl Opener {
    /// Readers whose blocks are in `cache`; their GETs run on `runtime`.
    pub fn new(cache: Arc<BlockCache>, store: Arc<dyn ObjectStore>, runtime: Runtime) -> Self {
        Opener { cache, store, runtime }
    }

    /// Opens one version. Costs no request.
    pub fn open(&self, version: &ObjectVersion) -> Reader {
        Reader::open(version, self.cache.clone(), self.store.clone(), self.runtime.clone())
    }

    /// The runtime that the GETs run on.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// The store that they read.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The cache that their blocks are in.
    pub fn cache(&self) -> &BlockCache {
        &self.cache
    }
}
