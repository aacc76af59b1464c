//! Looking names up and listing directories.

use std::ffi::OsStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::change::MAX_NAME_BYTES;
use super::inode::Place;
use super::node::{Folder, Thing};
use super::resolve::Found;
use super::{Attr, FileSystem, FsError, Ino};
use crate::catalog::{Listed, Walk};
use crate::view::{Original, ViewKind};

/// The longest time that the kernel is told to believe something.
pub(super) const LONGEST_TTL: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How long it believes what a file that programs write is like.
const MADE_TTL: Duration = Duration::from_secs(1);
/// Entries `.` and `..` come before those of the catalog.
const DOTS: u64 = 2;
/// Each entry of the catalog has a place for itself and one for each sibling.
const SLOTS: u64 = 1 + ViewKind::ALL.len() as u64;
/// Cookies from here on are of what programs made, which is listed last.
const MADE: u64 = 1 << 62;
/// So many of those are looked at together.
const MADE_AT_ONCE: usize = 64;

/// An open directory.
#[derive(Debug)]
pub(super) struct OpenDir {
    folder: Folder,
    ino: Ino,
    parent: Ino,
    /// The process that opened it.
    pid: u32,
    /// What is made from this number on was made after the listing began. It is not
    /// shown but in the place of something of the bucket: so a listing ends, and
    /// shows a file once that is written to meanwhile.
    made_before: AtomicU64,
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
        let folder = match self.folder_of(parent) {
            Ok(folder) => folder,
            Err(error) => return Some(Err(error)),
        };
        if self.overlay.is_some() && name.len() > MAX_NAME_BYTES {
            return Some(Err(FsError::NameTooLong));
        }
        let Some(name) = name.to_str() else {
            return Some(Ok((None, LONGEST_TTL)));
        };
        let own = self.own_known(&folder, name)?;
        let found = if own.thing.is_some() || own.is_hidden {
            Ok((own.thing, own.ttl))
        } else {
            self.sibling_known(&folder, name, own.ttl)?
        };
        Some(found.map(|found| self.enter(parent, &folder, name, found)))
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
        let folder = self.folder_of(parent)?;
        // Every name here is made from a key, and keys are UTF-8.
        let Some(name) = name.to_str() else { return Ok((None, LONGEST_TTL)) };
        if let Some((image, _)) = self.views.config().kinds.sources(name).next() {
            // In a large directory the names that begin like the image's come with
            // it, this one too.
            self.own(&folder, image).await?;
        }
        let Found { thing, ttl, is_hidden } = self.own(&folder, name).await?;
        let found = match thing {
            None if !is_hidden => self.sibling(&folder, name, ttl).await?,
            thing => (thing, ttl),
        };
        Ok(self.enter(parent, &folder, name, found))
    }

    /// Takes back look-ups.
    pub fn forget(&self, ino: Ino, count: u64) {
        self.inodes().forget(ino, count);
    }

    /// The attributes of an inode and how long they hold: a version's never change,
    /// and of what is written the kernel is told anew each time.
    pub fn getattr(&self, ino: Ino) -> Result<(Attr, Duration), FsError> {
        let node = self.inodes().node(ino).ok_or(FsError::BadHandle)?.clone();
        Ok((self.attr_of(ino, &node), attr_ttl(&node)))
    }

    /// Opens a directory for the process `pid`.
    pub fn open_dir(&self, ino: Ino, pid: u32) -> Result<u64, FsError> {
        let folder = self.folder_of(ino)?;
        let parent = self.inodes().parent(ino).unwrap_or(ino);
        let walk = Mutex::new(Some(self.catalog.walk()));
        let made_before = AtomicU64::new(0);
        Ok(self.dirs.insert(OpenDir { folder, ino, parent, pid, made_before, walk }))
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
        if !(DOTS..MADE).contains(&cookie) || (plus && self.views.config().are_listed) {
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

    /// Tells the kernel of what was found, and counts the look-up.
    pub(super) fn enter(
        &self,
        parent: Ino,
        folder: &Folder,
        name: &str,
        (thing, ttl): (Option<Thing>, Duration),
    ) -> (Option<Attr>, Duration) {
        let Some(thing) = thing else {
            // A file that is made here may be an image, and this its sibling.
            let may_come =
                self.overlay.is_some() && self.views.config().kinds.sources(name).next().is_some();
            return (None, if may_come { Duration::ZERO } else { ttl.min(LONGEST_TTL) });
        };
        let place = || Place { parent, folder: folder.clone(), name: name.to_owned() };
        let ino = self.inodes().look_up(&thing, place);
        let ttl = ttl.min(LONGEST_TTL).min(self.name_ttl(&thing));
        (Some(self.attr_of(ino, &thing)), ttl)
    }

    async fn fill(
        &self,
        open: &OpenDir,
        walk: &mut Walk,
        cookie: u64,
        plus: bool,
        sink: &mut (dyn DirSink + Send),
    ) -> Result<(), FsError> {
        if let (0, Some(overlay)) = (cookie, &self.overlay) {
            let next = overlay.tree().next_number(&open.folder.key());
            open.made_before.store(next, Ordering::Relaxed);
        }
        for (number, (name, ino)) in [(".", open.ino), ("..", open.parent)].into_iter().enumerate()
        {
            let number = number as u64;
            if number < cookie {
                continue;
            }
            let attr = self.attr_of(ino, &open.thing());
            let attr = Attr { ino, ..attr };
            let entry = SinkEntry { name, next_cookie: number + 1, attr, ttl: Duration::ZERO };
            if !sink.add(entry) {
                return Ok(());
            }
        }
        if let Folder::Bucket(dir) = &open.folder
            && cookie < MADE
        {
            let mut from = Position::of(cookie);
            loop {
                let listed = self.catalog.entries(dir, walk, from.number).await?;
                if listed.entries.is_empty() {
                    break;
                }
                let listed = self.with_siblings(listed, plus).await;
                if self.pour(open, listed, from, plus, sink) {
                    return Ok(());
                }
                // Nothing of these is shown any more: an empty answer would be the end.
                from = Position { number: from.number + listed.entries.len() as u64, slot: 0 };
            }
        }
        self.fill_made(open, cookie.saturating_sub(MADE), plus, sink).await;
        Ok(())
    }

    /// Adds what programs made or moved here, from a cookie on.
    async fn fill_made(
        &self,
        open: &OpenDir,
        cookie: u64,
        plus: bool,
        sink: &mut (dyn DirSink + Send),
    ) {
        let Some(overlay) = &self.overlay else { return };
        let mut from = Position { number: cookie / SLOTS, slot: cookie % SLOTS };
        loop {
            let end = open.made_before.load(Ordering::Relaxed);
            let numbers = from.number.min(end)..end;
            let items = overlay.tree().items(&open.folder.key(), numbers, MADE_AT_ONCE);
            let Some((last, ..)) = items.last() else { return };
            let behind = Position { number: last + 1, slot: 0 };
            for (number, name, item) in items {
                let thing = Thing::from(item);
                if let Thing::Made(made) = &thing
                    && self.is_faded(made)
                {
                    // The bucket's listing shows it.
                    continue;
                }
                let siblings = self.siblings_of(&open.folder, &name, &thing, plus).await;
                let own = (0, name, thing);
                for (slot, name, thing) in [own].into_iter().chain(siblings) {
                    let here = Position { number, slot };
                    let ttl = self.made_ttl().min(self.name_ttl(&thing));
                    let next = (MADE + number * SLOTS + slot + 1, ttl);
                    if here >= from && !self.show(open, &name, &thing, next, plus, sink) {
                        return;
                    }
                }
            }
            from = behind;
        }
    }

    /// What was made of a name of the bucket since the listing began.
    fn made_since(&self, open: &OpenDir, name: &str) -> Option<Thing> {
        let tree = self.overlay.as_ref()?.tree();
        let since = open.made_before.load(Ordering::Relaxed);
        tree.item_since(&open.folder.key(), name, since).map(Thing::from)
    }

    /// Shows an entry, with the cookie and time to live that it has; says no if it
    /// does not fit.
    fn show(
        &self,
        open: &OpenDir,
        name: &str,
        thing: &Thing,
        (next_cookie, ttl): (u64, Duration),
        plus: bool,
        sink: &mut (dyn DirSink + '_),
    ) -> bool {
        let place =
            || Place { parent: open.ino, folder: open.folder.clone(), name: name.to_owned() };
        let ino =
            if plus { self.inodes().look_up(thing, place) } else { self.inodes().number_of(thing) };
        let attr = self.attr_of(ino, thing);
        let fits = sink.add(SinkEntry { name, next_cookie, attr, ttl });
        if !fits && plus {
            self.inodes().forget(ino, 1);
        }
        fits
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
            let (thing, siblings) = match self.overlaid(&open.folder, &entry.name) {
                Some(_) => match self.made_since(open, &entry.name) {
                    Some(thing) => (thing, Vec::new()),
                    None => continue,
                },
                None => {
                    let siblings = self.listed_siblings(&open.folder, entry, plus);
                    (Thing::from(entry.node.clone()), siblings)
                }
            };
            let own = (0, entry.name.clone(), thing);
            for (slot, name, thing) in [own].into_iter().chain(siblings) {
                let here = Position { number, slot };
                if here < from {
                    continue;
                }
                any = true;
                let next = (here.next_cookie(), ttl.min(self.name_ttl(&thing)));
                if !self.show(open, &name, &thing, next, plus, sink) {
                    return true;
                }
            }
        }
        any
    }

    /// How long a name stands for a thing, for all that the kernel can know. A sibling
    /// goes with its image, and when a program writes to that or deletes it the
    /// kernel can only be told afterwards: so it asks each time.
    fn name_ttl(&self, thing: &Thing) -> Duration {
        match thing {
            Thing::View(_) if self.overlay.is_some() => Duration::ZERO,
            thing => attr_ttl(thing),
        }
    }
}

/// How long attributes hold. The kernel keeps the size of a file right that it
/// writes itself; what else changes is not worth guessing about.
fn attr_ttl(thing: &Thing) -> Duration {
    match thing {
        Thing::Dir(_) | Thing::Object(_) => LONGEST_TTL,
        Thing::View(view) if matches!(view.original, Original::Object(_)) => LONGEST_TTL,
        Thing::View(_) => Duration::ZERO,
        Thing::Made(_) => MADE_TTL,
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
    fn thing(&self) -> Thing {
        match &self.folder {
            Folder::Bucket(dir) => Thing::Dir(dir.clone()),
            Folder::Made(made) => Thing::Made(made.clone()),
        }
    }

    fn take_walk(&self) -> Option<Walk> {
        self.walk.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put_walk(&self, walk: Walk) {
        *self.walk.lock().unwrap_or_else(PoisonError::into_inner) = Some(walk);
    }
}
