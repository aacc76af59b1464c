//! Which directory of the tree stands for which prefix of keys.

use std::sync::Arc;

use super::names::{Decoded, Encoded, decode, encode, shadowed};
use super::page::PageEntry;
use crate::key::{AmongVersions, ObjectKey, Prefix};
use crate::store::ListedObject;

/// A directory: all keys that start with its prefix. An ordinary one's prefix ends
/// in `/` (or is the mount's root); one that stands for the first part of segments
/// that are too long for a name ends in that part.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dir {
    prefix: Prefix,
    /// The parts of the present segment that the directories above stand for.
    parts: Arc<[String]>,
}

/// What a name in a directory stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A directory.
    Dir(Dir),
    /// An object.
    Object(ListedObject),
}

/// A name as it was taken apart: what has to be looked for in the listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The directory `NAME/`, or else the object `NAME`.
    Either(String),
    /// The object `NAME`, if the directory `NAME/` exists too.
    Hidden(String),
    /// The versions of the object `NAME`.
    Versions(String),
    /// The directory of segments that start with this and are too long.
    LongPart(String),
}

impl Dir {
    /// The directory that a mount shows as its root.
    pub fn root(prefix: Prefix) -> Self {
        Dir { prefix, parts: Arc::new([]) }
    }

    /// The prefix that all its keys start with.
    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// The key of an object that is called `name` here; `None` if no key ever has
    /// that name, or if the object would lie behind a directory.
    pub fn key_of(&self, name: &str) -> Option<ObjectKey> {
        match self.wanted(name)? {
            Wanted::Either(rest) if !rest.is_empty() => Some(self.prefix.key(&rest)),
            Wanted::Either(_) | Wanted::Hidden(_) | Wanted::Versions(_) | Wanted::LongPart(_) => {
                None
            }
        }
    }

    /// The path of an object below this directory, as its names are written; `None` if
    /// the key does not start with the prefix.
    pub fn path_of(&self, key: &ObjectKey) -> Option<String> {
        let rest = key.as_str().strip_prefix(self.prefix.as_str())?;
        let mut names = Vec::new();
        for segment in rest.split('/') {
            let mut left = segment;
            loop {
                match encode(left) {
                    Encoded::Whole(name) => break names.push(name),
                    Encoded::Long { name, part } => {
                        left = &left[part.len()..];
                        names.push(name);
                    }
                }
            }
        }
        Some(names.join("/"))
    }

    /// The directory that is called `name` here; `None` if none ever has that name.
    pub fn dir_of(&self, name: &str) -> Option<Dir> {
        match self.wanted(name)? {
            Wanted::Either(rest) if !rest.is_empty() => Some(self.child(&rest)),
            Wanted::Either(_) | Wanted::Hidden(_) | Wanted::Versions(_) | Wanted::LongPart(_) => {
                None
            }
        }
    }

    /// Whether it holds the versions of an object, or lies in such a directory.
    pub fn is_among_versions(&self) -> bool {
        AmongVersions::of(self.prefix.as_str()).is_some()
    }

    /// The same directory once `from` is `to`; `None` if it does not lie in there.
    pub fn moved(&self, from: &Dir, to: &Dir) -> Option<Dir> {
        let rest = self.prefix.as_str().strip_prefix(from.prefix.as_str())?;
        Some(Dir { prefix: Prefix::new(format!("{}{rest}", to.prefix)), parts: self.parts.clone() })
    }

    /// What `name` asks for in this directory; `None` if no key ever has that name here.
    pub(super) fn wanted(&self, name: &str) -> Option<Wanted> {
        match decode(name)? {
            Decoded::Segment(rest) => self.is_canonical(&rest).then_some(Wanted::Either(rest)),
            Decoded::ShadowedObject(rest) => {
                self.is_canonical(&rest).then_some(Wanted::Hidden(rest))
            }
            Decoded::Versions(rest) => self.is_canonical(&rest).then_some(Wanted::Versions(rest)),
            Decoded::LongPart(part) => Some(Wanted::LongPart(part)),
        }
    }

    /// The directory of the segment `rest` (without its `/`).
    pub(super) fn child(&self, rest: &str) -> Dir {
        Dir::root(Prefix::new(format!("{}{rest}/", self.prefix)))
    }

    /// The directory that stands for the first `part` of longer segments.
    pub(super) fn long_child(&self, part: &str) -> Dir {
        let parts = self.parts.iter().cloned().chain([part.to_owned()]).collect();
        Dir { prefix: Prefix::new(format!("{}{part}", self.prefix)), parts }
    }

    /// Whether `child` is where a segment that starts with these parts belongs.
    pub(super) fn holds_long(&self, part: &str, rest: &str) -> bool {
        self.is_canonical(rest)
            && matches!(encode(rest), Encoded::Long { part: first, .. } if first == part)
    }

    /// The name and node of an entry of its listing; `None` for what is not shown
    /// here. `is_shadowed` says of an object whether a directory has its name.
    pub(super) fn name_entry(&self, entry: &PageEntry, is_shadowed: bool) -> Option<Named> {
        let base = self.prefix.as_str().len();
        let rest = entry.rest(base);
        let segment = rest.strip_suffix('/').unwrap_or(rest);
        if !self.is_canonical(segment) {
            return None;
        }
        let name = match encode(segment) {
            Encoded::Long { name, part } => {
                return Some(Named::Here(name, Node::Dir(self.long_child(part))));
            }
            Encoded::Whole(name) => name,
        };
        match entry {
            PageEntry::Prefix(_) => Some(Named::Here(name, Node::Dir(self.child(segment)))),
            // The marker of this very directory.
            PageEntry::Object(object) if rest.is_empty() && object.version.size == 0 => None,
            PageEntry::Object(object) if !is_shadowed => {
                Some(Named::Here(name, Node::Object(object.clone())))
            }
            PageEntry::Object(object) => Some(match shadowed(&name) {
                Some(name) => Named::Here(name, Node::Object(object.clone())),
                None => Named::Unreachable(object.clone()),
            }),
        }
    }

    /// Whether a segment that goes on with `rest` belongs here and not into a
    /// directory above, where shorter segments are.
    fn is_canonical(&self, rest: &str) -> bool {
        let whole = format!("{}{rest}", self.parts.concat());
        let mut left = whole.as_str();
        for expected in self.parts.iter() {
            match encode(left) {
                Encoded::Long { part, .. } if part == expected => left = &left[part.len()..],
                Encoded::Long { .. } | Encoded::Whole(_) => return false,
            }
        }
        true
    }
}

/// An entry of a listing under its file name.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Named {
    /// It has this name.
    Here(String, Node),
    /// No file name can be made for it.
    Unreachable(ListedObject),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_the_names_on_the_way() {
        let dir = Dir::root(Prefix::new("10/"));
        let path = |key: &str| dir.path_of(&ObjectKey::new(key));
        assert_eq!(path("10/S/a b").as_deref(), Some("S/a b"));
        assert_eq!(path("10/a//.").as_deref(), Some("a/%%/%%%2E"));
        assert_eq!(path("11/a"), None);
        let long = path(&format!("10/{}", "x".repeat(300))).unwrap();
        let (folder, name) = long.split_once('/').unwrap();
        assert_eq!((folder.len(), name.len()), (255, 300 - 252));
    }
}
