//! What the bucket has of a file, and what of it is still to be sent.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Instant;

use tokio::sync::OnceCell;

use super::parts::Parts;
use crate::key::{ObjectKey, ObjectVersion};
use crate::store::{Part, StoreError, StoreErrorKind, Upload};

/// A file is sent while it is written once it has so many parts.
const PARTS_AHEAD: u32 = 2;

/// The next part of a file of which none is sent ahead.
const NOT_AHEAD: u32 = u32::MAX;

/// Where a file belongs in the bucket.
#[derive(Debug)]
pub struct Remote {
    state: Mutex<RemoteState>,
    /// Held to write into the file, and alone to give memory of it back.
    here: RwLock<()>,
    /// Held by who sends parts ahead or gives their memory back, and alone to send the
    /// rest.
    pub(super) sending: Arc<tokio::sync::RwLock<()>>,
    /// One lock for each part that is being sent.
    parts_under_way: Mutex<BTreeMap<u32, Arc<tokio::sync::Mutex<()>>>>,
}

/// All that changes about it.
#[derive(Debug)]
pub(super) struct RemoteState {
    /// Where its parts begin and end.
    layout: Parts,
    /// The object that it becomes.
    pub(super) key: ObjectKey,
    /// The version that the bucket has, as far as is known; `None` for no object.
    pub(super) seen: Option<ObjectVersion>,
    /// How many times it was written to.
    pub(super) writes: u64,
    /// How many of those are in the bucket; `None` for a file that was never sent.
    pub(super) sent: Option<u64>,
    /// When it was sent.
    pub(super) sent_at: Option<Instant>,
    /// Why it could not be sent the last time.
    pub(super) problem: Option<Arc<StoreError>>,
    /// The upload in parts that was begun.
    pub(super) session: Arc<Session>,
    /// By which write each part was last changed.
    touched: BTreeMap<u32, u64>,
    /// Parts that were sent, as of which write.
    parts: BTreeMap<u32, (Part, u64)>,
    /// Parts whose memory was given back: the upload alone has them.
    gone: BTreeSet<u32>,
    /// Its size in bytes.
    size: u64,
    /// Where the next write begins if the file is written in order.
    end: u64,
    is_in_order: bool,
    /// The next part to be sent ahead.
    ahead: u32,
    /// Whether the server is making an object of it.
    is_sealed: bool,
}

/// One upload in parts, which is begun when the first part is sent.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) upload: OnceCell<Upload>,
}

/// Some of a file is in the bucket's hands alone until it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the beginning of the file was sent away for want of memory")]
pub struct SentAway;

impl Remote {
    /// As [`Uploads::remote`](super::Uploads::remote), to be sent in such parts.
    pub(super) fn new(
        layout: Parts,
        key: ObjectKey,
        seen: Option<ObjectVersion>,
        is_copy: bool,
    ) -> Self {
        let size = seen.as_ref().filter(|_| is_copy).map_or(0, |version| version.size);
        Remote {
            state: Mutex::new(RemoteState {
                layout,
                key,
                seen,
                writes: 0,
                sent: is_copy.then_some(0),
                sent_at: is_copy.then(Instant::now),
                problem: None,
                session: Arc::default(),
                touched: BTreeMap::new(),
                parts: BTreeMap::new(),
                gone: BTreeSet::new(),
                size,
                end: 0,
                is_in_order: size == 0,
                ahead: 1,
                is_sealed: false,
            }),
            here: RwLock::default(),
            sending: Arc::default(),
            parts_under_way: Mutex::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, RemoteState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The object that it becomes.
    pub fn key(&self) -> ObjectKey {
        self.lock().key.clone()
    }

    /// The version that the bucket has, as far as is known.
    pub fn seen(&self) -> Option<ObjectVersion> {
        self.lock().seen.clone()
    }

    /// Whether the bucket has not got all of it.
    pub fn is_dirty(&self) -> bool {
        let state = self.lock();
        state.sent != Some(state.writes)
    }

    /// Whether somebody else has changed the object, so that sending it fails for ever.
    pub fn is_conflict(&self) -> bool {
        let problem = self.lock().problem.clone();
        problem.is_some_and(|error| error.kind == StoreErrorKind::Changed)
    }

    /// Why it could not be sent the last time.
    pub fn problem(&self) -> Option<Arc<StoreError>> {
        self.lock().problem.clone()
    }

    /// The version in the bucket and since when it is there, if that has all of it.
    pub fn settled(&self) -> Option<(ObjectVersion, Option<Instant>)> {
        let state = self.lock();
        let version = state.seen.clone()?;
        (state.sent == Some(state.writes)).then_some((version, state.sent_at))
    }

    /// Waits until nothing of it is being sent, and keeps it so.
    pub async fn still(&self) -> tokio::sync::OwnedRwLockWriteGuard<()> {
        self.sending.clone().write_owned().await
    }

    /// Has it become another object from now on, in place of `seen`; all of it has to
    /// be sent anew.
    pub fn move_to(&self, key: ObjectKey, seen: Option<ObjectVersion>) {
        let mut state = self.lock();
        state.key = key;
        state.seen = seen;
        state.sent = None;
        state.problem = None;
        state.restart();
    }

    /// Notes why it could not be sent.
    pub fn note_problem(&self, problem: Option<Arc<StoreError>>) {
        self.lock().problem = problem;
    }

    /// The server has copied it: it is this version of another object now.
    pub fn note_copied(&self, version: ObjectVersion) {
        let mut state = self.lock();
        state.key = version.key.clone();
        state.seen = Some(version);
        state.sent_at = Some(Instant::now());
        state.problem = None;
    }

    /// What is held to send a part, so that two who want it sent send it once.
    pub(super) fn part_lock(&self, number: u32) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.parts_under_way.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry(number).or_default().clone()
    }

    /// The bytes of a part, as `read` gets them of its range, and by which write they
    /// are; `None` if the upload has the part as it is now. The range ends where the part
    /// does, whatever the file's size was when it was decided to send it: `read` gives
    /// what there is. Neither is the memory given back nor the file cut meanwhile.
    ///
    /// # Errors
    /// Those of `read`; [`SentAway`] where the upload that had it is gone.
    pub(super) fn read_part<T>(
        &self,
        number: u32,
        read: impl FnOnce(Range<u64>) -> io::Result<T>,
    ) -> io::Result<Option<(T, u64)>> {
        let _here = self.here.read().unwrap_or_else(PoisonError::into_inner);
        let (range, as_of) = {
            let state = self.lock();
            if state.valid_part(number).is_some() {
                return Ok(None);
            }
            if state.is_gone(number) {
                return Err(io::Error::other(SentAway));
            }
            (state.layout.range(number), state.writes)
        };
        Ok(Some((read(range)?, as_of)))
    }

    /// The right to read or write a range, which is in memory meanwhile.
    pub fn hold(&self, range: Range<u64>) -> Result<RwLockReadGuard<'_, ()>, SentAway> {
        let guard = self.here.read().unwrap_or_else(PoisonError::into_inner);
        let state = self.lock();
        let is_gone = !state.gone.is_empty()
            && range.start < range.end
            && state
                .gone
                .range(state.layout.at(range.start)..=state.layout.at(range.end - 1))
                .next()
                .is_some();
        if is_gone { Err(SentAway) } else { Ok(guard) }
    }

    /// As [`Remote::hold`], to write. Once a file is an object, or is being made one,
    /// whose beginning is not in memory, it has to be opened anew.
    pub fn hold_to_write(&self, range: Range<u64>) -> Result<RwLockReadGuard<'_, ()>, SentAway> {
        let guard = self.hold(range)?;
        let is_over = self.lock().is_over();
        if is_over { Err(SentAway) } else { Ok(guard) }
    }

    /// Whether all of it is in memory.
    pub fn is_whole(&self) -> bool {
        self.lock().gone.is_empty()
    }

    /// Notes a write, which has happened; the parts that can be sent ahead now.
    pub(crate) fn note_written(&self, range: Range<u64>) -> Range<u32> {
        let mut state = self.lock();
        let size = state.size.max(range.end);
        state.touch(&range, size);
        state.is_in_order &= range.start == state.end;
        state.end = state.end.max(range.end);
        let complete = state.layout.at(state.end);
        if !state.is_in_order || complete <= PARTS_AHEAD || complete <= state.ahead {
            return 0..0;
        }
        let from = std::mem::replace(&mut state.ahead, complete);
        from..complete
    }

    /// Notes a write that failed, of which some may have happened, so that it has `size`
    /// bytes; it may be tried again.
    pub(crate) fn note_half_written(&self, range: &Range<u64>, size: u64) {
        self.lock().touch(range, size);
    }

    /// Notes that room was made for a range, or a hole of it, so that it has `size`
    /// bytes. What is written there is not written behind the end.
    pub(crate) fn note_allocated(&self, range: &Range<u64>, size: u64) {
        let mut state = self.lock();
        state.touch(range, size);
        state.is_in_order = false;
    }

    /// Has `set` give it another size, and notes that. No part is read meanwhile.
    ///
    /// # Errors
    /// Those of `set`; [`SentAway`] when that cuts away what only the upload has.
    pub(crate) fn resize(&self, size: u64, set: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let _alone = self.here.write().unwrap_or_else(PoisonError::into_inner);
        {
            let state = self.lock();
            let is_cut = size < state.end && !state.gone.is_empty();
            if size > 0 && (is_cut || state.is_over()) {
                return Err(io::Error::other(SentAway));
            }
        }
        set()?;
        self.note_resized(size);
        Ok(())
    }

    fn note_resized(&self, size: u64) {
        let mut state = self.lock();
        if size == 0 {
            // Parts that were sent are of no use any more, nor are those that are gone.
            state.gone.clear();
        }
        state.writes += 1;
        let write = state.writes;
        let first = state.layout.at(size.min(state.size));
        let changed: Vec<u32> = state.parts.range(first..).map(|(number, _)| *number).collect();
        for number in changed {
            state.touched.insert(number, write);
        }
        state.touched.insert(first, write);
        state.size = size;
        if size == 0 {
            (state.end, state.is_in_order, state.ahead) = (0, true, 1);
        } else {
            state.is_in_order = false;
        }
    }

    /// The parts of a file written in order that nothing will change any more, as far
    /// as one can tell, and that were not sent.
    pub(super) fn complete_parts(&self) -> Vec<u32> {
        let state = self.lock();
        match state.is_in_order {
            true => {
                (1..state.layout.at(state.end)).filter(|n| state.valid_part(*n).is_none()).collect()
            }
            false => Vec::new(),
        }
    }

    /// All parts of a file of `size` bytes, if the upload has them as of the last write,
    /// which is the one of number `writes`. Until the seal is broken, a file that is not
    /// whole is not written to: nothing would be left to send that with.
    pub(super) fn seal(&self, size: u64, writes: u64) -> Option<Vec<Part>> {
        let _alone = self.here.write().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        if state.writes != writes {
            return None;
        }
        let numbers = state.layout.of(size).map(|(number, _)| number);
        let parts: Option<_> = numbers.map(|number| state.valid_part(number).cloned()).collect();
        state.is_sealed = parts.is_some();
        parts
    }

    /// Gives the memory of parts back that the upload has; `punch` does it. How many
    /// bytes that were.
    pub(super) fn send_away(&self, mut punch: impl FnMut(Range<u64>) -> bool) -> u64 {
        let _alone = self.here.write().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.lock();
        if !state.is_in_order {
            return 0;
        }
        let mut bytes = 0;
        let sent: Vec<u32> = state.parts.keys().copied().collect();
        for number in sent {
            let range = state.layout.range(number);
            if state.valid_part(number).is_some()
                && range.end <= state.end
                && !state.gone.contains(&number)
                && punch(range.clone())
            {
                state.gone.insert(number);
                bytes += range.end - range.start;
            }
        }
        bytes
    }
}

impl RemoteState {
    /// A part that was sent as it is now.
    pub(super) fn valid_part(&self, number: u32) -> Option<&Part> {
        let (part, as_of) = self.parts.get(&number)?;
        (self.touched.get(&number).is_none_or(|write| write <= as_of)).then_some(part)
    }

    pub(super) fn add_part(&mut self, part: Part, as_of: u64) {
        self.parts.insert(part.number, (part, as_of));
    }

    /// Notes that a range has other bytes, and that it has `size` bytes.
    fn touch(&mut self, range: &Range<u64>, size: u64) {
        self.writes += 1;
        let write = self.writes;
        // A part that is not full and ended where the file did grows too.
        let from = range.start.min(self.size);
        for number in self.layout.at(from)..=self.layout.at(range.end.saturating_sub(1)) {
            self.touched.insert(number, write);
        }
        self.size = size;
    }

    /// Forgets the upload in parts; what it was is returned. What is not in memory does
    /// not come back by that.
    pub(super) fn restart(&mut self) -> Arc<Session> {
        self.parts.clear();
        self.ahead = NOT_AHEAD;
        std::mem::take(&mut self.session)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.gone.is_empty()
    }

    /// Notes that it is an object now, or that none was made of it.
    pub(super) fn break_seal(&mut self) {
        self.is_sealed = false;
    }

    /// Whether it is an object, or being made one, whose beginning is not in memory. One
    /// that was an object before it went on is not: an upload has what is not in memory.
    fn is_over(&self) -> bool {
        let is_lost = |number: &u32| self.valid_part(*number).is_none();
        let is_object = self.sent.is_some() && self.gone.iter().any(is_lost);
        is_object || self.is_sealed && !self.gone.is_empty()
    }

    pub(super) fn is_gone(&self, number: u32) -> bool {
        self.gone.contains(&number)
    }

    /// Whether parts are sent ahead still.
    pub(super) fn goes_ahead(&self) -> bool {
        self.ahead != NOT_AHEAD && self.sent != Some(self.writes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::ETag;

    const PART: u64 = 8 << 20;

    fn remote() -> Remote {
        Remote::new(Parts::new(PART), ObjectKey::new("a"), None, false)
    }

    fn send(remote: &Remote, number: u32) {
        let mut state = remote.lock();
        let as_of = state.writes;
        state.add_part(Part { number, etag: ETag::new("e"), checksum: None }, as_of);
    }

    #[test]
    fn parts_are_sent_ahead_while_a_file_is_written_in_order() {
        let remote = remote();
        assert_eq!(remote.note_written(0..PART), 0..0);
        assert_eq!(remote.note_written(PART..2 * PART + 1), 1..3);
        assert_eq!(remote.note_written(2 * PART + 1..3 * PART - 1), 0..0);
        assert_eq!(remote.note_written(3 * PART - 1..3 * PART + 1), 3..4);
        assert_eq!(remote.note_written(0..1), 0..0);
        assert_eq!(remote.note_written(3 * PART + 1..9 * PART), 0..0);
    }

    #[test]
    fn a_part_that_was_written_to_again_is_sent_again() {
        let remote = remote();
        remote.note_written(0..3 * PART);
        send(&remote, 1);
        send(&remote, 2);
        assert!(remote.lock().valid_part(1).is_some());
        remote.note_written(5..6);
        assert!(remote.lock().valid_part(1).is_none());
        assert!(remote.lock().valid_part(2).is_some());
        remote.note_resized(PART + 1);
        assert!(remote.lock().valid_part(2).is_none());
    }

    #[test]
    fn a_full_part_at_the_end_of_the_file_is_not_sent_again_when_the_file_grows() {
        let remote = remote();
        remote.note_written(0..2 * PART);
        send(&remote, 1);
        send(&remote, 2);
        remote.note_written(2 * PART..2 * PART + 1);
        assert!(remote.lock().valid_part(2).is_some());
        remote.note_resized(2 * PART);
        assert!(remote.lock().valid_part(2).is_some());
        remote.note_resized(2 * PART - 1);
        assert!(remote.lock().valid_part(1).is_some());
        assert!(remote.lock().valid_part(2).is_none());
    }

    #[test]
    fn a_part_at_the_end_of_the_file_is_sent_again_when_the_file_grows() {
        for grow in [
            |remote: &Remote| {
                remote.note_written(9 * PART..9 * PART + 1);
            },
            |remote: &Remote| remote.note_resized(9 * PART),
        ] {
            let remote = remote();
            remote.note_written(0..PART + 5);
            send(&remote, 1);
            send(&remote, 2);
            grow(&remote);
            assert!(remote.lock().valid_part(1).is_some());
            assert!(remote.lock().valid_part(2).is_none());
        }
    }

    #[test]
    fn what_only_the_upload_has_can_be_neither_read_nor_written() {
        let remote = remote();
        remote.note_written(0..3 * PART);
        send(&remote, 1);
        assert_eq!(remote.send_away(|_| true), PART);
        assert_eq!(remote.hold(0..1).err(), Some(SentAway));
        assert!(remote.hold(PART..PART + 1).is_ok());
        assert!(remote.resize(5, || Ok(())).is_err());
        remote.resize(0, || Ok(())).unwrap();
        assert!(remote.hold(0..1).is_ok());
        assert!(remote.lock().valid_part(1).is_none());
    }

    #[test]
    fn a_part_that_was_sent_is_not_read_again_and_one_that_is_lost_is_an_error() {
        let remote = remote();
        remote.note_written(0..3 * PART);
        assert_eq!(remote.read_part(1, |_| Ok('a')).unwrap(), Some(('a', 1)));
        send(&remote, 1);
        assert_eq!(remote.read_part(1, |_| Ok('a')).unwrap(), None);
        remote.send_away(|_| true);
        assert_eq!(remote.read_part(1, |_| Ok('0')).unwrap(), None);
        remote.lock().restart();
        assert!(remote.read_part(1, |_| Ok('0')).is_err(), "its memory has zeros now");
        assert_eq!(remote.hold(0..1).err(), Some(SentAway));
    }

    #[test]
    fn an_object_whose_beginning_is_not_in_memory_is_not_written_to() {
        let remote = remote();
        remote.note_written(0..3 * PART);
        send(&remote, 1);
        remote.send_away(|_| true);
        let end = 3 * PART..3 * PART + 1;
        assert!(remote.hold_to_write(end.clone()).is_ok());
        {
            let mut state = remote.lock();
            state.restart();
            state.sent = Some(state.writes);
        }
        assert_eq!(remote.hold_to_write(end).err(), Some(SentAway));
        assert!(remote.resize(4 * PART, || Ok(())).is_err());
    }
}
