//! What was found out about images, kept when the mount has ended: in the folder of
//! `--index-cache`, or else in the cache on disk; and in the shared cache, if there is one.
//!
//! Contract: an entry is a few bytes about one version of one object, and is found by what it is
//! about. What is not right is not found: see `disk`.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle as Runtime;

use crate::disk::{Disk, Loose, Name};
use crate::fleet::SharedCache;
use crate::key::ObjectVersion;

/// Where entries are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexFolder {
    /// The folder; it is made when the first entry is written.
    pub folder: PathBuf,
    /// The server and the bucket, as a name for both.
    pub bucket: String,
}

/// The entries of one bucket.
#[derive(Debug)]
pub(super) struct IndexCache {
    near: Option<Near>,
    shared: Option<Arc<SharedCache>>,
}

/// Entries on this machine.
#[derive(Debug)]
enum Near {
    Folder {
        loose: Arc<Loose>,
        /// As in [`IndexFolder`].
        bucket: String,
    },
    Disk(Arc<Disk>),
}

impl IndexCache {
    /// The entries in a folder, or else in the cache on disk, and those in the shared cache;
    /// `None` if there is none of them.
    pub(super) fn of(
        folder: Option<IndexFolder>,
        disk: Option<&Arc<Disk>>,
        shared: Option<&Arc<SharedCache>>,
        runtime: Runtime,
    ) -> Option<Arc<Self>> {
        let in_folder = folder.map(|IndexFolder { folder, bucket }| Near::Folder {
            loose: Loose::new(folder, runtime),
            bucket,
        });
        let on_disk = || Some(Near::Disk(disk?.clone()));
        let (near, shared) = (in_folder.or_else(on_disk), shared.cloned());
        let is_any = near.is_some() || shared.is_some();
        is_any.then(|| Arc::new(IndexCache { near, shared }))
    }

    /// What is known about a version, in this respect.
    pub(super) async fn load(&self, version: &ObjectVersion, what: &str) -> Option<Bytes> {
        if let Some(near) = &self.near
            && let Some(known) = near.load(version, what).await
        {
            return Some(known);
        }
        let shared = self.shared.as_ref()?;
        let known = shared.load(&shared.name(version, &name_of(what))?).await?;
        if let Some(near) = &self.near {
            near.save(version, what, &known);
        }
        Some(known)
    }

    /// Keeps what is known about a version, in this respect. It is not waited for.
    pub(super) fn save(&self, version: &ObjectVersion, what: &str, known: &[u8]) {
        if let Some(near) = &self.near {
            near.save(version, what, known);
        }
        if let Some(shared) = &self.shared
            && let Some(name) = shared.name(version, &name_of(what))
        {
            shared.save(name, Arc::new(known.to_vec()));
        }
    }
}

/// What an entry is called among those that are no indexes.
fn name_of(what: &str) -> String {
    format!("index {what}")
}

impl Near {
    async fn load(&self, version: &ObjectVersion, what: &str) -> Option<Bytes> {
        let name = self.name(version, what)?;
        match self {
            Near::Folder { loose, .. } => loose.load(name).await,
            Near::Disk(disk) => disk.load(&name).await,
        }
    }

    fn save(&self, version: &ObjectVersion, what: &str, known: &[u8]) {
        let Some(name) = self.name(version, what) else { return };
        match self {
            Near::Folder { loose, .. } => loose.save(name, Bytes::copy_from_slice(known)),
            Near::Disk(disk) => disk.save(name, Arc::new(known.to_vec())),
        }
    }

    /// The name of an entry; a version without a tag may be any.
    fn name(&self, version: &ObjectVersion, what: &str) -> Option<Name> {
        match self {
            Near::Folder { bucket, .. } => Name::of(bucket, version, what),
            Near::Disk(disk) => disk.name(version, &name_of(what)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{ETag, ObjectKey};
    use std::fs;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    const WHAT: &str = "tile-parts";

    fn version(key: &str, etag: &str) -> ObjectVersion {
        ObjectVersion {
            key: ObjectKey::new(key),
            etag: Some(ETag::new(etag)),
            last_modified: SystemTime::UNIX_EPOCH,
            size: 1000,
        }
    }

    fn cache(folder: &Path, bucket: &str) -> Arc<IndexCache> {
        let place = IndexFolder { folder: folder.into(), bucket: bucket.into() };
        IndexCache::of(Some(place), None, None, Runtime::current()).unwrap()
    }

    fn path(cache: &IndexCache, version: &ObjectVersion) -> PathBuf {
        let Some(near @ Near::Folder { loose, .. }) = &cache.near else { panic!("no folder") };
        loose.path(&near.name(version, WHAT).unwrap())
    }

    async fn saved(cache: &Arc<IndexCache>, version: &ObjectVersion, known: &[u8]) {
        cache.save(version, WHAT, known);
        while cache.load(version, WHAT).await.as_deref() != Some(known) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn an_entry_is_found_by_any_mount_of_the_same_bucket_and_version_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = cache(folder.path(), "aws/b");
        let one = version("a/B04.jp2", "\"1\"");
        assert_eq!(first.load(&one, WHAT).await, None);
        saved(&first, &one, b"known").await;
        assert_eq!(
            cache(folder.path(), "aws/b").load(&one, WHAT).await.as_deref(),
            Some(&b"known"[..])
        );
        assert_eq!(cache(folder.path(), "aws/c").load(&one, WHAT).await, None);
        assert_eq!(first.load(&version("a/B04.jp2", "\"2\""), WHAT).await, None);
        assert_eq!(first.load(&ObjectVersion { size: 999, ..one.clone() }, WHAT).await, None);
        assert_eq!(first.load(&ObjectVersion { etag: None, ..one.clone() }, WHAT).await, None);
        assert_eq!(first.load(&one, "something else").await, None);
        saved(&first, &one, b"known better").await;
    }

    #[tokio::test]
    async fn what_is_torn_damaged_or_foreign_is_no_entry() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path(), "aws/b");
        let one = version("k", "\"1\"");
        saved(&cache, &one, b"known").await;
        let path = path(&cache, &one);
        let right = fs::read(&path).unwrap();
        for cut in 0..right.len() {
            fs::write(&path, &right[..cut]).unwrap();
            assert_eq!(cache.load(&one, WHAT).await, None, "cut at {cut}");
            let mut damaged = right.clone();
            damaged[cut] ^= 1;
            fs::write(&path, damaged).unwrap();
            assert_eq!(cache.load(&one, WHAT).await, None, "damaged at {cut}");
        }
        // Another version's, in the place of this one.
        let two = version("k", "\"2\"");
        saved(&cache, &two, b"known").await;
        let path_of_two = self::path(&cache, &two);
        fs::copy(path_of_two, &path).unwrap();
        assert_eq!(cache.load(&one, WHAT).await, None);
        fs::write(&path, right).unwrap();
        assert!(cache.load(&one, WHAT).await.is_some());
    }
}
