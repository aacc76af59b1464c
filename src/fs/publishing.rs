//! Whether what programs write becomes objects, asked by everything that writes.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::error::FsError;
use super::refusals::{Change, Refusals};
use crate::drafts::{Draft, DraftFile, Drafts, Progress};
use crate::key::ObjectKey;
use crate::names::{Place, Thing};
use crate::publish::Publisher;

/// The publisher, where there is one. Without one, what is written stays in memory.
#[derive(Debug)]
pub(super) struct Publishing(Option<Arc<Publisher>>, Refusals);

impl Publishing {
    pub(super) fn new(publisher: Option<Arc<Publisher>>) -> Self {
        Publishing(publisher, Refusals::default())
    }

    /// The publisher.
    pub(super) fn get(&self) -> Option<&Arc<Publisher>> {
        self.0.as_ref()
    }

    /// How many changes were refused that a flag would have allowed.
    pub(super) fn refused_count(&self) -> u64 {
        self.1.count()
    }

    /// The error of a change of `key`, noted if a flag would have allowed the change.
    pub(super) fn refused(
        &self,
        key: &ObjectKey,
        change: Change,
        error: impl Into<FsError>,
    ) -> FsError {
        let error = error.into();
        if let Some(publisher) = &self.0 {
            self.1.note(key, change, &error, publisher.config());
        }
        error
    }

    /// As [`Publishing::refused`], of what a name stands for.
    pub(super) fn refused_at(
        &self,
        place: &Place,
        change: Change,
        error: impl Into<FsError>,
    ) -> FsError {
        match self.key_for(place) {
            Ok(Some(key)) => self.refused(&key, change, error),
            // Not in the bucket, so no flag is in the way.
            Ok(None) | Err(_) => error.into(),
        }
    }

    /// A rename, as far as it lacks a flag that would allow it.
    pub(super) fn change_of_rename(&self, source: &Thing, target: Option<&Thing>) -> Change {
        let (source, target) = (source.seen(), target.and_then(Thing::seen));
        let Some(publisher) = &self.0 else {
            return Change::Rename { overwrites: false, deletes: false };
        };
        Change::Rename {
            overwrites: target.is_some_and(|version| !publisher.allowed().overwrites(&version)),
            deletes: source.is_some_and(|version| !publisher.allowed().deletes(&version)),
        }
    }

    /// Why a draft that is opened to be written to may not change.
    pub(super) fn may_not_change(&self, draft: &Draft) -> FsError {
        match draft.progress() {
            Some(progress) => {
                self.refused(&progress.key(), Change::Overwrite, FsError::NotPermitted)
            }
            None => FsError::NotPermitted,
        }
    }

    /// The object that a name stands for; `None` if what is made there stays in memory.
    ///
    /// # Errors
    /// EINVAL for a name that no key has, ENAMETOOLONG.
    pub(super) fn key_for(&self, place: &Place) -> Result<Option<ObjectKey>, FsError> {
        match &self.0 {
            Some(publisher) => Ok(publisher.config().key_for(&place.folder, &place.name)?),
            None => Ok(None),
        }
    }

    /// Who changes this name, if that is a change of the bucket.
    ///
    /// # Errors
    /// EPERM for a sibling, which goes with its image; as [`Publishing::key_for`].
    pub(super) fn of(&self, place: &Place, thing: &Thing) -> Result<Option<&Publisher>, FsError> {
        let Some(publisher) = &self.0 else { return Ok(None) };
        let is_published = publisher.is_published(&place.folder, &place.name, thing)?;
        Ok(is_published.then_some(publisher))
    }

    /// Whether a draft that is opened to be written to may change.
    pub(super) fn may_change(&self, draft: &Draft) -> bool {
        self.0.as_ref().is_none_or(|publisher| publisher.may_change(draft))
    }

    /// Notes that a draft may have to be sent, and which parts of it are complete.
    pub(super) fn note_written(&self, draft: &Arc<Draft>, complete: Range<u32>) {
        if let Some(publisher) = &self.0 {
            publisher.note_written(draft, complete);
        }
    }

    /// Notes that a draft may have to be sent.
    pub(super) fn note_dirty(&self, draft: &Arc<Draft>) {
        self.note_written(draft, 0..0);
    }

    /// An empty file without a name; with `progress`, one that becomes an object. Where as
    /// many files are open as may be, those that wait are sent, and one is let go.
    ///
    /// # Errors
    /// Too many open files, or no memory.
    pub(super) async fn new_file(
        &self,
        drafts: &Drafts,
        progress: Option<Progress>,
    ) -> io::Result<Arc<DraftFile>> {
        let bytes = match &self.0 {
            Some(publisher) => publisher.with_room_for_file(|| drafts.arena().file()).await,
            None => drafts.arena().file(),
        };
        drafts.new_file(bytes, progress)
    }

    /// Attempts what may need memory, to write to a file if that has a name yet, until it
    /// succeeds, or nothing that is on its way can make room for it.
    ///
    /// # Errors
    /// ENOSPC when there is none to be had; what else the attempt fails with.
    pub(super) async fn with_room<T>(
        &self,
        writing: Option<&Arc<Draft>>,
        mut attempt: impl FnMut() -> Result<T, FsError>,
    ) -> Result<T, FsError> {
        let Some(publisher) = &self.0 else { return attempt() };
        let mut search = publisher.search_room(writing.cloned());
        loop {
            match attempt() {
                Err(error) if error.is_full() => {
                    if !search.more().await {
                        return Err(FsError::NoSpace);
                    }
                }
                outcome => return outcome,
            }
        }
    }
}
