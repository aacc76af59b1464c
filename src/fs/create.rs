//! create, mknod, mkdir, symlink, link.
//!
//! The kernel calls these, and those of `remove` and `rename`, with names that it has
//! looked up, holding its own lock on the directory: two programs never create one name
//! at once.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use super::{Attr, FileSystem, FsError, Ino, OpenHow, OpenedFile, begun};
use crate::drafts::{Attributes, Body, Draft};
use crate::key::ObjectKey;
use crate::names::{Found, Place, Thing, ttl};

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
        let new = NewName::free(self, parent, name).await?;
        let publisher = self.publishing.get();
        begun::note([parent]);
        let thing = match (&node, publisher, self.publishing.key_for(&new.place)?) {
            (NewNode::Dir, Some(publisher), Some(_)) => {
                let thing = Thing::Dir(publisher.make_dir(&new.place).await?);
                let of = new.attributes(&node, maker);
                // Without room for them they are as the flags say.
                let _ = self.names.set_attributes(&thing, of);
                thing
            }
            (NewNode::Symlink(_) | NewNode::Fifo | NewNode::Socket, _, Some(_)) => {
                // A bucket has nothing like that.
                return Err(FsError::NotPermitted);
            }
            (_, _, key) => Thing::Draft(new.draft(node, maker, key).await?),
        };
        self.names.touch(&new.place);
        // mknod(2) makes files that nobody closes.
        if let (Some(publisher), Thing::Draft(draft)) = (publisher, &thing) {
            publisher.send_or_wait(draft).await?;
        }
        new.enter(thing, self.names.ttl().draft())
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
    ) -> Result<(Attr, Duration, OpenedFile), FsError> {
        let new = NewName::free(self, parent, name).await?;
        let key = self.publishing.key_for(&new.place)?;
        let draft = new.draft(NewNode::File, maker, key).await?;
        self.names.touch(&new.place);
        self.note_maker(&new.place, maker.thread);
        let how = OpenHow { writes: true, truncates: false, thread: maker.thread };
        let opened = self.open_draft(draft.clone(), how)?;
        let (attr, ttl) = new.enter(Thing::Draft(draft), self.names.ttl().draft())?;
        Ok((attr, ttl, opened))
    }

    /// Gives a file a second name. An object of the bucket is copied into memory first.
    ///
    /// # Errors
    /// EEXIST, EPERM for a directory and for a name in the bucket, EXDEV for one in another
    /// bucket, EROFS, ENOSPC.
    pub async fn link(
        &self,
        ino: Ino,
        parent: Ino,
        name: &OsStr,
    ) -> Result<(Attr, Duration), FsError> {
        let new = NewName::free(self, parent, name).await?;
        if self.publishing.key_for(&new.place)?.is_some() {
            // An object has one key.
            return Err(FsError::NotPermitted);
        }
        let (thing, place) = self.names.inodes().current(ino)?;
        if !self.names.share_bucket(&place.folder, &new.place.folder) {
            return Err(FsError::CrossDevice);
        }
        let draft = match thing {
            Thing::Draft(draft) if !draft.is_dir() => draft,
            Thing::Draft(_) | Thing::Dir(_) => return Err(FsError::NotPermitted),
            Thing::Object(_) | Thing::Sibling(_) => self.own_copy(ino, u64::MAX).await?,
        };
        self.names.link(&new.place, &draft)?;
        self.names.touch(&new.place);
        new.enter(Thing::Draft(draft), ttl::LONGEST)
    }
}

/// A name that is free, for something that is about to be made.
struct NewName<'f> {
    fs: &'f FileSystem,
    place: Place,
}

impl<'f> NewName<'f> {
    /// A name that is not taken.
    ///
    /// # Errors
    /// EEXIST, EROFS.
    async fn free(fs: &'f FileSystem, parent: Ino, name: &OsStr) -> Result<Self, FsError> {
        fs.drafts()?;
        let place = fs.names.place(parent, name)?;
        match fs.names.own(&place.folder, &place.name).await?.thing {
            Some(_) => Err(FsError::Exists),
            None => Ok(NewName { fs, place }),
        }
    }

    /// Makes a draft; with `key`, a file that becomes an object.
    async fn draft(
        &self,
        node: NewNode,
        maker: Maker,
        key: Option<ObjectKey>,
    ) -> Result<Arc<Draft>, FsError> {
        let drafts = self.fs.drafts()?;
        let of = self.attributes(&node, maker);
        let progress = key.zip(self.fs.publishing.get());
        let progress = progress.map(|(key, publisher)| publisher.progress(key, None, false));
        let body = match node {
            NewNode::File => Body::File(self.fs.publishing.new_file(drafts, progress).await?),
            NewNode::Dir => Body::Dir,
            NewNode::Symlink(target) => Body::Symlink(target),
            NewNode::Fifo => Body::Fifo,
            NewNode::Socket => Body::Socket,
        };
        let draft = Draft::new(drafts.new_ino(), body, of);
        self.fs.names.add(&self.place, &draft)?;
        self.fs.publishing.note_dirty(&draft);
        Ok(draft)
    }

    /// The attributes of what `maker` makes here.
    fn attributes(&self, node: &NewNode, maker: Maker) -> Attributes {
        let of = self.fs.names.attributes_of(&self.place);
        let (mut mode, mut gid) = (maker.mode, maker.gid);
        if of.mode & SET_GROUP != 0 {
            gid = of.gid;
            mode |= if *node == NewNode::Dir { SET_GROUP } else { 0 };
        }
        Attributes::new(mode, maker.uid, gid)
    }

    /// Counts a look-up of what was made.
    fn enter(&self, thing: Thing, ttl: Duration) -> Result<(Attr, Duration), FsError> {
        let (attr, ttl) = self.fs.names.enter(&self.place, Found::thing(thing, ttl));
        Ok((attr.ok_or(FsError::NotFound)?, ttl))
    }
}
