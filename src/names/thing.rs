//! What a name, and the inode behind it, stand for.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::catalog::{Dir, Node};
use crate::drafts::Draft;
use crate::key::ObjectVersion;
use crate::store::ListedObject;
use crate::view::{Original, View};

/// What an inode stands for: a closed set.
#[derive(Debug, Clone)]
pub enum Thing {
    /// A directory of the bucket.
    Dir(Dir),
    /// A version of an object.
    Object(ListedObject),
    /// A virtual file beside an image.
    Sibling(Sibling),
    /// Something that a program made.
    Draft(Arc<Draft>),
}

/// A virtual sibling of an image.
#[derive(Debug, Clone)]
pub struct Sibling {
    /// The image.
    pub original: Original,
    /// Which of its siblings.
    pub view: View,
    /// The size in bytes.
    pub size: u64,
}

/// A directory: one of the bucket's, with the names that programs changed in it, or one
/// that a program made.
#[derive(Debug, Clone)]
pub enum Folder {
    /// One of the bucket's.
    Bucket(Dir),
    /// One that a program made.
    Draft(Arc<Draft>),
}

impl Folder {
    /// The directory of the bucket that it shows, if any.
    pub fn bucket(&self) -> Option<&Dir> {
        match self {
            Folder::Bucket(dir) => Some(dir),
            Folder::Draft(_) => None,
        }
    }

    /// Whether it is a directory of the bucket at this prefix or below it.
    pub(super) fn is_below(&self, prefix: &str) -> bool {
        self.bucket().is_some_and(|dir| dir.prefix().as_str().starts_with(prefix))
    }
}

impl PartialEq for Folder {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Folder::Bucket(one), Folder::Bucket(other)) => one == other,
            (Folder::Draft(one), Folder::Draft(other)) => one.ino() == other.ino(),
            (Folder::Bucket(_) | Folder::Draft(_), _) => false,
        }
    }
}

impl Eq for Folder {}

impl Hash for Folder {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Folder::Bucket(dir) => dir.hash(state),
            Folder::Draft(draft) => draft.ino().hash(state),
        }
    }
}

impl Thing {
    /// Whether it is among the versions that the bucket keeps of an object.
    pub fn is_old_version(&self) -> bool {
        match self {
            Thing::Dir(dir) => dir.is_among_versions(),
            Thing::Object(object) => object.version.key.is_among_versions(),
            Thing::Sibling(_) | Thing::Draft(_) => false,
        }
    }

    /// The directory that it is, if it is one.
    pub fn folder(&self) -> Option<Folder> {
        match self {
            Thing::Dir(dir) => Some(Folder::Bucket(dir.clone())),
            Thing::Draft(draft) if draft.is_dir() => Some(Folder::Draft(draft.clone())),
            Thing::Draft(_) | Thing::Object(_) | Thing::Sibling(_) => None,
        }
    }

    /// What a program made, if it is that.
    pub fn draft(&self) -> Option<&Arc<Draft>> {
        match self {
            Thing::Draft(draft) => Some(draft),
            Thing::Dir(_) | Thing::Object(_) | Thing::Sibling(_) => None,
        }
    }

    /// The version that the bucket has of it, as far as is known.
    pub fn seen(&self) -> Option<ObjectVersion> {
        match self {
            Thing::Object(object) => Some(object.version.clone()),
            Thing::Draft(draft) => draft.progress()?.seen(),
            Thing::Dir(_) | Thing::Sibling(_) => None,
        }
    }
}

impl From<&Folder> for Thing {
    fn from(folder: &Folder) -> Self {
        match folder {
            Folder::Bucket(dir) => Thing::Dir(dir.clone()),
            Folder::Draft(draft) => Thing::Draft(draft.clone()),
        }
    }
}

impl From<Node> for Thing {
    fn from(node: Node) -> Self {
        match node {
            Node::Dir(dir) => Thing::Dir(dir),
            Node::Object(object) => Thing::Object(object),
        }
    }
}
