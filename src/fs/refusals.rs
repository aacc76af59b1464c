//! What the mount's flags do not allow, said once for each file and flag, and counted.
//!
//! The program is told EPERM, or EXDEV and copies; neither says that a flag would allow it.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use lru::LruCache;

use super::error::FsError;
use crate::publish::UploadConfig;

/// How many are remembered, as a number each; what was forgotten is said again.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// What a program wants to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The bytes of an object.
    Overwrite,
    /// To delete an object or a folder.
    Delete,
    /// To give a file another name: whether that replaces an object, and takes the name
    /// from one, that the mount's flags protect.
    Rename { overwrites: bool, deletes: bool },
    /// To give a folder another name.
    RenameFolder,
}

/// What was refused so far.
#[derive(Debug)]
pub(super) struct Refusals {
    /// A leaf: under this lock nothing else is done.
    said: Mutex<LruCache<u64, ()>>,
    count: AtomicU64,
}

impl Default for Refusals {
    fn default() -> Self {
        Refusals { said: Mutex::new(LruCache::new(REMEMBERED)), count: AtomicU64::new(0) }
    }
}

impl Refusals {
    /// How many changes were refused.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Counts a failed change if a flag would have allowed it, and says so if that is new.
    pub(super) fn note(
        &self,
        what: &dyn fmt::Display,
        change: Change,
        error: &FsError,
        config: &UploadConfig,
    ) {
        let Some((flag, verb)) = missing_flag(change, error, config) else { return };
        self.count.fetch_add(1, Ordering::Relaxed);
        let what = what.to_string();
        let mut hasher = DefaultHasher::new();
        (&what, verb, &flag).hash(&mut hasher);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = said.put(hasher.finish(), ()).is_none();
        drop(said);
        if is_new {
            tracing::info!("\"{}\" was not {verb}: this takes {flag}", what.escape_debug());
        }
    }
}

/// The flag that would allow a change that failed with `error`, and what did not happen.
fn missing_flag(
    change: Change,
    error: &FsError,
    config: &UploadConfig,
) -> Option<(String, &'static str)> {
    let overwrite = (!config.allow_overwrite).then_some("--allow-overwrite");
    let delete = (!config.allow_delete).then_some("--allow-delete");
    let (flags, verb) = match (change, error) {
        (Change::RenameFolder, FsError::CrossDevice) if config.rename_objects > 0 => {
            let flag = format!(
                "--rename-directories of more than {}, and all files below to be in the bucket",
                config.rename_objects
            );
            return Some((flag, "renamed as a folder"));
        }
        (Change::RenameFolder, FsError::CrossDevice) => {
            (vec![Some("--rename-directories"), delete], "renamed as a folder")
        }
        (Change::Overwrite, FsError::NotPermitted) => (vec![overwrite], "overwritten"),
        (Change::Delete, FsError::NotPermitted) => (vec![delete], "deleted"),
        (Change::Rename { overwrites, deletes }, FsError::NotPermitted) => {
            let of = |is_lacking: bool, flag: Option<&'static str>| flag.filter(|_| is_lacking);
            (vec![of(overwrites, overwrite), of(deletes, delete)], "renamed")
        }
        (Change::RenameFolder, FsError::NotPermitted) => (vec![delete], "renamed"),
        _ => return None,
    };
    let flags: Vec<&str> = flags.into_iter().flatten().collect();
    (!flags.is_empty()).then(|| (flags.join(" and "), verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(change: Change, error: &FsError, config: &UploadConfig) -> Option<String> {
        missing_flag(change, error, config).map(|(flag, _)| flag)
    }

    #[test]
    fn each_refusal_names_the_flags_that_would_allow_it() {
        let none = UploadConfig::default();
        let refused = FsError::NotPermitted;
        let of = |change| flag(change, &refused, &none).unwrap();
        assert_eq!(of(Change::Overwrite), "--allow-overwrite");
        assert_eq!(of(Change::Delete), "--allow-delete");
        let rename = |overwrites, deletes| Change::Rename { overwrites, deletes };
        assert_eq!(of(rename(false, true)), "--allow-delete");
        assert_eq!(of(rename(true, false)), "--allow-overwrite");
        assert_eq!(of(rename(true, true)), "--allow-overwrite and --allow-delete");
        assert_eq!(of(Change::RenameFolder), "--allow-delete");
        let folder = flag(Change::RenameFolder, &FsError::CrossDevice, &none).unwrap();
        assert_eq!(folder, "--rename-directories and --allow-delete");
        let some = UploadConfig { rename_objects: 10, allow_delete: true, ..none };
        let folder = flag(Change::RenameFolder, &FsError::CrossDevice, &some).unwrap();
        assert!(folder.starts_with("--rename-directories of more than 10"), "{folder}");
    }

    #[test]
    fn what_no_flag_would_allow_is_no_refusal() {
        let all =
            UploadConfig { allow_delete: true, allow_overwrite: true, ..UploadConfig::default() };
        assert_eq!(flag(Change::Delete, &FsError::NotPermitted, &all), None);
        assert_eq!(flag(Change::Delete, &FsError::Stale, &UploadConfig::default()), None);
    }

    #[test]
    fn all_are_counted_and_memory_is_bounded() {
        let (refusals, config) = (Refusals::default(), UploadConfig::default());
        for number in 0..3000 {
            refusals.note(&number, Change::Delete, &FsError::NotPermitted, &config);
        }
        assert_eq!(refusals.count(), 3000);
        assert_eq!(refusals.said.lock().unwrap().len(), 1024);
    }
}
