//! The bucket, looked at from outside: what each step may have changed in it, and
//! what it has.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use s3mem::publish::UploadConfig;

use crate::support::bucket::Object;
use crate::support::memory_store::{Call, MemoryStore};

/// What a step is to change in the bucket.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) key: String,
    /// The new bytes; `None` to delete it.
    pub(super) bytes: Option<Vec<u8>>,
    /// The version that the mount has seen there.
    pub(super) seen: Option<String>,
    /// Whether it is the mount's own, if what it replaces is.
    pub(super) is_made: Made,
}

impl Change {
    /// Bytes that come from the mount.
    pub(super) fn new(key: &str, bytes: Option<Vec<u8>>, seen: Option<String>) -> Self {
        Change { key: key.to_owned(), bytes, seen, is_made: Made::Yes }
    }

    /// The copy of an object that is the mount's own or not.
    pub(super) fn copied(self, of: Made) -> Self {
        Change { is_made: of, ..self }
    }
}

/// Whether the mount knows an object as one that it has made itself, where nothing was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Made {
    No,
    /// It has, and may not know it: a request failed.
    Perhaps,
    Yes,
}

/// How much a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of its changes.
    Done,
    /// Any of them: it failed on command.
    Some,
}

pub(super) struct Oracle {
    pub(super) store: Arc<MemoryStore>,
    pub(super) config: UploadConfig,
    pub(super) objects: BTreeMap<String, Arc<Object>>,
    /// All that each key ever was, `None` where nothing; the last one is now.
    history: BTreeMap<String, Vec<Option<Arc<Object>>>>,
    /// Keys of which the mount may not know what they are, because somebody else
    /// changed them or a request failed.
    pub(super) unsure: BTreeSet<String>,
    /// Keys that the mount has changed.
    touched: BTreeSet<String>,
    /// The versions that the mount has made itself, by key. Who did not hear that one is
    /// gone goes on with it.
    made: HashMap<String, HashMap<String, Made>>,
    calls: usize,
}

pub(super) fn bytes_of(object: &Object) -> Vec<u8> {
    object.content.slice(0..object.content.size()).to_vec()
}

impl Oracle {
    pub(super) fn new(store: Arc<MemoryStore>, config: UploadConfig) -> Self {
        let mut oracle = Oracle {
            store,
            config,
            objects: BTreeMap::new(),
            history: BTreeMap::new(),
            unsure: BTreeSet::new(),
            touched: BTreeSet::new(),
            made: HashMap::new(),
            calls: 0,
        };
        oracle.look();
        oracle
    }

    /// Looks at the bucket anew; what it was before.
    fn look(&mut self) -> BTreeMap<String, Arc<Object>> {
        let keys = self.store.keys();
        let objects =
            keys.into_iter().filter_map(|key| Some((key.clone(), self.store.object(&key)?)));
        let before = std::mem::replace(&mut self.objects, objects.collect());
        let keys: BTreeSet<_> = before.keys().chain(self.objects.keys()).cloned().collect();
        for key in keys {
            let now = self.objects.get(&key);
            if before.get(&key).map(Arc::as_ptr) != now.map(Arc::as_ptr) {
                let versions = self.history.entry(key).or_insert_with(|| vec![None]);
                versions.push(now.cloned());
            }
        }
        before
    }

    pub(super) fn etag(&self, key: &str) -> Option<String> {
        self.objects.get(key).map(|object| object.etag.clone())
    }

    /// Whether a version is the mount's own; what is not there is.
    pub(super) fn made(&self, key: &str, seen: Option<&String>) -> Made {
        let Some(seen) = seen else { return Made::Yes };
        let made = self.made.get(key).and_then(|versions| versions.get(seen));
        made.copied().unwrap_or(Made::No)
    }

    /// Whether the mount may replace a version.
    pub(super) fn may_overwrite(&self, key: &str, seen: Option<&String>) -> Made {
        if self.config.allow_overwrite { Made::Yes } else { self.made(key, seen) }
    }

    /// Whether the mount may delete a version, or give it another name.
    pub(super) fn may_delete(&self, key: &str, seen: Option<&String>) -> Made {
        if self.config.allow_delete { Made::Yes } else { self.made(key, seen) }
    }

    /// Whether the bucket has of a key what the mount has seen of it.
    pub(super) fn is_seen(&self, key: &str, seen: &Option<String>) -> bool {
        self.etag(key) == *seen
    }

    /// All versions that a key ever had, the newest first.
    pub(super) fn versions(&self, key: &str) -> Vec<Option<Arc<Object>>> {
        let versions = self.history.get(key).into_iter().flatten().rev().cloned();
        versions.chain([None]).collect()
    }

    /// Whether the mount asks the bucket for this key each time.
    pub(super) fn is_asked_for(&self, key: &str) -> bool {
        !self.touched.contains(key)
    }

    /// Notes what somebody else has done to a key.
    pub(super) fn others(&mut self, key: &str) {
        self.unsure.insert(key.to_owned());
        self.look();
    }

    /// Holds what a step has done to the bucket, and asked of it, against what it was
    /// to do. `writes_to` is a file that may be sent in parts meanwhile.
    pub(super) fn account(&mut self, changes: &[Change], extent: Extent, writes_to: Option<&str>) {
        let before = self.look();
        let keys: BTreeSet<_> = before.keys().chain(self.objects.keys()).cloned().collect();
        for key in &keys {
            let (was, now) = (before.get(key), self.objects.get(key));
            if was.map(Arc::as_ptr) == now.map(Arc::as_ptr) {
                continue;
            }
            let change = changes.iter().find(|change| change.key == *key);
            let change = change.unwrap_or_else(|| panic!("{key:?} was changed: {changes:?}"));
            let etag = was.map(|object| object.etag.clone());
            assert_eq!(etag, change.seen, "{key:?} was another version than the mount has seen");
            let bytes = now.map(|object| bytes_of(object));
            assert!(bytes == change.bytes, "{key:?} has bytes that nobody wrote");
            let may = match now {
                None => self.may_delete(key, etag.as_ref()),
                Some(_) => self.may_overwrite(key, etag.as_ref()),
            };
            assert!(may != Made::No, "{key:?} was protected by the flags");
            let made = self.made(key, etag.as_ref()).min(change.is_made);
            let made = if extent == Extent::Done { made } else { made.min(Made::Perhaps) };
            let versions = self.made.entry(key.clone()).or_default();
            versions.values_mut().for_each(|made| *made = Made::Perhaps.min(*made));
            versions.extend(now.map(|object| (object.etag.clone(), made)));
        }
        self.touched.extend(changes.iter().map(|change| change.key.clone()));
        if extent == Extent::Done {
            for Change { key, bytes, .. } in changes {
                let now = self.objects.get(key).map(|object| bytes_of(object));
                assert!(now == *bytes, "{key:?} is not in the bucket as it was acknowledged");
            }
        }
        self.account_calls(changes, writes_to);
    }

    fn account_calls(&mut self, changes: &[Change], writes_to: Option<&str>) {
        let calls = self.store.calls();
        let new = calls[self.calls..].iter().filter(|call| call.kind().writes());
        let new: Vec<_> = new.filter(|call| !matches!(call, Call::AbortUpload(_))).collect();
        self.calls = calls.len();
        for call in &new {
            let key = call.key();
            let is_meant = changes.iter().any(|change| change.key == key);
            assert!(is_meant || writes_to == Some(key), "{call:?} is for nothing");
            assert!(!is_memory_only(key), "{call:?} is of what stays in memory");
        }
        let parts = new.iter().filter(|call| matches!(call, Call::PutPart(..))).count();
        let others = new.len() - parts;
        assert!(others <= 3 * changes.len() + 1 && parts <= 8, "too many requests: {new:?}");
    }
}

/// Whether the patterns of the tests have it stay in memory.
pub(super) fn is_memory_only(key: &str) -> bool {
    key.split('/').any(|segment| matches!(segment, "m" | "n"))
}
