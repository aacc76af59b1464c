//! Listing directories: opendir, readdir, releasedir.
//!
//! A cookie is the number of an entry, so a listing goes on where it was while names come
//! and go: first `.` and `..`, then the entries of the bucket, each followed by its
//! siblings, then what programs made here.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::open_dir::OpenDir;
use super::{Attr, FileSystem, FsError, Ino};
use crate::catalog::{Listed, Walk};
use crate::names::{Contents, Place, Slot, Thing};
use crate::publish::process_of;
use crate::sync::lock;
use crate::view::ViewKind;

/// Entries `.` and `..` come before those of the catalog.
const DOTS: u64 = 2;
/// Each entry of the catalog has a place for itself and one for each sibling.
const SLOTS: u64 = 1 + ViewKind::LISTED.len() as u64;
/// Cookies from here on are of what programs made, which is listed last.
const DRAFTS: u64 = 1 << 62;
/// How many of those are looked at together.
const DRAFTS_AT_ONCE: usize = 64;

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
    /// Opens a directory for the process `pid`.
    ///
    /// # Errors
    /// ENOTDIR.
    pub fn open_dir(&self, ino: Ino, pid: u32) -> Result<u64, FsError> {
        let folder = self.names.folder(ino)?;
        let parent = self.names.inodes().parent(ino).unwrap_or(ino);
        Ok(self.dirs.insert(OpenDir::new(folder, ino, parent, pid)))
    }

    /// Fills `sink` with entries from `cookie` on. `plus` counts a look-up of each entry
    /// that the sink took. What is known costs no request and does not wait.
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
        let mut walk = lock(&open.walk).take().unwrap_or_default();
        let listing = ReadDir { fs: self, open: &open, plus, sink };
        let outcome = listing.fill(&mut walk, cookie).await;
        *lock(&open.walk) = Some(walk);
        outcome
    }

    /// Closes a directory.
    pub fn release_dir(&self, handle: u64) {
        self.dirs.remove(handle);
    }
}

/// One call of readdir.
struct ReadDir<'l> {
    fs: &'l FileSystem,
    open: &'l OpenDir,
    plus: bool,
    sink: &'l mut (dyn DirSink + Send),
}

impl<'l> ReadDir<'l> {
    fn contents(&self) -> Contents<'l> {
        self.fs.names.contents(&self.open.folder)
    }

    async fn fill(mut self, walk: &mut Walk, cookie: u64) -> Result<(), FsError> {
        if cookie == 0 && self.fs.is_writable() {
            let next = self.contents().next_number();
            self.open.made_before.store(next, Ordering::Relaxed);
        }
        if self.add_dots(cookie) {
            return Ok(());
        }
        if cookie == 0 {
            self.fs.names.note_listed(&self.open.folder, || process_of(self.open.pid));
            self.fs.readers.ahead.lists(self.open.ino, &self.open.folder);
        }
        if cookie < DRAFTS && self.add_entries(walk, cookie).await? {
            return Ok(());
        }
        self.add_drafts(cookie.saturating_sub(DRAFTS)).await;
        Ok(())
    }

    /// Adds `.` and `..`; returns whether the sink is full.
    fn add_dots(&mut self, cookie: u64) -> bool {
        let names = [(".", self.open.ino), ("..", self.open.parent)];
        for (number, (name, ino)) in names.into_iter().enumerate().skip(cookie as usize) {
            let attr = self.fs.names.attr(ino, &Thing::from(&self.open.folder));
            let (attr, next_cookie) = (Attr { ino, ..attr }, number as u64 + 1);
            if !self.sink.add(SinkEntry { name, next_cookie, attr, ttl: Duration::ZERO }) {
                return true;
            }
        }
        false
    }

    /// Adds entries of the bucket, from a cookie on, until the sink is full or a page has
    /// been added; returns whether that is the answer.
    async fn add_entries(&mut self, walk: &mut Walk, cookie: u64) -> Result<bool, FsError> {
        let mut from = Position::of(cookie);
        loop {
            // The kernel wants attributes with the first entries in any case. Whether the program
            // does shows in what it asks about those: then they come with the next ones too.
            let sizes = self.plus && cookie > 0;
            let listed = self.contents().entries(walk, from.number, sizes).await?;
            if listed.entries.is_empty() {
                return Ok(false);
            }
            if self.pour(listed, from, self.plus && !sizes) {
                return Ok(true);
            }
            // Nothing of these is shown any more: an empty answer would be the end.
            from = Position { number: from.number + listed.entries.len() as u64, slot: 0 };
        }
    }

    /// Adds what was listed from the place `from` on, until the sink is full; with `waits`,
    /// until siblings come whose sizes are not known. Returns whether anything was added, or
    /// would have been.
    fn pour(&mut self, listed: Listed<'_>, from: Position, waits: bool) -> bool {
        let ttl = listed.ttl;
        let since = self.open.made_before.load(Ordering::Relaxed);
        let mut any = false;
        for (entry, number) in listed.entries.iter().zip(from.number..) {
            let mut slots = self.contents().shown(entry, since, self.plus);
            let ends = waits && self.contents().has_unknown_siblings(entry);
            if ends {
                slots.truncate(1);
            }
            for Slot { number: slot, name, thing } in slots {
                let here = Position { number, slot };
                if here < from {
                    continue;
                }
                any = true;
                if !self.show(&name, &thing, here.next_cookie(), ttl) {
                    return true;
                }
            }
            if ends && any {
                return true;
            }
        }
        any
    }

    /// Adds what programs made or moved here, from a cookie on.
    async fn add_drafts(&mut self, cookie: u64) {
        if !self.fs.is_writable() {
            return;
        }
        let contents = self.contents();
        let mut from = Position { number: cookie / SLOTS, slot: cookie % SLOTS };
        loop {
            let end = self.open.made_before.load(Ordering::Relaxed);
            let numbers = from.number.min(end)..end;
            let (drafts, next) = contents.drafts(numbers, DRAFTS_AT_ONCE);
            let Some(next) = next else { return };
            for Slot { number, name, thing } in drafts {
                // What they are is in memory, so there is nothing to wait for.
                let siblings = contents.siblings_of(&name, &thing, true).await;
                let own = Slot { number: 0, name, thing };
                for Slot { number: slot, name, thing } in [own].into_iter().chain(siblings) {
                    let next = DRAFTS + number * SLOTS + slot + 1;
                    let ttl = self.fs.names.ttl().draft();
                    if (Position { number, slot }) >= from && !self.show(&name, &thing, next, ttl) {
                        return;
                    }
                }
            }
            from = Position { number: next, slot: 0 };
        }
    }

    /// Shows an entry, whose listing is believed for `ttl`; returns whether it did fit.
    fn show(&mut self, name: &str, thing: &Thing, next_cookie: u64, ttl: Duration) -> bool {
        let open = self.open;
        let place =
            || Place { parent: open.ino, folder: open.folder.clone(), name: name.to_owned() };
        let names = &self.fs.names;
        let attr = names.listed(place, thing, self.plus);
        let ttl = ttl.min(names.ttl().name(thing));
        let fits = self.sink.add(SinkEntry { name, next_cookie, attr, ttl });
        if !fits && self.plus {
            names.inodes().forget(attr.ino, 1);
        }
        fits
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
