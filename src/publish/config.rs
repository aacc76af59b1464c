//! What may be changed in the bucket, and how.

use std::path::PathBuf;
use std::sync::Arc;

/// Settings of a [`Publisher`](super::Publisher).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadConfig {
    /// Whether objects that exist may be overwritten.
    pub allow_overwrite: bool,
    /// Whether objects may be deleted.
    pub allow_delete: bool,
    /// The media type of everything; `None` takes it from the name's ending.
    pub content_type: Option<Arc<str>>,
    /// Names that stay in memory.
    pub memory_only: Vec<glob::Pattern>,
    /// How many objects a directory may have to be renamed; 0 renames none.
    pub rename_objects: u64,
    /// Which bucket it is, for the record of uploads that were not finished.
    pub bucket: String,
    /// Where that record is; `None` keeps none.
    pub record_folder: Option<PathBuf>,
    /// How large the first parts of a large file are, in bytes; a file of up to two of
    /// them is sent in one request. S3 takes none under 5 MiB.
    pub part_bytes: u64,
}

impl Default for UploadConfig {
    fn default() -> Self {
        UploadConfig {
            allow_overwrite: false,
            allow_delete: false,
            content_type: None,
            memory_only: Vec::new(),
            rename_objects: 0,
            bucket: String::new(),
            record_folder: None,
            part_bytes: 8 << 20,
        }
    }
}
