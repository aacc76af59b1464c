//! What a name stands for: what programs made of it, else what the bucket has, else a
//! virtual sibling of an image, in that order.
//!
//! Contract: answers what a name or an inode number stands for, and notes what others
//! changed. An inode of the bucket is a (key, version): an overwritten object is another
//! inode, so whatever the kernel caches of an inode stays right. Never writes to the
//! bucket: `publish` calls `names`, and `names` never calls `publish`. A look-up changes
//! nothing but the count of look-ups.
//!
//! ## Locks
//!
//! [`Rank`](crate::sync::Rank) has the order of all locks; these two come first:
//!
//! 1. `tree`: held over a change that must be seen as one, such as both names of a
//!    rename. Under it, who copies an object for a writer finds out where its name is.
//! 2. `inodes`: held for a look at the table. Taken alone, or under `tree`.
//!
//! No guard leaves this room: each method is a whole question or a whole change.

mod attr;
mod beside;
mod bucket;
mod change;
mod contents;
mod deleted;
mod deleting;
mod error;
mod following;
mod found;
mod ino;
mod inodes;
mod missing;
mod originals;
mod place;
mod refresh;
mod rename;
mod resolve;
mod siblings;
mod thing;
mod tree;
pub mod ttl;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

pub use attr::{Attr, Kind, Looks};
pub use bucket::BucketChange;
pub use contents::{Contents, Slot};
pub use deleted::Beside;
pub use error::NameError;
pub use following::{Numbers, Of, ending_of};
pub use found::Found;
pub use ino::{Ino, ROOT};
pub use inodes::{Inodes, KnownHead};
pub use place::Place;
pub use rename::RenameHow;
pub use thing::{Folder, Sibling, Thing};
pub use ttl::{Ttl, WritesGo};

use deleted::DeletedSiblings;
use missing::MissingInRoot;
use originals::DraftImages;
use tree::{NodeId, Tree};

use crate::catalog::{Catalog, Dir};
use crate::drafts::Drafts;
use crate::mem::Budget;
use crate::sync::{Mutex, Rank};
use crate::view::Views;

/// Names and attributes may take this part of the memory that drafts may take.
const NAMES_SHARE: u64 = 4;

/// A name whose inode is no longer the right one; the kernel should forget it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outdated {
    /// The directory that the name is in.
    pub parent: Ino,
    /// The name.
    pub name: String,
}

/// What the kernel's side is told.
#[derive(Debug)]
pub enum Notice {
    /// The kernel should forget a name.
    Outdated(Outdated),
    /// Somebody waits until all that came before is done.
    Told(tokio::sync::oneshot::Sender<()>),
}

/// What [`Names`] is built of.
#[derive(Debug)]
pub struct NamesParts {
    /// What the root shows.
    pub root: Dir,
    /// What the bucket has.
    pub catalog: Catalog,
    /// The siblings of images.
    pub views: Arc<Views>,
    /// What programs wrote; `None` where they may not.
    pub drafts: Option<Arc<Drafts>>,
    /// How long answers hold.
    pub ttl: Ttl,
    /// How things of the bucket look.
    pub looks: Looks,
    /// Where inodes and names are counted.
    pub budget: Arc<Budget>,
}

/// All names of one mount.
#[derive(Debug)]
pub struct Names {
    catalog: Catalog,
    siblings: Siblings,
    drafts: Option<Arc<Drafts>>,
    tree: Mutex<Tree>,
    inodes: Inodes,
    ttl: Ttl,
    looks: Looks,
    notices: Notices,
}

/// What is needed to tell the siblings of an image.
#[derive(Debug)]
struct Siblings {
    views: Arc<Views>,
    /// Drafts that were looked at as images.
    images: DraftImages,
    /// Which were deleted.
    deleted: DeletedSiblings,
}

/// Where it is said which names the kernel should forget.
#[derive(Debug)]
pub struct Notices {
    sender: Sender<Notice>,
    receiver: std::sync::Mutex<Option<Receiver<Notice>>>,
    missing_in_root: MissingInRoot,
}

impl Names {
    /// No name is known yet but the root's.
    pub fn new(parts: NamesParts) -> Self {
        let NamesParts { root, catalog, views, drafts, ttl, looks, budget } = parts;
        let limit = drafts.as_ref().map_or(0, |drafts| drafts.arena().limit_bytes());
        let (sender, receiver) = channel();
        Names {
            catalog,
            siblings: Siblings {
                views,
                images: DraftImages::default(),
                deleted: DeletedSiblings::new(&budget),
            },
            drafts,
            tree: Mutex::new(Rank::Tree, Tree::new(&budget, limit / NAMES_SHARE)),
            inodes: Inodes::new(root, &budget),
            ttl,
            looks,
            notices: Notices {
                sender,
                receiver: std::sync::Mutex::new(Some(receiver)),
                missing_in_root: MissingInRoot::default(),
            },
        }
    }

    /// Where it is said which names the kernel should forget.
    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    /// How long answers hold.
    pub fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// The inodes that the kernel knows.
    pub fn inodes(&self) -> &Inodes {
        &self.inodes
    }

    /// Counts a look-up that the kernel is about to be told of.
    pub fn enter(&self, place: &Place, found: Found) -> (Option<Attr>, Duration) {
        let Some(thing) = found.thing else {
            let is_sibling = self.siblings.kinds().sources(&place.name).next().is_some();
            let ttl = self.ttl.missing(found.ttl, is_sibling);
            let is_in_root = place.parent == ROOT;
            let ttl =
                if is_in_root { self.notices.missing_in_root.note(&place.name, ttl) } else { ttl };
            return (None, ttl);
        };
        let ttl = found.ttl.min(ttl::LONGEST).min(self.ttl.name(&thing));
        let ino = self.inodes.look_up(&thing, || place.clone());
        (Some(self.attr(ino, &thing)), ttl)
    }

    /// The attributes of something that a directory shows; with `counts`, counts a look-up
    /// of it.
    pub fn listed(&self, place: impl FnOnce() -> Place, thing: &Thing, counts: bool) -> Attr {
        let ino = match counts {
            true => self.inodes.look_up(thing, place),
            false => self.inodes.number_of(thing),
        };
        self.attr(ino, thing)
    }

    /// The attributes of an inode and how long they hold.
    ///
    /// # Errors
    /// The kernel was never told of it.
    pub fn getattr(&self, ino: Ino) -> Result<(Attr, Duration), NameError> {
        let thing = self.inodes.thing(ino)?;
        Ok((self.attr(ino, &thing), Ttl::attributes(&thing)))
    }

    /// The attributes of a thing that has this number.
    pub fn attr(&self, ino: Ino, thing: &Thing) -> Attr {
        if self.drafts.is_none() {
            return self.looks.of(ino, thing, false, None);
        }
        let changed = NodeId::of(thing).and_then(|id| self.tree.lock().attributes(&id));
        let is_deleted = self.inodes.is_unnamed(ino);
        self.looks.of(ino, thing, is_deleted, changed)
    }

    /// Notes that the object of an inode was overwritten: its next open is ESTALE, which
    /// makes the kernel look the name up again.
    pub fn note_changed(&self, ino: Ino) {
        let Some(place) = self.inodes.mark_stale(ino) else { return };
        if let Folder::Bucket(dir) = &place.folder {
            self.bucket().forget_object(&place);
            self.catalog.invalidate(dir);
        }
        self.notices.send(place.parent, place.name);
    }
}

impl Notices {
    /// Takes the receiver; `None` after the first call.
    pub fn outdated(&self) -> Option<Receiver<Notice>> {
        crate::sync::lock(&self.receiver).take()
    }

    /// Makes the kernel forget what a name stands for.
    pub fn send(&self, parent: Ino, name: String) {
        // Only fails when nobody listens, as in tests without a kernel.
        let _ = self.sender.send(Notice::Outdated(Outdated { parent, name }));
    }
}
