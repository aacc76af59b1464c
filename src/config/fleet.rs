//! The cache that mounts share.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{ConfigError, Shown, Source, absolute};
use crate::cli::CacheArgs;
use crate::fleet::{self, FleetConfig, Places, SigningKey};

/// What waits to be put there may take one part in so many of the memory, and this at most.
const QUEUE_SHARE: u64 = 32;
const MAX_QUEUE_BYTES: u64 = 32 << 20;
/// No key is longer.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// Where the shared cache is; `None` if there is to be none. `server` is what objects are called by
/// that are mounted.
pub(super) fn fleet_config(
    args: &CacheArgs,
    server: &str,
    shown: &Shown,
    memory_bytes: u64,
) -> Result<Option<FleetConfig>, ConfigError> {
    let Some(text) = &args.shared_cache else {
        let alone = [
            (args.shared_cache_key.is_some(), "--shared-cache-key"),
            (args.shared_cache_tiles, "--shared-cache-tiles"),
        ];
        let alone = alone.into_iter().find(|(is_given, _)| *is_given);
        return alone.map_or(Ok(None), |(_, flag)| Err(ConfigError::SharedCacheAlone(flag)));
    };
    let refused = || ConfigError::SharedCache(text.clone());
    if !text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("s3://")) {
        return Err(refused());
    }
    let Source { bucket, prefix } = Source::parse(OsStr::new(text)).map_err(|_| refused())?;
    let buckets = match shown {
        Shown::One(one) => fleet::Shown::One(one.bucket.clone()),
        Shown::Several(_) => {
            let folders = shown.folders().into_iter();
            fleet::Shown::Folders(
                folders.map(|(name, of)| (name, (of.bucket, of.prefix))).collect(),
            )
        }
        Shown::All => fleet::Shown::All,
    };
    Ok(Some(FleetConfig {
        bucket,
        prefix,
        places: Places { server: server.trim_end_matches('/').to_owned(), buckets },
        key: args.shared_cache_key.as_deref().map(key).transpose()?,
        has_tiles: args.shared_cache_tiles,
        queue_bytes: (memory_bytes / QUEUE_SHARE).min(MAX_QUEUE_BYTES),
    }))
}

fn key(file: &Path) -> Result<SigningKey, ConfigError> {
    let file = absolute(file)?;
    let refused =
        |reason: String| ConfigError::SharedCacheKey { file: file.display().to_string(), reason };
    let mut bytes = Vec::new();
    let opened = File::open(&file).map_err(|error| refused(error.to_string()))?;
    let read = opened.take(MAX_KEY_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| refused(error.to_string()))?;
    if bytes.len() as u64 > MAX_KEY_BYTES {
        return Err(refused(format!("it has more than {MAX_KEY_BYTES} bytes")));
    }
    SigningKey::new(&bytes).ok_or_else(|| {
        refused(format!(
            "it has {} bytes, and could be guessed: {} are the least",
            bytes.len(),
            SigningKey::MIN_BYTES
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;
    use std::fs;

    fn config(args: &CacheArgs) -> Result<Option<FleetConfig>, ConfigError> {
        let shown = Shown::parse(&[OsString::from("tiles/10")], false).unwrap();
        fleet_config(args, "aws", &shown, 1 << 30)
    }

    fn at(text: &str) -> CacheArgs {
        CacheArgs { shared_cache: Some(text.into()), ..CacheArgs::default() }
    }

    #[test]
    fn nothing_is_shared_unless_a_bucket_is_named() {
        assert_eq!(config(&CacheArgs::default()), Ok(None));
        let alone = CacheArgs { shared_cache_tiles: true, ..CacheArgs::default() };
        assert_eq!(config(&alone), Err(ConfigError::SharedCacheAlone("--shared-cache-tiles")));
        let found = config(&at("s3://fleet/made")).unwrap().unwrap();
        assert_eq!((found.bucket.as_str(), found.prefix.as_str()), ("fleet", "made/"));
        assert_eq!((found.has_tiles, found.queue_bytes, found.key), (false, 32 << 20, None));
        assert_eq!(config(&at("s3://fleet")).unwrap().unwrap().prefix.as_str(), "");
        for text in ["fleet/made", "s3://", "s3://-/x", "/var/cache", ""] {
            assert_eq!(config(&at(text)), Err(ConfigError::SharedCache(text.into())));
        }
    }

    #[test]
    fn a_key_is_a_file_that_nobody_guesses() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let args = || CacheArgs { shared_cache_key: Some(file.clone()), ..at("s3://fleet") };
        let refused = |part: &str| {
            let error = config(&args()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        refused("No such file");
        fs::write(&file, [1; 15]).unwrap();
        refused("it has 15 bytes");
        fs::write(&file, vec![1; 70_000]).unwrap();
        refused("more than 65536 bytes");
        fs::write(&file, [1; 16]).unwrap();
        assert_eq!(config(&args()).unwrap().unwrap().key, SigningKey::new(&[1; 16]));
    }
}
