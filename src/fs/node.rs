//! What an inode stands for.

use crate::catalog::{Dir, Node};
use crate::store::ListedObject;
use crate::view::{Original, ViewKind};

/// What an inode stands for: what is in the bucket, or a virtual sibling of it.
#[derive(Debug, Clone)]
pub(super) enum Thing {
    Dir(Dir),
    Object(ListedObject),
    View(Sibling),
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

impl From<Node> for Thing {
    fn from(node: Node) -> Self {
        match node {
            Node::Dir(dir) => Thing::Dir(dir),
            Node::Object(object) => Thing::Object(object),
        }
    }
}
