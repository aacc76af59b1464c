//! Looking names up and listing directories.

use std::ffi::OsStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::inode::Place;
use super::node::Thing;
use super::{Attr, FileSystem, FsError, Ino};
use crate::catalog::{Dir, Listed, Lookup, Walk};
use crate::view::ViewKind;

/// The longest time that the kernel is told to believe something.
const LONGEST_TTL: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Entries `.` and `..` come before those of the catalog.
const DOTS: u64 = 2;
/// Each entry of the catalog has a place for itself and one for each sibling.
const SLOTS: u64 = 1 + ViewKind::ALL.len() as u64;

/// An open directory.
#[derive(Debug)]
pub(super) struct OpenDir {
    dir: Dir,
    ino: Ino,
    parent: Ino,
    /// The process that opened it.
    pid: u32,
    /// Taken out while a request uses it, since no lock is held while waiting.
    walk: Mutex<Option<Walk>>,
}

/// Where directory entries go: the kernel's reply buffer, or a test's list.
pub trait DirSink {
    /// Takes an entry; says no if it does not fit any more.
    fn add(&mut self, entry: SinkEntry<'_>) -> bool;
}

/// An entry of a directory as the kernel takes it.
#[derive(Debug, Clone, Copy)]
pub struct SinkEntry<'e> {
    /// The file name.
    pub name: &'e str,
    /// The cookie that a later call goes on behind this entry with.
    pub next_cookie: u64,
    /// The attributes; of `.` and `..` only the number and kind count.
    pub attr: Attr,
    /// How long name and attributes hold; zero for `.` and `..`.
    pub ttl: Duration,
}

impl FileSystem {
    /// The answer to a look-up, if it needs no request. Counts the look-up.
    pub fn lookup_now(
        &self,
        parent: Ino,
        name: &OsStr,
    ) -> Option<Result<(Option<Attr>, Duration), FsError>> {
        let dir = match self.dir_of(parent) {
            Ok(dir) => dir,
            Err(error) => return Some(Err(error)),
        };
        let Some(name) = name.to_str() else {
            return Some(Ok((None, LONGEST_TTL)));
        };
        let found = match self.catalog.lookup_known(&dir, name)? {
            Lookup { node: Some(node), ttl } => Ok((Some(node.into()), ttl)),
            Lookup { node: None, ttl } => self.sibling_known(&dir, name, ttl)?,
        };
        Some(found.map(|(thing, ttl)| self.enter(parent, &dir, name, thing, ttl)))
    }

    /// What `name` is in the directory `parent`, and how long the answer holds:
    /// no attributes where there is no such name. Counts the look-up.
    ///
    /// # Errors
    /// What the listing failed with; for a sibling of an image, why the image
    /// can't be decoded.
    pub async fn lookup(
        &self,
        parent: Ino,
        name: &OsStr,
    ) -> Result<(Option<Attr>, Duration), FsError> {
        let dir = self.dir_of(parent)?;
        // Every name here is made from a key, and keys are UTF-8.
        let Some(name) = name.to_str() else { return Ok((None, LONGEST_TTL)) };
        if let Some((image, _)) = self.views.config().kinds.sources(name).next() {
            // In a large directory the names that begin like the image's come with
            // it, this one too.
            self.catalog.lookup(&dir, image).await?;
        }
        let Lookup { node, ttl } = self.catalog.lookup(&dir, name).await?;
        let (thing, ttl) = match node {
            Some(node) => (Some(node.into()), ttl),
            None => self.sibling(&dir, name, ttl).await?,
        };
        Ok(self.enter(parent, &dir, name, thing, ttl))
    }

    /// Takes back look-ups.
    pub fn forget(&self, ino: Ino, count: u64) {
        self.inodes().forget(ino, count);
    }

    /// The attributes of an inode and how long they hold: a version's never change.
    pub fn getattr(&self, ino: Ino) -> Result<(Attr, Duration), FsError> {
        let inodes = self.inodes();
        let node = inodes.node(ino).ok_or(FsError::BadHandle)?;
        Ok((self.attr_of(ino, node), LONGEST_TTL))
    }

    /// Opens a directory for the process `pid`.
    pub fn open_dir(&self, ino: Ino, pid: u32) -> Result<u64, FsError> {
        let dir = self.dir_of(ino)?;
        let parent = self.inodes().parent(ino).unwrap_or(ino);
        let walk = Mutex::new(Some(self.catalog.walk()));
        Ok(self.dirs.insert(OpenDir { dir, ino, parent, pid, walk }))
    }

    /// Fills `sink` with entries from `cookie` on. `plus` counts a look-up of each
    /// entry that the sink took.
    ///
    /// # Errors
    /// What the listing failed with.
    pub async fn read_dir(
        &self,
        handle: u64,
        cookie: u64,
        plus: bool,
        sink: &mut (dyn DirSink + Send),
    ) -> Result<(), FsError> {
        let open = self.dirs.get(handle).ok_or(FsError::BadHandle)?;
        // A second reader of the same handle would start a walk of its own.
        let mut walk = open.take_walk().unwrap_or_else(|| self.catalog.walk());
        let outcome = self.fill(&open, &mut walk, cookie, plus, sink).await;
        open.put_walk(walk);
        outcome
    }

    /// As [`FileSystem::read_dir`], if it needs no request; `false` if it does.
    pub fn read_dir_now(
        &self,
        handle: u64,
        cookie: u64,
        plus: bool,
        sink: &mut dyn DirSink,
    ) -> Result<bool, FsError> {
        let open = self.dirs.get(handle).ok_or(FsError::BadHandle)?;
        if cookie < DOTS || (plus && self.views.config().are_listed) {
            return Ok(false);
        }
        let Some(walk) = open.take_walk() else { return Ok(false) };
        let from = Position::of(cookie);
        let known = self.catalog.entries_known(&walk, from.number);
        let is_answered = known.is_some_and(|listed| self.pour(&open, listed, from, plus, sink));
        open.put_walk(walk);
        Ok(is_answered)
    }

    /// Closes a directory.
    pub fn release_dir(&self, handle: u64) {
        self.dirs.remove(handle);
    }

    /// Whether the process has the directory that contains `ino` open: it is
    /// listing it.
    pub(super) fn is_listing(&self, pid: u32, ino: Ino) -> bool {
        let parent = self.inodes().parent(ino);
        self.dirs.any(|open| open.pid == pid && Some(open.ino) == parent)
    }

    fn dir_of(&self, ino: Ino) -> Result<Dir, FsError> {
        match self.inodes().node(ino).ok_or(FsError::BadHandle)? {
            Thing::Dir(dir) => Ok(dir.clone()),
            Thing::Object(_) | Thing::View(_) => Err(FsError::NotADirectory),
        }
    }

    fn enter(
        &self,
        parent: Ino,
        dir: &Dir,
        name: &str,
        thing: Option<Thing>,
        ttl: Duration,
    ) -> (Option<Attr>, Duration) {
        let attr = thing.map(|thing| {
            let place = || Place { parent, dir: dir.clone(), name: name.to_owned() };
            let ino = self.inodes().look_up(&thing, place);
            self.attr_of(ino, &thing)
        });
        (attr, ttl.min(LONGEST_TTL))
    }

    async fn fill(
        &self,
        open: &OpenDir,
        walk: &mut Walk,
        cookie: u64,
        plus: bool,
        sink: &mut (dyn DirSink + Send),
    ) -> Result<(), FsError> {
        for (number, (name, ino)) in [(".", open.ino), ("..", open.parent)].into_iter().enumerate()
        {
            let number = number as u64;
            if number < cookie {
                continue;
            }
            let attr = self.attr_of(ino, &Thing::Dir(open.dir.clone()));
            let entry = SinkEntry { name, next_cookie: number + 1, attr, ttl: Duration::ZERO };
            if !sink.add(entry) {
                return Ok(());
            }
        }
        let mut from = Position::of(cookie);
        loop {
            let listed = self.catalog.entries(&open.dir, walk, from.number).await?;
            if listed.entries.is_empty() {
                return Ok(());
            }
            let listed = self.with_siblings(listed, plus).await;
            if self.pour(open, listed, from, plus, sink) {
                return Ok(());
            }
            // Nothing of these is shown any more: an empty answer would be the end.
            from = Position { number: from.number + listed.entries.len() as u64, slot: 0 };
        }
    }

    /// Adds what was listed from the place `from` on, until the sink is full.
    /// Whether anything was added, or would have been.
    fn pour(
        &self,
        open: &OpenDir,
        listed: Listed<'_>,
        from: Position,
        plus: bool,
        sink: &mut dyn DirSink,
    ) -> bool {
        let ttl = listed.ttl.min(LONGEST_TTL);
        let mut any = false;
        for (entry, number) in listed.entries.iter().zip(from.number..) {
            let own = (0, entry.name.clone(), Thing::from(entry.node.clone()));
            let siblings = self.listed_siblings(&open.dir, entry, plus);
            for (slot, name, thing) in [own].into_iter().chain(siblings) {
                let here = Position { number, slot };
                if here < from {
                    continue;
                }
                let place =
                    || Place { parent: open.ino, dir: open.dir.clone(), name: name.clone() };
                let ino = if plus {
                    self.inodes().look_up(&thing, place)
                } else {
                    self.inodes().number_of(&thing)
                };
                let attr = self.attr_of(ino, &thing);
                any = true;
                let next_cookie = here.next_cookie();
                if !sink.add(SinkEntry { name: &name, next_cookie, attr, ttl }) {
                    if plus {
                        self.inodes().forget(ino, 1);
                    }
                    return true;
                }
            }
        }
        any
    }
}

/// Where a listing goes on: at an entry of the catalog (slot 0) or at one of the
/// siblings that follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    number: u64,
    slot: u64,
}

impl Position {
    fn of(cookie: u64) -> Self {
        let behind_dots = cookie.saturating_sub(DOTS);
        Position { number: behind_dots / SLOTS, slot: behind_dots % SLOTS }
    }

    /// The cookie of what follows.
    fn next_cookie(self) -> u64 {
        DOTS + self.number * SLOTS + self.slot + 1
    }
}

impl OpenDir {
    fn take_walk(&self) -> Option<Walk> {
        self.walk.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put_walk(&self, walk: Walk) {
        *self.walk.lock().unwrap_or_else(PoisonError::into_inner) = Some(walk);
    }
}
