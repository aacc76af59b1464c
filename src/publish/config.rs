//! What may be changed in the bucket, and how.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::PublishError;
use crate::key::ObjectKey;
use crate::names::Folder;

/// The longest key that S3 takes, in bytes.
const MAX_KEY_BYTES: usize = 1024;

/// When `close` returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnClose {
    /// When the file is in the bucket.
    #[default]
    Wait,
    /// At once; the file is sent afterwards.
    Later,
}

/// Where unfinished uploads are written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordPlace {
    /// Which bucket it is.
    pub bucket: String,
    /// The folder of the record; `None` keeps none.
    pub folder: Option<PathBuf>,
}

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
    /// When `close` returns.
    pub on_close: OnClose,
    /// Where uploads that were not finished are written down.
    pub record: RecordPlace,
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
            on_close: OnClose::default(),
            record: RecordPlace::default(),
            part_bytes: 8 << 20,
        }
    }
}

impl UploadConfig {
    /// The object that a name stands for in the bucket; `None` if what is made there stays
    /// in memory.
    ///
    /// # Errors
    /// EINVAL for a name that no key has, ENAMETOOLONG.
    pub fn key_for(&self, folder: &Folder, name: &str) -> Result<Option<ObjectKey>, PublishError> {
        let Folder::Bucket(dir) = folder else { return Ok(None) };
        if self.memory_only.iter().any(|pattern| pattern.matches(name)) {
            return Ok(None);
        }
        let key = dir.key_of(name).ok_or(PublishError::NoSuchKey)?;
        match key.as_str().len() <= MAX_KEY_BYTES {
            true => Ok(Some(key)),
            false => Err(PublishError::KeyTooLong),
        }
    }
}
