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
use crate::overlay::{Attributes, Body, Entry, Item, Made, Tree};
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
struct Spot {
    parent: Ino,
    folder: Folder,
    name: String,
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
        let (_, attr) = self.make_node(parent, name, node, maker).await?;
        Ok(attr)
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
        let (made, (attr, ttl)) = self.make_node(parent, name, NewNode::File, maker).await?;
        let opened = self.open_made(made, OpenHow { writes: true, truncates: false })?;
        Ok((attr, ttl, opened))
    }

    async fn make_node(
        &self,
        parent: Ino,
        name: &OsStr,
        node: NewNode,
        maker: Maker,
    ) -> Result<(Arc<Made>, (Attr, Duration)), FsError> {
        let overlay = self.overlay()?;
        let spot = self.spot(parent, name)?;
        if self.own(&spot.folder, &spot.name).await?.thing.is_some() {
            return Err(FsError::Exists);
        }
        let of = self.attributes_of(&spot);
        let is_dir = node == NewNode::Dir;
        let body = match node {
            NewNode::File => Body::File(overlay.new_file()?),
            NewNode::Dir => Body::Dir,
            NewNode::Symlink(target) => Body::Symlink(target),
            NewNode::Fifo => Body::Fifo,
            NewNode::Socket => Body::Socket,
        };
        let (mut mode, mut gid) = (maker.mode, maker.gid);
        if of.mode & SET_GROUP != 0 {
            gid = of.gid;
            mode |= if is_dir { SET_GROUP } else { 0 };
        }
        let made = Made::new(overlay.new_ino(), body, Attributes::new(mode, maker.uid, gid));
        let item = Entry::Item(Item::Made(made.clone()));
        overlay.tree().put(&spot.folder.key(), &spot.name, item)?;
        self.touch(&spot);
        let found = (Some(Thing::Made(made.clone())), LONGEST_TTL);
        let (attr, ttl) = self.enter(parent, &spot.folder, &spot.name, found);
        Ok((made, (attr.ok_or(FsError::NotFound)?, ttl)))
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
        self.vacate(&mut overlay.tree(), &spot);
        self.unname(&spot, &thing);
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
        self.vacate(&mut overlay.tree(), &spot);
        self.unname(&spot, &thing);
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
        let source_item = source.item().ok_or(FsError::CrossDevice)?;
        let target = self.any(&to).await?;
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
        let displaced = match (&target, how) {
            (Some(target), RenameHow::Exchange) => Some(target.item().ok_or(FsError::CrossDevice)?),
            _ => None,
        };
        {
            let mut tree = overlay.tree();
            let (from_key, to_key) = (from.folder.key(), to.folder.key());
            let moved = (&to_key, to.name.as_str(), Entry::Item(source_item));
            match displaced {
                Some(item) => tree.put_both(moved, (&from_key, &from.name, Entry::Item(item)))?,
                None => {
                    tree.put(moved.0, moved.1, moved.2)?;
                    self.vacate(&mut tree, &from);
                }
            }
        }
        self.note_moved(&source, &to);
        if let (Some(target), RenameHow::Exchange) = (&target, how) {
            self.note_moved(target, &from);
        }
        if let (Some(target), RenameHow::Replace) = (&target, how) {
            self.unname(&to, target);
        }
        if let Thing::Made(made) = &source {
            made.touch(false);
        }
        for spot in [&from, &to] {
            self.touch(spot);
            if has_image_name(&spot.name) {
                self.forget_siblings(spot.parent, &spot.name);
            }
        }
        Ok(())
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

    /// What follows when something has lost a name.
    fn unname(&self, spot: &Spot, thing: &Thing) {
        let Some(overlay) = &self.overlay else { return };
        match thing {
            Thing::Made(made) => {
                made.remove_link();
                if made.links() == 0 {
                    self.file_states.forget(made.ino());
                }
                if made.is_dir() {
                    overlay.tree().remove_dir(&Folder::Made(made.clone()).key());
                }
            }
            Thing::Dir(dir) => overlay.tree().remove_dir(&Folder::Bucket(dir.clone()).key()),
            Thing::Object(_) if has_image_name(&spot.name) => {
                self.forget_siblings(spot.parent, &spot.name);
            }
            Thing::Object(_) | Thing::View(_) => {}
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
            (Some(_), Some(_)) => Err(FsError::NotEmpty),
        }
    }

    /// Whether a directory shows nothing.
    async fn is_empty(&self, folder: &Folder) -> Result<bool, FsError> {
        if self.overlay()?.tree().has_items(&folder.key()) {
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
                let thing = crate::overlay::BucketThing::Dir(dir.clone());
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
