//! Whether a version of an object may be taken away or replaced.

use std::sync::Arc;

use super::config::UploadConfig;
use super::made::Made;
use crate::key::ObjectVersion;
use crate::mem::Budget;

/// What flags allow, and what this mount has made itself.
#[derive(Debug)]
pub struct Allowed {
    overwrite: bool,
    delete: bool,
    pub(super) made: Made,
}

impl Allowed {
    /// Nothing was made yet; what is remembered is counted in `budget`.
    pub(super) fn new(config: &UploadConfig, budget: &Arc<Budget>) -> Self {
        Allowed {
            overwrite: config.allow_overwrite,
            delete: config.allow_delete,
            made: Made::new(budget),
        }
    }

    /// Whether other bytes may be put in the place of this version.
    pub fn overwrites(&self, version: &ObjectVersion) -> bool {
        self.overwrite || self.made.has(version)
    }

    /// Whether this version may be deleted, or get another name.
    pub fn deletes(&self, version: &ObjectVersion) -> bool {
        self.delete || self.made.has(version)
    }
}
