//! Opening, reading and closing files.
//!
//! Opening costs no request, except for an object in an archive class: one GET of what will
//! be read first, because only a GET tells whether it was restored. The kernel keeps its page
//! cache of an inode across opens, which is right because an inode is one version.

use std::sync::Arc;

use super::content::Content;
use super::open_file::{OpenFile, ReadAnswer};
use super::program::program_of;
use super::{FileSystem, FsError, Ino};
use crate::drafts::Draft;
use crate::mem::{MemFile, page_bytes};
use crate::names::Thing;
use crate::publish::process_of;
use crate::reader::{Answer, ReadBytes};
use crate::stats::FileUse;
use crate::view::{FormAnswer, ViewFile};

/// How a file is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenHow {
    /// Whether it may be written to.
    pub writes: bool,
    /// Whether it is emptied first.
    pub truncates: bool,
    /// The thread that opens it; 0 if that is not known.
    pub thread: u32,
}

/// A file that was opened.
#[derive(Debug)]
pub struct OpenedFile {
    /// The number that it is known by until it is released.
    pub handle: u64,
    /// Where its bytes are, if they are all in memory and stay there: the kernel may
    /// read and write them by itself.
    pub backing: Option<Arc<MemFile>>,
    /// Whether closing it has to be told, and may fail.
    pub flushes: bool,
    /// Whether the kernel may have bytes of it that are wrong.
    pub was_damaged: bool,
}

impl FileSystem {
    /// Opens a file. For reading that costs no request, except for an object in an archive
    /// class, which may have to be restored first. What is in the bucket is copied into
    /// memory before it is written to.
    ///
    /// # Errors
    /// ESTALE when the object was overwritten since the inode was looked up; EROFS where
    /// nothing may be written, ENOSPC where it does not fit into memory.
    pub async fn open_file(&self, ino: Ino, how: OpenHow) -> Result<OpenedFile, FsError> {
        let (thing, place) = self.names.inodes().current(ino)?;
        if thing.folder().is_some() {
            return Err(FsError::IsADirectory);
        }
        if let Thing::Draft(draft) = thing {
            return self.open_draft(draft, how);
        }
        if how.writes || how.truncates {
            let keep = if how.truncates { 0 } else { u64::MAX };
            let draft = self.own_copy(ino, keep).await?;
            let opened = self.open_draft(draft, how)?;
            return Ok(OpenedFile { was_damaged: self.was_damaged(&thing), ..opened });
        }
        let opened = self.readers.open(thing.clone()).await;
        if opened.as_ref().is_err_and(FsError::is_outdated) {
            self.names.note_changed(ino);
        }
        let opened = opened?;
        let used = self.note_open(&thing, how.thread);
        let passed = match &thing {
            Thing::Object(object) => self.readers.ahead.opened(place, ino, object),
            Thing::Dir(_) | Thing::Sibling(_) | Thing::Draft(_) => None,
        };
        let file = OpenFile::new(ino, opened).passed(passed).counted(used);
        let opened = self.opened(file, how.thread);
        Ok(OpenedFile { was_damaged: self.was_damaged(&thing), ..opened })
    }

    /// Whether the kernel may have wrong bytes of an object; told once.
    fn was_damaged(&self, thing: &Thing) -> bool {
        matches!(thing, Thing::Object(object) if self.readers.objects.cache().take_damaged(&object.version))
    }

    pub(super) fn open_draft(
        &self,
        draft: Arc<Draft>,
        how: OpenHow,
    ) -> Result<OpenedFile, FsError> {
        let file = draft.file().ok_or(FsError::NotPermitted)?;
        let writes = how.writes || how.truncates;
        if writes && !self.publishing.may_change(&draft) {
            return Err(self.publishing.may_not_change(&draft));
        }
        // What is sent has to be seen to be written.
        let backing = self.publishing.get().is_none().then(|| file.bytes().clone());
        let flushes = writes && file.progress().is_some();
        let opener = if flushes { process_of(how.thread) } else { 0 };
        let ino = draft.ino();
        let open = OpenFile::new(ino, Content::Draft(draft.clone())).opened_by(opener, writes);
        let handle = self.files.insert(open);
        if let Ok(Thing::Object(_)) = self.names.inodes().thing(ino) {
            // Its memory was given back meanwhile; the next look-up finds the object.
            self.files.remove(handle);
            return Err(FsError::Stale);
        }
        // From here on it stays.
        if how.truncates {
            if let Err(error) = file.resize(0) {
                self.files.remove(handle);
                return Err(error.into());
            }
            self.publishing.note_dirty(&draft);
        }
        Ok(OpenedFile { handle, backing, flushes, was_damaged: false })
    }

    /// Notes which program opens an object or a sibling of one.
    fn note_open(&self, thing: &Thing, thread: u32) -> Option<Arc<FileUse>> {
        let version = match thing {
            Thing::Object(object) => &object.version,
            Thing::Sibling(sibling) => sibling.original.version()?,
            Thing::Dir(_) | Thing::Draft(_) => return None,
        };
        let used = self.readers.stats.files.of(version.key.in_bucket());
        used.note_open(program_of(thread), version.size);
        Some(used)
    }

    fn opened(&self, file: OpenFile, thread: u32) -> OpenedFile {
        let is_sibling = matches!(file.content, Content::Sibling(_));
        let opener = if is_sibling && self.siblings_are_copied() { process_of(thread) } else { 0 };
        let ino = file.ino;
        let handle = self.files.insert(file.opened_by(opener, false));
        // Whoever has copied it for a writer meanwhile did not find this handle.
        if self.is_writable()
            && let Ok(Thing::Draft(draft)) = self.names.inodes().thing(ino)
            && let Some(open) = self.files.get(handle)
        {
            let _ = open.replaced.set(draft);
        }
        OpenedFile { handle, backing: None, flushes: false, was_damaged: false }
    }

    /// Reads from an open file: `length` bytes, fewer only at its end.
    pub fn read(&self, handle: u64, offset: u64, length: usize) -> Result<ReadAnswer, FsError> {
        let file = self.files.get(handle).ok_or(FsError::BadHandle)?;
        let answer = self.answer(&file, offset, length)?;
        let is_here = matches!(answer, ReadAnswer::Ready(_)).into();
        let stats = self.readers.stats.clone();
        match &file.content {
            Content::Object(_) if file.draft().is_none() => {
                stats.object_reads.add(1);
                stats.here_object_reads.add(is_here);
            }
            Content::Sibling(_) if file.draft().is_none() => {
                stats.sibling_reads.add(1);
                stats.here_sibling_reads.add(is_here);
            }
            Content::Object(_) | Content::Sibling(_) | Content::Draft(_) => {}
        }
        let used = file.used().cloned();
        let note = move |bytes: &ReadBytes| {
            stats.read_bytes.add(bytes.len() as u64);
            if let Some(used) = used {
                used.read_bytes.add(bytes.len() as u64);
            }
        };
        Ok(match answer {
            ReadAnswer::Ready(bytes) => {
                note(&bytes);
                ReadAnswer::Ready(bytes)
            }
            ReadAnswer::Later(answer) => {
                ReadAnswer::Later(Box::pin(async move { answer.await.inspect(note) }))
            }
        })
    }

    /// Whether to refuse a read that the kernel's page cache makes, perhaps on its own account.
    /// It then asks for the pages that a program waits for, one by one.
    pub fn refuses_guess(&self, handle: u64, offset: u64, length: usize) -> bool {
        let Some(file) = self.files.get(handle) else { return false };
        match &file.content {
            Content::Sibling(ViewFile::Rendered(view)) if file.draft().is_none() => {
                view.refuses(offset, length)
            }
            _ => false,
        }
    }

    fn answer(
        &self,
        file: &Arc<OpenFile>,
        offset: u64,
        length: usize,
    ) -> Result<ReadAnswer, FsError> {
        file.note_read();
        if let Some(error) = file.failed_just_now(offset, length, page_bytes()) {
            return Err(error);
        }
        if let Some(draft) = file.draft() {
            let file = draft.file().ok_or(FsError::BadHandle)?;
            return Ok(ReadAnswer::Ready(file.read(offset, length)?.into()));
        }
        match &file.content {
            Content::Draft(_) => Err(FsError::BadHandle),
            Content::Object(reader) => {
                let answer = reader.read(offset, length);
                if let Some(passed) = file.note_begun(offset, length) {
                    self.readers.ahead.began(passed);
                }
                match answer {
                    Answer::Ready(bytes) => Ok(ReadAnswer::Ready(bytes)),
                    Answer::Later(answer) => {
                        let answer = async { answer.await.map_err(FsError::from) };
                        Ok(file.clone().later(self.names.clone(), offset, answer))
                    }
                }
            }
            Content::Sibling(ViewFile::Rendered(view)) => match view.read_now(offset, length) {
                Some(bytes) => Ok(ReadAnswer::Ready(bytes.into())),
                None => {
                    let opened = file.clone();
                    let answer = async move { opened.content.read(offset, length).await };
                    Ok(file.clone().later(self.names.clone(), offset, answer))
                }
            },
            Content::Sibling(ViewFile::Form(view)) => match view.read(offset, length) {
                FormAnswer::Ready(bytes) => Ok(ReadAnswer::Ready(bytes.into())),
                FormAnswer::Later(answer) => {
                    let answer = async { Ok(answer.await?.into()) };
                    Ok(file.clone().later(self.names.clone(), offset, answer))
                }
            },
        }
    }

    /// Closes a file.
    pub fn release_file(&self, handle: u64) {
        let closed = self.files.remove(handle);
        if let Some(draft) = closed.as_ref().and_then(|file| file.draft()).cloned()
            && let Some(publisher) = self.publishing.get()
        {
            drop(closed);
            publisher.released(draft);
        }
    }
}
