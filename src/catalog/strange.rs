//! Keys whose objects have other paths than their keys, told in advance.

use std::collections::BTreeSet;

use super::dir::Dir;
use super::names::shadowed;
use crate::key::ObjectKey;
use crate::store::ListedObject;

/// What is strange about the path of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strange {
    /// Part of the key is no file name, and is written in another way.
    Escaped {
        /// The key.
        key: ObjectKey,
        /// The path below the root.
        path: String,
    },
    /// A folder has the name, so that the object has a suffix.
    Shadowed {
        /// The key.
        key: ObjectKey,
        /// The path below the root.
        path: String,
    },
    /// A folder has the name, and with the suffix the object's would be too long.
    Unreachable {
        /// The key.
        key: ObjectKey,
    },
}

impl Dir {
    /// Which of these objects below this directory have other paths than their keys.
    pub fn strange(&self, objects: &[ListedObject]) -> Vec<Strange> {
        let keys: BTreeSet<&str> =
            objects.iter().map(|object| object.version.key.as_str()).collect();
        let has_below = |key: &str| {
            let folder = format!("{key}/");
            let next = keys.range(folder.as_str()..).next();
            next.is_some_and(|next| next.starts_with(&folder))
        };
        // The empty object of a folder is the folder itself.
        let is_marker = |object: &&ListedObject| {
            object.version.size == 0 && object.version.key.as_str().ends_with('/')
        };
        let found = objects.iter().filter(|object| !is_marker(object)).filter_map(|object| {
            let key = &object.version.key;
            let path = self.path_of(key)?;
            if has_below(key.as_str()) {
                let name = path.rsplit('/').next().unwrap_or(&path);
                let folder = &path[..path.len() - name.len()];
                return Some(match shadowed(name) {
                    Some(name) => {
                        Strange::Shadowed { key: key.clone(), path: format!("{folder}{name}") }
                    }
                    None => Strange::Unreachable { key: key.clone() },
                });
            }
            let is_own = key.as_str().strip_prefix(self.prefix().as_str()) == Some(path.as_str());
            (!is_own).then(|| Strange::Escaped { key: key.clone(), path })
        });
        found.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    use crate::key::{ObjectVersion, Prefix};

    fn listed(key: &str, size: u64) -> ListedObject {
        let version = ObjectVersion {
            key: ObjectKey::new(key),
            size,
            etag: None,
            last_modified: SystemTime::UNIX_EPOCH,
        };
        ListedObject { version, storage_class: None }
    }

    #[test]
    fn what_has_another_path_than_its_key_is_told_with_it() {
        let long = format!("p/{}", "x".repeat(250));
        let below = format!("{long}/y");
        let keys = ["p/", "p/a", "p/a-b", "p/a/c", "p/d//e", "p/f/", "p/plain", &long, &below];
        let objects: Vec<_> =
            keys.iter().map(|key| listed(key, u64::from(!key.ends_with("p/")))).collect();
        let found = Dir::root(Prefix::new("p/")).strange(&objects);
        let key = |text: &str| ObjectKey::new(text);
        let escaped =
            |text: &str, path: &str| Strange::Escaped { key: key(text), path: path.to_owned() };
        assert_eq!(
            found,
            [
                Strange::Shadowed { key: key("p/a"), path: "a%%object".to_owned() },
                escaped("p/d//e", "d/%%/e"),
                // It has a body.
                escaped("p/f/", "f/%%"),
                Strange::Unreachable { key: key(&long) },
            ]
        );
    }
}
