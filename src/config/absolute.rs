//! Paths as they were meant, without touching the disk.

use std::path::{self, Path, PathBuf};

use super::error::ConfigError;

/// An absolute path without touching the disk: the mount point may be dead, and
/// then looking at it fails.
pub(crate) fn absolute(typed: &Path) -> Result<PathBuf, ConfigError> {
    if typed == "~" || typed.starts_with("~") {
        return Err(ConfigError::Tilde(typed.display().to_string()));
    }
    path::absolute(typed).map_err(|_| ConfigError::RelativePath(typed.display().to_string()))
}
