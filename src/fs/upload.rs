//! Files that become objects: when they are sent, and when their memory is given back.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::directory::LONGEST_TTL;
use super::last_close::has_open_for_writing;
use super::node::{Folder, Thing};
use super::{FileSystem, FsError, Ino};
use crate::catalog::Node;
use crate::key::{ObjectKey, ObjectVersion};
use crate::overlay::{BucketThing, Entry, Item, Made, Uploads};
use crate::store::ListedObject;

/// How often is looked after files that wait.
const TENDING: Duration = Duration::from_secs(5);
/// What could not be sent is tried again after this, doubled each time up to the other.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// A listing that began before a change and arrived after it may lack it.
const LIST_SLACK: Duration = Duration::from_secs(5);
/// The longest key that S3 takes, in bytes.
const MAX_KEY_BYTES: usize = 1024;

/// Files that the bucket has, and that stay in memory as long as nobody needs it.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<VecDeque<Arc<Made>>>);

impl Kept {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Made>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileSystem {
    /// What makes objects of files, if anything does.
    pub(super) fn uploads(&self) -> Option<&Arc<Uploads>> {
        self.overlay.as_ref()?.uploads()
    }

    /// The object that a name stands for in the bucket; `None` if what is made there
    /// stays in memory.
    ///
    /// # Errors
    /// EINVAL for a name that no key has, ENAMETOOLONG.
    pub(super) fn key_for(
        &self,
        folder: &Folder,
        name: &str,
    ) -> Result<Option<ObjectKey>, FsError> {
        let (Some(uploads), Folder::Bucket(dir)) = (self.uploads(), folder) else {
            return Ok(None);
        };
        if uploads.stays_in_memory(name) {
            return Ok(None);
        }
        let key = dir.key_of(name).ok_or(FsError::Invalid)?;
        if key.as_str().len() > MAX_KEY_BYTES {
            return Err(FsError::NameTooLong);
        }
        Ok(Some(key))
    }

    /// How long a name is believed that programs made: for ever, unless the bucket has
    /// it too, where others may change it.
    pub(super) fn made_ttl(&self) -> Duration {
        match self.uploads() {
            Some(_) => self.config.metadata_ttl,
            None => LONGEST_TTL,
        }
    }

    /// Until when what was just changed in the bucket is known better here than from
    /// a listing; `None` for ever.
    pub(super) fn known_until(&self, since: Instant) -> Option<Instant> {
        since.checked_add(self.config.metadata_ttl.checked_add(LIST_SLACK)?)
    }

    /// Sends a file that was written through a handle which is closed, unless the
    /// process `pid`, or the one that opened it, has it open for writing still.
    ///
    /// # Errors
    /// What the upload failed with; ESTALE when somebody else changed the object.
    pub async fn flush(&self, handle: u64, pid: u32) -> Result<(), FsError> {
        let Some(file) = self.files.get(handle) else { return Ok(()) };
        let Some(made) = file.written() else { return Ok(()) };
        if !made.file().and_then(|file| file.remote()).is_some_and(|remote| remote.is_dirty()) {
            return Ok(());
        }
        let (ino, opener) = (made.ino(), file.opener);
        // A child that ends closes what its parent still writes to.
        let is_open = tokio::task::spawn_blocking(move || {
            has_open_for_writing(pid, ino) || has_open_for_writing(opener, ino)
        });
        if is_open.await.unwrap_or(false) {
            return Ok(());
        }
        self.send(&made).await
    }

    /// Sends a file that is to be durable now.
    ///
    /// # Errors
    /// As [`FileSystem::flush`].
    pub async fn fsync(&self, handle: u64) -> Result<(), FsError> {
        match self.files.get(handle).and_then(|file| file.written()) {
            Some(made) => self.send(&made).await,
            None => Ok(()),
        }
    }

    /// Puts a file into the bucket, if it belongs there and is not there yet.
    pub(super) async fn send(&self, made: &Arc<Made>) -> Result<(), FsError> {
        let Some(uploads) = self.uploads() else { return Ok(()) };
        let Some(file) = made.file() else { return Ok(()) };
        let Some(remote) = file.remote() else { return Ok(()) };
        // What nobody can find any more belongs nowhere.
        if made.links() == 0 {
            return Ok(());
        }
        let outcome = uploads.send(file, remote).await;
        match &outcome {
            Ok(()) => uploads.note_clean(made),
            Err(_) => self.note_written(made),
        }
        Ok(outcome?)
    }

    /// The same of a file that nobody has open, perhaps: its memory may be had then.
    pub(super) async fn send_closed(&self, made: &Arc<Made>) -> Result<(), FsError> {
        self.send(made).await?;
        if !self.is_open(made.ino()) {
            self.keep(made.clone());
        }
        Ok(())
    }

    /// After a handle of a file was released: sends what a mapping wrote behind the
    /// last close, and remembers files whose memory may be had.
    pub(super) fn after_release(self: &Arc<Self>, made: Arc<Made>) {
        let Some(remote) = made.file().and_then(|file| file.remote()) else { return };
        if self.is_open(made.ino()) {
            return;
        }
        if !remote.is_dirty() {
            return self.keep(made);
        }
        if remote.problem().is_some() {
            return;
        }
        let fs = self.clone();
        self.runtime.spawn(async move {
            if let Err(error) = fs.send_closed(&made).await {
                error.report();
            }
        });
    }

    pub(super) fn keep(&self, made: Arc<Made>) {
        let is_whole = made.file().and_then(|file| file.remote()).is_none_or(|r| r.is_whole());
        if !is_whole {
            self.settle(&made);
            return;
        }
        let mut kept = self.kept.lock();
        if !kept.iter().any(|other| other.ino() == made.ino()) {
            kept.push_back(made);
        }
    }

    /// Whether anybody has an inode open.
    pub(super) fn is_open(&self, ino: Ino) -> bool {
        self.files.any(|file| file.ino == ino)
    }

    /// Whether the bucket has had a file for so long that it should be asked.
    pub(super) fn is_faded(&self, made: &Made) -> bool {
        let Some(remote) = made.file().and_then(|file| file.remote()) else { return false };
        let Some((_, Some(since))) = remote.settled() else { return false };
        self.known_until(since).is_some_and(|until| Instant::now() >= until)
            && !self.is_open(made.ino())
    }

    /// Gives the memory of a file back that the bucket has; from now on its inode and
    /// its name stand for the object. Whether that could be done.
    pub(super) fn settle(&self, made: &Arc<Made>) -> bool {
        let (Some(overlay), Some(remote)) =
            (&self.overlay, made.file().and_then(|file| file.remote()))
        else {
            return false;
        };
        let Some((version, since)) = remote.settled() else { return false };
        if self.is_open(made.ino()) {
            return false;
        }
        let object = ListedObject { version, storage_class: None };
        self.inodes().replace(made.ino(), Thing::Object(object.clone()));
        // Who opens it from now on is told to look the name up again; who was quicker
        // has it open by now.
        if self.is_open(made.ino()) {
            self.inodes().replace(made.ino(), Thing::Made(made.clone()));
            return false;
        }
        {
            let mut tree = overlay.tree();
            if let Some((dir, name)) = made.home()
                && matches!(tree.find(&dir, &name),
                    Some(Entry::Item(Item::Made(held))) if held.ino() == made.ino())
            {
                let until = since.and_then(|since| self.known_until(since));
                let item = Item::Bucket(Node::Object(object.clone()));
                tree.put_until(&dir, &name, Entry::Item(item), until);
            }
            let of = made.attributes();
            let flags = (self.config.file_mode, self.config.uid, self.config.gid);
            if made.was_changed() || (of.mode, of.uid, of.gid) != flags {
                // Without room for them they are as the flags say.
                let _ = tree.set_attributes(BucketThing::object(&object.version), of);
            }
        }
        self.file_states.forget(made.ino());
        // Parts that were sent of what was not written after all.
        if let Some(uploads) = self.uploads() {
            uploads.abandon_parts(remote);
        }
        true
    }

    /// Whether a write that failed so may succeed once memory is given back.
    pub fn can_make_room(&self, error: &FsError) -> bool {
        self.uploads().is_some()
            && matches!(error, FsError::System(error) if error.kind() == ErrorKind::StorageFull)
    }

    /// Writes into an open file, and makes room for that first.
    ///
    /// # Errors
    /// ENOSPC when there is none to be had.
    pub async fn write_with_room(
        self: &Arc<Self>,
        handle: u64,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), FsError> {
        let made = self.writable(handle)?;
        loop {
            match self.write(handle, offset, bytes) {
                Err(error) if self.can_make_room(&error) => {
                    if !self.make_room(Some(&made)).await {
                        return Err(FsError::NoSpace);
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// Gives memory back that the bucket has the bytes of; whether there was any.
    pub(super) async fn make_room(&self, made: Option<&Made>) -> bool {
        let Some(uploads) = self.uploads() else { return false };
        let waiting = self.kept.lock().len();
        for _ in 0..waiting {
            let Some(kept) = self.kept.lock().pop_front() else { break };
            // One that was deleted was held by nobody else, perhaps.
            if kept.links() == 0 || self.settle(&kept) {
                return true;
            }
        }
        if let Some(made) = made
            && uploads.send_away(made).await > 0
        {
            return true;
        }
        for other in uploads.dirty() {
            if uploads.send_away(&other).await > 0 {
                return true;
            }
        }
        false
    }

    /// Sends parts of a file ahead, that was just written to.
    pub(super) fn send_ahead(&self, made: &Arc<Made>, numbers: Range<u32>) {
        let Some(uploads) = self.uploads() else { return };
        for number in numbers {
            let (uploads, made) = (uploads.clone(), made.clone());
            self.runtime.spawn(async move {
                uploads.send_ahead(&made, number).await;
            });
        }
    }

    /// Looks after files from now on, as long as the file system lives: those that
    /// could not be sent, and those whose memory nobody needs.
    pub(super) fn tend(self: &Arc<Self>) {
        let Some(uploads) = self.uploads().cloned() else { return };
        let fs: Weak<FileSystem> = Arc::downgrade(self);
        self.runtime.spawn(async move {
            uploads.clean_up().await;
            let (mut pause, mut next) = (FIRST_RETRY, Instant::now());
            loop {
                tokio::time::sleep(TENDING).await;
                let Some(fs) = fs.upgrade() else { return };
                fs.let_faded_go();
                let failed = |made: &Arc<Made>| {
                    let remote = made.file().and_then(|file| file.remote());
                    remote.is_some_and(|r| r.problem().is_some() && !r.is_conflict())
                };
                if !uploads.dirty().iter().any(failed) {
                    (pause, next) = (FIRST_RETRY, Instant::now());
                } else if Instant::now() >= next {
                    fs.retry(&uploads).await;
                    pause = (pause * 2).min(LONGEST_RETRY);
                    next = Instant::now() + pause;
                }
            }
        });
    }

    async fn retry(&self, uploads: &Uploads) {
        for made in uploads.dirty() {
            let Some(remote) = made.file().and_then(|file| file.remote()) else { continue };
            if remote.problem().is_none() || remote.is_conflict() || self.is_open(made.ino()) {
                continue;
            }
            if self.send_closed(&made).await.is_ok() {
                tracing::info!("\"{}\" is in the bucket now", remote.key().as_str().escape_debug());
            }
        }
    }

    /// Lets files go that the bucket has had for long enough.
    fn let_faded_go(&self) {
        let kept: Vec<Arc<Made>> = self.kept.lock().drain(..).collect();
        for made in kept {
            let is_gone = made.links() == 0 || self.is_faded(&made) && self.settle(&made);
            if !is_gone {
                self.kept.lock().push_back(made);
            }
        }
        if let Some(overlay) = &self.overlay {
            overlay.tree().sweep();
        }
    }

    /// The version that the bucket has of something, as far as is known.
    pub(super) fn seen(thing: &Thing) -> Option<ObjectVersion> {
        match thing {
            Thing::Object(object) => Some(object.version.clone()),
            Thing::Made(made) => made.file()?.remote()?.seen(),
            Thing::Dir(_) | Thing::View(_) => None,
        }
    }
}
