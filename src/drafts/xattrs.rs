//! Extended attributes that programs give to what stays in memory.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the attributes of one file may take, names included, in bytes.
const MOST_OF_ONE: u64 = 64 << 10;
/// What all attributes may take together, in bytes.
const MOST_OF_ALL: u64 = 4 << 20;
/// What each takes beside its name and its value, in bytes.
const EACH_BYTES: u64 = 64;

/// Whether an attribute has to be there before it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XattrSet {
    /// It is made or replaced.
    Always,
    /// It must be new.
    Create,
    /// It must exist.
    Replace,
}

/// Why an attribute is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XattrError {
    /// It is there already.
    #[error("the attribute exists")]
    Exists,
    /// It is not there.
    #[error("no such attribute")]
    Missing,
    /// There is no room for it.
    #[error("no room for the attribute")]
    NoRoom,
}

/// The room that all attributes of a mount take.
#[derive(Debug, Default)]
pub struct XattrRoom {
    used_bytes: AtomicU64,
}

/// The attributes of one file.
#[derive(Debug, Default)]
pub(super) struct Xattrs {
    values: BTreeMap<OsString, Vec<u8>>,
    /// Where they are counted, and how many bytes.
    counted: Option<(Arc<XattrRoom>, u64)>,
}

impl Xattrs {
    /// The value of an attribute.
    pub(super) fn get(&self, name: &OsStr) -> Option<Vec<u8>> {
        self.values.get(name).cloned()
    }

    /// The names of all.
    pub(super) fn names(&self) -> Vec<OsString> {
        self.values.keys().cloned().collect()
    }

    /// Sets an attribute, which is counted in `room`.
    pub(super) fn set(
        &mut self,
        room: &Arc<XattrRoom>,
        name: &OsStr,
        value: &[u8],
        how: XattrSet,
    ) -> Result<(), XattrError> {
        let before = self.values.get(name);
        match (how, before) {
            (XattrSet::Create, Some(_)) => return Err(XattrError::Exists),
            (XattrSet::Replace, None) => return Err(XattrError::Missing),
            _ => {}
        }
        let before = before.map_or(0, |before| size(name, before));
        let bytes = self.bytes() - before + size(name, value);
        if bytes > MOST_OF_ONE || !self.count(room, bytes) {
            return Err(XattrError::NoRoom);
        }
        self.values.insert(name.to_owned(), value.to_vec());
        Ok(())
    }

    /// Takes an attribute away; returns whether there was one.
    pub(super) fn remove(&mut self, name: &OsStr) -> bool {
        let Some(value) = self.values.remove(name) else { return false };
        if let Some((room, bytes)) = &mut self.counted {
            let freed = size(name, &value);
            room.used_bytes.fetch_sub(freed, Ordering::Relaxed);
            *bytes -= freed;
        }
        true
    }

    fn bytes(&self) -> u64 {
        self.counted.as_ref().map_or(0, |(_, bytes)| *bytes)
    }

    /// Counts `bytes` in place of what was counted, if there is room for that.
    fn count(&mut self, room: &Arc<XattrRoom>, bytes: u64) -> bool {
        let before = self.bytes();
        let fits = |used: u64| Some(used - before + bytes).filter(|sum| *sum <= MOST_OF_ALL);
        let used = &room.used_bytes;
        let is_counted = used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        if is_counted {
            self.counted = Some((room.clone(), bytes));
        }
        is_counted
    }
}

impl Drop for Xattrs {
    fn drop(&mut self) {
        if let Some((room, bytes)) = &self.counted {
            room.used_bytes.fetch_sub(*bytes, Ordering::Relaxed);
        }
    }
}

fn size(name: &OsStr, value: &[u8]) -> u64 {
    (name.len() + value.len()) as u64 + EACH_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(of: &mut Xattrs, room: &Arc<XattrRoom>, name: &str, length: usize) -> bool {
        of.set(room, OsStr::new(name), &vec![7; length], XattrSet::Always).is_ok()
    }

    #[test]
    fn one_file_and_all_together_have_their_limits_and_room_comes_back() {
        let (room, mut one) = (Arc::default(), Xattrs::default());
        assert!(set(&mut one, &room, "user.a", 60_000));
        assert!(!set(&mut one, &room, "user.b", 10_000));
        assert!(set(&mut one, &room, "user.a", 10), "it replaces the first");
        assert!(set(&mut one, &room, "user.b", 60_000));
        assert!(one.remove(OsStr::new("user.b")) && !one.remove(OsStr::new("user.b")));
        assert_eq!(one.get(OsStr::new("user.a")).unwrap().len(), 10);
        drop(one);
        assert_eq!(room.used_bytes.load(Ordering::Relaxed), 0);
        let mut all: Vec<Xattrs> = (0..100).map(|_| Xattrs::default()).collect();
        let most = all.iter_mut().filter_map(|one| set(one, &room, "user.a", 60_000).then_some(()));
        assert_eq!(most.count(), 69);
        drop(all);
        assert_eq!(room.used_bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_attribute_is_made_or_replaced_only_if_that_was_meant() {
        let (room, mut one) = (Arc::default(), Xattrs::default());
        let name = OsStr::new("user.a");
        assert_eq!(one.set(&room, name, b"1", XattrSet::Replace), Err(XattrError::Missing));
        assert_eq!(one.set(&room, name, b"1", XattrSet::Create), Ok(()));
        assert_eq!(one.set(&room, name, b"2", XattrSet::Create), Err(XattrError::Exists));
        assert_eq!(one.set(&room, name, b"3", XattrSet::Replace), Ok(()));
        assert_eq!((one.get(name), one.names()), (Some(b"3".to_vec()), vec![name.to_owned()]));
    }
}
