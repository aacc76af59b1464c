//! How many handles each inode has, and how many of them may write.

use std::collections::HashMap;

use crate::sync::{Mutex, Rank};

/// The inodes that programs have open. Whoever opens and closes files counts here, so
/// that nobody has to ask them.
#[derive(Debug)]
pub struct Opened(Mutex<HashMap<u64, Count>>);

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    handles: u32,
    writers: u32,
}

impl Default for Opened {
    fn default() -> Self {
        Opened(Mutex::new(Rank::Opened, HashMap::new()))
    }
}

impl Opened {
    /// Counts a handle that is opened.
    pub fn add(&self, ino: u64, writes: bool) {
        let mut counts = self.0.lock();
        let count = counts.entry(ino).or_default();
        count.handles += 1;
        count.writers += u32::from(writes);
    }

    /// Counts a handle that is closed.
    pub fn remove(&self, ino: u64, writes: bool) {
        let mut counts = self.0.lock();
        let Some(count) = counts.get_mut(&ino) else { return };
        count.handles = count.handles.saturating_sub(1);
        count.writers = count.writers.saturating_sub(u32::from(writes));
        if count.handles == 0 {
            counts.remove(&ino);
        }
    }

    /// Counts an inode as open until what this returns is dropped.
    pub fn hold(&self, ino: u64) -> HeldOpen<'_> {
        self.add(ino, false);
        HeldOpen { opened: self, ino }
    }

    /// Whether anybody has an inode open.
    pub fn is_open(&self, ino: u64) -> bool {
        self.0.lock().contains_key(&ino)
    }

    /// Whether anybody has an inode open to write to it.
    pub fn is_written(&self, ino: u64) -> bool {
        self.0.lock().get(&ino).is_some_and(|count| count.writers > 0)
    }

    /// All inodes that are open.
    pub fn inodes(&self) -> Vec<u64> {
        self.0.lock().keys().copied().collect()
    }
}

/// An inode that counts as open.
#[derive(Debug)]
pub struct HeldOpen<'o> {
    opened: &'o Opened,
    ino: u64,
}

impl Drop for HeldOpen<'_> {
    fn drop(&mut self) {
        self.opened.remove(self.ino, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inode_is_open_until_its_last_handle_is_closed() {
        let opened = Opened::default();
        opened.add(7, true);
        opened.add(7, false);
        opened.remove(7, true);
        assert!(opened.is_open(7) && !opened.is_written(7));
        opened.remove(7, false);
        assert!(!opened.is_open(7));
        let held = opened.hold(7);
        assert!(opened.is_open(7));
        drop(held);
        assert!(opened.inodes().is_empty());
    }
}
