//! Locks that are taken in one order, and that say so when they are not.
//!
//! Contract: a thread that holds a lock takes only locks of a higher [`Rank`]. Each
//! lock checks that whenever it is taken, not only when two threads meet, so a test
//! that passes through a nesting once has checked it; the check is a thread-local
//! word and stays on in the released program, where a violation ends the one call
//! that made it (EIO and a line in the log) instead of all calls (a deadlock).
//! A lock whose holder panicked is taken as it is: every change below is complete
//! before it is visible, or is made again.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::{self, PoisonError};

/// The order of locks: from above to below.
///
/// Locks of tokio come before all of these: none of these is ever held across an
/// await, and the compiler sees to it, because their guards are not `Send`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Rank {
    /// Who goes through which directory in order.
    Runs,
    /// The names that programs changed.
    Tree,
    /// The inodes that the kernel knows.
    Inodes,
    /// How many handles an inode has.
    Opened,
    /// Which files wait to be sent, and whose memory may be had.
    Waiting,
    /// The last state of each file that was looked at as an image.
    Images,
    /// A draft's attributes and links.
    Draft,
    /// The right to read and write a draft's bytes, against giving them back.
    Here,
    /// What the bucket has of a draft.
    Progress,
}

thread_local! {
    /// One bit for each rank that this thread holds.
    static HELD: Cell<u32> = const { Cell::new(0) };
}

/// Marks a rank as held until it is dropped.
#[derive(Debug)]
struct Held(Rank);

impl Held {
    /// # Panics
    /// When the thread holds a lock of this rank or of a higher one.
    #[track_caller]
    fn mark(rank: Rank) -> Held {
        let held = HELD.get();
        assert!(
            held >> rank as u32 == 0,
            "the lock {rank:?} was taken out of order (held: {held:#b})"
        );
        HELD.set(held | 1 << rank as u32);
        Held(rank)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.set(HELD.get() & !(1 << self.0 as u32));
    }
}

/// A mutex with a place in the order.
#[derive(Debug)]
pub struct Mutex<T> {
    rank: Rank,
    inner: sync::Mutex<T>,
}

/// A lock for many readers or one writer, with a place in the order.
#[derive(Debug)]
pub struct RwLock<T> {
    rank: Rank,
    inner: sync::RwLock<T>,
}

/// A lock that is held.
#[derive(Debug)]
pub struct Guard<G> {
    // Given up before the rank is.
    inner: G,
    _held: Held,
}

/// A [`Mutex`] that is held.
pub type MutexGuard<'a, T> = Guard<sync::MutexGuard<'a, T>>;
/// An [`RwLock`] that is held for reading.
pub type ReadGuard<'a, T> = Guard<sync::RwLockReadGuard<'a, T>>;
/// An [`RwLock`] that is held for writing.
pub type WriteGuard<'a, T> = Guard<sync::RwLockWriteGuard<'a, T>>;

impl<T> Mutex<T> {
    /// A mutex of this rank.
    pub const fn new(rank: Rank, value: T) -> Self {
        Mutex { rank, inner: sync::Mutex::new(value) }
    }

    /// Takes it; not for longer than a moment.
    ///
    /// # Panics
    /// When this thread holds a lock that comes after it.
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let _held = Held::mark(self.rank);
        Guard { inner: self.inner.lock().unwrap_or_else(PoisonError::into_inner), _held }
    }
}

impl<T> RwLock<T> {
    /// A lock of this rank.
    pub const fn new(rank: Rank, value: T) -> Self {
        RwLock { rank, inner: sync::RwLock::new(value) }
    }

    /// Takes it beside other readers.
    ///
    /// # Panics
    /// When this thread holds a lock that comes after it.
    #[track_caller]
    pub fn read(&self) -> ReadGuard<'_, T> {
        let _held = Held::mark(self.rank);
        Guard { inner: self.inner.read().unwrap_or_else(PoisonError::into_inner), _held }
    }

    /// Takes it alone.
    ///
    /// # Panics
    /// When this thread holds a lock that comes after it.
    #[track_caller]
    pub fn write(&self) -> WriteGuard<'_, T> {
        let _held = Held::mark(self.rank);
        Guard { inner: self.inner.write().unwrap_or_else(PoisonError::into_inner), _held }
    }
}

impl<G: Deref> Deref for Guard<G> {
    type Target = G::Target;

    fn deref(&self) -> &G::Target {
        &self.inner
    }
}

impl<G: DerefMut> DerefMut for Guard<G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.inner
    }
}

/// Something that the log says once, for all who were told of it.
#[derive(Debug)]
pub struct ToldOnce(sync::Once);

impl ToldOnce {
    /// Nobody has said it yet.
    pub const fn new() -> Self {
        ToldOnce(sync::Once::new())
    }

    /// Says it, unless somebody has. When this returns it has been said: whoever sees the
    /// error afterwards finds it in the log.
    pub fn tell(&self, say: impl FnOnce()) {
        self.0.call_once(say);
    }
}

impl Default for ToldOnce {
    fn default() -> Self {
        ToldOnce::new()
    }
}

/// Takes a lock that is never held while another one is taken, and so needs no rank.
pub fn lock<T>(mutex: &sync::Mutex<T>) -> sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_in_order_can_be_nested_and_taken_again() {
        let (tree, inodes) = (Mutex::new(Rank::Tree, 1), Mutex::new(Rank::Inodes, 2));
        for _ in 0..2 {
            let outer = tree.lock();
            assert_eq!(*outer + *inodes.lock(), 3);
            assert_eq!(*inodes.lock(), 2);
        }
    }

    #[test]
    fn whoever_is_told_of_an_error_finds_it_in_the_log() {
        let (told, line) = (ToldOnce::new(), sync::Mutex::new(""));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    told.tell(|| {
                        std::thread::sleep(std::time::Duration::from_millis(30));
                        assert_eq!(std::mem::replace(&mut *lock(&line), "said"), "");
                    });
                    assert_eq!(*lock(&line), "said");
                });
            }
        });
    }

    #[test]
    #[should_panic(expected = "the lock Tree was taken out of order")]
    fn a_lock_out_of_order_is_found_without_a_second_thread() {
        let (tree, inodes) = (Mutex::new(Rank::Tree, ()), Mutex::new(Rank::Inodes, ()));
        let _inner = inodes.lock();
        let _outer = tree.lock();
    }

    #[test]
    #[should_panic(expected = "the lock Here was taken out of order")]
    fn two_locks_of_one_rank_are_not_nested() {
        let (one, other) = (RwLock::new(Rank::Here, ()), RwLock::new(Rank::Here, ()));
        let _one = one.read();
        let _other = other.write();
    }
}
