//! Which bucket a key of the mount is in: the same for all mounts, however they show it.

use std::collections::BTreeMap;

use crate::disk::Name;
use crate::key::{Bucket, ObjectKey, ObjectVersion, Prefix};

/// Where the objects of a mount are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The server, as a name for it.
    pub server: String,
    /// Which buckets.
    pub buckets: Shown,
}

/// Which buckets a mount shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// This one.
    One(Bucket),
    /// Several, each as a folder that shows what is below a prefix of it.
    Folders(BTreeMap<String, (Bucket, Prefix)>),
    /// All, each as a folder of its name.
    All,
}

impl Places {
    /// The name of an entry about a version, in this respect; `None` if nothing tells the version
    /// from others.
    pub(super) fn name(&self, version: &ObjectVersion, what: &str) -> Option<Name> {
        let place = |bucket: &str| format!("{}/{bucket}", self.server);
        let key = version.key.as_str();
        let (bucket, key) = match &self.buckets {
            Shown::One(bucket) => return Name::of(&place(bucket.as_str()), version, what),
            Shown::Folders(folders) => {
                let (folder, rest) = key.split_once('/')?;
                let (bucket, prefix) = folders.get(folder)?;
                (bucket.as_str(), format!("{}{rest}", prefix.as_str()))
            }
            Shown::All => {
                let (bucket, rest) = key.split_once('/')?;
                (bucket, rest.to_owned())
            }
        };
        let version = ObjectVersion { key: ObjectKey::new(key), ..version.clone() };
        Name::of(&place(bucket), &version, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::ETag;
    use std::time::SystemTime;

    fn version(key: &str) -> ObjectVersion {
        ObjectVersion {
            key: ObjectKey::new(key),
            etag: Some(ETag::new("\"1\"")),
            last_modified: SystemTime::UNIX_EPOCH,
            size: 1000,
        }
    }

    #[test]
    fn an_object_has_one_name_however_it_is_shown() {
        let places = |buckets| Places { server: "aws".to_owned(), buckets };
        let bucket: Bucket = "tiles".parse().unwrap();
        let one = places(Shown::One(bucket.clone()));
        let folders = BTreeMap::from([("s2".to_owned(), (bucket, Prefix::new("a/")))]);
        let folders = places(Shown::Folders(folders));
        let name = one.name(&version("a/b/B04.jp2"), "index");
        assert!(name.is_some());
        assert_eq!(folders.name(&version("s2/b/B04.jp2"), "index"), name);
        assert_eq!(places(Shown::All).name(&version("tiles/a/b/B04.jp2"), "index"), name);
        assert_eq!(folders.name(&version("other/b/B04.jp2"), "index"), None);
        let other = Places { server: "http://minio".to_owned(), ..one.clone() };
        assert_ne!(other.name(&version("a/b/B04.jp2"), "index"), name);
        let untold = ObjectVersion { etag: None, ..version("a/b/B04.jp2") };
        assert_eq!(one.name(&untold, "index"), None);
    }
}
