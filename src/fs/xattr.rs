//! Extended attributes: what S3 knows of an object beside its bytes.

use std::ffi::OsStr;
use std::sync::{Arc, OnceLock};

use super::node::Thing;
use super::{FileSystem, FsError, Ino};
use crate::store::{ListedObject, ObjectHead, StoreError, StoreErrorKind};

const META: &str = "user.s3.meta.";
/// What S3 leaves out of its answers for the class that most objects have.
const DEFAULT_CLASS: &str = "STANDARD";

/// What a name asks for.
enum Asked<'n> {
    /// Answered from the listing.
    Listed(&'n str),
    /// Answered from a HEAD.
    ContentType,
    /// One of the object's own metadata, from a HEAD.
    Meta(&'n str),
}

impl FileSystem {
    /// The value of an extended attribute. The content type and the object's own
    /// metadata cost a HEAD once; everything else is in the listing.
    ///
    /// # Errors
    /// ENODATA for a name that is not there (such as ACLs and labels, which
    /// programs probe for on every file: those cost nothing).
    pub async fn get_xattr(&self, ino: Ino, name: &OsStr) -> Result<Vec<u8>, FsError> {
        let name = name.to_str().ok_or(FsError::NoAttribute)?;
        if let Some(value) = self.get_xattr_now(ino, name)? {
            return Ok(value);
        }
        let (_, known) = self.object(ino)?;
        let head = self.head(ino, &known).await?;
        let value = match asked(name)? {
            Asked::ContentType => head.content_type,
            Asked::Meta(name) => head.metadata.get(name).cloned(),
            Asked::Listed(_) => None,
        };
        value.map(String::into_bytes).ok_or(FsError::NoAttribute)
    }

    /// As [`FileSystem::get_xattr`], if it needs no request; `None` if it does.
    pub fn get_xattr_now(&self, ino: Ino, name: &str) -> Result<Option<Vec<u8>>, FsError> {
        let Asked::Listed(name) = asked(name)? else { return Ok(None) };
        let (object, _) = self.object(ino)?;
        let version = &object.version;
        let value = match name {
            "key" => Some(version.key.as_str().to_owned()),
            "etag" => version.etag.as_ref().map(|etag| etag.as_str().trim_matches('"').to_owned()),
            "storage-class" => {
                Some(object.storage_class.as_deref().unwrap_or(DEFAULT_CLASS).to_owned())
            }
            _ => Some(humantime::format_rfc3339_seconds(version.last_modified).to_string()),
        };
        value.map(String::into_bytes).map(Some).ok_or(FsError::NoAttribute)
    }

    /// The names of an inode's extended attributes, each ended by NUL. Costs a
    /// HEAD once, for the names of the object's own metadata; except for a process
    /// `pid` that is listing the directory (`ls -l` of newer coreutils asks this
    /// of every file): it gets what is known.
    pub async fn list_xattrs(&self, ino: Ino, pid: u32) -> Result<Vec<u8>, FsError> {
        let Ok((object, known)) = self.object(ino) else { return Ok(Vec::new()) };
        let head = match known.get() {
            Some(head) => Some(head.clone()),
            None if self.is_listing(pid, ino) => None,
            None => Some(self.head(ino, &known).await?),
        };
        let mut names = vec!["user.s3.key".to_owned()];
        if object.version.etag.is_some() {
            names.push("user.s3.etag".to_owned());
        }
        names.push("user.s3.storage-class".to_owned());
        names.push("user.s3.last-modified".to_owned());
        if head.as_ref().is_none_or(|head| head.content_type.is_some()) {
            names.push("user.s3.content-type".to_owned());
        }
        let metadata = head.iter().flat_map(|head| head.metadata.keys());
        names.extend(metadata.map(|name| format!("{META}{name}")));
        Ok(names.iter().flat_map(|name| name.bytes().chain([0])).collect())
    }

    fn object(&self, ino: Ino) -> Result<(ListedObject, Arc<OnceLock<ObjectHead>>), FsError> {
        let inodes = self.inodes();
        let head = inodes.head(ino).ok_or(FsError::BadHandle)?;
        match inodes.node(ino) {
            Some(Thing::Object(object)) => Ok((object.clone(), head)),
            // A sibling is not in the bucket, nor is what a program made.
            Some(Thing::Dir(_) | Thing::View(_) | Thing::Made(_)) | None => {
                Err(FsError::NoAttribute)
            }
        }
    }

    async fn head(&self, ino: Ino, known: &OnceLock<ObjectHead>) -> Result<ObjectHead, FsError> {
        if let Some(head) = known.get() {
            return Ok(head.clone());
        }
        let (object, _) = self.object(ino)?;
        let key = &object.version.key;
        let head = self.store.head(key).await.map_err(Arc::new)?;
        let pinned = &object.version.etag;
        if head.etag.is_some() && pinned.is_some() && &head.etag != pinned {
            self.note_changed(ino);
            let detail = "the object was overwritten since it was looked up";
            let error = StoreError::new(StoreErrorKind::Changed, format!("HEAD {key}"), detail);
            return Err(Arc::new(error).into());
        }
        Ok(known.get_or_init(|| head).clone())
    }
}

fn asked(name: &str) -> Result<Asked<'_>, FsError> {
    if let Some(name) = name.strip_prefix(META) {
        return Ok(Asked::Meta(name));
    }
    match name.strip_prefix("user.s3.") {
        Some("content-type") => Ok(Asked::ContentType),
        Some(name @ ("key" | "etag" | "storage-class" | "last-modified")) => {
            Ok(Asked::Listed(name))
        }
        Some(_) | None => Err(FsError::NoAttribute),
    }
}
