//! What follows for names when the bucket has changed: by us, or by somebody else.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::place::Place;
use super::thing::{Folder, Thing};
use super::tree::{Entry, NodeId};
use super::{NameError, Names};
use crate::catalog::{Dir, Node};
use crate::drafts::Draft;
use crate::key::{ObjectKey, ObjectVersion};
use crate::store::ListedObject;

/// What to note when the bucket has changed.
#[derive(Debug, Clone, Copy)]
pub struct BucketChange<'n>(&'n Names);

impl Names {
    /// What follows when the bucket has changed.
    pub fn bucket(&self) -> BucketChange<'_> {
        BucketChange(self)
    }
}

impl BucketChange<'_> {
    /// Notes what the bucket has under a name since now, which listings that are in memory
    /// do not show; `None` for nothing.
    pub fn show(&self, place: &Place, node: Option<Node>) {
        let entry = node.map_or(Entry::Hidden, |node| Entry::Thing(node.into()));
        let until = self.0.ttl.known_until(Instant::now());
        self.0.tree.lock().put_until(&place.folder, &place.name, entry, until);
    }

    /// Makes a name stand for whatever the bucket has there.
    pub fn show_again(&self, place: &Place) {
        self.0.tree.lock().clear(&place.folder, &place.name);
        if let Some(dir) = place.folder.bucket() {
            self.0.catalog.invalidate(dir);
        }
    }

    /// Forgets which object was put under a name: it is another one by now.
    pub(super) fn forget_object(&self, place: &Place) {
        if self.0.ttl.is_published() {
            let mut tree = self.0.tree.lock();
            if let Some(Entry::Thing(Thing::Object(_))) = tree.find(&place.folder, &place.name) {
                tree.clear(&place.folder, &place.name);
            }
        }
    }

    /// Forgets the listing of a directory that turned out to be different.
    pub fn forget_listing(&self, dir: &Dir) {
        self.0.catalog.invalidate(dir);
    }

    /// Forgets the attributes of something of the bucket that is gone.
    pub fn forget_attributes(&self, thing: &Thing) {
        if let Some(id) = NodeId::of(thing) {
            self.0.tree.lock().take_attributes(&id);
        }
    }

    /// Makes an object's inode and attributes those of the copy that replaces it.
    pub fn became(&self, object: &ListedObject, copy: ListedObject) {
        let (from, to) = (NodeId::object(&object.version), NodeId::object(&copy.version));
        self.0.tree.lock().move_attributes(|id| (*id == from).then(|| to.clone()));
        self.0.inodes.replace_thing(&Thing::Object(object.clone()), Thing::Object(copy));
    }

    /// Makes the inode and the name of a draft stand for the object that it is in the
    /// bucket since `since`, so that its memory can be given back; `false` if it is open.
    pub fn settle(&self, draft: &Arc<Draft>, version: ObjectVersion, since: Instant) -> bool {
        let Some(drafts) = &self.0.drafts else { return false };
        let ino = draft.ino();
        if drafts.opened().is_open(ino) {
            return false;
        }
        let object = Thing::Object(ListedObject { version, storage_class: None });
        // Until the name is the object's too, nobody who copies it for a writer gives the
        // copy a name.
        let mut tree = self.0.tree.lock();
        if let Ok(thing) = self.0.inodes.thing(ino)
            && !thing.draft().is_some_and(|now| Arc::ptr_eq(now, draft))
        {
            // Its number is another's by now.
            return true;
        }
        self.0.inodes.replace(ino, object.clone());
        // Whoever opens it from now on is told to look the name up again; whoever was
        // quicker has it open by now.
        if drafts.opened().is_open(ino) {
            self.0.inodes.replace(ino, Thing::Draft(draft.clone()));
            return false;
        }
        if let Some((folder, name)) = tree.home(ino)
            && matches!(tree.find(&folder, &name),
                Some(Entry::Thing(Thing::Draft(held))) if Arc::ptr_eq(held, draft))
        {
            let until = self.0.ttl.known_until(since);
            tree.put_until(&folder, &name, Entry::Thing(object.clone()), until);
        }
        if self.0.looks.differ(draft) {
            // Without room for them they are as the flags say.
            let _ = NodeId::of(&object).map(|id| tree.set_attributes(id, draft.attributes()));
        }
        tree.forget_home(ino);
        self.0.siblings.images.forget(ino);
        true
    }

    /// Forgets entries that have outlived their time.
    pub fn sweep(&self) {
        self.0.tree.lock().sweep();
    }

    /// The drafts below a prefix that belong into the bucket, by inode number: who takes
    /// locks of several takes them in this order.
    pub fn published_below(&self, dir: &Dir) -> Vec<Arc<Draft>> {
        let below = self.0.tree.lock().published_below(dir.prefix());
        let mut drafts: Vec<Arc<Draft>> = below.into_iter().map(|(_, _, draft)| draft).collect();
        drafts.sort_by_key(|draft| draft.ino());
        drafts.dedup_by_key(|draft| draft.ino());
        drafts
    }

    /// Whether there is anything below a prefix that will never be uploaded.
    pub fn any_draft_alone_below(&self, dir: &Dir) -> bool {
        let prefix = dir.prefix().as_str();
        self.0.tree.lock().any_draft_alone(|folder| folder.is_below(prefix))
    }

    /// The drafts that programs have open and that have a name.
    pub fn open_drafts(&self) -> Vec<Arc<Draft>> {
        let Some(drafts) = &self.0.drafts else { return Vec::new() };
        let mut open = self.0.inodes.drafts(&drafts.opened().inodes());
        open.retain(|draft| draft.links() > 0);
        open
    }

    /// Makes all names and inodes below a directory of the bucket those of its new place,
    /// where `copy_of` says what became of each object. `keeps` is asked of each draft
    /// below whether it goes along, and notes where it belongs from then on.
    pub fn moved_below(
        &self,
        (from, to): (&Dir, &Dir),
        copy_of: impl Fn(&ObjectKey) -> Option<ObjectVersion>,
        keeps: impl Fn(&Draft) -> bool,
    ) {
        {
            let mut tree = self.0.tree.lock();
            let written = tree.published_below(from.prefix());
            for dir in [from, to] {
                tree.remove_below(dir.prefix());
            }
            for (dir, name, draft) in written {
                let Some(dir) = dir.moved(from, to) else { continue };
                if keeps(&draft) {
                    let (folder, thing) = (Folder::Bucket(dir), Thing::Draft(draft.clone()));
                    tree.put_until(&folder, &name, Entry::Thing(thing), None);
                    tree.set_home(draft.ino(), &folder, &name);
                }
            }
            tree.take_attributes(&NodeId::Dir(to.clone()));
            tree.move_attributes(|id| match id {
                NodeId::Dir(dir) => dir.moved(from, to).map(NodeId::Dir),
                NodeId::Object(version) => Some(NodeId::object(&copy_of(&version.key)?)),
            });
        }
        for changed in [from, to] {
            self.0.catalog.invalidate_below(changed);
        }
        // The kernel knows what is below by its inodes, which it keeps.
        self.0.inodes.rebase(|thing| match thing {
            Thing::Dir(below) => below.moved(from, to).map(Thing::Dir),
            Thing::Object(object) => copy_of(&object.version.key).map(|version| {
                let storage_class = object.storage_class.clone();
                Thing::Object(ListedObject { version, storage_class })
            }),
            Thing::Sibling(_) | Thing::Draft(_) => None,
        });
    }

    /// Notes that a directory of the bucket was renamed now.
    pub fn touch_dir(&self, dir: Dir) {
        let thing = Thing::Dir(dir);
        let mut of = self.0.attr(self.0.inodes.number_of(&thing), &thing).of;
        of.changed = SystemTime::now();
        // Without room for it the time stays as it was.
        let _: Result<(), NameError> = self.0.set_attributes(&thing, of);
    }
}
