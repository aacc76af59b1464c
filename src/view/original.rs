//! What siblings are made from: an object version, or a file in memory.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};
use std::time::SystemTime;

use crate::key::{ObjectKey, ObjectVersion};
use crate::raster::{Beside, Source};

/// What siblings are made from, with the files beside it that belong to it, each in one version.
/// Two values that are equal have the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Original {
    pub(super) content: Content,
    beside: Arc<[(Beside, Original)]>,
}

/// Where the bytes of an original are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Content {
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
    /// A version of an object, with nothing beside it.
    pub fn object(version: ObjectVersion) -> Self {
        Original { content: Content::Object(version), beside: Arc::default() }
    }

    /// A state of a file in memory, with nothing beside it.
    pub fn file(file: FileImage) -> Self {
        Original { content: Content::File(file), beside: Arc::default() }
    }

    /// With the files that lie beside it.
    #[must_use]
    pub fn with_beside(self, files: Vec<(Beside, Original)>) -> Self {
        Original { beside: files.into(), ..self }
    }

    /// The files that lie beside it.
    pub(super) fn beside(&self) -> &[(Beside, Original)] {
        &self.beside
    }

    /// The version of an object that it is, if it is one.
    pub fn version(&self) -> Option<&ObjectVersion> {
        match &self.content {
            Content::Object(version) => Some(version),
            Content::File(_) => None,
        }
    }

    /// What stands for its bytes and those of the files beside it; `None` if nothing does for
    /// one of them.
    pub fn tag(&self) -> Option<String> {
        let own = self.version()?.etag.as_ref()?.as_str().trim_matches('"').to_owned();
        let with = |all: String, other: &Original| Some(format!("{all}+{}", other.tag()?));
        self.beside.iter().try_fold(own, |all, (_, other)| with(all, other))
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::Object(version) => version.size,
            Content::File(file) => file.size,
        }
    }

    /// The object's key or the file's path.
    pub fn name(&self) -> &str {
        match &self.content {
            Content::Object(version) => version.key.as_str(),
            Content::File(file) => &file.name,
        }
    }

    /// The object's key; a file has none.
    pub fn key(&self) -> Option<&ObjectKey> {
        self.version().map(|version| &version.key)
    }

    /// When it was written, or the last of the files beside it.
    pub fn modified(&self) -> SystemTime {
        let own = match &self.content {
            Content::Object(version) => version.last_modified,
            Content::File(file) => file.modified,
        };
        let beside = self.beside.iter().map(|(_, file)| file.modified());
        beside.fold(own, SystemTime::max)
    }
}
