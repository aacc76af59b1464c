//! What an inode stands for.

use std::sync::Arc;

use crate::catalog::{Dir, Node};
use crate::overlay::{DirKey, Item, Made};
use crate::store::ListedObject;
use crate::view::{Original, ViewKind};

/// What an inode stands for: what is in the bucket, a virtual sibling, or what a
/// program made.
#[derive(Debug, Clone)]
pub(super) enum Thing {
    Dir(Dir),
    Object(ListedObject),
    View(Sibling),
    Made(Arc<Made>),
}

/// A virtual sibling of an image.
#[derive(Debug, Clone)]
pub(super) struct Sibling {
    /// The image.
    pub(super) original: Original,
    pub(super) kind: ViewKind,
    /// Its size in bytes.
    pub(super) size: u64,
}

/// A directory: one of the bucket's, with what lies over it, or one that a program
/// made.
#[derive(Debug, Clone)]
pub(super) enum Folder {
    Bucket(Dir),
    Made(Arc<Made>),
}

impl Folder {
    /// What the overlay knows it by.
    pub(super) fn key(&self) -> DirKey {
        match self {
            Folder::Bucket(dir) => DirKey::Bucket(dir.clone()),
            Folder::Made(made) => DirKey::Made(made.ino()),
        }
    }

    /// What of the bucket it shows.
    pub(super) fn bucket(&self) -> Option<&Dir> {
        match self {
            Folder::Bucket(dir) => Some(dir),
            Folder::Made(_) => None,
        }
    }
}

impl Thing {
    /// The directory that it is, if it is one.
    pub(super) fn folder(&self) -> Option<Folder> {
        match self {
            Thing::Dir(dir) => Some(Folder::Bucket(dir.clone())),
            Thing::Made(made) if made.is_dir() => Some(Folder::Made(made.clone())),
            Thing::Made(_) | Thing::Object(_) | Thing::View(_) => None,
        }
    }

    /// As the overlay keeps it; a sibling is never kept.
    pub(super) fn item(&self) -> Option<Item> {
        match self {
            Thing::Dir(dir) => Some(Item::Bucket(Node::Dir(dir.clone()))),
            Thing::Object(object) => Some(Item::Bucket(Node::Object(object.clone()))),
            Thing::Made(made) => Some(Item::Made(made.clone())),
            Thing::View(_) => None,
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

impl From<Item> for Thing {
    fn from(item: Item) -> Self {
        match item {
            Item::Made(made) => Thing::Made(made),
            Item::Bucket(node) => node.into(),
        }
    }
}
