//! lookup, forget, getattr, readlink.

use std::ffi::OsStr;
use std::time::Duration;

use super::{Attr, FileSystem, FsError, Ino, begun};
use crate::drafts::Body;
use crate::key::MAX_NAME_BYTES;
use crate::names::{Place, Thing, ttl};

impl FileSystem {
    /// What `name` is in the directory `parent`, and how long the answer holds: no
    /// attributes where there is no such name. Counts the look-up.
    ///
    /// # Errors
    /// ENOTDIR, ENAMETOOLONG where a program could make the name; what the listing failed
    /// with; for a sibling of an image, why the image can't be decoded.
    pub async fn lookup(
        &self,
        parent: Ino,
        name: &OsStr,
    ) -> Result<(Option<Attr>, Duration), FsError> {
        let folder = self.names.folder(parent)?;
        if self.is_writable() && name.len() > MAX_NAME_BYTES {
            return Err(FsError::NameTooLong);
        }
        // Every name here is made from a key, and keys are UTF-8.
        let Some(name) = name.to_str() else { return Ok((None, ttl::LONGEST)) };
        let mut found = self.names.find(&folder, name).await?;
        if found.thing.is_none() {
            found.thing = self.names.left_behind(&folder, name, begun::caller);
        }
        let place = Place { parent, folder, name: name.to_owned() };
        if let Some(Thing::Sibling(sibling)) = &found.thing
            && self.is_copied_here(&place, sibling, begun::caller)
        {
            found.thing = None;
        }
        if let Some(Thing::Sibling(sibling)) = &found.thing {
            self.readers.ahead.looked_at(&place, sibling);
        }
        Ok(self.names.enter(&place, found))
    }

    /// Makes the kernel look a name up again: what it stands for has changed after the call
    /// was answered that changed it.
    pub fn note_outdated(&self, parent: Ino, name: &OsStr) {
        if let Some(name) = name.to_str() {
            self.names.notices().send(parent, name.to_owned());
        }
    }

    /// Takes back look-ups.
    pub fn forget(&self, ino: Ino, count: u64) {
        self.names.inodes().forget(ino, count);
    }

    /// The attributes of an inode and how long they hold: a version's never change, and
    /// those of a file that is written are asked for every second.
    ///
    /// # Errors
    /// EBADF for an inode that the kernel was never told of.
    pub fn getattr(&self, ino: Ino) -> Result<(Attr, Duration), FsError> {
        Ok(self.names.getattr(ino)?)
    }

    /// What a symbolic link points to.
    ///
    /// # Errors
    /// EINVAL for everything else.
    pub fn read_link(&self, ino: Ino) -> Result<String, FsError> {
        match self.names.inodes().thing(ino)? {
            Thing::Draft(draft) => match draft.body() {
                Body::Symlink(target) => Ok(target.clone()),
                Body::File(_) | Body::Dir | Body::Fifo | Body::Socket => Err(FsError::Invalid),
            },
            Thing::Dir(_) | Thing::Object(_) | Thing::Sibling(_) => Err(FsError::Invalid),
        }
    }
}
