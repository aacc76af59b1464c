//! What siblings are made from: an object version, or a file in memory.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use crate::key::{ETag, ObjectKey, ObjectVersion};
use crate::raster::Source;

/// What siblings are made from. Two values that are equal have the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Original {
    /// A version of an object.
    Object(ObjectVersion),
    /// A state of a file in memory.
    File(FileImage),
}

/// One state of a file in memory. It does not keep the file's bytes: once their
/// owner has let go of them, what is made from them fails as [`Changed`].
///
/// [`Changed`]: super::Changed
#[derive(Debug, Clone)]
pub struct FileImage {
    /// Which file.
    pub id: u64,
    /// Which of its states.
    pub generation: u64,
    /// Its path, for messages.
    pub name: Arc<str>,
    /// When it was written.
    pub modified: SystemTime,
    pub(super) source: Weak<dyn Source>,
    size: u64,
}

impl FileImage {
    /// The state `generation` of the file `id`, whose bytes `source` gives as long
    /// as somebody else holds it.
    pub fn new(
        id: u64,
        generation: u64,
        name: impl Into<Arc<str>>,
        source: &Arc<dyn Source>,
        modified: SystemTime,
    ) -> Self {
        let (size, source) = (source.size(), Arc::downgrade(source));
        FileImage { id, generation, name: name.into(), modified, source, size }
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl PartialEq for FileImage {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.generation) == (other.id, other.generation)
    }
}

impl Eq for FileImage {}

impl Hash for FileImage {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.id, self.generation).hash(state);
    }
}

impl Original {
    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Original::Object(version) => version.size,
            Original::File(file) => file.size,
        }
    }

    /// The object's key or the file's path.
    pub fn name(&self) -> &str {
        match self {
            Original::Object(version) => version.key.as_str(),
            Original::File(file) => &file.name,
        }
    }

    /// The object's key; a file has none.
    pub fn key(&self) -> Option<&ObjectKey> {
        match self {
            Original::Object(version) => Some(&version.key),
            Original::File(_) => None,
        }
    }

    /// When it was written.
    pub fn modified(&self) -> SystemTime {
        match self {
            Original::Object(version) => version.last_modified,
            Original::File(file) => file.modified,
        }
    }

    /// The object's entity tag; a file has none.
    pub fn etag(&self) -> Option<&ETag> {
        match self {
            Original::Object(version) => version.etag.as_ref(),
            Original::File(_) => None,
        }
    }
}
