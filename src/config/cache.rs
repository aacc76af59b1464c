//! The cache on disk.

use std::path::Path;

use super::{ConfigError, absolute, size};
use crate::cli::CacheArgs;
use crate::disk::DiskConfig;

const DEFAULT_BYTES: u64 = 10 << 30;
/// With less than this it does not hold what one program reads.
const MIN_BYTES: u64 = 16 << 20;
/// What waits to be written may take one part in so many of the memory, and this at most.
const QUEUE_SHARE: u64 = 16;
const MAX_QUEUE_BYTES: u64 = 64 << 20;

/// Where the cache is; `None` if there is to be none. `place` names the server and the bucket.
pub(super) fn cache_config(
    args: &CacheArgs,
    place: &str,
    mount_point: &Path,
    memory_bytes: u64,
) -> Result<Option<DiskConfig>, ConfigError> {
    let Some(folder) = &args.cache_dir else {
        return match &args.cache_size {
            None => Ok(None),
            Some(_) => Err(ConfigError::CacheSizeAlone),
        };
    };
    let folder = absolute(folder)?;
    if folder.starts_with(mount_point) {
        return Err(ConfigError::CacheInsideMount { folder: folder.display().to_string() });
    }
    let limit_bytes = match &args.cache_size {
        None => DEFAULT_BYTES,
        Some(text) => size::parse(text)
            .filter(|&bytes| bytes >= MIN_BYTES)
            .ok_or_else(|| ConfigError::CacheSize(text.clone()))?,
    };
    let queue_bytes = (memory_bytes / QUEUE_SHARE).min(MAX_QUEUE_BYTES);
    Ok(Some(DiskConfig { folder, limit_bytes, queue_bytes, place: place.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(dir: Option<&str>, size: Option<&str>) -> Result<Option<DiskConfig>, ConfigError> {
        let (cache_dir, cache_size) = (dir.map(Into::into), size.map(str::to_owned));
        let args = CacheArgs { cache_dir, cache_size, ..CacheArgs::default() };
        cache_config(&args, "aws/b", Path::new("/mnt/b"), 1 << 30)
    }

    #[test]
    fn nothing_goes_to_disk_unless_it_is_asked_for() {
        assert_eq!(config(None, None), Ok(None));
        assert_eq!(config(None, Some("1G")), Err(ConfigError::CacheSizeAlone));
    }

    #[test]
    fn a_cache_has_a_folder_outside_of_the_mount_and_a_size() {
        let found = config(Some("/var/cache/s"), None).unwrap().unwrap();
        assert_eq!(found.folder, Path::new("/var/cache/s"));
        assert_eq!((found.limit_bytes, found.queue_bytes), (10 << 30, 64 << 20));
        assert_eq!(config(Some("/c"), Some("16M")).unwrap().unwrap().limit_bytes, 16 << 20);
        for text in ["15M", "0", "much", ""] {
            assert_eq!(config(Some("/c"), Some(text)), Err(ConfigError::CacheSize(text.into())));
        }
        let folder = "/mnt/b/c".to_owned();
        assert_eq!(config(Some(&folder), None), Err(ConfigError::CacheInsideMount { folder }));
    }
}
