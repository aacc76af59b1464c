//! What was found out about images, in a folder that outlives the mount (`--index-cache`).
//!
//! Contract: an entry is a few bytes about one version of one object. It is found by what it is
//! about (server, bucket, key, ETag and size), which it also says; it is written beside its
//! place and moved there; and it ends in a checksum. So whatever is in the folder that is torn,
//! damaged, of another version or of another program is no entry. Any number of mounts and
//! machines may share the folder, and everything in it may be deleted at any time.
//!
//! An entry: `s3mem index 1\n`; the length of the next in 4 bytes, and what it is about; the
//! length of the next in 4 bytes, and what is known; CRC-32 of all of that in 4 bytes. Numbers
//! are little-endian.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes};
use md5::{Digest, Md5};
use tokio::runtime::Handle as Runtime;
use tokio::time::timeout;

use crate::key::ObjectVersion;

const MAGIC: &[u8] = b"s3mem index 1\n";
/// No entry is longer.
const MAX_ENTRY_BYTES: u64 = 16 << 20;
/// How long the folder, which may be on a server, may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

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
    place: IndexFolder,
    runtime: Runtime,
    /// Whether the log says that nothing can be written.
    is_reported: AtomicBool,
    written: AtomicU64,
}

impl IndexCache {
    pub(super) fn new(place: IndexFolder, runtime: Runtime) -> Arc<Self> {
        let (is_reported, written) = (AtomicBool::new(false), AtomicU64::new(0));
        Arc::new(IndexCache { place, runtime, is_reported, written })
    }

    /// What is known about a version, in this respect.
    pub(super) async fn load(&self, version: &ObjectVersion, what: &str) -> Option<Bytes> {
        let about = self.about(version, what)?;
        let path = self.path(&about);
        let read = self.runtime.spawn_blocking(move || read(&path, &about));
        timeout(PATIENCE, read).await.ok()?.ok()?
    }

    /// Keeps what is known about a version, in this respect. It is not waited for.
    pub(super) fn save(self: &Arc<Self>, version: &ObjectVersion, what: &str, known: &[u8]) {
        let Some(about) = self.about(version, what) else { return };
        let (path, entry) = (self.path(&about), entry(&about, known));
        if entry.len() as u64 > MAX_ENTRY_BYTES {
            return;
        }
        let cache = self.clone();
        self.runtime.spawn_blocking(move || {
            let Err(error) = cache.write(&path, &entry) else { return };
            if !cache.is_reported.swap(true, Ordering::Relaxed) {
                let folder = cache.place.folder.display();
                tracing::warn!(
                    "--index-cache: nothing can be written into {folder} ({error}); indexes are \
                     kept in memory alone"
                );
            }
        });
    }

    /// What an entry is about; a version without a tag may be any.
    fn about(&self, version: &ObjectVersion, what: &str) -> Option<String> {
        let etag = version.etag.as_ref()?.as_str();
        let (bucket, key) = (&self.place.bucket, version.key.as_str());
        Some(format!("{bucket}\n{key}\n{etag}\n{}\n{what}", version.size))
    }

    fn path(&self, about: &str) -> PathBuf {
        let mut name = String::with_capacity(32);
        for byte in Md5::digest(about) {
            let _ = write!(name, "{byte:02x}");
        }
        // A folder of a million files is slow to list: 256 folders.
        self.place.folder.join(&name[..2]).join(&name[2..])
    }

    fn write(&self, path: &Path, entry: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(path);
        fs::create_dir_all(folder)?;
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let beside = path.with_extension(format!("{}-{number}.new", std::process::id()));
        let moved = fs::write(&beside, entry).and_then(|()| fs::rename(&beside, path));
        if moved.is_err() {
            let _ = fs::remove_file(&beside);
        }
        moved
    }
}

fn entry(about: &str, known: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for part in [about.as_bytes(), known] {
        bytes.extend((part.len() as u32).to_le_bytes());
        bytes.extend(part);
    }
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// What a file says, if it is an entry about this.
fn read(path: &Path, about: &str) -> Option<Bytes> {
    if fs::metadata(path).ok()?.len() > MAX_ENTRY_BYTES {
        return None;
    }
    let known = known(&fs::read(path).ok()?.into(), about);
    if known.is_none() {
        tracing::debug!("{} is no entry of the index cache", path.display());
    }
    known
}

fn known(bytes: &Bytes, about: &str) -> Option<Bytes> {
    let (checked, mut sum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    if crc32fast::hash(checked) != sum.try_get_u32_le().ok()? {
        return None;
    }
    let mut rest = bytes.slice_ref(checked.strip_prefix(MAGIC)?);
    let mut part = || {
        let length = rest.try_get_u32_le().ok()? as usize;
        (length <= rest.len()).then(|| rest.split_to(length))
    };
    let (said, known) = (part()?, part()?);
    (said == about.as_bytes() && rest.is_empty()).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{ETag, ObjectKey};
    use std::time::SystemTime;

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
        IndexCache::new(place, Runtime::current())
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
        let path = cache.path(&cache.about(&one, WHAT).unwrap());
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
        let other = entry(&cache.about(&version("k", "\"2\""), WHAT).unwrap(), b"known");
        fs::write(&path, other).unwrap();
        assert_eq!(cache.load(&one, WHAT).await, None);
        fs::write(&path, right).unwrap();
        assert!(cache.load(&one, WHAT).await.is_some());
    }
}
