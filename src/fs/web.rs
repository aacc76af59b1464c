//! What is asked by whoever serves the tree by HTTP, beside the calls of a kernel.

use std::time::SystemTime;

use super::{FileSystem, FsError, Ino};
use crate::names::{Sibling, Thing};
use crate::store::StoreErrorKind;
use crate::view::{Original, PictureFacts, Place, Ranges, Shot, ViewError};

/// The questions of a server.
#[derive(Debug)]
pub struct Web<'f>(&'f FileSystem);

/// An image that pictures are made of.
#[derive(Debug)]
pub struct WebImage {
    ino: Ino,
    original: Original,
}

impl WebImage {
    /// What stands for its bytes and those of the files beside it, if anything does.
    pub fn tag(&self) -> Option<String> {
        self.original.tag()
    }

    /// When it was written, or the last of the files beside it.
    pub fn modified(&self) -> SystemTime {
        self.original.modified()
    }
}

/// What is wrong, as far as it makes a difference to somebody far away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// There is nothing of that name.
    NotFound,
    /// The bucket refuses it.
    Denied,
    /// It was overwritten meanwhile: asked again, it is the new version.
    Changed,
    /// It is over a limit of what is decoded.
    TooLarge,
    /// The bucket does not answer in time.
    Timeout,
    /// The bucket's answer is of no use.
    Unreachable,
    /// What is here is damaged, or we are.
    Broken,
}

impl<'f> Web<'f> {
    /// The questions about this file system.
    pub fn of(fs: &'f FileSystem) -> Self {
        Web(fs)
    }

    /// What stands for the bytes of a file, if anything does.
    ///
    /// # Errors
    /// EBADF for an inode that nobody has looked up.
    pub fn tag(&self, ino: Ino) -> Result<Option<String>, FsError> {
        Ok(match self.0.names.inodes().thing(ino)? {
            Thing::Object(object) => {
                object.version.etag.map(|etag| etag.as_str().trim_matches('"').to_owned())
            }
            Thing::Sibling(Sibling { original, view, .. }) => {
                self.0.readers.views.tag(&original, view)
            }
            Thing::Dir(_) | Thing::Draft(_) => None,
        })
    }

    /// The image that a file may be, or is a sibling of, with the masks and overviews that lie
    /// beside it. Where the names beside it are known, that costs no request.
    ///
    /// # Errors
    /// What looking for them failed with.
    pub async fn image(&self, ino: Ino) -> Result<Option<WebImage>, FsError> {
        let (thing, place) = self.0.names.inodes().current(ino)?;
        let original = match thing {
            Thing::Object(object) => {
                let contents = self.0.names.contents(&place.folder);
                let thing = Some(Thing::Object(object.clone()));
                let (original, _) = contents.original(&place.name, thing).await?;
                Some(original.unwrap_or_else(|| Original::object(object.version)))
            }
            Thing::Sibling(sibling) => Some(sibling.original),
            Thing::Dir(_) | Thing::Draft(_) => None,
        };
        Ok(original.map(|original| WebImage { ino, original }))
    }

    /// What a viewer has to know of an image; `None` if the file is none.
    ///
    /// # Errors
    /// Why the image can't be decoded.
    pub async fn picture(
        &self,
        image: &WebImage,
        shot: Shot,
    ) -> Result<Option<PictureFacts>, FsError> {
        self.noted(image, self.0.readers.views.picture(&image.original, shot).await)
    }

    /// A small preview as a PNG; `None` if the file is no image.
    ///
    /// # Errors
    /// Why the image can't be decoded.
    pub async fn small_picture(
        &self,
        image: &WebImage,
        shot: Shot,
    ) -> Result<Option<Vec<u8>>, FsError> {
        self.noted(image, self.0.readers.views.small_picture(&image.original, shot).await)
    }

    /// A tile of an image as a PNG; `None` if there is none.
    ///
    /// # Errors
    /// Why the image can't be decoded.
    pub async fn picture_tile(
        &self,
        image: &WebImage,
        shot: Shot,
        place: Place,
        stretch: Option<Ranges>,
    ) -> Result<Option<Vec<u8>>, FsError> {
        let views = &self.0.readers.views;
        let made = views.picture_tile(&image.original, shot, place, stretch).await;
        self.noted(image, made)
    }

    /// What was made of an image; an object that is another by now is looked up anew, and so
    /// are the files beside it.
    fn noted<T>(&self, image: &WebImage, made: Result<T, ViewError>) -> Result<T, FsError> {
        let made = made.map_err(FsError::from);
        if made.as_ref().is_err_and(FsError::is_outdated) {
            self.0.names.note_changed(image.ino);
        }
        made
    }

    /// How much is held, and how much may be, in bytes.
    pub fn memory(&self) -> (u64, u64) {
        self.0.readers.views.memory()
    }
}

impl FsError {
    /// What is wrong, for somebody far away.
    pub fn trouble(&self) -> Trouble {
        if let FsError::Store(error) = self {
            use StoreErrorKind::{NoSuchBucket, Timeout, Transient, Unreachable};
            match error.kind {
                Timeout => return Trouble::Timeout,
                NoSuchBucket | Transient | Unreachable => return Trouble::Unreachable,
                _ => {}
            }
        }
        match self.errno() {
            libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG => Trouble::NotFound,
            libc::EACCES | libc::EPERM => Trouble::Denied,
            libc::ESTALE => Trouble::Changed,
            libc::EFBIG => Trouble::TooLarge,
            _ if matches!(self, FsError::Store(_)) => Trouble::Unreachable,
            _ => Trouble::Broken,
        }
    }
}
