//! What the bucket has of a draft, and what of it is still to be sent.
//!
//! | stage | the bucket has | dirty | sent again |
//! |---|---|---|---|
//! | [`New`](Stage::New) | nothing of it | yes | when it is closed |
//! | [`Sent`](Stage::Sent) | the file as of a write | if a write came since | when it is closed |
//! | [`Failed`](Stage::Failed) | what it had before the attempt | yes | by and by |
//! | [`Conflict`](Stage::Conflict) | somebody else's object | yes | never |
//!
//! | from | event | to |
//! |---|---|---|
//! | any | [`Progress::note_sent`] | `Sent` |
//! | any | [`Progress::note_failed`] | `Conflict` if somebody else changed the object, else `Failed` |
//! | any | [`Progress::move_to`] (it becomes another object) | `New` |
//! | any | [`Progress::note_copied`] (the server copied it) | `Sent` as of the same write; `New` if it never was |
//! | any | a write | the same stage: `Sent` is dirty then |
//!
//! Which parts an upload has is [`SentParts`]' to know, and whether the file is written
//! in order is [`WriteOrder`]'s.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard};

use super::parts::Parts;
use super::send_error::SendError;
use super::sent_parts::{SentAway, SentParts, Session};
use super::write_order::WriteOrder;
use crate::key::{ObjectKey, ObjectVersion};
use crate::store::Part;
use crate::sync::{Mutex, MutexGuard, Rank, ReadGuard, RwLock};

/// What the bucket has of one draft that belongs there.
#[derive(Debug)]
pub struct Progress {
    state: Mutex<State>,
    /// Held to read or write the bytes, and alone to give memory of them back.
    here: RwLock<()>,
    /// Held while parts are sent ahead or their memory is given back, and alone while
    /// the rest is sent. Comes before every lock of [`crate::sync`].
    sending: Arc<tokio::sync::RwLock<()>>,
    /// Whether the object stands in its place.
    is_let_go: AtomicBool,
    /// One lock for each part that is being sent; comes after `sending`.
    parts_under_way: Mutex<BTreeMap<u32, Arc<tokio::sync::Mutex<()>>>>,
}

/// All that changes about it.
#[derive(Debug)]
struct State {
    /// The object that it becomes.
    key: ObjectKey,
    /// The version that the bucket has, as far as is known; `None` for no object.
    seen: Option<ObjectVersion>,
    /// How many times it was written to.
    writes: u64,
    /// As of which write a close of it was answered, whatever the answer was.
    closed: Option<u64>,
    stage: Stage,
    order: WriteOrder,
    parts: SentParts,
}

/// How far it has come.
#[derive(Debug)]
enum Stage {
    /// It was never sent.
    New,
    /// It was sent as of a write.
    Sent { as_of: u64, since: Instant },
    /// Sending it failed; `before` is the write as of which the bucket has it.
    Failed { before: Option<u64>, why: Arc<SendError> },
    /// Somebody else has changed the object.
    Conflict { before: Option<u64>, why: Arc<SendError> },
}

/// What one attempt to send a draft goes by.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The object that it becomes.
    pub key: ObjectKey,
    /// The version that it replaces; `None` for no object.
    pub seen: Option<ObjectVersion>,
    /// As of which write it is sent.
    pub writes: u64,
    /// Whether all of it is in memory.
    pub is_whole: bool,
}

impl Progress {
    /// A draft that becomes the object `key` in place of the version `seen`, sent in
    /// parts of this layout. `is_copy` says that it has the bytes of that version;
    /// otherwise it is empty.
    pub fn new(layout: Parts, key: ObjectKey, seen: Option<ObjectVersion>, is_copy: bool) -> Self {
        let size = seen.as_ref().filter(|_| is_copy).map_or(0, |version| version.size);
        let stage = match is_copy {
            true => Stage::Sent { as_of: 0, since: Instant::now() },
            false => Stage::New,
        };
        let (order, parts) = (WriteOrder::new(size), SentParts::new(layout));
        Progress {
            state: Mutex::new(
                Rank::Progress,
                State { key, seen, writes: 0, closed: None, stage, order, parts },
            ),
            here: RwLock::new(Rank::Here, ()),
            sending: Arc::default(),
            is_let_go: AtomicBool::new(false),
            parts_under_way: Mutex::new(Rank::Progress, BTreeMap::new()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The object that it becomes.
    pub fn key(&self) -> ObjectKey {
        self.lock().key.clone()
    }

    /// The version that the bucket has, as far as is known.
    pub fn seen(&self) -> Option<ObjectVersion> {
        self.lock().seen.clone()
    }

    /// Whether the bucket lacks some of it.
    pub fn is_dirty(&self) -> bool {
        self.lock().is_dirty()
    }

    /// Whether somebody else has changed the object, so that sending it always fails.
    pub fn is_conflict(&self) -> bool {
        matches!(self.lock().stage, Stage::Conflict { .. })
    }

    /// Why it could not be sent the last time.
    pub fn problem(&self) -> Option<Arc<SendError>> {
        match &self.lock().stage {
            Stage::New | Stage::Sent { .. } => None,
            Stage::Failed { why, .. } | Stage::Conflict { why, .. } => Some(why.clone()),
        }
    }

    /// The version in the bucket and since when it is there, if that has all of it.
    pub fn settled(&self) -> Option<(ObjectVersion, Instant)> {
        let state = self.lock();
        let version = state.seen.clone()?;
        match state.stage {
            Stage::Sent { as_of, since } if as_of == state.writes => Some((version, since)),
            Stage::New | Stage::Sent { .. } | Stage::Failed { .. } | Stage::Conflict { .. } => None,
        }
    }

    /// How many times it was written to.
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    /// Notes that a close is answered which came behind so many writes. The kernel tells later
    /// that the handle is gone.
    pub fn note_closed(&self, writes: u64) {
        let mut state = self.lock();
        state.closed = state.closed.max(Some(writes));
    }

    /// Whether a close was answered since it was last written to.
    pub fn is_closed(&self) -> bool {
        let state = self.lock();
        state.closed == Some(state.writes)
    }

    /// Whether the bucket lacks something that a close was answered of.
    pub fn is_owed(&self) -> bool {
        let state = self.lock();
        let has = state.stage.as_of();
        state.closed.is_some_and(|closed| has.is_none_or(|as_of| as_of < closed))
    }

    /// Waits until nothing of it is being sent, and keeps it so.
    pub async fn still(&self) -> OwnedRwLockWriteGuard<()> {
        self.sending.clone().write_owned().await
    }

    /// As [`Progress::still`], if nothing of it is being sent, renamed or deleted now.
    pub fn try_still(&self) -> Option<OwnedRwLockWriteGuard<()>> {
        self.sending.clone().try_write_owned().ok()
    }

    /// Notes that its inode and its name stand for the object from now on.
    pub fn note_let_go(&self) {
        self.is_let_go.store(true, Ordering::Relaxed);
    }

    /// The object that its inode and its name stand for by now, if nobody needs the draft
    /// any more. While somebody keeps it [still](Progress::still) that does not change.
    pub fn let_go_for(&self) -> Option<ObjectVersion> {
        self.is_let_go.load(Ordering::Relaxed).then(|| self.seen()).flatten()
    }

    /// The right to send parts of it ahead, or to give their memory back.
    pub async fn going_ahead(&self) -> OwnedRwLockReadGuard<()> {
        self.sending.clone().read_owned().await
    }

    /// What an attempt to send it goes by.
    pub fn attempt(&self) -> Attempt {
        let state = self.lock();
        Attempt {
            key: state.key.clone(),
            seen: state.seen.clone(),
            writes: state.writes,
            is_whole: state.parts.is_whole(),
        }
    }

    /// The attempt has made an object of it: this version.
    pub fn note_sent(&self, version: ObjectVersion, writes: u64) {
        let mut state = self.lock();
        state.seen = Some(version);
        state.stage = Stage::Sent { as_of: writes, since: Instant::now() };
    }

    /// Sending it failed.
    pub fn note_failed(&self, why: Arc<SendError>) {
        let mut state = self.lock();
        let before = state.stage.as_of();
        state.stage = match why.is_conflict() {
            true => Stage::Conflict { before, why },
            false => Stage::Failed { before, why },
        };
    }

    /// Retargets it to the object `key`, replacing `seen`. Everything must be sent again.
    pub fn move_to(&self, key: ObjectKey, seen: Option<ObjectVersion>) {
        let mut state = self.lock();
        state.key = key;
        state.seen = seen;
        state.stage = Stage::New;
        state.restart();
    }

    /// The server has copied it: it is this version of another object now.
    pub fn note_copied(&self, version: ObjectVersion) {
        let mut state = self.lock();
        state.key = version.key.clone();
        state.seen = Some(version);
        state.stage = match state.stage.as_of() {
            Some(as_of) => Stage::Sent { as_of, since: Instant::now() },
            None => Stage::New,
        };
    }

    /// The lock of a part, so that two who want it sent send it once.
    pub fn part_lock(&self, number: u32) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.parts_under_way.lock();
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry(number).or_default().clone()
    }

    /// The bytes of a part, as `read` gets them from its range, and as of which write;
    /// `None` if the upload has the part as it is now. The range ends where the part
    /// does, whatever the file's size was when somebody decided to send it: `read` gives
    /// what there is. Meanwhile no memory is given back and the file is not cut.
    ///
    /// # Errors
    /// Those of `read`; [`SentAway`] where the upload that had it is gone.
    pub fn read_part<T>(
        &self,
        number: u32,
        read: impl FnOnce(Range<u64>) -> io::Result<T>,
    ) -> io::Result<Option<(T, u64)>> {
        let _here = self.here.read();
        let (range, as_of) = {
            let state = self.lock();
            if state.parts.valid(number).is_some() {
                return Ok(None);
            }
            if state.parts.is_gone(number) {
                return Err(io::Error::other(SentAway));
            }
            (state.parts.layout.range(number), state.writes)
        };
        Ok(Some((read(range)?, as_of)))
    }

    /// The right to read or write a range, which stays in memory meanwhile.
    ///
    /// # Errors
    /// [`SentAway`] where only the upload has it.
    pub fn hold(&self, range: Range<u64>) -> Result<ReadGuard<'_, ()>, SentAway> {
        let guard = self.here.read();
        let is_gone = self.lock().parts.is_gone_in(&range);
        if is_gone { Err(SentAway) } else { Ok(guard) }
    }

    /// As [`Progress::hold`], to write. A file whose beginning is not in memory has to be
    /// opened again once it is an object, or is being made one.
    ///
    /// # Errors
    /// As [`Progress::hold`].
    pub fn hold_to_write(&self, range: Range<u64>) -> Result<ReadGuard<'_, ()>, SentAway> {
        let guard = self.hold(range)?;
        let is_over = self.lock().is_over();
        if is_over { Err(SentAway) } else { Ok(guard) }
    }

    /// Whether all of it is in memory.
    pub fn is_whole(&self) -> bool {
        self.lock().parts.is_whole()
    }

    /// Notes a write that has happened; the parts that can be sent ahead now.
    pub fn note_written(&self, range: Range<u64>) -> Range<u32> {
        let mut state = self.lock();
        let size = state.order.size.max(range.end);
        state.touch(&range, size);
        let layout = state.parts.layout;
        state.order.written(&range, layout)
    }

    /// Notes a write that failed, of which some may have happened, so that the file has
    /// `size` bytes; it may be tried again.
    pub fn note_half_written(&self, range: &Range<u64>, size: u64) {
        self.lock().touch(range, size);
    }

    /// Notes that room was made for a range, or a hole in it, so that the file has `size`
    /// bytes. What is written there later is not written behind the end.
    pub fn note_allocated(&self, range: &Range<u64>, size: u64) {
        let mut state = self.lock();
        state.touch(range, size);
        state.order.is_in_order = false;
    }

    /// Gives the file another size with `set`, and notes that. No part is read meanwhile.
    ///
    /// # Errors
    /// Those of `set`; [`SentAway`] when that cuts away what only the upload has.
    pub fn resize(&self, size: u64, set: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let _alone = self.here.write();
        {
            let state = self.lock();
            let is_cut = size < state.order.end && !state.parts.is_whole();
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
            // Neither parts that were sent nor those that are gone are of use any more.
            state.parts.forget_gone();
        }
        state.writes += 1;
        let (write, before) = (state.writes, state.order.size);
        state.parts.touch_from(size.min(before), write);
        state.order.resized(size);
    }

    /// The parts that nothing will change any more, as far as one can tell, and that the
    /// upload does not have; none unless the file is written in order.
    pub fn complete_parts(&self) -> Vec<u32> {
        let state = self.lock();
        match state.order.is_in_order {
            true => state.lacking(1..state.parts.layout.at(state.order.end)),
            false => Vec::new(),
        }
    }

    /// The parts of a file of `size` bytes that the upload does not have.
    pub fn missing_parts(&self, size: u64) -> Vec<u32> {
        let state = self.lock();
        state.lacking(state.parts.layout.of(size).map(|(number, _)| number))
    }

    /// Whether the memory of any of these parts was given back.
    pub fn any_gone(&self, numbers: &[u32]) -> bool {
        let state = self.lock();
        numbers.iter().any(|number| state.parts.is_gone(*number))
    }

    /// Notes a part that was sent as of a write.
    pub fn note_part(&self, part: Part, as_of: u64) {
        self.lock().parts.add(part, as_of);
    }

    /// The upload in parts, begun or not.
    pub fn session(&self) -> Arc<Session> {
        self.lock().parts.session.clone()
    }

    /// The object and the upload that a part is to be sent ahead to, if it should be.
    pub fn wants_ahead(&self, number: u32) -> Option<(ObjectKey, Arc<Session>)> {
        let state = self.lock();
        let has_failed = matches!(state.stage, Stage::Failed { .. } | Stage::Conflict { .. });
        (!has_failed && state.parts.valid(number).is_none())
            .then(|| (state.key.clone(), state.parts.session.clone()))
    }

    /// Whether parts are sent while it is being written.
    pub fn goes_ahead(&self) -> bool {
        let state = self.lock();
        state.order.goes_ahead() && state.is_dirty()
    }

    /// All parts of a file of `size` bytes, if the upload has them as of the last write,
    /// which must be the one of number `writes`. Until the seal is broken, a file that is
    /// not whole is not written to: nothing would be left to send that with.
    pub fn seal(&self, size: u64, writes: u64) -> Option<Vec<Part>> {
        let _alone = self.here.write();
        let mut state = self.lock();
        match state.writes == writes {
            true => state.parts.seal(size),
            false => None,
        }
    }

    /// Notes that it is an object now, or that none was made of it.
    pub fn break_seal(&self) {
        self.lock().parts.break_seal();
    }

    /// Forgets the upload in parts and returns it.
    pub fn restart(&self) -> Arc<Session> {
        self.lock().restart()
    }

    /// Gives the memory of parts back that the upload has, with `punch`; how many bytes.
    pub fn send_away(&self, punch: impl FnMut(Range<u64>) -> bool) -> u64 {
        let _alone = self.here.write();
        let mut state = self.lock();
        let end = state.order.end;
        match state.order.is_in_order {
            true => state.parts.send_away(end, punch),
            false => 0,
        }
    }
}

impl State {
    fn is_dirty(&self) -> bool {
        match self.stage {
            Stage::Sent { as_of, .. } => as_of != self.writes,
            Stage::New | Stage::Failed { .. } | Stage::Conflict { .. } => true,
        }
    }

    /// Notes that a range has other bytes, and that the file has `size` bytes.
    fn touch(&mut self, range: &Range<u64>, size: u64) {
        self.writes += 1;
        // A part that is not full and ended where the file did grows too.
        let from = range.start.min(self.order.size);
        self.parts.touch(from..range.end, self.writes);
        self.order.size = size;
    }

    fn lacking(&self, numbers: impl Iterator<Item = u32>) -> Vec<u32> {
        numbers.filter(|number| self.parts.valid(*number).is_none()).collect()
    }

    fn restart(&mut self) -> Arc<Session> {
        self.order.stop();
        self.parts.restart()
    }

    /// Whether it is an object, or being made one, whose beginning is not in memory. One
    /// that was an object before it went on is not: an upload has what memory lacks.
    fn is_over(&self) -> bool {
        let is_object = self.stage.as_of().is_some() && self.parts.has_lost_any();
        is_object || self.parts.is_sealed() && !self.parts.is_whole()
    }
}

impl Stage {
    /// As of which write the bucket has it.
    fn as_of(&self) -> Option<u64> {
        match self {
            Stage::New => None,
            Stage::Sent { as_of, .. } => Some(*as_of),
            Stage::Failed { before, .. } | Stage::Conflict { before, .. } => *before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::ETag;

    const PART: u64 = 8 << 20;

    fn progress() -> Progress {
        Progress::new(Parts::new(PART), ObjectKey::new("a"), None, false)
    }

    fn send(progress: &Progress, number: u32) {
        let mut state = progress.lock();
        let as_of = state.writes;
        state.parts.add(Part { number, etag: ETag::new("e"), checksum: None }, as_of);
    }

    #[test]
    fn parts_are_sent_ahead_while_a_file_is_written_in_order() {
        let progress = progress();
        assert_eq!(progress.note_written(0..PART), 0..0);
        assert_eq!(progress.note_written(PART..2 * PART + 1), 1..3);
        assert_eq!(progress.note_written(2 * PART + 1..3 * PART - 1), 0..0);
        assert_eq!(progress.note_written(3 * PART - 1..3 * PART + 1), 3..4);
        assert_eq!(progress.note_written(0..1), 0..0);
        assert_eq!(progress.note_written(3 * PART + 1..9 * PART), 0..0);
    }

    #[test]
    fn a_part_that_was_written_to_again_is_sent_again() {
        let progress = progress();
        progress.note_written(0..3 * PART);
        send(&progress, 1);
        send(&progress, 2);
        assert!(progress.lock().parts.valid(1).is_some());
        progress.note_written(5..6);
        assert!(progress.lock().parts.valid(1).is_none());
        assert!(progress.lock().parts.valid(2).is_some());
        progress.note_resized(PART + 1);
        assert!(progress.lock().parts.valid(2).is_none());
    }

    #[test]
    fn a_part_that_is_on_its_way_while_the_file_is_cut_is_sent_again() {
        let progress = progress();
        progress.note_written(0..3 * PART);
        let as_of = progress.lock().writes;
        progress.note_resized(PART);
        progress.note_resized(3 * PART);
        let arrived = |number| {
            let mut state = progress.lock();
            state.parts.add(Part { number, etag: ETag::new("e"), checksum: None }, as_of);
            state.parts.valid(number).is_some()
        };
        assert_eq!([arrived(1), arrived(2), arrived(3)], [true, false, false]);
        send(&progress, 3);
        assert!(progress.lock().parts.valid(3).is_some());
    }

    #[test]
    fn a_full_part_at_the_end_of_the_file_is_not_sent_again_when_the_file_grows() {
        let progress = progress();
        progress.note_written(0..2 * PART);
        send(&progress, 1);
        send(&progress, 2);
        progress.note_written(2 * PART..2 * PART + 1);
        assert!(progress.lock().parts.valid(2).is_some());
        progress.note_resized(2 * PART);
        assert!(progress.lock().parts.valid(2).is_some());
        progress.note_resized(2 * PART - 1);
        assert!(progress.lock().parts.valid(1).is_some());
        assert!(progress.lock().parts.valid(2).is_none());
    }

    #[test]
    fn a_part_at_the_end_of_the_file_is_sent_again_when_the_file_grows() {
        for grow in [
            |progress: &Progress| {
                progress.note_written(9 * PART..9 * PART + 1);
            },
            |progress: &Progress| progress.note_resized(9 * PART),
        ] {
            let progress = progress();
            progress.note_written(0..PART + 5);
            send(&progress, 1);
            send(&progress, 2);
            grow(&progress);
            assert!(progress.lock().parts.valid(1).is_some());
            assert!(progress.lock().parts.valid(2).is_none());
        }
    }

    #[test]
    fn what_only_the_upload_has_can_be_neither_read_nor_written() {
        let progress = progress();
        progress.note_written(0..3 * PART);
        send(&progress, 1);
        assert_eq!(progress.send_away(|_| true), PART);
        assert_eq!(progress.hold(0..1).err(), Some(SentAway));
        assert!(progress.hold(PART..PART + 1).is_ok());
        assert!(progress.resize(5, || Ok(())).is_err());
        progress.resize(0, || Ok(())).unwrap();
        assert!(progress.hold(0..1).is_ok());
        assert!(progress.lock().parts.valid(1).is_none());
    }

    #[test]
    fn a_part_that_was_sent_is_not_read_again_and_one_that_is_lost_is_an_error() {
        let progress = progress();
        progress.note_written(0..3 * PART);
        assert_eq!(progress.read_part(1, |_| Ok('a')).unwrap(), Some(('a', 1)));
        send(&progress, 1);
        assert_eq!(progress.read_part(1, |_| Ok('a')).unwrap(), None);
        progress.send_away(|_| true);
        assert_eq!(progress.read_part(1, |_| Ok('0')).unwrap(), None);
        progress.lock().restart();
        assert!(progress.read_part(1, |_| Ok('0')).is_err(), "its memory has zeros now");
        assert_eq!(progress.hold(0..1).err(), Some(SentAway));
    }

    #[test]
    fn an_object_whose_beginning_is_not_in_memory_is_not_written_to() {
        let progress = progress();
        progress.note_written(0..3 * PART);
        send(&progress, 1);
        progress.send_away(|_| true);
        let end = 3 * PART..3 * PART + 1;
        assert!(progress.hold_to_write(end.clone()).is_ok());
        {
            let mut state = progress.lock();
            state.restart();
            state.stage = Stage::Sent { as_of: state.writes, since: Instant::now() };
        }
        assert_eq!(progress.hold_to_write(end).err(), Some(SentAway));
        assert!(progress.resize(4 * PART, || Ok(())).is_err());
    }
}
