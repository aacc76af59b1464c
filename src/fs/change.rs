//! Changing which names there are: create, delete, rename, link.
//!
//! What the kernel calls with names that it has looked up, holding its own lock on
//! the directory; so two programs never create one name at once.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use super::attr::kept;
use super::directory::LONGEST_TTL;
use super::inode::Place;
use super::node::{Folder, Thing};
use super::{Attr, FileSystem, FsError, Ino, OpenHow, Opened, Outdated};
use crate::catalog::Walk;
use crate::key::ObjectKey;
use crate::overlay::{Attributes, Body, BucketThing, Entry, Item, Made, Tree};
use crate::view::has_image_name;

/// The longest name that Linux takes, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 255;
/// The bit of a directory's mode that hands its group down.
const SET_GROUP: u16 = 0o2000;

/// Who makes something, and with which permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maker {
    /// The user.
    pub uid: u32,
    /// The user's group.
    pub gid: u32,
    /// Permission bits, the umask taken off.
    pub mode: u16,
    /// The thread that asks; 0 if that is not known.
    pub thread: u32,
}

/// What is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewNode {
    /// An empty regular file.
    File,
    /// An empty directory.
    Dir,
    /// A symbolic link to a path.
    Symlink(String),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

/// How a rename treats a name that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenameHow {
    /// What has the name is replaced.
    Replace,
    /// The rename fails.
    Keep,
    /// The two change places.
    Exchange,
}

/// A name in a directory.
pub(super) struct Spot {
    pub(super) parent: Ino,
    pub(super) folder: Folder,
    pub(super) name: String,
}

impl Spot {
    fn place(&self) -> Place {
        Place { parent: self.parent, folder: self.folder.clone(), name: self.name.clone() }
    }
}

impl FileSystem {
    /// Makes something new. Counts a look-up of it.
    ///
    /// # Errors
    /// EEXIST when the name is taken, ENOSPC when there is no memory for it.
    pub async fn make(
        &self,
        parent: Ino,
        name: &OsStr,
        node: NewNode,
        maker: Maker,
    ) -> Result<(Attr, Duration), FsError> {
        let spot = self.free_spot(parent, name).await?;
        let thing = match (&node, self.key_for(&spot.folder, &spot.name)?) {
            (NewNode::Dir, Some(_)) => {
                let dir = self.make_marker(&spot).await?;
                let of = self.new_attributes(&spot, &node, maker);
                // Without room for them they are as the flags say.
                let _ = self.overlay()?.tree().set_attributes(BucketThing::Dir(dir.clone()), of);
                Thing::Dir(dir)
            }
            (NewNode::Symlink(_) | NewNode::Fifo | NewNode::Socket, Some(_)) => {
                // A bucket has nothing like that.
                return Err(FsError::NotPermitted);
            }
            (_, key) => Thing::Made(self.make_node(&spot, node, maker, key)?),
        };
        let made = match &thing {
            Thing::Made(made) => Some(made.clone()),
            Thing::Dir(_) | Thing::Object(_) | Thing::View(_) => None,
        };
        self.touch(&spot);
        // mknod(2) makes files that nobody closes.
        if let Some(made) = made {
            self.send(&made).await?;
        }
        let found = (Some(thing), self.made_ttl());
        let (attr, ttl) = self.enter(parent, &spot.folder, &spot.name, found);
        Ok((attr.ok_or(FsError::NotFound)?, ttl))
    }

    /// Makes a file and opens it. Counts a look-up of it.
    ///
    /// # Errors
    /// As [`FileSystem::make`].
    pub async fn create(
        &self,
        parent: Ino,
        name: &OsStr,
        maker: Maker,
    ) -> Result<(Attr, Duration, Opened), FsError> {
        let spot = self.free_spot(parent, name).await?;
        let key = self.key_for(&spot.folder, &spot.name)?;
        let made = self.make_node(&spot, NewNode::File, maker, key)?;
        self.touch(&spot);
        let how = OpenHow { writes: true, truncates: false, thread: maker.thread };
        let opened = self.open_made(made.clone(), how)?;
        let found = (Some(Thing::Made(made)), self.made_ttl());
        let (attr, ttl) = self.enter(parent, &spot.folder, &spot.name, found);
        Ok((attr.ok_or(FsError::NotFound)?, ttl, opened))
    }

    /// A name that is not taken.
    async fn free_spot(&self, parent: Ino, name: &OsStr) -> Result<Spot, FsError> {
        self.overlay()?;
        let spot = self.spot(parent, name)?;
        match self.own(&spot.folder, &spot.name).await?.thing {
            Some(_) => Err(FsError::Exists),
            None => Ok(spot),
        }
    }

    /// Makes something in memory; with `key`, a file that becomes an object.
    fn make_node(
        &self,
        spot: &Spot,
        node: NewNode,
        maker: Maker,
        key: Option<ObjectKey>,
    ) -> Result<Arc<Made>, FsError> {
        let overlay = self.overlay()?;
        let of = self.new_attributes(spot, &node, maker);
        let remote = key.and_then(|key| Some(self.uploads()?.remote(key, None, false)));
        let body = match node {
            NewNode::File => Body::File(overlay.new_file(remote)?),
            NewNode::Dir => Body::Dir,
            NewNode::Symlink(target) => Body::Symlink(target),
            NewNode::Fifo => Body::Fifo,
            NewNode::Socket => Body::Socket,
        };
        let made = Made::new(overlay.new_ino(), body, of);
        let item = Entry::Item(Item::Made(made.clone()));
        overlay.tree().put(&spot.folder.key(), &spot.name, item)?;
        made.set_home(spot.folder.key(), &spot.name);
        self.note_written(&made);
        Ok(made)
    }

    /// The attributes of what `maker` makes in a directory.
    fn new_attributes(&self, spot: &Spot, node: &NewNode, maker: Maker) -> Attributes {
        let of = self.attributes_of(spot);
        let (mut mode, mut gid) = (maker.mode, maker.gid);
        if of.mode & SET_GROUP != 0 {
            gid = of.gid;
            mode |= if *node == NewNode::Dir { SET_GROUP } else { 0 };
        }
        Attributes::new(mode, maker.uid, gid)
    }

    /// Deletes the name of something that is no directory.
    ///
    /// # Errors
    /// ENOENT, EISDIR, EROFS.
    pub async fn unlink(&self, parent: Ino, name: &OsStr) -> Result<(), FsError> {
        let overlay = self.overlay()?;
        let spot = self.spot(parent, name)?;
        let thing = self.any(&spot).await?.ok_or(FsError::NotFound)?;
        if thing.folder().is_some() {
            return Err(FsError::IsADirectory);
        }
        if self.is_in_bucket(&spot, &thing)? {
            self.delete_file(&spot, &thing).await?;
            self.forget_siblings(spot.parent, &spot.name);
        } else {
            let thing = {
                let mut tree = overlay.tree();
                let thing = current(&tree, &spot, thing);
                self.vacate(&mut tree, &spot);
                self.unname(&mut tree, &thing);
                thing
            };
            self.unnamed(&spot, &thing);
        }
        self.touch(&spot);
        Ok(())
    }

    /// Deletes an empty directory.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, ENOTEMPTY, EROFS; what listing it failed with.
    pub async fn rmdir(&self, parent: Ino, name: &OsStr) -> Result<(), FsError> {
        let overlay = self.overlay()?;
        let spot = self.spot(parent, name)?;
        let thing = self.any(&spot).await?.ok_or(FsError::NotFound)?;
        let folder = thing.folder().ok_or(FsError::NotADirectory)?;
        if !self.is_empty(&folder).await? {
            return Err(FsError::NotEmpty);
        }
        if let (Thing::Dir(dir), true) = (&thing, self.is_in_bucket(&spot, &thing)?) {
            self.delete_marker(&spot, dir).await?;
            self.unname(&mut overlay.tree(), &thing);
        } else {
            let mut tree = overlay.tree();
            self.vacate(&mut tree, &spot);
            self.unname(&mut tree, &thing);
        }
        self.touch(&spot);
        Ok(())
    }

    /// Gives something another name.
    ///
    /// # Errors
    /// ENOENT, EEXIST, EISDIR, ENOTDIR, ENOTEMPTY, EROFS; EXDEV for a virtual sibling,
    /// which programs then copy.
    pub async fn rename(
        &self,
        from: (Ino, &OsStr),
        to: (Ino, &OsStr),
        how: RenameHow,
    ) -> Result<(), FsError> {
        let overlay = self.overlay()?;
        let (from, to) = (self.spot(from.0, from.1)?, self.spot(to.0, to.1)?);
        let source = self.any(&from).await?.ok_or(FsError::NotFound)?;
        if source.item().is_none() {
            return Err(FsError::CrossDevice);
        }
        let target = self.any(&to).await?;
        if self.uploads().is_some() && how == RenameHow::Exchange {
            return Err(FsError::Invalid);
        }
        match (&target, how) {
            (Some(_), RenameHow::Keep) => return Err(FsError::Exists),
            (None, RenameHow::Exchange) => return Err(FsError::NotFound),
            (Some(target), RenameHow::Replace) => {
                if self.is_same(target, &source) {
                    return Ok(());
                }
                self.replaceable(&source, target).await?;
            }
            (None, _) | (Some(_), RenameHow::Exchange) => {}
        }
        let stays_in_memory =
            !self.is_in_bucket(&from, &source)? && self.key_for(&to.folder, &to.name)?.is_none();
        if !stays_in_memory {
            let ino = self.inodes().number_of(&source);
            match &source {
                Thing::Dir(dir) => self.rename_bucket_dir(&from, dir, &to).await?,
                _ => self.rename_file(&from, &source, &to, target.as_ref()).await?,
            }
            self.inodes().move_to(ino, to.place());
            self.renamed(&source, &from, &to);
            return Ok(());
        }
        let (source, target) = {
            // Held until all is noted: what is being copied for somebody who writes
            // finds out under the same lock where its name is.
            let mut tree = overlay.tree();
            let source = current(&tree, &from, source);
            let target = target.map(|target| current(&tree, &to, target));
            let source_item = source.item().ok_or(FsError::CrossDevice)?;
            let displaced = match (&target, how) {
                (Some(target), RenameHow::Exchange) => {
                    Some(target.item().ok_or(FsError::CrossDevice)?)
                }
                _ => None,
            };
            let (from_key, to_key) = (from.folder.key(), to.folder.key());
            let moved = (&to_key, to.name.as_str(), Entry::Item(source_item));
            match displaced {
                Some(item) => tree.put_both(moved, (&from_key, &from.name, Entry::Item(item)))?,
                None => {
                    tree.put(moved.0, moved.1, moved.2)?;
                    self.vacate(&mut tree, &from);
                }
            }
            self.note_moved(&source, &to);
            match (&target, how) {
                (Some(target), RenameHow::Exchange) => self.note_moved(target, &from),
                (Some(target), RenameHow::Replace) => self.unname(&mut tree, target),
                (None, _) | (_, RenameHow::Keep) => {}
            }
            (source, target)
        };
        if let (Some(target), RenameHow::Replace) = (&target, how) {
            self.unnamed(&to, target);
        }
        self.renamed(&source, &from, &to);
        Ok(())
    }

    /// What follows when something has another name.
    fn renamed(&self, source: &Thing, from: &Spot, to: &Spot) {
        if let Thing::Made(made) = source {
            made.set_home(to.folder.key(), &to.name);
            made.touch(false);
        }
        for spot in [from, to] {
            self.touch(spot);
            if has_image_name(&spot.name) {
                self.forget_siblings(spot.parent, &spot.name);
            }
        }
    }

    /// Whether a change of this name is one of the bucket.
    fn is_in_bucket(&self, spot: &Spot, thing: &Thing) -> Result<bool, FsError> {
        if self.uploads().is_none() {
            return Ok(false);
        }
        match thing {
            Thing::Made(made) => Ok(made.file().is_some_and(|file| file.remote().is_some())),
            // A sibling is made of an image; only with that it goes.
            Thing::View(_) => Err(FsError::NotPermitted),
            Thing::Dir(_) | Thing::Object(_) => {
                Ok(self.key_for(&spot.folder, &spot.name)?.is_some())
            }
        }
    }

    /// Gives a file a second name. An object of the bucket is copied into memory first.
    ///
    /// # Errors
    /// EEXIST, EPERM for a directory, EROFS, ENOSPC.
    pub async fn link(
        &self,
        ino: Ino,
        parent: Ino,
        name: &OsStr,
    ) -> Result<(Attr, Duration), FsError> {
        let overlay = self.overlay()?;
        let spot = self.spot(parent, name)?;
        if self.own(&spot.folder, &spot.name).await?.thing.is_some() {
            return Err(FsError::Exists);
        }
        if self.key_for(&spot.folder, &spot.name)?.is_some() {
            // An object has one key.
            return Err(FsError::NotPermitted);
        }
        let node = self.inodes().node(ino).ok_or(FsError::BadHandle)?.clone();
        let made = match node {
            Thing::Made(made) if !made.is_dir() => made,
            Thing::Made(_) | Thing::Dir(_) => return Err(FsError::NotPermitted),
            Thing::Object(_) | Thing::View(_) => self.own_copy(ino, u64::MAX).await?,
        };
        let item = Entry::Item(Item::Made(made.clone()));
        overlay.tree().put(&spot.folder.key(), &spot.name, item)?;
        made.add_link();
        self.touch(&spot);
        let found = (Some(Thing::Made(made)), LONGEST_TTL);
        let (attr, ttl) = self.enter(parent, &spot.folder, &spot.name, found);
        Ok((attr.ok_or(FsError::NotFound)?, ttl))
    }

    /// What a symbolic link points to.
    ///
    /// # Errors
    /// EINVAL when it is none.
    pub fn read_link(&self, ino: Ino) -> Result<String, FsError> {
        match self.inodes().node(ino).ok_or(FsError::BadHandle)? {
            Thing::Made(made) => match made.body() {
                Body::Symlink(target) => Ok(target.clone()),
                Body::File(_) | Body::Dir | Body::Fifo | Body::Socket => Err(FsError::Invalid),
            },
            Thing::Dir(_) | Thing::Object(_) | Thing::View(_) => Err(FsError::Invalid),
        }
    }

    /// Has the kernel forget the siblings of an image that is another one now.
    pub(super) fn forget_siblings(&self, parent: Ino, name: &str) {
        for kind in self.views.config().kinds.kinds() {
            let name = format!("{name}{}", kind.suffix());
            // Only fails when nobody listens, as in tests without a kernel.
            let _ = self.outdated.send(Outdated { parent, name });
        }
    }

    fn spot(&self, parent: Ino, name: &OsStr) -> Result<Spot, FsError> {
        if name.len() > MAX_NAME_BYTES {
            return Err(FsError::NameTooLong);
        }
        let name = name.to_str().ok_or(FsError::BadName)?.to_owned();
        Ok(Spot { parent, folder: self.folder_of(parent)?, name })
    }

    /// What a name stands for, siblings included.
    async fn any(&self, spot: &Spot) -> Result<Option<Thing>, FsError> {
        let own = self.own(&spot.folder, &spot.name).await?;
        if own.thing.is_some() || own.is_hidden {
            return Ok(own.thing);
        }
        Ok(self.sibling(&spot.folder, &spot.name, own.ttl).await?.0)
    }

    /// Takes a name away; it is hidden where the bucket has it or may have, and where
    /// it would be a sibling's from now on: what is deleted is gone.
    fn vacate(&self, tree: &mut Tree, spot: &Spot) {
        let key = spot.folder.key();
        let is_below = |name: &str| {
            spot.folder.bucket().is_some_and(|dir| {
                self.catalog.lookup_known(dir, name).is_none_or(|found| found.node.is_some())
            })
        };
        let is_there = |name: &str| match tree.find(&key, name) {
            Some(Entry::Item(_)) => true,
            Some(Entry::Hidden) => false,
            None => is_below(name),
        };
        let mut images = self.views.config().kinds.sources(&spot.name).map(|(image, _)| image);
        if is_below(&spot.name) || images.any(is_there) {
            tree.hide(&key, &spot.name);
        } else {
            tree.clear(&key, &spot.name);
        }
    }

    /// Notes that something has lost a name.
    fn unname(&self, tree: &mut Tree, thing: &Thing) {
        if let Some(folder) = thing.folder() {
            tree.remove_dir(&folder.key());
        }
        match thing {
            Thing::Made(made) => {
                made.remove_link();
                if made.links() == 0 {
                    self.file_states.forget(made.ino());
                }
            }
            Thing::Dir(_) | Thing::Object(_) | Thing::View(_) => {
                let mut inodes = self.inodes();
                let ino = inodes.number_of(thing);
                inodes.unname(ino);
            }
        }
    }

    /// What follows when something has lost a name.
    fn unnamed(&self, spot: &Spot, thing: &Thing) {
        if matches!(thing, Thing::Object(_)) && has_image_name(&spot.name) {
            self.forget_siblings(spot.parent, &spot.name);
        }
    }

    fn note_moved(&self, thing: &Thing, to: &Spot) {
        let mut inodes = self.inodes();
        let ino = inodes.number_of(thing);
        inodes.move_to(ino, to.place());
    }

    /// Whether two names stand for one thing.
    fn is_same(&self, one: &Thing, other: &Thing) -> bool {
        let inodes = self.inodes();
        inodes.number_of(one) == inodes.number_of(other)
    }

    /// Whether a rename may put `source` in the place of `target`.
    async fn replaceable(&self, source: &Thing, target: &Thing) -> Result<(), FsError> {
        match (source.folder(), target.folder()) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(FsError::IsADirectory),
            (Some(_), None) => Err(FsError::NotADirectory),
            (Some(_), Some(folder)) if self.is_empty(&folder).await? => Ok(()),
            (Some(Folder::Bucket(old)), Some(Folder::Bucket(new)))
                if self.uploads().is_some()
                    && self.may_give_way(&new)
                    && self.is_half_renamed(&old, &new).await? =>
            {
                Ok(())
            }
            (Some(_), Some(_)) => Err(FsError::NotEmpty),
        }
    }

    /// Whether a directory shows nothing.
    async fn is_empty(&self, folder: &Folder) -> Result<bool, FsError> {
        let made = self.overlay()?.tree().items(&folder.key(), 0..u64::MAX, usize::MAX);
        let is_there = |item: &Item| match item {
            Item::Made(made) => !self.is_faded(made),
            Item::Bucket(_) => true,
        };
        if made.iter().any(|(_, _, item)| is_there(item)) {
            return Ok(false);
        }
        let Some(dir) = folder.bucket() else { return Ok(true) };
        let mut walk = Walk::default();
        let mut number = 0;
        loop {
            let listed = self.catalog.entries(dir, &mut walk, number).await?;
            if listed.entries.is_empty() {
                return Ok(true);
            }
            if listed.entries.iter().any(|entry| !self.is_overlaid(folder, &entry.name)) {
                return Ok(false);
            }
            number += listed.entries.len() as u64;
        }
    }

    /// Notes that a directory's names changed just now.
    fn touch(&self, spot: &Spot) {
        match (&spot.folder, &self.overlay) {
            (Folder::Made(made), _) => made.touch(true),
            (Folder::Bucket(_), None) => {}
            (Folder::Bucket(dir), Some(overlay)) => {
                let mut of = self.attributes_of(spot);
                of.modified = std::time::SystemTime::now();
                of.changed = of.modified;
                let thing = BucketThing::Dir(dir.clone());
                // Without room for it the time stays as it was.
                let _ = overlay.tree().set_attributes(thing, of);
            }
        }
    }

    /// The attributes of the directory that a name is in.
    fn attributes_of(&self, spot: &Spot) -> Attributes {
        match &spot.folder {
            Folder::Made(made) => made.attributes(),
            Folder::Bucket(dir) => kept(&self.attr_of(spot.parent, &Thing::Dir(dir.clone()))),
        }
    }
}

/// What a name stands for by now: `thing`, or the copy that somebody who writes has
/// made of it since it was looked at.
fn current(tree: &Tree, spot: &Spot, thing: Thing) -> Thing {
    match tree.find(&spot.folder.key(), &spot.name) {
        Some(Entry::Item(Item::Made(made))) => Thing::Made(made.clone()),
        Some(Entry::Item(Item::Bucket(_)) | Entry::Hidden) | None => thing,
    }
}
