//! Directories in which a call is still changing names whose program has given up.
//!
//! While a call makes, deletes or renames something, the kernel lets nobody else do so in
//! the same directory, and `fs` counts on it. A call that is brought to its end after it was
//! answered holds its directories here instead.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::fs::Ino;

/// Which directories are held, and how often.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    held: Mutex<HashMap<Ino, usize>>,
    released: Notify,
}

/// Holds directories until it is dropped.
#[derive(Debug)]
pub(super) struct Hold {
    unfinished: Arc<Unfinished>,
    dirs: Vec<Ino>,
}

impl Unfinished {
    /// Holds directories.
    pub(super) fn hold(self: &Arc<Self>, dirs: Vec<Ino>) -> Hold {
        let mut held = self.lock();
        for dir in &dirs {
            *held.entry(*dir).or_default() += 1;
        }
        drop(held);
        Hold { unfinished: self.clone(), dirs }
    }

    /// Ends when none of these directories is held.
    pub(super) async fn wait(&self, dirs: &[Ino]) {
        loop {
            let mut released = pin!(self.released.notified());
            released.as_mut().enable();
            if !self.holds_any(dirs) {
                return;
            }
            released.await;
        }
    }

    fn holds_any(&self, dirs: &[Ino]) -> bool {
        let held = self.lock();
        !held.is_empty() && dirs.iter().any(|dir| held.contains_key(dir))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Ino, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.unfinished.lock();
        for dir in &self.dirs {
            if let Some(times) = held.get_mut(dir) {
                *times -= 1;
                if *times == 0 {
                    held.remove(dir);
                }
            }
        }
        drop(held);
        self.unfinished.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn who_changes_a_directory_waits_for_all_who_hold_it() {
        let unfinished = Arc::new(Unfinished::default());
        let (one, other) = (unfinished.hold(vec![2, 3]), unfinished.hold(vec![3, 3]));
        assert!(unfinished.wait(&[1, 4]).now_or_never().is_some());
        let mut waiting = Box::pin(unfinished.wait(&[1, 3]));
        assert!((&mut waiting).now_or_never().is_none());
        drop(one);
        assert!((&mut waiting).now_or_never().is_none());
        assert!(unfinished.wait(&[2]).now_or_never().is_some());
        drop(other);
        assert!(waiting.now_or_never().is_some());
    }
}
