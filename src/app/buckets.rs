//! Connects a mount to its bucket, or to its buckets.
//!
//! The connections to several buckets are made of one: they share its credentials, its open
//! connections and what is known of the server. Each bucket is opened when somebody first asks
//! for it, and has a region and a stack of decorators of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::{MountSettings, Source};
use crate::key::{Bucket, Prefix};
use crate::stats::{Charged, Charges, Stats};
use crate::store::{
    Buckets, InFolder, ObjectStore, OpenBucket, S3, S3Buckets, StackConfig, StoreError,
    production_stack,
};

/// Whom requests go to.
#[derive(Debug, Clone)]
pub(super) struct Connected {
    s3: S3,
    /// Where there are several.
    opened: Option<Arc<Opened>>,
}

/// A bucket that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpenedBucket {
    /// The folder that it is.
    pub(super) folder: String,
    /// Its name or ARN.
    pub(super) bucket: String,
    /// The region that it is in, as far as it has answered.
    pub(super) region: String,
    /// What it was asked for.
    pub(super) charged: Charged,
}

impl Connected {
    /// The store of a mount, over the connection `s3`.
    pub(super) fn new(
        s3: S3,
        settings: &MountSettings,
        stats: &Arc<Stats>,
    ) -> (Connected, Arc<dyn ObjectStore>) {
        let stack = StackConfig::new(settings.retry.clone(), settings.fs.memory_bytes);
        let Some(folders) = settings.fs.top.clone() else {
            let store = production_stack(Arc::new(s3.clone()), stack, stats.clone());
            return (Connected { s3, opened: None }, store);
        };
        let server = S3Buckets::new(s3.clone());
        let listed = production_stack(Arc::new(server.clone()), stack.clone(), stats.clone());
        let opened = Arc::new(Opened {
            server,
            named: settings.source.folders(),
            stack,
            stats: stats.clone(),
            buckets: Mutex::default(),
        });
        let store = Arc::new(Buckets::new(folders, listed, opened.clone()));
        (Connected { s3, opened: Some(opened) }, store)
    }

    /// The region that requests go to; where there are several buckets, the one that they are
    /// first asked in.
    pub(super) fn region(&self) -> String {
        self.s3.region()
    }

    /// The buckets that were asked for, where there are several.
    pub(super) fn buckets(&self) -> Option<Vec<OpenedBucket>> {
        let buckets = self.opened.as_ref()?.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = buckets.iter().map(|(folder, known)| OpenedBucket {
            folder: folder.clone(),
            bucket: known.bucket.to_string(),
            region: known.s3.region(),
            charged: known.charges.charged(),
        });
        Some(opened.collect())
    }
}

/// The buckets that were asked for.
#[derive(Debug)]
struct Opened {
    server: S3Buckets,
    /// Those that were named, by folder.
    named: BTreeMap<String, Source>,
    stack: StackConfig,
    stats: Arc<Stats>,
    buckets: Mutex<BTreeMap<String, KnownBucket>>,
}

/// One that was opened.
#[derive(Debug)]
struct KnownBucket {
    bucket: Bucket,
    s3: S3,
    charges: Arc<Charges>,
}

impl OpenBucket for Opened {
    fn open(&self, name: &str) -> Result<Arc<dyn ObjectStore>, StoreError> {
        let (bucket, prefix) = match self.named.get(name) {
            Some(source) => (source.bucket.clone(), source.prefix.clone()),
            None => {
                let bucket = name.parse::<Bucket>().map_err(|_| StoreError::no_bucket(name))?;
                (bucket, Prefix::root())
            }
        };
        let s3 = self.server.open(&bucket)?;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let charges = Arc::<Charges>::default();
        let known = KnownBucket { bucket, s3: s3.clone(), charges: charges.clone() };
        buckets.insert(name.to_owned(), known);
        let store = Arc::new(InFolder::new(Arc::new(s3), name, prefix));
        let stack = StackConfig { charges, ..self.stack.clone() };
        Ok(production_stack(store, stack, self.stats.clone()))
    }

    fn forget(&self, name: &str) {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// What is wrong with the folder `name` of several, or with the list of all buckets if it has
/// none: what the mount goes on without.
pub(super) fn trouble(
    (name, error): (&str, &StoreError),
    settings: &MountSettings,
    explained: impl Fn(Option<&Source>) -> String,
) -> String {
    match name {
        "" => {
            let why = match settings.s3.no_sign_request {
                true => "whoever gives no credentials has none".to_owned(),
                false => format!("your credentials lack s3:ListAllMyBuckets ({})", error.detail),
            };
            format!("the buckets can't be listed, since {why}; open each by its name")
        }
        name => {
            let folders = settings.source.folders();
            format!("the folder \"{name}\" can't be looked into: {}", explained(folders.get(name)))
        }
    }
}
