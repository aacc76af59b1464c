//! Extended attributes: what S3 knows of an object beside its bytes, and what programs give
//! to what stays in memory.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::xattr_name::{Asked, CACHED, META, REFRESH, ROOM, SIBLINGS, asked, is_theirs};
use super::{FileSystem, FsError, Ino};
use crate::drafts::{Draft, XattrSet};
use crate::names::{KnownHead, Thing};
use crate::store::{ListedObject, ObjectHead};
use crate::view::has_image_name;

/// What S3 leaves out of its answers for the class that most objects have.
const DEFAULT_CLASS: &str = "STANDARD";

impl FileSystem {
    /// The value of an extended attribute. The content type and the object's own metadata
    /// cost a HEAD once; everything else is in the listing.
    ///
    /// # Errors
    /// ENODATA for a name that is not there (such as ACLs and labels, which programs probe
    /// for on every file: those cost nothing).
    pub async fn get_xattr(&self, ino: Ino, name: &OsStr) -> Result<Vec<u8>, FsError> {
        if name == REFRESH {
            self.names.refresh(ino).await?;
            return Ok(Vec::new());
        }
        if name == ROOM {
            return Ok(self.readers.objects.cache().room_bytes().to_string().into_bytes());
        }
        if let Ok(Thing::Draft(draft)) = self.names.inodes().thing(ino) {
            return draft.xattr(name).ok_or(FsError::NoAttribute);
        }
        let asked = asked(name.as_bytes()).ok_or(FsError::NoAttribute)?;
        // A sibling is not in the bucket.
        let object = self.names.inodes().object(ino)?;
        let (object, known) = object.ok_or(FsError::NoAttribute)?;
        let value = match asked {
            Asked::Listed(name) => listed(&object, name),
            Asked::Cached => {
                Some(self.readers.objects.cache().held_bytes(&object.version).to_string())
            }
            Asked::Siblings => self.known_siblings(ino),
            Asked::ContentType => self.head(ino, &object, &known).await?.content_type,
            Asked::Meta(name) => self.head(ino, &object, &known).await?.metadata.get(name).cloned(),
        };
        value.map(String::into_bytes).ok_or(FsError::NoAttribute)
    }

    /// The names of an inode's extended attributes, each ended by NUL. Costs a
    /// HEAD once, for the names of the object's own metadata; except for a process
    /// `pid` that is listing the directory (`ls -l` of newer coreutils asks this
    /// of every file): it gets what is known.
    pub async fn list_xattrs(&self, ino: Ino, pid: u32) -> Result<Vec<u8>, FsError> {
        if let Ok(Thing::Draft(draft)) = self.names.inodes().thing(ino) {
            let names = draft.xattrs();
            return Ok(names.iter().flat_map(|name| [name.as_bytes(), &[0]].concat()).collect());
        }
        let Ok(Some((object, known))) = self.names.inodes().object(ino) else {
            return Ok(Vec::new());
        };
        let parent = self.names.inodes().parent(ino);
        let head = match known.get() {
            Some(head) => Some(head.clone()),
            None if self.dirs.any(|open| open.is_listed_by(pid, parent)) => None,
            None => Some(self.head(ino, &object, &known).await?),
        };
        let mut names = vec!["user.s3.key".to_owned()];
        if object.version.etag.is_some() {
            names.push("user.s3.etag".to_owned());
        }
        if object.version.key.version_id().is_some() {
            names.push("user.s3.version-id".to_owned());
        }
        names.push("user.s3.storage-class".to_owned());
        names.push("user.s3.last-modified".to_owned());
        if head.as_ref().is_none_or(|head| head.content_type.is_some()) {
            names.push("user.s3.content-type".to_owned());
        }
        let metadata = head.iter().flat_map(|head| head.metadata.keys());
        names.extend(metadata.map(|name| format!("{META}{name}")));
        names.push(CACHED.to_owned());
        if self.known_siblings(ino).is_some() {
            names.push(SIBLINGS.to_owned());
        }
        Ok(names.iter().flat_map(|name| name.bytes().chain([0])).collect())
    }

    /// Gives a file or folder that stays in memory an attribute of the user's.
    ///
    /// # Errors
    /// EROFS; EOPNOTSUPP for what is in the bucket or is to be, which keeps none, and for
    /// names that are not the user's; EEXIST, ENODATA, ENOSPC.
    pub fn set_xattr(
        &self,
        ino: Ino,
        name: &OsStr,
        value: &[u8],
        how: XattrSet,
    ) -> Result<(), FsError> {
        let draft = self.in_memory(ino, name)?;
        draft.set_xattr(self.drafts()?.xattr_room(), name, value, how)?;
        Ok(())
    }

    /// Takes an attribute away that a program gave.
    ///
    /// # Errors
    /// As [`FileSystem::set_xattr`].
    pub fn remove_xattr(&self, ino: Ino, name: &OsStr) -> Result<(), FsError> {
        match self.in_memory(ino, name)?.remove_xattr(name) {
            true => Ok(()),
            false => Err(FsError::NoAttribute),
        }
    }

    /// What an attribute of this name may be given to.
    fn in_memory(&self, ino: Ino, name: &OsStr) -> Result<Arc<Draft>, FsError> {
        self.drafts()?;
        let is_theirs = is_theirs(name.as_bytes());
        match self.names.inodes().thing(ino)? {
            Thing::Draft(draft) if is_theirs && draft.progress().is_none() => Ok(draft),
            Thing::Draft(_) | Thing::Dir(_) | Thing::Object(_) | Thing::Sibling(_) => {
                Err(FsError::Unsupported)
            }
        }
    }

    /// The siblings that an image is known to have, without a request: their endings, or
    /// `unknown` if nobody has looked at its header; `None` for what is not named like an image.
    fn known_siblings(&self, ino: Ino) -> Option<String> {
        let (thing, place) = self.names.inodes().current(ino).ok()?;
        if !has_image_name(&place.name) {
            return None;
        }
        let known = self.names.contents(&place.folder).known_siblings(&place.name, &thing);
        Some(match known {
            None => "unknown".to_owned(),
            Some(kinds) if kinds.is_empty() => "none".to_owned(),
            Some(kinds) => kinds.iter().map(|kind| kind.label()).collect::<Vec<_>>().join(","),
        })
    }

    async fn head(
        &self,
        ino: Ino,
        object: &ListedObject,
        known: &KnownHead,
    ) -> Result<ObjectHead, FsError> {
        if let Some(head) = known.get() {
            return Ok(head.clone());
        }
        let head =
            self.readers.objects.store().head(&object.version.key).await.map_err(Arc::new)?;
        let pinned = &object.version;
        let is_other = match (&head.etag, &pinned.etag) {
            (Some(found), Some(etag)) => found != etag,
            // Nothing else to tell by: it may be anybody's page.
            (None, _) | (_, None) => head.size != Some(pinned.size),
        };
        if is_other {
            self.names.note_changed(ino);
            return Err(FsError::Stale);
        }
        Ok(known.get_or_init(|| head).clone())
    }
}

/// What the listing says of an object, by the name of the attribute.
fn listed(object: &ListedObject, name: &str) -> Option<String> {
    let version = &object.version;
    match name {
        "key" => Some(version.key.in_bucket().to_owned()),
        "version-id" => version.key.version_id().map(str::to_owned),
        "etag" => version.etag.as_ref().map(|etag| etag.as_str().trim_matches('"').to_owned()),
        "storage-class" => {
            Some(object.storage_class.as_deref().unwrap_or(DEFAULT_CLASS).to_owned())
        }
        _ => Some(humantime::format_rfc3339_seconds(version.last_modified).to_string()),
    }
}
